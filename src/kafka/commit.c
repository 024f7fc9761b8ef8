/*
 * Commits: an explicit list, one in flight, never rewinding. An unchanged offset is sent all the
 * same: that the broker takes it proves the membership.
 *
 * The broker checks the generation of a commit, not who owns the partition; so a commit is bound to
 * the assignment it was made for: one that is asked for when the assignment is gone is not sent,
 * and one whose answer comes after that is reported as cancelled, whatever the answer was. Between
 * the check here and the sending, librdkafka keeps its generation as a rule: it joins again after
 * the partitions were given up by us and outstanding commits were answered. Where it joins again by
 * itself (see consumer.c), a drain's last commit may go out with the next generation, and then the
 * next owner goes on from there or below: offsets of records that are settled. The answer comes
 * once, never inside kafka_consumer_commit.
 */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"

struct commit {
    struct kafka_consumer *consumer;
    uint64_t generation;
    rd_kafka_topic_partition_list_t *list; /* what was asked for */
    void (*done)(void *arg, const struct err *err);
    void *arg;
    struct loop_task answer; /* for an answer without the broker */
    struct err err;
};

/* Frees before it tells: the answer may be followed by the next commit at once. */
static void finish(struct commit *commit)
{
    struct kafka_consumer *consumer = commit->consumer;
    void (*done)(void *arg, const struct err *err) = commit->done;
    void *arg = commit->arg;
    struct err err = commit->err;

    commit_free(consumer);
    done(arg, err.code == ERR_NONE ? NULL : &err);
}

static void on_answer_task(void *arg)
{
    finish(arg);
}

void commit_free(struct kafka_consumer *consumer)
{
    struct commit *commit = consumer->commit;

    if (commit == NULL)
        return;
    consumer->commit = NULL;
    loop_task_cancel(consumer->loop, &commit->answer);
    rd_kafka_topic_partition_list_destroy(commit->list);
    mem_free(commit);
}

static bool still_owned(const struct kafka_consumer *consumer)
{
    return (consumer->state == MEMBER_ASSIGNED || consumer->state == MEMBER_REVOKING) &&
           !kafka_consumer_lost(consumer);
}

static rd_kafka_topic_partition_list_t *list_of(const struct kafka_consumer *consumer,
                                                const struct kafka_commit_item *items, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

    for (size_t i = 0; i < count; i++) {
        struct partition *part = (struct partition *)items[i].partition;
        rd_kafka_topic_partition_t *item;

        if (items[i].offset < part->committed)
            continue;
        item = rd_kafka_topic_partition_list_add(list, part->pub.topic, part->pub.partition);
        item->offset = items[i].offset;
        rd_kafka_topic_partition_set_leader_epoch(item,
                                                  epochs_of(&part->epochs, items[i].offset - 1));
        topic_ids_put_note(consumer, item);
        epochs_forget(&part->epochs, items[i].offset - 1);
    }
    return list;
}

bool kafka_consumer_committing(const struct kafka_consumer *consumer)
{
    return consumer->commit != NULL;
}

void kafka_consumer_commit(struct kafka_consumer *consumer, const struct kafka_commit_item *items,
                           size_t count, void (*done)(void *arg, const struct err *err), void *arg)
{
    struct commit *commit = mem_zalloc(sizeof(*commit));
    rd_kafka_resp_err_t code;

    assert(consumer->commit == NULL);
    consumer->commit = commit;
    commit->consumer = consumer;
    commit->generation = consumer->generation;
    commit->done = done;
    commit->arg = arg;
    loop_task_init(&commit->answer, on_answer_task, commit);
    if (!still_owned(consumer)) {
        commit->list = rd_kafka_topic_partition_list_new(0);
        err_set(&commit->err, ERR_CANCELLED, "route %s: the assignment is gone", consumer->route);
        loop_defer(consumer->loop, &commit->answer);
        return;
    }
    commit->list = list_of(consumer, items, count);
    if (commit->list->cnt == 0) {
        loop_defer(consumer->loop, &commit->answer);
        return;
    }
    code = rd_kafka_commit_queue(consumer->rk, commit->list, consumer->reply_queue, NULL, commit);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_error_set(&commit->err, code, "route %s: commit", consumer->route);
        loop_defer(consumer->loop, &commit->answer);
    }
}

static void remember(struct kafka_consumer *consumer, const rd_kafka_topic_partition_t *item)
{
    struct partition *part = assignment_find(consumer, item->topic, item->partition);

    if (part != NULL && item->offset > part->committed)
        part->committed = item->offset;
}

void commit_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    struct commit *commit = consumer->commit;
    rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);

    if (commit == NULL || rd_kafka_event_opaque(event) != commit)
        return;
    if (commit->generation != consumer->generation || !still_owned(consumer)) {
        err_set(&commit->err, ERR_CANCELLED, "route %s: the assignment is gone", consumer->route);
        finish(commit);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        client_error_set(&commit->err, code, "route %s: commit", consumer->route);
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *item = &list->elems[i];

        if (item->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            client_error_set(&commit->err, item->err, "route %s: commit of %s/%d", consumer->route,
                             item->topic, (int)item->partition);
        else if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
            remember(consumer, item);
    }
    finish(commit);
}
