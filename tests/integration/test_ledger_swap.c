/*
 * The short ways of the ledger: a state that is compared and replaced must be, to the byte, the one
 * that apply_ops would write; and a claim that is kept for the key's next record is used by its
 * owner only, once, while it covers what is to come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ledger/parts.h"
#include "ledger/scope.h"
#include "ledger_world.h"

#define STEPS    1500
#define KEEP_MS  20000
#define COVER_MS 10000

/* Two ledgers on one server: one as it is, one that asks apply_ops for everything. */
struct pair {
    struct ledger_world quick, plain;
    unsigned swaps, looks, unknown, draws;
    bool forgets; /* now and then what is remembered of all keys */
};

static void open_pair(struct pair *pair)
{
    ledger_world_init(&pair->quick, IDENTITY_SEQUENCE, true, NULL);
    ledger_world_init(&pair->plain, IDENTITY_SEQUENCE, true, NULL);
    ledger_world_open(&pair->quick, true);
    ledger_world_open(&pair->plain, true);
    known_states_free(&pair->plain.ledger->states);
    pair->plain.owner.token = pair->quick.owner.token;
    (void)redis_peer_do(&pair->plain.redis, "HSET og:{fence}:g orders/0 %llu",
                        (unsigned long long)pair->quick.owner.token);
}

static void close_pair(struct pair *pair)
{
    ledger_world_deinit(&pair->quick);
    ledger_world_deinit(&pair->plain);
}

static unsigned draw(struct pair *pair, unsigned below)
{
    pair->draws = pair->draws * 1103515245U + 12345U;
    return (pair->draws >> 16) % below;
}

/* The key's state in hexadecimal digits, without its time: the last six bytes. */
static void read_state(struct ledger_world *w, const struct test_op *op, char *out, size_t size)
{
    snprintf(out, size, "%s",
             redis_peer_do(&w->redis,
                           "EVAL return((redis.call('HGET',KEYS[1],ARGV[1])or''):gsub('.',function("
                           "c)return(string.format('%%02x',c:byte()))end)) 1 %s =%s",
                           ledger_world_bucket(w, op->key), op->key));
    size_t len = strlen(out);
    if (len > 12)
        memset(out + len - 12, '-', 12);
}

/* The same operation on both; the states and answers must be equal. */
static enum ledger_code both(struct pair *pair, struct test_op *op)
{
    struct test_op twin = *op;
    char quick[1200], plain[1200];
    enum ledger_code code = ledger_world_run(&pair->quick, op);
    bool swapped = !op->op.no_swap && known_states_cover(&op->op);
    pair->swaps += swapped;
    pair->looks += swapped && code == LEDGER_DUP && op->op.looks;
    twin.op.key = slice_of(twin.key);
    twin.op.event_id = slice_of(twin.id);
    twin.op.scope = pair->plain.scope;
    twin.op.owner = op->op.owner == &pair->quick.owner ? &pair->plain.owner : op->op.owner;
    twin.op.keep_ms = op->op.keep_ms;
    twin.op.arg = &twin;
    enum ledger_code expected = ledger_world_run(&pair->plain, &twin);
    read_state(&pair->quick, op, quick, sizeof(quick));
    read_state(&pair->plain, op, plain, sizeof(plain));
    if (code != expected || strcmp(quick, plain) != 0)
        fail_msg("%s %s %llu: %s %s, in the general way %s %s",
                 op->op.verb == LEDGER_CLAIM ? "claim" : "finish", op->key,
                 (unsigned long long)op->op.number, ledger_code_name(code), quick,
                 ledger_code_name(expected), plain);
    assert_int_equal(op->op.parked_count, twin.op.parked_count);
    assert_int_equal(op->op.behind, twin.op.behind);
    return code;
}

/* Something that happens now and then between the records of a key in order. */
static void disturb(struct pair *pair, struct test_op *op)
{
    switch (draw(pair, 12)) {
    case 0:
        op->op.number += 1 + draw(pair, 70);
        break;
    case 1:
        op->op.epoch++;
        break;
    case 2:
        op->op.origin_partition = 1;
        break;
    case 3:
        op->op.origin_leader_epoch = 4;
        break;
    case 4:
        op->op.source = LEDGER_TIER;
        break;
    case 5:
        op->op.observe = true;
        break;
    default:
        break;
    }
}

