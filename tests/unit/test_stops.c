/* Stopped times do not count to give_up_after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/stops.h"

static void test_stops_within_counts_only_the_overlap(void **state)
{
    struct stops stops = {0};
    (void)state;
    stops_set(&stops, true, 1000);
    stops_set(&stops, true, 1500);
    stops_set(&stops, false, 2000);
    stops_set(&stops, false, 2500);
    assert_int_equal(stops_within(&stops, 0, 5000), 1000);
    assert_int_equal(stops_within(&stops, 1600, 5000), 400);
    assert_int_equal(stops_within(&stops, 1100, 1200), 100);
    assert_int_equal(stops_within(&stops, 2000, 5000), 0);
}

static void test_stops_within_counts_the_open_one(void **state)
{
    struct stops stops = {0};
    (void)state;
    stops_set(&stops, true, 1000);
    assert_int_equal(stops_within(&stops, 0, 1700), 700);
}

static void test_stops_within_after_many_keeps_the_newest(void **state)
{
    struct stops stops = {0};
    (void)state;
    for (int64_t i = 0; i < STOPS_MAX + 10; i++) {
        stops_set(&stops, true, 1000 * (i + 1));
        stops_set(&stops, false, 1000 * (i + 1) + 10);
    }
    assert_int_equal(stops_within(&stops, 0, INT64_MAX), 10 * STOPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_within_counts_only_the_overlap),
        cmocka_unit_test(test_stops_within_counts_the_open_one),
        cmocka_unit_test(test_stops_within_after_many_keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
