/*
 * Swaps; see swap.h. The layout of a state is docs/ledger.md's; what is built here must be, to the
 * byte, what apply_ops would write, which an integration test compares.
 *
 *   plain   version 1, block 1, flags 130, epoch 8, I 8, L 8, mark: 1, source 12, offset 8, epoch 4
 *   claim   rank 20, taker 16, identity 17, deadline 6; a kept one has zeros for rank and identity
 *
 * Invariant: a claim is granted from memory only while it is kept for that very key, owner and
 * token, and once.
 * Must not: decide what a record's state means; anything but the plain next number is refused here.
 */
#include "ledger/swap.h"

#include <endian.h>
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
/* Setting an expiry costs Redis a seventh of a swap. So a state lives longer than it must by this
 * part of its time, and is given that anew when the part is over: not before. */
#define SLACK 16

enum {
    PLAIN = 52,
    CLAIM = 59,
    AT_EPOCH = 3,
    AT_FLOOR = 11,
    AT_LAST = 19,
    AT_COUNT = 27,
    AT_SOURCE = 28,
    AT_OFFSET = 40,
    AT_LEADER = 48,
    AT_TAKER = 20, /* in a claim */
    AT_DEADLINE = 53,
    TAKER = 16,
    DEADLINE = 6,
    ITEM_HEAD = 6,
};

enum hold {
    HOLD_UNKNOWN, /* nothing is known of the key */
    HOLD_NONE,
    HOLD_CLAIMED,
    HOLD_KEPT, /* for the successor */
    HOLD_USED, /* the successor is on its way by the kept claim */
};

struct memory {
    uint64_t key_hash;
    struct siphash key_check; /* of a kept one */
    uint64_t deadline_ms;     /* of the claim, by Redis' clock */
    uint64_t kept_until_ns;   /* of a kept one, by ours, from before it was sent */
    uint64_t finished_ns;     /* the last record, by ours */
    uint64_t renewed_ns;      /* the state's expiry, by ours, from before it was sent; 0: unknown */
    uint8_t plain[PLAIN];
    uint8_t taker[TAKER]; /* of a kept one */
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

static struct memory *find(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *set = swaps->sets[op->key_hash % SETS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key_hash == op->key_hash)
            return set[i].hold ? &set[i] : NULL;
    }
    return NULL;
}

/* Its own place, else a free one, else anybody's. */
static struct memory *find_place(struct swaps *swaps, const struct ledger_op *op)
{
    struct memory *set = swaps->sets[op->key_hash % SETS];
    struct memory *place = &set[op->key_hash / SETS % WAYS];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key_hash == op->key_hash)
            return &set[i];
        if (!set[i].hold)
            place = &set[i];
    }
    return place;
}

static uint64_t get8(const uint8_t *at)
{
    uint64_t big;
    memcpy(&big, at, sizeof(big));
    return be64toh(big);
}

bool swap_is_plain(const struct ledger_op *op)
{
    return op->source == LEDGER_SOURCE && op->kind == IDENTITY_SEQUENCE && op->scope->ordered &&
           !op->observe && !scope_is_by_partition(op->scope, op) &&
           (op->verb == LEDGER_CLAIM ? !op->has_ghost
                                     : op->fact == LEDGER_SUCCEEDED && !op->keep_claim);
}

/* Is it the number after the last, in its epoch, from beyond the mark of the same source? */
static bool is_next(const struct memory *memory, struct name_cache *names,
                    const struct ledger_op *op)
{
    uint8_t source[WIRE_SOURCE], leader[4];
    if (get8(memory->plain + AT_LAST) + 1 != op->number || op->number == 0 ||
        get8(memory->plain + AT_EPOCH) != op->epoch ||
        get8(memory->plain + AT_OFFSET) >= (uint64_t)op->origin_offset)
        return false;
    wire_put_source(source, names, op);
    wire_put4(leader, (uint32_t)(op->origin_leader_epoch + 1));
    return memcmp(memory->plain + AT_SOURCE, source, sizeof(source)) == 0 &&
           memcmp(memory->plain + AT_LEADER, leader, sizeof(leader)) == 0;
}