static void walk(struct pair *pair, uint64_t *numbers, unsigned keys)
{
    static const enum ledger_fact facts[] = {LEDGER_SUCCEEDED, LEDGER_SUCCEEDED, LEDGER_SUCCEEDED,
                                             LEDGER_SUCCEEDED, LEDGER_SUCCEEDED, LEDGER_GIVEN_UP,
                                             LEDGER_PARKED,    LEDGER_RELEASE};
    unsigned k = draw(pair, keys);
    char key[40];
    struct test_op claim, finish;
    uint64_t n = numbers[k] + (draw(pair, 20) != 0); /* or once more the one before */
    numbers[k] = n;
    /* A fresh key after some time: what is off stays off. */
    snprintf(key, sizeof(key), "k%u.%llu", k, (unsigned long long)(n / 30));
    ledger_world_claim(&pair->quick, &claim, key, n);
    if (draw(pair, 25) == 0)
        disturb(pair, &claim);
    bool unknown = pair->forgets && draw(pair, 3) == 0;
    if (unknown)
        known_states_forget_all(pair->quick.ledger->states);
    enum ledger_code code = both(pair, &claim);
    pair->unknown += unknown && code == LEDGER_GO && !claim.op.no_swap && n % 30;
    if (code != LEDGER_GO && code != LEDGER_INDETERMINATE && code != LEDGER_STALE)
        return;
    ledger_world_finish(&pair->quick, &finish, key, n,
                        draw(pair, 12) ? LEDGER_SUCCEEDED : facts[draw(pair, 8)]);
    finish.op.epoch = claim.op.epoch;
    finish.op.number = claim.op.number;
    finish.op.origin_partition = claim.op.origin_partition;
    finish.op.origin_leader_epoch = claim.op.origin_leader_epoch;
    finish.op.source = claim.op.source;
    finish.op.observe = claim.op.observe;
    if (draw(pair, 2))
        finish.op.keep_ms = KEEP_MS;
    if (draw(pair, 30) == 0)
        finish.op.keep_claim = true;
    (void)both(pair, &finish);
}

static void walk_far(struct pair *pair)
{
    uint64_t numbers[5] = {0};
    open_pair(pair);
    pair->draws = 20261121;
    if (getenv("ONCEGATE_SEED"))
        pair->draws = (unsigned)strtoul(getenv("ONCEGATE_SEED"), NULL, 10);
    for (int i = 0; i < STEPS; i++)
        walk(pair, numbers, 5);
    close_pair(pair);
    print_message("%u operations were plain\n", pair->swaps);
}

static void test_what_is_swapped_is_what_apply_ops_writes(void **state)
{
    static struct pair pair;
    (void)state;
    walk_far(&pair);
    assert_true(pair.swaps > STEPS);
    assert_true(pair.looks > STEPS / 100);
}

/* The same of claims that know no state, of keys that were forgotten. */
static void test_what_is_claimed_unknown_is_what_apply_ops_writes(void **state)
{
    static struct pair pair = {.forgets = true};
    (void)state;
    walk_far(&pair);
    assert_true(pair.unknown > STEPS / 20);
}

/* ---- kept claims ---- */

static int open_world(void **state)
{
    static struct ledger_world world;
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    ledger_world_open(&world, true);
    *state = &world;
    return 0;
}

static int drop_world(void **state)
{
    ledger_world_deinit(*state);
    return 0;
}

static long long calls_of_redis(struct ledger_world *w)
{
    const char *text = redis_peer_do(&w->redis, "INFO commandstats");
    const char *at = strstr(text, "cmdstat_evalsha:calls=");
    return at ? strtoll(at + 22, NULL, 10) : 0;
}

static enum ledger_code claim_covered(struct ledger_world *w, const char *key, uint64_t n)
{
    struct test_op op;
    ledger_world_claim(w, &op, key, n);
    op.op.cover_ms = COVER_MS;
    return ledger_world_run(w, &op);
}

