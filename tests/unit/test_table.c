/* Safe text and tables that fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../gateway/table.h"
#include "../../gateway/text_out.h"
#include "base/str.h"

static void expect_safe(struct slice text, bool lines, const char *expected)
{
    struct buf out = {0};
    text_add_safe(&out, text, lines);
    assert_string_equal(out.data ? out.data : "", expected);
    buf_deinit(&out);
}

static void test_safe_text_has_no_byte_that_a_terminal_obeys(void **state)
{
    (void)state;
    expect_safe(SLICE_LIT("a\x1b[31mred\x07"), false, "a\\x1b[31mred\\x07");
    expect_safe(SLICE_LIT("a\nb\tc\r"), false, "a\\nb\\tc\\r");
    expect_safe(SLICE_LIT("a\nb\tc"), true, "a\nb\\tc");
    expect_safe(SLICE_LIT("\xc2\x9b"
                          "31m"),
                false, "\\u{9b}31m");
    expect_safe(SLICE_LIT("\x7f\0x"), false, "\\x7f\\x00x");
    expect_safe(SLICE_LIT("\xff\xc3("), false, "\\xff\\xc3(");
    expect_safe(SLICE_LIT("\xe2\x80\xaegpj.exe"), false, "\\u{202e}gpj.exe");
    expect_safe(SLICE_LIT("<b>caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80"), false,
                "<b>caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80");
    expect_safe(SLICE_NULL, false, "");
}

/* Every text of three of these bytes comes out as UTF-8 without control characters. */
static void test_safe_text_of_anything_is_safe(void **state)
{
    static const char bytes[] = {0,          9,          10,         27,         'a',
                                 127,        (char)0x80, (char)0x9b, (char)0xc2, (char)0xe2,
                                 (char)0xed, (char)0xf0, (char)0xff};
    (void)state;
    for (size_t n = 0; n < sizeof(bytes) * sizeof(bytes) * sizeof(bytes); n++) {
        char text[3] = {bytes[n % sizeof(bytes)], bytes[n / sizeof(bytes) % sizeof(bytes)],
                        bytes[n / sizeof(bytes) / sizeof(bytes)]};
        struct buf out = {0};
        text_add_safe(&out, (struct slice){text, sizeof(text)}, false);
        assert_true(str_is_utf8(buf_slice(&out)));
        for (size_t i = 0; i < out.len; i++)
            assert_true((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f &&
                        (unsigned char)out.data[i] != 0xc2);
        buf_deinit(&out);
    }
}

static void expect_cut(const char *text, size_t width, const char *expected, size_t taken)
{
    struct buf out = {0};
    assert_int_equal(text_add_cut(&out, slice_of(text), width), taken);
    assert_string_equal(out.data ? out.data : "", expected);
    buf_deinit(&out);
}

static void test_cut_is_at_a_character_and_counts_columns(void **state)
{
    (void)state;
    assert_int_equal(text_width(SLICE_LIT("caf\xc3\xa9")), 4);
    assert_int_equal(text_width(SLICE_LIT("\xe6\x97\xa5\xe6\x9c\xac")), 4);
    assert_int_equal(text_width(SLICE_LIT("e\xcc\x81")), 1);
    expect_cut("abcdef", 6, "abcdef", 6);
    expect_cut("abcdef", 5, "abcd\xe2\x80\xa6", 5);
    expect_cut("caf\xc3\xa9s!", 5, "caf\xc3\xa9\xe2\x80\xa6", 5);
    expect_cut("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 4, "\xe6\x97\xa5\xe2\x80\xa6", 3);
    expect_cut("abc", 0, "", 0);
    expect_cut("abc", 1, "\xe2\x80\xa6", 1);
}

static struct table *orders(void)
{
    struct table *table = table_new();
    table_column(table, "ID", TABLE_LEFT, false);
    table_column(table, "COUNT", TABLE_RIGHT, false);
    table_column(table, "DETAIL", TABLE_LEFT, true);
    table_cell_text(table, "a/0/1");
    table_cell_number(table, 1200);
    table_cell_text(table, "the card was refused by the bank of \xe6\x97\xa5\xe6\x9c\xac");
    table_cell_text(table, "b/0/2");
    table_cell_number(table, 3);
    table_tone(table, "31");
    table_cell_text(table, "x\x1b[2J");
    return table;
}

static void test_table_without_a_terminal_is_whole(void **state)
{
    struct table *table = orders();
    struct buf out = {0};
    (void)state;
    table_write(table, 0, false, &out);
    assert_string_equal(
        out.data, "ID     COUNT  DETAIL\n"
                  "a/0/1   1200  the card was refused by the bank of \xe6\x97\xa5\xe6\x9c\xac\n"
                  "b/0/2      3  x\\x1b[2J\n");
    assert_int_equal(table_rows(table), 2);
    buf_deinit(&out);
    table_free(&table);
}

static void test_table_fits_whatever_the_terminal(void **state)
{
    (void)state;
    for (size_t width = 1; width < 80; width++) {
        struct table *table = orders();
        struct buf out = {0};
        table_write(table, width, false, &out);
        for (char *line = out.data; *line;) {
            size_t len = strcspn(line, "\n");
            assert_true(text_width((struct slice){line, len}) <= width);
            assert_true(str_is_utf8((struct slice){line, len}));
            line += len + 1;
        }
        buf_deinit(&out);
        table_free(&table);
    }
}

static void test_table_is_coloured_only_where_asked(void **state)
{
    struct table *table = orders();
    struct buf out = {0};
    (void)state;
    table_write(table, 40, true, &out);
    assert_non_null(strstr(out.data, "\x1b[31mx\\x1b[2J\x1b[0m"));
    buf_reset(&out);
    table_write(table, 40, false, &out);
    assert_null(strchr(out.data, '\x1b'));
    buf_deinit(&out);
    table_free(&table);
}

static void test_time_is_local_with_its_offset(void **state)
{
    char text[TEXT_TIME_MAX];
    (void)state;
    assert_int_equal(setenv("TZ", "XXX-2:30", 1), 0);
    text_time(1767323045678, text);
    assert_string_equal(text, "2026-01-02 05:34:05.678 +0230");
    text_time(0, text);
    assert_string_equal(text, "-");
}

static void test_hex_shows_every_byte(void **state)
{
    struct buf out = {0};
    (void)state;
    text_add_hex(&out, SLICE_LIT("0123456789abcdef\x1b\xff"), 100);
    assert_string_equal(out.data,
                        "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  "
                        "0123456789abcdef\n"
                        "00000010  1b ff                                            ..\n");
    buf_reset(&out);
    text_add_hex(&out, SLICE_LIT("abc"), 2);
    assert_non_null(strstr(out.data, "and 1 bytes more\n"));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safe_text_has_no_byte_that_a_terminal_obeys),
        cmocka_unit_test(test_safe_text_of_anything_is_safe),
        cmocka_unit_test(test_cut_is_at_a_character_and_counts_columns),
        cmocka_unit_test(test_table_without_a_terminal_is_whole),
        cmocka_unit_test(test_table_fits_whatever_the_terminal),
        cmocka_unit_test(test_table_is_coloured_only_where_asked),
        cmocka_unit_test(test_time_is_local_with_its_offset),
        cmocka_unit_test(test_hex_shows_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
