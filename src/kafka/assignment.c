/*
 * The partitions that are assigned: their queues, positions, and taking records from them.
 *
 * librdkafka forwards every partition's fetch queue to the consumer's one when fetching starts,
 * unless the application has forwarded it before, be it to nowhere: rd_kafka_queue_forward sets a
 * mark that stays with the queue (RD_KAFKA_Q_F_FWD_APP), and rd_kafka_toppar_op_fetch_start
 * respects it. So the order is: get the queue (which makes the partition known), un-forward it,
 * attach the wake-up, and only then assign. Nothing was fetched before assign, so no record can be
 * in another queue than its own. Should one turn up there all the same, all positions are installed
 * again: no record is taken out of order and none is left out, since a position moves only when a
 * record is taken.
 *
 * Invariants: offsets taken from a partition rise; a halted partition yields nothing. Each record
 * is taken singly: the batch calls had bugs of order around rebalances.
 */
#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"

static bool call_assign(struct kafka_consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code = rd_kafka_assign(consumer->rk, list);
    struct err err;

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    client_error_set(&err, code, "route %s: assign", consumer->route);
    consumer_trouble(consumer, &err);
    return false;
}

static void queue_open(struct kafka_consumer *consumer, struct partition *part)
{
    part->queue = rd_kafka_queue_get_partition(consumer->rk, part->pub.topic, part->pub.partition);
    assert(part->queue != NULL);
    rd_kafka_queue_forward(part->queue, NULL);
    wake_attach(&consumer->data, part->queue);
}

static void queue_close(struct partition *part)
{
    if (part->queue == NULL)
        return;
    wake_detach(part->queue);
    rd_kafka_queue_destroy(part->queue);
    part->queue = NULL;
}

static struct partition *partition_new(struct kafka_consumer *consumer,
                                       const rd_kafka_topic_partition_t *from)
{
    struct partition *part = mem_zalloc(sizeof(*part));

    part->pub.topic = consumer_topic(consumer, from->topic);
    part->pub.partition = from->partition;
    part->pub.start_offset = from->offset;
    part->pub.end_offset = assign_note_end(from->opaque);
    part->look_back = assign_note_look_back(from->opaque);
    part->position = from->offset;
    part->position_epoch = rd_kafka_topic_partition_get_leader_epoch(from);
    epochs_add(&part->epochs, 0, part->position_epoch);
    part->committed = from->offset; /* committed before, or just now */
    return part;
}

void assignment_install(struct kafka_consumer *consumer,
                        const rd_kafka_topic_partition_list_t *list)
{
    size_t count = (size_t)list->cnt;

    assert(consumer->partitions == NULL);
    consumer->partition_count = count;
    consumer->partitions = mem_calloc(count + 1, sizeof(struct partition *));
    consumer->public_partitions = mem_calloc(count + 1, sizeof(struct kafka_partition *));
    for (size_t i = 0; i < count; i++) {
        consumer->partitions[i] = partition_new(consumer, &list->elems[i]);
        consumer->public_partitions[i] = &consumer->partitions[i]->pub;
    }
    consumer->state = MEMBER_ASSIGNED;
    consumer->lost = false;
    assignment_reinstall(consumer);
    topic_ids_watch(consumer);
    consumer->events.assigned(consumer->events.ctx, consumer->public_partitions, count);
    kafka_consumer_rearm(consumer);
}