static enum ledger_code finish_keeping(struct ledger_world *w, const char *key, uint64_t n,
                                       uint32_t ms)
{
    struct test_op op;
    ledger_world_finish(w, &op, key, n, LEDGER_SUCCEEDED);
    op.op.keep_ms = ms;
    op.op.cover_ms = COVER_MS;
    return ledger_world_run(w, &op);
}

/* Records 1 to 3: the first two make the key known, after the third its claim is kept. */
static void keep_after_3(struct ledger_world *w, const char *key)
{
    for (uint64_t n = 1; n <= 3; n++) {
        assert_int_equal(claim_covered(w, key, n), LEDGER_GO);
        assert_int_equal(finish_keeping(w, key, n, KEEP_MS), LEDGER_OK);
    }
}

/* Another owner's claim of the key's next record. */
static enum ledger_code claim_by(struct ledger_world *w, struct ledger_owner *other,
                                 const char *key, uint64_t n)
{
    struct test_op op;
    ledger_world_claim(w, &op, key, n);
    op.op.owner = other;
    op.op.source = LEDGER_REDRIVE;
    op.op.redrive_id = SLICE_LIT("job");
    op.op.redrive_force = true;
    op.op.lease_ms = 1;
    return ledger_world_run(w, &op);
}

static void take_other(struct ledger_world *w, struct ledger_owner *other)
{
    memset(other, 0, sizeof(*other));
    snprintf(other->name, sizeof(other->name), "redrive/0");
    other->token = 7;
    (void)redis_peer_do(&w->redis, "HSET og:{fence}:g redrive/0 7");
}

/* Calls for the claims of so many new keys, submitted in one turn of the loop. */
static long long calls_for_claims(struct ledger_world *w, char name, size_t count, bool observe)
{
    static struct test_op ops[300];
    long long before = calls_of_redis(w);
    assert_in_range(count, 1, sizeof(ops) / sizeof(ops[0]));
    for (size_t i = 0; i < count; i++) {
        char key[24];
        snprintf(key, sizeof(key), "%c-%zu", name, i);
        ledger_world_claim(w, &ops[i], key, 1);
        ops[i].op.observe = observe;
        ledger_submit(w->ledger, &ops[i].op);
    }
    for (size_t i = 0; i < count; i++) {
        ledger_world_until_done(w, &ops[i]);
        assert_int_equal(ops[i].op.code, LEDGER_GO);
        assert_int_equal(ops[i].done, 1);
    }
    return calls_of_redis(w) - before;
}

static void test_a_call_takes_128_swaps_and_64_others(void **state)
{
    struct ledger_world *w = *state;
    /* One more, where keys of the same lane wait for each other. What is observed is no swap. */
    assert_in_range(calls_for_claims(w, 'a', 2 * 128, false), 2, 3);
    assert_in_range(calls_for_claims(w, 'b', 2 * 128, true), 4, 5);
}

static void test_kept_claim_spares_the_call(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    keep_after_3(w, "a");
    long long calls = calls_of_redis(w);
    uint64_t before = clock_mono_ns();
    ledger_world_claim(w, &op, "a", 4);
    op.op.cover_ms = COVER_MS;
    ledger_submit(w->ledger, &op.op);
    assert_int_equal(op.done, 0);
    ledger_world_until_done(w, &op);
    assert_int_equal(op.op.code, LEDGER_GO);
    assert_int_equal(calls_of_redis(w), calls);
    assert_true(op.op.lease_deadline_ns <= before + KEEP_MS * NS_PER_MS);
    assert_true(op.op.lease_deadline_ns >= before + COVER_MS * NS_PER_MS);
    assert_int_equal(finish_keeping(w, "a", 4, 0), LEDGER_OK);
    assert_int_equal(calls_of_redis(w), calls + 1);
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_DUP);
    assert_int_equal(claim_covered(w, "a", 5), LEDGER_GO);
    assert_int_equal(calls_of_redis(w), calls + 3);
}

static void test_kept_claim_is_for_the_successor_that_it_covers(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    keep_after_3(w, "gap");
    keep_after_3(w, "late");
    keep_after_3(w, "token");
    long long calls = calls_of_redis(w);
    assert_int_equal(claim_covered(w, "gap", 5), LEDGER_GO);
    ledger_world_claim(w, &op, "late", 4);
    op.op.cover_ms = KEEP_MS + 1;
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    assert_int_equal(calls_of_redis(w), calls + 2);
    w->owner.token++;
    assert_int_equal(claim_covered(w, "token", 4), LEDGER_BUSY);
}

