#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void test_err_set_with_text_fills_it_and_returns_false(void **state)
{
    (void)state;
    struct err err = {.fatal = true, .retriable = true};
    assert_false(err_set(&err, ERR_CONFIG, "line %d: %s", 7, "wrong"));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_string_equal(err.text, "line 7: wrong");
    assert_false(err.retriable);
    assert_false(err.fatal);
}

static void test_err_set_without_err_returns_false(void **state)
{
    (void)state;
    assert_false(err_set(NULL, ERR_IO, "x"));
    assert_false(err_set_retriable(NULL, ERR_IO, "x"));
    assert_false(err_prefix(NULL, "x"));
    err_clear(NULL);
}

static void test_err_set_retriable_marks_it(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set_retriable(&err, ERR_UNAVAILABLE, "away"));
    assert_true(err.retriable);
}

static void test_err_set_with_line_feeds_keeps_one_line(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_IO, "%s", "a\nb\r\tc\x7f"));
    assert_string_equal(err.text, "a b  c ");
}

static void test_err_set_from_its_own_text_is_safe(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_IO, "disk"));
    assert_false(err_set(&err, ERR_INTERNAL, "while saving: %s", err.text));
    assert_string_equal(err.text, "while saving: disk");
}

static void test_err_set_with_long_text_is_cut_and_terminated(void **state)
{
    (void)state;
    struct err err = {0};
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_false(err_set(&err, ERR_IO, "%s", text));
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    assert_false(err_prefix(&err, "%s", text));
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void test_err_prefix_puts_words_before_and_keeps_the_code(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set_retriable(&err, ERR_TIMEOUT, "no answer"));
    assert_false(err_prefix(&err, "topic %s", "orders"));
    assert_string_equal(err.text, "topic orders: no answer");
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_true(err.retriable);
}

static void test_err_clear_forgets_everything(void **state)
{
    (void)state;
    struct err err = {.code = ERR_IO, .fatal = true, .retriable = true, .text = "x"};
    err_clear(&err);
    assert_int_equal(err.code, ERR_NONE);
    assert_false(err.fatal || err.retriable);
    assert_string_equal(err.text, "");
}

static void test_err_exit_code_of_each_code_is_its_sysexits_number(void **state)
{
    (void)state;
    static const int expected[] = {
        [ERR_NONE] = 0,         [ERR_USAGE] = 64,     [ERR_INPUT] = 65, [ERR_NO_FILE] = 66,
        [ERR_UNAVAILABLE] = 69, [ERR_INTERNAL] = 70,  [ERR_IO] = 74,    [ERR_AGAIN] = 75,
        [ERR_DENIED] = 77,      [ERR_CONFIG] = 78,    [ERR_LIMIT] = 65, [ERR_PROTOCOL] = 69,
        [ERR_TIMEOUT] = 75,     [ERR_CANCELLED] = 75,
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct err err = {.code = (enum err_code)i};
        assert_int_equal(err_exit_code(&err), expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_set_with_text_fills_it_and_returns_false),
        cmocka_unit_test(test_err_set_without_err_returns_false),
        cmocka_unit_test(test_err_set_retriable_marks_it),
        cmocka_unit_test(test_err_set_with_line_feeds_keeps_one_line),
        cmocka_unit_test(test_err_set_from_its_own_text_is_safe),
        cmocka_unit_test(test_err_set_with_long_text_is_cut_and_terminated),
        cmocka_unit_test(test_err_prefix_puts_words_before_and_keeps_the_code),
        cmocka_unit_test(test_err_clear_forgets_everything),
        cmocka_unit_test(test_err_exit_code_of_each_code_is_its_sysexits_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
