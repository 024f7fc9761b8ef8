/*
 * The producer of copies.
 *
 *   send --> waiting --producev--> sent --delivery report--> acked or refused --> finished --> done
 *               ^                   |                                            (next turn)
 *               +--- queue full ----+--- may heal ---> resting --timer--> waiting
 *
 * Every message is in exactly one list, by its state. What is sent stays in sending order, so that
 * after a fatal error of the idempotent producer all of it goes back to the head of the waiting
 * list and is produced again in order by a new client. librdkafka copies the bytes: copies are
 * rare, and a message outlives no call that way. A message that the broker refused for a passing
 * reason comes after those that overtook it; ranks, not arrival, decide the order of copies. It
 * must not call done inside send, and must not give a message up by itself, nor take one for
 * written that no broker has named an offset of.
 *
 * A broker refuses a batch that is larger than its topic allows, whatever is in it. So "too large"
 * is a verdict on a message only where that was alone in its batch; else batches become smaller: no
 * more is handed over, what was is awaited, and a new client takes over (`narrowing`). A few
 * times at most, for good, and for all topics of the producer.
 */
#include "kafka/producer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kafka/client_end.h"
#include "kafka/client_error.h"
#include "kafka/producer_internal.h"
#include "kafka/properties.h"
#include "kafka/wake.h"

#define FIRST_REST_MS  100
#define LAST_REST_MS   5000
#define REMAKE_MS      1000
#define SENDS_PER_TURN 500
#define NARROW_BY      4
#define NARROWEST      128 /* bytes; less than any message is in a batch */
#define END_MS         500 /* it may be on the loop */
#define RENEW_MS       2000

enum message_state { MSG_NONE, MSG_WAITING, MSG_SENT, MSG_RESTING, MSG_FINISHED };

TAILQ_HEAD(message_list, produce);

/* What librdkafka holds instead of the message, whose owner may not wait for the report. */
struct sent {
    struct produce *msg; /* NULL: it was abandoned */
    LIST_ENTRY(sent) in_list;
};

struct kafka_producer {
    struct loop *loop;
    const struct config *config;
    rd_kafka_t *rk; /* NULL between a fatal error and the next client */
    rd_kafka_queue_t *queue;
    struct wake wake;
    struct message_list waiting, sent, resting, finished;
    LIST_HEAD(, sent) reports; /* that are to come */
    const struct sent *lonely; /* none other is or was on its way since it is */
    size_t batch_bytes;        /* the client's batch.size, as far as it was narrowed or read */
    bool narrowing;            /* a client with that batch.size follows the last report */
    bool renewing;             /* another client follows the last report, or soon */
    size_t pending;
    int64_t rest_ms;
    unsigned remakes;
    int64_t unplaced; /* see produce_is_placed() */
    bool fatal;
    bool full; /* librdkafka's queue: go on when a report has come */
    struct loop_timer rest_timer;
    struct loop_timer remake_timer;
    struct loop_task send_task;
    struct loop_task finish_task;
    struct prepared {
        char *name;
        rd_kafka_topic_t *handle; /* keeps the topic's metadata fresh; NULL without a client */
    } * prepared;
    size_t prepared_count;
    struct metric *failures[PRODUCE_CANCELLED + 1]; /* by result; ACKED: passing failures */
    struct metric *full_times;                      /* NULL without metrics */
};

static struct message_list *list_of(struct kafka_producer *producer, const struct produce *msg)
{
    switch ((enum message_state)msg->state) {
    case MSG_WAITING:
        return &producer->waiting;
    case MSG_SENT:
        return &producer->sent;
    case MSG_RESTING:
        return &producer->resting;
    case MSG_FINISHED:
        return &producer->finished;
    case MSG_NONE:
        break;
    }
    return NULL;
}

static void move_to(struct kafka_producer *producer, struct produce *msg, enum message_state state)
{
    struct message_list *from = list_of(producer, msg);

    if (from != NULL)
        TAILQ_REMOVE(from, msg, in_list);
    msg->state = (uint8_t)state;
    TAILQ_INSERT_TAIL(list_of(producer, msg), msg, in_list);
}

static void finish(struct kafka_producer *producer, struct produce *msg, enum produce_result result)
{
    msg->result = result;
    if (result != PRODUCE_ACKED && producer->failures[result] != NULL)
        metric_add(producer->failures[result], 1);
    move_to(producer, msg, MSG_FINISHED);
    loop_defer(producer->loop, &producer->finish_task);
}

