/*
 * Swaps; see swap.h. The layout of a state is docs/ledger.md's; what is built here must be, to the
 * byte, what apply_ops would write, which an integration test compares.
 *
 *   free      16, epoch 6, last 6, last - floor 4, source 8 + 2, offset 6, leader epoch 3; time 6
 *   claimed   17, the same; offset 6, owner 8 + token 6; time 6
 *   keeping   18, the same; owner 8 + token 6; time 6
 *   new       19, epoch 6, number 6, source 8 + 2, offset 6, owner 8 + token 6; time 6
 *
 * Invariant: a claim is granted from memory only while it is kept for that very key, owner and
 * token, and once.
 * Must not: decide what a record's state means; anything but the plain next number is refused here.
 */
#include "ledger/swap.h"

#include <hiredis/hiredis.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"
#include "ledger/wire.h"

#define SETS (1U << 13)
#define WAYS 4
/* Looking after a bucket's expiry costs Redis a part of a swap. So it is done when this part of the
 * states' time is over, and lets them live that much longer (place.lua has the same number). */
#define SLACK 16

enum { FREE = 16, CLAIMED, KEEPING, NEW }; /* how a state begins */
enum {
    CORE = 36, /* what all three have in front */
    AT_EPOCH = 1,
    AT_LAST = 7,
    AT_ABOVE = 13,
    AT_SOURCE = 17,
    AT_PARTITION = 25,
    AT_OFFSET = 27,
    AT_LEADER = 33,
    TAKER = 14,
    TIME = 6,
    NEW_LEN = 1 + 6 + 6 + 10 + 6 + TAKER + TIME,
    STATE_MAX = CORE + 6 + TAKER + TIME,
    ITEM_HEAD = 6,
    RECORD_LEN = 1 + 6 + 6 + 10 + 3, /* of a claim that knows no state: what it is of, */
    CLAIM_LEN = 6 + TAKER,           /* and the claim */
};
/* What the script answers of an item. */
enum { MISSED, SWAPPED, CLAIMED_BEHIND, CLAIMED_FIRST };

enum hold {
    HOLD_UNKNOWN, /* nothing is known of the key */
    HOLD_OTHER,   /* but that its state is none of those above: apply_ops has to be asked */
    HOLD_NONE,
    HOLD_CLAIMED,
    HOLD_NEW,  /* claimed, and nothing is known of the key but that */
    HOLD_KEPT, /* for the successor */
    HOLD_USED, /* the successor is on its way by the kept claim */
};

struct memory {
    uint64_t key_hash;
    struct siphash key_check; /* of a kept one */
    uint64_t time_ms;         /* of its claim's deadline, or when it was written; Redis' clock */
    uint64_t kept_until_ns;   /* of a kept one, by ours, from before it was sent */
    uint64_t finished_ns;     /* the last record, by ours; 0: not seen */
    uint64_t written_ns;      /* the state, by ours, from before it was sent */
    uint64_t renewed_ns;      /* its bucket's expiry, by ours, from before it was sent */
    uint8_t core[CORE];       /* its first byte means nothing */
    uint8_t taker[TAKER];     /* of a kept one */
    uint8_t hold;
    bool barred; /* apply_ops is about to change the state, or not */
    bool asked;  /* since then an operation of the key was asked for */
};
struct swaps {
    unsigned char secret[16]; /* see check_of */
    struct memory sets[SETS][WAYS];
};

struct swaps *swaps_new(struct err *err)
{
    struct swaps *swaps = mem_zalloc(sizeof(struct swaps));
    if (RAND_bytes(swaps->secret, sizeof(swaps->secret)) == 1)
        return swaps;
    mem_free(swaps);
    err_set(err, ERR_INTERNAL, "no random numbers");
    return NULL;
}

/*
 * A second hash of scope and key, for what Redis does not look at. It is keyed by random bytes, so
 * nobody can choose keys that collide.
 */
