/*
 * Membership of a group on the event loop.
 *
 *   librdkafka's threads --eventfd--> control: group queue (rebalances, errors), reply queue
 * (commits, offsets)
 *                        --eventfd--> data: the partitions' queues, which the flow takes from
 *
 * The rebalance callback only notes what happened; the work is done when the poll has returned. On
 * an assignment librdkafka is told at once that we are assigned nothing: until then it would ignore
 * the next rebalance, and looking up start offsets may take long. The real assignment is installed
 * when they are known.
 *
 * librdkafka reports the next rebalance after the last one was answered by assign, so one slot for
 * it is enough; but where topics come or go while a revocation is being answered, it joins again
 * without waiting (2.8.0, rd_kafka_cgrp_revoke_all_rejoin), and the next assignment comes while the
 * flow still drains the last one, which is lost then.
 *
 * Invariants: every wake-up does bounded work and arms itself again; the group queue is polled at
 * least every POLL_MS whatever the flow does, so the poll interval cannot run out. It must not
 * block, but for kafka_consumer_free.
 */
#include "kafka/consumer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kafka/client_end.h"
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"
#include "kafka/properties.h"

#define POLL_MS         500
#define SERVED_PER_TURN 64
#define ERROR_EVERY_NS  (UINT64_C(5) * NS_PER_S)

const char *consumer_topic(struct kafka_consumer *consumer, const char *topic)
{
    for (size_t i = 0; i < consumer->topic_count; i++) {
        if (strcmp(consumer->topics[i].name, topic) == 0)
            return consumer->topics[i].name;
    }
    consumer->topics = mem_realloc(consumer->topics,
                                   (consumer->topic_count + 1) * sizeof(*consumer->topics));
    consumer->topics[consumer->topic_count] = (struct known_topic){.name = mem_strdup(topic)};
    return consumer->topics[consumer->topic_count++].name;
}

void consumer_trouble(struct kafka_consumer *consumer, const struct err *err)
{
    /* The oldest ones say what began it; more of the same is in the log. */
    if (consumer->trouble_count < TROUBLES_MAX)
        consumer->troubles[consumer->trouble_count++] = *err;
    loop_defer(consumer->loop, &consumer->trouble_task);
}

static void on_trouble_task(void *arg)
{
    struct kafka_consumer *consumer = arg;
    struct err troubles[TROUBLES_MAX];
    size_t count = consumer->trouble_count;

    memcpy(troubles, consumer->troubles, count * sizeof(*troubles));
    consumer->trouble_count = 0;
    for (size_t i = 0; i < count; i++)
        consumer->events.trouble(consumer->events.ctx, &troubles[i]);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct kafka_consumer *consumer = opaque;

    if (consumer->closing) {
        rd_kafka_assign(rk, NULL);
        return;
    }
    if (consumer->pending_list != NULL)
        rd_kafka_topic_partition_list_destroy(consumer->pending_list);
    consumer->pending_list = rd_kafka_topic_partition_list_copy(list);
    consumer->pending = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS ? REBALANCE_ASSIGN
                                                                     : REBALANCE_REVOKE;
    consumer->pending_lost = rd_kafka_assignment_lost(rk) != 0;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct kafka_consumer *consumer = opaque;
    struct err err;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        consumer->pending_fatal = true;
        return;
    }
    /* A broker that is away says so several times a second, from each of its connections. */
    if (clock_mono_ns() < consumer->next_error_ns)
        return;
    consumer->next_error_ns = clock_mono_ns() + ERROR_EVERY_NS;
    client_error_set(&err, (rd_kafka_resp_err_t)code, "route %s: %s", consumer->route, reason);
    consumer_trouble(consumer, &err);
}

static bool has_assignment(const struct kafka_consumer *consumer)
{
    return consumer->state == MEMBER_ASSIGNED || consumer->state == MEMBER_REVOKING;
}

