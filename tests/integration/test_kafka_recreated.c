/* Topics that are deleted and made again under a group: their offsets count anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "test_kafka_support.h"

/* The topic is deleted and made again; then it has that many records in its partition 0. */
static void make_again(struct rig *rig, const char *topic, int count)
{
    support_delete_topic(rig->bootstrap, topic);
    support_topic(rig->loop, rig->config, topic, 1, NULL, 0);
    support_produce(rig->bootstrap, topic, 0, count);
}

static void join_and_take(struct rig *rig, struct member *member, const char *group,
                          const char *topic, int count)
{
    member_start(member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, member, 20, "assigned");
    member_take_all(rig, member, count);
}

/* A topic of ten records, eight of which a member has committed; it has left. */
static const char *consumed_topic(struct rig *rig, const char *group)
{
    const char *topic = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST};
    struct commit_result result;

    support_produce(rig->bootstrap, topic, 0, 10);
    join_and_take(rig, &member, group, topic, 10);
    member_commit(&member, member.partitions[0], 8, &result);
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_NONE);
    member_stop(&member);
    return topic;
}

/* As a commit leaves it that came after the new topic did. */
static void test_offset_of_a_former_topic_is_missing(void **state)
{
    struct rig *rig = *state;
    const char *group = support_name("g");
    const char *topic = consumed_topic(rig, group);
    const char *was = support_committed_note(rig->bootstrap, group, topic, 0);
    struct member member = {.start = OFFSET_EARLIEST};

    make_again(rig, topic, 20);
    support_commit_note(rig->bootstrap, group, topic, 0, 8, was);
    member_start(&member, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.missing, 1);
    assert_true(member.missing_out_of_range && member.missing_former);
    assert_int_equal(member.missing_committed, 8);
    assert_int_equal(support_committed(rig->bootstrap, group, topic, 0), 0);
    assert_string_not_equal(support_committed_note(rig->bootstrap, group, topic, 0), was);
    member_take_all(rig, &member, 20);
    member_stop(&member);
}

/* Without one, with another program's, or with that of a topic in another cluster. */
static void test_offset_without_a_note_of_ours_is_taken(void **state)
{
    struct rig *rig = *state;
    const char *group = support_name("g");
    const char *topic = consumed_topic(rig, group);
    char elsewhere[128];
    const char *notes[] = {"", "somebody's", elsewhere};

    snprintf(elsewhere, sizeof(elsewhere), "%s",
             support_committed_note(rig->bootstrap, group, topic, 0));
    elsewhere[strlen(elsewhere) - 1] ^= 1; /* the end of the cluster's id */
    make_again(rig, topic, 20);
    for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
        struct member member = {.start = OFFSET_EARLIEST};

        support_commit_note(rig->bootstrap, group, topic, 0, 8, notes[i]);
        member_start(&member, rig->loop, rig->config, group, &topic, 1);
        support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
        assert_int_equal(member.missing, 0);
        assert_int_equal(member.partitions[0]->start_offset, 8);
        member_stop(&member);
    }
}

static bool has_the_new_records(void *arg)
{
    struct member *member = arg;

    member_take(member);
    return member->assigned > 1 && member->seen[0] == member->budget;
}

/* The new log is longer than the member had come in the old one, and the member has committed there
 * before it knew: it must not go on from there. */
static void made_again_under(struct rig *rig, struct member *member, const char *topic, int taken)
{
    struct commit_result result;

    make_again(rig, topic, 2 * taken);
    member_commit(member, member->partitions[0], taken, &result);
    support_await_commit(rig->loop, &result);
    member->budget = 2 * taken;
    support_wait(rig->loop, has_the_new_records, member, 60, "all records of the new topic");
    assert_int_equal(member->made_again, 2); /* before the client is another one, and after */
    assert_int_equal(member->next[0], 2 * taken);
    assert_int_equal(member->disorder, 0);
    member_commit(member, member->partitions[0], 2 * taken, &result);
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_NONE);
}

static void test_topic_made_again_under_a_member_begins_anew(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST};

    support_produce(rig->bootstrap, topic, 0, 10);
    join_and_take(rig, &member, support_name("g"), topic, 10);
    made_again_under(rig, &member, topic, 10);
    member_stop(&member);
}

