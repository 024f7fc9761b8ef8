/* Following partitions, and where logs begin and end, on a real broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "kafka/admin.h"
#include "kafka/follower.h"
#include "test_kafka_support.h"

enum { PARTS = 2 };

/* What a follower has told so far. */
struct seen {
    struct kafka_follower *follower;
    int records[PARTS];
    int64_t first[PARTS], last[PARTS]; /* offsets; -1: none */
    int64_t end[PARTS];                /* of the last end told; -1: none */
    int back;                          /* records below the one before */
    int troubles;
    int want_records;
    int64_t want_end;
};

static int set_up(void **state)
{
    struct err err;

    rig_set_up(state);
    struct rig *rig = *state;
    rig->topic = support_name("follow");
    rig->admin = kafka_admin_new(rig->loop, rig->config, &err);
    return rig->admin == NULL ? -1 : 0;
}

static void on_readable(void *arg)
{
    struct seen *seen = arg;
    struct record rec;
    struct err err;
    int64_t end;
    size_t at;

    for (;;) {
        switch (kafka_follower_take(seen->follower, &rec, &at, &end, &err)) {
        case KAFKA_FOLLOW_EMPTY:
            return;
        case KAFKA_FOLLOW_END:
            seen->end[at] = end;
            break;
        case KAFKA_FOLLOW_TROUBLE:
            seen->troubles++;
            break;
        case KAFKA_FOLLOW_RECORD:
            if (seen->records[at]++ == 0)
                seen->first[at] = rec.offset;
            seen->back += rec.offset <= seen->last[at];
            seen->last[at] = rec.offset;
            break;
        }
    }
}

static void follow(struct rig *rig, struct seen *seen, int64_t from)
{
    struct kafka_reader_range ranges[PARTS];
    struct err err;

    *seen = (struct seen){.first = {-1, -1}, .last = {-1, -1}, .end = {-1, -1}};
    for (int32_t p = 0; p < PARTS; p++)
        ranges[p] = (struct kafka_reader_range){rig->topic, p, p == 0 ? from : 0};
    seen->follower = kafka_follower_new(rig->loop, rig->config, "watcher", ranges, PARTS,
                                        on_readable, seen, &err);
    if (seen->follower == NULL)
        fail_msg("%s", err.text);
}

static bool has_wanted(void *arg)
{
    const struct seen *seen = arg;

    return seen->records[0] >= seen->want_records && seen->end[0] >= seen->want_end &&
           seen->end[1] >= 0;
}

/* Waits for as many records of partition 0 and for its end. */
static void await(struct rig *rig, struct seen *seen, int records, int64_t end)
{
    seen->want_records = records;
    seen->want_end = end;
    support_wait(rig->loop, has_wanted, seen, 40, "the records and the end are told");
}

static void test_follow_goes_on_behind_the_ends(void **state)
{
    struct rig *rig = *state;
    struct seen seen;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 5);
    follow(rig, &seen, 2);
    await(rig, &seen, 3, 5);
    assert_int_equal(seen.first[0], 2);
    assert_int_equal(seen.end[0], 5);
    assert_int_equal(seen.end[1], 0);
    support_produce(rig->bootstrap, rig->topic, 0, 4);
    await(rig, &seen, 7, 9);
    assert_int_equal(seen.last[0], 8);
    assert_int_equal(seen.back + seen.troubles, 0);
    assert_int_equal(support_committed(rig->bootstrap, "watcher", rig->topic, 0), -1);
    kafka_follower_free(&seen.follower);
}

static void test_follow_ends_behind_what_was_aborted(void **state)
{
    struct rig *rig = *state;
    struct seen seen;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 2);
    support_abort(rig->bootstrap, rig->topic, 0);
    follow(rig, &seen, 0);
    await(rig, &seen, 2, 6); /* three records and the marker */
    assert_int_equal(seen.records[0], 2);
    assert_int_equal(seen.end[0], 6);
    kafka_follower_free(&seen.follower);
}

static void test_follow_begins_where_the_log_does(void **state)
{
    struct rig *rig = *state;
    struct seen seen;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 10);
    support_delete_records(rig->bootstrap, rig->topic, 0, 7);
    follow(rig, &seen, 3);
    await(rig, &seen, 3, 10);
    assert_int_equal(seen.first[0], 7);
    assert_int_equal(seen.troubles, 0);
    kafka_follower_free(&seen.follower);
}

