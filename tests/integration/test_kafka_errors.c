/* Errors that a broker gives only at times, injected by librdkafka's mock cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kafka/producer.h"
#include "kafka/producer_internal.h"
#include "test_kafka_support.h"

/* Wants rdkafka.h before it. */
#include <librdkafka/rdkafka_mock.h>

/* Kafka's numbers of requests; librdkafka does not publish its names for them. */
enum {
    API_PRODUCE = 0,
    API_LIST_OFFSETS = 2,
    API_COMMIT = 8,
    API_FETCH_COMMITTED = 9,
    API_HEARTBEAT = 12
};

struct mock {
    struct loop *loop;
    struct config *config;
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    const char *topic;
    const char *group;
};

static int set_up_brokers(void **state, int brokers)
{
    static struct mock rig;

    rig.rk = support_client("127.0.0.1:1", RD_KAFKA_PRODUCER,
                            (const char *[]){"log_level", "0", NULL});
    rig.cluster = rd_kafka_mock_cluster_new(rig.rk, brokers);
    assert_non_null(rig.cluster);
    rig.loop = support_loop();
    rig.config = support_config(rd_kafka_mock_cluster_bootstraps(rig.cluster));
    /* How long the mock keeps a member that was told to join anew. */
    support_property(&rig.config->kafka, "session.timeout.ms", "2000");
    rig.topic = support_name("mock");
    rig.group = support_name("group");
    rd_kafka_mock_topic_create(rig.cluster, rig.topic, 2, 1);
    rd_kafka_mock_group_initial_rebalance_delay_ms(rig.cluster, 100);
    *state = &rig;
    return 0;
}

static int set_up(void **state)
{
    return set_up_brokers(state, 1);
}

static int set_up_two(void **state)
{
    return set_up_brokers(state, 2);
}

static int tear_down(void **state)
{
    struct mock *rig = *state;

    rd_kafka_mock_cluster_destroy(rig->cluster);
    rd_kafka_destroy(rig->rk);
    support_config_free(&rig->config);
    loop_free(&rig->loop);
    return 0;
}

static void start(struct mock *rig, struct member *member)
{
    member_start(member, rig->loop, rig->config, rig->group, &rig->topic, 1);
}

static void produce(struct mock *rig, int count)
{
    support_produce(rd_kafka_mock_cluster_bootstraps(rig->cluster), rig->topic, 0, count);
}

/* A member that has its partitions, with ten records in the first. */
static void join_at_ten(struct mock *rig, struct member *member)
{
    produce(rig, 10);
    start(rig, member);
    support_wait(rig->loop, member_is_assigned, member, 20, "assigned");
}

static struct err commit_at_four(struct mock *rig, struct member *member)
{
    struct commit_result result;

    member_commit(member, member->partitions[0], 4, &result);
    support_await_commit(rig->loop, &result);
    return result.err;
}

static bool assigned_again(void *arg)
{
    return ((const struct member *)arg)->assigned >= 2;
}

static void test_commit_refused_is_told_and_may_be_repeated(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};

    join_at_ten(rig, &member);
    rd_kafka_mock_push_request_errors(rig->cluster, API_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    assert_int_equal(commit_at_four(rig, &member).code, ERR_DENIED);
    assert_int_equal(member.revoked, 0);
    /* The same offset again: a failed commit must not count as made. */
    assert_int_equal(commit_at_four(rig, &member).code, ERR_NONE);
    /* And unchanged: it goes to the broker all the same, whose answer proves the membership. */
    rd_kafka_mock_push_request_errors(rig->cluster, API_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    assert_int_equal(commit_at_four(rig, &member).code, ERR_DENIED);
    member_stop(&member);
}

/* A zombie's commit: its assignment is lost, nothing of it may be committed, it joins again. */
static void test_commit_of_a_zombie_loses_the_assignment(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};

    join_at_ten(rig, &member);
    rd_kafka_mock_push_request_errors(rig->cluster, API_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION);
    assert_int_not_equal(commit_at_four(rig, &member).code, ERR_NONE);
    support_wait(rig->loop, assigned_again, &member, 30, "it joins again");
    assert_int_equal(member.lost, 1);
    assert_false(kafka_consumer_lost(member.consumer));
    assert_int_equal(commit_at_four(rig, &member).code, ERR_NONE);
    member_stop(&member);
}

