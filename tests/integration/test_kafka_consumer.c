/* The consumer on a real broker: bytes, start offsets, order of taking, commits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kafka/watermark.h"
#include "test_kafka_support.h"

struct one {
    struct member *member;
    struct record rec;
};

static bool take_one(void *arg)
{
    struct one *one = arg;

    return kafka_consumer_take(one->member->consumer, one->member->partitions[0], &one->rec) ==
           KAFKA_TAKE_RECORD;
}

static void next_record(struct rig *rig, struct one *one)
{
    support_wait(rig->loop, take_one, one, 20, "a record is taken");
}

static void produce_odd_records(const char *bootstrap, const char *topic)
{
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_PRODUCER, NULL);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    char value[] = "v\0\377z";
    char empty[] = "";

    rd_kafka_header_add(headers, "a", 1, "1\0\377", 3);
    rd_kafka_header_add(headers, "b", 1, NULL, 0);
    rd_kafka_header_add(headers, "a", 1, "", 0);
    rd_kafka_header_add(headers, "", 0, "x", 1);
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_KEY("k\0y", 3), RD_KAFKA_V_VALUE(value, 4),
                                       RD_KAFKA_V_TIMESTAMP(INT64_C(1700000000123)),
                                       RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(NULL, 0),
                      RD_KAFKA_V_VALUE(NULL, 0), RD_KAFKA_V_END);
    rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY("", 0),
                      RD_KAFKA_V_VALUE(empty, 0), RD_KAFKA_V_END);
    assert_int_equal(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(rk);
}

static void assert_bytes(struct slice s, const char *data, size_t len)
{
    assert_non_null(s.data);
    assert_int_equal(s.len, len);
    assert_memory_equal(s.data, data, len);
}

static void test_take_odd_bytes_are_kept(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST};
    struct one one = {.member = &member};

    produce_odd_records(rig->bootstrap, topic);
    member_start(&member, rig->loop, rig->config, support_name("g"), &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");

    next_record(rig, &one);
    assert_string_equal(one.rec.topic.data, topic);
    assert_int_equal(one.rec.offset, 0);
    assert_true(one.rec.timestamp_ms == INT64_C(1700000000123));
    assert_false(one.rec.log_append_time);
    assert_int_equal(one.rec.leader_epoch, 0);
    assert_bytes(one.rec.key, "k\0y", 3);
    assert_bytes(one.rec.value, "v\0\377z", 4);
    assert_int_equal(one.rec.header_count, 4);
    assert_bytes(one.rec.headers[0].name, "a", 1);
    assert_bytes(one.rec.headers[0].value, "1\0\377", 3);
    assert_null(one.rec.headers[1].value.data);
    assert_bytes(one.rec.headers[2].value, "", 0);
    assert_bytes(one.rec.headers[3].name, "", 0);
    record_release(&one.rec);

    next_record(rig, &one);
    assert_null(one.rec.key.data);
    assert_null(one.rec.value.data);
    assert_int_equal(one.rec.header_count, 0);
    record_release(&one.rec);

    next_record(rig, &one);
    assert_bytes(one.rec.key, "", 0);
    assert_bytes(one.rec.value, "", 0);
    record_release(&one.rec);
    member_stop(&member);
}

static void test_missing_earliest_is_committed_before_assigned(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_EARLIEST};

    support_produce(rig->bootstrap, topic, 1, 5);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.missing, 1);
    assert_int_equal(member.last_missing, 2);
    assert_false(member.missing_out_of_range);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 0);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 1), 0);
    member_take_all(rig, &member, 5);
    member_stop(&member);
}

static void test_missing_latest_starts_at_the_end(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_LATEST};

    support_produce(rig->bootstrap, topic, 0, 7);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.partitions[0]->start_offset, 7);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 7);
    support_produce(rig->bootstrap, topic, 0, 3);
    member_take_all(rig, &member, 3);
    assert_int_equal(member.next[0], 10);
    assert_int_equal(kafka_consumer_high_watermark(member.consumer, member.partitions[0]), 10);
    member_stop(&member);
}

static void test_missing_stop_leaves_the_partition_out(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_STOP};

    support_set_committed(rig->bootstrap, group, topic, 1, 0);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.last_missing, 1);
    assert_int_equal(member.partition_count, 1);
    assert_int_equal(member.partitions[0]->partition, 1);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), -1);
    member_stop(&member);
}

static void test_committed_is_where_it_starts(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_EARLIEST};

    support_produce(rig->bootstrap, topic, 0, 10);
    support_set_committed(rig->bootstrap, group, topic, 0, 4);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.missing, 0);
    member_take_all(rig, &member, 6);
    assert_int_equal(member.next[0], 10);
    member_stop(&member);
}

/* Retention overtook the group: it is told, and asked, before anything is delivered. */
static void test_committed_below_the_log_is_missing_and_out_of_range(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_EARLIEST};

    support_produce(rig->bootstrap, topic, 0, 10);
    support_set_committed(rig->bootstrap, group, topic, 0, 2);
    support_delete_records(rig->bootstrap, topic, 0, 6);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.missing, 1);
    assert_true(member.missing_out_of_range);
    assert_int_equal(member.missing_committed, 2);
    member_take_all(rig, &member, 4);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 6);
    member_stop(&member);
}

