/* Describing, listing and creating topics on a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "kafka/admin.h"
#include "test_kafka_support.h"

static int set_up(void **state)
{
    struct err err;

    rig_set_up(state);
    struct rig *rig = *state;
    rig->admin = kafka_admin_new(rig->loop, rig->config, &err);
    return rig->admin == NULL ? -1 : 0;
}

/* Longer than the first question waits, and shorter than the listing that follows it. */
#define FROZEN_MS 6000

struct answer {
    int calls;
    struct err err;
    size_t count;
    struct kafka_topic topics[4]; /* without their names */
    char failed[4][200];
    bool listed[2];
    const char *wanted[2];
};

static bool is_answered(void *arg)
{
    return ((struct answer *)arg)->calls > 0;
}

static void await(struct rig *rig, struct answer *answer)
{
    support_wait(rig->loop, is_answered, answer, 30, "the broker answers");
    assert_int_equal(answer->calls, 1);
}

static void on_described(void *arg, const struct kafka_topic *topics, size_t count,
                         const struct err *err)
{
    struct answer *answer = arg;

    answer->calls++;
    if (err != NULL)
        answer->err = *err;
    answer->count = count;
    for (size_t i = 0; i < count && i < 4; i++)
        answer->topics[i] = topics[i];
}

static void on_created(void *arg, const char *const *failed, size_t count, const struct err *err)
{
    struct answer *answer = arg;

    answer->calls++;
    if (err != NULL)
        answer->err = *err;
    answer->count = count;
    for (size_t i = 0; i < count && i < 4; i++) {
        if (failed[i] != NULL)
            str_copy(answer->failed[i], sizeof(answer->failed[i]), slice_of(failed[i]));
    }
}

static void on_listed(void *arg, const char *const *names, size_t count, const struct err *err)
{
    struct answer *answer = arg;

    answer->calls++;
    if (err != NULL)
        answer->err = *err;
    for (size_t i = 0; i < count; i++) {
        assert_false(strncmp(names[i], "__", 2) == 0);
        for (int j = 0; j < 2; j++) {
            if (answer->wanted[j] != NULL && strcmp(names[i], answer->wanted[j]) == 0)
                answer->listed[j] = true;
        }
    }
}

/* A broker may show a topic a moment after the controller has acknowledged that it is made: asks
 * until `made` of them are there. */
static void describe_made(struct rig *rig, const char *const *names, size_t count, bool configs,
                          size_t made, struct answer *answer)
{
    uint64_t deadline = clock_mono_ns() + UINT64_C(30000000000);
    size_t there;

    do {
        *answer = (struct answer){0};
        there = 0;
        kafka_admin_describe(rig->admin, names, count, configs, on_described, answer);
        assert_int_equal(answer->calls, 0);
        await(rig, answer);
        assert_int_equal(answer->err.code, ERR_NONE);
        assert_int_equal(answer->count, count);
        for (size_t i = 0; i < count; i++)
            there += answer->topics[i].exists;
    } while (there < made && clock_mono_ns() < deadline);
}

static void test_create_then_describe_tells_all(void **state)
{
    struct rig *rig = *state;
    const char *topic = support_name("admin");
    struct property configs[] = {
        {.name = (char *)(uintptr_t) "cleanup.policy", .value = (char *)(uintptr_t) "delete"},
        {.name = (char *)(uintptr_t) "retention.ms", .value = (char *)(uintptr_t) "1209600000"},
        {.name = (char *)(uintptr_t) "message.timestamp.type",
         .value = (char *)(uintptr_t) "LogAppendTime"},
        {.name = (char *)(uintptr_t) "max.message.bytes", .value = (char *)(uintptr_t) "2097152"},
    };
    struct kafka_new_topic new_topic = {topic, 3, -1, configs, 4};
    const char *names[] = {"never-made", topic};
    struct answer answer = {0};

    kafka_admin_create(rig->admin, &new_topic, 1, on_created, &answer);
    assert_int_equal(answer.calls, 0);
    await(rig, &answer);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_string_equal(answer.failed[0], "");

    describe_made(rig, names, 2, true, 1, &answer);
    assert_false(answer.topics[0].exists);
    assert_true(answer.topics[1].exists);
    assert_int_equal(answer.topics[1].partitions, 3);
    assert_int_equal(answer.topics[1].replication, 1);
    assert_int_equal(strlen(answer.topics[1].uuid), 22);
    assert_string_equal(answer.topics[1].cleanup_policy, "delete");
    assert_string_equal(answer.topics[1].timestamp_type, "LogAppendTime");
    assert_int_equal(answer.topics[1].retention_ms, 1209600000);
    assert_int_equal(answer.topics[1].min_insync_replicas, 1);
    assert_int_equal(answer.topics[1].max_message_bytes, 2097152);
}

static void test_create_existing_is_fine_and_bad_ones_are_named(void **state)
{
    struct rig *rig = *state;
    const char *topic = support_name("admin");
    struct kafka_new_topic topics[] = {{topic, 1, 1, NULL, 0},
                                       {support_name("admin"), 0, 1, NULL, 0},
                                       {"bad/name", 1, 1, NULL, 0}};
    struct answer answer = {0};

    support_topic(rig->loop, rig->config, topic, 1, NULL, 0);
    kafka_admin_create(rig->admin, topics, 3, on_created, &answer);
    await(rig, &answer);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_int_equal(answer.count, 3);
    assert_string_equal(answer.failed[0], "");
    assert_string_not_equal(answer.failed[1], "");
    assert_string_not_equal(answer.failed[2], "");
}

