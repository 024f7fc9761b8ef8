/* States of dead letters as records of a topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "record/letter_state.h"

static const char uuid_key[] = "9MJIhuY3RWaGkIv3Wq7n-A/3/9007199254740993";

struct read {
    bool ok;
    struct letter_id id;
    struct letter_state state;
    struct buf store;
    struct err err;
};

static struct read read_record(struct slice key, struct slice value)
{
    struct record rec = {.key = key, .value = value};
    struct read r = {0};
    r.ok = letter_state_read(&rec, &r.id, &r.state, &r.store, &r.err);
    return r;
}

static struct read read_value(const char *value)
{
    return read_record(slice_of(uuid_key), slice_of(value));
}

static void assert_refused(const char *value, const char *named)
{
    struct read r = read_value(value);
    assert_false(r.ok);
    assert_int_equal(r.err.code, ERR_INPUT);
    assert_non_null(strstr(r.err.text, named));
    buf_deinit(&r.store);
}

static void assert_text(struct slice text, const char *expected)
{
    assert_true(slice_equal_text(text, expected));
}

static void test_letter_id_written_is_read_back(void **state)
{
    static const char *const ids[] = {uuid_key, "dlq.a.orders_1/0/0",
                                      "-/2147483647/9223372036854775807"};
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct letter_id id;
        struct buf again = {0};
        assert_true(letter_id_read(slice_of(ids[i]), &id, NULL));
        letter_id_write(&again, &id);
        assert_string_equal(again.data, ids[i]);
        buf_deinit(&again);
    }
}

/* A letter with two keys would have two states. */
static void test_letter_id_in_another_form_is_refused(void **state)
{
    static const char *const ids[] = {
        "",
        "/",
        "//",
        "t",
        "t/1",
        "t/1/",
        "/1/2",
        "t/1/2/",
        "t/1/2/3",
        "t/01/2",
        "t/1/02",
        "t/-1/2",
        "t/1/-2",
        "t/+1/2",
        "t/ 1/2",
        "t/1/2 ",
        "t//2",
        "a b/1/2",
        "t/x/2",
        "t\n/1/2",
        "t/2147483648/1",
        "t/1/9223372036854775808",
        "\xc3\xa9/1/2",
    };
    struct letter_id id;
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_false(letter_id_read(slice_of(ids[i]), &id, &err));
        assert_int_equal(err.code, ERR_INPUT);
    }
    assert_false(letter_id_read(SLICE_NULL, &id, &err));
    assert_false(letter_id_read((struct slice){"t\0/1/2", 6}, &id, &err));
}

/* As the client library writes a UUID, its slash would end it. */
static void test_letter_id_topic_is_the_uuid_or_the_name(void **state)
{
    char topic[LETTER_TOPIC_MAX];
    (void)state;
    letter_id_topic("9M+IhuY3RWa/kIv3Wq7n+A", "dlq.g.orders", topic);
    assert_string_equal(topic, "9M-IhuY3RWa_kIv3Wq7n-A");
    letter_id_topic("", "dlq.g.orders", topic);
    assert_string_equal(topic, "dlq.g.orders");
}

static void test_letter_state_written_is_read_back(void **state)
{
    struct letter_state full = {.status = LETTER_OPEN,
                                .result = LETTER_RESULT_FAILED,
                                .redrive_id = SLICE_LIT("r-7"),
                                .redrive_count = UINT32_MAX,
                                .by = SLICE_LIT("gateway"),
                                .at_ms = INT64_C(1767323045678),
                                .reason = SLICE_LIT("\"quoted\"\n\xe2\x82\xac \\ "),
                                .code = SLICE_LIT("http-503")};
    struct buf value = {0};
    (void)state;
    letter_state_write(&value, &full);
    struct read r = read_value(value.data);
    assert_true(r.ok);
    assert_text(r.id.topic, "9MJIhuY3RWaGkIv3Wq7n-A");
    assert_int_equal(r.id.partition, 3);
    assert_true(r.id.offset == INT64_C(9007199254740993));
    assert_int_equal(r.state.status, LETTER_OPEN);
    assert_int_equal(r.state.result, LETTER_RESULT_FAILED);
    assert_int_equal(r.state.redrive_count, UINT32_MAX);
    assert_true(r.state.at_ms == INT64_C(1767323045678));
    assert_true(slice_equal(r.state.redrive_id, full.redrive_id));
    assert_true(slice_equal(r.state.by, full.by));
    assert_true(slice_equal(r.state.reason, full.reason));
    assert_true(slice_equal(r.state.code, full.code));
    buf_deinit(&value);
    buf_deinit(&r.store);
}

