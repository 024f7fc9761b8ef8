/*
 * Swaps; see swap.h. What is built here must be, to the byte, what apply_ops would write, which an
 * integration test compares.
 *
 * Invariant: a claim is granted from memory only while it is kept for that very key, owner and
 * token, and once.
 * Must not: decide what a record's state means; anything but the plain next number is refused here.
 */
#include "ledger/swap.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/clock.h"
#include "ledger/known_states.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"
#include "ledger/wire.h"

/* Looking after a bucket's expiry costs Redis a part of a swap. So it is done when this part of the
 * states' time is over, and lets them live that much longer (place.lua has the same number). */
#define SLACK 16

enum {
    ITEM_HEAD = 6,
    RECORD_LEN = 1 + 6 + 6 + 10 + 3, /* of a claim that knows no state: what it is of, */
    CLAIM_LEN = 6 + STATE_TAKER,     /* and the claim */
};
/* What the script answers of an item. */
enum { MISSED, SWAPPED, CLAIMED_BEHIND, CLAIMED_FIRST };

static bool fits(uint64_t value, size_t len)
{
    return value >> (8 * len) == 0;
}

static bool is_source(const struct known_state *known, struct name_cache *names,
                      const struct ledger_op *op)
{
    const uint8_t *topic = name_cache_hash(names, op->origin_topic.data, op->origin_topic.len);
    return ((uint32_t)known->core[STATE_AT_PARTITION] << 8 | known->core[STATE_AT_PARTITION + 1]) ==
               (uint32_t)op->origin_partition &&
           memcmp(known->core + STATE_AT_SOURCE, topic, 8) == 0;
}

/* Is it the number after the last, in its epoch, from beyond the mark of the same source, and can
 * what it leaves be written small? */
static bool is_next(const struct known_state *known, struct name_cache *names,
                    const struct ledger_op *op)
{
    const uint8_t *core = known->core;
    uint64_t offset = (uint64_t)op->origin_offset;
    return wire_get6(core + STATE_AT_LAST) + 1 == op->number && fits(op->number, 6) &&
           wire_get6(core + STATE_AT_EPOCH) == op->epoch &&
           wire_get6(core + STATE_AT_OFFSET) < offset && fits(offset, 6) &&
           wire_get3(core + STATE_AT_LEADER) == (uint32_t)(op->origin_leader_epoch + 1) &&
           wire_get4(core + STATE_AT_ABOVE) < UINT32_MAX && fits(op->owner->token, 6) &&
           is_source(known, names, op);
}

/* A claim of a number that is done, in the epoch of the last one: a duplicate, if the state is
 * still the one that is remembered. */
static bool is_known_done(const struct known_state *known, const struct ledger_op *op)
{
    uint64_t last = wire_get6(known->core + STATE_AT_LAST);
    return op->verb == LEDGER_CLAIM && wire_get6(known->core + STATE_AT_EPOCH) == op->epoch &&
           op->number <= last && last - op->number < wire_get4(known->core + STATE_AT_ABOVE);
}

static uint8_t *put_taker(uint8_t *at, struct name_cache *names, const struct ledger_op *op)
{
    const char *name = op->owner->name;
    at = wire_put_bytes(at, name_cache_hash(names, name, strlen(name)), 8);
    return wire_put6(at, op->owner->token);
}

static bool is_taker(const struct known_state *known, struct name_cache *names,
                     const struct ledger_op *op)
{
    uint8_t taker[STATE_TAKER];
    put_taker(taker, names, op);
    return memcmp(known->taker, taker, STATE_TAKER) == 0;
}

/* Can what is left by its claim be written small, whatever is small there now? */
static bool is_small_claim(const struct ledger_op *op)
{
    return op->verb == LEDGER_CLAIM && op->scope->buckets && fits(op->epoch, 6) &&
           fits(op->number, 6) && fits((uint32_t)op->origin_partition, 2) &&
           fits((uint64_t)op->origin_offset, 6) &&
           fits((uint32_t)(op->origin_leader_epoch + 1), 3) && fits(op->owner->token, 6);
}

