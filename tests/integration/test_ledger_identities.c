/*
 * What the client tells the scripts for each identity, for null keys, copies, redriven records,
 * evidence of ghosts and kept claims. How the scripts judge is compared with a model elsewhere
 * (tests/lua); here it is that the right thing is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_world.h"

static void open_world(struct ledger_world *w, enum identity_kind kind, bool ordered)
{
    ledger_world_init(w, kind, ordered, NULL);
    ledger_world_open(w, true);
}

static struct test_op claim(struct ledger_world *w, const char *key, uint64_t n)
{
    struct test_op op;
    ledger_world_claim(w, &op, key, n);
    return op;
}

/* The operation was copied: what points into itself is set anew. */
static enum ledger_code run(struct ledger_world *w, struct test_op *op)
{
    if (op->op.key.data)
        op->op.key = slice_of(op->key);
    op->op.event_id = slice_of(op->id);
    op->op.arg = op;
    op->done = 0;
    return ledger_world_run(w, op);
}

static enum ledger_code finish(struct ledger_world *w, struct test_op *op, enum ledger_fact fact)
{
    op->op.verb = LEDGER_FINISH;
    op->op.fact = fact;
    op->op.tier = 10000;
    op->op.copy_offset = 500;
    op->op.hop = fact == LEDGER_PARKED ? op->op.hop + 1 : op->op.hop;
    return run(w, op);
}

static void test_event_id_at_another_offset_is_a_duplicate(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_EVENT_ID, false);
    struct test_op op = claim(&w, "k", 1), again = claim(&w, "k", 2), other = claim(&w, "k", 3);
    snprintf(again.id, sizeof(again.id), "%s", op.id);
    assert_int_equal(run(&w, &op), LEDGER_GO);
    assert_int_equal(run(&w, &again), LEDGER_BUSY);
    assert_int_equal(run(&w, &other), LEDGER_GO);
    assert_int_equal(finish(&w, &op, LEDGER_SUCCEEDED), LEDGER_OK);
    assert_int_equal(run(&w, &again), LEDGER_DUP);
    struct test_op elsewhere = claim(&w, "another key", 4);
    snprintf(elsewhere.id, sizeof(elsewhere.id), "%s", op.id);
    assert_int_equal(run(&w, &elsewhere), LEDGER_GO);
    ledger_world_deinit(&w);
}

static void test_number_that_is_used_again_tells_how_far_below_the_last_it_is(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    for (uint64_t n = 1; n <= 9; n++) {
        struct test_op op = claim(&w, "k", n);
        assert_int_equal(run(&w, &op), LEDGER_GO);
        assert_int_equal(op.op.behind, 0);
        assert_int_equal(finish(&w, &op, LEDGER_SUCCEEDED), LEDGER_OK);
    }
    struct test_op read_again = claim(&w, "k", 2), used_again = claim(&w, "k", 2);
    struct test_op last = claim(&w, "k", 9), elsewhere = claim(&w, "k", 2);
    used_again.op.origin_offset = 10;
    last.op.origin_offset = 11;
    elsewhere.op.origin_partition = 1;
    assert_int_equal(run(&w, &read_again), LEDGER_DUP);
    assert_int_equal(read_again.op.behind, 0);
    assert_int_equal(run(&w, &used_again), LEDGER_DUP);
    assert_int_equal(used_again.op.behind, 8);
    assert_int_equal(used_again.op.busy_ms, 0);
    assert_int_equal(run(&w, &last), LEDGER_DUP);
    assert_int_equal(last.op.behind, 1);
    assert_int_equal(run(&w, &elsewhere), LEDGER_DUP);
    assert_int_equal(elsewhere.op.behind, 8);
    ledger_world_deinit(&w);
}

