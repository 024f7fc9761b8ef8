#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "record/json_field.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_json_find_by_pointer_gives_kind_and_raw_text(void **state)
{
    (void)state;
    static const char text[] =
        " {\"a\" : 1 , \"b\":{\"c\":[10,\"x\",{\"d\":null}]},\"\":\"empty\",\"m/n\":true,"
        "\"t~u\":false,\"k\\u0041\":-1.5e+3,\"0\":{\"1\":2},\"big\":18446744073709551616} ";
    static const struct {
        const char *pointer;
        enum json_kind kind;
        const char *raw;
    } cases[] = {
        {"/a", JSON_NUMBER, "1"},
        {"/b/c/0", JSON_NUMBER, "10"},
        {"/b/c/1", JSON_STRING, "x"},
        {"/b/c/2/d", JSON_NULL, "null"},
        {"/b/c", JSON_ARRAY, "[10,\"x\",{\"d\":null}]"},
        {"/b", JSON_OBJECT, "{\"c\":[10,\"x\",{\"d\":null}]}"},
        {"/", JSON_STRING, "empty"},
        {"/m~1n", JSON_BOOL, "true"},
        {"/t~0u", JSON_BOOL, "false"},
        {"/kA", JSON_NUMBER, "-1.5e+3"},
        {"/0/1", JSON_NUMBER, "2"},
        {"/big", JSON_NUMBER, "18446744073709551616"},
        {"/none", JSON_ABSENT, NULL},
        {"/a/b", JSON_ABSENT, NULL},
        {"/b/c/3", JSON_ABSENT, NULL},
        {"/b/c/00", JSON_ABSENT, NULL},
        {"/b/c/-", JSON_ABSENT, NULL},
        {"/b/c/", JSON_ABSENT, NULL},
        {"/b/c/99999999999999999999999", JSON_ABSENT, NULL},
        {"/b/c/0x", JSON_ABSENT, NULL},
        {"a", JSON_ABSENT, NULL},
        {"/a/", JSON_ABSENT, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json_field field = {.pointer = cases[i].pointer};
        assert_true(json_find(slice_of(text), &field, 1));
        assert_int_equal(field.kind, cases[i].kind);
        if (cases[i].raw)
            assert_true(slice_equal_text(field.raw, cases[i].raw));
    }
}

static void test_json_find_of_several_in_one_pass_finds_each(void **state)
{
    (void)state;
    struct json_field fields[] = {
        {.pointer = "/a/x"}, {.pointer = "/a/y"}, {.pointer = ""}, {.pointer = "/a"}};
    assert_true(json_find(SLICE_LIT("{\"a\":{\"y\":\"2\",\"x\":1}}"), fields, 4));
    assert_true(slice_equal_text(fields[0].raw, "1"));
    assert_true(slice_equal_text(fields[1].raw, "2"));
    assert_int_equal(fields[2].kind, JSON_OBJECT);
    assert_true(slice_equal_text(fields[3].raw, "{\"y\":\"2\",\"x\":1}"));
}

static void test_json_find_with_repeated_names_takes_the_last(void **state)
{
    (void)state;
    struct json_field field = {.pointer = "/a/b"};
    assert_true(json_find(SLICE_LIT("{\"a\":{\"b\":1},\"a\":{\"b\":2}}"), &field, 1));
    assert_true(slice_equal_text(field.raw, "2"));
    assert_true(json_find(SLICE_LIT("{\"a\":{\"b\":1},\"\\u0061\":{\"c\":2}}"), &field, 1));
    assert_int_equal(field.kind, JSON_ABSENT);
    assert_true(json_find(SLICE_LIT("{\"a\":{\"b\":1},\"a\":3}"), &field, 1));
    assert_int_equal(field.kind, JSON_ABSENT);
}

static void test_json_find_of_text_that_is_no_json_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\":1}x",
        "{\"a\":1} {}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":-}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":nul}",
        "{\"a\":True}",
        "\"abc",
        "\"a\\x\"",
        "\"a\\u12g4\"",
        "\"a\\u123\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "{\"a\":1 \"b\":2}",
        "\xff",
        "hello",
        "{\"a\":\"b\\\"}",
        "[1]]",
        "// c\n1",
        "\xef\xbb",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct json_field field = {.pointer = "/a"};
        if (json_find(slice_of(bad[i]), &field, 1))
            fail_msg("taken as JSON: %s", bad[i]);
        assert_int_equal(field.kind, JSON_ABSENT);
    }
    struct json_field field = {.pointer = ""};
    assert_false(json_find(SLICE_NULL, &field, 1));
    assert_false(json_find((struct slice){"1\0", 2}, &field, 1));
    assert_false(json_find((struct slice){"\"a\0b\"", 5}, &field, 1));
}