bool swaps_fit(struct known_states *states, struct name_cache *names, const struct ledger_op *op)
{
    if (!known_states_cover(op))
        return false;
    const struct known_state *known = known_states_look(states, op);
    if (!known || known->hold == KNOWN_UNKNOWN)
        return is_small_claim(op);
    if (known->barred)
        return false;
    if (is_known_done(known, op))
        return known->hold == KNOWN_NONE || known->hold == KNOWN_KEPT;
    if (!is_next(known, names, op))
        return false;
    if (op->verb == LEDGER_FINISH)
        return known->hold == KNOWN_CLAIMED || known->hold == KNOWN_NEW ||
               known->hold == KNOWN_USED;
    return known->hold == KNOWN_NONE || (known->hold == KNOWN_KEPT && is_taker(known, names, op));
}

bool swaps_grant(struct known_states *states, struct name_cache *names, struct ledger_op *op,
                 uint64_t now_ns, bool first)
{
    struct known_state *known = known_states_cover(op) ? known_states_find(states, op) : NULL;
    if (!known || known->barred || known->hold != KNOWN_KEPT || (known->asked && !first) ||
        op->cover_ms == 0 || now_ns + op->cover_ms * NS_PER_MS > known->kept_until_ns ||
        !is_next(known, names, op) || !is_taker(known, names, op) ||
        !known_states_is_key(states, known, op))
        return false;
    known->hold = KNOWN_USED;
    op->lease_deadline_ns = known->kept_until_ns;
    wire_set_answer(op, LEDGER_GO);
    return true;
}

/* ---- calls ---- */

/* The state with the claim of the operation's record. */
static uint8_t *put_claimed(uint8_t *at, struct name_cache *names, const struct known_state *known,
                            const struct ledger_op *op)
{
    *at++ = STATE_CLAIMED;
    at = wire_put_bytes(at, known->core + 1, STATE_CORE - 1);
    return put_taker(wire_put6(at, (uint64_t)op->origin_offset), names, op);
}

/* The state after the record was finished. */
static uint8_t *put_finished(uint8_t *at, enum known_hold hold, const struct known_state *known,
                             const struct ledger_op *op)
{
    const uint8_t *core = known->core;
    *at++ = hold == KNOWN_KEPT ? STATE_KEEPING : STATE_FREE;
    at = wire_put_bytes(at, core + STATE_AT_EPOCH, STATE_AT_LAST - STATE_AT_EPOCH);
    at = wire_put4(wire_put6(at, op->number), wire_get4(core + STATE_AT_ABOVE) + 1);
    at = wire_put_bytes(at, core + STATE_AT_SOURCE, STATE_AT_OFFSET - STATE_AT_SOURCE);
    return wire_put3(wire_put6(at, (uint64_t)op->origin_offset),
                     (uint32_t)(op->origin_leader_epoch + 1));
}

/* The first claim of the key. */
static uint8_t *put_new(uint8_t *at, struct name_cache *names, const struct known_state *known,
                        const struct ledger_op *op)
{
    *at++ = STATE_NEW;
    at = wire_put_bytes(at, known->core + STATE_AT_EPOCH, STATE_AT_LAST - STATE_AT_EPOCH);
    at = wire_put_bytes(wire_put6(at, op->number), known->core + STATE_AT_SOURCE,
                        STATE_AT_OFFSET - STATE_AT_SOURCE);
    return put_taker(wire_put6(at, (uint64_t)op->origin_offset), names, op);
}