static void on_finish_task(void *arg)
{
    struct kafka_producer *producer = arg;
    struct produce *msg;

    while ((msg = TAILQ_FIRST(&producer->finished)) != NULL) {
        TAILQ_REMOVE(&producer->finished, msg, in_list);
        msg->state = MSG_NONE;
        producer->pending--;
        msg->done(msg);
    }
}

/* What will not heal by waiting; everything else is tried again. */
static bool is_lasting(rd_kafka_resp_err_t code, enum produce_result *result)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        *result = PRODUCE_TOO_LARGE;
        return true;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        *result = PRODUCE_DENIED;
        return true;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        *result = PRODUCE_NO_TOPIC;
        return true;
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        *result = PRODUCE_INVALID;
        return true;
    default:
        return false;
    }
}

static void fail(struct kafka_producer *producer, struct produce *msg, rd_kafka_resp_err_t code)
{
    enum produce_result result;

    client_error_set(&msg->err, code, "produce to %s/%d", msg->topic, (int)msg->partition);
    if (is_lasting(code, &result)) {
        msg->err.retriable = false;
        msg->no_partition = code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
        finish(producer, msg, result);
        return;
    }
    if (producer->failures[PRODUCE_ACKED] != NULL)
        metric_add(producer->failures[PRODUCE_ACKED], 1);
    move_to(producer, msg, MSG_RESTING);
    if (loop_timer_armed(&producer->rest_timer))
        return;
    log_warn("produce_failed", LOG_STR("topic", msg->topic), LOG_INT("partition", msg->partition),
             LOG_STR("error", msg->err.text), LOG_INT("again_in_ms", producer->rest_ms), LOG_END);
    loop_timer_set_ms(&producer->rest_timer, producer->rest_ms);
    producer->rest_ms *= 2;
    if (producer->rest_ms > LAST_REST_MS)
        producer->rest_ms = LAST_REST_MS;
}

static rd_kafka_headers_t *headers_of(const struct produce *msg)
{
    rd_kafka_headers_t *headers;

    if (msg->header_count == 0)
        return NULL;
    headers = rd_kafka_headers_new(msg->header_count);
    for (size_t i = 0; i < msg->header_count; i++) {
        const struct record_header *header = &msg->headers[i];

        rd_kafka_header_add(headers, header->name.data, (ssize_t)header->name.len,
                            header->value.data, (ssize_t)header->value.len);
    }
    return headers;
}

static struct sent *expect_report(struct kafka_producer *producer, struct produce *msg)
{
    struct sent *sent = mem_zalloc(sizeof(*sent));

    producer->lonely = LIST_EMPTY(&producer->reports) ? sent : NULL;
    sent->msg = msg;
    LIST_INSERT_HEAD(&producer->reports, sent, in_list);
    msg->sent = sent;
    return sent;
}

static void forget_report(struct sent *sent)
{
    if (sent->msg != NULL)
        sent->msg->sent = NULL;
    LIST_REMOVE(sent, in_list);
    mem_free(sent);
}

static rd_kafka_resp_err_t hand_over(struct kafka_producer *producer, struct produce *msg)
{
    rd_kafka_headers_t *headers = headers_of(msg);
    /* Copied, never written to; the macro takes no const. */
    union {
        const char *kept;
        void *given;
    } value = {msg->value.data};
    struct sent *sent = expect_report(producer, msg);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        producer->rk, RD_KAFKA_V_TOPIC(msg->topic), RD_KAFKA_V_PARTITION(msg->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(msg->key.data, msg->key.len),
        RD_KAFKA_V_VALUE(value.given, msg->value.len), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);

    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return code;
    forget_report(sent);
    if (headers != NULL)
        rd_kafka_headers_destroy(headers);
    /* In an empty queue it will never have room, and no report would come to go on with. */
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL && LIST_EMPTY(&producer->reports))
        return RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    return code;
}

static void begin_remake(struct kafka_producer *producer);

static void on_send_task(void *arg)
{
    struct kafka_producer *producer = arg;

    for (int i = 0; i < SENDS_PER_TURN; i++) {
        struct produce *msg = TAILQ_FIRST(&producer->waiting);
        rd_kafka_resp_err_t code;

        if (msg == NULL || producer->rk == NULL || producer->full || producer->fatal ||
            producer->narrowing || producer->renewing)
            return;
        code = hand_over(producer, msg);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            move_to(producer, msg, MSG_SENT);
        } else if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            producer->full = true;
            if (producer->full_times != NULL)
                metric_add(producer->full_times, 1);
        } else if (code == RD_KAFKA_RESP_ERR__FATAL) {
            begin_remake(producer);
        } else {
            fail(producer, msg, code);
        }
    }
    loop_defer(producer->loop, &producer->send_task);
}

