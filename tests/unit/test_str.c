#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/utf8.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_str_to_u64_within_range_is_exact(void **state)
{
    (void)state;
    uint64_t n;
    assert_true(str_to_u64(SLICE_LIT("0"), &n));
    assert_true(n == 0);
    assert_true(str_to_u64(SLICE_LIT("9007199254740993"), &n)); /* 2^53 + 1 */
    assert_true(n == UINT64_C(9007199254740993));
    assert_true(str_to_u64(SLICE_LIT("18446744073709551615"), &n));
    assert_true(n == UINT64_MAX);
    assert_true(str_to_u64(SLICE_LIT("00000000000000000000000000007"), &n));
    assert_true(n == 7);
}

static void test_str_to_u64_of_anything_else_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "-1",
                                      "-0",
                                      "1.0",
                                      "1e3",
                                      "0x1",
                                      "18446744073709551616",
                                      "a",
                                      "１",
                                      "99999999999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t n = 42;
        assert_false(str_to_u64(slice_of(bad[i]), &n));
        assert_true(n == 42);
    }
    uint64_t n;
    assert_false(str_to_u64(SLICE_NULL, &n));
    assert_false(str_to_u64((struct slice){"1\0", 2}, &n));
}

static void test_str_to_i64_at_the_ends_is_exact(void **state)
{
    (void)state;
    int64_t n;
    assert_true(str_to_i64(SLICE_LIT("-9223372036854775808"), &n));
    assert_true(n == INT64_MIN);
    assert_true(str_to_i64(SLICE_LIT("9223372036854775807"), &n));
    assert_true(n == INT64_MAX);
    assert_true(str_to_i64(SLICE_LIT("-1"), &n));
    assert_true(n == -1);
}

static void test_str_to_i64_of_anything_else_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "-", "--1", "+1", "9223372036854775808", "-9223372036854775809", "1.5"};
    int64_t n;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_i64(slice_of(bad[i]), &n));
}

static void test_str_to_duration_ms_with_each_unit_scales(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"500ms", 500},
                 {"10s", 10000},
                 {"5m", 300000},
                 {"1h", 3600000},
                 {"7d", 604800000},
                 {"0s", 0},
                 {"9223372036854775807ms", INT64_MAX}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ms;
        assert_true(str_to_duration_ms(slice_of(cases[i].text), &ms));
        assert_true(ms == cases[i].ms);
    }
}

static void test_str_to_duration_ms_of_anything_else_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "10",
                                      "s",
                                      "-1s",
                                      "1.5s",
                                      "10 s",
                                      "10S",
                                      "1w",
                                      "1s ",
                                      "1h30m",
                                      "9223372036854775807s",
                                      "9223372036854775808ms"};
    int64_t ms;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_duration_ms(slice_of(bad[i]), &ms));
    assert_false(str_to_duration_ms(SLICE_NULL, &ms));
}

static void test_str_to_size_with_each_unit_scales(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"512", 512},
                 {"512B", 512},
                 {"64KiB", 65536},
                 {"10MiB", 10485760},
                 {"1GiB", 1073741824},
                 {"2TiB", UINT64_C(2199023255552)},
                 {"0", 0}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t bytes;
        assert_true(str_to_size(slice_of(cases[i].text), &bytes));
        assert_true(bytes == cases[i].bytes);
    }
}

static void test_str_to_size_of_anything_else_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {"",       "KiB", "1KB",   "1kib",
                                      "1.5MiB", "-1",  "1 KiB", "99999999999GiB"};
    uint64_t bytes;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_to_size(slice_of(bad[i]), &bytes));
}

