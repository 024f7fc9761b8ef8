/* Marks joined into a ledger that lost its data, and what it tells of its keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "ledger_world.h"
#include "record/mark.h"

static struct ledger_world world;

struct joined {
    struct ledger_mark mark;
    struct buf told;
    bool done;
};

static void open_world(enum identity_kind kind)
{
    ledger_world_init(&world, kind, true, NULL);
    world.config.shards = 1;
    ledger_world_make_scope(&world);
    ledger_world_open(&world, true);
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

static int drop_world(void **state)
{
    (void)state;
    ledger_world_deinit(&world);
    return 0;
}

static void joined(struct ledger_mark *mark)
{
    struct joined *j = mark->arg;
    j->done = true;
    buf_add_slice(&j->told, mark->told);
}

static bool is_joined(void *arg)
{
    return ((struct joined *)arg)->done;
}

static void join(struct joined *j, const char *key, struct slice state, bool own)
{
    memset(j, 0, sizeof(*j));
    j->mark = (struct ledger_mark){.scope = world.scope,
                                   .owner = own ? &world.owner : NULL,
                                   .key = slice_of(key),
                                   .state = state,
                                   .own = own,
                                   .done = joined,
                                   .arg = j};
    ledger_join(world.ledger, &j->mark);
    ledger_world_until(&world, is_joined, j, "a mark is joined");
    assert_false(j->mark.cancelled);
}

static struct buf tell(const char *key)
{
    struct joined j;
    join(&j, key, SLICE_NULL, true);
    assert_false(j.mark.fenced);
    return j.told;
}

static void restore(const char *key, struct buf *mark)
{
    struct joined j;
    join(&j, key, buf_slice(mark), false);
    buf_deinit(&j.told);
}

static void finish_one(const char *key, uint64_t n)
{
    assert_int_equal(ledger_world_claimed(&world, key, n), LEDGER_GO);
    assert_int_equal(ledger_world_finished(&world, key, n, LEDGER_SUCCEEDED), LEDGER_OK);
}

/* The data are gone, and the owner takes a new token; another process than the one that knew. */
static void wipe(void)
{
    ledger_world_close(&world);
    redis_peer_do(&world.redis, "FLUSHALL");
    ledger_world_open(&world, true);
}

static void assert_told(const char *key, struct buf *mark)
{
    struct buf told = tell(key);
    assert_int_equal(told.len, mark->len);
    assert_memory_equal(told.data, mark->data, mark->len);
    buf_deinit(&told);
}

static void test_what_was_proven_before_a_wipe_is_proven_after_it(void **state)
{
    struct buf mark;
    (void)state;
    for (uint64_t n = 1; n <= 5; n++)
        finish_one("a", n);
    finish_one("a", 9);
    mark = tell("a");
    wipe();
    restore("a", &mark);
    assert_told("a", &mark);
    for (uint64_t n = 1; n <= 5; n++)
        assert_int_equal(ledger_world_claimed(&world, "a", n), LEDGER_DUP);
    assert_int_equal(ledger_world_claimed(&world, "a", 9), LEDGER_DUP);
    finish_one("a", 6);
    assert_int_equal(ledger_world_claimed(&world, "b", 3), LEDGER_GO);
    buf_deinit(&mark);
}

static void test_mark_of_less_than_is_known_changes_nothing(void **state)
{
    struct buf early, late;
    (void)state;
    finish_one("a", 1);
    early = tell("a");
    for (uint64_t n = 2; n <= 80; n++)
        finish_one("a", n);
    late = tell("a");
    restore("a", &early);
    assert_told("a", &late);
    wipe();
    restore("a", &late);
    restore("a", &early);
    assert_told("a", &late);
    wipe();
    restore("a", &early);
    restore("a", &late);
    assert_told("a", &late);
    buf_deinit(&early);
    buf_deinit(&late);
}

/* Finishes are not fenced: one that was on its way leaves a state in the empty Redis. */
static void test_finish_that_comes_after_the_wipe_does_not_hide_what_was_before(void **state)
{
    struct buf mark;
    (void)state;
    for (uint64_t n = 1; n <= 5; n++)
        finish_one("a", n);
    mark = tell("a");
    wipe();
    assert_int_equal(ledger_world_finished(&world, "a", 6, LEDGER_SUCCEEDED), LEDGER_LOST);
    assert_int_equal(ledger_world_finished(&world, "b", 6, LEDGER_SUCCEEDED), LEDGER_LOST);
    restore("a", &mark);
    assert_int_equal(redis_peer_number(&world.redis, "DEL og:{0}:p:g:orders:=a"), 0);
    struct buf told = tell("a");
    assert_int_equal(told.data[1], 1);
    assert_memory_equal(told.data + 11, "\0\0\0\0\0\0\0\0", 8); /* the floor */
    assert_int_equal(told.data[26], 6);
    buf_deinit(&told);
    /* Where the two do not touch, nothing is made up of what lies between. */
    buf_deinit(&mark);
    mark = tell("b");
    wipe();
    restore("b", &mark);
    assert_int_equal(ledger_world_claimed(&world, "b", 3), LEDGER_INDETERMINATE);
    buf_deinit(&mark);
}

/* Numbers between the mark and it, finished since or skipped, are known to nobody; the others are.
 */