/* Was the batch that was too large perhaps so by others? Then it goes again, in a smaller one. */
static bool narrow(struct kafka_producer *producer, struct produce *msg, bool lonely,
                   rd_kafka_resp_err_t code)
{
    if (code != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE &&
        code != RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE)
        return false;
    if (lonely || produce_bytes(msg) >= producer->batch_bytes || producer->batch_bytes <= NARROWEST)
        return false;
    producer->narrowing = true;
    move_to(producer, msg, MSG_WAITING);
    return true;
}

static void begin_narrow(struct kafka_producer *producer)
{
    producer->batch_bytes /= NARROW_BY;
    if (producer->batch_bytes < NARROWEST)
        producer->batch_bytes = NARROWEST;
    log_warn("producer_batches_narrowed", LOG_UINT("batch_size", producer->batch_bytes),
             LOG_STR("why", "a batch of copies is above max.message.bytes of its topic"), LOG_END);
    loop_timer_set_ms(&producer->remake_timer, 0);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct kafka_producer *producer = opaque;
    struct sent *sent = message->_private;
    struct produce *msg = sent->msg;
    bool lonely = producer->lonely == sent;
    bool acked = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    bool placed = acked && produce_is_placed(&producer->unplaced, message->offset);

    forget_report(sent);
    producer->full = false;
    if (msg == NULL) {
        if (rd_kafka_fatal_error(rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR)
            begin_remake(producer);
    } else if (acked && !placed) {
        /* The client concludes it from sequence numbers; no broker has said where it stands. */
        log_warn("ack_without_offset", LOG_STR("topic", msg->topic),
                 LOG_INT("partition", msg->partition),
                 LOG_STR("then", "it is produced again: at worst one copy too many"), LOG_END);
        move_to(producer, msg, MSG_WAITING);
        loop_defer(producer->loop, &producer->send_task);
    } else if (acked) {
        producer->rest_ms = FIRST_REST_MS;
        msg->offset = message->offset;
        err_clear(&msg->err);
        finish(producer, msg, PRODUCE_ACKED);
    } else if (producer->fatal) {
        /* Of a client that is thrown away: it goes out again from the list, in order. */
        return;
    } else if (message->err == RD_KAFKA_RESP_ERR__FATAL ||
               rd_kafka_fatal_error(rk, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        begin_remake(producer);
    } else if (!narrow(producer, msg, lonely, message->err)) {
        fail(producer, msg, message->err);
    }
    if (!LIST_EMPTY(&producer->reports) || producer->fatal)
        return;
    if (producer->narrowing)
        begin_narrow(producer);
    else if (producer->renewing)
        loop_timer_set_ms(&producer->remake_timer, 0);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_producer *producer = opaque;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        begin_remake(producer);
        return;
    }
    /* The client logs what matters; nothing is lost by a broker that is away. */
    log_debug("producer_error", LOG_STR("error", reason), LOG_END);
}

static void on_wake(void *arg)
{
    struct kafka_producer *producer = arg;

    if (producer->rk == NULL)
        return;
    rd_kafka_poll(producer->rk, 0);
    if (!TAILQ_EMPTY(&producer->waiting))
        loop_defer(producer->loop, &producer->send_task);
}

static void open_prepared(struct kafka_producer *producer)
{
    for (size_t i = 0; i < producer->prepared_count && producer->rk != NULL; i++) {
        struct prepared *topic = &producer->prepared[i];

        if (topic->handle == NULL)
            topic->handle = rd_kafka_topic_new(producer->rk, topic->name, NULL);
    }
}

static void close_prepared(struct kafka_producer *producer)
{
    for (size_t i = 0; i < producer->prepared_count; i++) {
        if (producer->prepared[i].handle != NULL)
            rd_kafka_topic_destroy(producer->prepared[i].handle);
        producer->prepared[i].handle = NULL;
    }
}

void kafka_producer_prepare(struct kafka_producer *producer, const char *name)
{
    for (size_t i = 0; i < producer->prepared_count; i++) {
        if (strcmp(producer->prepared[i].name, name) == 0)
            return;
    }
    producer->prepared = mem_realloc(producer->prepared,
                                     (producer->prepared_count + 1) * sizeof(*producer->prepared));
    producer->prepared[producer->prepared_count++] = (struct prepared){mem_strdup(name), NULL};
    open_prepared(producer);
}

static void set_batch_size(struct kafka_producer *producer, rd_kafka_conf_t *conf)
{
    char text[24];
    size_t size = sizeof(text);
    uint64_t configured = 0;

    if (rd_kafka_conf_get(conf, "batch.size", text, &size) != RD_KAFKA_CONF_OK ||
        !str_to_u64(slice_of(text), &configured))
        return;
    if (producer->batch_bytes == 0 || producer->batch_bytes > configured)
        producer->batch_bytes = (size_t)configured;
    snprintf(text, sizeof(text), "%zu", producer->batch_bytes);
    (void)rd_kafka_conf_set(conf, "batch.size", text, NULL, 0);
}

static bool make_client(struct kafka_producer *producer, struct err *err)
{
    rd_kafka_conf_t *conf = properties_new(producer->config, KAFKA_PRODUCER, err);
    char text[300];

    if (conf == NULL)
        return false;
    set_batch_size(producer, conf);
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (producer->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_CONFIG, "producer: %s", text);
    }
    producer->queue = rd_kafka_queue_get_main(producer->rk);
    wake_attach(&producer->wake, producer->queue);
    open_prepared(producer);
    return true;
}