/* What stands there. */
static uint8_t *put_expected(uint8_t *at, struct name_cache *names, const struct known_state *known,
                             const struct ledger_op *op)
{
    if (known->hold == KNOWN_NEW) {
        at = put_new(at, names, known, op);
    } else if (known->hold == KNOWN_CLAIMED) {
        at = put_claimed(at, names, known, op);
    } else {
        *at++ = known->hold == KNOWN_NONE ? STATE_FREE : STATE_KEEPING;
        at = wire_put_bytes(at, known->core + 1, STATE_CORE - 1);
        if (known->hold != KNOWN_NONE)
            at = wire_put_bytes(at, known->taker, STATE_TAKER);
    }
    return wire_put6(at, known->time_ms);
}

/* What shall stand there, without its time. */
static uint8_t *put_wanted(uint8_t *at, struct name_cache *names, const struct known_state *known,
                           const struct ledger_op *op)
{
    if (op->verb == LEDGER_CLAIM)
        return put_claimed(at, names, known, op);
    if (wire_claim_ms(op) == 0)
        return put_finished(at, KNOWN_NONE, known, op);
    return put_taker(put_finished(at, KNOWN_KEPT, known, op), names, op);
}

static bool is_to_renew(const struct known_state *known, const struct ledger_op *op)
{
    uint64_t slack_ns = (uint64_t)op->scope->ttl_ms / SLACK * NS_PER_MS;
    return op->sent_ns - known->renewed_ns >= slack_ns;
}

static bool is_expired(const struct known_state *known, const struct ledger_op *op)
{
    return op->sent_ns - known->written_ns >= (uint64_t)op->scope->ttl_ms * NS_PER_MS;
}

static size_t expected_len(const struct known_state *known)
{
    if (known->hold == KNOWN_NEW)
        return STATE_NEW_LEN;
    if (known->hold == KNOWN_CLAIMED)
        return STATE_MAX;
    return known->hold == KNOWN_NONE ? STATE_CORE + STATE_TIME
                                     : STATE_CORE + STATE_TAKER + STATE_TIME;
}

/* Nothing where it is only looked at. */
static size_t wanted_len(const struct ledger_op *op)
{
    if (op->looks)
        return 0;
    if (op->verb == LEDGER_CLAIM)
        return STATE_MAX - STATE_TIME;
    return wire_claim_ms(op) == 0 ? STATE_CORE : STATE_CORE + STATE_TAKER;
}

/* A claim that knows no state: what the script looks for, and the claim. */
static uint8_t *add_claim(uint8_t *at, struct name_cache *names, const struct ledger_op *op)
{
    uint8_t source[WIRE_SOURCE];
    wire_put_source(source, names, op);
    at = resp_open(at, RECORD_LEN);
    *at++ = 0; /* as no state begins */
    at = wire_put6(wire_put6(at, op->epoch), op->number);
    at = wire_put_bytes(wire_put_bytes(at, source, 8), source + 10, 2);
    at = resp_close(wire_put3(at, (uint32_t)(op->origin_leader_epoch + 1)));
    at = resp_open(at, CLAIM_LEN);
    return resp_close(put_taker(wire_put6(at, (uint64_t)op->origin_offset), names, op));
}

/* What is expected to stand there, and what shall. Of a finish whose state is not remembered any
 * more an expectation that no state meets. */
static uint8_t *add_states(uint8_t *at, struct name_cache *names, const struct known_state *known,
                           const struct ledger_op *op)
{
    if (!known && is_small_claim(op))
        return add_claim(at, names, op);
    at = resp_open(at, known ? expected_len(known) : 0);
    at = resp_close(known ? put_expected(at, names, known, op) : at);
    at = resp_open(at, known ? wanted_len(op) : 0);
    return resp_close(known && !op->looks ? put_wanted(at, names, known, op) : at);
}

