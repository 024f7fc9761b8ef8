/*
 * The ledger's client against a real redis-server: what happens to operations when Redis forgets
 * its scripts, restarts, refuses, is slow, or drops the connection. The protocol itself is compared
 * with a model elsewhere (tests/lua).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "ledger_world.h"

#define MANY 1000

/* A test with a world of its own, that is open, or not connected yet. */
#define OPENED(test) cmocka_unit_test_setup_teardown(test, open_world, drop_world)
#define CLOSED(test) cmocka_unit_test_setup_teardown(test, make_world, drop_world)

static int make_world(void **state)
{
    static struct ledger_world world;
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    *state = &world;
    return 0;
}

static int open_world(void **state)
{
    make_world(state);
    ledger_world_open(*state, true);
    return 0;
}

static int drop_world(void **state)
{
    ledger_world_deinit(*state);
    return 0;
}

/* One shard, so that the names of keys are known. */
static void open_on_one_shard(struct ledger_world *w)
{
    struct ledger_scope_config scope = {.group = "g",
                                        .topic = "orders",
                                        .ordered = true,
                                        .ttl_ms = 1000000,
                                        .ghost_ttl_ms = 1000,
                                        .parked_cap = 5};
    w->config.shards = 1;
    ledger_scope_free(&w->scope);
    ledger_world_open(w, true);
    w->scope = ledger_scope_new(w->ledger, &scope);
}

static void test_claim_and_finish_walk_a_key(void **state)
{
    struct ledger_world *w = *state;
    uint64_t before = clock_mono_ns();
    struct test_op op;
    ledger_world_claim(w, &op, "a", 1);
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    assert_true(op.op.lease_deadline_ns >= before + 30000 * NS_PER_MS);
    assert_int_equal(ledger_world_finished(w, "a", 1, LEDGER_SUCCEEDED), LEDGER_OK);
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_DUP);
    assert_int_equal(ledger_world_claimed(w, "a", 2), LEDGER_GO);
    assert_int_equal(ledger_world_claimed(w, "a", 3), LEDGER_BUSY);
    assert_int_equal(ledger_world_finished(w, "a", 2, LEDGER_PARKED), LEDGER_OK);
    ledger_world_claim(w, &op, "a", 3);
    assert_int_equal(ledger_world_run(w, &op), LEDGER_BLOCKED);
    assert_int_equal(op.op.head_tier, 10000);
    assert_int_equal(op.op.head_offset, 1002);
    assert_int_equal(op.op.parked_count, 1);
    ledger_world_claim(w, &op, "a", 2);
    op.op.source = LEDGER_TIER;
    op.op.hop = 1;
    assert_int_equal(ledger_world_run(w, &op), LEDGER_GO);
    assert_int_equal(ledger_pending(w->ledger), 0);
}

static void test_state_of_a_key_in_order_stays_small(void **state)
{
    struct ledger_world *w = *state;
    open_on_one_shard(w);
    for (uint64_t n = 1; n <= 20; n++) {
        assert_int_equal(ledger_world_claimed(w, "a", n), LEDGER_GO);
        assert_int_equal(ledger_world_finished(w, "a", n, LEDGER_SUCCEEDED), LEDGER_OK);
    }
    const char *bucket = ledger_world_bucket(w, "a");
    assert_in_range(redis_peer_number(&w->redis, "HSTRLEN %s =a", bucket), 20, 42);
    assert_string_equal(redis_peer_do(&w->redis, "OBJECT ENCODING %s", bucket), "listpack");
    /* dedup.ttl from now on, and an eighth more at most */
    assert_in_range(redis_peer_number(&w->redis, "PTTL %s", bucket), 1000000, 1125000);
}

/* Many operations, submitted in one turn, with something unkind done to Redis while they are on
 * their way. */