static bool has_last_record(void *arg)
{
    const struct member *member = arg;

    return member->next[0] == 2001 && member->next[1] == 15;
}

static bool assigned_twice(void *arg)
{
    return ((const struct member *)arg)->assigned == 2;
}

/*
 * The log ends below the committed offset. Offsets would fall within one assignment, which no
 * watermark can follow: so it is lost, and a new one begins.
 */
static void test_out_of_range_above_the_log_begins_anew(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_EARLIEST};
    struct commit_result result;
    struct err err;

    support_produce(rig->bootstrap, topic, 0, 10);
    support_produce(rig->bootstrap, topic, 1, 10);
    support_set_committed(rig->bootstrap, group, topic, 0, 1000);
    support_set_committed(rig->bootstrap, group, topic, 1, 0);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    member.taking = true;
    support_wait(rig->loop, member_is_out_of_range, &member, 20, "out of range");
    assert_int_equal(member.bad->partition, 0);
    assert_int_equal(member.bad_offset, 1000);
    member_take_all(rig, &member, 10);
    member_commit(&member, member.partitions[member_find(&member, topic, 1)], 4, &result);
    support_await_commit(rig->loop, &result);

    assert_false(kafka_consumer_restart_partition(member.consumer, member.bad, OFFSET_STOP, &err));
    assert_true(
        kafka_consumer_restart_partition(member.consumer, member.bad, OFFSET_EARLIEST, &err));
    support_wait(rig->loop, assigned_twice, &member, 20, "a new assignment");
    assert_int_equal(member.lost, 1);
    member_take_all(rig, &member, 10 + 10 + 6);
    assert_int_equal(member.partitions[member_find(&member, topic, 0)]->start_offset, 0);
    assert_int_equal(member.partitions[member_find(&member, topic, 1)]->start_offset, 4);
    assert_int_equal(member.disorder, 0);
    assert_int_equal(member.out_of_range, 1);
    member_commit(&member, member.partitions[member_find(&member, topic, 0)], 10, &result);
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_NONE);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 10);
    member_stop(&member);
}

/* Retention overtakes a slow consumer: the other partitions keep their place meanwhile. */
static void test_out_of_range_below_the_log_goes_on_in_the_assignment(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    struct member member = {.start = OFFSET_EARLIEST};
    struct one one = {.member = &member};
    struct err err;

    support_property(&rig->config->kafka_consumer, "queued.min.messages", "1");
    support_property(&rig->config->kafka_consumer, "max.partition.fetch.bytes", "1000");
    for (int i = 0; i < 20; i++)
        support_produce(rig->bootstrap, topic, 0, 100);
    support_produce(rig->bootstrap, topic, 1, 10);
    member_start(&member, rig->loop, rig->config, support_name("g"), &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.partitions[0]->partition, 0);
    next_record(rig, &one); /* the first batch was fetched, the last ones were not */
    record_release(&one.rec);
    support_delete_records(rig->bootstrap, topic, 0, 1900);

    member.taking = true;
    kafka_consumer_rearm(member.consumer);
    support_wait(rig->loop, member_is_out_of_range, &member, 20, "out of range");
    support_produce(rig->bootstrap, topic, 1, 5);
    assert_true(
        kafka_consumer_restart_partition(member.consumer, member.bad, OFFSET_EARLIEST, &err));
    member.seen[0] = member.seen[1] = member.records = 0;
    support_produce(rig->bootstrap, topic, 0, 1);
    support_wait(rig->loop, has_last_record, &member, 20, "the last record is taken");
    assert_int_equal(member.next[0], 2001);
    assert_int_equal(member.seen[0], 101);
    assert_int_equal(member.bad->start_offset, 1900);
    assert_int_equal(member.revoked, 0);
    assert_int_equal(member.disorder, 0);
    member_stop(&member);
}

/* Queue events come only when a queue was empty: what a bounded drain leaves must not stay behind.
 */
