/* Filters of dead letters: parts from text, ids, and JSON there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dlq/filter.h"

#define NOW_MS INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

static void assert_sets(struct dlq_filter *filter, const char *name, const char *value)
{
    struct err err = {0};
    if (!dlq_filter_set(filter, name, slice_of(value), NOW_MS, &err))
        fail_msg("%s=%s: %s", name, value, err.text);
}

static void assert_refused(const char *name, const char *value, const char *said)
{
    struct dlq_filter filter;
    struct err err = {0};
    dlq_filter_init(&filter);
    assert_false(dlq_filter_set(&filter, name, slice_of(value), NOW_MS, &err));
    assert_int_equal(err.code, ERR_USAGE);
    if (!strstr(err.text, said))
        fail_msg("\"%s\" does not say %s", err.text, said);
    struct dlq_filter empty;
    dlq_filter_init(&empty);
    assert_memory_equal(&filter, &empty, sizeof(empty));
}

static void test_filter_set_of_each_part_is_read(void **state)
{
    (void)state;
    struct dlq_filter filter;
    dlq_filter_init(&filter);
    assert_sets(&filter, "route", "orders");
    assert_sets(&filter, "topic", "dlq.g.orders");
    assert_sets(&filter, "code", "http-503");
    assert_sets(&filter, "signature", "0123456789abcdef");
    assert_sets(&filter, "text", "card declin*");
    assert_sets(&filter, "key", "k");
    assert_string_equal(filter.route, "orders");
    assert_string_equal(filter.topic, "dlq.g.orders");
    assert_string_equal(filter.code, "http-503");
    assert_string_equal(filter.signature, "0123456789abcdef");
    assert_string_equal(filter.text, "card declin*");
    assert_string_equal(filter.key, "k");
    assert_int_equal(filter.key_len, 1);
    assert_sets(&filter, "key_hex", "00fF");
    assert_int_equal(filter.key_len, 2);
    assert_memory_equal(filter.key, "\0\xff", 2);
    assert_sets(&filter, "key", ""); /* an empty key is a key */
    assert_non_null(filter.key);
    assert_int_equal(filter.key_len, 0);
    dlq_filter_deinit(&filter);
}

static void test_filter_status_is_one_or_a_class(void **state)
{
    (void)state;
    struct dlq_filter filter;
    dlq_filter_init(&filter);
    assert_sets(&filter, "status", "404");
    assert_int_equal(filter.status_min, 404);
    assert_int_equal(filter.status_max, 404);
    assert_sets(&filter, "status", "5xx");
    assert_int_equal(filter.status_min, 500);
    assert_int_equal(filter.status_max, 599);
    assert_refused("status", "99", "404, or 5xx");
    assert_refused("status", "600", "404, or 5xx");
    assert_refused("status", "6xx", "404, or 5xx");
    assert_refused("status", "4x", "404, or 5xx");
    assert_refused("status", "", "404, or 5xx");
    assert_refused("status", "+40", "404, or 5xx");
    dlq_filter_deinit(&filter);
}

static void test_filter_times_are_absolute_or_ages(void **state)
{
    (void)state;
    struct dlq_filter filter;
    dlq_filter_init(&filter);
    assert_sets(&filter, "since", "2h");
    assert_true(filter.since_ms == NOW_MS - 7200000);
    assert_sets(&filter, "since", "2026-01-02T04:04:05.678+01:00");
    assert_true(filter.since_ms == NOW_MS);
    assert_sets(&filter, "until", "1767323045678");
    assert_true(filter.until_ms == NOW_MS);
    assert_sets(&filter, "until", "0"); /* 0 would be any */
    assert_true(filter.until_ms == 1);
    assert_refused("since", "yesterday", "an age such as 2h");
    assert_refused("since", "-2h", "an age such as 2h");
    assert_refused("until", "2026-13-02T04:04:05Z", "an age such as 2h");
    assert_refused("until", "999999999999999999", "an age such as 2h");
    assert_refused("until", "90000d", "an age such as 2h");
    dlq_filter_deinit(&filter);
}

static void test_filter_states_none_given_are_open_and_redriving(void **state)
{
    (void)state;
    struct dlq_filter filter;
    dlq_filter_init(&filter);
    assert_int_equal(dlq_filter_states(&filter), DLQ_STATE_OPEN | DLQ_STATE_REDRIVING);
    assert_sets(&filter, "state", "resolved");
    assert_int_equal(dlq_filter_states(&filter), DLQ_STATE_RESOLVED);
    assert_sets(&filter, "state", "open");
    assert_int_equal(filter.states, DLQ_STATE_RESOLVED | DLQ_STATE_OPEN);
    assert_sets(&filter, "state", "any");
    assert_int_equal(filter.states, DLQ_STATE_ANY);
    assert_refused("state", "closed", "open, redriving, resolved, archived or any");
    assert_string_equal(dlq_state_name(DLQ_STATE_ARCHIVED), "archived");
    assert_null(dlq_state_name(DLQ_STATE_ANY));
    assert_null(dlq_state_name(0));
    dlq_filter_deinit(&filter);
}

static void test_filter_wrong_values_are_refused_with_the_part(void **state)
{
    (void)state;
    assert_refused("route", "", "route: is empty");
    assert_refused("code", "\xff", "code: ");
    assert_refused("signature", "0123456789ABCDEF", "16 hex digits");
    assert_refused("signature", "0123", "16 hex digits");
    assert_refused("key_hex", "0", "in pairs");
    assert_refused("key_hex", "0g", "in pairs");
    assert_refused("offset", "1", "\"offset\" is no part of a filter");
    assert_refused("since", "18446744073710", "a time such as"); /* no RFC 3339 that is read */
    assert_refused("id", "x", "<topic>/<partition>/<offset>");
}