/* Cut after each byte: never read beyond the end, never taken as whole. */
static void test_json_find_of_every_prefix_fails(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\":[1,-2.5e-3,\"x\\u00e9\\n\"],\"b\":{\"c\":null,\"d\":true,\"e\":false}}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *copy = mem_alloc(len); /* so that a sanitizer sees an overrun */
        memcpy(copy, text, len);
        struct json_field field = {.pointer = "/b/c"};
        assert_false(json_find((struct slice){copy, len}, &field, 1));
        mem_free(copy);
    }
}

static void test_json_find_of_valid_corner_cases_succeeds(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0",
        "-0",
        "\"\"",
        "[]",
        "{}",
        " [ ] ",
        " { } ",
        "[[],{}]",
        "1e9999",
        "-0.0E-0",
        "\xef\xbb\xbf{}",
        "\t\r\n 1",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\xff\"",
        "\"\x7f\"",
        "\"\\/\\b\\f\\n\\r\\t\\\\\\\"\"",
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct json_field field = {.pointer = ""};
        if (!json_find(slice_of(good[i]), &field, 1))
            fail_msg("not taken as JSON: %s", good[i]);
        assert_int_not_equal(field.kind, JSON_ABSENT);
    }
}

static bool nested(size_t depth)
{
    struct buf text = {0};
    for (size_t i = 0; i < depth; i++)
        buf_add_text(&text, i % 2 ? "{\"a\":" : "[");
    buf_add_char(&text, '1');
    for (size_t i = depth; i > 0; i--)
        buf_add_char(&text, (i - 1) % 2 ? '}' : ']');
    struct json_field field = {.pointer = ""};
    bool ok = json_find(buf_slice(&text), &field, 1);
    buf_deinit(&text);
    return ok;
}

static void test_json_find_nested_too_deeply_fails(void **state)
{
    (void)state;
    assert_true(nested(JSON_DEPTH_MAX));
    assert_false(nested(JSON_DEPTH_MAX + 1));
    assert_false(nested(1000000));
}

static void test_json_string_bytes_takes_escapes_back(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        struct slice bytes;
    } cases[] = {
        {"", SLICE_INIT("")},
        {"plain", SLICE_INIT("plain")},
        {"a\\\"\\\\\\/b", SLICE_INIT("a\"\\/b")},
        {"\\b\\f\\n\\r\\t", SLICE_INIT("\b\f\n\r\t")},
        {"\\u0000x", {"\0x", 2}},
        {"\\u00e9\\u20AC", SLICE_INIT("\xc3\xa9\xe2\x82\xac")},
        {"\\uD83D\\uDE00", SLICE_INIT("\xf0\x9f\x98\x80")},
        {"\\uffff\\u07ff\\u0800", SLICE_INIT("\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80")},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf store = {0};
        struct slice out;
        struct slice raw = slice_of(cases[i].raw);
        buf_reserve(&store, raw.len);
        assert_true(json_string_bytes(raw, &store, &out));
        assert_true(slice_equal(out, cases[i].bytes));
        if (!strchr(cases[i].raw, '\\'))
            assert_ptr_equal(out.data, raw.data); /* borrowed: no copy was needed */
        buf_deinit(&store);
    }
}

