/* Waits before a next try: their bounds, and that they are spread, with random(3) seeded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flow/backoff.h"

#define DRAWS 2000

struct drawn {
    int64_t least, most;
    int low, high; /* in the lowest and the highest fifth of what is allowed */
};

static void add(struct drawn *drawn, int64_t ms, int64_t from, int64_t to)
{
    assert_true(ms >= from && ms <= to);
    drawn->least = drawn->least == 0 || ms < drawn->least ? ms : drawn->least;
    drawn->most = ms > drawn->most ? ms : drawn->most;
    drawn->low += ms <= from + (to - from) / 5;
    drawn->high += ms >= to - (to - from) / 5;
}

/* A fifth of the draws is expected in each fifth; half of that would be no accident. */
static void assert_spread(const struct drawn *drawn)
{
    assert_true(drawn->low > DRAWS / 10 && drawn->high > DRAWS / 10);
}

static int seed(void **state)
{
    (void)state;
    srandom(7);
    return 0;
}

static void test_backoff_busy_is_after_the_claim_and_up_to_a_quarter_later(void **state)
{
    struct drawn drawn = {0};
    (void)state;
    for (int i = 0; i < DRAWS; i++)
        add(&drawn, backoff_busy_ms(400), 401, 501);
    assert_spread(&drawn);
    assert_int_equal(drawn.least, 401);
    assert_int_equal(drawn.most, 501);
}

static void test_backoff_busy_of_a_long_claim_asks_again_in_about_a_second(void **state)
{
    struct drawn drawn = {0};
    (void)state;
    for (int i = 0; i < DRAWS; i++)
        add(&drawn, backoff_busy_ms(i % 2 ? UINT32_MAX : 60000), 1001, 1251);
    assert_spread(&drawn);
}

static void test_backoff_busy_of_what_lapses_now_is_short(void **state)
{
    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        assert_int_equal(backoff_busy_ms(0), 1);
        assert_in_range(backoff_busy_ms(4), 5, 6);
    }
}

static void test_backoff_inline_grows_and_is_anywhere_below(void **state)
{
    const struct retry_config retry = {
        .inline_initial_ms = 100, .inline_max_ms = 1000, .inline_multiplier = 3};
    const int64_t most[] = {100, 300, 900, 1000, 1000};
    (void)state;
    for (uint32_t retries = 0; retries < 5; retries++) {
        struct drawn drawn = {0};
        for (int i = 0; i < DRAWS; i++)
            add(&drawn, backoff_inline_ms(&retry, retries), 1, most[retries] + 1);
        assert_spread(&drawn);
    }
}

static void test_backoff_inline_of_no_delay_is_at_once(void **state)
{
    const struct retry_config retry = {.inline_multiplier = 2};
    (void)state;
    assert_int_equal(backoff_inline_ms(&retry, 0), 1);
    assert_int_equal(backoff_inline_ms(&retry, 1000000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_backoff_busy_is_after_the_claim_and_up_to_a_quarter_later,
                               seed),
        cmocka_unit_test_setup(test_backoff_busy_of_a_long_claim_asks_again_in_about_a_second,
                               seed),
        cmocka_unit_test_setup(test_backoff_busy_of_what_lapses_now_is_short, seed),
        cmocka_unit_test_setup(test_backoff_inline_grows_and_is_anywhere_below, seed),
        cmocka_unit_test_setup(test_backoff_inline_of_no_delay_is_at_once, seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