/* It has no assignment any more. */
static void set_joining(struct kafka_consumer *consumer)
{
    consumer->generation++;
    assignment_drop(consumer);
    consumer->state = MEMBER_JOINING;
    if (consumer->renewing)
        renew_go_on(consumer);
}

/* Ends the assignment without asking. */
static void lose_assignment(struct kafka_consumer *consumer)
{
    bool announced = has_assignment(consumer);

    start_cancel(consumer);
    restart_cancel(consumer);
    consumer->lost = true;
    consumer->joined = false;
    consumer->generation++;
    consumer->state = MEMBER_JOINING;
    if (announced)
        consumer->events.revoked(consumer->events.ctx, true);
    set_joining(consumer);
}

static void on_assign_event(struct kafka_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *none;
    rd_kafka_resp_err_t code;

    if (has_assignment(consumer))
        lose_assignment(consumer);
    start_cancel(consumer); /* where librdkafka joined again without a revocation */
    /* Also for a client that is about to go: one that does not answer keeps its whole group from
     * the next rebalance. */
    none = rd_kafka_topic_partition_list_new(0);
    code = rd_kafka_assign(consumer->rk, none);
    rd_kafka_topic_partition_list_destroy(none);
    if (consumer->state == MEMBER_RENEWING)
        return;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        struct err err;

        client_error_set(&err, code, "route %s: joining", consumer->route);
        consumer_trouble(consumer, &err);
    }
    consumer->generation++;
    start_begin(consumer, consumer->pending_list);
}

/* The flow drains; what was about to begin ends here. */
void consumer_give_up(struct kafka_consumer *consumer)
{
    restart_cancel(consumer);
    if (consumer->state == MEMBER_ASSIGNED) {
        consumer->state = MEMBER_REVOKING;
        consumer->events.revoked(consumer->events.ctx, false);
    } else if (consumer->state != MEMBER_REVOKING) {
        start_cancel(consumer);
        set_joining(consumer);
    }
}

static void on_revoke_event(struct kafka_consumer *consumer)
{
    if (consumer->pending_lost)
        lose_assignment(consumer);
    else
        consumer_give_up(consumer);
}

static void on_fatal(struct kafka_consumer *consumer)
{
    char text[300];
    struct err err;
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(consumer->rk, text, sizeof(text));

    client_error_set(&err, code, "route %s: %s", consumer->route, text);
    err.fatal = true;
    err.retriable = false;
    consumer->renewing = false;
    lose_assignment(consumer);
    consumer->state = MEMBER_FAILED;
    consumer_trouble(consumer, &err);
}

static void handle_pending(struct kafka_consumer *consumer)
{
    enum rebalance_kind kind = consumer->pending;

    consumer->pending = REBALANCE_NONE;
    if (consumer->state == MEMBER_FAILED)
        return;
    if (consumer->state == MEMBER_RENEWING) {
        if (kind == REBALANCE_ASSIGN)
            on_assign_event(consumer);
        else if (kind == REBALANCE_REVOKE)
            rd_kafka_assign(consumer->rk, NULL);
        return;
    }
    if (consumer->pending_fatal) {
        consumer->pending_fatal = false;
        on_fatal(consumer);
        return;
    }
    if (kind == REBALANCE_ASSIGN)
        on_assign_event(consumer);
    else if (kind == REBALANCE_REVOKE)
        on_revoke_event(consumer);
}

/* A record in this queue would be a broken promise of assignment.c; see there. */
static void on_group_message(struct kafka_consumer *consumer, const rd_kafka_message_t *message)
{
    struct err err;

    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        log_error(
            "kafka_record_in_group_queue", LOG_STR("topic", rd_kafka_topic_name(message->rkt)),
            LOG_INT("partition", message->partition), LOG_INT("offset", message->offset), LOG_END);
        consumer->reassign = true;
        return;
    }
    /* The same as on_error's: whichever comes first. */
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        consumer->pending_fatal = true;
        return;
    }
    client_error_set(&err, message->err, "route %s: %s", consumer->route,
                     rd_kafka_message_errstr(message));
    consumer_trouble(consumer, &err);
}