static void test_kept_claim_is_used_once(void **state)
{
    struct ledger_world *w = *state;
    keep_after_3(w, "a");
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    long long calls = calls_of_redis(w);
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO); /* its own claim again, asked for */
    assert_int_equal(calls_of_redis(w), calls + 1);
}

/* Redis is not asked, so nothing else would tell two keys of one hash apart. */
static void test_kept_claim_is_not_for_another_key_of_the_same_hash(void **state)
{
    struct ledger_world *w = *state;
    struct known_states *states = w->ledger->states;
    struct test_op own, other;
    keep_after_3(w, "a");
    ledger_world_claim(w, &own, "a", 4);
    ledger_world_claim(w, &other, "b", 4);
    own.op.cover_ms = other.op.cover_ms = COVER_MS;
    own.op.key_hash = other.op.key_hash = scope_hash_key(w->scope, own.op.key);
    assert_false(swaps_grant(states, w->ledger->names, &other.op, clock_mono_ns(), true));
    assert_true(swaps_grant(states, w->ledger->names, &own.op, clock_mono_ns(), true));
}

static void test_others_wait_for_a_kept_claim_until_it_is_released(void **state)
{
    struct ledger_world *w = *state;
    struct ledger_owner other;
    take_other(w, &other);
    keep_after_3(w, "a");
    assert_int_equal(claim_by(w, &other, "a", 9), LEDGER_BUSY);
    ledger_release_kept(w->ledger, "g", &w->owner, NULL, NULL);
    assert_int_equal(claim_by(w, &other, "a", 9), LEDGER_GO);
}

static void test_claim_that_another_waits_for_is_not_kept_again(void **state)
{
    struct ledger_world *w = *state;
    struct ledger_owner other;
    take_other(w, &other);
    keep_after_3(w, "a");
    assert_int_equal(claim_by(w, &other, "a", 9), LEDGER_BUSY);
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "a", 4, KEEP_MS), LEDGER_OK);
    assert_int_equal(claim_by(w, &other, "a", 9), LEDGER_GO);
}

static void test_nothing_is_kept_by_a_fenced_owner(void **state)
{
    struct ledger_world *w = *state;
    struct ledger_owner other;
    take_other(w, &other);
    keep_after_3(w, "a");
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    (void)redis_peer_do(&w->redis, "HSET og:{fence}:g orders/0 %llu",
                        (unsigned long long)w->owner.token + 1);
    assert_int_equal(finish_keeping(w, "a", 4, KEEP_MS), LEDGER_OK);
    assert_int_equal(claim_by(w, &other, "a", 9), LEDGER_GO);
    assert_int_equal(claim_covered(w, "a", 5), LEDGER_FENCED);
}

static void test_nothing_is_granted_after_the_connection_was_lost(void **state)
{
    struct ledger_world *w = *state;
    keep_after_3(w, "a");
    (void)redis_peer_do(&w->redis, "CLIENT KILL TYPE normal SKIPME yes");
    ledger_world_until_up(w, false);
    ledger_world_until_up(w, true);
    long long calls = calls_of_redis(w);
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    assert_int_equal(calls_of_redis(w), calls + 2); /* the short way knows no claims */
}

static void test_key_that_comes_seldom_is_not_kept(void **state)
{
    struct ledger_world *w = *state;
    struct ledger_owner other;
    take_other(w, &other);
    for (uint64_t n = 1; n <= 4; n++) {
        assert_int_equal(claim_covered(w, "a", n), LEDGER_GO);
        assert_int_equal(finish_keeping(w, "a", n, COVER_MS + 1), LEDGER_OK);
        ledger_world_idle(w, 20);
    }
    assert_int_equal(claim_by(w, &other, "a", 9), LEDGER_GO);
}

static long long expires_in(struct ledger_world *w, const char *name)
{
    return redis_peer_number(&w->redis, "PTTL %s", name);
}

/* A bucket lives for at least dedup.ttl after each write to it, and an eighth longer at most. Who
 * looked after that a moment ago need not again. */