static void test_version_below_the_highest_done_is_outdated(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_VERSION, false);
    struct test_op high = claim(&w, "k", UINT64_MAX), low = claim(&w, "k", UINT64_MAX - 1);
    high.op.origin_offset = 10;
    low.op.origin_offset = 11;
    assert_int_equal(run(&w, &high), LEDGER_GO);
    assert_int_equal(finish(&w, &high, LEDGER_SUCCEEDED), LEDGER_OK);
    assert_int_equal(run(&w, &low), LEDGER_OUTDATED);
    low.op.observe = true;
    assert_int_equal(run(&w, &low), LEDGER_GO);
    assert_int_equal(low.op.would_code, LEDGER_OUTDATED);
    ledger_world_deinit(&w);
}

static void test_offset_is_proven_per_partition_ordered_or_not(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        struct ledger_world w;
        open_world(&w, IDENTITY_OFFSET, ordered);
        struct test_op op = claim(&w, "k", 7), other = claim(&w, "k", 7), later = claim(&w, "k", 9);
        other.op.origin_partition = 1;
        assert_int_equal(run(&w, &op), LEDGER_GO);
        assert_int_equal(finish(&w, &op, LEDGER_SUCCEEDED), LEDGER_OK);
        op.op.verb = LEDGER_CLAIM;
        assert_int_equal(run(&w, &op), LEDGER_DUP);
        op.op.origin_leader_epoch++; /* the log was cut and written again */
        assert_int_equal(run(&w, &op), LEDGER_GO);
        assert_int_equal(finish(&w, &op, LEDGER_RELEASE), LEDGER_OK);
        assert_int_equal(run(&w, &other), LEDGER_GO);
        assert_int_equal(finish(&w, &other, LEDGER_RELEASE), LEDGER_OK);
        assert_int_equal(run(&w, &later), LEDGER_GO);
        ledger_world_deinit(&w);
    }
}

static void test_unordered_leaves_no_state_behind(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_NONE, false);
    long long before = redis_peer_number(&w.redis, "DBSIZE");
    struct test_op op = claim(&w, "k", 1), other = claim(&w, "k", 2);
    assert_int_equal(run(&w, &op), LEDGER_GO);
    assert_int_equal(run(&w, &other), LEDGER_GO);
    assert_int_equal(finish(&w, &op, LEDGER_SUCCEEDED), LEDGER_OK);
    assert_int_equal(finish(&w, &other, LEDGER_SUCCEEDED), LEDGER_OK);
    assert_int_equal(redis_peer_number(&w.redis, "DBSIZE"), before);
    ledger_world_deinit(&w);
}

static void test_null_keys_are_one_order_per_source_partition(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_NONE, true);
    struct test_op op = claim(&w, "", 1), same = claim(&w, "", 2), other = claim(&w, "", 3),
                   empty = claim(&w, "", 4);
    op.op.key = same.op.key = other.op.key = SLICE_NULL;
    other.op.origin_partition = 1;
    assert_int_equal(run(&w, &op), LEDGER_GO);
    assert_int_equal(run(&w, &same), LEDGER_BUSY);
    assert_true(same.op.busy_ms > 0 && same.op.busy_ms <= 30000);
    assert_int_equal(run(&w, &other), LEDGER_GO);
    assert_int_equal(run(&w, &empty), LEDGER_GO);
    ledger_world_deinit(&w);
}

static void test_keys_of_a_mebibyte_differ_by_their_last_byte(void **state)
{
    static char one[1 << 20], two[1 << 20];
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    memset(one, 'x', sizeof(one));
    memset(two, 'x', sizeof(two));
    two[sizeof(two) - 1] = 'y';
    struct test_op a = claim(&w, "", 1), b = claim(&w, "", 2), c = claim(&w, "", 3);
    a.op.key = c.op.key = (struct slice){one, sizeof(one)};
    b.op.key = (struct slice){two, sizeof(two)};
    a.op.arg = &a;
    b.op.arg = &b;
    c.op.arg = &c;
    assert_int_equal(ledger_world_run(&w, &a), LEDGER_GO);
    assert_int_equal(ledger_world_run(&w, &b), LEDGER_GO);
    assert_int_equal(ledger_world_run(&w, &c), LEDGER_BUSY);
    ledger_world_deinit(&w);
}