static bool is_back(void *arg)
{
    const struct seen *seen = arg;

    return seen->back > 0 && seen->last[0] == 2;
}

static void test_follow_a_topic_that_is_made_again_goes_back(void **state)
{
    struct rig *rig = *state;
    struct seen seen;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 10);
    follow(rig, &seen, 0);
    await(rig, &seen, 10, 10);
    support_delete_topic(rig->bootstrap, rig->topic);
    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 3);
    support_wait(rig->loop, is_back, &seen, 60, "the new topic is read from its beginning");
    assert_int_equal(seen.records[0], 13);
    kafka_follower_free(&seen.follower);
}

static void test_follow_waits_for_a_broker_that_is_away(void **state)
{
    struct rig *rig = *state;
    struct seen seen;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 5);
    follow(rig, &seen, 0);
    await(rig, &seen, 5, 5);
    if (!support_broker_down()) {
        kafka_follower_free(&seen.follower);
        skip();
    }
    loop_turn(rig->loop, true);
    assert_true(support_broker_up());
    support_produce(rig->bootstrap, rig->topic, 0, 5);
    await(rig, &seen, 10, 10);
    assert_int_equal(seen.back, 0);
    kafka_follower_free(&seen.follower);
}

struct answer {
    int calls;
    struct err err;
    size_t count;
    struct kafka_bounds bounds[4];
};

static void on_bounds(void *arg, const struct kafka_bounds *bounds, size_t count,
                      const struct err *err)
{
    struct answer *answer = arg;

    answer->calls++;
    if (err != NULL)
        answer->err = *err;
    answer->count = count;
    for (size_t i = 0; i < count && i < 4; i++)
        answer->bounds[i] = bounds[i];
}

static bool is_answered(void *arg)
{
    return ((struct answer *)arg)->calls > 0;
}

static struct answer ask(struct rig *rig, const struct kafka_bounds *asked, size_t count)
{
    struct answer answer = {0};

    kafka_admin_bounds(rig->admin, asked, count, on_bounds, &answer);
    assert_int_equal(answer.calls, 0);
    support_wait(rig->loop, is_answered, &answer, 30, "the broker answers");
    assert_int_equal(answer.calls, 1);
    return answer;
}

static void test_bounds_of_logs(void **state)
{
    struct rig *rig = *state;
    struct kafka_bounds asked[] = {{.topic = rig->topic, .partition = 1},
                                   {.topic = rig->topic, .partition = 0}};
    uint64_t until_ns = clock_mono_ns() + 60 * NS_PER_S;
    struct answer answer;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 10);
    support_delete_records(rig->bootstrap, rig->topic, 0, 7);
    support_abort(rig->bootstrap, rig->topic, 0);
    /* A transaction has ended for its producer before its marker is in the log. */
    do
        answer = ask(rig, asked, 2);
    while (answer.bounds[1].end == 10 && clock_mono_ns() < until_ns);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.bounds[0].begin, 0);
    assert_int_equal(answer.bounds[0].end, 0);
    assert_int_equal(answer.bounds[1].begin, 7);
    assert_int_equal(answer.bounds[1].end, 14);
    answer = ask(rig, asked, 0);
    assert_int_equal(answer.err.code, ERR_NONE);
    assert_int_equal(answer.count, 0);
}

static void test_bounds_of_a_partition_that_is_not_there_are_not_known(void **state)
{
    struct rig *rig = *state;
    struct kafka_bounds asked[] = {{.topic = rig->topic, .partition = 0},
                                   {.topic = rig->topic, .partition = 9}};
    struct answer answer;

    support_topic(rig->loop, rig->config, rig->topic, PARTS, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 1);
    answer = ask(rig, asked, 2);
    if (answer.err.code != ERR_NONE) {
        assert_true(answer.err.retriable);
        return;
    }
    assert_int_equal(answer.bounds[0].end, 1);
    assert_int_equal(answer.bounds[1].begin, -1);
    assert_int_equal(answer.bounds[1].end, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(test_follow_goes_on_behind_the_ends, set_up),
        RIGGED(test_follow_ends_behind_what_was_aborted, set_up),
        RIGGED(test_follow_begins_where_the_log_does, set_up),
        RIGGED(test_follow_a_topic_that_is_made_again_goes_back, set_up),
        RIGGED(test_bounds_of_logs, set_up),
        RIGGED(test_bounds_of_a_partition_that_is_not_there_are_not_known, set_up),
        RIGGED(test_follow_waits_for_a_broker_that_is_away, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