static void test_id_parse_takes_one_form_only(void **state)
{
    (void)state;
    struct dlq_id id;
    struct err err = {0};
    assert_true(dlq_id_parse(slice_of("dlq.g.t/3/9223372036854775807"), &id, &err));
    assert_string_equal(id.topic, "dlq.g.t");
    assert_int_equal(id.partition, 3);
    assert_true(id.offset == INT64_MAX);
    struct buf text = {0};
    dlq_id_write(&id, &text);
    assert_string_equal(text.data, "dlq.g.t/3/9223372036854775807");
    buf_deinit(&text);
    dlq_id_deinit(&id);
    static const char *const wrong[] = {
        "",         "t",       "t/1",    "/1/2",   "t//2",           "t/1/",
        "t/1/2/3",  "t/-1/2",  "t/1/-2", "t/1/2 ", "t/2147483648/1", "t/1/9223372036854775808",
        "\x89/1/2", "t t/1/2", "t\n/1/2"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(dlq_id_parse(slice_of(wrong[i]), &id, &err));
}

static void test_filter_ids_are_a_selection(void **state)
{
    (void)state;
    struct dlq_filter filter;
    char text[32];
    dlq_filter_init(&filter);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "t/%d/%d", i % 7, i);
        assert_sets(&filter, "id", text);
    }
    assert_int_equal(filter.id_count, 100);
    assert_int_equal(filter.ids[99].offset, 99);
    assert_int_equal(filter.ids[99].partition, 1);
    dlq_filter_deinit(&filter);
}

static void assert_json(struct dlq_filter *filter, const char *json)
{
    struct buf text = {0}, again = {0};
    struct err err = {0};
    dlq_filter_to_json(filter, &text);
    assert_string_equal(text.data, json);
    struct dlq_filter back;
    dlq_filter_init(&back);
    if (!dlq_filter_from_json(&back, buf_slice(&text), &err))
        fail_msg("%s: %s", text.data, err.text);
    dlq_filter_to_json(&back, &again);
    assert_string_equal(again.data, json);
    assert_int_equal(back.key_len, filter->key_len);
    dlq_filter_deinit(&back);
    dlq_filter_deinit(filter);
    buf_deinit(&text);
    buf_deinit(&again);
}

static void test_filter_json_says_the_same_again(void **state)
{
    (void)state;
    struct dlq_filter filter;
    dlq_filter_init(&filter);
    assert_json(&filter, "{}");
    assert_sets(&filter, "route", "a\"b");
    assert_sets(&filter, "topic", "t");
    assert_sets(&filter, "code", "c");
    assert_sets(&filter, "status", "5xx");
    assert_sets(&filter, "signature", "0123456789abcdef");
    assert_true(dlq_filter_set(&filter, "key", (struct slice){"a\0b", 3}, 0, NULL));
    assert_sets(&filter, "since", "1767323045678");
    assert_sets(&filter, "until", "1767323045679");
    assert_sets(&filter, "text", "x y*");
    assert_sets(&filter, "state", "resolved");
    assert_sets(&filter, "state", "open");
    assert_sets(&filter, "id", "t/1/2");
    assert_sets(&filter, "id", "t/1/3");
    assert_json(&filter, "{\"route\":\"a\\\"b\",\"topic\":\"t\",\"code\":\"c\",\"status\":\"5xx\","
                         "\"signature\":\"0123456789abcdef\",\"key\":\"a\\u0000b\","
                         "\"since\":\"2026-01-02T03:04:05.678Z\","
                         "\"until\":\"2026-01-02T03:04:05.679Z\",\"text\":\"x y*\","
                         "\"state\":[\"open\",\"resolved\"],\"id\":[\"t/1/2\",\"t/1/3\"]}");
    assert_sets(&filter, "status", "404");
    assert_sets(&filter, "key", "\xff\xfe");
    assert_json(&filter, "{\"status\":\"404\",\"key_hex\":\"fffe\"}");
}

static void test_filter_from_json_refuses_what_it_would_lose(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "[]",
        "{",
        "{\"route\":1}",
        "{\"route\":null}",
        "{\"rout\":\"x\"}",
        "{\"id\":[]}",
        "{\"id\":[[\"t/1/2\"]]}",
        "{\"id\":[1]}",
        "{\"state\":[\"gone\"]}",
        "{\"since\":\"2h\"}", /* ages are resolved before they are written */
        "{\"route\":\"x\"} y",
        "{\"route\":[\"x\"]}",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dlq_filter filter;
        struct err err = {0};
        dlq_filter_init(&filter);
        if (dlq_filter_from_json(&filter, slice_of(wrong[i]), &err))
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(err.code, ERR_INPUT);
        dlq_filter_deinit(&filter);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_set_of_each_part_is_read),
        cmocka_unit_test(test_filter_status_is_one_or_a_class),
        cmocka_unit_test(test_filter_times_are_absolute_or_ages),
        cmocka_unit_test(test_filter_states_none_given_are_open_and_redriving),
        cmocka_unit_test(test_filter_wrong_values_are_refused_with_the_part),
        cmocka_unit_test(test_id_parse_takes_one_form_only),
        cmocka_unit_test(test_filter_ids_are_a_selection),
        cmocka_unit_test(test_filter_json_says_the_same_again),
        cmocka_unit_test(test_filter_from_json_refuses_what_it_would_lose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