static void test_redrive_asks_whether_the_key_moved_on_and_is_remembered(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    for (uint64_t n = 1; n <= 3; n++) {
        struct test_op op = claim(&w, "k", n);
        assert_int_equal(run(&w, &op), LEDGER_GO);
        assert_int_equal(finish(&w, &op, n == 2 ? LEDGER_GIVEN_UP : LEDGER_SUCCEEDED), LEDGER_OK);
    }
    struct test_op dead = claim(&w, "k", 2);
    dead.op.source = LEDGER_REDRIVE;
    dead.op.redrive_id = SLICE_LIT("job:1");
    assert_int_equal(run(&w, &dead), LEDGER_MOVED_ON);
    dead.op.redrive_force = true;
    assert_int_equal(run(&w, &dead), LEDGER_GO);
    assert_int_equal(finish(&w, &dead, LEDGER_SUCCEEDED), LEDGER_OK);
    dead.op.verb = LEDGER_CLAIM;
    assert_int_equal(run(&w, &dead), LEDGER_DUP);
    dead.op.redrive_id = SLICE_LIT("job:2");
    assert_int_equal(run(&w, &dead), LEDGER_GO);
    ledger_world_deinit(&w);
}

static void test_kept_claim_stands_in_its_own_way(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    struct test_op op = claim(&w, "k", 1);
    assert_int_equal(run(&w, &op), LEDGER_GO);
    op.op.keep_claim = true;
    assert_int_equal(finish(&w, &op, LEDGER_PARKED), LEDGER_OK);
    struct test_op copy = claim(&w, "k", 1);
    copy.op.source = LEDGER_TIER;
    copy.op.hop = 1;
    assert_int_equal(run(&w, &copy), LEDGER_BUSY);
    ledger_world_deinit(&w);
}

static void test_ghost_goes_by_evidence_once_its_time_has_passed(void **state)
{
    struct ledger_world w;
    (void)state;
    ledger_world_init(&w, IDENTITY_SEQUENCE, true, NULL);
    ledger_world_open(&w, true);
    ledger_scope_free(&w.scope);
    struct ledger_scope_config short_lived = {.group = "g",
                                              .topic = "orders",
                                              .ordered = true,
                                              .ttl_ms = 1000000,
                                              .ghost_ttl_ms = 1,
                                              .parked_cap = 5};
    w.scope = ledger_scope_new(w.ledger, &short_lived);
    struct test_op op = claim(&w, "k", 1), next = claim(&w, "k", 2);
    assert_int_equal(run(&w, &op), LEDGER_GO);
    assert_int_equal(finish(&w, &op, LEDGER_PARKED), LEDGER_OK);
    ledger_world_idle(&w, 5);
    assert_int_equal(run(&w, &next), LEDGER_BLOCKED);
    assert_true(next.op.head_expired);
    next.op.has_ghost = true;
    next.op.ghost_tier = next.op.head_tier;
    next.op.ghost_offset = next.op.head_offset + 1; /* of another copy */
    assert_int_equal(run(&w, &next), LEDGER_BLOCKED);
    next.op.ghost_offset--;
    assert_int_equal(run(&w, &next), LEDGER_GO);
    assert_int_equal(finish(&w, &next, LEDGER_SUCCEEDED), LEDGER_OK);
    /* What went away unfinished is not called a duplicate. */
    op.op.verb = LEDGER_CLAIM;
    op.op.source = LEDGER_SOURCE;
    assert_int_equal(run(&w, &op), LEDGER_INDETERMINATE);
    ledger_world_deinit(&w);
}

