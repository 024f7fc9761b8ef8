/*
 * Topics, through librdkafka's admin calls.
 *
 * Every call of ours is one request object, whose address travels with librdkafka's answers as
 * their opaque; describe makes two calls in a row (topics, then the configuration of those that
 * exist). A listing stands in for a description only where there is no controller to ask: it tells
 * no ids, and who gets none takes the broker for one that has none. Listing all topics has no
 * asynchronous call in librdkafka: admin_list.c does it on a thread. done runs once, on the loop,
 * never inside the call that asked; requests that are open when the admin is freed are dropped
 * without an answer.
 */
#include "kafka/admin.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kafka/admin_state.h"
#include "kafka/client_end.h"
#include "kafka/client_error.h"
#include "kafka/describe.h"
#include "kafka/properties.h"

#define REQUEST_TIMEOUT_MS  10000
#define DESCRIBE_TIMEOUT_MS 4000 /* then a listing tells whether there is a controller */
#define CREATE_TIMEOUT_MS   30000
#define SERVED_PER_TURN     32
#define END_MS              1000

static struct admin_request *request_new(struct kafka_admin *admin, enum admin_kind kind,
                                         size_t count, void *arg)
{
    struct admin_request *request = mem_zalloc(sizeof(*request));

    request->kind = kind;
    request->count = count;
    request->arg = arg;
    request->next = admin->requests;
    admin->requests = request;
    return request;
}

static void request_free(struct kafka_admin *admin, struct admin_request *request)
{
    struct admin_request **at = &admin->requests;

    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
    for (size_t i = 0; request->topics != NULL && i < request->count; i++)
        mem_free(request->topics[i].name);
    for (size_t i = 0; request->failed != NULL && i < request->count; i++)
        mem_free(request->failed[i]);
    mem_free(request->topics);
    mem_free(request->failed);
    mem_free(request);
}

static void finish(struct kafka_admin *admin, struct admin_request *request, const struct err *err)
{
    if (request->kind == ADMIN_DESCRIBE)
        request->described(request->arg, err == NULL ? request->topics : NULL,
                           err == NULL ? request->count : 0, err);
    else if (request->kind == ADMIN_DELETE)
        request->deleted(request->arg, err == NULL ? request->begin : -1, err);
    else
        request->created(request->arg, err == NULL ? (const char *const *)request->failed : NULL,
                         err == NULL ? request->count : 0, err);
    request_free(admin, request);
}

static rd_kafka_AdminOptions_t *options_new(struct kafka_admin *admin, rd_kafka_admin_op_t op,
                                            struct admin_request *request, int timeout_ms)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, op);
    char text[128];

    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    rd_kafka_AdminOptions_set_opaque(options, request);
    return options;
}

/* librdkafka refuses a list that names a topic twice. */
static bool is_repeated(const struct admin_request *request, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(request->topics[i].name, request->topics[at].name) == 0)
            return true;
    }
    return false;
}

/* Describe, first step. */
static void ask_topics(struct kafka_admin *admin, struct admin_request *request, int timeout_ms)
{
    const char **list = mem_calloc(request->count, sizeof(*list));
    size_t asked = 0;

    for (size_t i = 0; i < request->count; i++) {
        if (!is_repeated(request, i))
            list[asked++] = request->topics[i].name;
    }
    describe_send(admin->rk, admin->queue, request, list, asked, timeout_ms);
    mem_free(list);
}

/* Where there is a controller the description came too late only, and a listing is no answer. */
static void on_sized(struct kafka_admin *admin, void *arg, const struct admin_listed *listed,
                     size_t count, bool controller, const struct err *err)
{
    struct admin_request *request = arg;

    if (err == NULL)
        admin->no_controller = !controller;
    if (err == NULL && controller) {
        request->last = true;
        ask_topics(admin, request, REQUEST_TIMEOUT_MS);
        return;
    }
    for (size_t i = 0; err == NULL && i < request->count; i++) {
        struct kafka_topic *topic = &request->topics[i];

        for (size_t j = 0; j < count; j++) {
            if (strcmp(listed[j].name, topic->name) != 0)
                continue;
            topic->exists = true;
            topic->partitions = listed[j].partitions;
            topic->replication = listed[j].replication;
        }
    }
    finish(admin, request, err);
}

/* A cluster without a controller (the mock cluster names one that it does not have) is asked by
 * listing, which tells neither ids nor settings. */