void assignment_reinstall(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list;

    consumer->reassign = false;
    /* assign() clears the flag that says "lost"; where it is set, a revocation is under way. */
    if (rd_kafka_assignment_lost(consumer->rk))
        return;
    list = rd_kafka_topic_partition_list_new(0);
    call_assign(consumer, list); /* to nothing: from here on a rebalance may interrupt */
    rd_kafka_topic_partition_list_destroy(list);

    list = rd_kafka_topic_partition_list_new((int)consumer->partition_count);
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *part = consumer->partitions[i];
        rd_kafka_topic_partition_t *item;

        queue_close(part);
        queue_open(consumer, part);
        if (part->halted)
            continue;
        item = rd_kafka_topic_partition_list_add(list, part->pub.topic, part->pub.partition);
        item->offset = part->position - (part->look_back ? 1 : 0);
        rd_kafka_topic_partition_set_leader_epoch(item, part->position_epoch);
    }
    if (list->cnt > 0)
        call_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void assignment_drop(struct kafka_consumer *consumer)
{
    topic_ids_cancel(consumer);
    for (size_t i = 0; i < consumer->partition_count; i++)
        queue_close(consumer->partitions[i]);
    rd_kafka_assign(consumer->rk, NULL);
    for (size_t i = 0; i < consumer->partition_count; i++) {
        epochs_deinit(&consumer->partitions[i]->epochs);
        mem_free(consumer->partitions[i]);
    }
    mem_free(consumer->partitions);
    mem_free(consumer->public_partitions);
    consumer->partitions = NULL;
    consumer->public_partitions = NULL;
    consumer->partition_count = 0;
    consumer->reassign = false;
}

struct partition *assignment_find(struct kafka_consumer *consumer, const char *topic,
                                  int32_t partition)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *part = consumer->partitions[i];

        if (part->pub.partition == partition && strcmp(part->pub.topic, topic) == 0)
            return part;
    }
    return NULL;
}

void assignment_announce_halted(struct kafka_consumer *consumer)
{
    for (size_t i = 0; i < consumer->partition_count; i++) {
        struct partition *part = consumer->partitions[i];

        if (consumer->state != MEMBER_ASSIGNED)
            return;
        if (!part->announce)
            continue;
        part->announce = false;
        consumer->events.out_of_range(consumer->events.ctx, &part->pub, part->bad_offset);
    }
}

static bool is_out_of_range(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
           code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
           code == RD_KAFKA_RESP_ERR__LOG_TRUNCATION;
}

static void halt(struct kafka_consumer *consumer, struct partition *part)
{
    part->halted = true;
    part->announce = true;
    part->bad_offset = part->position;
    topic_ids_look_first(consumer);
}

/* The record before the first one wanted. Of another leader epoch it is another record: the log was
 * cut below and has grown again. librdkafka asks the broker for that only when a leader changes
 * while it fetches. */
static void look_back(struct kafka_consumer *consumer, struct partition *part,
                      const rd_kafka_message_t *message)
{
    int32_t epoch = rd_kafka_message_leader_epoch(message);

    if (!part->look_back || message->offset != part->position - 1)
        return;
    part->look_back = false;
    if (epoch >= 0 && part->position_epoch >= 0 && epoch != part->position_epoch)
        halt(consumer, part);
}

static void on_partition_error(struct kafka_consumer *consumer, struct partition *part,
                               const rd_kafka_message_t *message)
{
    struct err err;

    if (is_out_of_range(message->err) && part->look_back) {
        part->look_back =
            false; /* it expired meanwhile, or all of it is gone: the next fetch says */
        consumer->reassign = true;
        loop_defer(consumer->loop, &consumer->control_task);
        return;
    }
    if (is_out_of_range(message->err)) {
        halt(consumer, part);
        return;
    }
    client_error_set(&err, message->err, "route %s: %s/%d at %lld", consumer->route,
                     part->pub.topic, (int)part->pub.partition, (long long)part->position);
    consumer_trouble(consumer, &err);
}

static struct taken *taken_new(struct kafka_consumer *consumer, rd_kafka_message_t *message)
{
    struct taken *taken = consumer->pool;

    if (taken != NULL)
        consumer->pool = taken->next;
    else
        taken = mem_alloc(sizeof(*taken));
    taken->message = message;
    taken->consumer = consumer;
    taken->client = consumer->client;
    taken->more = NULL;
    consumer->taken_count++;
    return taken;
}

static void taken_release(void *backing)
{
    struct taken *taken = backing;
    struct kafka_consumer *consumer = taken->consumer;

    rd_kafka_message_destroy(taken->message);
    mem_free(taken->more);
    taken->next = consumer->pool;
    consumer->pool = taken;
    if (taken->client == consumer->client)
        consumer->taken_count--;
    else
        renew_released(consumer, taken->client);
}