static void test_str_from_duration_ms_takes_the_largest_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{60000, "1m"},    {90000, "90s"},
                 {1500, "1500ms"}, {0, "0s"},
                 {86400000, "1d"}, {90000000, "25h"},
                 {-2000, "-2s"},   {INT64_MIN, "-9223372036854775808ms"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[STR_DURATION_MAX];
        str_from_duration_ms(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_str_from_size_takes_the_largest_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{65536, "64KiB"},
                 {1536, "1536B"},
                 {0, "0B"},
                 {UINT64_C(1) << 40, "1TiB"},
                 {UINT64_MAX, "18446744073709551615B"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[STR_SIZE_MAX];
        str_from_size(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_str_is_utf8_follows_rfc3629(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"", true},
        {"ascii", true},
        {"\xc2\x80\xdf\xbf", true},
        {"\xe0\xa0\x80\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc1\xbf", false},         /* overlong */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", false},
        {"a\xe2\x82", false}, /* cut off */
        {"\xe2\x82x", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(str_is_utf8(slice_of(cases[i].text)), cases[i].ok);
}

static void test_utf8_cut_never_splits_a_character(void **state)
{
    (void)state;
    const char *text = "a\xe2\x82\xac"
                       "b\xf0\x9f\x98\x80";
    static const size_t expected[] = {0, 1, 1, 1, 4, 5, 5, 5, 5, 9, 9};
    for (size_t limit = 0; limit < COUNT_OF(expected); limit++)
        assert_int_equal(utf8_cut(text, 9, limit), expected[limit]);
    /* Bytes that are no characters are cut where they are. */
    assert_int_equal(utf8_cut("\x80\x80\x80\x80", 4, 2), 2);
}

static void test_str_distance_within_limit_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(str_distance("kitten", "sitting", 5), 3);
    assert_int_equal(str_distance("", "abc", 5), 3);
    assert_int_equal(str_distance("abc", "", 5), 3);
    assert_int_equal(str_distance("same", "same", 0), 0);
    assert_int_equal(str_distance("ordering", "orderng", 2), 1);
}

static void test_str_distance_beyond_limit_gives_limit_plus_one(void **state)
{
    (void)state;
    assert_int_equal(str_distance("kitten", "sitting", 2), 3);
    assert_int_equal(str_distance("abc", "xyz", 2), 3);
    assert_int_equal(str_distance("wxab", "abyz", 2), 3); /* 4, seen only at the last column */
    assert_int_equal(str_distance("a", "abcdefgh", 3), 4);
    char longer[300];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(str_distance(longer, longer, 3), 4);
}

static void test_str_copy_cuts_and_says_so(void **state)
{
    (void)state;
    char out[4];
    assert_true(str_copy(out, sizeof(out), SLICE_LIT("abc")));
    assert_string_equal(out, "abc");
    assert_false(str_copy(out, sizeof(out), SLICE_LIT("abcd")));
    assert_string_equal(out, "abc");
    assert_true(str_copy(out, sizeof(out), SLICE_NULL));
    assert_string_equal(out, "");
    assert_false(str_copy(out, 0, SLICE_LIT("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_to_u64_within_range_is_exact),
        cmocka_unit_test(test_str_to_u64_of_anything_else_fails),
        cmocka_unit_test(test_str_to_i64_at_the_ends_is_exact),
        cmocka_unit_test(test_str_to_i64_of_anything_else_fails),
        cmocka_unit_test(test_str_to_duration_ms_with_each_unit_scales),
        cmocka_unit_test(test_str_to_duration_ms_of_anything_else_fails),
        cmocka_unit_test(test_str_to_size_with_each_unit_scales),
        cmocka_unit_test(test_str_to_size_of_anything_else_fails),
        cmocka_unit_test(test_str_from_duration_ms_takes_the_largest_unit),
        cmocka_unit_test(test_str_from_size_takes_the_largest_unit),
        cmocka_unit_test(test_str_is_utf8_follows_rfc3629),
        cmocka_unit_test(test_utf8_cut_never_splits_a_character),
        cmocka_unit_test(test_str_distance_within_limit_counts_edits),
        cmocka_unit_test(test_str_distance_beyond_limit_gives_limit_plus_one),
        cmocka_unit_test(test_str_copy_cuts_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
