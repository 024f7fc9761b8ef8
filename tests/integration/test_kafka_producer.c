/* The producer on a real broker: bytes, order, what is lasting and what is not, a fatal client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "kafka/producer.h"
#include "kafka/producer_internal.h"
#include "test_kafka_support.h"

static int set_up(void **state)
{
    rig_set_up(state);
    struct rig *rig = *state;
    rig->metrics = metrics_new();
    rig->topic = support_name("producer"); /* two partitions */
    support_topic(rig->loop, rig->config, rig->topic, 2, NULL, 0);
    return 0;
}

static struct kafka_producer *new_producer(struct rig *rig)
{
    struct err err;
    struct kafka_producer *producer = kafka_producer_new(rig->loop, rig->config, rig->metrics,
                                                         &err);

    if (producer == NULL)
        fail_msg("%s", err.text);
    return producer;
}

struct batch {
    struct kafka_producer *producer;
    struct produce *messages;
    char (*values)[24];
    size_t count;
    size_t done;
    bool sending;
};

static void on_done(struct produce *msg)
{
    struct batch *batch = msg->arg;

    assert_false(batch->sending); /* never inside send */
    batch->done++;
}

static bool all_done(void *arg)
{
    const struct batch *batch = arg;

    return batch->done == batch->count;
}

static void batch_send(struct batch *batch, const char *topic, int32_t partition)
{
    batch->messages = mem_calloc(batch->count, sizeof(*batch->messages));
    batch->values = mem_calloc(batch->count, sizeof(*batch->values));
    batch->sending = true;
    for (size_t i = 0; i < batch->count; i++) {
        struct produce *msg = &batch->messages[i];

        snprintf(batch->values[i], sizeof(batch->values[i]), "%zu", i);
        msg->topic = topic;
        msg->partition = partition;
        msg->key = SLICE_LIT("k");
        msg->value = slice_of(batch->values[i]);
        msg->done = on_done;
        msg->arg = batch;
        kafka_producer_send(batch->producer, msg);
    }
    batch->sending = false;
}

static void batch_free(struct batch *batch)
{
    mem_free(batch->messages);
    mem_free(batch->values);
}

static void assert_result(const struct produce *msg, enum produce_result result)
{
    if (msg->result != result)
        fail_msg("result %d instead of %d: %s", msg->result, result, msg->err.text);
}

/* Every value 0..count-1, the first occurrences in order; reads the partition to its end. */
static void assert_in_order(struct rig *rig, int32_t partition, size_t count)
{
    const char *const props[] = {
        "group.id", "none", "auto.offset.reset", "earliest", "enable.partition.eof", "true", NULL};
    rd_kafka_t *rk = support_client(rig->bootstrap, RD_KAFKA_CONSUMER, props);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    size_t next = 0;

    rd_kafka_topic_partition_list_add(list, rig->topic, partition)->offset = 0;
    rd_kafka_assign(rk, list);
    for (;;) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 10000);
        char text[24];

        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            rd_kafka_message_destroy(message);
            break;
        }
        assert_int_equal(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
        snprintf(text, sizeof(text), "%zu", next);
        if (message->len == strlen(text) && memcmp(message->payload, text, message->len) == 0)
            next++;
        rd_kafka_message_destroy(message);
    }
    assert_int_equal(next, count);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

static void test_send_acked_in_order_with_offsets(void **state)
{
    struct rig *rig = *state;
    struct batch batch = {.producer = new_producer(rig), .count = 1000};

    batch_send(&batch, rig->topic, 1);
    assert_int_equal(kafka_producer_pending(batch.producer), 1000);
    support_wait(rig->loop, all_done, &batch, 20, "all are acknowledged");
    assert_int_equal(kafka_producer_pending(batch.producer), 0);
    for (size_t i = 0; i < batch.count; i++) {
        assert_result(&batch.messages[i], PRODUCE_ACKED);
        assert_int_equal(batch.messages[i].offset, i);
    }
    kafka_producer_free(&batch.producer);
    assert_in_order(rig, 1, 1000);
    batch_free(&batch);
}

struct one {
    struct member *member;
    struct record rec;
};

