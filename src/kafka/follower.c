/*
 * A follower of partitions; see follower.h. Invariants: at most one message is held; what is about
 * no range is dropped. It must not join, commit, or look at what it reads.
 */
#include "kafka/follower.h"

#include <string.h>

#include "base/mem.h"
#include "kafka/client_end.h"
#include "kafka/client_error.h"
#include "kafka/message.h"
#include "kafka/properties.h"
#include "kafka/wake.h"

struct followed {
    char *topic;
    int32_t partition;
};

struct kafka_follower {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct wake wake;
    struct followed *ranges;
    size_t count;
    size_t current; /* the range of the last message: they come in runs */
    rd_kafka_message_t *message;
    struct message_headers headers;
};

static bool connect_client(struct kafka_follower *follower, const struct config *config,
                           const char *group, struct err *err)
{
    static const struct {
        const char *name, *value;
    } own[] = {
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"},
        {"fetch.wait.max.ms", "100"}, /* an end is told with an answer to a fetch */
        /* An answer is held in memory as a whole while one of its messages is. */
        {"max.partition.fetch.bytes", "524288"},
        {"queued.max.messages.kbytes", "8192"},
        {"queued.min.messages", "10000"},
    };
    rd_kafka_conf_t *conf = properties_new(config, KAFKA_CONSUMER, err);
    bool ok = conf != NULL && properties_set(conf, "group.id", group, err);
    char text[300];

    for (size_t i = 0; ok && i < sizeof(own) / sizeof(own[0]); i++)
        ok = properties_set(conf, own[i].name, own[i].value, err);
    if (!ok) {
        if (conf != NULL)
            rd_kafka_conf_destroy(conf);
        return false;
    }
    follower->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (follower->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_CONFIG, "group %s: %s", group, text);
    }
    rd_kafka_poll_set_consumer(follower->rk);
    follower->queue = rd_kafka_queue_get_consumer(follower->rk);
    wake_attach(&follower->wake, follower->queue);
    return true;
}

static bool assign(struct kafka_follower *follower, const struct kafka_reader_range *ranges,
                   struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)follower->count);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < follower->count; i++)
        rd_kafka_topic_partition_list_add(list, ranges[i].topic, ranges[i].partition)->offset =
            ranges[i].from;
    code = rd_kafka_assign(follower->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return client_error_set(err, code, "assigning what is to be followed");
}

struct kafka_follower *kafka_follower_new(struct loop *loop, const struct config *config,
                                          const char *group,
                                          const struct kafka_reader_range *ranges, size_t count,
                                          void (*readable)(void *arg), void *arg, struct err *err)
{
    struct kafka_follower *follower = mem_zalloc(sizeof(*follower));

    follower->count = count;
    follower->ranges = mem_calloc(count + 1, sizeof(*follower->ranges));
    for (size_t i = 0; i < count; i++) {
        follower->ranges[i].topic = mem_strdup(ranges[i].topic);
        follower->ranges[i].partition = ranges[i].partition;
    }
    if (wake_init(&follower->wake, loop, readable, arg, err) &&
        connect_client(follower, config, group, err) && assign(follower, ranges, err))
        return follower;
    kafka_follower_free(&follower);
    return NULL;
}

static void drop_message(struct kafka_follower *follower)
{
    if (follower->message != NULL)
        rd_kafka_message_destroy(follower->message);
    follower->message = NULL;
}

void kafka_follower_free(struct kafka_follower **pointer)
{
    struct kafka_follower *follower = *pointer;

    if (follower == NULL)
        return;
    *pointer = NULL;
    drop_message(follower);
    if (follower->queue != NULL) {
        wake_detach(follower->queue);
        rd_kafka_queue_destroy(follower->queue);
    }
    if (follower->rk != NULL)
        client_end(follower->rk, NULL, NULL, NULL, 0); /* the loop does not wait */
    wake_deinit(&follower->wake);
    for (size_t i = 0; i < follower->count; i++)
        mem_free(follower->ranges[i].topic);
    mem_free(follower->ranges);
    message_headers_deinit(&follower->headers);
    mem_free(follower);
}

/* False: the message is about none of the ranges. */
static bool find_range(struct kafka_follower *follower)
{
    const rd_kafka_message_t *message = follower->message;
    const char *topic = message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "";

    for (size_t i = 0; i < follower->count; i++) {
        size_t at = (follower->current + i) % follower->count;

        if (follower->ranges[at].partition == message->partition &&
            strcmp(follower->ranges[at].topic, topic) == 0) {
            follower->current = at;
            return true;
        }
    }
    return false;
}

enum kafka_follow kafka_follower_take(struct kafka_follower *follower, struct record *out,
                                      size_t *range, int64_t *end, struct err *err)
{
    for (;;) {
        const struct followed *of;

        drop_message(follower);
        follower->message = rd_kafka_consumer_poll(follower->rk, 0);
        if (follower->message == NULL)
            return KAFKA_FOLLOW_EMPTY;
        /* An error of the client as a whole: it goes on by itself. */
        if (!find_range(follower))
            continue;
        *range = follower->current;
        of = &follower->ranges[follower->current];
        switch (follower->message->err) {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            message_to_record(follower->message, of->topic, &follower->headers, out);
            return KAFKA_FOLLOW_RECORD;
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
            *end = follower->message->offset;
            return KAFKA_FOLLOW_END;
        default:
            client_error_set(err, follower->message->err, "reading %s/%d", of->topic,
                             (int)of->partition);
            return KAFKA_FOLLOW_TROUBLE;
        }
    }
}