/* A claim of a number that is done, in the epoch of the last one: a duplicate, if the state is
 * still the one that is remembered. */
static bool is_known_done(const struct memory *memory, const struct ledger_op *op)
{
    return op->verb == LEDGER_CLAIM && get8(memory->plain + AT_EPOCH) == op->epoch &&
           op->number > get8(memory->plain + AT_FLOOR) &&
           op->number <= get8(memory->plain + AT_LAST);
}

static void put_taker(uint8_t taker[TAKER], struct name_cache *names, const struct ledger_op *op)
{
    const char *name = op->owner->name;
    wire_put8(wire_put_bytes(taker, name_cache_hash(names, name, strlen(name)), 8),
              op->owner->token);
}

static bool is_taker(const struct memory *memory, struct name_cache *names,
                     const struct ledger_op *op)
{
    uint8_t taker[TAKER];
    put_taker(taker, names, op);
    return memcmp(memory->taker, taker, TAKER) == 0;
}

bool swaps_fit(struct swaps *swaps, struct name_cache *names, const struct ledger_op *op)
{
    const struct memory *memory = swap_is_plain(op) ? find(swaps, op) : NULL;
    if (!memory || memory->barred)
        return false;
    if (is_known_done(memory, op))
        return memory->hold == HOLD_NONE || memory->hold == HOLD_KEPT;
    if (!is_next(memory, names, op))
        return false;
    if (op->verb == LEDGER_FINISH)
        return memory->hold == HOLD_CLAIMED || memory->hold == HOLD_USED;
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

static bool read_kept(struct memory *memory, const uint8_t *claim, const struct ledger_op *op)
{
    static const uint8_t kept[AT_TAKER] = {0};
    uint8_t deadline[8] = {0};
    memcpy(deadline + 2, claim + AT_DEADLINE, DEADLINE);
    memcpy(memory->taker, claim + AT_TAKER, TAKER);
    memory->deadline_ms = get8(deadline);
    memory->kept_until_ns = op->sent_ns + op->keep_ms * NS_PER_MS;
    return memcmp(claim, kept, AT_TAKER) == 0;
}

void swaps_learn(struct swaps *swaps, const struct ledger_op *op, const void *state, size_t len)
{
    static const uint8_t head[AT_EPOCH] = {1, 1, 130};
    struct memory *memory = find_place(swaps, op);
    const uint8_t *bytes = state;
    memory->key_hash = op->key_hash;
    memory->asked = memory->barred = false;
    memory->finished_ns = op->sent_ns;
    memory->renewed_ns = 0;
    memory->hold = HOLD_UNKNOWN;
    if (len < PLAIN || memcmp(bytes, head, AT_EPOCH) != 0 || bytes[AT_COUNT] != 1)
        return;
    memcpy(memory->plain, bytes, PLAIN);
    if (len == PLAIN) {
        memory->hold = HOLD_NONE;
    } else if (len == PLAIN + CLAIM && read_kept(memory, bytes + PLAIN, op)) {
        memory->key_check = check_of(swaps, op);
        memory->hold = HOLD_KEPT;
    }
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
    struct memory *memory = find(swaps, op);
    if (!memory)
        return;
    memory->asked = memory->barred = false;
    if (op->verb != LEDGER_CLAIM || op->code != LEDGER_DUP) /* which writes nothing */
        memory->hold = HOLD_UNKNOWN;
}

void swaps_forget_all(struct swaps *swaps)
{
    memset(swaps->sets, 0, sizeof(swaps->sets));
}

/* ---- calls ---- */

/* The claim of the operation's record, without its deadline. */
static uint8_t *put_claim(uint8_t *at, struct name_cache *names, const struct ledger_op *op)
{
    uint8_t source[WIRE_SOURCE], identity[16], taker[TAKER];
    wire_put_source(source, names, op);
    wire_put_identity(identity, op);
    put_taker(taker, names, op);
    at = wire_put8(wire_put_bytes(at, source, sizeof(source)), (uint64_t)op->origin_offset);
    at = wire_put_bytes(at, taker, TAKER);
    *at++ = (uint8_t)op->kind;
    return wire_put_bytes(at, identity, sizeof(identity));
}

/* A kept claim, without its deadline: no rank, no identity. */
static uint8_t *put_kept(uint8_t *at, const uint8_t taker[TAKER])
{
    memset(at, 0, AT_DEADLINE);
    memcpy(at + AT_TAKER, taker, TAKER);
    return at + AT_DEADLINE;
}

/* The state after the record was finished. */
static uint8_t *put_finished(uint8_t *at, struct name_cache *names, const struct memory *memory,
                             const struct ledger_op *op)
{
    uint8_t source[WIRE_SOURCE];
    wire_put_source(source, names, op);
    at = wire_put8(wire_put_bytes(at, memory->plain, AT_LAST), op->number);
    *at++ = 1;
    at = wire_put8(wire_put_bytes(at, source, sizeof(source)), (uint64_t)op->origin_offset);
    return wire_put4(at, (uint32_t)(op->origin_leader_epoch + 1));
}

static uint8_t *put_deadline(uint8_t *at, uint64_t deadline_ms)
{
    uint8_t whole[8];
    wire_put8(whole, deadline_ms);
    return wire_put_bytes(at, whole + 2, DEADLINE);
}

/* What stands there, with its claim if it has one. */
static uint8_t *put_expected(uint8_t *at, struct name_cache *names, const struct memory *memory,
                             const struct ledger_op *op)
{
    at = wire_put_bytes(at, memory->plain, PLAIN);
    if (memory->hold == HOLD_NONE)
        return at;
    at = memory->hold == HOLD_CLAIMED ? put_claim(at, names, op) : put_kept(at, memory->taker);
    return put_deadline(at, memory->deadline_ms);
}

/* What shall stand there, without the deadline of its claim if it has one. */
static uint8_t *put_wanted(uint8_t *at, struct name_cache *names, const struct memory *memory,
                           const struct ledger_op *op)
{
    uint8_t taker[TAKER];
    if (op->verb == LEDGER_CLAIM)
        return put_claim(wire_put_bytes(at, memory->plain, PLAIN), names, op);
    at = put_finished(at, names, memory, op);
    if (wire_claim_ms(op) == 0)
        return at;
    put_taker(taker, names, op);
    return put_kept(at, taker);
}

static bool is_to_renew(const struct memory *memory, const struct ledger_op *op)
{
    uint64_t slack_ns = (uint64_t)op->scope->ttl_ms / SLACK * NS_PER_MS;
    return memory->renewed_ns == 0 || op->sent_ns - memory->renewed_ns >= slack_ns;
}

static size_t expected_len(const struct memory *memory)
{
    return memory->hold == HOLD_NONE ? PLAIN : PLAIN + CLAIM;
}

/* Nothing where it is only looked at. */
static size_t wanted_len(const struct ledger_op *op)
{
    if (op->looks)
        return 0;
    return wire_claim_ms(op) == 0 ? PLAIN : PLAIN + CLAIM - DEADLINE;
}

/* Head, what is expected, what shall stand there; written in place, since there are many. Of what
 * is not remembered (any more) an expectation that no state meets. */
static void add_item(struct buf *out, struct swaps *swaps, struct name_cache *names,
                     struct ledger_op *op, uint8_t scope, uint8_t owner)
{
    const struct memory *memory = find(swaps, op);
    op->looks = memory && is_known_done(memory, op);
    op->renews = memory && !op->looks && is_to_renew(memory, op);
    buf_reserve(out, (size_t)3 * RESP_AROUND + ITEM_HEAD + 2 * (PLAIN + CLAIM));
    uint8_t *at = resp_open((uint8_t *)out->data + out->len, ITEM_HEAD);
    *at++ = op->renews ? scope : 0;
    *at++ = wire_claim_ms(op) ? owner : 0;
    at = resp_close(wire_put4(at, op->looks ? 0 : wire_claim_ms(op)));
    at = resp_open(at, memory ? expected_len(memory) : 0);
    at = resp_close(memory ? put_expected(at, names, memory, op) : at);
    at = resp_open(at, memory ? wanted_len(op) : 0);
    at = resp_close(memory && !op->looks ? put_wanted(at, names, memory, op) : at);
    *at = '\0';
    out->len = (size_t)((char *)at - out->data);
}

static void add_common(struct buf *out, struct buf *text, const struct wire_common *common)
{
    uint8_t line[9];
    wire_add_header(out, common->fence_count, common->scope_count, common->owner_count);
    for (size_t i = 0; i < common->scope_count; i++) {
        uint64_t ttl_ms = (uint64_t)common->scopes[i]->ttl_ms;
        wire_put8(line, ttl_ms + ttl_ms / SLACK);
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
                  1 + common.scope_count + common.owner_count + 3 * count);
    for (size_t i = 0; i < common.fence_count; i++)
        resp_text(out, common.fences[i]);
    for (size_t i = 0; i < count; i++) {
        buf_reset(&text);
        scope_add_name(&text, ops[i]->scope, ops[i], 'k');
        resp_arg(out, text.data, text.len);
    }
    add_common(out, &text, &common);
    for (size_t i = 0; i < count; i++)
        add_item(out, swaps, names, ops[i], common.scope_of[i], common.owner_of[i]);
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
    uint8_t source[WIRE_SOURCE];
    struct memory *memory = find(swaps, op);
    if (!memory || !is_known_done(memory, op))
        return false;
    memory->asked = memory->barred = false;
    wire_put_source(source, names, op);
    wire_set_answer(op, LEDGER_DUP);
    bool is_source = memcmp(memory->plain + AT_SOURCE, source, sizeof(source)) == 0;
    if (is_source && (uint64_t)op->origin_offset <= get8(memory->plain + AT_OFFSET))
        return true;
    uint64_t behind = get8(memory->plain + AT_LAST) - op->number + 1;
    op->behind = behind > UINT32_MAX ? UINT32_MAX : (uint32_t)behind;
    return true;
}

static void take_answer(struct swaps *swaps, struct name_cache *names, struct ledger_op *op,
                        uint64_t now_ms)
{
    uint8_t after[PLAIN];
    struct memory *memory = find(swaps, op);
    bool claim = op->verb == LEDGER_CLAIM;
    wire_set_answer(op, claim ? LEDGER_GO : LEDGER_OK);
    if (!memory)
        return;
    memory->asked = memory->barred = false;
    memory->deadline_ms = now_ms + wire_claim_ms(op);
    if (op->renews)
        memory->renewed_ns = op->sent_ns;
    if (claim) {
        memory->hold = HOLD_CLAIMED;
        return;
    }
    put_finished(after, names, memory, op);
    memcpy(memory->plain, after, PLAIN);
    memory->finished_ns = op->sent_ns;
    memory->hold = op->keep_ms ? HOLD_KEPT : HOLD_NONE;
    memory->kept_until_ns = op->sent_ns + op->keep_ms * NS_PER_MS;
    if (memory->hold == HOLD_KEPT) {
        memory->key_check = check_of(swaps, op);
        put_taker(memory->taker, names, op);
    }
}

bool swaps_read(struct swaps *swaps, struct name_cache *names, const struct redisReply *reply,
                struct ledger_op *const *ops, size_t count, bool swapped[LEDGER_BATCH_MAX],
                struct err *err)
{
    if (reply->type == REDIS_REPLY_ERROR)
        return err_set_retriable(err, ERR_UNAVAILABLE, "%.300s", reply->str);
    if (reply->type != REDIS_REPLY_STRING || reply->len != 8 + count)
        return err_set(err, ERR_PROTOCOL, "swap_states answered something unknown");
    const uint8_t *bytes = (const uint8_t *)reply->str;
    for (size_t i = 0; i < count; i++) {
        swapped[i] = bytes[8 + i] == 1;
        if (swapped[i] && ops[i]->looks)
            swapped[i] = take_duplicate(swaps, names, ops[i]);
        else if (swapped[i])
            take_answer(swaps, names, ops[i], get8(bytes));
        else
            forget(swaps, ops[i]);
    }
    return true;
}