static void test_expiry_is_renewed_before_its_slack_is_used_up(void **state)
{
    struct ledger_world *w = *state;
    int64_t ttl_ms = w->scope->ttl_ms;
    const char *bucket = ledger_world_bucket(w, "a");
    keep_after_3(w, "a");
    assert_in_range(expires_in(w, bucket), ttl_ms + ttl_ms / 16, ttl_ms + ttl_ms / 8);
    (void)redis_peer_do(&w->redis, "PEXPIRE %s %lld", bucket, (long long)ttl_ms);
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "a", 4, KEEP_MS), LEDGER_OK);
    assert_true(expires_in(w, bucket) <= ttl_ms); /* it is not touched */
    w->scope->ttl_ms = 16000;
    ledger_world_idle(w, 1100);
    (void)redis_peer_do(&w->redis, "PEXPIRE %s 16500", bucket);
    assert_int_equal(claim_covered(w, "a", 5), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "a", 5, KEEP_MS), LEDGER_OK);
    assert_in_range(expires_in(w, bucket), 17000, 18000);
}

/* A state that was not written for dedup.ttl counts for nothing, wherever it is remembered. */
static void test_state_that_is_too_old_is_forgotten(void **state)
{
    struct ledger_world *w = *state;
    keep_after_3(w, "a");
    assert_int_equal(claim_covered(w, "a", 3), LEDGER_DUP);
    w->scope->ttl_ms = 100;
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "a", 4, 0), LEDGER_OK);
    ledger_world_idle(w, 120);
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
}

/* Somebody else changed the state: the answer is that of apply_ops. */
static void test_unexpected_state_is_asked_in_the_general_way(void **state)
{
    struct ledger_world *w = *state;
    keep_after_3(w, "gone");
    keep_after_3(w, "other");
    assert_int_equal(redis_peer_number(&w->redis, "HDEL %s =gone", ledger_world_bucket(w, "gone")),
                     1);
    assert_int_equal(claim_covered(w, "gone", 4), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "gone", 4, KEEP_MS), LEDGER_LOST);
    assert_int_equal(claim_covered(w, "gone", 4), LEDGER_DUP);
    assert_int_equal(claim_covered(w, "other", 4), LEDGER_GO);
    (void)redis_peer_do(&w->redis, "HSET %s =other garbage", ledger_world_bucket(w, "other"));
    assert_int_equal(finish_keeping(w, "other", 4, KEEP_MS), LEDGER_CORRUPT);
}

static void test_scripts_that_are_flushed_are_sent_again(void **state)
{
    struct ledger_world *w = *state;
    keep_after_3(w, "a");
    (void)redis_peer_do(&w->redis, "SCRIPT FLUSH");
    assert_int_equal(claim_covered(w, "a", 4), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "a", 4, 0), LEDGER_OK);
    assert_int_equal(claim_covered(w, "a", 5), LEDGER_GO);
    assert_int_equal(finish_keeping(w, "a", 5, 0), LEDGER_OK);
}

/* ---- claims of keys that are not known ---- */

/* Three records from `first` on, and nothing of that is remembered. */
static void deliver_3(struct ledger_world *w, const char *key, uint64_t first)
{
    for (uint64_t n = first; n < first + 3; n++) {
        assert_int_equal(ledger_world_claimed(w, key, n), LEDGER_GO);
        assert_int_equal(ledger_world_finished(w, key, n, LEDGER_SUCCEEDED), LEDGER_OK);
    }
    known_states_forget_all(w->ledger->states);
}

/* The answer to a claim of the key's record n, and how many calls it took. */
static enum ledger_code claim_counted(struct ledger_world *w, struct test_op *op, const char *key,
                                      uint64_t n, long long *calls)
{
    long long before = calls_of_redis(w);
    ledger_world_claim(w, op, key, n);
    op->op.lease_ms = KEEP_MS;
    enum ledger_code code = ledger_world_run(w, op);
    *calls = calls_of_redis(w) - before;
    return code;
}

