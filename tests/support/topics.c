/* og-support topics and group: making, removing and listing test topics; a group's members. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_tool.h"
#include "tool.h"
#include "verbs.h"

enum { TIMEOUT_MS = 30000 };

static const char *take_brokers(int argc, char **argv)
{
    const char *brokers = NULL;
    int opt;

    while ((opt = getopt(argc, argv, "b:")) != -1) {
        if (opt != 'b')
            exit(64);
        brokers = optarg;
    }
    if (brokers == NULL)
        tool_die("-b BOOTSTRAP is missing");
    return brokers;
}

/* NAME:PARTITIONS[:key=value,...] */
static rd_kafka_NewTopic_t *new_topic(const char *arg)
{
    char error[256];
    char *copy = tool_copy(arg, strlen(arg));
    char *save = NULL;
    char *name = strtok_r(copy, ":", &save);
    char *count = strtok_r(NULL, ":", &save);
    char *configs = strtok_r(NULL, "", &save);
    rd_kafka_NewTopic_t *topic;

    if (count == NULL)
        tool_die("a topic is NAME:PARTITIONS[:key=value,...]: %s", arg);
    topic = rd_kafka_NewTopic_new(name, (int)tool_number(count, "partitions"), -1, error,
                                  sizeof(error)); /* replicated as the brokers have it */
    if (topic == NULL)
        tool_die("%s", error);
    for (char *pair = configs != NULL ? strtok_r(configs, ",", &save) : NULL; pair != NULL;
         pair = strtok_r(NULL, ",", &save)) {
        char *equal = strchr(pair, '=');

        if (equal == NULL)
            tool_die("not key=value: %s", pair);
        *equal = '\0';
        rd_kafka_NewTopic_set_config(topic, pair, equal + 1);
    }
    free(copy);
    return topic;
}

static int print_results(const rd_kafka_topic_result_t **results, size_t count)
{
    int failed = 0;

    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);

        if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        fprintf(stderr, "og-support: %s: %s\n", rd_kafka_topic_result_name(results[i]),
                rd_kafka_err2str(err));
        failed++;
    }
    return failed > 0;
}