static void run_many(struct ledger_world *w, void (*unkind)(struct ledger_world *w, int round))
{
    static struct test_op ops[MANY];
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < MANY; i++) {
            char key[16];
            snprintf(key, sizeof(key), "k%d", i);
            uint64_t n = (uint64_t)(round / 2 + 1);
            if (round % 2 == 0)
                ledger_world_claim(w, &ops[i], key, n);
            else
                ledger_world_finish(w, &ops[i], key, n, LEDGER_SUCCEEDED);
            ledger_submit(w->ledger, &ops[i].op);
        }
        for (int turn = 0; turn < 3; turn++)
            loop_turn(w->loop, false);
        unkind(w, round);
        for (int i = 0; i < MANY; i++)
            ledger_world_until_done(w, &ops[i]);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(ops[i].done, 1);
            if (round % 2 == 0)
                assert_int_equal(ops[i].op.code, LEDGER_GO);
            else
                assert_true(ops[i].op.code == LEDGER_OK || ops[i].op.code == LEDGER_LOST);
        }
    }
    assert_int_equal(ledger_pending(w->ledger), 0);
}

static void flush_scripts(struct ledger_world *w, int round)
{
    (void)round;
    redis_peer_do(&w->redis, "SCRIPT FLUSH");
}

static void test_script_flush_resends_as_eval(void **state)
{
    struct ledger_world *w = *state;
    run_many(w, flush_scripts);
    assert_int_equal(w->downs, 0);
    redis_peer_do(&w->redis, "SCRIPT FLUSH");
    ledger_world_fence(w);
}

static void kill_connections(struct ledger_world *w, int round)
{
    (void)round;
    redis_peer_do(&w->redis, "CLIENT KILL TYPE normal SKIPME yes");
}

static void test_client_kill_in_mid_pipeline_resends_everything(void **state)
{
    struct ledger_world *w = *state;
    run_many(w, kill_connections);
    assert_true(w->downs > 0);
    assert_int_equal(w->wipes, 0);
}

static void restart(struct ledger_world *w, int round)
{
    if (round % 2)
        return;
    redis_peer_kill(&w->redis);
    redis_peer_resume(&w->redis);
}

static void test_restart_with_data_heals_unaided(void **state)
{
    static const char *const options[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};
    struct ledger_world w;
    (void)state;
    ledger_world_init(&w, IDENTITY_SEQUENCE, true, options);
    ledger_world_open(&w, true);
    run_many(&w, restart);
    assert_true(w.downs > 0);
    assert_int_equal(w.wipes, 0);
    ledger_world_deinit(&w);
}

static bool was_wiped(void *arg)
{
    return ((struct ledger_world *)arg)->wipes > 0;
}

static void test_restart_without_data_tells_wiped_and_fences(void **state)
{
    struct ledger_world *w = *state;
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_GO);
    redis_peer_kill(&w->redis);
    redis_peer_resume(&w->redis);
    ledger_world_until(w, was_wiped, w, "wiped");
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_FENCED);
    uint64_t old = w->owner.token;
    ledger_world_fence(w);
    assert_true(w->owner.token > old);
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_GO);
    assert_int_equal(w->wipes, 1);
}

static void test_flush_on_a_live_connection_tells_wiped_before_the_new_token(void **state)
{
    struct ledger_world *w = *state;
    redis_peer_do(&w->redis, "FLUSHALL");
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_FENCED);
    ledger_world_fence(w);
    assert_int_equal(w->wipes, 1);
    assert_int_equal(w->downs, 0);
    /* The number of shards is remembered again, too. */
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_GO);
    assert_string_equal(redis_peer_do(&w->redis, "GET og:{meta}:shards"), "64");
}

struct wanted {
    const struct ledger_world *world;
    int wipes;
};

static bool wiped_so_often(void *arg)
{
    const struct wanted *wanted = arg;
    return wanted->world->wipes >= wanted->wipes;
}

static void test_second_loss_with_the_connection_is_told_too(void **state)
{
    struct ledger_world *w = *state;
    struct wanted once = {w, 1}, twice = {w, 2};
    redis_peer_do(&w->redis, "FLUSHALL");
    ledger_world_until(w, wiped_so_often, &once, "wiped");
    redis_peer_do(&w->redis, "FLUSHALL");
    kill_connections(w, 0);
    ledger_world_until(w, wiped_so_often, &twice, "wiped twice");
    ledger_world_until_up(w, true);
    assert_int_equal(w->wipes, 2);
}

static void on_marked(void *arg, bool marked, const struct err *err)
{
    assert_null(err);
    *(int *)arg = marked ? 1 : 0;
}

static bool is_set(void *arg)
{
    return *(int *)arg >= 0;
}