static void test_late_finish_beyond_the_mark_leaves_the_mark_its_numbers(void **state)
{
    struct buf mark;
    (void)state;
    for (uint64_t n = 1; n <= 5; n++)
        finish_one("a", n);
    mark = tell("a");
    wipe();
    assert_int_equal(ledger_world_finished(&world, "a", 9, LEDGER_SUCCEEDED), LEDGER_LOST);
    restore("a", &mark);
    buf_deinit(&mark);
    assert_int_equal(redis_peer_number(&world.redis, "DEL og:{0}:p:g:orders:=a"), 0);
    mark = tell("a");
    wipe();
    restore("a", &mark);
    assert_int_equal(ledger_world_claimed(&world, "a", 3), LEDGER_DUP);
    assert_int_equal(ledger_world_claimed(&world, "a", 9), LEDGER_DUP);
    assert_int_equal(ledger_world_claimed(&world, "a", 7), LEDGER_GO);
    buf_deinit(&mark);
}

static void test_own_run_continues_what_is_known_and_keeps_its_floor(void **state)
{
    struct mark_run run = mark_run_of(0, 3);
    struct buf own = {0};
    struct joined j;
    (void)state;
    finish_one("a", 1);
    finish_one("a", 2);
    for (uint64_t n = 4; n <= 6; n++)
        mark_run_add(&run, 0, n);
    mark_run_write(&own, &run);
    join(&j, "a", buf_slice(&own), true);
    buf_deinit(&j.told);
    for (uint64_t n = 1; n <= 6; n++)
        assert_int_equal(ledger_world_claimed(&world, "a", n), LEDGER_DUP);
    assert_int_equal(ledger_world_claimed(&world, "a", 7), LEDGER_GO);
    /* Beyond a gap what is below is not called seen. */
    run = mark_run_of(0, 20);
    buf_reset(&own);
    mark_run_write(&own, &run);
    join(&j, "a", buf_slice(&own), true);
    buf_deinit(&j.told);
    assert_int_equal(ledger_world_claimed(&world, "a", 20), LEDGER_DUP);
    assert_int_equal(ledger_world_claimed(&world, "a", 12), LEDGER_BUSY); /* 7 is claimed */
    assert_int_equal(ledger_world_finished(&world, "a", 7, LEDGER_RELEASE), LEDGER_OK);
    assert_int_equal(ledger_world_claimed(&world, "a", 12), LEDGER_INDETERMINATE);
    buf_deinit(&own);
}

static void test_owner_without_its_token_is_told_nothing(void **state)
{
    struct joined j;
    (void)state;
    finish_one("a", 1);
    redis_peer_do(&world.redis, "FLUSHALL");
    join(&j, "a", SLICE_NULL, true);
    assert_true(j.mark.fenced);
    assert_int_equal(j.told.len, 0);
    buf_deinit(&j.told);
}

static bool reset_done;
static void on_reset(void *arg, const struct err *err)
{
    (void)arg;
    assert_null(err);
    reset_done = true;
}

static bool is_reset(void *arg)
{
    (void)arg;
    return reset_done;
}

static void test_mark_from_before_a_reset_counts_for_nothing_after_it(void **state)
{
    struct buf before, after;
    struct joined j;
    (void)state;
    for (uint64_t n = 1; n <= 9; n++)
        finish_one("a", n);
    before = tell("a");
    reset_done = false;
    ledger_reset(world.ledger, world.scope, slice_of("a"), on_reset, NULL);
    ledger_world_until(&world, is_reset, NULL, "the key is reset");
    join(&j, "a", buf_slice(&before), true); /* settled in generation 0 */
    buf_deinit(&j.told);
    finish_one("a", 20);
    after = tell("a");
    restore("a", &before);
    assert_told("a", &after);
    wipe();
    restore("a", &before);
    restore("a", &after);
    assert_told("a", &after);
    assert_int_equal(ledger_world_claimed(&world, "a", 5), LEDGER_INDETERMINATE);
    buf_deinit(&before);
    buf_deinit(&after);
}

static void test_version_is_outdated_again_after_a_wipe(void **state)
{
    struct buf mark;
    (void)state;
    finish_one("a", 7);
    mark = tell("a");
    wipe();
    restore("a", &mark);
    assert_told("a", &mark);
    assert_int_equal(ledger_world_claimed(&world, "a", 6), LEDGER_OUTDATED);
    assert_int_equal(ledger_world_claimed(&world, "a", 7), LEDGER_DUP);
    finish_one("a", 8);
    struct buf later = tell("a");
    restore("a", &mark);
    assert_told("a", &later);
    buf_deinit(&later);
    buf_deinit(&mark);
}

static void test_unreadable_state_is_told_as_nothing_and_left_alone(void **state)
{
    struct buf mark;
    (void)state;
    finish_one("a", 1);
    mark = tell("a");
    const char *bucket = ledger_world_bucket(&world, "a");
    redis_peer_do(&world.redis, "HSET %s =a foreign", bucket);
    restore("a", &mark);
    assert_string_equal(redis_peer_do(&world.redis, "HGET %s =a", bucket), "foreign");
    struct buf told = tell("a");
    assert_int_equal(told.len, 0);
    buf_deinit(&told);
    buf_deinit(&mark);
}

#define SEQUENCE(name) cmocka_unit_test_setup_teardown(name, open_sequence, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEQUENCE(test_what_was_proven_before_a_wipe_is_proven_after_it),
        SEQUENCE(test_mark_of_less_than_is_known_changes_nothing),
        SEQUENCE(test_finish_that_comes_after_the_wipe_does_not_hide_what_was_before),
        SEQUENCE(test_late_finish_beyond_the_mark_leaves_the_mark_its_numbers),
        SEQUENCE(test_own_run_continues_what_is_known_and_keeps_its_floor),
        SEQUENCE(test_owner_without_its_token_is_told_nothing),
        SEQUENCE(test_mark_from_before_a_reset_counts_for_nothing_after_it),
        SEQUENCE(test_unreadable_state_is_told_as_nothing_and_left_alone),
        cmocka_unit_test_setup_teardown(test_version_is_outdated_again_after_a_wipe, open_version,
                                        drop_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
