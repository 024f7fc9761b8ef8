/*
 * A reader of ranges; see reader.h. Invariants: a range that has ended yields nothing more; at most
 * one message is held. It must not join the group, commit, or look at what it reads.
 */
#include "kafka/reader.h"

#include <string.h>

#include "base/mem.h"
#include "kafka/client_end.h"
#include "kafka/client_error.h"
#include "kafka/message.h"
#include "kafka/properties.h"
#include "kafka/wake.h"

struct range {
    char *topic;
    int32_t partition;
    bool ended;
};

struct kafka_reader {
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct wake wake;
    struct range *ranges;
    size_t count;
    size_t left; /* ranges that have not ended */
    bool follow; /* goes on behind the ends */
    bool end_told;
    size_t current; /* the range of the last message: they come in runs */
    rd_kafka_message_t *message;
    struct message_headers headers;
};

static bool set_properties(rd_kafka_conf_t *conf, const char *group, bool follow, struct err *err)
{
    static const struct {
        const char *name, *value;
    } own[] = {
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"},
        {"fetch.wait.max.ms", "20"}, /* the end is told with an answer to a fetch */
        {"queued.max.messages.kbytes", "8192"},
        {"queued.min.messages", "20000"},
    };

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (!properties_set(conf, own[i].name, own[i].value, err))
            return false;
    }
    /* Who waits at the end for what comes asks less often. */
    if (follow && !properties_set(conf, "fetch.wait.max.ms", "100", err))
        return false;
    return properties_set(conf, "group.id", group, err);
}

static bool connect_client(struct kafka_reader *reader, const struct config *config,
                           const char *group, struct err *err)
{
    rd_kafka_conf_t *conf = properties_new(config, KAFKA_CONSUMER, err);
    char text[300];

    if (conf == NULL)
        return false;
    if (!set_properties(conf, group, reader->follow, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    reader->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (reader->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_CONFIG, "group %s: %s", group, text);
    }
    rd_kafka_poll_set_consumer(reader->rk);
    reader->queue = rd_kafka_queue_get_consumer(reader->rk);
    wake_attach(&reader->wake, reader->queue);
    return true;
}

static bool assign(struct kafka_reader *reader, const struct kafka_reader_range *ranges,
                   struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)reader->count);
    rd_kafka_resp_err_t code;

    for (size_t i = 0; i < reader->count; i++)
        rd_kafka_topic_partition_list_add(list, ranges[i].topic, ranges[i].partition)->offset =
            ranges[i].from;
    code = rd_kafka_assign(reader->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    return client_error_set(err, code, "assigning what is to be read");
}

static struct kafka_reader *make(struct loop *loop, const struct config *config, const char *group,
                                 const struct kafka_reader_range *ranges, size_t count, bool follow,
                                 void (*readable)(void *arg), void *arg, struct err *err)
{
    struct kafka_reader *reader = mem_zalloc(sizeof(*reader));

    reader->follow = follow;
    reader->count = reader->left = count;
    reader->ranges = mem_calloc(count + 1, sizeof(*reader->ranges));
    for (size_t i = 0; i < count; i++) {
        reader->ranges[i].topic = mem_strdup(ranges[i].topic);
        reader->ranges[i].partition = ranges[i].partition;
    }
    if (wake_init(&reader->wake, loop, readable, arg, err) &&
        connect_client(reader, config, group, err) && assign(reader, ranges, err))
        return reader;
    kafka_reader_free(&reader);
    return NULL;
}

struct kafka_reader *kafka_reader_new(struct loop *loop, const struct config *config,
                                      const char *group, const struct kafka_reader_range *ranges,
                                      size_t count, void (*readable)(void *arg), void *arg,
                                      struct err *err)
{
    return make(loop, config, group, ranges, count, false, readable, arg, err);
}

struct kafka_reader *kafka_reader_follow(struct loop *loop, const struct config *config,
                                         const char *group, const struct kafka_reader_range *ranges,
                                         size_t count, void (*readable)(void *arg), void *arg,
                                         struct err *err)
{
    return make(loop, config, group, ranges, count, true, readable, arg, err);
}

static void drop_message(struct kafka_reader *reader)
{
    if (reader->message != NULL)
        rd_kafka_message_destroy(reader->message);
    reader->message = NULL;
}

void kafka_reader_free(struct kafka_reader **pointer)
{
    struct kafka_reader *reader = *pointer;

    if (reader == NULL)
        return;
    *pointer = NULL;
    drop_message(reader);
    if (reader->queue != NULL) {
        wake_detach(reader->queue);
        rd_kafka_queue_destroy(reader->queue);
    }
    if (reader->rk != NULL)
        client_end(reader->rk, NULL, NULL, NULL, 0); /* the loop does not wait */
    wake_deinit(&reader->wake);
    for (size_t i = 0; i < reader->count; i++)
        mem_free(reader->ranges[i].topic);
    mem_free(reader->ranges);
    message_headers_deinit(&reader->headers);
    mem_free(reader);
}

static bool is_of(const struct range *range, const char *topic, int32_t partition)
{
    return range->partition == partition && strcmp(range->topic, topic) == 0;
}

/* The range of a message; NULL: it is about none. */
static struct range *range_of(struct kafka_reader *reader, const rd_kafka_message_t *message)
{
    const char *topic = message->rkt != NULL ? rd_kafka_topic_name(message->rkt) : "";

    for (size_t i = 0; i < reader->count; i++) {
        size_t at = (reader->current + i) % reader->count;

        if (is_of(&reader->ranges[at], topic, message->partition)) {
            reader->current = at;
            return &reader->ranges[at];
        }
    }
    return NULL;
}

/* False: the range can not be read. */
static bool on_error(struct kafka_reader *reader, struct range *range, struct err *err)
{
    rd_kafka_resp_err_t code = reader->message->err;

    if (range == NULL)
        return true; /* of the client as a whole: it goes on by itself */
    if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (!range->ended)
            reader->left--;
        range->ended = true;
        return true;
    }
    return client_error_set(err, code, "reading %s/%d", range->topic, (int)range->partition);
}

enum kafka_read kafka_reader_take(struct kafka_reader *reader, struct record *out, size_t *range,
                                  struct err *err)
{
    while (reader->left > 0 || reader->end_told) {
        struct range *of;

        drop_message(reader);
        reader->message = rd_kafka_consumer_poll(reader->rk, 0);
        if (reader->message == NULL)
            return KAFKA_READ_EMPTY;
        of = range_of(reader, reader->message);
        if (reader->message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (!on_error(reader, of, err))
                return KAFKA_READ_FAILED;
        } else if (of != NULL && (reader->follow || !of->ended)) {
            *range = (size_t)(of - reader->ranges);
            message_to_record(reader->message, of->topic, &reader->headers, out);
            return KAFKA_READ_RECORD;
        }
    }
    reader->end_told = reader->follow;
    return KAFKA_READ_END;
}