static struct siphash check_of(const struct swaps *swaps, const struct ledger_op *op)
{
    struct siphash check = siphash(swaps->secret, op->key.data, op->key.len);
    check.high ^= op->scope->seed;
    return check;
}

static bool is_key(const struct swaps *swaps, const struct memory *memory,
                   const struct ledger_op *op)
{
    struct siphash check = check_of(swaps, op);
    return memory->key_check.low == check.low && memory->key_check.high == check.high;
}

void swaps_free(struct swaps **swaps)
{
    mem_free(*swaps);
    *swaps = NULL;
}

static struct memory *slot_of(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *set = swaps->sets[op->key_hash % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key_hash == op->key_hash)
            return &set[i];
    }
    return NULL;
}

/* The one whose state is known. */
static struct memory *find(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *memory = slot_of(swaps, op);
    return memory && memory->hold > HOLD_OTHER ? memory : NULL;
}

/* Its own place, else a free one, else anybody's. */
static struct memory *find_place(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *set = swaps->sets[op->key_hash % SETS];
    struct memory *place = &set[op->key_hash / SETS % WAYS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key_hash == op->key_hash)
            return &set[i];
        if (set[i].hold <= HOLD_OTHER)
            place = &set[i];
    }
    return place;
}

static bool fits(uint64_t value, size_t len)
{
    return value >> (8 * len) == 0;
}

bool swap_is_plain(const struct ledger_op *op)
{
    return op->source == LEDGER_SOURCE && op->kind == IDENTITY_SEQUENCE && op->scope->ordered &&
           !op->observe && !scope_is_by_partition(op->scope, op) &&
           (op->verb == LEDGER_CLAIM ? !op->has_ghost
                                     : op->fact == LEDGER_SUCCEEDED && !op->keep_claim);
}

static bool is_source(const struct memory *memory, struct name_cache *names,
                      const struct ledger_op *op)
{
    const uint8_t *topic = name_cache_hash(names, op->origin_topic.data, op->origin_topic.len);
    return ((uint32_t)memory->core[AT_PARTITION] << 8 | memory->core[AT_PARTITION + 1]) ==
               (uint32_t)op->origin_partition &&
           memcmp(memory->core + AT_SOURCE, topic, 8) == 0;
}

/* Is it the number after the last, in its epoch, from beyond the mark of the same source, and can
 * what it leaves be written small? */
static bool is_next(const struct memory *memory, struct name_cache *names,
                    const struct ledger_op *op)
{
    const uint8_t *core = memory->core;
    uint64_t offset = (uint64_t)op->origin_offset;
    return wire_get6(core + AT_LAST) + 1 == op->number && fits(op->number, 6) &&
           wire_get6(core + AT_EPOCH) == op->epoch && wire_get6(core + AT_OFFSET) < offset &&
           fits(offset, 6) &&
           wire_get3(core + AT_LEADER) == (uint32_t)(op->origin_leader_epoch + 1) &&
           wire_get4(core + AT_ABOVE) < UINT32_MAX && fits(op->owner->token, 6) &&
           is_source(memory, names, op);
}

/* A claim of a number that is done, in the epoch of the last one: a duplicate, if the state is
 * still the one that is remembered. */
static bool is_known_done(const struct memory *memory, const struct ledger_op *op)
{
    uint64_t last = wire_get6(memory->core + AT_LAST);
    return op->verb == LEDGER_CLAIM && wire_get6(memory->core + AT_EPOCH) == op->epoch &&
           op->number <= last && last - op->number < wire_get4(memory->core + AT_ABOVE);
}

static uint8_t *put_taker(uint8_t *at, struct name_cache *names, const struct ledger_op *op)
{
    const char *name = op->owner->name;
    at = wire_put_bytes(at, name_cache_hash(names, name, strlen(name)), 8);
    return wire_put6(at, op->owner->token);
}

static bool is_taker(const struct memory *memory, struct name_cache *names,
                     const struct ledger_op *op)
{
    uint8_t taker[TAKER];
    put_taker(taker, names, op);
    return memcmp(memory->taker, taker, TAKER) == 0;
}