static int create_all(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **names, int count)
{
    rd_kafka_NewTopic_t **topics = tool_alloc((size_t)count * sizeof(rd_kafka_NewTopic_t *));
    rd_kafka_AdminOptions_t *opts = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    char error[256];
    rd_kafka_event_t *event;
    size_t n = 0;
    const rd_kafka_topic_result_t **results;
    int failed;

    for (int i = 0; i < count; i++)
        topics[i] = new_topic(names[i]);
    rd_kafka_AdminOptions_set_operation_timeout(opts, TIMEOUT_MS, error, sizeof(error));
    rd_kafka_CreateTopics(rk, topics, (size_t)count, opts, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("create: %s", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
    failed = print_results(results, n);
    rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(opts);
    rd_kafka_NewTopic_destroy_array(topics, (size_t)count);
    free(topics);
    return failed;
}

static int delete_all(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **names, int count)
{
    rd_kafka_DeleteTopic_t **topics = tool_alloc((size_t)count * sizeof(rd_kafka_DeleteTopic_t *));
    rd_kafka_event_t *event;
    size_t n = 0;
    const rd_kafka_topic_result_t **results;
    int failed;

    for (int i = 0; i < count; i++)
        topics[i] = rd_kafka_DeleteTopic_new(names[i]);
    rd_kafka_DeleteTopics(rk, topics, (size_t)count, NULL, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("delete: %s", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
    failed = print_results(results, n);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy_array(topics, (size_t)count);
    free(topics);
    return failed;
}

/* Sets one property, key=value, of one topic. */
static int configure(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *name, const char *pair)
{
    rd_kafka_ConfigResource_t *res = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    const char *equal = strchr(pair, '=');
    const rd_kafka_ConfigResource_t **results;
    rd_kafka_event_t *event;
    size_t n = 0;
    char *key;

    if (equal == NULL)
        tool_die("not key=value: %s", pair);
    key = tool_copy(pair, (size_t)(equal - pair));
    rd_kafka_error_destroy(rd_kafka_ConfigResource_add_incremental_config(
        res, key, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, equal + 1));
    rd_kafka_IncrementalAlterConfigs(rk, &res, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("config: %s", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_IncrementalAlterConfigs_result_resources(
        rd_kafka_event_IncrementalAlterConfigs_result(event), &n);
    if (n != 1 || rd_kafka_ConfigResource_error(results[0]) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("config: %s", n == 1 ? rd_kafka_ConfigResource_error_string(results[0]) : "?");
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(res);
    free(key);
    return 0;
}

static int list(rd_kafka_t *rk)
{
    const struct rd_kafka_metadata *meta = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 1, NULL, &meta, TIMEOUT_MS);

    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("list: %s", rd_kafka_err2str(err));
    for (int i = 0; i < meta->topic_cnt; i++)
        printf("{\"topic\":\"%s\",\"partitions\":%d}\n", meta->topics[i].topic,
               meta->topics[i].partition_cnt);
    rd_kafka_metadata_destroy(meta);
    return 0;
}

/* What stands before the offset is gone, as if it had expired. */
static int truncate_log(rd_kafka_t *rk, rd_kafka_queue_t *queue, char **place)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_DeleteRecords_t *request;
    rd_kafka_event_t *event;

    rd_kafka_topic_partition_list_add(list, place[0], (int32_t)tool_number(place[1], "partition"))
        ->offset = tool_number(place[2], "offset");
    request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("truncate: %s", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
    return 0;
}

int verb_topics(int argc, char **argv)
{
    const char *const props[] = {NULL};
    const char *brokers = take_brokers(argc, argv);
    const char *what = optind < argc ? argv[optind] : "list";
    rd_kafka_t *rk = kafka_tool_producer(brokers, props, NULL, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    char **names = argv + optind + 1;
    int count = argc - optind - 1;
    int rc = 64;

    if (strcmp(what, "create") == 0 && count > 0)
        rc = create_all(rk, queue, names, count);
    else if (strcmp(what, "delete") == 0 && count > 0)
        rc = delete_all(rk, queue, names, count);
    else if (strcmp(what, "config") == 0 && count == 2)
        rc = configure(rk, queue, names[0], names[1]);
    else if (strcmp(what, "truncate") == 0 && count == 3)
        rc = truncate_log(rk, queue, names);
    else if (strcmp(what, "list") == 0)
        rc = list(rk);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return rc;
}

static void print_member(const rd_kafka_MemberDescription_t *member)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(member);
    const rd_kafka_topic_partition_list_t *parts = rd_kafka_MemberAssignment_partitions(assignment);

    printf("{\"client\":\"%s\",\"partitions\":[", rd_kafka_MemberDescription_client_id(member));
    for (int i = 0; parts != NULL && i < parts->cnt; i++)
        printf("%s\"%s/%d\"", i > 0 ? "," : "", parts->elems[i].topic, parts->elems[i].partition);
    printf("]}");
}

static int describe_group(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *group)
{
    const rd_kafka_ConsumerGroupDescription_t **found;
    rd_kafka_event_t *event;
    size_t n = 0;

    rd_kafka_DescribeConsumerGroups(rk, &group, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("group: %s", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    found = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(event), &n);
    if (n == 1) {
        size_t members = rd_kafka_ConsumerGroupDescription_member_count(found[0]);

        printf(
            "{\"group\":\"%s\",\"state\":\"%s\",\"members\":[", group,
            rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(found[0])));
        for (size_t i = 0; i < members; i++) {
            printf("%s", i > 0 ? "," : "");
            print_member(rd_kafka_ConsumerGroupDescription_member(found[0], i));
        }
        printf("]}\n");
    }
    rd_kafka_event_destroy(event);
    return n != 1;
}

static int delete_group(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *group)
{
    rd_kafka_DeleteGroup_t *gone = rd_kafka_DeleteGroup_new(group);
    rd_kafka_event_t *event;
    const rd_kafka_group_result_t **results;
    const rd_kafka_error_t *error;
    size_t n = 0;

    rd_kafka_DeleteGroups(rk, &gone, 1, NULL, queue);
    event = rd_kafka_queue_poll(queue, TIMEOUT_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("group: %s", event != NULL ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &n);
    error = n == 1 ? rd_kafka_group_result_error(results[0]) : NULL;
    if (error != NULL)
        tool_die("group %s: %s", group, rd_kafka_error_string(error));
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteGroup_destroy(gone);
    return 0;
}

int verb_group(int argc, char **argv)
{
    const char *const props[] = {NULL};
    const char *brokers = take_brokers(argc, argv);
    bool gone = optind + 1 < argc && strcmp(argv[optind], "delete") == 0;
    rd_kafka_t *rk = kafka_tool_producer(brokers, props, NULL, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    int rc;

    if (gone)
        rc = delete_group(rk, queue, argv[optind + 1]);
    else
        rc = describe_group(rk, queue, optind < argc ? argv[optind] : "");
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return rc;
}
