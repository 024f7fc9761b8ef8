/* How far a route looks ahead in its sources, by itself and beside others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/intake.h"

static void test_intake_alone_looks_far_until_it_is_deep(void **state)
{
    (void)state;
    assert_int_equal(intake_ready_enough(64, 1023, 1), 256);
    assert_int_equal(intake_ready_enough(64, 1024, 1), 32);
    assert_int_equal(intake_ready_enough(1000, 1024, 1), 4000);
    assert_int_equal(intake_ready_enough(64, 0, 0), 256);
}

static void test_intake_beside_others_is_deep_with_less(void **state)
{
    (void)state;
    assert_int_equal(intake_ready_enough(64, 511, 2), 256);
    assert_int_equal(intake_ready_enough(64, 512, 2), 32);
    assert_int_equal(intake_ready_enough(64, 63, 100), 256);
    assert_int_equal(intake_ready_enough(64, 64, 100), 32);
}

/* However many there are, what is ready fills slots. */
static void test_intake_some_lane_is_always_wanted(void **state)
{
    (void)state;
    assert_int_equal(intake_ready_enough(1, 5000, 100000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intake_alone_looks_far_until_it_is_deep),
        cmocka_unit_test(test_intake_beside_others_is_deep_with_less),
        cmocka_unit_test(test_intake_some_lane_is_always_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
