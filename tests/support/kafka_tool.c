/* Making librdkafka clients. Errors end the program: a test that cannot reach its broker has
 * nothing to say. */
#include "kafka_tool.h"

#include <stdio.h>
#include <string.h>

#include "tool.h"

enum { METADATA_TIMEOUT_MS = 15000 };

static rd_kafka_conf_t *conf_new(const char *brokers, const char *const *props)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char error[256];

    if (brokers == NULL)
        tool_die("-b BOOTSTRAP is missing");
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, error, sizeof(error)) !=
        RD_KAFKA_CONF_OK)
        tool_die("%s", error);
    for (; props != NULL && *props != NULL; props += 2)
        if (rd_kafka_conf_set(conf, props[0], props[1], error, sizeof(error)) != RD_KAFKA_CONF_OK)
            tool_die("%s", error);
    return conf;
}

static rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char error[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, error, sizeof(error));

    if (rk == NULL)
        tool_die("%s", error);
    return rk;
}

rd_kafka_t *kafka_tool_producer(const char *brokers, const char *const *props,
                                void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *,
                                                    void *),
                                void *opaque)
{
    rd_kafka_conf_t *conf = conf_new(brokers, props);

    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, opaque);
    return client_new(RD_KAFKA_PRODUCER, conf);
}

rd_kafka_t *kafka_tool_consumer(const char *brokers, const char *group)
{
    const char *const props[] = {"group.id",
                                 group,
                                 "enable.auto.commit",
                                 "false",
                                 "enable.partition.eof",
                                 "true",
                                 "isolation.level",
                                 "read_committed",
                                 "auto.offset.reset",
                                 "error",
                                 "fetch.wait.max.ms",
                                 "20",
                                 NULL};
    rd_kafka_t *rk = client_new(RD_KAFKA_CONSUMER, conf_new(brokers, props));

    rd_kafka_poll_set_consumer(rk);
    return rk;
}

int kafka_tool_partitions(rd_kafka_t *rk, const char *topic)
{
    const struct rd_kafka_metadata *meta = NULL;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, handle, &meta, METADATA_TIMEOUT_MS);
    int count = 0;

    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("%s: %s", topic, rd_kafka_err2str(err));
    if (meta->topic_cnt == 1 && meta->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR)
        count = meta->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(meta);
    rd_kafka_topic_destroy(handle);
    return count;
}
