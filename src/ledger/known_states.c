/*
 * What is known of the states of keys; see known_states.h. A set-associative table: a key pushes
 * out one of its set of which little is known, else the one whose place its hash names.
 *
 * Invariant: a key that is not in the table is one of which nothing is known.
 * Must not: say whether an operation fits a state (swap.c does), or keep pointers into one.
 */
#include "ledger/known_states.h"

#include <openssl/rand.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ledger/scope.h"
#include "ledger/wire.h"

struct known_states *known_states_new(struct err *err)
{
    struct known_states *states = mem_zalloc(sizeof(struct known_states));
    if (RAND_bytes(states->secret, sizeof(states->secret)) == 1)
        return states;
    mem_free(states);
    err_set(err, ERR_INTERNAL, "no random numbers");
    return NULL;
}

void known_states_free(struct known_states **states)
{
    mem_free(*states);
    *states = NULL;
}

bool known_states_cover(const struct ledger_op *op)
{
    return op->source == LEDGER_SOURCE && op->kind == IDENTITY_SEQUENCE && op->scope->ordered &&
           !op->observe && !scope_is_by_partition(op->scope, op) &&
           (op->verb == LEDGER_CLAIM ? !op->has_ghost
                                     : op->fact == LEDGER_SUCCEEDED && !op->keep_claim);
}

/*
 * A second hash of scope and key, for what Redis does not look at. It is keyed by random bytes, so
 * nobody can choose keys that collide.
 */
static struct siphash check_of(const struct known_states *states, const struct ledger_op *op)
{
    struct siphash check = siphash(states->secret, op->key.data, op->key.len);
    check.high ^= op->scope->seed;
    return check;
}

bool known_states_is_key(const struct known_states *states, const struct known_state *known,
                         const struct ledger_op *op)
{
    struct siphash check = check_of(states, op);
    return known->key_check.low == check.low && known->key_check.high == check.high;
}

/* Its own place, else a free one, else anybody's. */
static struct known_state *find_place(struct known_states *states, const struct ledger_op *op)
{
    struct known_state *set = states->sets[op->key_hash % KNOWN_SETS];
    struct known_state *place = &set[op->key_hash / KNOWN_SETS % KNOWN_WAYS];
    for (size_t i = 0; i < KNOWN_WAYS; i++) {
        if (set[i].key_hash == op->key_hash)
            return &set[i];
        if (set[i].hold <= KNOWN_OTHER)
            place = &set[i];
    }
    return place;
}

bool known_states_worth_keeping(struct known_states *states, const struct ledger_op *op,
                                uint64_t now_ns)
{
    const struct known_state *known = known_states_find(states, op);
    return known && op->keep_ms > op->cover_ms &&
           now_ns - known->finished_ns <= (op->keep_ms - op->cover_ms) * NS_PER_MS;
}

void known_states_ask(struct known_states *states, const struct ledger_op *op)
{
    struct known_state *known = known_states_find(states, op);
    if (known)
        known->asked = true;
}

void known_states_bar(struct known_states *states, const struct ledger_op *op)
{
    struct known_state *known = known_states_find(states, op);
    if (known)
        known->barred = true;
}

void known_states_keep(const struct known_states *states, struct known_state *known,
                       const struct ledger_op *op)
{
    known->kept_until_ns = op->sent_ns + op->keep_ms * NS_PER_MS;
    known->key_check = check_of(states, op);
    known->hold = KNOWN_KEPT;
}

/* A key's first claim, as if it stood behind a number that was done: of the state that its finish
 * leaves only the floor is to be known, and the offset that the mark must be beyond. */
static void learn_new(struct known_state *known, const struct ledger_op *op, const uint8_t *state)
{
    uint8_t *at = known->core;
    if (op->number == 0 || op->origin_offset == 0)
        return; /* before these nothing is */
    *at++ = STATE_FREE;
    at = wire_put_bytes(at, state + 1, 6);
    at = wire_put4(wire_put6(at, op->number - 1), 0);
    at = wire_put_bytes(at, state + 13, 10);
    wire_put3(wire_put6(at, (uint64_t)op->origin_offset - 1),
              (uint32_t)(op->origin_leader_epoch + 1));
    known->hold = KNOWN_NEW;
}

void known_states_learn(struct known_states *states, const struct ledger_op *op, const void *state,
                        size_t len)
{
    struct known_state *known = find_place(states, op);
    const uint8_t *bytes = state;
    known->finished_ns = op->verb == LEDGER_FINISH ? op->sent_ns : 0;
    known->key_hash = op->key_hash;
    known->asked = known->barred = false;
    known->written_ns = known->renewed_ns = op->sent_ns;
    known->hold = KNOWN_OTHER;
    if (len == STATE_NEW_LEN && bytes[0] == STATE_NEW) {
        learn_new(known, op, bytes);
    } else if (len == STATE_CORE + STATE_TIME && bytes[0] == STATE_FREE) {
        known->hold = KNOWN_NONE;
    } else if (len == STATE_MAX && bytes[0] == STATE_CLAIMED) {
        known->hold = KNOWN_CLAIMED;
    } else if (len == STATE_CORE + STATE_TAKER + STATE_TIME && bytes[0] == STATE_KEEPING) {
        memcpy(known->taker, bytes + STATE_CORE, STATE_TAKER);
        known_states_keep(states, known, op);
    } else {
        return;
    }
    if (bytes[0] != STATE_NEW)
        memcpy(known->core, bytes, STATE_CORE);
    known->time_ms = wire_get6(bytes + len - STATE_TIME);
}

void known_states_answered(struct known_states *states, const struct ledger_op *op)
{
    bool duplicate = op->verb == LEDGER_CLAIM && op->code == LEDGER_DUP; /* writes nothing */
    bool first = known_states_cover(op) && !duplicate;
    struct known_state *known = first ? find_place(states, op) : known_states_look(states, op);
    if (!known)
        return;
    known->key_hash = op->key_hash;
    known->asked = known->barred = false;
    if (!duplicate)
        known->hold = KNOWN_OTHER;
}

void known_states_forget_all(struct known_states *states)
{
    memset(states->sets, 0, sizeof(states->sets));
}
