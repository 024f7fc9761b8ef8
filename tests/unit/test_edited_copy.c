/* Edited copies of dead letters: what may be changed, what is locked, and what they say of
 * themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dlq/edited_copy.h"

/* At file scope no compound literal is constant. */
#define LIT(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static struct record_header letter_headers[] = {
    {LIT("seq"), LIT("7")},
    {LIT("trace"), LIT("t1")},
    {LIT("oncegate-version"), LIT("1")},
    {LIT("oncegate-group"), LIT("app")},
    {LIT("oncegate-route"), LIT("orders")},
    {LIT("oncegate-attempt"), LIT("3")},
    {LIT("oncegate-origin-topic"), LIT("orders")},
    {LIT("oncegate-origin-partition"), LIT("0")},
    {LIT("oncegate-origin-offset"), LIT("41")},
    {LIT("oncegate-origin-timestamp"), LIT("1767323045678")},
    {LIT("oncegate-first-failed-at"), LIT("1767323045678")},
    {LIT("oncegate-last-failed-at"), LIT("1767323045678")},
    {LIT("oncegate-error-code"), LIT("http-400")},
    {LIT("oncegate-redrive-id"), LIT("r-1")},
    {LIT("oncegate-redrive-count"), LIT("1")},
    {LIT("oncegate-first-letter"), LIT("uuid/0/3")},
    {LIT("oncegate-edited-from"), LIT("dlq.app.orders/0/1")},
};
static const struct record letter = {.topic = LIT("dlq.app.orders"),
                                     .offset = 5,
                                     .key = LIT("k"),
                                     .value = LIT("{\"id\":1,\"total\":\"ten\"}"),
                                     .headers = letter_headers,
                                     .header_count = sizeof(letter_headers) /
                                                     sizeof(letter_headers[0])};
static char seq[] = "seq", id[] = "/id";
static const struct identity_rule by_header = {
    .kind = IDENTITY_SEQUENCE, .key = {FIELD_KAFKA_KEY, NULL}, .number = {FIELD_HEADER, seq}};
static const struct identity_rule by_value = {
    .kind = IDENTITY_SEQUENCE, .key = {FIELD_KAFKA_KEY, NULL}, .number = {FIELD_JSON, id}};

static size_t find(const struct edited_copy *copy, const char *name, size_t *at)
{
    size_t count = 0;
    for (size_t i = 0; i < copy->headers.count; i++) {
        if (!slice_equal_text(copy->headers.items[i].name, name))
            continue;
        *at = i;
        count++;
    }
    return count;
}

static void test_the_copy_is_a_letter_of_its_own_that_names_the_first(void **state)
{
    static const char *const gone[] = {"oncegate-redrive-id", "oncegate-redrive-count",
                                       "oncegate-first-letter"};
    struct letter_edit edit = {.has_value = true, .value = SLICE_LIT("{\"id\":1,\"total\":10}")};
    struct edited_copy copy;
    struct err err = {0};
    size_t at = 0;
    (void)state;
    assert_true(edited_copy_make(&copy, &letter, &edit, &by_value, "dlq.app.orders/0/3", &err));
    assert_true(slice_equal(copy.value, edit.value) && copy.value_changed && copy.changed.len == 0);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        assert_int_equal(find(&copy, gone[i], &at), 0);
    assert_int_equal(find(&copy, "oncegate-edited-from", &at), 1);
    assert_true(slice_equal_text(copy.headers.items[at].value, "dlq.app.orders/0/3"));
    assert_int_equal(find(&copy, "oncegate-origin-offset", &at), 1);
    assert_int_equal(find(&copy, "oncegate-error-code", &at), 1);
    assert_int_equal(find(&copy, "trace", &at), 1);
    edited_copy_deinit(&copy);
}

static void test_headers_of_the_app_can_be_changed_and_are_named(void **state)
{
    struct record_header headers[] = {{SLICE_LIT("seq"), SLICE_LIT("7")},
                                      {SLICE_LIT("new"), SLICE_NULL}};
    struct letter_edit edit = {.has_headers = true, .headers = headers, .header_count = 2};
    struct edited_copy copy;
    struct err err = {0};
    size_t at = 0;
    (void)state;
    assert_true(edited_copy_make(&copy, &letter, &edit, &by_header, "x/0/3", &err));
    assert_false(copy.value_changed);
    assert_true(slice_equal(copy.value, letter.value));
    assert_string_equal(copy.changed.data, "\"new\",\"trace\"");
    assert_int_equal(find(&copy, "trace", &at), 0);
    assert_int_equal(find(&copy, "new", &at), 1);
    edited_copy_deinit(&copy);
}

static void refused(const struct letter_edit *edit, const struct identity_rule *rule,
                    const char *what)
{
    struct edited_copy copy;
    struct err err = {0};
    assert_false(edited_copy_make(&copy, &letter, edit, rule, "x/0/3", &err));
    if (!strstr(err.text, what) || err.code != ERR_INPUT)
        fail_msg("%s: %s", what, err.text);
    edited_copy_deinit(&copy);
}

static void test_identity_and_our_headers_are_locked(void **state)
{
    struct record_header other[] = {{SLICE_LIT("seq"), SLICE_LIT("8")}};
    struct record_header own[] = {{SLICE_LIT("seq"), SLICE_LIT("7")},
                                  {SLICE_LIT("oncegate-origin-offset"), SLICE_LIT("1")}};
    struct record_header nul[] = {{SLICE_LIT("seq"), SLICE_LIT("7")},
                                  {SLICE_LIT("a\0b"), SLICE_LIT("1")}};
    struct letter_edit edit = {.has_headers = true, .headers = other, .header_count = 1};
    (void)state;
    refused(&edit, &by_header, "its sequence, epoch or key");
    edit.header_count = 0;
    refused(&edit, &by_header, "its sequence, epoch or key");
    edit = (struct letter_edit){.has_headers = true, .headers = own, .header_count = 2};
    refused(&edit, &by_header, "oncegate-origin-offset is one of oncegate's own");
    edit.headers = nul;
    refused(&edit, &by_header, "a name is empty, or holds a NUL");
    edit = (struct letter_edit){.has_value = true, .value = SLICE_LIT("{\"id\":2}")};
    refused(&edit, &by_value, "locked");
    edit.value = SLICE_LIT("no JSON");
    refused(&edit, &by_value, "locked");
    edit.value = SLICE_NULL;
    refused(&edit, &by_value, "locked");
    edit.value = letter.value;
    refused(&edit, &by_value, "nothing is changed");
    edit = (struct letter_edit){0};
    refused(&edit, &by_value, "nothing is changed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_copy_is_a_letter_of_its_own_that_names_the_first),
        cmocka_unit_test(test_headers_of_the_app_can_be_changed_and_are_named),
        cmocka_unit_test(test_identity_and_our_headers_are_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