void kafka_admin_describe(struct kafka_admin *admin, const char *const *names, size_t count,
                          bool with_configs,
                          void (*done)(void *arg, const struct kafka_topic *topics, size_t count,
                                       const struct err *err),
                          void *arg)
{
    struct admin_request *request = request_new(admin, ADMIN_DESCRIBE, count, arg);

    request->described = done;
    request->with_configs = with_configs;
    request->topics = mem_calloc(count + 1, sizeof(*request->topics));
    for (size_t i = 0; i < count; i++) {
        request->topics[i].name = mem_strdup(names[i]);
        request->topics[i].retention_ms = request->topics[i].max_message_bytes = -1;
        request->topics[i].min_insync_replicas = -1;
    }
    if (count == 0) {
        request->nothing = true;
        loop_defer(admin->loop, &admin->nothing_task);
    } else if (admin->no_controller) {
        admin_list_sized(admin, on_sized, request);
    } else {
        ask_topics(admin, request, DESCRIBE_TIMEOUT_MS);
    }
}

/* The same name may have been asked for twice. */
static void take_description(struct admin_request *request,
                             const rd_kafka_TopicDescription_t *description)
{
    const char *name = rd_kafka_TopicDescription_name(description);
    const char *id = describe_topic_id(description);
    size_t partitions = 0;
    const rd_kafka_TopicPartitionInfo_t **infos = rd_kafka_TopicDescription_partitions(description,
                                                                                       &partitions);
    size_t replicas = 0;

    if (partitions > 0)
        rd_kafka_TopicPartitionInfo_replicas(infos[0], &replicas);
    for (size_t i = 0; i < request->count; i++) {
        struct kafka_topic *topic = &request->topics[i];

        if (strcmp(topic->name, name) != 0)
            continue;
        topic->exists = true;
        topic->partitions = (int32_t)partitions;
        topic->replication = (int32_t)replicas;
        if (id != NULL)
            str_copy(topic->uuid, sizeof(topic->uuid), slice_of(id));
    }
}

/* Describe, second step: the configuration of those that exist. False: there are none. */
static bool ask_configs(struct kafka_admin *admin, struct admin_request *request)
{
    rd_kafka_ConfigResource_t **resources = mem_calloc(request->count + 1,
                                                       sizeof(rd_kafka_ConfigResource_t *));
    size_t count = 0;

    for (size_t i = 0; i < request->count; i++) {
        if (request->topics[i].exists && !is_repeated(request, i))
            resources[count++] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC,
                                                             request->topics[i].name);
    }
    if (count > 0) {
        rd_kafka_AdminOptions_t *options = options_new(admin, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
                                                       request, REQUEST_TIMEOUT_MS);

        rd_kafka_DescribeConfigs(admin->rk, resources, count, options, admin->queue);
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_ConfigResource_destroy_array(resources, count);
    }
    mem_free(resources);
    return count > 0;
}

static void on_topics(struct kafka_admin *admin, struct admin_request *request,
                      rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_TopicDescription_t **descriptions = rd_kafka_DescribeTopics_result_topics(
        rd_kafka_event_DescribeTopics_result(event), &count);
    struct err err;

    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_error_code(
            rd_kafka_TopicDescription_error(descriptions[i]));

        if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
            continue;
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
            client_error_set(&err, code, "topic %s",
                             rd_kafka_TopicDescription_name(descriptions[i]));
            finish(admin, request, &err);
            return;
        }
        take_description(request, descriptions[i]);
    }
    if (!request->with_configs || !ask_configs(admin, request))
        finish(admin, request, NULL);
}

static void take_config(struct kafka_topic *topic, const char *name, const char *value)
{
    int64_t number = -1;
    bool is_number = str_to_i64(slice_of(value), &number);

    if (strcmp(name, "cleanup.policy") == 0)
        str_copy(topic->cleanup_policy, sizeof(topic->cleanup_policy), slice_of(value));
    else if (strcmp(name, "message.timestamp.type") == 0)
        str_copy(topic->timestamp_type, sizeof(topic->timestamp_type), slice_of(value));
    else if (strcmp(name, "retention.ms") == 0 && is_number)
        topic->retention_ms = number;
    else if (strcmp(name, "min.insync.replicas") == 0 && is_number)
        topic->min_insync_replicas = (int32_t)number;
    else if (strcmp(name, "max.message.bytes") == 0 && is_number)
        topic->max_message_bytes = number;
}

