#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static uint64_t fixed_mono(void)
{
    return 17;
}

static int64_t fixed_wall(void)
{
    return 42;
}

static void test_clock_mono_ns_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = clock_mono_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_mono_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void test_clock_wall_ms_is_milliseconds(void **state)
{
    (void)state;
    /* Between 2020 and 2200: seconds or nanoseconds would be far outside. */
    int64_t now = clock_wall_ms();
    assert_true(now > INT64_C(1577836800000));
    assert_true(now < INT64_C(7258118400000));
}

static void test_clock_wall_ms_after_is_never_too_early(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t due_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + INT64_C(5000000);
        assert_true(clock_wall_ms_after(5) * 1000000 >= due_ns);
    }
}

static void test_clock_set_for_test_replaces_and_restores_each(void **state)
{
    (void)state;
    clock_set_for_test(fixed_mono, NULL);
    assert_true(clock_mono_ns() == 17);
    assert_true(clock_wall_ms() != 42);
    clock_set_for_test(NULL, fixed_wall);
    assert_true(clock_mono_ns() != 17);
    assert_true(clock_wall_ms() == 42);
    clock_set_for_test(NULL, NULL);
    assert_true(clock_wall_ms() != 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_mono_ns_never_goes_back),
        cmocka_unit_test(test_clock_wall_ms_is_milliseconds),
        cmocka_unit_test(test_clock_wall_ms_after_is_never_too_early),
        cmocka_unit_test(test_clock_set_for_test_replaces_and_restores_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