static bool take_one(void *arg)
{
    struct one *one = arg;
    int at = member_find(one->member, one->member->partitions[0]->topic, 0);

    return kafka_consumer_take(one->member->consumer, one->member->partitions[at], &one->rec) ==
           KAFKA_TAKE_RECORD;
}

static void assert_same(struct slice a, struct slice b)
{
    if (!slice_equal(a, b))
        fail_msg("%zu bytes (%s) became %zu (%s)", a.len, a.data == NULL ? "null" : "data", b.len,
                 b.data == NULL ? "null" : "data");
}

static void test_send_odd_bytes_are_kept(void **state)
{
    struct rig *rig = *state;
    static const struct record_header headers[] = {
        {{"h", 1}, {"a\0b", 3}}, {{"h", 1}, {NULL, 0}}, {{"e", 1}, {"", 0}}};
    static const struct {
        struct slice key, value;
        size_t headers;
    } cases[] = {
        {{"k\0k", 3}, {"v\0\377", 3}, 3}, {{NULL, 0}, {NULL, 0}, 0}, {{"", 0}, {"", 0}, 0}};
    struct batch batch = {.producer = new_producer(rig), .count = 3};
    struct produce messages[3] = {{0}};
    struct member member = {.start = OFFSET_EARLIEST};
    struct one one = {.member = &member};

    for (int i = 0; i < 3; i++) {
        messages[i] = (struct produce){.topic = rig->topic,
                                       .partition = 0,
                                       .key = cases[i].key,
                                       .value = cases[i].value,
                                       .headers = headers,
                                       .header_count = cases[i].headers,
                                       .done = on_done,
                                       .arg = &batch};
        kafka_producer_send(batch.producer, &messages[i]);
    }
    support_wait(rig->loop, all_done, &batch, 20, "all are acknowledged");
    member_start(&member, rig->loop, rig->config, support_name("g"), &rig->topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    for (int i = 0; i < 3; i++) {
        support_wait(rig->loop, take_one, &one, 20, "a record is taken");
        assert_same(cases[i].key, one.rec.key);
        assert_same(cases[i].value, one.rec.value);
        assert_int_equal(one.rec.header_count, cases[i].headers);
        for (size_t j = 0; j < cases[i].headers; j++) {
            assert_same(headers[j].name, one.rec.headers[j].name);
            assert_same(headers[j].value, one.rec.headers[j].value);
        }
        record_release(&one.rec);
    }
    member_stop(&member);
    kafka_producer_free(&batch.producer);
}

static void send_one(struct rig *rig, struct produce *msg)
{
    struct batch batch = {.producer = new_producer(rig), .count = 1};

    msg->done = on_done;
    msg->arg = &batch;
    kafka_producer_send(batch.producer, msg);
    support_wait(rig->loop, all_done, &batch, 40, "it is decided");
    kafka_producer_free(&batch.producer);
}

static void test_send_too_large_for_the_broker_is_lasting(void **state)
{
    struct rig *rig = *state;
    size_t size = 2 * 1024 * 1024;
    char *value = mem_zalloc(size);
    struct produce msg = {.topic = rig->topic, .value = {value, size}};
    const struct metric_label label = {"kind", "too-large"};

    send_one(rig, &msg);
    assert_result(&msg, PRODUCE_TOO_LARGE);
    assert_int_equal(msg.err.code, ERR_LIMIT);
    assert_false(msg.err.retriable);
    assert_int_equal(
        metric_value(metrics_counter(rig->metrics, "produce_failures_total", "", &label, 1)), 1);
    mem_free(value);
}

/* Neighbours of a message that is too large are not refused with it. */
static void test_send_small_ones_beside_a_large_one_are_acked(void **state)
{
    struct rig *rig = *state;
    size_t size = 2 * 1024 * 1024;
    char *value = mem_zalloc(size);
    struct batch batch = {.producer = new_producer(rig), .count = 21};
    struct produce large = {.topic = rig->topic, .value = {value, size}, .done = on_done};
    struct batch small = {.producer = batch.producer, .count = 20};

    large.arg = &batch;
    batch.count = 1;
    kafka_producer_send(batch.producer, &large);
    batch_send(&small, rig->topic, 0);
    support_wait(rig->loop, all_done, &small, 30, "the small ones are done");
    support_wait(rig->loop, all_done, &batch, 30, "the large one is done");
    for (size_t i = 0; i < small.count; i++)
        assert_result(&small.messages[i], PRODUCE_ACKED);
    assert_result(&large, PRODUCE_TOO_LARGE);
    kafka_producer_free(&batch.producer);
    batch_free(&small);
    mem_free(value);
}

/* A topic may allow less than a batch of ours has: that is the fault of none that is in it. */
static void test_send_small_ones_to_a_topic_with_a_small_limit_are_acked(void **state)
{
    struct rig *rig = *state;
    const struct property limit = {.name = (char *)(uintptr_t) "max.message.bytes",
                                   .value = (char *)(uintptr_t) "4000"};
    const char *topic = support_name("small-limit");
    char *value = mem_zalloc(5000);
    struct produce large = {.topic = topic, .value = {value, 5000}, .done = on_done};
    struct batch small = {.producer = new_producer(rig), .count = 2000};
    struct batch one = {.count = 1};

    support_topic(rig->loop, rig->config, topic, 1, &limit, 1);
    large.arg = &one;
    kafka_producer_prepare(small.producer, topic);
    batch_send(&small, topic, 0);
    kafka_producer_send(small.producer, &large);
    support_wait(rig->loop, all_done, &small, 40, "the small ones are done");
    support_wait(rig->loop, all_done, &one, 40, "the large one is done");
    for (size_t i = 0; i < small.count; i++)
        assert_result(&small.messages[i], PRODUCE_ACKED);
    assert_result(&large, PRODUCE_TOO_LARGE);
    assert_in_range(kafka_producer_remakes(small.producer), 1, 5);
    kafka_producer_free(&small.producer);
    batch_free(&small);
    mem_free(value);
}

static void test_send_no_such_partition_is_lasting(void **state)
{
    struct rig *rig = *state;
    struct produce msg = {.topic = rig->topic, .partition = 7, .value = SLICE_LIT("x")};

    send_one(rig, &msg);
    assert_result(&msg, PRODUCE_NO_TOPIC);
}

static void test_send_no_such_topic_is_lasting(void **state)
{
    struct rig *rig = *state;
    struct produce msg = {.topic = "never-made", .partition = 0, .value = SLICE_LIT("x")};

    support_property(&rig->config->kafka_producer, "topic.metadata.propagation.max.ms", "1000");
    send_one(rig, &msg);
    assert_result(&msg, PRODUCE_NO_TOPIC);
}

/* Of a client whose own queue holds few. */
static void begin_batch(struct rig *rig, struct batch *batch, const char *queue)
{
    support_property(&rig->config->kafka_producer, "queue.buffering.max.messages", queue);
    batch->producer = new_producer(rig);
    batch_send(batch, rig->topic, 0);
}

/* What the client cannot take waits in our own list, and keeps its order. */
static void test_send_beyond_the_client_queue_keeps_order(void **state)
{
    struct rig *rig = *state;
    struct batch batch = {.count = 3000};

    begin_batch(rig, &batch, "50");
    support_wait(rig->loop, all_done, &batch, 60, "all are acknowledged");
    for (size_t i = 0; i < batch.count; i++) {
        assert_result(&batch.messages[i], PRODUCE_ACKED);
        assert_int_equal(batch.messages[i].offset, i);
    }
    kafka_producer_free(&batch.producer);
    batch_free(&batch);
}

/* It would wait for ever for a place, and what comes behind it too. */
static void test_send_larger_than_the_client_queue_is_lasting(void **state)
{
    struct rig *rig = *state;
    size_t size = 200000;
    char *value = mem_zalloc(size);
    struct batch one = {.count = 1};
    struct batch small = {.count = 20};
    struct produce large = {
        .topic = rig->topic, .value = {value, size}, .done = on_done, .arg = &one};

    support_property(&rig->config->kafka_producer, "queue.buffering.max.kbytes", "100");
    small.producer = new_producer(rig);
    kafka_producer_send(small.producer, &large);
    batch_send(&small, rig->topic, 0);
    support_wait(rig->loop, all_done, &small, 30, "the small ones are done");
    support_wait(rig->loop, all_done, &one, 30, "the large one is done");
    assert_result(&large, PRODUCE_TOO_LARGE);
    assert_result(&small.messages[19], PRODUCE_ACKED);
    kafka_producer_free(&small.producer);
    batch_free(&small);
    mem_free(value);
}

static bool some_done(void *arg)
{
    const struct batch *batch = arg;

    return batch->done >= 100;
}

/* Guards against giving up what a fatal idempotent producer leaves unacknowledged. */
static void test_fatal_client_is_made_anew_and_nothing_is_lost(void **state)
{
    struct rig *rig = *state;
    struct batch batch = {.count = 2000};

    begin_batch(rig, &batch, "100");
    support_wait(rig->loop, some_done, &batch, 20, "it is under way");
    kafka_producer_break_for_test(batch.producer);
    support_wait(rig->loop, all_done, &batch, 60, "all are acknowledged");
    assert_int_equal(kafka_producer_remakes(batch.producer), 1);
    for (size_t i = 0; i < batch.count; i++)
        assert_result(&batch.messages[i], PRODUCE_ACKED);
    kafka_producer_free(&batch.producer);
    assert_in_order(rig, 0, 2000);
    batch_free(&batch);
}

/* Its report is awaited by nobody any more; what comes after it is not disturbed. */
static void test_abandoned_message_ends_and_may_still_be_written(void **state)
{
    struct rig *rig = *state;
    struct batch batch = {.count = 3};

    batch.producer = new_producer(rig);
    batch_send(&batch, rig->topic, 0);
    kafka_producer_abandon(batch.producer, &batch.messages[0]); /* not handed over yet */
    loop_turn(rig->loop, false);
    kafka_producer_abandon(batch.producer, &batch.messages[1]); /* handed over */
    support_wait(rig->loop, all_done, &batch, 20, "all have ended");
    assert_result(&batch.messages[0], PRODUCE_ABANDONED);
    assert_result(&batch.messages[1], PRODUCE_ABANDONED);
    assert_result(&batch.messages[2], PRODUCE_ACKED);
    assert_int_equal(batch.messages[2].offset, 1);
    kafka_producer_abandon(batch.producer, &batch.messages[2]); /* has ended: nothing happens */
    assert_int_equal(kafka_producer_pending(batch.producer), 0);
    kafka_producer_free(&batch.producer);
    assert_int_equal(batch.done, 3);
    batch_free(&batch);
}

static void test_free_cancels_what_is_left(void **state)
{
    struct rig *rig = *state;
    struct batch batch = {.count = 50};

    mem_free(rig->config->kafka.items[0].value);
    rig->config->kafka.items[0].value = mem_strdup("127.0.0.1:1");
    batch.producer = new_producer(rig);
    batch_send(&batch, rig->topic, 0);
    loop_turn(rig->loop, false);
    loop_turn(rig->loop, false);
    kafka_producer_free(&batch.producer);
    assert_int_equal(batch.done, 50);
    for (size_t i = 0; i < batch.count; i++)
        assert_result(&batch.messages[i], PRODUCE_CANCELLED);
    batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(test_send_acked_in_order_with_offsets, set_up),
        RIGGED(test_send_odd_bytes_are_kept, set_up),
        RIGGED(test_send_too_large_for_the_broker_is_lasting, set_up),
        RIGGED(test_send_small_ones_beside_a_large_one_are_acked, set_up),
        RIGGED(test_send_small_ones_to_a_topic_with_a_small_limit_are_acked, set_up),
        RIGGED(test_send_no_such_partition_is_lasting, set_up),
        RIGGED(test_send_no_such_topic_is_lasting, set_up),
        RIGGED(test_send_beyond_the_client_queue_keeps_order, set_up),
        RIGGED(test_send_larger_than_the_client_queue_is_lasting, set_up),
        RIGGED(test_fatal_client_is_made_anew_and_nothing_is_lost, set_up),
        RIGGED(test_abandoned_message_ends_and_may_still_be_written, set_up),
        RIGGED(test_free_cancels_what_is_left, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