static int rebuilt(struct ledger_world *w, const struct ledger_owner *owner)
{
    int marked = -1;
    ledger_rebuilt(w->ledger, "g", owner, on_marked, &marked);
    ledger_world_until(w, is_set, &marked, "rebuilt");
    return marked;
}

static void test_partition_stays_unbuilt_until_its_newest_owner_says_otherwise(void **state)
{
    struct ledger_world *w = *state;
    assert_true(w->owner.unbuilt);
    struct ledger_owner old = w->owner;
    ledger_world_fence(w);
    assert_true(w->owner.unbuilt);
    assert_int_equal(rebuilt(w, &old), 0);
    ledger_world_fence(w);
    assert_true(w->owner.unbuilt);
    assert_int_equal(rebuilt(w, &w->owner), 1);
    ledger_world_fence(w);
    assert_false(w->owner.unbuilt);
    redis_peer_do(&w->redis, "FLUSHALL");
    assert_int_equal(rebuilt(w, &w->owner), 0);
    ledger_world_fence(w);
    assert_true(w->owner.unbuilt);
}

static void test_out_of_memory_fails_closed_and_heals(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    redis_peer_do(&w->redis, "CONFIG SET maxmemory 1");
    ledger_world_claim(w, &op, "a", 1);
    ledger_submit(w->ledger, &op.op);
    ledger_world_until_up(w, false);
    assert_non_null(strstr(w->why, "OOM"));
    ledger_world_idle(w, 100);
    assert_int_equal(op.done, 0);
    assert_false(ledger_is_up(w->ledger));
    assert_non_null(strstr(ledger_why_down(w->ledger), "OOM"));
    redis_peer_do(&w->redis, "CONFIG SET maxmemory 0");
    ledger_world_until_done(w, &op);
    assert_int_equal(op.op.code, LEDGER_GO);
    assert_true(ledger_is_up(w->ledger));
}

static void test_read_only_replica_fails_closed_and_heals(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    redis_peer_do(&w->redis, "REPLICAOF 127.0.0.1 1");
    ledger_world_claim(w, &op, "a", 1);
    ledger_submit(w->ledger, &op.op);
    ledger_world_until_up(w, false);
    ledger_world_idle(w, 50);
    assert_int_equal(op.done, 0);
    redis_peer_do(&w->redis, "REPLICAOF NO ONE");
    ledger_world_until_done(w, &op);
    assert_int_equal(op.op.code, LEDGER_GO);
}

static void test_slow_redis_is_dropped_and_everything_sent_again(void **state)
{
    struct ledger_world *w = *state;
    struct test_op ops[20];
    w->config.timeout_ms = 150;
    ledger_world_open(w, true);
    redis_peer_do(&w->redis, "CLIENT PAUSE 800 ALL");
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        ledger_world_claim(w, &ops[i], key, 1);
        ledger_submit(w->ledger, &ops[i].op);
    }
    ledger_world_until_up(w, false);
    assert_non_null(strstr(w->why, "no answer within 150 ms"));
    for (int i = 0; i < 20; i++) {
        ledger_world_until_done(w, &ops[i]);
        assert_int_equal(ops[i].op.code, LEDGER_GO);
        assert_int_equal(ops[i].done, 1);
    }
}

static void test_order_of_a_key_survives_a_reconnect(void **state)
{
    struct ledger_world *w = *state;
    struct test_op ops[40];
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_GO);
    /* finish(n) and claim(n + 1), one after the other, each sent in a turn of its own. */
    for (int i = 0; i < 40; i++) {
        uint64_t n = (uint64_t)i / 2 + 1;
        if (i % 2 == 0)
            ledger_world_finish(w, &ops[i], "a", n, LEDGER_SUCCEEDED);
        else
            ledger_world_claim(w, &ops[i], "a", n + 1);
        ledger_submit(w->ledger, &ops[i].op);
        loop_turn(w->loop, false);
        if (i % 7 == 3)
            redis_peer_do(&w->redis, "CLIENT KILL TYPE normal SKIPME yes");
    }
    /* All finishes may go before all claims, so what counts is that none of a kind overtakes
     * another, and that nothing is lost. */
    for (int i = 0; i < 40; i++)
        ledger_world_until_done(w, &ops[i]);
    for (int i = 2; i < 40; i++)
        assert_true(ops[i].order > ops[i - 2].order);
}