static void assert_claimed_shortly(struct ledger_world *w, const char *key, uint64_t n)
{
    struct test_op op;
    struct ledger_owner other;
    long long calls;
    take_other(w, &other);
    assert_int_equal(claim_counted(w, &op, key, n, &calls), LEDGER_GO);
    assert_int_equal(calls, 1);
    assert_false(op.op.no_swap);
    ledger_world_claim(w, &op, key, n);
    op.op.owner = &other;
    assert_int_equal(ledger_world_run(w, &op), LEDGER_BUSY);
    assert_in_range(op.op.busy_ms, KEEP_MS / 2, KEEP_MS);
    assert_int_equal(ledger_world_finished(w, key, n, LEDGER_SUCCEEDED), LEDGER_OK);
    assert_int_equal(ledger_world_claimed(w, key, n), LEDGER_DUP);
}

static void test_unknown_key_in_order_is_claimed_by_one_call(void **state)
{
    struct ledger_world *w = *state;
    deliver_3(w, "a", 1);
    assert_claimed_shortly(w, "a", 4);
    assert_claimed_shortly(w, "new", 1);
}

/* Two keys in order, unlike each other, a new one, and one with a gap. */
static void submit_unknown(struct ledger_world *w, struct test_op op[4])
{
    static const char *const keys[] = {"a", "b", "new", "gap"};
    static const uint64_t numbers[] = {4, 304, 9, 6};
    deliver_3(w, "gap", 1);
    deliver_3(w, "a", 1);
    deliver_3(w, "b", 301);
    for (size_t i = 0; i < 4; i++) {
        ledger_world_claim(w, &op[i], keys[i], numbers[i]);
        op[i].op.origin_partition = i == 2 ? 513 : 0;
        ledger_submit(w->ledger, &op[i].op);
    }
    for (size_t i = 0; i < 4; i++) {
        ledger_world_until_done(w, &op[i]);
        assert_int_equal(op[i].op.code, LEDGER_GO);
    }
}

/* Of several in one call, each finish knows what its claim wrote. */
static void test_finish_after_such_a_claim_is_a_swap(void **state)
{
    struct ledger_world *w = *state;
    struct test_op claim[4], finish;
    submit_unknown(w, claim);
    assert_true(claim[3].op.no_swap);
    for (size_t i = 0; i < 3; i++) {
        assert_false(claim[i].op.no_swap);
        ledger_world_finish(w, &finish, claim[i].key, claim[i].op.number, LEDGER_SUCCEEDED);
        finish.op.origin_partition = claim[i].op.origin_partition;
        finish.op.key_hash = claim[i].op.key_hash;
        assert_true(swaps_fit(w->ledger->states, w->ledger->names, &finish.op));
        assert_int_equal(ledger_world_run(w, &finish), LEDGER_OK);
        assert_false(finish.op.no_swap);
    }
}

/* Each of these is for apply_ops, and its answer is that of apply_ops. */
static void test_unknown_state_that_is_another_is_asked_in_the_general_way(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    long long calls;
    deliver_3(w, "a", 1);
    assert_int_equal(claim_counted(w, &op, "a", 3, &calls), LEDGER_DUP);
    assert_int_equal(calls, 2);
    deliver_3(w, "gap", 1);
    assert_int_equal(claim_counted(w, &op, "gap", 5, &calls), LEDGER_GO);
    assert_int_equal(calls, 2);
    deliver_3(w, "epoch", 1);
    ledger_world_claim(w, &op, "epoch", 4);
    op.op.epoch = 1;
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    assert_true(op.op.no_swap);
    deliver_3(w, "again", 1);
    ledger_world_claim(w, &op, "again", 4);
    op.op.origin_offset = 3; /* the mark proves it done */
    assert_int_equal(ledger_world_run(w, &op), LEDGER_DUP);
    deliver_3(w, "parked", 1);
    assert_int_equal(ledger_world_claimed(w, "parked", 4), LEDGER_GO);
    assert_int_equal(ledger_world_finished(w, "parked", 4, LEDGER_PARKED), LEDGER_OK);
    known_states_forget_all(w->ledger->states);
    assert_int_equal(ledger_world_claimed(w, "parked", 5), LEDGER_BLOCKED);
}

/* What is no state of the short way is asked about once: one who waits does not ask twice each
 * time. */