static void test_describe_a_name_twice_and_two_topics_by_uuid(void **state)
{
    struct rig *rig = *state;
    const char *one = support_name("admin");
    const char *two = support_name("admin");
    const char *names[] = {one, two, one};
    struct answer answer = {0};

    support_topic(rig->loop, rig->config, one, 1, NULL, 0);
    support_topic(rig->loop, rig->config, two, 1, NULL, 0);
    describe_made(rig, names, 3, false, 3, &answer);
    assert_string_not_equal(answer.topics[0].uuid, answer.topics[1].uuid);
    assert_string_equal(answer.topics[0].uuid, answer.topics[2].uuid);
    assert_string_equal(answer.topics[0].cleanup_policy, "");
}

/* Guards against a result that librdkafka leaves out. */
static void test_create_a_name_twice_answers(void **state)
{
    struct rig *rig = *state;
    const char *topic = support_name("admin");
    struct kafka_new_topic topics[] = {{topic, 1, 1, NULL, 0}, {topic, 2, 1, NULL, 0}};
    struct answer answer = {0};

    kafka_admin_create(rig->admin, topics, 2, on_created, &answer);
    await(rig, &answer);
    assert_int_equal(answer.count, 2);
    assert_string_not_equal(answer.failed[0], "");
    assert_string_not_equal(answer.failed[1], "");
}

static void test_describe_nothing_answers(void **state)
{
    struct rig *rig = *state;
    struct answer answer = {0};

    kafka_admin_describe(rig->admin, NULL, 0, true, on_described, &answer);
    await(rig, &answer);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_int_equal(answer.count, 0);
}

/* The same for the names alone: asks until the first that is wanted is there. */
static void list_made(struct rig *rig, struct answer *answer)
{
    uint64_t deadline = clock_mono_ns() + UINT64_C(30000000000);

    do {
        answer->calls = 0;
        kafka_admin_list(rig->admin, on_listed, answer);
        assert_int_equal(answer->calls, 0);
        await(rig, answer);
        assert_int_equal(answer->err.code, ERR_NONE);
    } while (!answer->listed[0] && clock_mono_ns() < deadline);
}

static void test_list_names_topics_without_internal_ones(void **state)
{
    struct rig *rig = *state;
    const char *topic = support_name("admin");
    struct answer answer = {.wanted = {topic, "__consumer_offsets"}};

    support_topic(rig->loop, rig->config, topic, 1, NULL, 0);
    list_made(rig, &answer);
    assert_true(answer.listed[0]);
    assert_false(answer.listed[1]);
}

static void on_frozen_long_enough(void *arg)
{
    struct answer *answer = arg;

    assert_int_equal(answer->calls, 0);
    support_broker_thaw();
}

/* A slow broker is none that has no controller: what it says is that it was too late, or all. */
static void test_description_that_comes_late_has_its_ids(void **state)
{
    struct rig *rig = *state;
    const char *topic = support_name("admin");
    const char *names[] = {topic};
    struct answer answer = {0};
    struct loop_timer thaw;

    support_topic(rig->loop, rig->config, topic, 1, NULL, 0);
    if (!support_broker_freeze())
        skip();
    loop_timer_init(&thaw, rig->loop, on_frozen_long_enough, &answer);
    loop_timer_set_ms(&thaw, FROZEN_MS);
    kafka_admin_describe(rig->admin, names, 1, true, on_described, &answer);
    await(rig, &answer);
    loop_timer_deinit(&thaw);
    for (int i = 0; i < 2; i++) {
        while (answer.err.code != ERR_NONE) {
            assert_true(answer.err.retriable);
            answer = (struct answer){0};
            kafka_admin_describe(rig->admin, names, 1, true, on_described, &answer);
            await(rig, &answer);
        }
        assert_true(answer.topics[0].exists);
        assert_int_equal(strlen(answer.topics[0].uuid), 22);
        assert_string_equal(answer.topics[0].cleanup_policy, "delete");
        answer = (struct answer){.err.code = ERR_CANCELLED, .err.retriable = true};
    }
}

static void test_no_broker_is_a_retriable_error(void **state)
{
    struct rig *rig = *state;
    const char *names[] = {"any"};
    struct answer described = {0};
    struct answer listed = {0};
    struct err err;

    kafka_admin_free(&rig->admin);
    mem_free(rig->config->kafka.items[0].value);
    rig->config->kafka.items[0].value = mem_strdup("127.0.0.1:1");
    rig->admin = kafka_admin_new(rig->loop, rig->config, &err);
    kafka_admin_describe(rig->admin, names, 1, true, on_described, &described);
    kafka_admin_list(rig->admin, on_listed, &listed);
    await(rig, &described);
    await(rig, &listed);
    assert_int_equal(described.err.code, ERR_UNAVAILABLE);
    assert_true(described.err.retriable);
    assert_int_equal(listed.err.code, ERR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(test_create_then_describe_tells_all, set_up),
        RIGGED(test_create_existing_is_fine_and_bad_ones_are_named, set_up),
        RIGGED(test_describe_a_name_twice_and_two_topics_by_uuid, set_up),
        RIGGED(test_create_a_name_twice_answers, set_up),
        RIGGED(test_describe_nothing_answers, set_up),
        RIGGED(test_list_names_topics_without_internal_ones, set_up),
        RIGGED(test_description_that_comes_late_has_its_ids, set_up),
        RIGGED(test_no_broker_is_a_retriable_error, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
