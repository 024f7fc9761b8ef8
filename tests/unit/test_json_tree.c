/*
 * JSON as json-c's tree: every text that is JSON is taken, whatever json-c's version makes of it in
 * its strict mode, and none that is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "record/json_tree.h"

#define DEPTH 4

/* Of a literal, whose NULs count. */
#define TEXT(literal)                                                                              \
    (struct slice)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static void assert_taken(struct slice text, const char *written)
{
    struct json_trouble trouble = {0};
    struct json_object *tree;
    if (!json_tree_read(text, DEPTH, true, &tree, &trouble))
        fail_msg("%s: %zu: %s", text.data, trouble.at, trouble.what);
    assert_string_equal(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN), written);
    json_object_put(tree);
}

static void assert_refused(struct slice text, bool utf8, size_t at)
{
    struct json_trouble trouble = {0};
    struct json_object *tree;
    if (json_tree_read(text, DEPTH, utf8, &tree, &trouble))
        fail_msg("taken: %s", text.data);
    assert_null(tree);
    if (trouble.at != at)
        fail_msg("%s: %zu: %s", text.data, trouble.at, trouble.what);
    assert_true(strlen(trouble.what) > 0);
    assert_false(json_tree_read(text, DEPTH, utf8, &tree, NULL));
}

/* json-c 0.18, strict, takes a byte above 0x7f for a control character. */
static void test_tree_of_texts_beyond_ascii(void **state)
{
    (void)state;
    assert_taken(TEXT("{\"k\xc3\xa4se\":\"\xe2\x82\xac \xf0\x9f\x98\x80\"}"),
                 "{\"k\xc3\xa4se\":\"\xe2\x82\xac \xf0\x9f\x98\x80\"}");
    assert_taken(TEXT("\"\\u00e4\\ud83d\\ude00\""), "\"\xc3\xa4\xf0\x9f\x98\x80\"");
}

/* And a number beyond 64 bits for none. */
static void test_tree_of_numbers_of_any_size(void **state)
{
    (void)state;
    assert_taken(TEXT("[99999999999999999999]"), "[18446744073709551615]");
    assert_taken(TEXT("17"), "17");
    assert_taken(TEXT(" -2.5e0\n"), "-2.5e0");
}

static void test_tree_of_null_is_none_and_no_trouble(void **state)
{
    struct json_object *tree;
    (void)state;
    assert_true(json_tree_read(TEXT("null"), DEPTH, true, &tree, NULL));
    assert_null(tree);
}

static void test_what_is_no_json_is_refused_with_its_place(void **state)
{
    static const struct {
        struct slice text;
        size_t at;
    } bad[] = {{{"", 0}, 0},
               {{"{\"a\":1", 6}, 6},
               {{"{\"a\":1,}", 8}, 7},
               {{"{'a':1}", 7}, 1},
               {{"[1,]", 4}, 3},
               {{"[1] x", 5}, 4},
               {{"[1]\0", 4}, 3},
               {{"[NaN]", 5}, 1},
               {{"/**/[]", 6}, 0},
               {{"\xef\xbb\xbf{}", 5}, 0},
               {{"[01]", 4}, 2},
               {{"[\"a", 3}, 3},
               {{"[\"\t\"]", 5}, 3},
               {{"[[[[1]]]]", 9}, SIZE_MAX},
               {{"[[[[[1]]]]]", 11}, 4}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (bad[i].at == SIZE_MAX)
            assert_taken(bad[i].text, "[[[[1]]]]"); /* as deep as may be */
        else
            assert_refused(bad[i].text, true, bad[i].at);
    }
}

static void test_bytes_that_are_not_utf8_only_where_they_may_be(void **state)
{
    struct json_object *tree;
    (void)state;
    assert_refused(TEXT("[\"\xff\"]"), true, 2);
    assert_true(json_tree_read(TEXT("[\"\xff\"]"), DEPTH, false, &tree, NULL));
    json_object_put(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_of_texts_beyond_ascii),
        cmocka_unit_test(test_tree_of_numbers_of_any_size),
        cmocka_unit_test(test_tree_of_null_is_none_and_no_trouble),
        cmocka_unit_test(test_what_is_no_json_is_refused_with_its_place),
        cmocka_unit_test(test_bytes_that_are_not_utf8_only_where_they_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