static void test_take_small_budget_leaves_none_behind(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    struct member member = {.start = OFFSET_EARLIEST, .taking = true, .budget = 10};

    support_produce(rig->bootstrap, topic, 0, 6000);
    support_produce(rig->bootstrap, topic, 1, 4000);
    member_start(&member, rig->loop, rig->config, support_name("g"), &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    /* Only `readable` takes from here on. */
    for (uint64_t end = clock_mono_ns() + 20 * NS_PER_S;
         member.records < 10000 && clock_mono_ns() < end;)
        loop_turn(rig->loop, true);
    assert_int_equal(member.records, 10000);
    assert_int_equal(member.disorder, 0);
    member_stop(&member);
}

static void produce_transactions(const char *bootstrap, const char *topic, int transactions)
{
    const char *const props[] = {"transactional.id", support_name("tx"), NULL};
    rd_kafka_t *rk = support_client(bootstrap, RD_KAFKA_PRODUCER, props);

    assert_null(rd_kafka_init_transactions(rk, 30000));
    for (int i = 0; i < transactions; i++) {
        assert_null(rd_kafka_begin_transaction(rk));
        for (int j = 0; j < 3; j++)
            rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t) "x", 1), RD_KAFKA_V_END);
        /* An abort would else drop what was not sent yet. */
        assert_int_equal(rd_kafka_flush(rk, 30000), RD_KAFKA_RESP_ERR_NO_ERROR);
        if (i % 2 == 0)
            assert_null(rd_kafka_commit_transaction(rk, 30000));
        else
            assert_null(rd_kafka_abort_transaction(rk, 30000));
    }
    rd_kafka_destroy(rk);
}

/* Markers and aborted records take offsets that never arrive; guards the watermark against
 * counting. */
static void test_transactions_watermark_steps_over_markers(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST};
    struct one one = {.member = &member};
    struct watermark *watermark;
    struct commit_result result;
    uint64_t slots[9];
    const char *group = support_name("g");

    produce_transactions(rig->bootstrap, topic, 5); /* 3 committed, 2 aborted: 9 records */
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    watermark = watermark_new(member.partitions[0]->start_offset);
    for (int i = 0; i < 9; i++) {
        next_record(rig, &one);
        assert_int_equal(one.rec.offset, i / 3 * 8 + i % 3);
        slots[i] = watermark_add(watermark, one.rec.offset);
        record_release(&one.rec);
    }
    for (int i = 8; i >= 0; i--)
        watermark_settle(watermark, slots[i]);
    assert_int_equal(watermark_offset(watermark), 19);
    member_commit(&member, member.partitions[0], watermark_offset(watermark), &result);
    support_await_commit(rig->loop, &result);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 19);
    watermark_free(&watermark);
    member_stop(&member);
}

static void test_commit_never_rewinds(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_EARLIEST};
    struct commit_result result;

    support_produce(rig->bootstrap, topic, 0, 10);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    member_commit(&member, member.partitions[0], 8, &result);
    assert_true(kafka_consumer_committing(member.consumer));
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_NONE);
    member_commit(&member, member.partitions[0], 3, &result);
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_NONE);
    assert_false(kafka_consumer_committing(member.consumer));
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 8);
    member_stop(&member);
}

/* A member that stays for a while and takes nothing from one partition. */
static void test_untaken_partition_stalls_nobody_and_keeps_membership(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    struct member member = {.start = OFFSET_EARLIEST};
    uint64_t end;

    support_property(&rig->config->kafka_consumer, "max.poll.interval.ms", "6000");
    support_produce(rig->bootstrap, topic, 0, 100);
    support_produce(rig->bootstrap, topic, 1, 100);
    member_start(&member, rig->loop, rig->config, support_name("g"), &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    member.skip = member.partitions[0];
    member.taking = true; /* not before: the first records may come with the assignment */
    member_take(&member);
    /* Longer than the poll interval: that time passes is what is tested. */
    end = clock_mono_ns() + 9 * NS_PER_S;
    while (clock_mono_ns() < end)
        loop_turn(rig->loop, true);
    support_produce(rig->bootstrap, topic, 1, 50);
    member_take_all(rig, &member, 150);
    assert_int_equal(member.revoked, 0);
    assert_int_equal(member.troubles, 0);
    member.skip = NULL;
    member_take_all(rig, &member, 250);
    assert_int_equal(member.disorder, 0);
    member_stop(&member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(test_take_odd_bytes_are_kept, rig_set_up),
        RIGGED(test_missing_earliest_is_committed_before_assigned, rig_set_up),
        RIGGED(test_missing_latest_starts_at_the_end, rig_set_up),
        RIGGED(test_missing_stop_leaves_the_partition_out, rig_set_up),
        RIGGED(test_committed_is_where_it_starts, rig_set_up),
        RIGGED(test_committed_below_the_log_is_missing_and_out_of_range, rig_set_up),
        RIGGED(test_out_of_range_above_the_log_begins_anew, rig_set_up),
        RIGGED(test_out_of_range_below_the_log_goes_on_in_the_assignment, rig_set_up),
        RIGGED(test_take_small_budget_leaves_none_behind, rig_set_up),
        RIGGED(test_transactions_watermark_steps_over_markers, rig_set_up),
        RIGGED(test_commit_never_rewinds, rig_set_up),
        RIGGED(test_untaken_partition_stalls_nobody_and_keeps_membership, rig_set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