static void test_heartbeat_unknown_member_loses_the_assignment(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};

    start(rig, &member);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    rd_kafka_mock_push_request_errors(rig->cluster, API_HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    support_wait(rig->loop, assigned_again, &member, 30, "it joins again");
    assert_int_equal(member.lost, 1);
    member_stop(&member);
}

/* Not knowing a committed offset is no reason to believe that there is none. */
static void test_start_offsets_denied_then_known(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_LATEST};

    produce(rig, 10);
    support_set_committed(rd_kafka_mock_cluster_bootstraps(rig->cluster), rig->group, rig->topic, 0,
                          3);
    rd_kafka_mock_push_request_errors(rig->cluster, API_FETCH_COMMITTED, 2,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    start(rig, &member);
    support_wait(rig->loop, member_is_assigned, &member, 30, "assigned");
    assert_true(member.troubles >= 1);
    assert_int_equal(member.trouble.code, ERR_DENIED);
    assert_int_equal(member.last_missing, 1);
    assert_int_equal(member.partitions[member_find(&member, rig->topic, 0)]->start_offset, 3);
    member_stop(&member);
}

static void test_start_commit_refused_is_repeated(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};

    rd_kafka_mock_push_request_errors(rig->cluster, API_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    start(rig, &member);
    support_wait(rig->loop, member_is_assigned, &member, 30, "assigned");
    assert_true(member.troubles >= 1);
    assert_int_equal(member.missing, 1);
    assert_int_equal(support_committed(rd_kafka_mock_cluster_bootstraps(rig->cluster), rig->group,
                                       rig->topic, 0),
                     0);
    member_stop(&member);
}

/* Without a controller nobody says which topics there are: what a committed offset says of its
 * topic is carried on. */
static void test_note_is_carried_on_without_a_controller(void **state)
{
    struct mock *rig = *state;
    const char *bootstrap = rd_kafka_mock_cluster_bootstraps(rig->cluster);
    const char *note = "topic-id abcdefghijklmnopqrstuv of somewhere";
    struct member member = {.start = OFFSET_EARLIEST};

    support_commit_note(bootstrap, rig->group, rig->topic, 0, 2, note);
    join_at_ten(rig, &member);
    assert_int_equal(member.partitions[0]->start_offset, 2);
    assert_int_equal(commit_at_four(rig, &member).code, ERR_NONE);
    assert_string_equal(support_committed_note(bootstrap, rig->group, rig->topic, 0), note);
    member_stop(&member);
}

/* A person's, which only begins as ours do. */
static void test_note_that_is_too_short_is_none(void **state)
{
    struct mock *rig = *state;
    const char *bootstrap = rd_kafka_mock_cluster_bootstraps(rig->cluster);
    struct member member = {.start = OFFSET_EARLIEST};

    support_commit_note(bootstrap, rig->group, rig->topic, 0, 2, "topic-id x");
    support_commit_note(bootstrap, rig->group, rig->topic, 1, 0, "topic-id x");
    join_at_ten(rig, &member);
    assert_int_equal(member.missing, 0);
    assert_int_equal(commit_at_four(rig, &member).code, ERR_NONE);
    assert_string_equal(support_committed_note(bootstrap, rig->group, rig->topic, 0), "");
    member_stop(&member);
}

static bool has_trouble(void *arg)
{
    return ((const struct member *)arg)->troubles > 0;
}