static void test_cancel_ends_queued_and_sent_operations_once(void **state)
{
    struct ledger_world *w = *state;
    struct test_op queued, sent;
    redis_peer_do(&w->redis, "CLIENT PAUSE 100 ALL");
    ledger_world_claim(w, &sent, "a", 1);
    ledger_submit(w->ledger, &sent.op);
    loop_turn(w->loop, false);
    loop_turn(w->loop, false);
    ledger_world_claim(w, &queued, "a", 2); /* waits behind the first */
    ledger_submit(w->ledger, &queued.op);
    loop_turn(w->loop, false);
    ledger_cancel(w->ledger, &queued.op);
    ledger_cancel(w->ledger, &sent.op);
    assert_int_equal(queued.done + sent.done, 0);
    ledger_world_until_done(w, &queued);
    ledger_world_until_done(w, &sent);
    assert_true(queued.op.cancelled && sent.op.cancelled);
    assert_int_equal(queued.done, 1);
    assert_int_equal(sent.done, 1);
    ledger_cancel(w->ledger, &sent.op);
    assert_int_equal(ledger_pending(w->ledger), 0);
}

static void test_free_completes_what_waits_as_cancelled(void **state)
{
    struct ledger_world *w = *state;
    struct test_op ops[3];
    redis_peer_kill(&w->redis);
    ledger_world_open(w, false);
    for (int i = 0; i < 3; i++) {
        ledger_world_claim(w, &ops[i], "a", (uint64_t)i);
        ledger_submit(w->ledger, &ops[i].op);
    }
    ledger_world_idle(w, 50);
    ledger_world_close(w);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ops[i].done, 1);
        assert_true(ops[i].op.cancelled);
    }
}

static void test_absent_at_start_then_there(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    redis_peer_kill(&w->redis);
    ledger_world_open(w, false);
    ledger_world_finish(w, &op, "a", 1, LEDGER_SUCCEEDED);
    ledger_submit(w->ledger, &op.op);
    ledger_world_idle(w, 100);
    assert_int_equal(op.done, 0);
    assert_true(w->ledger && !ledger_is_up(w->ledger));
    redis_peer_resume(&w->redis);
    ledger_world_until_done(w, &op);
    assert_int_equal(op.op.code, LEDGER_LOST);
    assert_int_equal(w->wipes, 0);
}

static void test_eviction_policy_is_refused_with_the_remedy(void **state)
{
    static const char *const options[] = {"--maxmemory", "100mb", "--maxmemory-policy",
                                          "allkeys-lru", NULL};
    struct ledger_world w;
    (void)state;
    ledger_world_init(&w, IDENTITY_SEQUENCE, true, options);
    ledger_world_open(&w, false);
    ledger_world_idle(&w, 100);
    assert_false(ledger_is_up(w.ledger));
    assert_non_null(strstr(w.why, "allkeys-lru"));
    assert_non_null(strstr(w.why, "set it to noeviction"));
    assert_string_equal(redis_peer_do(&w.redis, "DBSIZE"), "0");
    ledger_world_close(&w);
    w.config.allow_eviction = true;
    ledger_world_open(&w, true);
    ledger_world_deinit(&w);
}

static void test_other_number_of_shards_is_refused(void **state)
{
    struct ledger_world *w = *state;
    ledger_world_close(w);
    w->config.shards = 32;
    ledger_world_open(w, false);
    ledger_world_idle(w, 100);
    assert_false(ledger_is_up(w->ledger));
    assert_non_null(strstr(w->why, "64 shards"));
}

static void test_password_user_and_database(void **state)
{
    struct ledger_world *w = *state;
    redis_peer_do(&w->redis, "ACL SETUSER app on >secret ~og:* +@all -@admin -@dangerous +info");
    redis_peer_do(&w->redis, "ACL SETUSER default off");
    ledger_world_open(w, false);
    ledger_world_idle(w, 50);
    assert_false(ledger_is_up(w->ledger));
    assert_non_null(strstr(w->why, "NOAUTH"));
    ledger_world_close(w);
    char user[] = "app", password[] = "secret";
    w->config.username = user;
    w->config.password = password;
    w->config.db = 3;
    ledger_world_open(w, true);
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_GO);
    redis_peer_do(&w->redis, "SELECT 3");
    assert_string_equal(redis_peer_do(&w->redis, "GET og:{meta}:shards"), "64");
}

