/* Lanes: one current delivery a key, retry and twins by rank before source, held sources, dropping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/lane.h"

static struct delivery make(enum ledger_source source, int64_t offset)
{
    struct delivery d = {.source = source};
    d.origin.partition = 1;
    d.origin.offset = offset;
    return d;
}

static struct lane *lane_a(struct lane_table *table)
{
    return lane_get(table, 0, 'k', SLICE_LIT("a"));
}

static void end_current(struct lane_table *table, struct lane *lane)
{
    lane->current = NULL;
    lane_done(table, lane);
}

static void test_lane_get_same_key_gives_same_lane(void **state)
{
    struct lane_table *table = lane_table_new();
    struct lane *lane = lane_a(table);
    (void)state;
    assert_ptr_equal(lane, lane_a(table));
    assert_ptr_not_equal(lane, lane_get(table, 1, 'k', SLICE_LIT("a")));
    assert_ptr_not_equal(lane, lane_get(table, 0, 'n', SLICE_LIT("a")));
    assert_int_equal(lane_table_count(table), 3);
    lane_table_free(&table);
}

static void test_lane_next_while_one_is_current_gives_none(void **state)
{
    struct lane_table *table = lane_table_new();
    struct delivery first = make(LEDGER_SOURCE, 1), second = make(LEDGER_SOURCE, 2);
    struct lane *lane = lane_a(table);
    (void)state;
    lane_push(table, lane, &first);
    lane_push(table, lane, &second);
    assert_ptr_equal(lane_pop_ready(table), lane);
    assert_ptr_equal(lane_next(lane), &first);
    assert_null(lane_next(lane));
    assert_null(lane_pop_ready(table));
    end_current(table, lane);
    assert_ptr_equal(lane_pop_ready(table), lane);
    assert_ptr_equal(lane_next(lane), &second);
    end_current(table, lane);
    assert_int_equal(lane_table_count(table), 0);
    lane_table_free(&table);
}

static void test_lane_next_takes_retry_before_source(void **state)
{
    struct lane_table *table = lane_table_new();
    struct delivery source = make(LEDGER_SOURCE, 9), retry = make(LEDGER_TIER, 3);
    struct lane *lane = lane_a(table);
    (void)state;
    lane_push(table, lane, &source);
    lane_push(table, lane, &retry);
    assert_ptr_equal(lane_next(lane), &retry);
    end_current(table, lane);
    assert_ptr_equal(lane_next(lane), &source);
    end_current(table, lane);
    lane_table_free(&table);
}

static void test_lane_next_twins_only_while_draining_and_by_rank(void **state)
{
    struct lane_table *table = lane_table_new();
    struct delivery t5 = make(LEDGER_SOURCE, 5), t7 = make(LEDGER_SOURCE, 7),
                    retry = make(LEDGER_TIER, 6);
    struct lane *lane = lane_a(table);
    (void)state;
    lane_add_twin(table, lane, &t7);
    lane_add_twin(table, lane, &t5);
    lane_wake(table, lane);
    assert_null(lane_pop_ready(table));
    assert_ptr_equal(lane_find_twin(lane, 1, 7), &t7);
    assert_null(lane_find_twin(lane, 2, 7));
    lane_push(table, lane, &retry);
    lane->drain = true;
    assert_ptr_equal(lane_next(lane), &t5);
    lane->current = NULL;
    assert_ptr_equal(lane_next(lane), &retry);
    lane->current = NULL;
    assert_ptr_equal(lane_next(lane), &t7);
    end_current(table, lane);
    assert_int_equal(lane_table_count(table), 0);
    lane_table_free(&table);
}

static void test_lane_push_back_keeps_the_front(void **state)
{
    struct lane_table *table = lane_table_new();
    struct delivery first = make(LEDGER_SOURCE, 1), second = make(LEDGER_SOURCE, 2);
    struct lane *lane = lane_a(table);
    (void)state;
    lane_push(table, lane, &first);
    lane_push(table, lane, &second);
    assert_ptr_equal(lane_next(lane), &first);
    lane_push_back(table, lane, &first);
    assert_ptr_equal(lane_next(lane), &first);
    lane->current = NULL;
    assert_ptr_equal(lane_next(lane), &second);
    end_current(table, lane);
    lane_table_free(&table);
}

static void test_lane_held_source_lets_retries_pass(void **state)
{
    struct lane_table *table = lane_table_new();
    struct delivery source = make(LEDGER_SOURCE, 9), retry = make(LEDGER_TIER, 3);
    struct lane *lane = lane_a(table);
    (void)state;
    lane->source_held = true;
    lane_push(table, lane, &source);
    assert_null(lane_pop_ready(table));
    lane_push(table, lane, &retry);
    assert_ptr_equal(lane_pop_ready(table), lane);
    assert_ptr_equal(lane_next(lane), &retry);
    end_current(table, lane);
    assert_null(lane_pop_ready(table));
    lane_table_unhold_sources(table);
    assert_ptr_equal(lane_pop_ready(table), lane);
    assert_ptr_equal(lane_next(lane), &source);
    end_current(table, lane);
    lane_table_free(&table);
}

static void drop(struct delivery *d, void *arg)
{
    int *dropped = arg;
    (*dropped)++;
    lane_remove(d->lane, d);
}

static void test_lane_each_queued_drops_all_but_the_current(void **state)
{
    struct lane_table *table = lane_table_new();
    struct delivery current = make(LEDGER_SOURCE, 1), queued = make(LEDGER_SOURCE, 2);
    struct delivery other = make(LEDGER_SOURCE, 3), alone = make(LEDGER_SOURCE, 4);
    struct lane *lane = lane_a(table);
    int dropped = 0;
    (void)state;
    lane_push(table, lane, &current);
    lane_push(table, lane, &queued);
    lane_push(table, lane_get(table, 0, 'k', SLICE_LIT("b")), &other);
    lane_push(table, lane_single(table, 77), &alone);
    assert_ptr_equal(lane_next(lane_pop_ready(table)), &current);
    lane_each_queued(table, drop, &dropped);
    assert_int_equal(dropped, 3);
    assert_int_equal(lane_table_count(table), 1);
    assert_null(lane_pop_ready(table));
    end_current(table, lane);
    assert_int_equal(lane_table_count(table), 0);
    lane_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane_get_same_key_gives_same_lane),
        cmocka_unit_test(test_lane_next_while_one_is_current_gives_none),
        cmocka_unit_test(test_lane_next_takes_retry_before_source),
        cmocka_unit_test(test_lane_next_twins_only_while_draining_and_by_rank),
        cmocka_unit_test(test_lane_push_back_keeps_the_front),
        cmocka_unit_test(test_lane_held_source_lets_retries_pass),
        cmocka_unit_test(test_lane_each_queued_drops_all_but_the_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