/* Can what is left by its claim be written small, whatever is small there now? */
static bool is_small_claim(const struct ledger_op *op)
{
    return op->verb == LEDGER_CLAIM && op->scope->buckets && fits(op->epoch, 6) &&
           fits(op->number, 6) && fits((uint32_t)op->origin_partition, 2) &&
           fits((uint64_t)op->origin_offset, 6) &&
           fits((uint32_t)(op->origin_leader_epoch + 1), 3) && fits(op->owner->token, 6);
}

bool swaps_fit(struct swaps *swaps, struct name_cache *names, const struct ledger_op *op)
{
    if (!swap_is_plain(op))
        return false;
    const struct memory *memory = slot_of(swaps, op);
    if (!memory || memory->hold == HOLD_UNKNOWN)
        return is_small_claim(op);
    if (memory->barred)
        return false;
    if (is_known_done(memory, op))
        return memory->hold == HOLD_NONE || memory->hold == HOLD_KEPT;
    if (!is_next(memory, names, op))
        return false;
    if (op->verb == LEDGER_FINISH)
        return memory->hold == HOLD_CLAIMED || memory->hold == HOLD_NEW ||
               memory->hold == HOLD_USED;
    return memory->hold == HOLD_NONE || (memory->hold == HOLD_KEPT && is_taker(memory, names, op));
}

bool swaps_grant(struct swaps *swaps, struct name_cache *names, struct ledger_op *op,
                 uint64_t now_ns, bool first)
{
    struct memory *memory = swap_is_plain(op) ? find(swaps, op) : NULL;
    if (!memory || memory->barred || memory->hold != HOLD_KEPT || (memory->asked && !first) ||
        op->cover_ms == 0 || now_ns + op->cover_ms * NS_PER_MS > memory->kept_until_ns ||
        !is_next(memory, names, op) || !is_taker(memory, names, op) || !is_key(swaps, memory, op))
        return false;
    memory->hold = HOLD_USED;
    op->lease_deadline_ns = memory->kept_until_ns;
    wire_set_answer(op, LEDGER_GO);
    return true;
}

bool swaps_worth_keeping(struct swaps *swaps, const struct ledger_op *op, uint64_t now_ns)
{
    const struct memory *memory = find(swaps, op);
    return memory && op->keep_ms > op->cover_ms &&
           now_ns - memory->finished_ns <= (op->keep_ms - op->cover_ms) * NS_PER_MS;
}

void swaps_ask(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *memory = find(swaps, op);
    if (memory)
        memory->asked = true;
}

/* A key's first claim, as if it stood behind a number that was done: of the state that its finish
 * leaves only the floor is to be known, and the offset that the mark must be beyond. */
static void learn_new(struct memory *memory, const struct ledger_op *op, const uint8_t *state)
{
    uint8_t *at = memory->core;
    if (op->number == 0 || op->origin_offset == 0)
        return; /* before these nothing is */
    *at++ = FREE;
    at = wire_put_bytes(at, state + 1, 6);
    at = wire_put4(wire_put6(at, op->number - 1), 0);
    at = wire_put_bytes(at, state + 13, 10);
    wire_put3(wire_put6(at, (uint64_t)op->origin_offset - 1),
              (uint32_t)(op->origin_leader_epoch + 1));
    memory->hold = HOLD_NEW;
}

void swaps_learn(struct swaps *swaps, const struct ledger_op *op, const void *state, size_t len)
{
    struct memory *memory = find_place(swaps, op);
    const uint8_t *bytes = state;
    memory->finished_ns = op->verb == LEDGER_FINISH ? op->sent_ns : 0;
    memory->key_hash = op->key_hash;
    memory->asked = memory->barred = false;
    memory->written_ns = memory->renewed_ns = op->sent_ns;
    memory->hold = HOLD_OTHER;
    if (len == NEW_LEN && bytes[0] == NEW) {
        learn_new(memory, op, bytes);
    } else if (len == CORE + TIME && bytes[0] == FREE) {
        memory->hold = HOLD_NONE;
    } else if (len == STATE_MAX && bytes[0] == CLAIMED) {
        memory->hold = HOLD_CLAIMED;
    } else if (len == CORE + TAKER + TIME && bytes[0] == KEEPING) {
        memcpy(memory->taker, bytes + CORE, TAKER);
        memory->kept_until_ns = op->sent_ns + op->keep_ms * NS_PER_MS;
        memory->key_check = check_of(swaps, op);
        memory->hold = HOLD_KEPT;
    } else {
        return;
    }
    if (bytes[0] != NEW)
        memcpy(memory->core, bytes, CORE);
    memory->time_ms = wire_get6(bytes + len - TIME);
}

