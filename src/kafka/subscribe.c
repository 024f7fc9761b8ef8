/*
 * Subscribing, once every topic has been seen.
 *
 * A topic that was created a moment ago may not have reached the broker that is asked. librdkafka
 * then joins the group with the other topics, remembers that this one does not exist, and looks
 * again only at the next refresh of its metadata: until then nobody would own the partitions of a
 * fresh tier, or another member than the one that owns the source's. So the topics are asked for
 * first, by a call that passes by librdkafka's cache, and a short refresh interval (see
 * properties.c) finds what comes later. It must not keep the member out of its group for long:
 * after some tries it joins with what there is.
 */
#include "base/mem.h"
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"
#include "kafka/describe.h"

#define LOOK_TIMEOUT_MS   2000
#define BACKOFF_MS        200
#define LOOKS_BEFORE_JOIN 10

static void look(void *arg)
{
    struct kafka_consumer *consumer = arg;
    struct subscribe *subscribe = &consumer->subscribe;
    size_t count = (size_t)subscribe->topics->cnt;
    const char **names = mem_calloc(count + 1, sizeof(*names));

    for (size_t i = 0; i < count; i++)
        names[i] = subscribe->topics->elems[i].topic;
    subscribe->looks++;
    subscribe->query = ++consumer->last_query;
    describe_send(consumer->rk, consumer->reply_queue, offset_query_opaque(subscribe->query, 0),
                  names, count, LOOK_TIMEOUT_MS);
    mem_free(names);
}

void subscribe_begin(struct kafka_consumer *consumer, const char *const *topics, size_t count)
{
    struct subscribe *subscribe = &consumer->subscribe;

    subscribe->topics = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(subscribe->topics, topics[i], RD_KAFKA_PARTITION_UA);
    loop_timer_init(&subscribe->timer, consumer->loop, look, consumer);
    look(consumer);
}

void subscribe_again(struct kafka_consumer *consumer)
{
    consumer->subscribe.looks = 0;
    look(consumer);
}

void subscribe_end(struct kafka_consumer *consumer)
{
    struct subscribe *subscribe = &consumer->subscribe;

    if (subscribe->topics == NULL)
        return;
    loop_timer_deinit(&subscribe->timer);
    rd_kafka_topic_partition_list_destroy(subscribe->topics);
    subscribe->topics = NULL;
}

/* An answer that says nothing of the topics (not allowed, no controller, nobody there) is no reason
 * to wait. */
static bool one_is_unknown(rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics;

    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    topics = rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event),
                                                   &count);
    for (size_t i = 0; i < count; i++) {
        if (rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[i])) ==
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            return true;
    }
    return false;
}

void subscribe_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    struct subscribe *subscribe = &consumer->subscribe;
    rd_kafka_resp_err_t code;
    struct err err;

    if (offset_query_number(event) != subscribe->query)
        return;
    consumer->topic_ids.unanswered = rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (subscribe->looks < LOOKS_BEFORE_JOIN && one_is_unknown(event)) {
        loop_timer_set_ms(&subscribe->timer, BACKOFF_MS);
        return;
    }
    code = rd_kafka_subscribe(consumer->rk, subscribe->topics);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    client_error_set(&err, code, "route %s: subscribe", consumer->route);
    consumer_trouble(consumer, &err);
}