static bool serve_group_queue(struct kafka_consumer *consumer)
{
    for (int i = 0; i < SERVED_PER_TURN; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, 0);

        if (message == NULL)
            return true;
        on_group_message(consumer, message);
        rd_kafka_message_destroy(message);
    }
    return false;
}

static void on_topics(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    if (offset_query_number(event) == consumer->subscribe.query)
        subscribe_on_event(consumer, event);
    else
        topic_ids_on_event(consumer, event);
}

static void on_reply(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    bool commit = type == RD_KAFKA_EVENT_OFFSET_COMMIT;

    if (commit && consumer->commit != NULL && rd_kafka_event_opaque(event) == consumer->commit)
        commit_on_event(consumer, event);
    else if (type == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)
        on_topics(consumer, event);
    else if (consumer->start != NULL)
        start_on_event(consumer, event);
    else if (!commit)
        restart_on_event(consumer, event);
}

static bool serve_reply_queue(struct kafka_consumer *consumer)
{
    for (int i = 0; i < SERVED_PER_TURN; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(consumer->reply_queue, 0);

        if (event == NULL)
            return true;
        on_reply(consumer, event);
        rd_kafka_event_destroy(event);
    }
    return false;
}

static void on_control(void *arg)
{
    struct kafka_consumer *consumer = arg;
    bool empty = serve_group_queue(consumer);

    handle_pending(consumer);
    empty = serve_reply_queue(consumer) && empty;
    committed_collect(consumer);
    if (consumer->reassign && consumer->state == MEMBER_ASSIGNED)
        assignment_reinstall(consumer);
    if (!empty)
        loop_defer(consumer->loop, &consumer->control_task);
}

static void on_poll_timer(void *arg)
{
    struct kafka_consumer *consumer = arg;

    loop_timer_set_ms(&consumer->poll_timer, POLL_MS);
    on_control(consumer);
}

static void on_data(void *arg)
{
    struct kafka_consumer *consumer = arg;

    if (consumer->state == MEMBER_ASSIGNED)
        consumer->events.readable(consumer->events.ctx);
}

static void on_halted_task(void *arg)
{
    assignment_announce_halted(arg);
}

static void on_restart_timer(void *arg)
{
    restart_begin(arg);
}

void kafka_consumer_rearm(struct kafka_consumer *consumer)
{
    loop_defer(consumer->loop, &consumer->readable_task);
}

void kafka_consumer_revoke_done(struct kafka_consumer *consumer)
{
    /* Lost while the flow drained: nothing is left to give up. */
    if (consumer->state == MEMBER_REVOKING)
        set_joining(consumer);
}

int64_t kafka_consumer_session_timeout_ms(const struct kafka_consumer *consumer)
{
    char text[24] = "";
    size_t size = sizeof(text);
    int64_t ms = 0;
    if (rd_kafka_conf_get(rd_kafka_conf(consumer->rk), "session.timeout.ms", text, &size) !=
            RD_KAFKA_CONF_OK ||
        !str_to_i64(slice_of(text), &ms))
        return 0;
    return ms;
}

bool kafka_consumer_joined(const struct kafka_consumer *consumer)
{
    return consumer->joined;
}

size_t kafka_consumer_assigned_count(const struct kafka_consumer *consumer)
{
    return consumer->partition_count;
}

bool kafka_consumer_lost(const struct kafka_consumer *consumer)
{
    return consumer->lost || rd_kafka_assignment_lost(consumer->rk);
}

/*
 * Prefetch. librdkafka counts per partition queue, and by the bytes of values alone, while a
 * message costs some 500 bytes more; the count of partitions is not known before the group has met,
 * and properties cannot change then. So the share is divided by the topics times eight partitions
 * and halved, and the number of messages is bounded as if each took 1 KiB. Even the smallest share
 * lets a partition hold what the loop can take between two fetches.
 */