/* Two partitions, two topics of that name: one of the offsets is void, and nobody says which. */
static void test_nothing_begins_where_notes_differ_and_nobody_says_which_is_right(void **state)
{
    struct mock *rig = *state;
    const char *bootstrap = rd_kafka_mock_cluster_bootstraps(rig->cluster);
    struct member member = {.start = OFFSET_EARLIEST};

    support_commit_note(bootstrap, rig->group, rig->topic, 0, 2,
                        "topic-id abcdefghijklmnopqrstuv of somewhere");
    support_commit_note(bootstrap, rig->group, rig->topic, 1, 0,
                        "topic-id bbcdefghijklmnopqrstuv of somewhere");
    produce(rig, 10);
    start(rig, &member);
    support_wait(rig->loop, has_trouble, &member, 30, "it is told");
    assert_int_equal(member.trouble.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(member.trouble.text, "another topic"));
    assert_int_equal(member.missing, 0);
    assert_int_equal(member.assigned, 0);
    member_stop(&member);
}

/* A rebalance while the start offsets are still looked up ends that, without a word to the flow. */
static void test_revoked_while_starting_begins_anew(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};

    rd_kafka_mock_push_request_errors(
        rig->cluster, API_FETCH_COMMITTED, 3, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    rd_kafka_mock_push_request_errors(rig->cluster, API_HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    start(rig, &member);
    support_wait(rig->loop, member_is_assigned, &member, 30, "assigned");
    assert_int_equal(member.revoked, 0);
    assert_int_equal(member.assigned, 1);
    member_stop(&member);
}

static void test_broker_away_and_back_goes_on(void **state)
{
    struct mock *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};
    struct commit_result result;

    join_at_ten(rig, &member);
    rd_kafka_mock_broker_set_down(rig->cluster, 1);
    member_commit(&member, member.partitions[0], 4, &result);
    for (int i = 0; i < 50; i++)
        loop_turn(rig->loop, false);
    rd_kafka_mock_broker_set_up(rig->cluster, 1);
    support_await_commit(rig->loop, &result);
    member_stop(&member);
}

struct copy {
    struct produce msg;
    bool done;
};

static void on_copy_done(struct produce *msg)
{
    ((struct copy *)msg->arg)->done = true;
}

static bool is_copied(void *arg)
{
    return ((const struct copy *)arg)->done;
}

static void send_copy(struct mock *rig, struct kafka_producer *producer, struct copy *copy)
{
    *copy = (struct copy){.msg = {.topic = rig->topic,
                                  .partition = 0,
                                  .value = SLICE_LIT("v"),
                                  .done = on_copy_done,
                                  .arg = copy}};
    kafka_producer_send(producer, &copy->msg);
}

/* The partition is led by another broker, whose epoch is below what clients have seen, as of a
 * topic that was made again. */
static void lead_from_an_older_epoch(struct mock *rig)
{
    enum { ANSWERS = 24 };

    assert_int_equal(rd_kafka_mock_partition_set_leader(rig->cluster, rig->topic, 0, 2), 0);
    for (int i = 0; i < ANSWERS; i++)
        assert_int_equal(
            rd_kafka_mock_partition_push_leader_response(rig->cluster, rig->topic, 0, 2, 0), 0);
}

/* librdkafka takes such a leader for outdated (issue 4898), and asks the old one for good. */
static void test_producer_that_is_renewed_finds_the_leader(void **state)
{
    struct mock *rig = *state;
    struct kafka_producer *producer;
    struct copy copy;
    struct err err;

    assert_int_equal(rd_kafka_mock_partition_set_leader(rig->cluster, rig->topic, 0, 2), 0);
    assert_int_equal(rd_kafka_mock_partition_set_leader(rig->cluster, rig->topic, 0, 1), 0);
    producer = kafka_producer_new(rig->loop, rig->config, NULL, &err);
    assert_non_null(producer);
    send_copy(rig, producer, &copy);
    support_wait(rig->loop, is_copied, &copy, 20, "a copy to the first leader");
    lead_from_an_older_epoch(rig);
    send_copy(rig, producer, &copy);
    kafka_producer_renew(producer);
    kafka_producer_renew(producer); /* of another route */
    support_wait(rig->loop, is_copied, &copy, 20, "a copy to the second leader");
    assert_int_equal(copy.msg.result, PRODUCE_ACKED);
    assert_int_equal(kafka_producer_remakes(producer), 1);
    kafka_producer_free(&producer);
}

