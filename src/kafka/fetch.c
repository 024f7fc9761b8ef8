/*
 * Single records; see fetch.h. The client is assigned the one partition that is read at present, at
 * the offset that is wanted; a place a little further on is read on to, any other one is assigned
 * anew. Invariants: one question at a time; an answer that belongs to an earlier assignment is
 * dropped. Must not: join, commit, or take a record for the one that was asked for because it
 * stands near, or wait at an end of the log that was told already.
 */
#include "kafka/fetch.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "kafka/client_end.h"
#include "kafka/client_error.h"
#include "kafka/properties.h"
#include "kafka/wake.h"

#define AHEAD_MAX      2000 /* records that are rather read over than asked for anew */
#define TAKEN_PER_TURN 500

struct kafka_fetch {
    struct loop *loop;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct wake wake;
    struct loop_task task; /* takes what is there already */
    struct record_header *headers;
    size_t header_cap;

    char *topic; /* assigned; NULL: nothing is */
    int32_t partition;
    int64_t position; /* records below were taken */

    bool asked;
    bool fresh; /* the partition was assigned for this question: an end of the log is of now */
    int64_t wanted;
    void (*done)(void *arg, enum kafka_fetched result, struct record *rec, const struct err *err);
    void *arg;
};

static bool connect_client(struct kafka_fetch *fetch, const struct config *config,
                           const char *group, struct err *err)
{
    static const struct {
        const char *name, *value;
    } own[] = {
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"}, /* what is gone shows as a later record */
        {"fetch.wait.max.ms", "20"},
        {"fetch.message.max.bytes", "262144"},
        {"queued.max.messages.kbytes", "1024"},
    };
    rd_kafka_conf_t *conf = properties_new(config, KAFKA_CONSUMER, err);
    bool ok = conf != NULL && properties_set(conf, "group.id", group, err);
    char text[300];

    for (size_t i = 0; ok && i < sizeof(own) / sizeof(own[0]); i++)
        ok = properties_set(conf, own[i].name, own[i].value, err);
    fetch->rk = ok ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text)) : NULL;
    if (fetch->rk == NULL && conf != NULL)
        rd_kafka_conf_destroy(conf);
    if (fetch->rk == NULL)
        return ok ? err_set(err, ERR_CONFIG, "group %s: %s", group, text) : false;
    rd_kafka_poll_set_consumer(fetch->rk);
    fetch->queue = rd_kafka_queue_get_consumer(fetch->rk);
    wake_attach(&fetch->wake, fetch->queue);
    return true;
}

static void answer(struct kafka_fetch *fetch, enum kafka_fetched result, struct record *rec,
                   const struct err *err)
{
    fetch->asked = false;
    fetch->done(fetch->arg, result, rec, err);
}