static void take_resource(struct admin_request *request, const rd_kafka_ConfigResource_t *resource)
{
    size_t count = 0;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);

    /* Not allowed to look: what was learnt so far is still worth something. */
    if (rd_kafka_ConfigResource_error(resource) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; i < request->count; i++) {
        if (strcmp(request->topics[i].name, rd_kafka_ConfigResource_name(resource)) != 0)
            continue;
        for (size_t j = 0; j < count; j++) {
            const char *value = rd_kafka_ConfigEntry_value(entries[j]);

            if (value != NULL)
                take_config(&request->topics[i], rd_kafka_ConfigEntry_name(entries[j]), value);
        }
    }
}

static void on_configs(struct kafka_admin *admin, struct admin_request *request,
                       rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);

    for (size_t i = 0; i < count; i++)
        take_resource(request, resources[i]);
    finish(admin, request, NULL);
}

/* Create. What cannot even be asked for is kept in failed and left out of the request. */
static rd_kafka_NewTopic_t *new_topic(const struct kafka_new_topic *topic, char **failed)
{
    char text[256] = "";
    rd_kafka_NewTopic_t *result = rd_kafka_NewTopic_new(topic->name, topic->partitions,
                                                        topic->replication, text, sizeof(text));

    if (result == NULL) {
        *failed = mem_strdup(text);
        return NULL;
    }
    for (size_t i = 0; i < topic->config_count; i++)
        rd_kafka_NewTopic_set_config(result, topic->configs[i].name, topic->configs[i].value);
    return result;
}

/* An answer may begin another request, so the list is searched anew each time. */
static void on_nothing_to_ask(void *arg)
{
    struct kafka_admin *admin = arg;
    struct admin_request *request = admin->requests;

    while (request != NULL) {
        if (request->nothing) {
            finish(admin, request, NULL);
            request = admin->requests;
        } else {
            request = request->next;
        }
    }
}

void kafka_admin_create(struct kafka_admin *admin, const struct kafka_new_topic *topics,
                        size_t count,
                        void (*done)(void *arg, const char *const *failed, size_t count,
                                     const struct err *err),
                        void *arg)
{
    struct admin_request *request = request_new(admin, ADMIN_CREATE, count, arg);
    rd_kafka_NewTopic_t **list = mem_calloc(count + 1, sizeof(rd_kafka_NewTopic_t *));
    rd_kafka_AdminOptions_t *options;
    char text[128];
    size_t asked = 0;

    request->created = done;
    request->failed = mem_calloc(count + 1, sizeof(*request->failed));
    request->topics = mem_calloc(count + 1, sizeof(*request->topics));
    for (size_t i = 0; i < count; i++) {
        request->topics[i].name = mem_strdup(topics[i].name);
        list[asked] = new_topic(&topics[i], &request->failed[i]);
        if (list[asked] != NULL)
            asked++;
    }
    if (asked == 0) {
        request->nothing = true;
        loop_defer(admin->loop, &admin->nothing_task);
        mem_free(list);
        return;
    }
    options = options_new(admin, RD_KAFKA_ADMIN_OP_CREATETOPICS, request, CREATE_TIMEOUT_MS);
    rd_kafka_AdminOptions_set_operation_timeout(options, CREATE_TIMEOUT_MS / 2, text, sizeof(text));
    rd_kafka_CreateTopics(admin->rk, list, asked, options, admin->queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_NewTopic_destroy_array(list, asked);
    mem_free(list);
}

static void on_created(struct kafka_admin *admin, struct admin_request *request,
                       rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result(event), &count);

    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code;
        const char *text;

        /* A name that was asked for twice has one result, and the other place stays empty. */
        if (results[i] == NULL)
            continue;
        code = rd_kafka_topic_result_error(results[i]);
        text = rd_kafka_topic_result_error_string(results[i]);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            continue;
        for (size_t j = 0; j < request->count; j++) {
            if (strcmp(request->topics[j].name, rd_kafka_topic_result_name(results[i])) == 0 &&
                request->failed[j] == NULL)
                request->failed[j] = mem_strdup(text != NULL ? text : rd_kafka_err2str(code));
        }
    }
    finish(admin, request, NULL);
}

void kafka_admin_delete_below(struct kafka_admin *admin, const char *topic, int32_t partition,
                              int64_t offset,
                              void (*done)(void *arg, int64_t begin, const struct err *err),
                              void *arg)
{
    struct admin_request *request = request_new(admin, ADMIN_DELETE, 0, arg);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_AdminOptions_t *options = options_new(admin, RD_KAFKA_ADMIN_OP_DELETERECORDS, request,
                                                   REQUEST_TIMEOUT_MS);
    rd_kafka_DeleteRecords_t *deletion;

    request->deleted = done;
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    deletion = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(admin->rk, &deletion, 1, options, admin->queue);
    rd_kafka_DeleteRecords_destroy(deletion);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
}

