/*
 * What the owner knows to be finished, after Redis lost its last writes: a key's state is put back
 * to what it was before, as a fail-over does, and the connection is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_world.h"

static struct ledger_world world;

static void open_world(enum identity_kind kind)
{
    ledger_world_init(&world, kind, true, NULL);
    world.config.shards = 1;
    ledger_world_make_scope(&world);
    world.metrics = metrics_new();
    ledger_world_open(&world, true);
}

static int drop_world(void **state)
{
    (void)state;
    ledger_world_deinit(&world);
    metrics_free(&world.metrics);
    return 0;
}

static int open_sequence(void **state)
{
    (void)state;
    open_world(IDENTITY_SEQUENCE);
    return 0;
}

static int open_version(void **state)
{
    (void)state;
    open_world(IDENTITY_VERSION);
    return 0;
}

static void finish_one(const char *key, uint64_t n)
{
    assert_int_equal(ledger_world_claimed(&world, key, n), LEDGER_GO);
    assert_int_equal(ledger_world_finished(&world, key, n, LEDGER_SUCCEEDED), LEDGER_OK);
}

static void save(const char *key)
{
    assert_int_equal(redis_peer_number(&world.redis, "COPY %s saved-%s REPLACE",
                                       ledger_world_bucket(&world, key), key),
                     1);
}

static void shake(void)
{
    redis_peer_do(&world.redis, "CLIENT KILL TYPE normal SKIPME yes");
    ledger_world_until_up(&world, false);
    ledger_world_until_up(&world, true);
}

/* What was written since save is lost. */
static void lose(const char *key)
{
    assert_int_equal(redis_peer_number(&world.redis, "COPY saved-%s %s REPLACE", key,
                                       ledger_world_bucket(&world, key)),
                     1);
    shake();
}

/* Claims, and asks whether the record is known to be done. */
static bool is_known(struct test_op *op, enum ledger_code code)
{
    enum ledger_fact fact = LEDGER_RELEASE;
    assert_int_equal(ledger_world_run(&world, op), code);
    bool known = ledger_knows_done(world.ledger, &op->op, &fact);
    if (known)
        assert_int_equal(fact, LEDGER_SUCCEEDED);
    return known;
}

static void release(const char *key, uint64_t n)
{
    (void)ledger_world_finished(&world, key, n, LEDGER_RELEASE);
}

/* The finish of that very claim, from the origin it has. */
static void finish_claimed(struct test_op *op, enum ledger_fact fact)
{
    op->op.verb = LEDGER_FINISH;
    op->op.fact = fact;
    op->done = 0;
    assert_int_equal(ledger_world_run(&world, op), LEDGER_OK);
}

static void test_finish_that_redis_lost_is_known(void **state)
{
    struct test_op op;
    (void)state;
    finish_one("a", 1);
    save("a");
    finish_one("a", 2);
    finish_one("a", 3);
    lose("a");
    ledger_world_claim(&world, &op, "a", 2);
    assert_true(is_known(&op, LEDGER_GO));
    assert_int_equal(ledger_world_finished(&world, "a", 2, LEDGER_SUCCEEDED), LEDGER_OK);
    /* The producer's repetition, elsewhere in the log. */
    ledger_world_claim(&world, &op, "a", 3);
    op.op.origin_offset = 77;
    assert_true(is_known(&op, LEDGER_GO));
    finish_claimed(&op, LEDGER_SUCCEEDED);
    assert_int_equal(ledger_world_claimed(&world, "a", 3), LEDGER_DUP);
    /* The next one is new. */
    ledger_world_claim(&world, &op, "a", 4);
    op.op.origin_offset = 78;
    assert_false(is_known(&op, LEDGER_GO));
    assert_true(
        metric_value(metrics_counter(world.metrics, "ledger_reasserted_total", "", NULL, 0)) == 2);
}

static void test_other_records_are_not_known(void **state)
{
    struct test_op op;
    (void)state;
    finish_one("a", 1);
    save("a");
    finish_one("a", 2);
    lose("a");
    ledger_world_claim(&world, &op, "b", 2); /* another key */
    assert_false(is_known(&op, LEDGER_GO));
    ledger_world_claim(&world, &op, "a", 2); /* another epoch */
    op.op.epoch = 1;
    assert_false(is_known(&op, LEDGER_GO));
    release("a", 2);
    ledger_world_claim(&world, &op, "a", 2); /* sent round again on purpose */
    op.op.source = LEDGER_REDRIVE;
    op.op.redrive_id = SLICE_LIT("again");
    assert_false(is_known(&op, LEDGER_GO));
    release("a", 2);
    ledger_world_claim(&world, &op, "a", 2); /* where nothing is to be stopped */
    op.op.observe = true;
    assert_false(is_known(&op, LEDGER_GO));
}

/* In ordinary running nothing but Redis decides. */
static void test_nothing_is_known_while_nothing_was_lost(void **state)
{
    struct test_op op;
    (void)state;
    finish_one("a", 1);
    save("a");
    finish_one("a", 2);
    assert_int_equal(redis_peer_number(&world.redis, "COPY saved-a %s REPLACE",
                                       ledger_world_bucket(&world, "a")),
                     1);
    ledger_world_claim(&world, &op, "a", 2);
    assert_false(is_known(&op, LEDGER_GO));
}

static void on_reset(void *arg, const struct err *err)
{
    assert_null(err);
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

/* A person wants the key's records again: older memories of it do not count. */
static void test_key_that_was_reset_is_not_known(void **state)
{
    struct test_op op;
    bool done = false;
    (void)state;
    finish_one("a", 1);
    finish_one("a", 2);
    ledger_reset(world.ledger, world.scope, SLICE_LIT("a"), on_reset, &done);
    ledger_world_until(&world, is_true, &done, "the reset");
    shake();
    ledger_world_claim(&world, &op, "a", 2);
    assert_false(is_known(&op, LEDGER_GO));
    assert_int_equal(op.op.generation, 1);
    assert_int_equal(ledger_world_finished(&world, "a", 2, LEDGER_SUCCEEDED), LEDGER_OK);
    /* What was finished since is known. */
    save("a");
    finish_one("a", 3);
    lose("a");
    ledger_world_claim(&world, &op, "a", 3);
    assert_true(is_known(&op, LEDGER_GO));
}

/* The same version from another origin is not proven the same. */
static void test_version_is_known_by_its_origin_only(void **state)
{
    struct test_op op;
    (void)state;
    finish_one("a", 1);
    save("a");
    finish_one("a", 5);
    lose("a");
    ledger_world_claim(&world, &op, "a", 5);
    op.op.origin_offset = 77;
    assert_false(is_known(&op, LEDGER_GO));
    finish_claimed(&op, LEDGER_RELEASE);
    ledger_world_claim(&world, &op, "a", 5);
    assert_true(is_known(&op, LEDGER_GO));
}

#define SEQUENCE(test) cmocka_unit_test_setup_teardown(test, open_sequence, drop_world)
#define VERSION(test)  cmocka_unit_test_setup_teardown(test, open_version, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEQUENCE(test_finish_that_redis_lost_is_known),
        SEQUENCE(test_other_records_are_not_known),
        SEQUENCE(test_nothing_is_known_while_nothing_was_lost),
        SEQUENCE(test_key_that_was_reset_is_not_known),
        VERSION(test_version_is_known_by_its_origin_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