static void test_too_few_replicas_is_refused(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    w->config.wait_replicas = 1;
    w->config.wait_timeout_ms = 20;
    ledger_world_open(w, true);
    assert_int_equal(ledger_world_claimed(w, "a", 1), LEDGER_GO);
    ledger_world_finish(w, &op, "a", 1, LEDGER_SUCCEEDED);
    ledger_submit(w->ledger, &op.op);
    ledger_world_until_up(w, false);
    assert_non_null(strstr(w->why, "0 of 1 replicas"));
    assert_int_equal(op.done, 0);
    ledger_world_close(w); /* completes the operation, which is ours */
}

static void test_foreign_bytes_spoil_their_own_item_only(void **state)
{
    struct ledger_world *w = *state;
    struct test_op bad, good;
    open_on_one_shard(w);
    redis_peer_do(&w->redis, "HSET %s =bad foreign", ledger_world_bucket(w, "bad"));
    redis_peer_do(&w->redis, "LPUSH %s x", ledger_world_bucket(w, "list"));
    ledger_world_claim(w, &bad, "bad", 1);
    ledger_world_claim(w, &good, "good", 1);
    ledger_submit(w->ledger, &bad.op);
    ledger_submit(w->ledger, &good.op);
    ledger_world_until_done(w, &good);
    ledger_world_until_done(w, &bad);
    assert_int_equal(bad.op.code, LEDGER_CORRUPT);
    assert_int_equal(good.op.code, LEDGER_GO);
    assert_int_equal(ledger_world_claimed(w, "list", 1), LEDGER_CORRUPT);
    assert_int_equal(ledger_world_finished(w, "bad", 1, LEDGER_SUCCEEDED), LEDGER_CORRUPT);
}

static void on_hold_set(void *arg, const struct err *err)
{
    (void)arg;
    assert_null(err);
}

static bool is_held(void *arg)
{
    return ((struct ledger_world *)arg)->held;
}

static bool is_free(void *arg)
{
    return !is_held(arg);
}

static void test_hold_is_seen_and_lifted(void **state)
{
    struct ledger_world *w = *state;
    ledger_watch_hold(w->ledger, "r");
    ledger_set_hold(w->ledger, "r", true, "ann: deploy", on_hold_set, NULL);
    ledger_world_until(w, is_held, w, "held");
    assert_int_equal(w->holds, 1);
    ledger_set_hold(w->ledger, "r", false, NULL, NULL, NULL);
    ledger_world_until(w, is_free, w, "lifted");
    assert_int_equal(w->holds, 2);
}

/* By somebody else, before this process has read what it set. */
static void lift_at_once(void *arg, const struct err *err)
{
    struct ledger_world *w = arg;
    assert_null(err);
    assert_int_equal(redis_peer_number(&w->redis, "HDEL og:{meta}:holds r"), 1);
}

static bool is_told(void *arg)
{
    return ((struct ledger_world *)arg)->holds > 0;
}

static void test_hold_that_is_lifted_before_it_is_read_is_lifted(void **state)
{
    struct ledger_world *w = *state;
    ledger_watch_hold(w->ledger, "r");
    ledger_world_until(w, is_told, w, "read a first time");
    w->held = true; /* the route holds itself, and says so */
    ledger_set_hold(w->ledger, "r", true, "the handler said so", lift_at_once, w);
    ledger_world_until(w, is_free, w, "lifted");
}

struct found {
    int topic, known;
    bool describes;
};

static void on_topic(void *arg, enum ledger_topic topic, const struct err *err)
{
    assert_null(err);
    ((struct found *)arg)->topic = (int)topic;
}

static void on_known(void *arg, bool known, const struct err *err)
{
    assert_null(err);
    ((struct found *)arg)->known = known;
}

static bool both_found(void *arg)
{
    return ((struct found *)arg)->topic >= 0 && ((struct found *)arg)->known >= 0;
}

static struct found meet(struct ledger_world *w, const char *uuid)
{
    struct found found = {-1, -1, false};
    ledger_meet_topic(w->ledger, "g", "orders", uuid, on_topic, &found);
    ledger_meet_group(w->ledger, "g", "orders", on_known, &found);
    ledger_world_until(w, both_found, &found, "met");
    return found;
}

