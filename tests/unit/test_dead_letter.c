/* Dead letters of each writer, whole and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "record/dead_letter.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define H(name, value)                                                                             \
    {                                                                                              \
        SLICE_INIT(name), SLICE_INIT(value)                                                        \
    }
#define H_NULL(name)                                                                               \
    {                                                                                              \
        SLICE_INIT(name),                                                                          \
        {                                                                                          \
            NULL, 0                                                                                \
        }                                                                                          \
    }

static struct dead_letter read_headers(const struct record_header *headers, size_t count)
{
    struct record rec = {.topic = SLICE_LIT("dlq.billing.orders"),
                         .partition = 1,
                         .offset = 7,
                         .headers = headers,
                         .header_count = count};
    struct dead_letter letter;
    dead_letter_read(&rec, &letter);
    return letter;
}
#define READ(headers) read_headers(headers, COUNT_OF(headers))

static void assert_slice(struct slice have, const char *want)
{
    assert_non_null(have.data);
    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.data, want, have.len);
}

static void assert_signed(const struct dead_letter *letter, const char *route, const char *code,
                          const char *detail)
{
    char want[HEADERS_SIGNATURE_MAX];
    headers_signature(slice_of(route), slice_of(code), slice_of(detail), want);
    assert_string_equal(letter->signature, want);
}

static void assert_origin(const struct dead_letter *letter, const char *topic, int32_t partition,
                          int64_t offset, int64_t timestamp_ms)
{
    assert_slice(letter->origin.topic, topic);
    assert_int_equal(letter->origin.partition, partition);
    assert_int_equal(letter->origin.offset, offset);
    assert_int_equal(letter->origin.timestamp_ms, timestamp_ms);
}

/* ---- oncegate's own: read as headers_write_copy writes them ---- */

static struct copy_info own_info(void)
{
    return (struct copy_info){
        .group = SLICE_LIT("billing"),
        .route = SLICE_LIT("orders"),
        .origin = {SLICE_LIT("orders"), 3, 5, 8412, 1700000000000, 2},
        .attempt = 4,
        .hop = 3,
        .first_failed_at_ms = 1700000001000,
        .last_failed_at_ms = 1700000002000,
        .error_code = SLICE_LIT("http-422"),
        .error_detail = SLICE_LIT("card 17 was declined"),
        .signature = SLICE_LIT("0123456789abcdef"),
        .http_status = 422,
        .redrive_id = SLICE_LIT("r-1"),
        .redrive_count = 2,
    };
}

static void test_dead_letter_of_oncegate_is_read_as_it_is_written(void **state)
{
    static const struct record_header app[] = {H("content-type", "application/json")};
    struct record rec = {.headers = app, .header_count = 1};
    struct copy_info info = own_info();
    struct copy_identity identity = {true, true, 9, UINT64_MAX};
    struct header_list list;
    (void)state;
    header_list_init(&list);
    headers_write_copy(&list, COPY_DEAD_LETTER, &rec, &info, &identity, 4096);
    struct dead_letter letter = read_headers(list.items, list.count);
    assert_int_equal(letter.writer, LETTER_OWN);
    assert_null(letter.unread);
    assert_slice(letter.group, "billing");
    assert_slice(letter.route, "orders");
    assert_origin(&letter, "orders", 3, 8412, 1700000000000);
    assert_int_equal(letter.origin.leader_epoch, 5);
    assert_int_equal(letter.origin.incarnation, 2);
    assert_int_equal(letter.attempts, 4);
    assert_int_equal(letter.http_status, 422);
    assert_int_equal(letter.first_failed_at_ms, 1700000001000);
    assert_int_equal(letter.last_failed_at_ms, 1700000002000);
    assert_slice(letter.code, "http-422");
    assert_slice(letter.detail, "card 17 was declined");
    assert_string_equal(letter.signature, "0123456789abcdef");
    assert_true(letter.has_epoch && letter.has_number);
    assert_true(letter.epoch == 9 && letter.number == UINT64_MAX);
    assert_slice(letter.redrive_id, "r-1");
    assert_int_equal(letter.redrive_count, 2);
    assert_true(slice_is_null(letter.first_letter));
    header_list_deinit(&list);
}