static bool set_prefetch(rd_kafka_conf_t *conf, const struct kafka_consumer_config *config,
                         struct err *err)
{
    uint64_t topics = config->topic_count > 0 ? config->topic_count : 1;
    uint64_t bytes = config->prefetch_bytes / (topics * 8 * 2);
    struct {
        const char *name;
        uint64_t value;
    } limits[3];

    if (bytes < 256 * 1024)
        bytes = 256 * 1024;
    if (bytes > 4 * 1024 * 1024)
        bytes = 4 * 1024 * 1024;
    limits[0].name = "queued.max.messages.kbytes";
    limits[0].value = bytes / 1024;
    limits[1].name = "queued.min.messages";
    limits[1].value = bytes / 1024 < 1000 ? 1000 : bytes / 1024;
    limits[2].name = "max.partition.fetch.bytes";
    limits[2].value = bytes > 1024 * 1024 ? 1024 * 1024 : bytes;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        char text[32];

        if (properties_find(config->config, KAFKA_CONSUMER, limits[i].name) != NULL)
            continue;
        snprintf(text, sizeof(text), "%llu", (unsigned long long)limits[i].value);
        if (!properties_set(conf, limits[i].name, text, err))
            return false;
    }
    return true;
}

/* group.instance.id with {route} and {worker} filled in. */
static bool set_instance_id(rd_kafka_conf_t *conf, const struct kafka_consumer_config *config,
                            struct err *err)
{
    const char *rest = properties_find(config->config, KAFKA_CONSUMER, "group.instance.id");
    struct buf text = {0};
    bool has_worker = false;
    bool ok;

    if (rest == NULL)
        return true;
    while (*rest != '\0') {
        if (strncmp(rest, "{route}", 7) == 0) {
            buf_add_text(&text, config->route->name);
            rest += 7;
        } else if (strncmp(rest, "{worker}", 8) == 0) {
            buf_add_u64(&text, config->worker);
            has_worker = true;
            rest += 8;
        } else {
            buf_add_char(&text, *rest++);
        }
    }
    if (config->config->workers > 1 && !has_worker)
        ok = err_set(err, ERR_CONFIG,
                     "group.instance.id must contain {worker} where workers is above 1");
    else
        ok = properties_set(conf, "group.instance.id", text.data != NULL ? text.data : "", err);
    buf_deinit(&text);
    return ok;
}

static rd_kafka_conf_t *make_conf(struct kafka_consumer *consumer,
                                  const struct kafka_consumer_config *config, struct err *err)
{
    rd_kafka_conf_t *conf = properties_new(config->config, KAFKA_CONSUMER, err);

    if (conf == NULL)
        return NULL;
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (properties_set(conf, "group.id", config->route->group, err) &&
        set_prefetch(conf, config, err) && set_instance_id(conf, config, err))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

bool consumer_connect(struct kafka_consumer *consumer, struct err *err)
{
    rd_kafka_conf_t *conf = make_conf(consumer, &consumer->config, err);
    rd_kafka_t *rk;
    char text[300];

    if (conf == NULL)
        return false;
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_CONFIG, "route %s: %s", consumer->route, text);
    }
    consumer->rk = rk;
    rd_kafka_poll_set_consumer(consumer->rk);
    consumer->group_queue = rd_kafka_queue_get_consumer(consumer->rk);
    consumer->reply_queue = rd_kafka_queue_new(consumer->rk);
    wake_attach(&consumer->control, consumer->group_queue);
    wake_attach(&consumer->control, consumer->reply_queue);
    return true;
}

