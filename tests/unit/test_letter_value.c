/* Values for people: nothing is rounded, left out without a word, or obeyed by a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../gateway/letter_value.h"

static void expect(struct slice value, size_t most, const char *said, const char *shown)
{
    struct buf out = {0};
    letter_value_say(value, &out);
    assert_string_equal(out.data, said);
    buf_reset(&out);
    letter_value_show(value, most, &out);
    assert_string_equal(out.data ? out.data : "", shown);
    buf_deinit(&out);
}

static void test_json_is_laid_out_and_no_number_is_touched(void **state)
{
    (void)state;
    expect(
        SLICE_LIT(" {\"a\":1e400, \"b\":[],\"b\":{} ,\"c\":[12345678901234567890123,\"x:,]\"]}"),
        1000, "JSON, 65 bytes",
        "{\n  \"a\": 1e400,\n  \"b\": [],\n  \"b\": {},\n  \"c\": [\n    12345678901234567890123,\n"
        "    \"x:,]\"\n  ]\n}\n");
    expect(SLICE_LIT("\"\\u001b\xc2\x9b\""), 1000, "JSON, 10 bytes", "\"\\u001b\\u{9b}\"\n");
    expect(SLICE_LIT("{}"), 1000, "JSON, 2 bytes", "{}\n");
}

static void test_what_is_too_long_says_so(void **state)
{
    (void)state;
    expect(SLICE_LIT("[1,2,3,4,5]"), 8, "JSON, 11 bytes", "[\n  1,\n  \n... and 8 bytes more\n");
    expect(SLICE_LIT("caf\xc3\xa9 au lait"), 4, "text, UTF-8, 13 bytes",
           "caf\n... and 10 bytes more\n");
    expect(SLICE_LIT("\xff\xfe\xfd"), 8, "binary, 3 bytes",
           "00000000  ff fe                                            ..\nand 1 bytes more\n");
}

static void test_deep_json_is_text(void **state)
{
    char deep[4000];
    struct buf out = {0};
    (void)state;
    memset(deep, '[', sizeof(deep) / 2);
    memset(deep + sizeof(deep) / 2, ']', sizeof(deep) / 2);
    assert_int_equal(letter_value_kind((struct slice){deep, sizeof(deep)}), VALUE_TEXT);
    letter_value_show((struct slice){deep, sizeof(deep)}, 10000, &out);
    assert_int_equal(out.len, sizeof(deep) + 1);
    buf_deinit(&out);
}

static void test_kinds(void **state)
{
    (void)state;
    expect(SLICE_NULL, 100, "null (a tombstone)", "");
    expect(SLICE_LIT(""), 100, "empty", "");
    expect(SLICE_LIT("x"), 100, "text, UTF-8, 1 byte", "x\n");
    expect(SLICE_LIT("a\x1b[2J\nb"), 100, "text, UTF-8, 7 bytes", "a\\x1b[2J\nb\n");
    assert_int_equal(letter_value_kind(SLICE_LIT("{\"a\":}")), VALUE_TEXT);
    assert_int_equal(letter_value_kind(SLICE_LIT("\0\0\0\0\x07x")), VALUE_BINARY);
    struct buf out = {0};
    letter_value_say(SLICE_LIT("\0\0\0\x01\x07x"), &out);
    assert_non_null(strstr(out.data, "schema 263"));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_is_laid_out_and_no_number_is_touched),
        cmocka_unit_test(test_what_is_too_long_says_so),
        cmocka_unit_test(test_deep_json_is_text),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