static void test_topics_and_groups_are_remembered(void **state)
{
    struct ledger_world *w = *state;
    struct found found = meet(w, "uuid-1");
    assert_int_equal(found.topic, LEDGER_TOPIC_NEW);
    assert_int_equal(found.known, 0);
    ledger_mark_group(w->ledger, "g", "orders", NULL, NULL);
    found = meet(w, "uuid-1");
    assert_int_equal(found.topic, LEDGER_TOPIC_SAME);
    assert_int_equal(found.known, 1);
    assert_int_equal(meet(w, "uuid-2").topic, LEDGER_TOPIC_OTHER);
    ledger_adopt_topic(w->ledger, "g", "orders", "uuid-2", NULL, NULL);
    assert_int_equal(meet(w, "uuid-2").topic, LEDGER_TOPIC_SAME);
}

struct adopted {
    uint32_t count;
    int known, answers;
};

static void on_adoptions(void *arg, uint32_t count, const struct err *err)
{
    struct adopted *adopted = arg;
    assert_null(err);
    adopted->count = count;
    adopted->answers++;
}

static void on_partition_known(void *arg, bool known, const struct err *err)
{
    struct adopted *adopted = arg;
    assert_null(err);
    adopted->known = adopted->known * 2 + known;
    adopted->answers++;
}

static bool all_answered(void *arg)
{
    return ((struct adopted *)arg)->answers == 5;
}

static void test_adoption_is_counted_and_forgets_the_partitions(void **state)
{
    struct ledger_world *w = *state;
    struct adopted adopted = {0, 0, 0};
    ledger_mark_group(w->ledger, "g", "orders", NULL, NULL);
    ledger_mark_group(w->ledger, "g", "orders/0", NULL, NULL);
    ledger_mark_group(w->ledger, "g", "orders/1", NULL, NULL);
    ledger_mark_group(w->ledger, "g", "others/0", NULL, NULL);
    ledger_add_adoption(w->ledger, "g", "orders", NULL, NULL);
    ledger_add_adoption(w->ledger, "g", "orders", NULL, NULL);
    ledger_forget_partitions(w->ledger, "g", "orders", 2, NULL, NULL);
    ledger_count_adoptions(w->ledger, "g", "orders", on_adoptions, &adopted);
    ledger_meet_group(w->ledger, "g", "orders/0", on_partition_known, &adopted);
    ledger_meet_group(w->ledger, "g", "orders/1", on_partition_known, &adopted);
    ledger_meet_group(w->ledger, "g", "others/0", on_partition_known, &adopted);
    ledger_meet_group(w->ledger, "g", "orders", on_partition_known, &adopted);
    ledger_world_until(w, all_answered, &adopted, "five answers");
    assert_int_equal(adopted.count, 2);
    assert_int_equal(adopted.known, 3); /* the other topic's, and the topic itself */
}

static void on_reset(void *arg, const struct err *err)
{
    assert_null(err);
    *(int *)arg = 1;
}

static void test_describe_and_reset(void **state)
{
    struct ledger_world *w = *state;
    struct found found = {0, -1, false};
    struct buf out = {0};
    ledger_describe(w->ledger, w->scope, SLICE_LIT("a"), &out, on_known, &found);
    ledger_world_until(w, both_found, &found, "described");
    assert_int_equal(found.known, 0);
    assert_int_equal(ledger_world_claimed(w, "a", 41), LEDGER_GO);
    assert_int_equal(ledger_world_finished(w, "a", 41, LEDGER_PARKED), LEDGER_OK);
    found.known = -1;
    ledger_describe(w->ledger, w->scope, SLICE_LIT("a"), &out, on_known, &found);
    ledger_world_until(w, both_found, &found, "described");
    assert_int_equal(found.known, 1);
    assert_non_null(strstr(out.data, "parked: 1\nfirst parked: source partition 0 offset 41, "
                                     "sequence 41 of epoch 0, in the tier of "
                                     "10000 ms at offset 1041, hop 1"));
    int reset = -1;
    ledger_reset(w->ledger, w->scope, SLICE_LIT("a"), on_reset, &reset);
    ledger_world_until(w, is_set, &reset, "reset");
    assert_int_equal(ledger_world_claimed(w, "a", 41), LEDGER_GO);
    buf_reset(&out);
    found.known = -1;
    ledger_describe(w->ledger, w->scope, SLICE_LIT("a"), &out, on_known, &found);
    ledger_world_until(w, both_found, &found, "described");
    assert_non_null(strstr(out.data, "generation: 1\n"));
    buf_deinit(&out);
}

