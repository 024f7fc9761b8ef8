/* Dead letters as bytes, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "spool/spool_record.h"

static const struct record_header headers[] = {
    {SLICE_INIT("app"), SLICE_INIT("one")},
    {SLICE_INIT("app"), {NULL, 0}},
    {SLICE_INIT(""), SLICE_INIT("")},
};

static struct spool_record sample(void)
{
    struct spool_record rec = {.topic = "dlq.g.orders",
                               .partition = 3,
                               .time_ms = 1700000000123,
                               .key = SLICE_LIT("k\0ey"),
                               .value = SLICE_LIT("value"),
                               .headers = headers,
                               .header_count = 3};
    return rec;
}

static void assert_same(const struct spool_record *a, const struct spool_record *b)
{
    assert_string_equal(a->topic, b->topic);
    assert_int_equal(a->partition, b->partition);
    assert_int_equal(a->time_ms, b->time_ms);
    assert_true(slice_equal(a->key, b->key));
    assert_true(slice_equal(a->value, b->value));
    assert_int_equal(a->header_count, b->header_count);
    for (size_t i = 0; i < a->header_count; i++) {
        assert_true(slice_equal(a->headers[i].name, b->headers[i].name));
        assert_true(slice_equal(a->headers[i].value, b->headers[i].value));
    }
}

static void there_and_back(const struct spool_record *rec)
{
    struct buf bytes = {0};
    struct spool_record read;
    struct err err = {0};
    spool_record_write(rec, &bytes);
    if (!spool_record_read(buf_slice(&bytes), &read, &err))
        fail_msg("%s", err.text);
    assert_same(&read, rec);
    spool_record_deinit(&read);
    buf_deinit(&bytes);
}

static void test_spool_record_keeps_every_byte(void **state)
{
    struct spool_record rec = sample();
    (void)state;
    there_and_back(&rec);
    rec.key = SLICE_NULL;
    rec.value = SLICE_NULL;
    there_and_back(&rec);
    rec.key = SLICE_LIT("");
    rec.value = SLICE_LIT("");
    rec.header_count = 0;
    there_and_back(&rec);
}

static void test_spool_record_cut_off_or_longer_is_refused(void **state)
{
    struct spool_record rec = sample(), read;
    struct buf bytes = {0};
    struct err err = {0};
    (void)state;
    spool_record_write(&rec, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        assert_false(spool_record_read((struct slice){bytes.data, len}, &read, &err));
    buf_add_char(&bytes, 'x');
    assert_false(spool_record_read(buf_slice(&bytes), &read, &err));
    buf_deinit(&bytes);
}

/* A topic that Kafka cannot have, a count of headers beyond the bytes, another version. */
static void test_spool_record_with_foreign_bytes_is_refused(void **state)
{
    struct spool_record rec = sample(), read;
    struct buf bytes = {0};
    struct err err = {0};
    (void)state;
    memcpy(rec.topic, "../../x", 8);
    spool_record_write(&rec, &bytes);
    assert_false(spool_record_read(buf_slice(&bytes), &read, &err));
    buf_reset(&bytes);
    rec = sample();
    rec.header_count = 0;
    spool_record_write(&rec, &bytes);
    memset(bytes.data + bytes.len - 4, 0x7f, 4);
    assert_false(spool_record_read(buf_slice(&bytes), &read, &err));
    bytes.data[0] = 2;
    assert_false(spool_record_read(buf_slice(&bytes), &read, &err));
    assert_non_null(strstr(err.text, "version 2"));
    buf_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spool_record_keeps_every_byte),
        cmocka_unit_test(test_spool_record_cut_off_or_longer_is_refused),
        cmocka_unit_test(test_spool_record_with_foreign_bytes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