/* Purging first lets destroy return at once: nothing is waited for. */
static void drop_client(struct kafka_producer *producer)
{
    if (producer->rk == NULL)
        return;
    producer->fatal = true;
    rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                     RD_KAFKA_PURGE_F_NON_BLOCKING);
    rd_kafka_poll(producer->rk, 0);
    close_prepared(producer);
    wake_detach(producer->queue);
    rd_kafka_queue_destroy(producer->queue);
    client_end(producer->rk, NULL, NULL, NULL, END_MS);
    producer->queue = NULL;
    producer->rk = NULL;
    while (!LIST_EMPTY(&producer->reports))
        forget_report(LIST_FIRST(&producer->reports));
}

/* What was sent and not acknowledged goes before what waits, in the order of sending. */
static void take_back(struct kafka_producer *producer)
{
    struct produce *msg;

    TAILQ_FOREACH(msg, &producer->sent, in_list)
    {
        msg->state = MSG_WAITING;
    }
    TAILQ_CONCAT(&producer->sent, &producer->waiting, in_list);
    TAILQ_CONCAT(&producer->waiting, &producer->sent, in_list);
}

/* The client cannot be destroyed inside its own callback: the timer does it. */
static void begin_remake(struct kafka_producer *producer)
{
    char text[200] = "";

    if (producer->fatal)
        return;
    producer->fatal = true;
    rd_kafka_fatal_error(producer->rk, text, sizeof(text));
    log_error("producer_fatal", LOG_STR("error", text),
              LOG_UINT("unacknowledged", producer->pending), LOG_END);
    loop_timer_set_ms(&producer->remake_timer, 0);
}

static void on_remake_timer(void *arg)
{
    struct kafka_producer *producer = arg;
    struct err err;

    drop_client(producer);
    take_back(producer);
    if (!make_client(producer, &err)) {
        log_error("producer_failed", LOG_STR("error", err.text), LOG_END);
        loop_timer_set_ms(&producer->remake_timer, REMAKE_MS);
        return;
    }
    producer->remakes++;
    producer->fatal = producer->narrowing = producer->renewing = producer->full = false;
    loop_defer(producer->loop, &producer->send_task);
}

static void on_rest_timer(void *arg)
{
    struct kafka_producer *producer = arg;
    struct produce *msg;

    while ((msg = TAILQ_FIRST(&producer->resting)) != NULL)
        move_to(producer, msg, MSG_WAITING);
    loop_defer(producer->loop, &producer->send_task);
}

static void register_metrics(struct kafka_producer *producer, struct metrics *metrics)
{
    static const char *const kinds[] = {
        [PRODUCE_ACKED] = "passing",   [PRODUCE_TOO_LARGE] = "too-large",
        [PRODUCE_DENIED] = "denied",   [PRODUCE_NO_TOPIC] = "no-topic",
        [PRODUCE_INVALID] = "invalid", [PRODUCE_ABANDONED] = "abandoned",
        [PRODUCE_CANCELLED] = NULL,
    };

    if (metrics == NULL)
        return;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct metric_label label = {"kind", kinds[i]};

        if (kinds[i] != NULL)
            producer->failures[i] = metrics_counter(
                metrics, "produce_failures_total",
                "Copies that a broker did not take, by the kind of failure.", &label, 1);
    }
    producer->full_times = metrics_counter(
        metrics, "produce_queue_full_total",
        "Times that the Kafka client took no more copies; they wait before it.", NULL, 0);
}