/* Head, field, and these two; written in place, since there are many. */
static void add_item(struct buf *out, struct known_states *states, struct name_cache *names,
                     struct ledger_op *op, struct slice field, uint8_t scope, uint8_t owner)
{
    const struct known_state *known = known_states_find(states, op);
    if (known && is_expired(known, op))
        known = NULL;
    op->looks = known && is_known_done(known, op);
    op->renews = !known || (!op->looks && is_to_renew(known, op));
    buf_reserve(out, (size_t)4 * RESP_AROUND + ITEM_HEAD + field.len + (size_t)2 * STATE_MAX);
    uint8_t *at = resp_open((uint8_t *)out->data + out->len, ITEM_HEAD);
    *at++ = op->renews ? scope : 0;
    *at++ = wire_claim_ms(op) ? owner : 0;
    at = resp_close(wire_put4(at, op->looks ? 0 : wire_claim_ms(op)));
    at = resp_open(at, field.len);
    at = resp_close(wire_put_bytes(at, (const uint8_t *)field.data, field.len));
    at = add_states(at, names, known, op);
    *at = '\0';
    out->len = (size_t)((char *)at - out->data);
}

static void add_common(struct buf *out, struct buf *text, const struct wire_common *common)
{
    uint8_t line[9];
    wire_add_header(out, common->fence_count, common->scope_count, common->owner_count);
    for (size_t i = 0; i < common->scope_count; i++) {
        wire_put8(line, (uint64_t)common->scopes[i]->ttl_ms);
        resp_arg(out, line, 8);
    }
    for (size_t i = 0; i < common->owner_count; i++) {
        const struct ledger_owner *owner = common->owners[i].owner;
        line[0] = (uint8_t)(common->owners[i].fence + 1);
        wire_put8(line + 1, owner->token);
        buf_reset(text);
        buf_add(text, line, sizeof(line));
        buf_add_text(text, owner->name);
        resp_arg(out, text->data, text->len);
    }
}

void swaps_build(struct buf *out, struct known_states *states, struct name_cache *names,
                 struct ledger_op *const *ops, size_t count, bool whole)
{
    struct wire_common common;
    struct buf text = {0};
    wire_gather(&common, ops, count);
    scripts_begin(out, SCRIPT_SWAP_STATES, whole, common.fence_count + count,
                  1 + common.scope_count + common.owner_count + 4 * count);
    for (size_t i = 0; i < common.fence_count; i++)
        resp_text(out, common.fences[i]);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&text);
        scope_add_bucket_name(&text, ops[i]->scope, ops[i]->key_hash);
        resp_arg(out, text.data, text.len);
    }
    add_common(out, &text, &common);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&text);
        scope_add_field(&text, ops[i]->scope, ops[i]);
        add_item(out, states, names, ops[i], (struct slice){text.data, text.len},
                 common.scope_of[i], common.owner_of[i]);
    }
    buf_deinit(&text);
}

void swaps_build_empty(struct buf *out, bool whole)
{
    scripts_begin(out, SCRIPT_SWAP_STATES, whole, 0, 1);
    wire_add_header(out, 0, 0, 0);
}

/*
 * The state is the one that was looked for. As apply_ops says it: known by its rank, or its number
 * was used again, so many below the last. False: meanwhile another key took the place of what is
 * remembered.
 */
static bool take_duplicate(struct known_states *states, struct name_cache *names,
                           struct ledger_op *op)
{
    struct known_state *known = known_states_find(states, op);
    if (!known || !is_known_done(known, op))
        return false;
    known->asked = known->barred = false;
    wire_set_answer(op, LEDGER_DUP);
    if ((uint64_t)op->origin_offset <= wire_get6(known->core + STATE_AT_OFFSET) &&
        is_source(known, names, op))
        return true;
    uint64_t behind = wire_get6(known->core + STATE_AT_LAST) - op->number + 1;
    op->behind = behind > UINT32_MAX ? UINT32_MAX : (uint32_t)behind;
    return true;
}

