/* Lanes: one current delivery a key, retry and twins by rank before source, held sources, dropping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "flow/lane.h"

static struct delivery make(enum ledger_source source, int64_t offset)
{
    struct delivery d = {.source = source};
    d.origin.partition = 1;
    d.origin.offset = offset;
    return d;
}

/* A table, its lane of key "a", and deliveries that stand in no lane yet. */
struct lanes {
    struct lane_table *table;
    struct lane *lane;
    struct delivery first, second; /* of the source, in this order */
    struct delivery source, retry; /* the retry's rank is lower */
};

static struct lane *lane_a(struct lane_table *table)
{
    return lane_get(table, 0, 'k', SLICE_LIT("a"));
}

static int set_up(void **state)
{
    static struct lanes lanes;
    lanes.table = lane_table_new();
    lanes.lane = lane_a(lanes.table);
    lanes.first = make(LEDGER_SOURCE, 1);
    lanes.second = make(LEDGER_SOURCE, 2);
    lanes.source = make(LEDGER_SOURCE, 9);
    lanes.retry = make(LEDGER_TIER, 3);
    *state = &lanes;
    return 0;
}

static int tear_down(void **state)
{
    lane_table_free(&((struct lanes *)*state)->table);
    return 0;
}

static void push_both(struct lanes *lanes)
{
    lane_push(lanes->table, lanes->lane, &lanes->first);
    lane_push(lanes->table, lanes->lane, &lanes->second);
}

static void end_current(struct lane_table *table, struct lane *lane)
{
    lane->current = NULL;
    lane_done(table, lane);
}

static void test_lane_get_same_key_gives_same_lane(void **state)
{
    struct lanes *lanes = *state;
    assert_ptr_equal(lanes->lane, lane_a(lanes->table));
    assert_ptr_not_equal(lanes->lane, lane_get(lanes->table, 1, 'k', SLICE_LIT("a")));
    assert_ptr_not_equal(lanes->lane, lane_get(lanes->table, 0, 'n', SLICE_LIT("a")));
    assert_int_equal(lane_table_count(lanes->table), 3);
}

static void test_lane_next_while_one_is_current_gives_none(void **state)
{
    struct lanes *lanes = *state;
    push_both(lanes);
    assert_ptr_equal(lane_pop_ready(lanes->table), lanes->lane);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->first);
    assert_null(lane_next(lanes->lane));
    assert_null(lane_pop_ready(lanes->table));
    end_current(lanes->table, lanes->lane);
    assert_ptr_equal(lane_pop_ready(lanes->table), lanes->lane);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->second);
    end_current(lanes->table, lanes->lane);
    assert_int_equal(lane_table_count(lanes->table), 0);
}

static void test_lane_next_takes_retry_before_source(void **state)
{
    struct lanes *lanes = *state;
    lane_push(lanes->table, lanes->lane, &lanes->source);
    lane_push(lanes->table, lanes->lane, &lanes->retry);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->retry);
    end_current(lanes->table, lanes->lane);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->source);
    end_current(lanes->table, lanes->lane);
}

static void test_lane_next_twins_only_while_draining_and_by_rank(void **state)
{
    struct lanes *lanes = *state;
    struct delivery t5 = make(LEDGER_SOURCE, 5), t7 = make(LEDGER_SOURCE, 7),
                    retry = make(LEDGER_TIER, 6);
    lane_add_twin(lanes->table, lanes->lane, &t7);
    lane_add_twin(lanes->table, lanes->lane, &t5);
    lane_wake(lanes->table, lanes->lane);
    assert_null(lane_pop_ready(lanes->table));
    assert_ptr_equal(lane_find_twin(lanes->lane, 1, 7), &t7);
    assert_null(lane_find_twin(lanes->lane, 2, 7));
    lane_push(lanes->table, lanes->lane, &retry);
    lanes->lane->drain = true;
    assert_ptr_equal(lane_next(lanes->lane), &t5);
    lanes->lane->current = NULL;
    assert_ptr_equal(lane_next(lanes->lane), &retry);
    lanes->lane->current = NULL;
    assert_ptr_equal(lane_next(lanes->lane), &t7);
    end_current(lanes->table, lanes->lane);
    assert_int_equal(lane_table_count(lanes->table), 0);
}

static void test_lane_push_back_keeps_the_front(void **state)
{
    struct lanes *lanes = *state;
    push_both(lanes);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->first);
    lane_push_back(lanes->table, lanes->lane, &lanes->first);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->first);
    lanes->lane->current = NULL;
    assert_ptr_equal(lane_next(lanes->lane), &lanes->second);
    end_current(lanes->table, lanes->lane);
}

