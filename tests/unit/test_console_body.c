/* Bodies of requests: what is there is taken as it is meant, everything else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "console/body.h"

static const char *const names[] = {"filter", "text", "number", "flag", NULL};

static struct body *parse(const char *text)
{
    struct err err = {0};
    struct body *body = body_parse(slice_of(text), names, &err);
    if (!body && err.code != ERR_USAGE)
        fail_msg("%s: refused without a usage error", text);
    return body;
}

static void test_body_parse_refuses_what_is_no_object_of_these_members(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "null",
                                      "1",
                                      "\"a\"",
                                      "{} {}",
                                      "{}x",
                                      "{\"other\":1}",
                                      "{\"text\":\"a\",}",
                                      "{'text':1}",
                                      "{\"text\":\"\xff\"}",
                                      "{\"filter\":[[[[[[[[[[[[1]]]]]]]]]]]]}"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct body *body = parse(bad[i]);
        if (body)
            fail_msg("taken: %s", bad[i]);
    }
}

static bool number_of(const char *text, uint64_t *out)
{
    struct body *body = parse(text);
    struct err err = {0};
    bool ok;
    assert_non_null(body);
    ok = body_number(body, "number", 1, 1000, out, &err);
    body_free(&body);
    return ok;
}

static void test_body_number_takes_integers_in_range_however_they_are_written(void **state)
{
    static const char *const bad[] = {
        "{\"number\":0}",    "{\"number\":1001}",  "{\"number\":-1}",
        "{\"number\":1.5}",  "{\"number\":1e300}", "{\"number\":\"1\"}",
        "{\"number\":null}", "{\"number\":true}",  "{\"number\":99999999999999999999}",
        "{\"number\":[1]}"};
    uint64_t number = 7;
    (void)state;
    assert_true(number_of("{}", &number));
    assert_int_equal(number, 7);
    assert_true(number_of("{\"number\":1000}", &number));
    assert_int_equal(number, 1000);
    assert_true(number_of("{\"number\":2.0}", &number));
    assert_int_equal(number, 2);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (number_of(bad[i], &number))
            fail_msg("taken: %s", bad[i]);
    }
}

static void test_body_text_and_bool_take_their_type_only(void **state)
{
    struct body *body = parse("{\"text\":\"a\\u00e4\",\"flag\":true,\"number\":\"a\\u0000b\"}");
    struct err err = {0};
    char *text = NULL;
    bool flag = false;
    (void)state;
    assert_true(body_text(body, "text", 3, &text, &err));
    assert_string_equal(text, "a\xc3\xa4");
    assert_true(body_bool(body, "flag", &flag, &err));
    assert_true(flag);
    assert_false(body_text(body, "text", 2, &text, &err));
    assert_false(body_text(body, "flag", 10, &text, &err));
    assert_false(body_text(body, "number", 10, &text, &err)); /* a NUL */
    assert_false(body_bool(body, "text", &flag, &err));
    mem_free(text);
    body_free(&body);
}

static bool filter_of(const char *text, bool may_search, struct dlq_filter *filter, struct err *err)
{
    struct body *body = parse(text);
    bool ok;
    assert_non_null(body);
    dlq_filter_init(filter);
    ok = body_filter(body, INT64_C(1700000000000), may_search, filter, err);
    body_free(&body);
    return ok;
}

static void test_body_filter_resolves_ages_and_keeps_selections(void **state)
{
    struct dlq_filter filter;
    struct err err = {0};
    (void)state;
    assert_true(filter_of("{\"filter\":{\"since\":\"1h\",\"key\":\"a\\u0000b\",\"state\":[\"open\","
                          "\"archived\"],\"id\":[\"dlq.a/0/1\",\"dlq.a/0/2\"]}}",
                          true, &filter, &err));
    assert_int_equal(filter.since_ms, INT64_C(1700000000000) - 3600000);
    assert_int_equal(filter.key_len, 3);
    assert_int_equal(filter.states, DLQ_STATE_OPEN | DLQ_STATE_ARCHIVED);
    assert_int_equal(filter.id_count, 2);
    dlq_filter_deinit(&filter);
}