void assignment_free_pool(struct kafka_consumer *consumer)
{
    while (consumer->pool != NULL) {
        struct taken *taken = consumer->pool;

        consumer->pool = taken->next;
        mem_free(taken);
    }
}

/* Names and values stay librdkafka's, which keeps them until the message is destroyed. */
static void fill_headers(struct taken *taken, struct record *out)
{
    rd_kafka_headers_t *headers;
    struct record_header *items = taken->headers;
    size_t count;

    out->headers = NULL;
    out->header_count = 0;
    if (rd_kafka_message_headers(taken->message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    count = rd_kafka_header_cnt(headers);
    if (count > sizeof(taken->headers) / sizeof(taken->headers[0]))
        items = taken->more = mem_calloc(count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;

        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        items[i].name = slice_of(name);
        items[i].value = (struct slice){value, value != NULL ? size : 0};
        out->header_count++;
    }
    out->headers = items;
}

static void fill_record(struct kafka_consumer *consumer, struct partition *part,
                        rd_kafka_message_t *message, struct record *out)
{
    struct taken *taken = taken_new(consumer, message);
    rd_kafka_timestamp_type_t type;

    out->topic = slice_of(part->pub.topic);
    out->partition = message->partition;
    out->leader_epoch = rd_kafka_message_leader_epoch(message);
    out->offset = message->offset;
    out->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    out->log_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
        out->timestamp_ms = -1;
    out->key = (struct slice){message->key, message->key != NULL ? message->key_len : 0};
    out->value = (struct slice){message->payload, message->payload != NULL ? message->len : 0};
    fill_headers(taken, out);
    out->backing = taken;
    out->release = taken_release;
}

enum kafka_take kafka_consumer_take(struct kafka_consumer *consumer,
                                    struct kafka_partition *partition, struct record *out)
{
    struct partition *part = (struct partition *)partition;
    rd_kafka_message_t *message;

    /* Without a queue: lost before fetching began, and about to be revoked. */
    if (consumer->state != MEMBER_ASSIGNED || part->queue == NULL)
        return KAFKA_TAKE_EMPTY;
    while (!part->halted && (message = rd_kafka_consume_queue(part->queue, 0)) != NULL) {
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            on_partition_error(consumer, part, message);
        } else if (message->offset >= part->position) {
            part->position = message->offset + 1;
            part->position_epoch = rd_kafka_message_leader_epoch(message);
            part->look_back = false;
            epochs_add(&part->epochs, message->offset, part->position_epoch);
            fill_record(consumer, part, message, out);
            return KAFKA_TAKE_RECORD;
        } else {
            look_back(consumer, part, message);
        }
        rd_kafka_message_destroy(message);
    }
    return KAFKA_TAKE_EMPTY;
}

bool kafka_consumer_restart_partition(struct kafka_consumer *consumer,
                                      struct kafka_partition *partition, enum offset_start start,
                                      struct err *err)
{
    struct partition *part = (struct partition *)partition;

    if (consumer->state != MEMBER_ASSIGNED)
        return err_set(err, ERR_CANCELLED, "%s/%d was revoked", part->pub.topic,
                       (int)part->pub.partition);
    if (!part->halted)
        return err_set(err, ERR_INTERNAL, "%s/%d was not out of range", part->pub.topic,
                       (int)part->pub.partition);
    if (start == OFFSET_STOP)
        return err_set(err, ERR_CONFIG, "%s/%d stays stopped at %lld", part->pub.topic,
                       (int)part->pub.partition, (long long)part->bad_offset);
    part->restarting = true;
    part->restart_at = start;
    restart_begin(consumer);
    return true;
}

int64_t kafka_consumer_high_watermark(const struct kafka_consumer *consumer,
                                      const struct kafka_partition *partition)
{
    int64_t low;
    int64_t high;

    if (rd_kafka_get_watermark_offsets(consumer->rk, partition->topic, partition->partition, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0)
        return -1;
    return high;
}