/* Texts with escapes are taken apart in one store, which must not move. */
static void test_letter_state_with_long_texts_keeps_all(void **state)
{
    struct letter_state full = {.status = LETTER_OPEN, .redrive_id = SLICE_LIT("\"a\"\n")};
    char text[3000];
    struct buf value = {0};
    (void)state;
    memset(text, '"', sizeof(text));
    full.by = full.code = full.reason = (struct slice){text, sizeof(text)};
    letter_state_write(&value, &full);
    struct read r = read_record(slice_of(uuid_key), buf_slice(&value));
    assert_false(r.ok); /* too large */
    buf_deinit(&r.store);
    buf_reset(&value);
    full.by = full.code = full.reason = (struct slice){text, 2000};
    letter_state_write(&value, &full);
    r = read_record(slice_of(uuid_key), buf_slice(&value));
    assert_true(r.ok);
    assert_true(slice_equal(r.state.redrive_id, full.redrive_id));
    assert_true(slice_equal(r.state.by, full.by));
    assert_true(slice_equal(r.state.reason, full.reason));
    buf_deinit(&value);
    buf_deinit(&r.store);
}

static void test_letter_state_leaves_out_what_is_not_told(void **state)
{
    struct letter_state least = {.status = LETTER_ARCHIVED};
    struct buf value = {0};
    (void)state;
    letter_state_write(&value, &least);
    assert_string_equal(value.data, "{\"v\":1,\"status\":\"archived\",\"at_ms\":0}");
    struct read r = read_value(value.data);
    assert_true(r.ok);
    assert_int_equal(r.state.result, LETTER_NO_RESULT);
    assert_true(slice_is_null(r.state.redrive_id) && slice_is_null(r.state.reason));
    buf_deinit(&value);
    buf_deinit(&r.store);
}

static void test_letter_state_of_each_name_is_read_back(void **state)
{
    (void)state;
    for (int status = LETTER_OPEN; status < LETTER_STATUSES; status++) {
        for (int result = LETTER_NO_RESULT; result < LETTER_RESULTS; result++) {
            struct letter_state one = {.status = (enum letter_status)status,
                                       .result = (enum letter_result)result};
            struct buf value = {0};
            letter_state_write(&value, &one);
            struct read r = read_value(value.data);
            assert_true(r.ok);
            assert_int_equal(r.state.status, status);
            assert_int_equal(r.state.result, result);
            buf_deinit(&value);
            buf_deinit(&r.store);
        }
    }
}

static void test_letter_state_null_value_is_forgotten(void **state)
{
    (void)state;
    struct read r = read_record(slice_of(uuid_key), SLICE_NULL);
    assert_true(r.ok);
    assert_int_equal(r.state.status, LETTER_FORGOTTEN);
    assert_int_equal(r.id.partition, 3);
    buf_deinit(&r.store);
}

static void test_letter_state_passes_over_what_it_does_not_know(void **state)
{
    (void)state;
    struct read r = read_value("{\"later\":{\"status\":\"open\"},\"v\":1,\"status\":\"resolved\","
                               "\"by\":null,\"at_ms\":5,\"tags\":[1,\"x\"]}");
    assert_true(r.ok);
    assert_int_equal(r.state.status, LETTER_RESOLVED);
    assert_true(slice_is_null(r.state.by));
    buf_deinit(&r.store);
}

