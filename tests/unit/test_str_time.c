#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/str.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_str_rfc3339_to_ns_with_valid_text_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:00.000000001Z", 1},
        {"2026-01-02T03:04:05.678Z", UINT64_C(1767323045678000000)},
        {"2026-01-02t03:04:05.678z", UINT64_C(1767323045678000000)},
        {"2026-01-02 03:04:05.678Z", UINT64_C(1767323045678000000)},
        {"2026-01-02T05:04:05.678+02:00", UINT64_C(1767323045678000000)},
        {"2026-01-01T21:34:05.678-05:30", UINT64_C(1767323045678000000)},
        {"2026-01-02T03:04:05.1234567899Z", UINT64_C(1767323045123456789)},
        {"2024-02-29T23:59:59Z", UINT64_C(1709251199000000000)},
        {"2016-12-31T23:59:60Z", UINT64_C(1483228800000000000)},
        {"1970-01-01T01:00:00+01:00", 0},
        {"2554-07-21T23:34:33.709551615Z", UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t ns;
        assert_true(str_rfc3339_to_ns(slice_of(cases[i].text), &ns));
        assert_true(ns == cases[i].ns);
    }
}

static void test_str_rfc3339_to_ns_of_anything_else_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04Z",
        "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2100-02-29T03:04:05Z",
        "2026-01-32T03:04:05Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:61Z",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05Z ",
        " 2026-01-02T03:04:05Z",
        "26-01-02T03:04:05Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:30:00+01:00",
        "2554-07-21T23:34:33.709551616Z",
        "9999-12-31T23:59:59Z",
        "1767323045678",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t ns = 42;
        assert_false(str_rfc3339_to_ns(slice_of(bad[i]), &ns));
        assert_true(ns == 42);
    }
}

static void test_str_rfc3339_from_ms_writes_utc(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {INT64_C(1767323045678), "2026-01-02T03:04:05.678Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_MAX, "292278994-08-17T07:12:55.807Z"},
        {INT64_MIN, "-292275055-05-16T16:47:04.192Z"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[STR_RFC3339_MAX];
        str_rfc3339_from_ms(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* The calendar against the C library's, on every day of 400 years. */
static void test_str_rfc3339_there_and_back_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t s = 0; s < INT64_C(400) * 366 * 86400; s += 86399) {
        char text[STR_RFC3339_MAX];
        char expected[STR_RFC3339_MAX];
        time_t t = (time_t)s;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.123Z", &tm);
        str_rfc3339_from_ms(s * 1000 + 123, text);
        assert_string_equal(text, expected);
        uint64_t ns;
        assert_true(str_rfc3339_to_ns(slice_of(text), &ns));
        assert_true(ns == (uint64_t)s * NS_PER_S + 123 * NS_PER_MS);
    }
}

static int64_t wall_2026(void)
{
    return INT64_C(1767323045678);
}

static void test_str_http_date_to_s_reads_all_three_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Friday, 02-Jan-26 03:04:05 GMT", 1767323045},
        {"Saturday, 02-Jan-77 00:00:00 GMT", 221011200}, /* more than 50 years ahead: 1977 */
        {"Saturday, 02-Jan-76 00:00:00 GMT", INT64_C(3345148800)}, /* 2076 */
    };
    clock_set_for_test(NULL, wall_2026);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t s = 0;
        assert_true(str_http_date_to_s(slice_of(cases[i].text), &s));
        assert_int_equal(s, cases[i].s);
    }
    clock_set_for_test(NULL, NULL);
}

static void test_str_http_date_to_s_of_anything_else_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "120",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nob 1994 08:49:37 GMT",
        "06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37",
        "1994-11-06T08:49:37Z",
    };
    int64_t s;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(str_http_date_to_s(slice_of(bad[i]), &s));
    assert_false(str_http_date_to_s(SLICE_NULL, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_rfc3339_to_ns_with_valid_text_is_exact),
        cmocka_unit_test(test_str_rfc3339_to_ns_of_anything_else_fails),
        cmocka_unit_test(test_str_rfc3339_from_ms_writes_utc),
        cmocka_unit_test(test_str_rfc3339_there_and_back_agrees_with_the_c_library),
        cmocka_unit_test(test_str_http_date_to_s_reads_all_three_forms),
        cmocka_unit_test(test_str_http_date_to_s_of_anything_else_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