static void on_deleted(struct kafka_admin *admin, struct admin_request *request,
                       rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_DeleteRecords_result_offsets(
        rd_kafka_event_DeleteRecords_result(event));
    struct err err;

    if (list->cnt == 1 && list->elems[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        request->begin = list->elems[0].offset;
        finish(admin, request, NULL);
        return;
    }
    client_error_set(&err, list->cnt == 1 ? list->elems[0].err : RD_KAFKA_RESP_ERR_UNKNOWN,
                     "deleting records");
    finish(admin, request, &err);
}

static const char *doing(rd_kafka_event_type_t type)
{
    if (type == RD_KAFKA_EVENT_CREATETOPICS_RESULT)
        return "creating topics";
    return type == RD_KAFKA_EVENT_DELETERECORDS_RESULT ? "deleting records" : "describing topics";
}

static void on_event(struct kafka_admin *admin, rd_kafka_event_t *event)
{
    struct admin_request *request = rd_kafka_event_opaque(event);
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    struct err err;

    if (type == RD_KAFKA_EVENT_LISTOFFSETS_RESULT)
        admin_bounds_event(admin, event);
    if (type != RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT &&
        type != RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT &&
        type != RD_KAFKA_EVENT_CREATETOPICS_RESULT && type != RD_KAFKA_EVENT_DELETERECORDS_RESULT)
        return;
    if (type == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT &&
        rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__TIMED_OUT && !request->last) {
        admin_list_sized(admin, on_sized, request);
        return;
    }
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_error_set(&err, rd_kafka_event_error(event), "%s", doing(type));
        finish(admin, request, &err);
        return;
    }
    if (type == RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT)
        on_topics(admin, request, event);
    else if (type == RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT)
        on_configs(admin, request, event);
    else if (type == RD_KAFKA_EVENT_DELETERECORDS_RESULT)
        on_deleted(admin, request, event);
    else
        on_created(admin, request, event);
}

static void on_wake(void *arg)
{
    struct kafka_admin *admin = arg;

    for (int i = 0; i < SERVED_PER_TURN; i++) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(admin->queue, 0);

        if (event == NULL)
            return;
        on_event(admin, event);
        rd_kafka_event_destroy(event);
    }
    loop_defer(admin->loop, &admin->serve_task);
}

static bool connect_client(struct kafka_admin *admin, const struct config *config, struct err *err)
{
    rd_kafka_conf_t *conf = properties_new(config, KAFKA_PRODUCER, err);
    char text[300];

    if (conf == NULL)
        return false;
    admin->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (admin->rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_CONFIG, "admin client: %s", text);
    }
    admin->queue = rd_kafka_queue_new(admin->rk);
    wake_attach(&admin->wake, admin->queue);
    return true;
}

struct kafka_admin *kafka_admin_new(struct loop *loop, const struct config *config, struct err *err)
{
    struct kafka_admin *admin = mem_zalloc(sizeof(*admin));

    admin->loop = loop;
    admin->wake.fd = -1;
    loop_task_init(&admin->serve_task, on_wake, admin);
    loop_task_init(&admin->nothing_task, on_nothing_to_ask, admin);
    admin_bounds_init(admin);
    if (!wake_init(&admin->wake, loop, on_wake, admin, err) ||
        !connect_client(admin, config, err) || !admin_list_init(admin, err)) {
        kafka_admin_free(&admin);
        return NULL;
    }
    return admin;
}

void kafka_admin_free(struct kafka_admin **pointer)
{
    struct kafka_admin *admin = *pointer;
    struct err cancelled = {0};
    void *listings;

    if (admin == NULL)
        return;
    *pointer = NULL;
    listings = admin_list_deinit(admin);
    loop_task_cancel(admin->loop, &admin->serve_task);
    loop_task_cancel(admin->loop, &admin->nothing_task);
    if (admin->rk != NULL) {
        wake_detach(admin->queue);
        rd_kafka_queue_destroy(admin->queue);
        client_end(admin->rk, NULL, admin_list_end, listings, END_MS);
    }
    wake_deinit(&admin->wake);
    err_set(&cancelled, ERR_CANCELLED, "given up");
    while (admin->requests != NULL)
        finish(admin, admin->requests, &cancelled);
    admin_bounds_deinit(admin, &cancelled);
    mem_free(admin);
}
