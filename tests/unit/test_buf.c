#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_buf_add_growing_keeps_all_bytes_terminated(void **state)
{
    (void)state;
    struct buf buf = {0};
    for (int i = 0; i < 10000; i++)
        buf_add_char(&buf, (char)('a' + i % 26));
    assert_int_equal(buf.len, 10000);
    assert_int_equal(strlen(buf.data), 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
    buf_deinit(&buf);
    assert_null(buf.data);
}

static void test_buf_add_nothing_gives_an_empty_string(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    assert_false(slice_is_null(buf_slice(&buf)));
    buf_add(&buf, NULL, 0);
    buf_add_slice(&buf, SLICE_NULL);
    assert_string_equal(buf.data, "");
    buf_deinit(&buf);
}

static void test_buf_reset_keeps_the_memory(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_reset(&buf);
    buf_add_text(&buf, "hello");
    const char *data = buf.data;
    buf_reset(&buf);
    assert_ptr_equal(buf.data, data);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.len, 0);
    buf_deinit(&buf);
}

static void test_buf_reserve_then_adding_that_much_does_not_move(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_text(&buf, "x");
    buf_reserve(&buf, 1000);
    const char *data = buf.data;
    for (int i = 0; i < 1000; i++)
        buf_add_char(&buf, 'y');
    assert_ptr_equal(buf.data, data);
    buf_deinit(&buf);
}

static void test_buf_add_u64_and_i64_at_the_ends_writes_all_digits(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_u64(&buf, 0);
    buf_add_char(&buf, ' ');
    buf_add_u64(&buf, UINT64_MAX);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, INT64_MIN);
    buf_add_char(&buf, ' ');
    buf_add_i64(&buf, INT64_MAX);
    assert_string_equal(buf.data,
                        "0 18446744073709551615 -9223372036854775808 9223372036854775807");
    buf_deinit(&buf);
}

static void test_buf_printf_appends(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_text(&buf, "a");
    buf_printf(&buf, "%s-%0500d", "b", 1);
    assert_int_equal(buf.len, 503);
    assert_memory_equal(buf.data, "ab-0", 4);
    assert_string_equal(buf.data + 500, "001");
    buf_deinit(&buf);
}

struct text_case {
    struct slice in;
    const char *out;
};

static void test_buf_add_json_of_any_bytes_gives_a_clean_string(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {{"", 0}, "\"\""},
        {{"plain", 5}, "\"plain\""},
        {{"a\"b\\c", 5}, "\"a\\\"b\\\\c\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x1b\x7f", 3}, "\"\\u0000\\u001b\\u007f\""},
        {{"gr\xc3\xbc\xc3\x9f", 6}, "\"gr\xc3\xbc\xc3\x9f\""},
        {{"\xe2\x82\xac\xf0\x9f\x98\x80", 7}, "\"\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {{"\xc2\x9b", 2}, "\"\\u009b\""}, /* CSI of terminals */
        {{"a\xff"
          "b",
          3},
         "\"a\xef\xbf\xbd"
         "b\""},                                                           /* never a lead byte */
        {{"\xc0\xaf", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* overlong */
        {{"\xe2\x82", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},                 /* cut off */
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf buf = {0};
        buf_add_json(&buf, cases[i].in);
        assert_string_equal(buf.data, cases[i].out);
        buf_deinit(&buf);
    }
}

static void test_buf_add_visible_escapes_what_is_not_seen(void **state)
{
    struct buf buf = {0};
    (void)state;
    buf_add_visible(&buf,
                    SLICE_LIT("{\n \"a\":\"x\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\xa0\xc3\xa9\"}"));
    assert_string_equal(buf.data, "{\n \"a\":\"x\\u007f\\u009b\\u202e\\udb40\\udc20\xc3\xa9\"}");
    buf_deinit(&buf);
}

static void test_buf_add_percent_of_any_bytes_encodes_all_but_unreserved(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {{"AZaz09-._~", 10}, "AZaz09-._~"},
        {{"a/b c%", 6}, "a%2Fb%20c%25"},
        {{"\0\xff\"", 3}, "%00%FF%22"},
        {{"\xc3\xbc", 2}, "%C3%BC"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf buf = {0};
        buf_add_percent(&buf, cases[i].in, "");
        assert_string_equal(buf.data, cases[i].out);
        buf_deinit(&buf);
    }
}

static void test_buf_add_percent_with_keep_leaves_those(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_add_percent(&buf, SLICE_LIT("a/b:c\0"), "/");
    assert_string_equal(buf.data, "a/b%3Ac%00");
    buf_deinit(&buf);
}

static void test_kept_bytes_stand_where_it_says(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_reserve(&buf, 16);
    struct slice first = buf_keep(&buf, SLICE_LIT("ab"));
    struct slice empty = buf_keep(&buf, SLICE_LIT(""));
    struct slice null = buf_keep(&buf, SLICE_NULL);
    struct slice last = buf_keep(&buf, SLICE_LIT("c"));
    assert_true(slice_equal_text(first, "ab") && first.data[2] == '\0');
    assert_true(empty.len == 0 && !slice_is_null(empty));
    assert_true(slice_is_null(null));
    assert_true(slice_equal_text(last, "c") && last.data == buf.data + 4);
    buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_bytes_stand_where_it_says),
        cmocka_unit_test(test_buf_add_growing_keeps_all_bytes_terminated),
        cmocka_unit_test(test_buf_add_nothing_gives_an_empty_string),
        cmocka_unit_test(test_buf_reset_keeps_the_memory),
        cmocka_unit_test(test_buf_reserve_then_adding_that_much_does_not_move),
        cmocka_unit_test(test_buf_add_u64_and_i64_at_the_ends_writes_all_digits),
        cmocka_unit_test(test_buf_printf_appends),
        cmocka_unit_test(test_buf_add_json_of_any_bytes_gives_a_clean_string),
        cmocka_unit_test(test_buf_add_visible_escapes_what_is_not_seen),
        cmocka_unit_test(test_buf_add_percent_of_any_bytes_encodes_all_but_unreserved),
        cmocka_unit_test(test_buf_add_percent_with_keep_leaves_those),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
