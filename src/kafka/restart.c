/*
 * Restarting partitions that went out of range: the end that the flow chose is looked up, then
 * fetching begins anew for all partitions at their positions. librdkafka refuses to seek a
 * partition whose fetcher stopped with an error, and under the eager protocol the assignment can
 * only be set as a whole; what was prefetched of the others is fetched again, once.
 */
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"

#define RETRY_MS 500

static rd_kafka_topic_partition_list_t *restarting_list(const struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct partition *part = consumer->partitions[i];

        if (part->restarting)
            rd_kafka_topic_partition_list_add(list, part->pub.topic, part->pub.partition);
    }
    return list;
}

/* A further partition may join while a query is out: the newest query asks for all of them. */
void restart_begin(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = restarting_list(consumer);

    err_clear(&consumer->restart_err);
    consumer->restart_query = ++consumer->last_query;
    consumer->restart_left = 2;
    offset_query_send(consumer, consumer->restart_query, QUERY_EARLIEST, list);
    offset_query_send(consumer, consumer->restart_query, QUERY_LATEST, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void restart_cancel(struct kafka_consumer *consumer)
{
    consumer->restart_query = 0;
    loop_timer_cancel(&consumer->restart_timer);
}

struct reading {
    struct kafka_consumer *consumer;
    enum offset_query kind;
};

static void read_item(void *arg, const rd_kafka_topic_partition_t *answer)
{
    struct reading *reading = arg;
    struct kafka_consumer *consumer = reading->consumer;
    struct partition *part = assignment_find(consumer, answer->topic, answer->partition);
    enum offset_query wanted;

    if (part == NULL || !part->restarting)
        return;
    wanted = part->restart_at == OFFSET_EARLIEST ? QUERY_EARLIEST : QUERY_LATEST;
    if (wanted != reading->kind)
        return;
    if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR || answer->offset < 0) {
        client_error_set(&consumer->restart_err, answer->err, "route %s: the end of %s/%d",
                         consumer->route, answer->topic, (int)answer->partition);
        return;
    }
    part->restart_offset = answer->offset;
}

/* The restarted ones at their new start, the others where they would start after a crash. */
static void begin_anew(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(
        (int)consumer->partition_count);

    for (size_t i = 0; i < consumer->partition_count; i++) {
        const struct partition *part = consumer->partitions[i];
        rd_kafka_topic_partition_t *item = rd_kafka_topic_partition_list_add(list, part->pub.topic,
                                                                             part->pub.partition);
        /* What was not looked at yet, or was and nobody heard of it, is looked at again. */
        bool look = part->look_back || part->halted;

        item->offset = part->restarting ? part->restart_offset : part->committed;
        if (part->restarting)
            continue;
        item->opaque = assign_note(part->pub.end_offset, look);
        rd_kafka_topic_partition_set_leader_epoch(item, epochs_of(&part->epochs, item->offset - 1));
    }
    consumer->generation++;
    consumer->lost = true;
    consumer->state = MEMBER_STARTING;
    consumer->events.revoked(consumer->events.ctx, true);
    assignment_drop(consumer);
    assignment_install(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_consumer_begin_again(struct kafka_consumer *consumer)
{
    /* A rebalance that is about to be heard of ends the assignment anyhow. */
    if (consumer->state != MEMBER_ASSIGNED || consumer->pending != REBALANCE_NONE ||
        consumer->pending_list == NULL || rd_kafka_assignment_lost(consumer->rk))
        return;
    restart_cancel(consumer);
    consumer->generation++;
    consumer->lost = true;
    consumer->events.revoked(consumer->events.ctx, true);
    assignment_drop(consumer);
    start_begin(consumer, consumer->pending_list);
}

static void resume(struct kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *part = consumer->partitions[i];

        if (part->restarting && part->restart_offset < part->position) {
            begin_anew(consumer);
            return;
        }
    }
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *part = consumer->partitions[i];

        if (!part->restarting)
            continue;
        part->restarting = part->halted = false;
        part->position = part->pub.start_offset = part->restart_offset;
        part->position_epoch = -1;
        part->look_back = false;
        epochs_add(&part->epochs, part->position - 1, -1);
    }
    assignment_reinstall(consumer);
    kafka_consumer_rearm(consumer);
}

void restart_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    struct reading reading = {consumer, offset_query_kind(event)};
    struct err err;

    if (consumer->restart_query == 0 || offset_query_number(event) != consumer->restart_query)
        return;
    if (!offset_query_read(event, read_item, &reading, &err))
        consumer->restart_err = err;
    if (--consumer->restart_left > 0)
        return;
    consumer->restart_query = 0;
    if (consumer->restart_err.code != ERR_NONE) {
        loop_timer_set_ms(&consumer->restart_timer, RETRY_MS);
        consumer_trouble(consumer, &consumer->restart_err);
        return;
    }
    resume(consumer);
}