/* Its client has seen leader epochs that the new topic has not reached. */
static void test_topic_with_epochs_made_again_is_consumed(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST};

    support_property(&rig->config->kafka_consumer, "group.instance.id", "static");
    support_produce(rig->bootstrap, topic, 0, 10);
    assert_true(support_broker_down());
    assert_true(support_broker_up());
    join_and_take(rig, &member, support_name("g"), topic, 10);
    made_again_under(rig, &member, topic, 10);
    member_stop(&member);
}

static bool is_assigned_again(void *arg)
{
    return ((const struct member *)arg)->assigned > 1;
}

/* A record's bytes are its client's, which stays until it is given back. Nobody waits for that: the
 * member goes on, and so does its group. */
static void test_record_outlives_its_client(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 2);
    const char *group = support_name("g");
    struct member member = {.start = OFFSET_EARLIEST}, other = {.start = OFFSET_EARLIEST};
    struct record rec;
    int at;

    support_produce(rig->bootstrap, topic, 0, 10);
    join_and_take(rig, &member, group, topic, 9);
    at = member_find(&member, topic, 0);
    assert_int_equal(kafka_consumer_take(member.consumer, member.partitions[at], &rec),
                     KAFKA_TAKE_RECORD);
    support_delete_topic(rig->bootstrap, topic);
    support_topic(rig->loop, rig->config, topic, 2, NULL, 0);
    support_produce(rig->bootstrap, topic, 0, 20);
    support_wait(rig->loop, is_assigned_again, &member, 60, "assigned by another client");
    member_start(&other, rig->loop, rig->config, group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &other, 60, "a second member has a partition");
    assert_memory_equal(rec.value.data, "v9", 2);
    record_release(&rec);
    member_stop(&other);
    member_stop(&member);
}

/* Its log is shorter than the member has come: that this is another topic is found out before the
 * offset is called out of range, so nothing begins at an end that was looked up for that. */
static void test_shorter_topic_made_again_is_not_out_of_range(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST};

    support_produce(rig->bootstrap, topic, 0, 10);
    join_and_take(rig, &member, support_name("g"), topic, 10);
    make_again(rig, topic, 3);
    member.budget = 3;
    support_wait(rig->loop, has_the_new_records, &member, 60, "all records of the new topic");
    assert_int_equal(member.out_of_range, 0);
    assert_true(member.missing_former); /* nothing was committed, and the topic was another one */
    assert_int_equal(member.disorder, 0);
    member_stop(&member);
}

static bool told_once(void *arg)
{
    const struct member *member = arg;

    return member->made_again == 1;
}

static bool told_twice(void *arg)
{
    const struct member *member = arg;

    return member->made_again == 2;
}

/* It is told of each time, and the assignment stays. */
static void test_topic_that_is_only_written_to_is_looked_at(void **state)
{
    struct rig *rig = *state;
    const char *topic = rig_topic(rig, 1);
    const char *written = rig_topic(rig, 1);
    struct member member = {.start = OFFSET_EARLIEST, .written = written};

    member_start(&member, rig->loop, rig->config, support_name("g"), &topic, 1);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    make_again(rig, written, 1);
    support_wait(rig->loop, told_once, &member, 60, "it is told");
    make_again(rig, written, 1);
    support_wait(rig->loop, told_twice, &member, 60, "it is told again");
    assert_int_equal(member.assigned, 1);
    assert_int_equal(member.revoked, 0);
    member_stop(&member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(test_offset_of_a_former_topic_is_missing, rig_set_up),
        RIGGED(test_offset_without_a_note_of_ours_is_taken, rig_set_up),
        RIGGED(test_topic_made_again_under_a_member_begins_anew, rig_set_up),
        RIGGED(test_topic_with_epochs_made_again_is_consumed, rig_set_up),
        RIGGED(test_record_outlives_its_client, rig_set_up),
        RIGGED(test_shorter_topic_made_again_is_not_out_of_range, rig_set_up),
        RIGGED(test_topic_that_is_only_written_to_is_looked_at, rig_set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