static void test_dead_letter_that_continues_another_names_it(void **state)
{
    static const struct record_header headers[] = {
        H("oncegate-version", "1"),
        H("oncegate-group", "billing"),
        H("oncegate-first-letter", "AAAAAAAAAAAAAAAAAAAAAA/3/17"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_slice(letter.first_letter, "AAAAAAAAAAAAAAAAAAAAAA/3/17");
}

static void test_dead_letter_without_a_signature_is_signed_alike(void **state)
{
    static const struct record_header headers[] = {
        H("oncegate-group", "billing"),
        H("oncegate-route", "orders"),
        H("oncegate-error-code", "http-422"),
        H("oncegate-error-detail", "card 99 was declined"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_signed(&letter, "orders", "http-422", "card 17 was declined");
}

static void test_dead_letter_with_damaged_headers_keeps_the_others(void **state)
{
    static const struct record_header headers[] = {
        H("oncegate-group", "billing"),
        H("oncegate-origin-topic", "ord\xff"),
        H("oncegate-origin-partition", "three"),
        H("oncegate-origin-offset", "-2"),
        H("oncegate-attempt", "4294967296"),
        H("oncegate-http-status", "-1"),
        H_NULL("oncegate-error-code"),
        H("oncegate-error-detail", "caf\xe9"),
        H("oncegate-signature", "0123456789ABCDEF"),
        H("oncegate-epoch", "18446744073709551616"),
        H("oncegate-sequence", "17"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_string_equal(letter.unread, "oncegate-origin-topic");
    assert_slice(letter.group, "billing");
    assert_true(slice_is_null(letter.origin.topic));
    assert_int_equal(letter.origin.partition, -1);
    assert_int_equal(letter.origin.offset, -1);
    assert_int_equal(letter.attempts, 0);
    assert_int_equal(letter.http_status, 0);
    assert_true(slice_is_null(letter.code));
    assert_slice(letter.detail, "caf\xe9");
    assert_signed(&letter, "dlq.billing.orders", NULL, "caf\xe9");
    assert_false(letter.has_epoch);
    assert_true(letter.has_number && letter.number == 17);
}

static void test_dead_letter_with_a_missing_part_names_it(void **state)
{
    static const struct record_header headers[] = {
        H("oncegate-group", "billing"),
        H("oncegate-origin-topic", "orders"),
        H("oncegate-origin-offset", "1"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_string_equal(letter.unread, "oncegate-origin-partition");
}

/* ---- others ---- */

static void test_dead_letter_of_a_share_group(void **state)
{
    static const struct record_header headers[] = {
        H("app", "1"),
        H("__dlq.errors.topic", "orders"),
        H("__dlq.errors.partition", "2"),
        H("__dlq.errors.offset", "41"),
        H("__dlq.errors.group", "share-billing"),
        H("__dlq.errors.delivery.count", "5"),
        H("__dlq.errors.message", "Offset rejected by client."),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_int_equal(letter.writer, LETTER_SHARE_GROUP);
    assert_null(letter.unread);
    assert_origin(&letter, "orders", 2, 41, -1);
    assert_slice(letter.group, "share-billing");
    assert_true(slice_is_null(letter.route));
    assert_int_equal(letter.attempts, 5);
    assert_slice(letter.detail, "Offset rejected by client.");
    assert_signed(&letter, "share-billing", NULL, "Offset rejected by client.");
}

static void test_dead_letter_of_streams(void **state)
{
    static const struct record_header headers[] = {
        H("__streams.errors.exception",
          "org.apache.kafka.common.errors.SerializationException: Size of data is not 8: 17"),
        H("__streams.errors.message", "Size of data is not 8: 17"),
        H("__streams.errors.stacktrace", "org.apache...\n\tat x.Y.z(Y.java:17)\n"),
        H("__streams.errors.topic", "orders"),
        H("__streams.errors.partition", "0"),
        H("__streams.errors.offset", "12"),
    };
    static const struct record_header no_message[] = {
        H("__streams.errors.exception", "java.lang.NullPointerException"),
        H_NULL("__streams.errors.message"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_int_equal(letter.writer, LETTER_STREAMS);
    assert_null(letter.unread);
    assert_origin(&letter, "orders", 0, 12, -1);
    assert_slice(letter.code, "org.apache.kafka.common.errors.SerializationException");
    assert_slice(letter.detail, "Size of data is not 8: 17");
    assert_signed(&letter, "dlq.billing.orders",
                  "org.apache.kafka.common.errors.SerializationException",
                  "Size of data is not 8: 99");
    letter = READ(no_message);
    assert_slice(letter.code, "java.lang.NullPointerException");
    assert_true(slice_is_null(letter.detail));
    assert_string_equal(letter.unread, "__streams.errors.topic");
}

#define SPRING_ORIGIN(prefix)                                                                      \
    H(prefix "original-topic", "orders"), H(prefix "original-partition", "\0\0\1\2"),              \
        H(prefix "original-offset", "\0\0\0\1\0\0\0\x11"),                                         \
        H(prefix "original-timestamp", "\0\0\1\x8b\xcf\xe5\x68\0"),                                \
        H(prefix "original-timestamp-type", "CreateTime"),                                         \
        H(prefix "original-consumer-group", "billing")

static void test_dead_letter_of_spring_is_unwrapped(void **state)
{
    static const struct record_header headers[] = {
        SPRING_ORIGIN("kafka_dlt-"),
        H("kafka_dlt-exception-fqcn",
          "org.springframework.kafka.listener.ListenerExecutionFailedException"),
        H("kafka_dlt-exception-cause-fqcn", "com.acme.OrderClosed"),
        H("kafka_dlt-exception-message", "Listener method 'void on(Order)' threw exception"),
        H("kafka_dlt-exception-stacktrace",
          "org.springframework.kafka.listener.ListenerExecutionFailedException: Listener method "
          "'void on(Order)' threw exception\n\tat a.B.c(B.java:1)\nCaused by: "
          "com.acme.OrderClosed: "
          "order 17\nis closed\r\n\tat d.E.f(E.java:2)\n\t... 9 more\n"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_int_equal(letter.writer, LETTER_SPRING);
    assert_null(letter.unread);
    assert_origin(&letter, "orders", 258, 4294967313, 1700000000000);
    assert_slice(letter.group, "billing");
    assert_slice(letter.code, "com.acme.OrderClosed");
    assert_slice(letter.detail, "order 17\nis closed");
    assert_signed(&letter, "billing", "com.acme.OrderClosed", "order 4711\nis closed");
}

static void test_dead_letter_of_springs_retry_topics(void **state)
{
    static const struct record_header headers[] = {
        SPRING_ORIGIN("kafka_"),
        H("kafka_exception-fqcn", "java.lang.IllegalStateException"),
        H("kafka_exception-cause-fqcn", "java.io.IOException"),
        H("kafka_exception-message", "no"),
        H("retry_topic-attempts", "\0\0\0\3"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_int_equal(letter.writer, LETTER_SPRING);
    assert_null(letter.unread);
    assert_origin(&letter, "orders", 258, 4294967313, 1700000000000);
    assert_slice(letter.code, "java.lang.IllegalStateException");
    assert_slice(letter.detail, "no");
    assert_int_equal(letter.attempts, 3);
}

static void test_dead_letter_of_spring_whose_key_is_unreadable(void **state)
{
    static const struct record_header headers[] = {
        SPRING_ORIGIN("kafka_dlt-"),
        H("kafka_dlt-key-exception-fqcn",
          "org.springframework.kafka.support.serializer.DeserializationException"),
        H("kafka_dlt-key-exception-message", "failed to deserialize"),
        H("kafka_dlt-key-exception-stacktrace", "..."),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_slice(letter.code,
                 "org.springframework.kafka.support.serializer.DeserializationException");
    assert_slice(letter.detail, "failed to deserialize");
}

static void test_dead_letter_of_spring_with_wrong_sizes(void **state)
{
    static const struct record_header headers[] = {
        H("kafka_dlt-original-topic", "orders"),
        H("kafka_dlt-original-partition", "3"),
        H("kafka_dlt-original-offset", "\0\0\0\1"),
        H("kafka_dlt-original-timestamp", "\xff\xff\xff\xff\xff\xff\xff\xff"),
        H("kafka_dlt-exception-message", "no"),
    };
    static const struct record_header negative[] = {
        H("kafka_dlt-original-topic", "orders"),
        H("kafka_dlt-original-partition", "\xff\xff\xff\xfe"),
        H("kafka_dlt-original-offset", "\0\0\0\0\0\0\0\1"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_string_equal(letter.unread, "kafka_dlt-original-partition");
    assert_origin(&letter, "orders", -1, -1, -1);
    assert_slice(letter.detail, "no");
    letter = READ(negative);
    assert_string_equal(letter.unread, "kafka_dlt-original-partition");
    assert_origin(&letter, "orders", -1, 1, -1);
}

static void test_dead_letter_of_connect(void **state)
{
    static const struct record_header headers[] = {
        H("__connect.errors.topic", "orders"),
        H("__connect.errors.partition", "5"),
        H("__connect.errors.offset", "83604"),
        H("__connect.errors.connector.name", "jdbc-orders"),
        H("__connect.errors.task.id", "0"),
        H("__connect.errors.stage", "VALUE_CONVERTER"),
        H("__connect.errors.class.name", "org.apache.kafka.connect.json.JsonConverter"),
        H("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.DataException"),
        H("__connect.errors.exception.message", "Converting byte[] to Kafka Connect data failed"),
        H("__connect.errors.exception.stacktrace", "..."),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_int_equal(letter.writer, LETTER_CONNECT);
    assert_null(letter.unread);
    assert_origin(&letter, "orders", 5, 83604, -1);
    assert_slice(letter.group, "jdbc-orders");
    assert_slice(letter.code, "org.apache.kafka.connect.errors.DataException");
    assert_slice(letter.detail, "Converting byte[] to Kafka Connect data failed");
}

static void test_dead_letter_of_a_plain_producer(void **state)
{
    static const struct record_header headers[] = {H("kafka_topic", "x"), H_NULL("trace")};
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_int_equal(letter.writer, LETTER_PLAIN);
    assert_null(letter.unread);
    assert_true(slice_is_null(letter.origin.topic));
    assert_int_equal(letter.origin.partition, -1);
    assert_signed(&letter, "dlq.billing.orders", NULL, NULL);
    letter = read_headers(NULL, 0);
    assert_int_equal(letter.writer, LETTER_PLAIN);
}

/* What a record went through stands in the order of its headers. */
static void test_dead_letter_is_of_the_last_writer(void **state)
{
    static const struct record_header spring_then_own[] = {
        SPRING_ORIGIN("kafka_dlt-"),
        H("oncegate-group", "billing"),
        H("__dlq.errors.topic", "x"),
    };
    static const struct record_header own_then_connect[] = {
        H("oncegate-group", "billing"),
        H("__dlq.errors.topic", "x"),
        H("__connect.errors.topic", "y"),
    };
    static const struct record_header share_behind_spring[] = {
        SPRING_ORIGIN("kafka_dlt-"),
        H("__dlq.errors.topic", "x"),
    };
    (void)state;
    assert_int_equal(READ(spring_then_own).writer, LETTER_OWN);
    assert_int_equal(READ(own_then_connect).writer, LETTER_CONNECT);
    assert_int_equal(READ(share_behind_spring).writer, LETTER_SHARE_GROUP);
}

static void test_dead_letter_with_repeats_is_read_by_the_last(void **state)
{
    static const struct record_header headers[] = {
        SPRING_ORIGIN("kafka_dlt-"),
        H("kafka_dlt-original-topic", "orders.again"),
        H("kafka_dlt-exception-message", "first"),
        H("kafka_dlt-exception-message", "second"),
    };
    struct dead_letter letter = READ(headers);
    (void)state;
    assert_slice(letter.origin.topic, "orders.again");
    assert_slice(letter.detail, "second");
}

static void test_letter_writer_names_are_their_own(void **state)
{
    (void)state;
    for (int a = LETTER_OWN; a <= LETTER_SHARE_GROUP; a++) {
        for (int b = LETTER_OWN; b < a; b++)
            assert_string_not_equal(letter_writer_name((enum letter_writer)a),
                                    letter_writer_name((enum letter_writer)b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_letter_of_oncegate_is_read_as_it_is_written),
        cmocka_unit_test(test_dead_letter_that_continues_another_names_it),
        cmocka_unit_test(test_dead_letter_without_a_signature_is_signed_alike),
        cmocka_unit_test(test_dead_letter_with_damaged_headers_keeps_the_others),
        cmocka_unit_test(test_dead_letter_with_a_missing_part_names_it),
        cmocka_unit_test(test_dead_letter_of_a_share_group),
        cmocka_unit_test(test_dead_letter_of_streams),
        cmocka_unit_test(test_dead_letter_of_spring_is_unwrapped),
        cmocka_unit_test(test_dead_letter_of_springs_retry_topics),
        cmocka_unit_test(test_dead_letter_of_spring_whose_key_is_unreadable),
        cmocka_unit_test(test_dead_letter_of_spring_with_wrong_sizes),
        cmocka_unit_test(test_dead_letter_of_connect),
        cmocka_unit_test(test_dead_letter_of_a_plain_producer),
        cmocka_unit_test(test_dead_letter_is_of_the_last_writer),
        cmocka_unit_test(test_dead_letter_with_repeats_is_read_by_the_last),
        cmocka_unit_test(test_letter_writer_names_are_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