static void test_key_that_is_not_plain_is_asked_about_once(void **state)
{
    struct ledger_world *w = *state;
    struct ledger_owner other;
    struct test_op op;
    long long calls;
    take_other(w, &other);
    ledger_world_claim(w, &op, "a", 1);
    op.op.owner = &other;
    op.op.lease_ms = KEEP_MS;
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    known_states_forget_all(w->ledger->states);
    assert_int_equal(claim_counted(w, &op, "a", 1, &calls), LEDGER_BUSY);
    assert_int_equal(calls, 2);
    assert_int_equal(claim_counted(w, &op, "a", 1, &calls), LEDGER_BUSY);
    assert_int_equal(calls, 1);
}

static void test_unknown_key_is_fenced_as_any_other(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    unsigned long long token = w->owner.token;
    deliver_3(w, "newer", 1);
    deliver_3(w, "gone", 1);
    deliver_3(w, "older", 1);
    (void)redis_peer_do(&w->redis, "HSET og:{fence}:g orders/0 %llu", token + 1);
    assert_int_equal(ledger_world_claimed(w, "newer", 4), LEDGER_FENCED);
    assert_int_equal(ledger_world_claimed(w, "new", 1), LEDGER_FENCED);
    (void)redis_peer_do(&w->redis, "HDEL og:{fence}:g orders/0");
    assert_int_equal(ledger_world_claimed(w, "gone", 4), LEDGER_FENCED);
    (void)redis_peer_do(&w->redis, "HSET og:{fence}:g orders/0 %llu", token - 1);
    ledger_world_claim(w, &op, "older", 4);
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    assert_true(op.op.no_swap); /* raising it is apply_ops' work */
    assert_int_equal(strtoull(redis_peer_do(&w->redis, "HGET og:{fence}:g orders/0"), NULL, 10),
                     token);
}

/* Its bucket lives for as long as after any other write, and a state that is too old counts for
 * nothing although its bucket lives. */
static void test_unknown_key_claimed_renews_its_bucket(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    int64_t ttl_ms = w->scope->ttl_ms;
    assert_int_equal(ledger_world_claimed(w, "new", 1), LEDGER_GO);
    assert_in_range(expires_in(w, ledger_world_bucket(w, "new")), ttl_ms, ttl_ms + ttl_ms / 8);
    deliver_3(w, "a", 1);
    (void)redis_peer_do(&w->redis, "PEXPIRE %s %lld", ledger_world_bucket(w, "a"),
                        (long long)ttl_ms / 2);
    assert_int_equal(ledger_world_claimed(w, "a", 4), LEDGER_GO);
    assert_in_range(expires_in(w, ledger_world_bucket(w, "a")), ttl_ms, ttl_ms + ttl_ms / 8);
    deliver_3(w, "old", 1);
    (void)redis_peer_do(&w->redis, "PERSIST %s", ledger_world_bucket(w, "old"));
    w->scope->ttl_ms = 50;
    ledger_world_idle(w, 60);
    ledger_world_claim(w, &op, "old", 4);
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    assert_true(op.op.no_swap);
}

/* Numbers that are not written small, and records that are not plain, are apply_ops' from the
 * start. */
static void test_unknown_key_with_large_numbers_is_not_claimed_shortly(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    struct known_states *states = w->ledger->states;
    static const uint64_t large = UINT64_C(1) << 48;
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        ledger_world_claim(w, &op, "a", 1);                                                        \
        assert_true(swaps_fit(states, w->ledger->names, &op.op));                                  \
        op.op.field = (value);                                                                     \
        assert_false(swaps_fit(states, w->ledger->names, &op.op));                                 \
    } while (0)
    REFUSED(number, large);
    REFUSED(epoch, large);
    REFUSED(origin_offset, (int64_t)large);
    REFUSED(origin_partition, 65536);
    REFUSED(origin_leader_epoch, (1 << 24) - 1);
    REFUSED(observe, true);
    REFUSED(has_ghost, true);
    REFUSED(source, LEDGER_TIER);
    REFUSED(kind, IDENTITY_VERSION);
    REFUSED(verb, LEDGER_FINISH);
    struct ledger_owner owner = w->owner;
    owner.token = large;
    REFUSED(owner, &owner);
    struct ledger_scope strings = *w->scope;
    strings.buckets = false;
    REFUSED(scope, &strings);