struct described {
    int calls;
    struct kafka_topic topics[2];
};

static void on_described(void *arg, const struct kafka_topic *topics, size_t count,
                         const struct err *err)
{
    struct described *described = arg;

    assert_null(err);
    assert_int_equal(count, 2);
    described->calls++;
    memcpy(described->topics, topics, sizeof(described->topics));
}

static bool is_described(void *arg)
{
    return ((struct described *)arg)->calls > 0;
}

/* The mock cluster has no controller: what can be told is told all the same, the second time at
 * once. */
static void test_describe_without_a_controller(void **state)
{
    struct mock *rig = *state;
    const char *names[] = {rig->topic, "never-made"};
    struct err err;
    struct kafka_admin *admin = kafka_admin_new(rig->loop, rig->config, &err);

    assert_non_null(admin);
    for (int seconds = 20; seconds > 0; seconds -= 18) {
        struct described described = {0};

        kafka_admin_describe(admin, names, 2, true, on_described, &described);
        support_wait(rig->loop, is_described, &described, seconds, "the topics are described");
        assert_true(described.topics[0].exists);
        assert_int_equal(described.topics[0].partitions, 2);
        assert_int_equal(described.topics[0].replication, 1);
        assert_string_equal(described.topics[0].uuid, "");
        assert_false(described.topics[1].exists);
    }
    kafka_admin_free(&admin);
}

struct sending {
    struct produce msg;
    int calls;
};

static void on_done(struct produce *msg)
{
    ((struct sending *)msg->arg)->calls++;
}

static bool is_sent(void *arg)
{
    return ((struct sending *)arg)->calls > 0;
}

/* What the broker answers once, and what becomes of the copy. */
static const struct {
    rd_kafka_resp_err_t code;
    enum produce_result result;
} answers[] = {
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, PRODUCE_ACKED},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, PRODUCE_ACKED},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, PRODUCE_ACKED},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, PRODUCE_ACKED},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, PRODUCE_ACKED},
    {RD_KAFKA_RESP_ERR_UNKNOWN, PRODUCE_ACKED},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, PRODUCE_TOO_LARGE},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, PRODUCE_TOO_LARGE},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, PRODUCE_DENIED},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, PRODUCE_DENIED},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, PRODUCE_INVALID},
    /* The client takes it for delivered; nothing was. */
    {RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER, PRODUCE_ACKED},
};

static void test_produce_errors_heal_or_last(void **state)
{
    struct mock *rig = *state;

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct sending sending = {0};
        struct err err;
        struct kafka_producer *producer = kafka_producer_new(rig->loop, rig->config, NULL, &err);

        assert_non_null(producer);
        sending.msg = (struct produce){
            .topic = rig->topic, .value = SLICE_LIT("x"), .done = on_done, .arg = &sending};
        rd_kafka_mock_push_request_errors(rig->cluster, API_PRODUCE, 1, answers[i].code);
        kafka_producer_send(producer, &sending.msg);
        support_wait(rig->loop, is_sent, &sending, 30, "it is decided");
        if (sending.msg.result != answers[i].result)
            fail_msg("%s ended in %d", rd_kafka_err2name(answers[i].code), sending.msg.result);
        if (sending.msg.result == PRODUCE_ACKED && sending.msg.offset < 0)
            fail_msg("%s: acked, and nobody knows where", rd_kafka_err2name(answers[i].code));
        rd_kafka_mock_clear_request_errors(rig->cluster, API_PRODUCE);
        kafka_producer_free(&producer);
        assert_int_equal(sending.calls, 1);
    }
}

