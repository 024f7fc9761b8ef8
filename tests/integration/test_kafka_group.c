/* Two members of one group on a real broker: who gets what, what a revocation may still do. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "test_kafka_support.h"

/* As a route has them: a source, a tier and the redrive topic, of equal partition counts. */
static int set_up(void **state)
{
    rig_set_up(state);
    struct rig *rig = *state;
    rig->group = support_name("group");
    for (int i = 0; i < 3; i++) {
        rig->topics[i] = support_name("topic");
        support_topic(rig->loop, rig->config, rig->topics[i], 4, NULL, 0);
    }
    return 0;
}

static void start(struct rig *rig, struct member *member)
{
    member_start(member, rig->loop, rig->config, rig->group, rig->topics, 3);
}

struct pair {
    struct member *a, *b;
    size_t a_count, b_count;
};

static bool shared_as_wanted(void *arg)
{
    const struct pair *pair = arg;

    return member_is_assigned(pair->a) && member_is_assigned(pair->b) &&
           pair->a->partition_count == pair->a_count && pair->b->partition_count == pair->b_count;
}

static void test_range_gives_equal_partitions_to_one_owner(void **state)
{
    struct rig *rig = *state;
    struct member a = {.start = OFFSET_EARLIEST};
    struct member b = {.start = OFFSET_EARLIEST};
    struct pair pair = {&a, &b, 6, 6};

    start(rig, &a);
    start(rig, &b);
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "both have their half");
    for (int32_t p = 0; p < 4; p++) {
        bool of_a = member_find(&a, rig->topics[0], p) >= 0;

        for (int i = 0; i < 3; i++) {
            assert_int_equal(member_find(&a, rig->topics[i], p) >= 0, of_a);
            assert_int_equal(member_find(&b, rig->topics[i], p) >= 0, !of_a);
        }
    }
    member_stop(&b);
    pair.b = &a;
    pair.a_count = pair.b_count = 12;
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "the one that stays has all");
    assert_int_equal(a.lost, 0);
    member_stop(&a);
}

/* More members than partitions: the idle one is a member, and is told so. */
static void test_idle_member_is_assigned_nothing_and_joined(void **state)
{
    struct rig *rig = *state;
    const char *topic = support_name("single");
    struct member a = {.start = OFFSET_EARLIEST};
    struct member b = {.start = OFFSET_EARLIEST};
    struct pair pair;
    struct member *idle;

    support_topic(rig->loop, rig->config, topic, 1, NULL, 0);
    member_start(&a, rig->loop, rig->config, rig->group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &a, 20, "the first is assigned");
    member_start(&b, rig->loop, rig->config, rig->group, &topic, 1);
    support_wait(rig->loop, member_is_assigned, &b, 20, "the second is assigned");
    support_wait(rig->loop, member_is_assigned, &a, 20, "the first is assigned again");
    idle = a.partition_count == 0 ? &a : &b;
    pair = (struct pair){idle == &a ? &b : &a, idle, 1, 0};
    support_wait(rig->loop, shared_as_wanted, &pair, 20, "one has it, one has none");
    assert_true(kafka_consumer_joined(idle->consumer));
    assert_int_equal(kafka_consumer_assigned_count(idle->consumer), 0);
    member_stop(&a);
    member_stop(&b);
}

static void on_late(void *arg, const struct err *err)
{
    struct commit_result *result = arg;

    result->calls++;
    result->err = *err;
}

/* The flow drains and commits within the revocation; afterwards nothing of it is committed. */
static void test_revoked_commits_until_done_and_not_after(void **state)
{
    struct rig *rig = *state;
    struct member a = {.start = OFFSET_EARLIEST, .hold_revoke = true};
    struct member b = {.start = OFFSET_EARLIEST};
    struct pair pair = {&a, &b, 6, 6};
    struct commit_result result;
    struct commit_result late = {0};
    struct kafka_partition *partition;
    struct record rec;

    support_produce(rig->bootstrap, rig->topics[0], 0, 10);
    start(rig, &a);
    support_wait(rig->loop, member_is_assigned, &a, 20, "the first is assigned");
    partition = a.partitions[member_find(&a, rig->topics[0], 0)];
    start(rig, &b);
    support_wait(rig->loop, member_is_revoked, &a, 20, "the first is revoked");
    assert_int_equal(a.lost, 0);
    assert_int_equal(kafka_consumer_take(a.consumer, partition, &rec), KAFKA_TAKE_EMPTY);
    member_commit(&a, partition, 5, &result);
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_NONE);

    member_commit(&a, partition, 6, &result); /* in flight while it is given up */
    kafka_consumer_revoke_done(a.consumer);
    support_await_commit(rig->loop, &result);
    assert_int_equal(result.err.code, ERR_CANCELLED);
    /* The partition is gone; a commit that comes too late is refused before anything is read of it.
     */
    kafka_consumer_commit(a.consumer, &(struct kafka_commit_item){NULL, 9}, 1, on_late, &late);
    support_await_commit(rig->loop, &late);
    assert_int_equal(late.err.code, ERR_CANCELLED);
    assert_int_equal(support_committed(rig->bootstrap, rig->group, rig->topics[0], 0), 6);
    a.hold_revoke = false;
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "both have their half");
    member_stop(&a);
    member_stop(&b);
}