static void init_tasks(struct kafka_consumer *consumer)
{
    loop_timer_init(&consumer->poll_timer, consumer->loop, on_poll_timer, consumer);
    loop_timer_init(&consumer->restart_timer, consumer->loop, on_restart_timer, consumer);
    topic_ids_init(consumer);
    renew_init(consumer);
    loop_task_init(&consumer->control_task, on_control, consumer);
    loop_task_init(&consumer->readable_task, on_data, consumer);
    loop_task_init(&consumer->halted_task, on_halted_task, consumer);
    loop_task_init(&consumer->trouble_task, on_trouble_task, consumer);
}

struct kafka_consumer *kafka_consumer_new(struct loop *loop,
                                          const struct kafka_consumer_config *config,
                                          const struct kafka_consumer_events *events,
                                          struct err *err)
{
    struct kafka_consumer *consumer = mem_zalloc(sizeof(*consumer));

    consumer->loop = loop;
    consumer->events = *events;
    consumer->config = *config;
    consumer->config.topics = consumer->config.written = NULL; /* of the call only */
    consumer->route = mem_strdup(config->route->name);
    consumer->group = mem_strdup(config->route->group);
    consumer->control.fd = consumer->data.fd = -1;
    init_tasks(consumer);
    topic_ids_add(consumer, config);
    if (!wake_init(&consumer->control, loop, on_control, consumer, err) ||
        !wake_init(&consumer->data, loop, on_data, consumer, err) ||
        !consumer_connect(consumer, err)) {
        kafka_consumer_free(&consumer, 0);
        return NULL;
    }
    subscribe_begin(consumer, config->topics, config->topic_count);
    loop_timer_set_ms(&consumer->poll_timer, 0);
    return consumer;
}

struct ending *consumer_end_client(struct kafka_consumer *consumer, const struct client *client,
                                   bool in_use, int64_t timeout_ms)
{
    wake_detach(client->group_queue);
    wake_detach(client->reply_queue);
    rd_kafka_queue_destroy(client->group_queue);
    /* It leaves the group there; rebalance events come to the reply queue meanwhile. */
    if (in_use)
        return client_end_in_use(client->rk, client->reply_queue, committed_end,
                                 committed_take(consumer));
    client_end(client->rk, client->reply_queue, committed_end, committed_take(consumer),
               timeout_ms);
    return NULL;
}

static void free_client(struct kafka_consumer *consumer, int64_t timeout_ms)
{
    struct client client = {consumer->rk, consumer->group_queue, consumer->reply_queue};

    assignment_drop(consumer);
    consumer_end_client(consumer, &client, false, timeout_ms);
}

void kafka_consumer_free(struct kafka_consumer **pointer, int64_t timeout_ms)
{
    struct kafka_consumer *consumer = *pointer;

    if (consumer == NULL)
        return;
    *pointer = NULL;
    /* A record's bytes are librdkafka's. */
    assert(consumer->taken_count == 0 && SLIST_EMPTY(&consumer->formers));
    consumer->closing = true;
    start_cancel(consumer);
    commit_free(consumer);
    if (consumer->rk != NULL)
        free_client(consumer, timeout_ms);
    wake_deinit(&consumer->control);
    wake_deinit(&consumer->data);
    subscribe_end(consumer);
    loop_timer_deinit(&consumer->poll_timer);
    loop_timer_deinit(&consumer->restart_timer);
    topic_ids_deinit(consumer);
    renew_deinit(consumer);
    loop_task_cancel(consumer->loop, &consumer->control_task);
    loop_task_cancel(consumer->loop, &consumer->readable_task);
    loop_task_cancel(consumer->loop, &consumer->halted_task);
    loop_task_cancel(consumer->loop, &consumer->trouble_task);
    if (consumer->pending_list != NULL)
        rd_kafka_topic_partition_list_destroy(consumer->pending_list);
    assignment_free_pool(consumer);
    for (size_t i = 0; i < consumer->topic_count; i++) {
        mem_free(consumer->topics[i].name);
        mem_free(consumer->topics[i].note);
    }
    mem_free(consumer->topics);
    mem_free(consumer->route);
    mem_free(consumer->group);
    mem_free(consumer);
}