/* Two halves of surrogates would both decode to U+FFFD and make two keys one. */
static void test_json_string_bytes_with_half_a_surrogate_pair_fails(void **state)
{
    (void)state;
    static const char *const bad[] = {"\\ud800",        "\\udc00",        "\\ud800x", "\\ud800\\n",
                                      "\\ud800\\u0041", "\\ud800\\ud800", "a\\udfff"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf store = {0};
        struct slice out;
        size_t len = strlen(bad[i]);
        char *raw = mem_alloc(len); /* not terminated: a sanitizer sees what reads on */
        memcpy(raw, bad[i], len);
        buf_reserve(&store, len);
        assert_false(json_string_bytes((struct slice){raw, len}, &store, &out));
        mem_free(raw);
        buf_deinit(&store);
    }
}

static void test_json_find_never_matches_a_name_with_half_a_pair(void **state)
{
    (void)state;
    struct json_field field = {.pointer = "/\xef\xbf\xbd"};
    assert_true(json_find(SLICE_LIT("{\"\\ud800\":1}"), &field, 1));
    assert_int_equal(field.kind, JSON_ABSENT);
    /* Nor is a name cut at U+0000. */
    field.pointer = "/a";
    assert_true(json_find(SLICE_LIT("{\"a\\u0000b\":1}"), &field, 1));
    assert_int_equal(field.kind, JSON_ABSENT);
}

/* All names and values of a walk, each with a blank behind it. */
static void walk_into(const char *text, struct buf *out)
{
    struct json_walk walk;
    struct slice name, value;

    buf_reset(out);
    buf_add(out, "", 0);
    json_walk_begin(&walk, slice_of(text));
    while (json_walk_next(&walk, &name, &value)) {
        if (!slice_is_null(name)) {
            buf_add_slice(out, name);
            buf_add_char(out, '=');
        }
        buf_add_slice(out, value);
        buf_add_char(out, ';');
    }
    assert_false(json_walk_next(&walk, &name, &value));
}

static void test_json_walk_meets_each_in_its_order(void **state)
{
    static const char *const cases[][2] = {
        {" { \"a\" : 1 , \"b\\\"\":{\"c\":[2,\"}\"]},\"a\":\"x\"} ",
         "a=1;b\\\"={\"c\":[2,\"}\"]};a=\"x\";"},
        {"[1, {\"a\":2},[3,4] ,null]", "1;{\"a\":2};[3,4];null;"},
        {"{}", ""},
        {"[ ]", ""},
        {"7", ""},
        {"\"x\"", ""},
        {"", ""},
        {"[1,,2]", "1;"},
        {"[1 2]", "1;"},
        {"{\"a\":1,7:2}", "a=1;"},
        {"{\"a\" 1}", ""},
        {"[1,", "1;"},
    };
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        walk_into(cases[i][0], &out);
        assert_string_equal(out.data, cases[i][1]);
    }
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_find_by_pointer_gives_kind_and_raw_text),
        cmocka_unit_test(test_json_find_of_several_in_one_pass_finds_each),
        cmocka_unit_test(test_json_find_with_repeated_names_takes_the_last),
        cmocka_unit_test(test_json_find_of_text_that_is_no_json_fails),
        cmocka_unit_test(test_json_find_of_every_prefix_fails),
        cmocka_unit_test(test_json_find_of_valid_corner_cases_succeeds),
        cmocka_unit_test(test_json_find_nested_too_deeply_fails),
        cmocka_unit_test(test_json_string_bytes_takes_escapes_back),
        cmocka_unit_test(test_json_string_bytes_with_half_a_surrogate_pair_fails),
        cmocka_unit_test(test_json_find_never_matches_a_name_with_half_a_pair),
        cmocka_unit_test(test_json_walk_meets_each_in_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