static void take_answer(struct known_states *states, struct name_cache *names, struct ledger_op *op,
                        uint64_t now_ms)
{
    uint8_t after[STATE_CORE];
    struct known_state *known = known_states_find(states, op);
    bool claim = op->verb == LEDGER_CLAIM;
    wire_set_answer(op, claim ? LEDGER_GO : LEDGER_OK);
    if (!known)
        return;
    known->asked = known->barred = false;
    known->time_ms = now_ms + wire_claim_ms(op);
    known->written_ns = op->sent_ns;
    if (op->renews)
        known->renewed_ns = op->sent_ns;
    if (claim) {
        known->hold = KNOWN_CLAIMED;
        return;
    }
    put_finished(after, KNOWN_NONE, known, op);
    memcpy(known->core, after, STATE_CORE);
    known->finished_ns = op->sent_ns;
    known->hold = KNOWN_NONE;
    if (op->keep_ms) {
        put_taker(known->taker, names, op);
        known_states_keep(states, known, op);
    }
}

/* What stands there now that a claim was granted without a known state, which told the free one
 * that stood there; NULL: there was none. */
static void take_claim(struct known_states *states, struct name_cache *names, struct ledger_op *op,
                       const uint8_t *free, uint64_t now_ms)
{
    uint8_t state[STATE_MAX], source[WIRE_SOURCE];
    wire_set_answer(op, LEDGER_GO);
    wire_put6(state + (free ? STATE_MAX : STATE_NEW_LEN) - STATE_TIME, now_ms + op->lease_ms);
    if (free) {
        state[0] = STATE_CLAIMED;
        memcpy(state + 1, free + 1, STATE_CORE - 1);
        known_states_learn(states, op, state, STATE_MAX);
        return;
    }
    wire_put_source(source, names, op);
    state[0] = STATE_NEW;
    uint8_t *at = wire_put6(wire_put6(state + 1, op->epoch), op->number);
    wire_put_bytes(wire_put_bytes(at, source, 8), source + 10, 2);
    known_states_learn(states, op, state, STATE_NEW_LEN);
}

static void forget(struct known_states *states, const struct ledger_op *op)
{
    struct known_state *known = known_states_find(states, op);
    if (known)
        known->hold = KNOWN_UNKNOWN;
}

/* The answers of one byte an item;
 * told: the states that follow them. */
static void read_answer(struct known_states *states, struct name_cache *names, struct ledger_op *op,
                        uint8_t answer, const uint8_t **told, uint64_t now_ms, bool *swapped)
{
    *swapped = answer != MISSED;
    if (answer == MISSED) {
        forget(states, op);
    } else if (answer == CLAIMED_BEHIND) {
        take_claim(states, names, op, *told, now_ms);
        *told += STATE_CORE + STATE_TIME;
    } else if (answer == CLAIMED_FIRST) {
        take_claim(states, names, op, NULL, now_ms);
    } else if (op->looks) {
        *swapped = take_duplicate(states, names, op);
    } else {
        take_answer(states, names, op, now_ms);
    }
}

/* Are these its answers, with as many states behind them? */
static bool is_whole(const uint8_t *answers, size_t count, size_t len, struct ledger_op *const *ops)
{
    size_t states = 0;
    if (len < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (answers[i] > CLAIMED_FIRST ||
            (answers[i] >= CLAIMED_BEHIND && ops[i]->verb != LEDGER_CLAIM))
            return false;
        states += answers[i] == CLAIMED_BEHIND;
    }
    return len == count + states * (STATE_CORE + STATE_TIME);
}

bool swaps_read(struct known_states *states, struct name_cache *names,
                const struct redisReply *reply, struct ledger_op *const *ops, size_t count,
                bool swapped[LEDGER_BATCH_MAX], struct err *err)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return err_set_retriable(err, ERR_UNAVAILABLE, "%.300s", reply->str);
    const uint8_t *bytes = (const uint8_t *)reply->str;
    if (reply->type != REDIS_REPLY_STRING || reply->len < 8 ||
        !is_whole(bytes + 8, count, reply->len - 8, ops))
        return err_set(err, ERR_PROTOCOL, "swap_states answered something unknown");
    const uint8_t *told = bytes + 8 + count;
    for (size_t i = 0; i < count; i++)
        read_answer(states, names, ops[i], bytes[8 + i], &told, wire_get8(bytes), &swapped[i]);
    return true;
}