static void test_cap_stops_sources_first_and_everything_in_the_end(void **state)
{
    struct ledger_world w;
    enum ledger_code code = LEDGER_OK;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    uint64_t n = 0;
    while (code == LEDGER_LOST || code == LEDGER_OK) {
        struct test_op op = claim(&w, "k", ++n);
        code = finish(&w, &op, LEDGER_PARKED);
        if (n == 5) {
            struct test_op source = claim(&w, "k", 100), tier = claim(&w, "k", 100);
            tier.op.source = LEDGER_TIER;
            assert_int_equal(run(&w, &source), LEDGER_PARK_FULL);
            assert_int_equal(source.op.parked_count, 5);
            assert_int_equal(run(&w, &tier), LEDGER_NOT_HEAD);
        }
        assert_true(n < 100);
    }
    assert_int_equal(code, LEDGER_REFUSED);
    assert_int_equal(n, 5 + 64 + 1);
    ledger_world_deinit(&w);
}

static void test_one_count_across_the_topics_of_a_route(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    ledger_scope_free(&w.scope);
    struct ledger_scope_config across = {.group = "g",
                                         .route = "r",
                                         .ordered = true,
                                         .ttl_ms = 1000000,
                                         .ghost_ttl_ms = 1000,
                                         .parked_cap = 5};
    w.scope = ledger_scope_new(w.ledger, &across);
    struct test_op op = claim(&w, "k", 1), repeated = claim(&w, "k", 1);
    assert_int_equal(run(&w, &op), LEDGER_GO);
    assert_int_equal(finish(&w, &op, LEDGER_SUCCEEDED), LEDGER_OK);
    repeated.op.origin_topic = SLICE_LIT("bills");
    repeated.op.origin_offset = 99;
    assert_int_equal(run(&w, &repeated), LEDGER_DUP);
    ledger_world_deinit(&w);
}

static void test_stale_owner_is_fenced_alone_in_its_batch(void **state)
{
    struct ledger_world w;
    (void)state;
    open_world(&w, IDENTITY_SEQUENCE, true);
    struct ledger_owner old = w.owner;
    ledger_world_fence(&w);
    struct test_op stale = claim(&w, "a", 1), good = claim(&w, "b", 1);
    stale.op.owner = &old;
    stale.op.key = slice_of(stale.key);
    stale.op.arg = &stale;
    good.op.key = slice_of(good.key);
    good.op.arg = &good;
    ledger_submit(w.ledger, &stale.op);
    ledger_submit(w.ledger, &good.op);
    ledger_world_until_done(&w, &good);
    ledger_world_until_done(&w, &stale);
    assert_int_equal(stale.op.code, LEDGER_FENCED);
    assert_int_equal(good.op.code, LEDGER_GO);
    /* Its finishes are facts all the same. */
    assert_int_equal(finish(&w, &stale, LEDGER_SUCCEEDED), LEDGER_LOST);
    struct test_op again = claim(&w, "a", 1);
    assert_int_equal(run(&w, &again), LEDGER_DUP);
    ledger_world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_id_at_another_offset_is_a_duplicate),
        cmocka_unit_test(test_number_that_is_used_again_tells_how_far_below_the_last_it_is),
        cmocka_unit_test(test_version_below_the_highest_done_is_outdated),
        cmocka_unit_test(test_offset_is_proven_per_partition_ordered_or_not),
        cmocka_unit_test(test_unordered_leaves_no_state_behind),
        cmocka_unit_test(test_null_keys_are_one_order_per_source_partition),
        cmocka_unit_test(test_keys_of_a_mebibyte_differ_by_their_last_byte),
        cmocka_unit_test(test_redrive_asks_whether_the_key_moved_on_and_is_remembered),
        cmocka_unit_test(test_kept_claim_stands_in_its_own_way),
        cmocka_unit_test(test_ghost_goes_by_evidence_once_its_time_has_passed),
        cmocka_unit_test(test_cap_stops_sources_first_and_everything_in_the_end),
        cmocka_unit_test(test_one_count_across_the_topics_of_a_route),
        cmocka_unit_test(test_stale_owner_is_fenced_alone_in_its_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