#undef REFUSED
}

/* What an earlier answer has left in an operation that is used again. */
static void soil(struct test_op *op)
{
    op->op.would_code = LEDGER_BLOCKED;
    op->op.busy_ms = 500;
    op->op.head_tier = 10000;
    op->op.head_offset = 17;
    op->op.head_expired = op->op.head_blocks = true;
    op->op.parked_count = 3;
}

static void assert_clean(const struct test_op *op, enum ledger_code code)
{
    assert_int_equal(op->op.code, code);
    assert_int_equal(op->op.would_code, code);
    assert_int_equal(op->op.busy_ms, 0);
    assert_int_equal(op->op.head_tier, 0);
    assert_int_equal(op->op.head_offset, -1);
    assert_false(op->op.head_expired);
    assert_false(op->op.head_blocks);
    assert_int_equal(op->op.parked_count, 0);
    assert_int_equal(op->op.generation, 0);
}

static void run_soiled(struct ledger_world *w, struct test_op *op, enum ledger_code code)
{
    soil(op);
    op->op.generation = 5;
    ledger_submit(w->ledger, &op->op);
    if (op->op.cover_ms == 0) { /* it is asked: its answer is still to come */
        soil(op);
        op->op.generation = 5;
    }
    ledger_world_until_done(w, op);
    assert_false(op->op.no_swap);
    assert_clean(op, code);
}

/* Guards against a finish whose dead-letter head, or generation, is that of the operation's answer
 * before: the flow claims and finishes with one operation. */
static void test_swapped_operation_keeps_nothing_of_an_earlier_answer(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    keep_after_3(w, "a");
    ledger_world_claim(w, &op, "a", 4);
    op.op.cover_ms = COVER_MS; /* granted, unasked */
    run_soiled(w, &op, LEDGER_GO);
    ledger_world_finish(w, &op, "a", 4, LEDGER_SUCCEEDED);
    run_soiled(w, &op, LEDGER_OK);
    ledger_world_claim(w, &op, "a", 5);
    run_soiled(w, &op, LEDGER_GO);
    ledger_world_finish(w, &op, "a", 5, LEDGER_SUCCEEDED);
    run_soiled(w, &op, LEDGER_OK);
}

#define OPENED(test) cmocka_unit_test_setup_teardown(test, open_world, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_swapped_is_what_apply_ops_writes),
        cmocka_unit_test(test_what_is_claimed_unknown_is_what_apply_ops_writes),
        OPENED(test_a_call_takes_128_swaps_and_64_others),
        OPENED(test_kept_claim_spares_the_call),
        OPENED(test_kept_claim_is_for_the_successor_that_it_covers),
        OPENED(test_kept_claim_is_used_once),
        OPENED(test_kept_claim_is_not_for_another_key_of_the_same_hash),
        OPENED(test_others_wait_for_a_kept_claim_until_it_is_released),
        OPENED(test_claim_that_another_waits_for_is_not_kept_again),
        OPENED(test_nothing_is_kept_by_a_fenced_owner),
        OPENED(test_nothing_is_granted_after_the_connection_was_lost),
        OPENED(test_key_that_comes_seldom_is_not_kept),
        OPENED(test_expiry_is_renewed_before_its_slack_is_used_up),
        OPENED(test_state_that_is_too_old_is_forgotten),
        OPENED(test_unexpected_state_is_asked_in_the_general_way),
        OPENED(test_scripts_that_are_flushed_are_sent_again),
        OPENED(test_unknown_key_in_order_is_claimed_by_one_call),
        OPENED(test_finish_after_such_a_claim_is_a_swap),
        OPENED(test_unknown_state_that_is_another_is_asked_in_the_general_way),
        OPENED(test_key_that_is_not_plain_is_asked_about_once),
        OPENED(test_unknown_key_is_fenced_as_any_other),
        OPENED(test_unknown_key_claimed_renews_its_bucket),
        OPENED(test_unknown_key_with_large_numbers_is_not_claimed_shortly),
        OPENED(test_swapped_operation_keeps_nothing_of_an_earlier_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
