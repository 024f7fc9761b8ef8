/*
 * librdkafka's mock cluster behind a header without its types. The cluster belongs to a client
 * handle that exists for nothing else and never connects. Must not be used by the data path.
 */
#include "kafka/mock.h"

#include <librdkafka/rdkafka.h>

/* Wants rdkafka.h before it. */
#include <librdkafka/rdkafka_mock.h>

#include "base/mem.h"

/* The cluster waits 3 s for more members before a new group's first assignment; nobody else comes.
 */
#define FIRST_REBALANCE_MS 50

struct kafka_mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
};

static bool create_topics(struct kafka_mock *mock, const struct kafka_mock_topic *topics,
                          size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(mock->cluster, topics[i].name,
                                                              (int)topics[i].partitions, 1);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return err_set(err, ERR_INTERNAL, "mock cluster: topic %s: %s", topics[i].name,
                           rd_kafka_err2str(code));
    }
    return true;
}

struct kafka_mock *kafka_mock_new(const struct kafka_mock_topic *topics, size_t count,
                                  struct err *err)
{
    struct kafka_mock *mock = mem_zalloc(sizeof(*mock));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[300] = "";
    mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!mock->rk) {
        rd_kafka_conf_destroy(conf);
        (void)err_set(err, ERR_INTERNAL, "mock cluster: %s", text);
    } else {
        mock->cluster = rd_kafka_mock_cluster_new(mock->rk, 1);
        if (!mock->cluster)
            (void)err_set(err, ERR_INTERNAL, "mock cluster: it does not start");
    }
    if (!mock->cluster || !create_topics(mock, topics, count, err)) {
        kafka_mock_free(&mock);
        return NULL;
    }
    rd_kafka_mock_group_initial_rebalance_delay_ms(mock->cluster, FIRST_REBALANCE_MS);
    return mock;
}

void kafka_mock_free(struct kafka_mock **pointer)
{
    struct kafka_mock *mock = *pointer;
    if (!mock)
        return;
    *pointer = NULL;
    if (mock->cluster)
        rd_kafka_mock_cluster_destroy(mock->cluster);
    if (mock->rk)
        rd_kafka_destroy(mock->rk);
    mem_free(mock);
}

const char *kafka_mock_bootstrap(const struct kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}