#define ROUND_TRIP_MS 300

static void send_all(struct mock *rig, struct kafka_producer *producer, struct sending *sendings,
                     size_t count)
{
    static char value[200];

    for (size_t i = 0; i < count; i++) {
        sendings[i].msg = (struct produce){.topic = rig->topic,
                                           .value = {value, sizeof(value)},
                                           .done = on_done,
                                           .arg = &sendings[i]};
        kafka_producer_send(producer, &sendings[i].msg);
    }
    for (size_t i = 0; i < count; i++)
        support_wait(rig->loop, is_sent, &sendings[i], 30, "it is decided");
}

/* All are in the log: each where no other is, behind the first that was sent. */
static void assert_each_has_its_place(const struct sending *sendings, size_t count)
{
    unsigned places = 0;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sendings[i].calls, 1);
        assert_int_equal(sendings[i].msg.result, PRODUCE_ACKED);
        assert_in_range(sendings[i].msg.offset, 1, 30);
        places |= 1U << sendings[i].msg.offset;
    }
    assert_int_equal(__builtin_popcount(places), count);
}

/* A producer that has written one message, and whose next request will be answered so, late. */
static struct kafka_producer *refuse_next(struct mock *rig, rd_kafka_resp_err_t code)
{
    struct sending first = {0};
    struct err err;
    struct kafka_producer *producer = kafka_producer_new(rig->loop, rig->config, NULL, &err);

    assert_non_null(producer);
    send_all(rig, producer, &first, 1);
    assert_int_equal(first.msg.offset, 0);
    rd_kafka_mock_push_request_errors(rig->cluster, API_PRODUCE, 1, code);
    rd_kafka_mock_broker_set_rtt(rig->cluster, 1, ROUND_TRIP_MS);
    return producer;
}

/* The client takes what was refused for delivered, because what it sent behind it was taken. */
static void test_produce_refused_before_one_that_is_taken_is_written(void **state)
{
    struct mock *rig = *state;
    struct sending sendings[2] = {{.calls = 0}};
    struct kafka_producer *producer;

    support_property(&rig->config->kafka, "batch.size", "128"); /* each for itself */
    producer = refuse_next(rig, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
    send_all(rig, producer, sendings, 2);
    assert_each_has_its_place(sendings, 2);
    kafka_producer_free(&producer);
}

/* The client takes them for delivered, and counts their offsets up from that of the answer: -1. */
static void test_produce_duplicate_batch_is_written(void **state)
{
    struct mock *rig = *state;
    struct sending sendings[5] = {{.calls = 0}};
    struct kafka_producer *producer;

    support_property(&rig->config->kafka, "linger.ms", "300"); /* all in one */
    producer = refuse_next(rig, RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER);
    send_all(rig, producer, sendings, 5);
    assert_each_has_its_place(sendings, 5);
    kafka_producer_free(&producer);
}

#define MOCKED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MOCKED(test_commit_refused_is_told_and_may_be_repeated),
        MOCKED(test_commit_of_a_zombie_loses_the_assignment),
        MOCKED(test_heartbeat_unknown_member_loses_the_assignment),
        MOCKED(test_start_offsets_denied_then_known),
        MOCKED(test_start_commit_refused_is_repeated),
        MOCKED(test_note_is_carried_on_without_a_controller),
        MOCKED(test_note_that_is_too_short_is_none),
        MOCKED(test_nothing_begins_where_notes_differ_and_nobody_says_which_is_right),
        MOCKED(test_revoked_while_starting_begins_anew),
        MOCKED(test_broker_away_and_back_goes_on),
        MOCKED(test_describe_without_a_controller),
        MOCKED(test_produce_errors_heal_or_last),
        MOCKED(test_produce_refused_before_one_that_is_taken_is_written),
        MOCKED(test_produce_duplicate_batch_is_written),
        cmocka_unit_test_setup_teardown(test_producer_that_is_renewed_finds_the_leader, set_up_two,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
