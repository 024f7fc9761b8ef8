/* og-support dump and committed: what topics hold and what a group has committed.
 *
 * dump reads read_committed from the beginning to the end as each partition reports it, and prints
 * one JSON line a record. committed prints one line a partition. Neither joins a group. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafka_tool.h"
#include "tool.h"
#include "verbs.h"

enum { TIMEOUT_MS = 20000 };

struct reading {
    const char *brokers;
    const char *group;
    bool heads_only; /* no values */
};

static void options(struct reading *reading, int argc, char **argv)
{
    static const struct option table[] = {
        {"brokers", 1, NULL, 'b'}, {"group", 1, NULL, 'g'}, {"no-values", 0, NULL, 'n'}, {0}};
    int opt;

    while ((opt = getopt_long(argc, argv, "b:g:", table, NULL)) != -1) {
        if (opt == 'b')
            reading->brokers = optarg;
        else if (opt == 'g')
            reading->group = optarg;
        else if (opt == 'n')
            reading->heads_only = true;
        else
            exit(64);
    }
    if (reading->brokers == NULL || optind == argc)
        tool_die("usage: og-support dump|committed -b BOOTSTRAP [-g GROUP] TOPIC...");
}

static void print_headers(struct text *out, const rd_kafka_message_t *msg)
{
    rd_kafka_headers_t *headers = NULL;
    const char *name;
    const void *value;
    size_t len;

    text_adds(out, ",\"headers\":[");
    if (rd_kafka_message_headers(msg, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        for (size_t i = 0;
             rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
             i++) {
            text_adds(out, i > 0 ? ",[" : "[");
            text_json(out, name, strlen(name));
            text_adds(out, ",");
            text_b64(out, value, len);
            text_adds(out, "]");
        }
    }
    text_adds(out, "]");
}

static void print_record(const rd_kafka_message_t *msg, bool heads_only, struct text *out)
{
    rd_kafka_timestamp_type_t type;

    out->len = 0;
    text_addf(out, "{\"topic\":\"%s\",\"p\":%d,\"o\":%lld,\"t\":%lld,\"key\":",
              rd_kafka_topic_name(msg->rkt), msg->partition, (long long)msg->offset,
              (long long)rd_kafka_message_timestamp(msg, &type));
    text_b64(out, msg->key, msg->key_len);
    if (!heads_only) {
        text_adds(out, ",\"value\":");
        text_b64(out, msg->payload, msg->len);
    }
    print_headers(out, msg);
    text_addf(out, ",\"log_append\":%s}\n",
              type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? "true" : "false");
    fwrite(out->data, 1, out->len, stdout);
}

static rd_kafka_topic_partition_list_t *all_partitions(rd_kafka_t *rk, char **topics, int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (int i = 0; i < count; i++) {
        int partitions = kafka_tool_partitions(rk, topics[i]);

        for (int p = 0; p < partitions; p++)
            rd_kafka_topic_partition_list_add(list, topics[i], p)->offset =
                RD_KAFKA_OFFSET_BEGINNING;
    }
    return list;
}

int verb_dump(int argc, char **argv)
{
    struct reading reading = {.group = "og-support-dump"};
    rd_kafka_topic_partition_list_t *list;
    struct text out = {0};
    rd_kafka_t *rk;
    int left;

    options(&reading, argc, argv);
    rk = kafka_tool_consumer(reading.brokers, reading.group);
    list = all_partitions(rk, argv + optind, argc - optind);
    left = list->cnt;
    if (rd_kafka_assign(rk, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("cannot assign");
    while (left > 0) {
        rd_kafka_message_t *msg = rd_kafka_consumer_poll(rk, TIMEOUT_MS);

        if (msg == NULL)
            tool_die("no answer from the broker within %d ms", TIMEOUT_MS);
        if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            left--;
        else if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            fprintf(stderr, "og-support: %s\n", rd_kafka_message_errstr(msg));
        else
            print_record(msg, reading.heads_only, &out);
        rd_kafka_message_destroy(msg);
    }
    rd_kafka_topic_partition_list_destroy(list);
    text_free(&out);
    rd_kafka_destroy(rk);
    return 0;
}

int verb_committed(int argc, char **argv)
{
    struct reading reading = {0};
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t err;
    rd_kafka_t *rk;

    options(&reading, argc, argv);
    if (reading.group == NULL)
        tool_die("-g GROUP is missing");
    rk = kafka_tool_consumer(reading.brokers, reading.group);
    list = all_partitions(rk, argv + optind, argc - optind);
    err = rd_kafka_committed(rk, list, TIMEOUT_MS);
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("committed: %s", rd_kafka_err2str(err));
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *part = &list->elems[i];
        int64_t lo = -1;
        int64_t hi = -1;

        rd_kafka_query_watermark_offsets(rk, part->topic, part->partition, &lo, &hi, TIMEOUT_MS);
        printf("{\"topic\":\"%s\",\"p\":%d,\"committed\":%lld,\"lo\":%lld,\"hi\":%lld}\n",
               part->topic, part->partition, part->offset >= 0 ? (long long)part->offset : -1,
               (long long)lo, (long long)hi);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return 0;
}