static void forget(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *memory = find(swaps, op);
    if (memory)
        memory->hold = HOLD_UNKNOWN;
}

void swaps_bar(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *memory = find(swaps, op);
    if (memory)
        memory->barred = true;
}

void swaps_answered(struct swaps *swaps, const struct ledger_op *op)
{
    bool duplicate = op->verb == LEDGER_CLAIM && op->code == LEDGER_DUP; /* writes nothing */
    bool first = swap_is_plain(op) && !duplicate;
    struct memory *memory = first ? find_place(swaps, op) : slot_of(swaps, op);
    if (!memory)
        return;
    memory->key_hash = op->key_hash;
    memory->asked = memory->barred = false;
    if (!duplicate)
        memory->hold = HOLD_OTHER;
}

void swaps_forget_all(struct swaps *swaps)
{
    memset(swaps->sets, 0, sizeof(swaps->sets));
}

/* ---- calls ---- */

/* The state with the claim of the operation's record. */
static uint8_t *put_claimed(uint8_t *at, struct name_cache *names, const struct memory *memory,
                            const struct ledger_op *op)
{
    *at++ = CLAIMED;
    at = wire_put_bytes(at, memory->core + 1, CORE - 1);
    return put_taker(wire_put6(at, (uint64_t)op->origin_offset), names, op);
}

/* The state after the record was finished. */
static uint8_t *put_finished(uint8_t *at, enum hold hold, const struct memory *memory,
                             const struct ledger_op *op)
{
    const uint8_t *core = memory->core;
    *at++ = hold == HOLD_KEPT ? KEEPING : FREE;
    at = wire_put_bytes(at, core + AT_EPOCH, AT_LAST - AT_EPOCH);
    at = wire_put4(wire_put6(at, op->number), wire_get4(core + AT_ABOVE) + 1);
    at = wire_put_bytes(at, core + AT_SOURCE, AT_OFFSET - AT_SOURCE);
    return wire_put3(wire_put6(at, (uint64_t)op->origin_offset),
                     (uint32_t)(op->origin_leader_epoch + 1));
}

/* The first claim of the key. */
static uint8_t *put_new(uint8_t *at, struct name_cache *names, const struct memory *memory,
                        const struct ledger_op *op)
{
    *at++ = NEW;
    at = wire_put_bytes(at, memory->core + AT_EPOCH, AT_LAST - AT_EPOCH);
    at = wire_put_bytes(wire_put6(at, op->number), memory->core + AT_SOURCE, AT_OFFSET - AT_SOURCE);
    return put_taker(wire_put6(at, (uint64_t)op->origin_offset), names, op);
}

/* What stands there. */
static uint8_t *put_expected(uint8_t *at, struct name_cache *names, const struct memory *memory,
                             const struct ledger_op *op)
{
    if (memory->hold == HOLD_NEW) {
        at = put_new(at, names, memory, op);
    } else if (memory->hold == HOLD_CLAIMED) {
        at = put_claimed(at, names, memory, op);
    } else {
        *at++ = memory->hold == HOLD_NONE ? FREE : KEEPING;
        at = wire_put_bytes(at, memory->core + 1, CORE - 1);
        if (memory->hold != HOLD_NONE)
            at = wire_put_bytes(at, memory->taker, TAKER);
    }
    return wire_put6(at, memory->time_ms);
}