static void fill_headers(struct kafka_fetch *fetch, const rd_kafka_message_t *message,
                         struct record *out)
{
    rd_kafka_headers_t *headers;
    size_t count;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    count = rd_kafka_header_cnt(headers);
    if (count > fetch->header_cap) {
        fetch->headers = mem_realloc(fetch->headers, count * sizeof(*fetch->headers));
        fetch->header_cap = count;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;

        if (rd_kafka_header_get_all(headers, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        fetch->headers[i].name = slice_of(name);
        fetch->headers[i].value = (struct slice){value, value != NULL ? size : 0};
        out->header_count++;
    }
    out->headers = fetch->headers;
}

static void answer_record(struct kafka_fetch *fetch, const rd_kafka_message_t *message)
{
    rd_kafka_timestamp_type_t kind;
    struct record rec = {.topic = slice_of(fetch->topic),
                         .partition = message->partition,
                         .leader_epoch = rd_kafka_message_leader_epoch(message),
                         .offset = message->offset,
                         .timestamp_ms = rd_kafka_message_timestamp(message, &kind)};

    rec.log_append_time = kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    rec.key = (struct slice){message->key, message->key != NULL ? message->key_len : 0};
    rec.value = (struct slice){message->payload, message->payload != NULL ? message->len : 0};
    fill_headers(fetch, message, &rec);
    answer(fetch, KAFKA_FETCHED, &rec, NULL);
}

static bool is_of_assigned(const struct kafka_fetch *fetch, const rd_kafka_message_t *message)
{
    return fetch->topic != NULL && message->rkt != NULL && message->partition == fetch->partition &&
           strcmp(rd_kafka_topic_name(message->rkt), fetch->topic) == 0;
}

/* The topic and partition that are set, from there. A topic that the client has not seen is looked
 * up at once where an application names it; an assignment alone waits for the client's look around,
 * once a second. */
static void assign(struct kafka_fetch *fetch, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_t *named = rd_kafka_topic_new(fetch->rk, fetch->topic, NULL);

    rd_kafka_topic_partition_list_add(list, fetch->topic, fetch->partition)->offset = offset;
    (void)rd_kafka_assign(fetch->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (named != NULL)
        rd_kafka_topic_destroy(named);
    fetch->position = offset;
    fetch->fresh = true;
}

/* The next question assigns anew. */
static void forget(struct kafka_fetch *fetch)
{
    mem_free(fetch->topic);
    fetch->topic = NULL;
}

/* Whichever end is told, what is wanted is not in front of it, or it would have been taken: the log
 * may end below, or have been emptied, or end in markers and gaps. */
static void on_end(struct kafka_fetch *fetch)
{
    if (!fetch->fresh) {
        assign(fetch, fetch->wanted); /* it may be the end of a while ago */
        return;
    }
    forget(fetch); /* an end is told once: whoever waited here for the next would wait for good */
    answer(fetch, KAFKA_FETCH_NONE, NULL, NULL);
}

/* The end of the log, or a later record: what is wanted is not there. */
static void on_message(struct kafka_fetch *fetch, const rd_kafka_message_t *message)
{
    struct err err = {0};

    if (!is_of_assigned(fetch, message))
        return; /* of the client as a whole, which goes on by itself; or of what was left */
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        on_end(fetch);
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_error_set(&err, message->err, "reading %s/%d", fetch->topic, (int)fetch->partition);
        forget(fetch);
        answer(fetch, KAFKA_FETCH_FAILED, NULL, &err);
    } else if (message->offset >= fetch->position) {
        fetch->position = message->offset + 1;
        if (message->offset == fetch->wanted)
            answer_record(fetch, message);
        else if (message->offset > fetch->wanted)
            answer(fetch, KAFKA_FETCH_NONE, NULL, NULL);
    }
}

static void take(void *arg)
{
    struct kafka_fetch *fetch = arg;
    int left = TAKEN_PER_TURN;

    while (fetch->asked && left-- > 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(fetch->rk, 0);

        if (message == NULL)
            return;
        on_message(fetch, message);
        rd_kafka_message_destroy(message);
    }
    if (fetch->asked)
        loop_defer(fetch->loop, &fetch->task);
}

struct kafka_fetch *kafka_fetch_new(struct loop *loop, const struct config *config,
                                    const char *group, struct err *err)
{
    struct kafka_fetch *fetch = mem_zalloc(sizeof(*fetch));

    fetch->loop = loop;
    loop_task_init(&fetch->task, take, fetch);
    if (wake_init(&fetch->wake, loop, take, fetch, err) &&
        connect_client(fetch, config, group, err))
        return fetch;
    kafka_fetch_free(&fetch);
    return NULL;
}

void kafka_fetch_free(struct kafka_fetch **pointer)
{
    struct kafka_fetch *fetch = *pointer;

    if (fetch == NULL)
        return;
    *pointer = NULL;
    loop_task_cancel(fetch->loop, &fetch->task);
    if (fetch->queue != NULL) {
        wake_detach(fetch->queue);
        rd_kafka_queue_destroy(fetch->queue);
    }
    if (fetch->rk != NULL)
        client_end(fetch->rk, NULL, NULL, NULL, 0);
    wake_deinit(&fetch->wake);
    mem_free(fetch->topic);
    mem_free(fetch->headers);
    mem_free(fetch);
}

void kafka_fetch_get(struct kafka_fetch *fetch, const char *topic, int32_t partition,
                     int64_t offset,
                     void (*done)(void *arg, enum kafka_fetched result, struct record *rec,
                                  const struct err *err),
                     void *arg)
{
    bool same = fetch->topic != NULL && strcmp(fetch->topic, topic) == 0 &&
                fetch->partition == partition;

    assert(!fetch->asked);
    fetch->asked = true;
    fetch->wanted = offset;
    fetch->done = done;
    fetch->arg = arg;
    fetch->fresh = false;
    if (!same) {
        char *name = mem_strdup(topic);
        mem_free(fetch->topic);
        fetch->topic = name;
        fetch->partition = partition;
    }
    if (!same || offset < fetch->position || offset > fetch->position + AHEAD_MAX)
        assign(fetch, offset);
    loop_defer(fetch->loop, &fetch->task);
}
