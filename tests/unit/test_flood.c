/* The flood guard: a share and a number, within a window that slides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/flood.h"

#define T0 UINT64_C(1000000)

static void test_flood_admits_below_the_number(void **state)
{
    struct flood flood;
    (void)state;
    flood_init(&flood, 0.5, 100, 60000);
    for (int i = 0; i < 100; i++)
        assert_true(flood_admits(&flood, T0));
    assert_false(flood_admits(&flood, T0));
}

static void test_flood_admits_below_the_share(void **state)
{
    struct flood flood;
    (void)state;
    flood_init(&flood, 0.5, 10, 60000);
    for (int i = 0; i < 30; i++) {
        flood_ended(&flood, T0);
        flood_ended(&flood, T0);
        assert_true(flood_admits(&flood, T0));
    }
    for (int i = 0; i < 30; i++)
        assert_true(flood_admits(&flood, T0));
    assert_false(flood_admits(&flood, T0));
}

static void test_flood_window_slides(void **state)
{
    struct flood flood;
    (void)state;
    flood_init(&flood, 0.5, 10, 60000);
    for (int i = 0; i < 10; i++)
        assert_true(flood_admits(&flood, T0));
    assert_false(flood_admits(&flood, T0 + 30000));
    assert_true(flood_admits(&flood, T0 + 66000));
}

/* A request's answer is told after the handler gave it, and others may have been counted meanwhile.
 */
static void test_flood_a_late_word_forgets_nothing(void **state)
{
    struct flood flood;
    (void)state;
    flood_init(&flood, 0.5, 10, 60000);
    for (int i = 0; i < 10; i++)
        assert_true(flood_admits(&flood, T0));
    flood_ended(&flood, T0 - 7000);
    assert_false(flood_admits(&flood, T0));
    for (int i = 0; i < 11; i++)
        flood_ended(&flood, T0 - 7000);
    assert_true(flood_admits(&flood, T0));
}

static void test_flood_reset_forgets(void **state)
{
    struct flood flood;
    (void)state;
    flood_init(&flood, 0.5, 1, 60000);
    assert_true(flood_admits(&flood, T0));
    assert_false(flood_admits(&flood, T0));
    flood_reset(&flood);
    assert_true(flood_admits(&flood, T0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood_admits_below_the_number),
        cmocka_unit_test(test_flood_admits_below_the_share),
        cmocka_unit_test(test_flood_window_slides),
        cmocka_unit_test(test_flood_a_late_word_forgets_nothing),
        cmocka_unit_test(test_flood_reset_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