struct kafka_producer *kafka_producer_new(struct loop *loop, const struct config *config,
                                          struct metrics *metrics, struct err *err)
{
    struct kafka_producer *producer = mem_zalloc(sizeof(*producer));

    producer->loop = loop;
    producer->config = config;
    producer->rest_ms = FIRST_REST_MS;
    producer->unplaced = INT64_MIN;
    producer->wake.fd = -1;
    LIST_INIT(&producer->reports);
    TAILQ_INIT(&producer->waiting);
    TAILQ_INIT(&producer->sent);
    TAILQ_INIT(&producer->resting);
    TAILQ_INIT(&producer->finished);
    loop_timer_init(&producer->rest_timer, loop, on_rest_timer, producer);
    loop_timer_init(&producer->remake_timer, loop, on_remake_timer, producer);
    loop_task_init(&producer->send_task, on_send_task, producer);
    loop_task_init(&producer->finish_task, on_finish_task, producer);
    register_metrics(producer, metrics);
    if (!wake_init(&producer->wake, loop, on_wake, producer, err) || !make_client(producer, err)) {
        kafka_producer_free(&producer);
        return NULL;
    }
    return producer;
}

void kafka_producer_send(struct kafka_producer *producer, struct produce *msg)
{
    msg->state = MSG_NONE;
    msg->offset = -1;
    msg->sent = NULL;
    err_clear(&msg->err);
    producer->pending++;
    move_to(producer, msg, MSG_WAITING);
    loop_defer(producer->loop, &producer->send_task);
}

void kafka_producer_abandon(struct kafka_producer *producer, struct produce *msg)
{
    if (msg->state == MSG_NONE || msg->state == MSG_FINISHED)
        return;
    if (msg->sent != NULL)
        msg->sent->msg = NULL;
    msg->sent = NULL;
    err_set(&msg->err, ERR_TIMEOUT, "produce to %s/%d: not acknowledged in time", msg->topic,
            (int)msg->partition);
    finish(producer, msg, PRODUCE_ABANDONED);
}

void kafka_producer_renew(struct kafka_producer *producer)
{
    if (producer->fatal || producer->renewing)
        return;
    producer->renewing = true;
    log_info("producer_renewed", LOG_UINT("unacknowledged", producer->pending), LOG_END);
    loop_timer_set_ms(&producer->remake_timer, LIST_EMPTY(&producer->reports) ? 0 : RENEW_MS);
}

size_t kafka_producer_pending(const struct kafka_producer *producer)
{
    return producer->pending;
}

static void cancel_list(struct kafka_producer *producer, struct message_list *list)
{
    struct produce *msg;

    while ((msg = TAILQ_FIRST(list)) != NULL) {
        err_set(&msg->err, ERR_CANCELLED, "produce to %s/%d: given up, its fate is unknown",
                msg->topic, (int)msg->partition);
        finish(producer, msg, PRODUCE_CANCELLED);
    }
}

void kafka_producer_free(struct kafka_producer **pointer)
{
    struct kafka_producer *producer = *pointer;

    if (producer == NULL)
        return;
    *pointer = NULL;
    drop_client(producer);
    loop_timer_deinit(&producer->rest_timer);
    loop_timer_deinit(&producer->remake_timer);
    wake_deinit(&producer->wake);
    cancel_list(producer, &producer->sent);
    cancel_list(producer, &producer->waiting);
    cancel_list(producer, &producer->resting);
    loop_task_cancel(producer->loop, &producer->send_task);
    loop_task_cancel(producer->loop, &producer->finish_task);
    on_finish_task(producer);
    for (size_t i = 0; i < producer->prepared_count; i++)
        mem_free(producer->prepared[i].name);
    mem_free(producer->prepared);
    mem_free(producer);
}

void kafka_producer_break_for_test(struct kafka_producer *producer)
{
    rd_kafka_test_fatal_error(producer->rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                              "broken by a test");
}

unsigned kafka_producer_remakes(const struct kafka_producer *producer)
{
    return producer->remakes;
}