static void on_released(void *arg, uint32_t released, const struct err *err)
{
    assert_null(err);
    *(int *)arg = (int)released;
}

static int released(struct ledger_world *w)
{
    int count = -1;
    ledger_release_key(w->ledger, w->scope, SLICE_LIT("a"), on_released, &count);
    ledger_world_until(w, is_set, &count, "released");
    return count;
}

static void test_dead_letter_blocks_its_key_until_released(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    struct found found = {0, -1, false};
    struct buf out = {0};
    assert_int_equal(released(w), 0);
    assert_int_equal(ledger_world_claimed(w, "a", 41), LEDGER_GO);
    assert_int_equal(ledger_world_finished(w, "a", 41, LEDGER_BLOCKING), LEDGER_OK);
    ledger_world_claim(w, &op, "a", 42);
    assert_int_equal(ledger_world_run(w, &op), LEDGER_BLOCKED);
    assert_true(op.op.head_blocks);
    assert_int_equal(op.op.parked_count, 1);
    assert_int_equal(ledger_world_finished(w, "a", 42, LEDGER_PARKED), LEDGER_LOST);
    ledger_describe(w->ledger, w->scope, SLICE_LIT("a"), &out, on_known, &found);
    ledger_world_until(w, both_found, &found, "described");
    assert_non_null(strstr(out.data, "parked: 2\n"));
    assert_non_null(strstr(out.data, "that blocks the key"));
    assert_int_equal(released(w), 1);
    ledger_world_claim(w, &op, "a", 43);
    assert_int_equal(ledger_world_run(w, &op), LEDGER_BLOCKED);
    assert_false(op.op.head_blocks);
    assert_int_equal(ledger_world_claimed(w, "a", 41), LEDGER_DUP);
    buf_deinit(&out);
}

static void test_offset_beyond_what_scripts_can_tell_apart_is_corrupt(void **state)
{
    struct ledger_world *w = *state;
    struct test_op op;
    ledger_world_claim(w, &op, "a", 1);
    op.op.origin_offset = INT64_C(1) << 52;
    assert_int_equal(ledger_world_run(w, &op), LEDGER_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPENED(test_claim_and_finish_walk_a_key),
        CLOSED(test_state_of_a_key_in_order_stays_small),
        OPENED(test_script_flush_resends_as_eval),
        OPENED(test_client_kill_in_mid_pipeline_resends_everything),
        cmocka_unit_test(test_restart_with_data_heals_unaided),
        OPENED(test_restart_without_data_tells_wiped_and_fences),
        OPENED(test_flush_on_a_live_connection_tells_wiped_before_the_new_token),
        OPENED(test_second_loss_with_the_connection_is_told_too),
        OPENED(test_partition_stays_unbuilt_until_its_newest_owner_says_otherwise),
        OPENED(test_out_of_memory_fails_closed_and_heals),
        OPENED(test_read_only_replica_fails_closed_and_heals),
        CLOSED(test_slow_redis_is_dropped_and_everything_sent_again),
        OPENED(test_order_of_a_key_survives_a_reconnect),
        OPENED(test_cancel_ends_queued_and_sent_operations_once),
        CLOSED(test_free_completes_what_waits_as_cancelled),
        CLOSED(test_absent_at_start_then_there),
        cmocka_unit_test(test_eviction_policy_is_refused_with_the_remedy),
        OPENED(test_other_number_of_shards_is_refused),
        CLOSED(test_password_user_and_database),
        CLOSED(test_too_few_replicas_is_refused),
        CLOSED(test_foreign_bytes_spoil_their_own_item_only),
        OPENED(test_hold_is_seen_and_lifted),
        OPENED(test_hold_that_is_lifted_before_it_is_read_is_lifted),
        OPENED(test_topics_and_groups_are_remembered),
        OPENED(test_adoption_is_counted_and_forgets_the_partitions),
        OPENED(test_describe_and_reset),
        OPENED(test_dead_letter_blocks_its_key_until_released),
        OPENED(test_offset_beyond_what_scripts_can_tell_apart_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