static void test_letter_state_that_is_not_ours_is_refused(void **state)
{
    char *large = mem_zalloc(LETTER_STATE_MAX + 2);
    (void)state;
    memset(large, ' ', LETTER_STATE_MAX + 1);
    assert_refused("", "no JSON");
    assert_refused("{", "no JSON");
    assert_refused("[]", "\"v\"");
    assert_refused("{}", "\"v\"");
    assert_refused("{\"v\":2,\"status\":\"open\",\"at_ms\":1}", "\"v\"");
    assert_refused("{\"v\":\"1\",\"status\":\"open\",\"at_ms\":1}", "\"v\"");
    assert_refused("{\"v\":1,\"at_ms\":1}", "\"status\"");
    assert_refused("{\"v\":1,\"status\":\"forgotten\",\"at_ms\":1}", "\"status\"");
    assert_refused("{\"v\":1,\"status\":\"Open\",\"at_ms\":1}", "\"status\"");
    assert_refused("{\"v\":1,\"status\":\"open\"}", "\"at_ms\"");
    assert_refused("{\"v\":1,\"status\":\"open\",\"at_ms\":-1}", "\"at_ms\"");
    assert_refused("{\"v\":1,\"status\":\"open\",\"at_ms\":1.5}", "\"at_ms\"");
    assert_refused("{\"v\":1,\"status\":\"open\",\"at_ms\":1,\"result\":\"\"}", "\"result\"");
    assert_refused("{\"v\":1,\"status\":\"open\",\"at_ms\":1,\"redrive_count\":4294967296}",
                   "\"redrive_count\"");
    assert_refused("{\"v\":1,\"status\":\"open\",\"at_ms\":1,\"by\":7}", "\"by\"");
    assert_refused("{\"v\":1,\"status\":\"open\",\"at_ms\":1,\"by\":\"\\ud800\"}", "\"by\"");
    assert_refused(large, "bytes");
    mem_free(large);
}

static void test_letter_state_under_a_foreign_key_is_refused(void **state)
{
    (void)state;
    struct read r = read_record(SLICE_NULL, SLICE_LIT("{\"v\":1,\"status\":\"open\",\"at_ms\":1}"));
    assert_false(r.ok);
    assert_non_null(strstr(r.err.text, "id of a dead letter"));
    buf_deinit(&r.store);
}

/* A console that was slow says "redriving" when the gateway has already told the end. */
static void test_letter_state_late_redriving_does_not_undo_the_end(void **state)
{
    struct letter_state end = {.status = LETTER_RESOLVED,
                               .result = LETTER_RESULT_RESOLVED,
                               .redrive_id = SLICE_LIT("r-7")};
    struct letter_state late = {.status = LETTER_REDRIVING, .redrive_id = SLICE_LIT("r-7")};
    struct letter_state next = {.status = LETTER_REDRIVING, .redrive_id = SLICE_LIT("r-8")};
    struct letter_state person = {.status = LETTER_OPEN};
    (void)state;
    assert_false(letter_state_replaces(&late, &end));
    assert_true(letter_state_replaces(&next, &end));
    assert_true(letter_state_replaces(&end, &late));
    assert_true(letter_state_replaces(&person, &end));
    assert_true(letter_state_replaces(&late, &next));
    assert_true(letter_state_replaces(&late, &late)); /* the job went on after a crash */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letter_id_written_is_read_back),
        cmocka_unit_test(test_letter_id_in_another_form_is_refused),
        cmocka_unit_test(test_letter_id_topic_is_the_uuid_or_the_name),
        cmocka_unit_test(test_letter_state_written_is_read_back),
        cmocka_unit_test(test_letter_state_with_long_texts_keeps_all),
        cmocka_unit_test(test_letter_state_leaves_out_what_is_not_told),
        cmocka_unit_test(test_letter_state_of_each_name_is_read_back),
        cmocka_unit_test(test_letter_state_null_value_is_forgotten),
        cmocka_unit_test(test_letter_state_passes_over_what_it_does_not_know),
        cmocka_unit_test(test_letter_state_that_is_not_ours_is_refused),
        cmocka_unit_test(test_letter_state_under_a_foreign_key_is_refused),
        cmocka_unit_test(test_letter_state_late_redriving_does_not_undo_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
