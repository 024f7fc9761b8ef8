/* Which numbers that are used again look like a producer that counts anew, and which like doubles.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/restarts.h"

/* A number of key 7 that is used again while its last is `last`. */
static bool again(struct restarts *restarts, uint64_t number, uint64_t last, bool is_resent)
{
    struct used_number used = {7, number, (uint32_t)(last - number + 1), is_resent};
    return restarts_suspect(restarts, &used, 1000);
}

static void test_number_far_below_the_last_is_suspect_at_once(void **state)
{
    struct restarts *restarts = restarts_new();
    (void)state;
    assert_false(again(restarts, 37, 100, false));
    assert_true(again(restarts, 36, 100, false));
    restarts_free(&restarts);
}

static void test_run_of_numbers_without_a_new_one_is_suspect(void **state)
{
    struct restarts *restarts = restarts_new();
    (void)state;
    for (uint64_t number = 1; number < 20; number++)
        assert_int_equal(again(restarts, number, 20, false), number >= RESTARTS_RUN);
    assert_false(again(restarts, 20, 20, false));
    restarts_free(&restarts);
}

static void test_doubles_with_new_numbers_between_are_not_suspect(void **state)
{
    struct restarts *restarts = restarts_new();
    (void)state;
    for (uint64_t number = 1; number < 100; number++) {
        assert_false(again(restarts, number, number, false));     /* each sent twice */
        assert_false(again(restarts, number, number + 3, false)); /* in threes, each twice */
    }
    restarts_free(&restarts);
}

static void test_runs_of_other_keys_do_not_add_up(void **state)
{
    struct restarts *restarts = restarts_new();
    (void)state;
    for (uint64_t number = 1; number < 40; number++) {
        struct used_number used = {number % 8, number / 8, (uint32_t)(40 - number / 8), false};
        assert_false(restarts_suspect(restarts, &used, 1000));
    }
    restarts_free(&restarts);
}

static void test_batch_that_was_sent_again_is_not_suspect(void **state)
{
    struct restarts *restarts = restarts_new();
    (void)state;
    for (uint64_t number = 1; number < 200; number++)
        assert_false(again(restarts, number, 200, true));
    restarts_free(&restarts);
}

static void test_clock_of_another_producer_only_delays_the_suspicion(void **state)
{
    struct restarts *restarts = restarts_new();
    unsigned suspects = 0;
    (void)state;
    for (uint64_t number = 1; number < 40; number++)
        suspects += again(restarts, number, 40, number % 2 == 0);
    assert_int_equal(suspects, 20 - (RESTARTS_RUN - 1)); /* of the odd ones, from the 8th on */
    restarts_free(&restarts);
}

static void test_suspects_are_told_once_in_a_while_and_remembered_for_some_time(void **state)
{
    struct restarts *restarts = restarts_new();
    struct used_number used = {7, 1, 100, false};
    (void)state;
    assert_false(restarts_recent(restarts, 500));
    assert_true(restarts_suspect(restarts, &used, 1000));
    assert_int_equal(restarts_to_tell(restarts, 1000), 1);
    for (int i = 0; i < 5; i++)
        assert_true(restarts_suspect(restarts, &used, 2000));
    assert_int_equal(restarts_to_tell(restarts, 2000), 0);
    assert_int_equal(restarts_to_tell(restarts, 1000 + RESTARTS_TELL), 5);
    assert_true(restarts_recent(restarts, 2000 + RESTARTS_RECENT - 1));
    assert_false(restarts_recent(restarts, 2000 + RESTARTS_RECENT));
    restarts_free(&restarts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_far_below_the_last_is_suspect_at_once),
        cmocka_unit_test(test_run_of_numbers_without_a_new_one_is_suspect),
        cmocka_unit_test(test_doubles_with_new_numbers_between_are_not_suspect),
        cmocka_unit_test(test_runs_of_other_keys_do_not_add_up),
        cmocka_unit_test(test_batch_that_was_sent_again_is_not_suspect),
        cmocka_unit_test(test_clock_of_another_producer_only_delays_the_suspicion),
        cmocka_unit_test(test_suspects_are_told_once_in_a_while_and_remembered_for_some_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
