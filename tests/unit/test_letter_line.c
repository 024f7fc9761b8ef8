/* Records as lines of JSON, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dlq/letter_line.h"

static void expect_same(const struct record *rec)
{
    struct buf out = {0};
    struct letter_line line;
    struct err err = {0};
    size_t column = 0;
    letter_line_write(&out, rec);
    assert_int_equal(out.data[out.len - 1], '\n');
    assert_null(memchr(out.data, '\n', out.len - 1));
    if (!letter_line_read((struct slice){out.data, out.len - 1}, &line, &column, &err))
        fail_msg("%zu: %s", column, err.text);
    assert_true(slice_equal(line.rec.topic, rec->topic));
    assert_int_equal(line.rec.partition, rec->partition);
    assert_int_equal(line.rec.offset, rec->offset);
    assert_int_equal(line.rec.timestamp_ms, rec->timestamp_ms);
    assert_true(slice_equal(line.rec.key, rec->key));
    assert_true(slice_equal(line.rec.value, rec->value));
    assert_int_equal(line.rec.header_count, rec->header_count);
    for (size_t i = 0; i < rec->header_count; i++) {
        assert_true(slice_equal(line.rec.headers[i].name, rec->headers[i].name));
        assert_true(slice_equal(line.rec.headers[i].value, rec->headers[i].value));
    }
    letter_line_deinit(&line);
    buf_deinit(&out);
}

static void test_every_byte_comes_back(void **state)
{
    char all[256];
    struct record_header headers[] = {
        {SLICE_LIT("a"), SLICE_LIT("1")},
        {SLICE_LIT("a"), SLICE_NULL},
        {SLICE_LIT("a"), SLICE_LIT("")},
        {SLICE_LIT("\xff"), SLICE_LIT("\x00\xfe")},
        {SLICE_LIT(""), SLICE_LIT("\x1b[2J\xc2\x9b\xe2\x80\xae\xf3\xa0\x80\xa0")},
    };
    struct record rec = {.topic = SLICE_LIT("dlq.app.orders"),
                         .partition = 3,
                         .offset = INT64_C(9007199254740993),
                         .timestamp_ms = 1767323045678,
                         .headers = headers,
                         .header_count = 5};
    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    for (size_t len = 0; len <= sizeof(all); len++) {
        rec.key = (struct slice){all, len};
        rec.value = (struct slice){all + sizeof(all) - len, len};
        expect_same(&rec);
    }
    rec.key = rec.value = SLICE_NULL;
    rec.timestamp_ms = -1;
    expect_same(&rec);
}

static void test_line_is_what_kcat_users_know(void **state)
{
    struct record_header headers[] = {{SLICE_LIT("trace"), SLICE_LIT("x")},
                                      {SLICE_LIT("bin"), SLICE_LIT("\xff")}};
    struct record rec = {.topic = SLICE_LIT("t"),
                         .partition = 1,
                         .offset = 2,
                         .timestamp_ms = 3,
                         .key = SLICE_LIT("k\x7f"),
                         .value = SLICE_LIT("\xfe"),
                         .headers = headers,
                         .header_count = 2};
    struct buf out = {0};
    (void)state;
    letter_line_write(&out, &rec);
    assert_string_equal(out.data,
                        "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"tstype\":\"create\","
                        "\"ts\":3,\"headers\":[\"trace\",\"x\",\"bin\",\"/w==\"],"
                        "\"headers_base64\":[3],\"key\":\"k\\u007f\",\"payload\":\"/g==\","
                        "\"payload_encoding\":\"base64\"}\n");
    buf_deinit(&out);
}

static void expect_bad(const char *text, size_t column, const char *what)
{
    struct letter_line line;
    struct err err = {0};
    size_t at = 0;
    assert_false(letter_line_read(slice_of(text), &line, &at, &err));
    if (!strstr(err.text, what))
        fail_msg("%s: %s", text, err.text);
    if (at != column)
        fail_msg("%s: column %zu, not %zu", text, at, column);
    assert_int_equal(err.code, ERR_INPUT);
}

static void test_bad_lines_are_refused_with_their_place(void **state)
{
    (void)state;
    expect_bad("", 1, "ends within");
    expect_bad("[]", 1, "no JSON object");
    expect_bad("{\"topic\":\"t\",\"partition\":0", 27, "ends within");
    expect_bad("{\"topic\":\"t\",\"partition\":0} x", 29, "no JSON");
    expect_bad("{\"topic\":\"t\" \"partition\":0}", 14, "no JSON");
    expect_bad("{\"partition\":0}", 1, "topic: is missing");
    expect_bad("{\"topic\":\"t\"}", 1, "partition: is missing");
    expect_bad("{\"topic\":\"t\",\"partition\":\"0\"}", 14, "partition: must be a whole number");
    expect_bad("{\"topic\":\"t\",\"partition\":-1}", 14, "partition: is out of range");
    expect_bad("{\"topic\":\"t\",\"partition\":4294967296}", 14, "partition: is out of range");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"key\":1}", 28, "key: must be text or null");
    expect_bad(
        "{\"topic\":\"t\",\"partition\":0,\"payload\":\"%\",\"payload_encoding\":\"base64\"}", 28,
        "payload: is said to be base64 and is not");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"payload\":\"\",\"payload_encoding\":\"hex\"}",
               41, "payload_encoding");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"headers\":[\"a\"]}", 28,
               "headers: must be a flat");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"headers\":[null,\"a\"]}", 28, "name is null");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"headers\":[\"a\\u0000b\",\"a\"]}", 28,
               "holds a NUL");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"headers\":[],\"headers_base64\":[0]}", 41,
               "headers_base64: names a place");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"key\":[[[[[[[[]]]]]]]]}", 39, "no JSON");
    expect_bad("{\"topic\":\"\xff\",\"partition\":0}", 11, "no JSON");
}

/* What stands in the place of what is hidden must not come back as if it were the record's. */
static void test_a_masked_line_says_so_and_is_not_read_back(void **state)
{
    struct record rec = {.topic = SLICE_LIT("t"),
                         .offset = 2,
                         .timestamp_ms = 3,
                         .key = SLICE_LIT("k"),
                         .value = SLICE_LIT("{\"card\":\"***\"}")};
    struct buf out = {0};
    (void)state;
    letter_line_write_masked(&out, &rec, SLICE_LIT("{\"payload\":[\"/card\"]}"));
    assert_string_equal(out.data,
                        "{\"masked\":{\"payload\":[\"/card\"]},\"topic\":\"t\",\"partition\":0,"
                        "\"offset\":2,\"tstype\":\"create\",\"ts\":3,\"headers\":[],\"key\":\"k\","
                        "\"payload\":\"{\\\"card\\\":\\\"***\\\"}\"}\n");
    expect_bad(out.data, 2, "masked: parts of this record were hidden");
    expect_bad("{\"topic\":\"t\",\"partition\":0,\"masked\":null}", 28, "masked: parts");
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_comes_back),
        cmocka_unit_test(test_line_is_what_kcat_users_know),
        cmocka_unit_test(test_bad_lines_are_refused_with_their_place),
        cmocka_unit_test(test_a_masked_line_says_so_and_is_not_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
