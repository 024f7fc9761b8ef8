/* Leader epochs by ranges of offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kafka/epochs.h"

static void test_epochs_of_the_range_that_an_offset_is_in(void **state)
{
    struct epochs epochs = {0};
    (void)state;

    assert_int_equal(epochs_of(&epochs, 5), -1);
    epochs_add(&epochs, 0, -1);
    epochs_add(&epochs, 100, 3);
    epochs_add(&epochs, 101, 3); /* the same: no range of its own */
    epochs_add(&epochs, 200, 5);
    assert_int_equal(epochs.count, 3);
    assert_int_equal(epochs_of(&epochs, 99), -1);
    assert_int_equal(epochs_of(&epochs, 100), 3);
    assert_int_equal(epochs_of(&epochs, 199), 3);
    assert_int_equal(epochs_of(&epochs, 4000), 5);
    epochs_deinit(&epochs);
}

static void test_epochs_forget_keeps_what_covers_the_offset(void **state)
{
    struct epochs epochs = {0};
    (void)state;

    epochs_forget(&epochs, 7);
    epochs_add(&epochs, 0, 1);
    epochs_add(&epochs, 100, 2);
    epochs_add(&epochs, 200, 3);
    epochs_forget(&epochs, 99);
    assert_int_equal(epochs.count, 3);
    epochs_forget(&epochs, 100);
    assert_int_equal(epochs.count, 2);
    assert_int_equal(epochs_of(&epochs, 150), 2);
    epochs_forget(&epochs, 100000);
    assert_int_equal(epochs.count, 1);
    assert_int_equal(epochs_of(&epochs, 100000), 3);
    epochs_deinit(&epochs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epochs_of_the_range_that_an_offset_is_in),
        cmocka_unit_test(test_epochs_forget_keeps_what_covers_the_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