static bool is_lost(void *arg)
{
    return ((const struct member *)arg)->lost > 0;
}

static bool is_assigned_again(void *arg)
{
    return ((const struct member *)arg)->assigned == 2;
}

/* Topics change while the flow drains: librdkafka joins again without waiting for it, and what the
 * flow has is lost. */
static void test_assigned_anew_while_it_drains(void **state)
{
    struct rig *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST, .hold_revoke = true};
    const char *topics[] = {rig->topics[0], support_name("first"), support_name("second")};

    for (int i = 1; i < 3; i++)
        support_topic(rig->loop, rig->config, topics[i], 2, NULL, 0);
    member_start(&member, rig->loop, rig->config, rig->group, topics, 3);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    support_delete_topic(rig->bootstrap, topics[1]);
    support_wait(rig->loop, member_is_revoked, &member, 30, "revoked");
    assert_int_equal(member.lost, 0);
    support_delete_topic(rig->bootstrap, topics[2]);
    support_wait(rig->loop, is_lost, &member, 30, "lost");
    kafka_consumer_revoke_done(member.consumer); /* too late */
    support_wait(rig->loop, is_assigned_again, &member, 30, "assigned again");
    assert_int_equal(member.partition_count, 4);
    assert_int_equal(member.revoked, 2);
    member.hold_revoke = false;
    member_stop(&member);
}

static bool has_both_topics(void *arg)
{
    const struct member *member = arg;

    return member_is_assigned(arg) && member->partition_count == 6;
}

/* Guards against five minutes in which a fresh tier belongs to nobody, or to another than its
 * source.
 */
static void test_topic_that_comes_later_is_found_soon(void **state)
{
    struct rig *rig = *state;
    struct member member = {.start = OFFSET_EARLIEST};
    const char *late = support_name("late");
    const char *topics[] = {rig->topics[0], late};

    member_start(&member, rig->loop, rig->config, rig->group, topics, 2);
    support_wait(rig->loop, member_is_assigned, &member, 20, "assigned");
    assert_int_equal(member.partition_count, 4);
    support_topic(rig->loop, rig->config, late, 2, NULL, 0);
    support_wait(rig->loop, has_both_topics, &member, 25, "it has the late topic, too");
    assert_int_equal(member.lost, 0);
    member_stop(&member);
}

static bool is_fatal(void *arg)
{
    return ((const struct member *)arg)->trouble.fatal;
}

/* Static membership: workers differ by the template; a second one of the same name fences the
 * first. */
static void test_static_members_differ_by_worker_and_fence_their_like(void **state)
{
    struct rig *rig = *state;
    struct member a = {.start = OFFSET_EARLIEST, .worker = 0};
    struct member b = {.start = OFFSET_EARLIEST, .worker = 1};
    struct member again = {.start = OFFSET_EARLIEST, .worker = 0};
    struct pair pair = {&a, &b, 6, 6};

    support_property(&rig->config->kafka, "group.instance.id", "host-{route}-{worker}");
    start(rig, &a);
    start(rig, &b);
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "both have their half");
    start(rig, &again);
    support_wait(rig->loop, is_fatal, &a, 30, "the first is fenced");
    assert_int_equal(kafka_consumer_assigned_count(a.consumer), 0);
    assert_int_equal(a.trouble.code, ERR_CONFIG);
    assert_false(kafka_consumer_joined(a.consumer));
    pair.a = &again;
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "its successor has its half");
    assert_int_equal(b.lost, 0);
    member_stop(&a);
    member_stop(&again);
    member_stop(&b);
}

/* A static member that restarts gets the same partitions, and the others see no rebalance. */
static void test_static_member_restarts_without_a_rebalance(void **state)
{
    struct rig *rig = *state;
    struct member a = {.start = OFFSET_EARLIEST, .worker = 0};
    struct member b = {.start = OFFSET_EARLIEST, .worker = 1};
    struct member again = {.start = OFFSET_EARLIEST, .worker = 0};
    struct pair pair = {&a, &b, 6, 6};
    int revoked;

    support_property(&rig->config->kafka, "group.instance.id", "host-{route}-{worker}");
    start(rig, &a);
    start(rig, &b);
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "both have their half");
    revoked = b.revoked;
    member_stop(&a);
    start(rig, &again);
    pair.a = &again;
    support_wait(rig->loop, shared_as_wanted, &pair, 30, "it has its half again");
    assert_int_equal(b.revoked, revoked);
    member_stop(&again);
    member_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(test_range_gives_equal_partitions_to_one_owner, set_up),
        RIGGED(test_idle_member_is_assigned_nothing_and_joined, set_up),
        RIGGED(test_assigned_anew_while_it_drains, set_up),
        RIGGED(test_topic_that_comes_later_is_found_soon, set_up),
        RIGGED(test_static_members_differ_by_worker_and_fence_their_like, set_up),
        RIGGED(test_static_member_restarts_without_a_rebalance, set_up),
        RIGGED(test_revoked_commits_until_done_and_not_after, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