static void test_lane_held_source_lets_retries_pass(void **state)
{
    struct lanes *lanes = *state;
    lanes->lane->source_held = true;
    lane_push(lanes->table, lanes->lane, &lanes->source);
    assert_null(lane_pop_ready(lanes->table));
    lane_push(lanes->table, lanes->lane, &lanes->retry);
    assert_ptr_equal(lane_pop_ready(lanes->table), lanes->lane);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->retry);
    end_current(lanes->table, lanes->lane);
    assert_null(lane_pop_ready(lanes->table));
    lane_table_unhold_sources(lanes->table);
    assert_ptr_equal(lane_pop_ready(lanes->table), lanes->lane);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->source);
    end_current(lanes->table, lanes->lane);
}

/* What waits behind a dead letter is tried once each time that it is asked for. */
static void test_lane_try_blocked_lets_one_twin_be_claimed(void **state)
{
    struct lanes *lanes = *state;
    assert_int_equal(lane_table_try_blocked(lanes->table), 0);
    lane_add_twin(lanes->table, lanes->lane, &lanes->first);
    lanes->lane->blocked = true;
    assert_null(lane_pop_ready(lanes->table));
    assert_int_equal(lane_table_try_blocked(lanes->table), 1);
    assert_ptr_equal(lane_pop_ready(lanes->table), lanes->lane);
    assert_ptr_equal(lane_next(lanes->lane), &lanes->first);
    lanes->lane->drain = false;
    lanes->lane->current = NULL;
    lane_add_twin(lanes->table, lanes->lane, &lanes->first);
    lane_done(lanes->table, lanes->lane);
    assert_null(lane_pop_ready(lanes->table));
}

static void drop(struct delivery *d, void *arg)
{
    int *dropped = arg;
    (*dropped)++;
    lane_remove(d->lane, d);
}

static void test_lane_each_queued_drops_all_but_the_current(void **state)
{
    struct lanes *lanes = *state;
    struct delivery other = make(LEDGER_SOURCE, 3), alone = make(LEDGER_SOURCE, 4);
    int dropped = 0;
    push_both(lanes);
    lane_push(lanes->table, lane_get(lanes->table, 0, 'k', SLICE_LIT("b")), &other);
    lane_push(lanes->table, lane_single(lanes->table, 77), &alone);
    assert_ptr_equal(lane_next(lane_pop_ready(lanes->table)), &lanes->first);
    lane_each_queued(lanes->table, drop, &dropped);
    assert_int_equal(dropped, 3);
    assert_int_equal(lane_table_count(lanes->table), 1);
    assert_null(lane_pop_ready(lanes->table));
    end_current(lanes->table, lanes->lane);
    assert_int_equal(lane_table_count(lanes->table), 0);
}

#define ON_LANES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static void test_lane_get_finds_keys_of_any_length_again(void **state)
{
    struct lane_table *table = ((struct lanes *)*state)->table;
    char key[70];
    struct lane *lanes[sizeof(key)][2];
    for (size_t len = 0; len < sizeof(key); len++) {
        for (int last = 0; last < 2; last++) {
            memset(key, 'a', sizeof(key));
            key[len ? len - 1 : 0] = (char)('b' + last);
            lanes[len][last] = lane_get(table, 7, 'k', (struct slice){key, len});
            assert_ptr_equal(lane_get(table, 7, 'k', (struct slice){key, len}), lanes[len][last]);
        }
        assert_int_equal(lanes[len][0] == lanes[len][1], len == 0);
        assert_true(len == 0 || lanes[len][0]->hash != lanes[len][1]->hash);
        if (len > 0)
            assert_ptr_not_equal(lanes[len][0], lanes[len - 1][0]);
    }
    assert_ptr_not_equal(lane_get(table, 8, 'k', SLICE_NULL), lanes[0][0]);
    assert_ptr_not_equal(lane_get(table, 7, 'n', SLICE_NULL), lanes[0][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_LANES(test_lane_get_same_key_gives_same_lane),
        ON_LANES(test_lane_next_while_one_is_current_gives_none),
        ON_LANES(test_lane_next_takes_retry_before_source),
        ON_LANES(test_lane_next_twins_only_while_draining_and_by_rank),
        ON_LANES(test_lane_push_back_keeps_the_front),
        ON_LANES(test_lane_held_source_lets_retries_pass),
        ON_LANES(test_lane_try_blocked_lets_one_twin_be_claimed),
        ON_LANES(test_lane_each_queued_drops_all_but_the_current),
        ON_LANES(test_lane_get_finds_keys_of_any_length_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