static void test_body_filter_refuses_what_would_select_more(void **state)
{
    static const char *const bad[] = {"{}",
                                      "{\"filter\":null}",
                                      "{\"filter\":\"a\"}",
                                      "{\"filter\":{\"rout\":\"a\"}}",
                                      "{\"filter\":{\"id\":[]}}",
                                      "{\"filter\":{\"id\":\"dlq.a/0/1\"}}",
                                      "{\"filter\":{\"state\":[1]}}",
                                      "{\"filter\":{\"route\":[\"a\"]}}",
                                      "{\"filter\":{\"route\":null}}"};
    struct dlq_filter filter;
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (filter_of(bad[i], true, &filter, &err))
            fail_msg("taken: %s", bad[i]);
        dlq_filter_deinit(&filter);
    }
    assert_false(filter_of("{\"filter\":{\"text\":\"a\"}}", false, &filter, &err));
    assert_int_equal(err.code, ERR_DENIED);
    dlq_filter_deinit(&filter);
    assert_true(filter_of("{\"filter\":{\"text\":\"a\"}}", true, &filter, &err));
    dlq_filter_deinit(&filter);
}

static bool edit_of(const char *text, struct body_edit *edit)
{
    static const char *const members[] = {"value", "headers", NULL};
    struct err err = {0};
    struct body *body = body_parse(slice_of(text), members, &err);
    bool ok = body && body_edit(body, edit, &err);
    if (!ok && err.code != ERR_USAGE)
        fail_msg("%s: refused without a usage error", text);
    body_free(&body);
    return ok;
}

static void test_body_edit_takes_bytes_as_they_are_meant(void **state)
{
    struct body_edit edit;
    (void)state;
    assert_true(edit_of("{\"value\":{\"encoding\":\"base64\",\"text\":\"/wA=\"},\"headers\":["
                        "{\"name\":\"a\",\"encoding\":\"null\"},"
                        "{\"name\":\"a\",\"encoding\":\"text\",\"text\":\"\"}]}",
                        &edit));
    assert_true(edit.has_value && slice_equal(edit.value, (struct slice){"\xff\0", 2}));
    assert_true(edit.has_headers && edit.header_count == 2);
    assert_true(slice_equal_text(edit.headers[0].name, "a") &&
                slice_is_null(edit.headers[0].value));
    assert_true(!slice_is_null(edit.headers[1].value) && edit.headers[1].value.len == 0);
    body_edit_deinit(&edit);
    assert_true(edit_of("{\"value\":{\"encoding\":\"null\"}}", &edit));
    assert_true(edit.has_value && slice_is_null(edit.value) && !edit.has_headers);
    body_edit_deinit(&edit);
    assert_true(edit_of("{\"headers\":[]}", &edit));
    assert_true(!edit.has_value && edit.has_headers && edit.header_count == 0);
    body_edit_deinit(&edit);
}

static void test_body_edit_refuses_what_is_not_said_in_full(void **state)
{
    static const char *const bad[] = {
        "{\"value\":null}",
        "{\"value\":\"text\"}",
        "{\"value\":{\"text\":\"a\"}}",
        "{\"value\":{\"encoding\":\"text\"}}",
        "{\"value\":{\"encoding\":\"hex\",\"text\":\"00\"}}",
        "{\"value\":{\"encoding\":\"base64\",\"text\":\"%\"}}",
        "{\"value\":{\"encoding\":\"text\",\"text\":1}}",
        "{\"value\":{\"encoding\":\"text\",\"text\":\"\",\"cut\":true}}",
        "{\"headers\":{}}",
        "{\"headers\":[1]}",
        "{\"headers\":[{\"encoding\":\"null\"}]}",
        "{\"headers\":[{\"name\":1,\"encoding\":\"null\"}]}",
        "{\"headers\":[{\"name\":\"a\",\"encoding\":\"text\"}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct body_edit edit = {0};
        if (edit_of(bad[i], &edit))
            fail_msg("taken: %s", bad[i]);
        body_edit_deinit(&edit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_parse_refuses_what_is_no_object_of_these_members),
        cmocka_unit_test(test_body_number_takes_integers_in_range_however_they_are_written),
        cmocka_unit_test(test_body_text_and_bool_take_their_type_only),
        cmocka_unit_test(test_body_filter_resolves_ages_and_keeps_selections),
        cmocka_unit_test(test_body_filter_refuses_what_would_select_more),
        cmocka_unit_test(test_body_edit_takes_bytes_as_they_are_meant),
        cmocka_unit_test(test_body_edit_refuses_what_is_not_said_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