/* What shall stand there, without its time. */
static uint8_t *put_wanted(uint8_t *at, struct name_cache *names, const struct memory *memory,
                           const struct ledger_op *op)
{
    if (op->verb == LEDGER_CLAIM)
        return put_claimed(at, names, memory, op);
    if (wire_claim_ms(op) == 0)
        return put_finished(at, HOLD_NONE, memory, op);
    return put_taker(put_finished(at, HOLD_KEPT, memory, op), names, op);
}

static bool is_to_renew(const struct memory *memory, const struct ledger_op *op)
{
    uint64_t slack_ns = (uint64_t)op->scope->ttl_ms / SLACK * NS_PER_MS;
    return op->sent_ns - memory->renewed_ns >= slack_ns;
}

static bool is_expired(const struct memory *memory, const struct ledger_op *op)
{
    return op->sent_ns - memory->written_ns >= (uint64_t)op->scope->ttl_ms * NS_PER_MS;
}

static size_t expected_len(const struct memory *memory)
{
    if (memory->hold == HOLD_NEW)
        return NEW_LEN;
    if (memory->hold == HOLD_CLAIMED)
        return STATE_MAX;
    return memory->hold == HOLD_NONE ? CORE + TIME : CORE + TAKER + TIME;
}

/* Nothing where it is only looked at. */
static size_t wanted_len(const struct ledger_op *op)
{
    if (op->looks)
        return 0;
    if (op->verb == LEDGER_CLAIM)
        return STATE_MAX - TIME;
    return wire_claim_ms(op) == 0 ? CORE : CORE + TAKER;
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
static uint8_t *add_states(uint8_t *at, struct name_cache *names, const struct memory *memory,
                           const struct ledger_op *op)
{
    if (!memory && is_small_claim(op))
        return add_claim(at, names, op);
    at = resp_open(at, memory ? expected_len(memory) : 0);
    at = resp_close(memory ? put_expected(at, names, memory, op) : at);
    at = resp_open(at, memory ? wanted_len(op) : 0);
    return resp_close(memory && !op->looks ? put_wanted(at, names, memory, op) : at);
}

/* Head, field, and these two; written in place, since there are many. */
static void add_item(struct buf *out, struct swaps *swaps, struct name_cache *names,
                     struct ledger_op *op, struct slice field, uint8_t scope, uint8_t owner)
{
    const struct memory *memory = find(swaps, op);
    if (memory && is_expired(memory, op))
        memory = NULL;
    op->looks = memory && is_known_done(memory, op);
    op->renews = !memory || (!op->looks && is_to_renew(memory, op));
    buf_reserve(out, (size_t)4 * RESP_AROUND + ITEM_HEAD + field.len + (size_t)2 * STATE_MAX);
    uint8_t *at = resp_open((uint8_t *)out->data + out->len, ITEM_HEAD);
    *at++ = op->renews ? scope : 0;
    *at++ = wire_claim_ms(op) ? owner : 0;
    at = resp_close(wire_put4(at, op->looks ? 0 : wire_claim_ms(op)));
    at = resp_open(at, field.len);
    at = resp_close(wire_put_bytes(at, (const uint8_t *)field.data, field.len));
    at = add_states(at, names, memory, op);
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

void swaps_build(struct buf *out, struct swaps *swaps, struct name_cache *names,
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
        add_item(out, swaps, names, ops[i], (struct slice){text.data, text.len}, common.scope_of[i],
                 common.owner_of[i]);
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
static bool take_duplicate(struct swaps *swaps, struct name_cache *names, struct ledger_op *op)
{
    struct memory *memory = find(swaps, op);
    if (!memory || !is_known_done(memory, op))
        return false;
    memory->asked = memory->barred = false;
    wire_set_answer(op, LEDGER_DUP);
    if ((uint64_t)op->origin_offset <= wire_get6(memory->core + AT_OFFSET) &&
        is_source(memory, names, op))
        return true;
    uint64_t behind = wire_get6(memory->core + AT_LAST) - op->number + 1;
    op->behind = behind > UINT32_MAX ? UINT32_MAX : (uint32_t)behind;
    return true;
}

static void take_answer(struct swaps *swaps, struct name_cache *names, struct ledger_op *op,
                        uint64_t now_ms)
{
    uint8_t after[CORE];
    struct memory *memory = find(swaps, op);
    bool claim = op->verb == LEDGER_CLAIM;
    wire_set_answer(op, claim ? LEDGER_GO : LEDGER_OK);
    if (!memory)
        return;
    memory->asked = memory->barred = false;
    memory->time_ms = now_ms + wire_claim_ms(op);
    memory->written_ns = op->sent_ns;
    if (op->renews)
        memory->renewed_ns = op->sent_ns;
    if (claim) {
        memory->hold = HOLD_CLAIMED;
        return;
    }
    put_finished(after, HOLD_NONE, memory, op);
    memcpy(memory->core, after, CORE);
    memory->finished_ns = op->sent_ns;
    memory->hold = op->keep_ms ? HOLD_KEPT : HOLD_NONE;
    memory->kept_until_ns = op->sent_ns + op->keep_ms * NS_PER_MS;
    if (memory->hold == HOLD_KEPT) {
        memory->key_check = check_of(swaps, op);
        put_taker(memory->taker, names, op);
    }
}

/* What stands there now that a claim was granted without a known state, which told the free one
 * that stood there; NULL: there was none. */
static void take_claim(struct swaps *swaps, struct name_cache *names, struct ledger_op *op,
                       const uint8_t *free, uint64_t now_ms)
{
    uint8_t state[STATE_MAX], source[WIRE_SOURCE];
    wire_set_answer(op, LEDGER_GO);
    wire_put6(state + (free ? STATE_MAX : NEW_LEN) - TIME, now_ms + op->lease_ms);
    if (free) {
        state[0] = CLAIMED;
        memcpy(state + 1, free + 1, CORE - 1);
        swaps_learn(swaps, op, state, STATE_MAX);
        return;
    }
    wire_put_source(source, names, op);
    state[0] = NEW;
    uint8_t *at = wire_put6(wire_put6(state + 1, op->epoch), op->number);
    wire_put_bytes(wire_put_bytes(at, source, 8), source + 10, 2);
    swaps_learn(swaps, op, state, NEW_LEN);
}

/* The answers of one byte an item; states: what follows them. */
static void read_answer(struct swaps *swaps, struct name_cache *names, struct ledger_op *op,
                        uint8_t answer, const uint8_t **states, uint64_t now_ms, bool *swapped)
{
    *swapped = answer != MISSED;
    if (answer == MISSED) {
        forget(swaps, op);
    } else if (answer == CLAIMED_BEHIND) {
        take_claim(swaps, names, op, *states, now_ms);
        *states += CORE + TIME;
    } else if (answer == CLAIMED_FIRST) {
        take_claim(swaps, names, op, NULL, now_ms);
    } else if (op->looks) {
        *swapped = take_duplicate(swaps, names, op);
    } else {
        take_answer(swaps, names, op, now_ms);
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
    return len == count + states * (CORE + TIME);
}

bool swaps_read(struct swaps *swaps, struct name_cache *names, const struct redisReply *reply,
                struct ledger_op *const *ops, size_t count, bool swapped[LEDGER_BATCH_MAX],
                struct err *err)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return err_set_retriable(err, ERR_UNAVAILABLE, "%.300s", reply->str);
    const uint8_t *bytes = (const uint8_t *)reply->str;
    if (reply->type != REDIS_REPLY_STRING || reply->len < 8 ||
        !is_whole(bytes + 8, count, reply->len - 8, ops))
        return err_set(err, ERR_PROTOCOL, "swap_states answered something unknown");
    const uint8_t *states = bytes + 8 + count;
    for (size_t i = 0; i < count; i++)
        read_answer(swaps, names, ops[i], bytes[8 + i], &states, wire_get8(bytes), &swapped[i]);
    return true;
}
