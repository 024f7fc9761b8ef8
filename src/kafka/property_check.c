/*
 * kafka_check_properties: every complaint about one section at once, before anything connects.
 * What is ours is refused with the reason, a Java client's name gets librdkafka's as a hint, an
 * unknown name the nearest known one, and librdkafka itself judges the values.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "kafka/admin.h"
#include "kafka/properties.h"

/* Names that only the Java client has. */
struct foreign {
    const char *name;
    const char *hint;
};

static const struct foreign foreign[] = {
    {"max.poll.records", "what is in flight is bounded by routes.limits"},
    {"fetch.max.wait.ms", "librdkafka's name is fetch.wait.max.ms"},
    {"buffer.memory", "librdkafka's name is queue.buffering.max.kbytes"},
    {"max.block.ms", "there is nothing like it: nothing blocks here"},
    {"max.request.size", "librdkafka's name is message.max.bytes"},
    {"metadata.recovery.strategy", "not in this version of librdkafka"},
    {"receive.buffer.bytes", "librdkafka's name is socket.receive.buffer.bytes"},
    {"send.buffer.bytes", "librdkafka's name is socket.send.buffer.bytes"},
    {"default.api.timeout.ms", "librdkafka's name is socket.timeout.ms"},
    {"reconnect.backoff.max", "librdkafka's name is reconnect.backoff.max.ms"},
    {"key.deserializer", "bytes are passed on as they are"},
    {"value.deserializer", "bytes are passed on as they are"},
    {"key.serializer", "bytes are passed on as they are"},
    {"value.serializer", "bytes are passed on as they are"},
    {"interceptor.classes", "there are no Java classes here"},
    {"partitioner.class", "copies keep the partition of their origin"},
    {"metric.reporters", "metrics are at /metrics"},
    {"metrics.recording.level", "metrics are at /metrics"},
    {"exclude.internal.topics", "topics are named, and internal ones never match"},
    {"sasl.jaas.config", "use sasl.username and sasl.password_file"},
    {"sasl.login.callback.handler.class", "there are no Java classes here"},
    {"ssl.truststore.location", "use ssl.ca.location (PEM)"},
    {"ssl.truststore.password", "use ssl.ca.location (PEM), which has no password"},
    {"ssl.truststore.type", "use ssl.ca.location (PEM)"},
    {"ssl.keystore.type", "ssl.keystore.location is PKCS#12; or ssl.certificate.location (PEM)"},
};

static const char *foreign_hint(const char *name)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (strcmp(foreign[i].name, name) == 0)
            return foreign[i].hint;
    }
    return NULL;
}

static void add_unknown(struct buf *out, const char *name)
{
    const char *hint = foreign_hint(name);
    const char *nearest = hint == NULL ? properties_nearest(name) : NULL;

    if (hint != NULL)
        buf_printf(out, "%s: no property of librdkafka: %s\n", name, hint);
    else if (nearest != NULL)
        buf_printf(out, "%s: no property of librdkafka (did you mean %s?)\n", name, nearest);
    else
        buf_printf(out, "%s: no property of librdkafka\n", name);
}

/* linger.ms is the one value that we bound: it would make every retry late. */
static bool linger_too_long(const struct property *property)
{
    return (strcmp(property->name, "linger.ms") == 0 ||
            strcmp(property->name, "queue.buffering.max.ms") == 0) &&
           strtod(property->value, NULL) > 5;
}

static void check_one(struct buf *out, rd_kafka_conf_t *conf, const struct property *property,
                      unsigned wanted)
{
    const char *reason = properties_refused(property->name, property->value);
    unsigned roles = properties_roles(property->name);
    char text[256];

    if (reason != NULL) {
        buf_printf(out, "%s: not configurable: %s\n", property->name, reason);
        return;
    }
    if (roles == 0) {
        add_unknown(out, property->name);
        return;
    }
    if ((roles & wanted) == 0) {
        buf_printf(out, "%s: a property of the %s only\n", property->name,
                   roles == KAFKA_CONSUMER ? "consumer" : "producer");
        return;
    }
    if (linger_too_long(property)) {
        buf_printf(out, "%s: above 5 ms every retry would be late\n", property->name);
        return;
    }
    if (rd_kafka_conf_set(conf, property->name, property->value, text, sizeof(text)) !=
        RD_KAFKA_CONF_OK)
        buf_printf(out, "%s: %s\n", property->name,
                   property->secret ? "librdkafka refuses the value" : text);
}

static int64_t conf_number(const rd_kafka_conf_t *conf, const char *name)
{
    char text[64];
    size_t size = sizeof(text);
    int64_t value;

    if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK ||
        !str_to_i64(slice_of(text), &value))
        return -1;
    return value;
}

/* Relations that librdkafka would refuse only when the program starts. */
static void check_relations(struct buf *out, const rd_kafka_conf_t *conf)
{
    int64_t session = conf_number(conf, "session.timeout.ms");
    int64_t poll = conf_number(conf, "max.poll.interval.ms");
    int64_t heartbeat = conf_number(conf, "heartbeat.interval.ms");

    if (poll < session)
        buf_printf(out, "max.poll.interval.ms: %lld is below session.timeout.ms (%lld)\n",
                   (long long)poll, (long long)session);
    if (heartbeat * 2 > session)
        buf_printf(out,
                   "heartbeat.interval.ms: %lld is above half of session.timeout.ms (%lld): one "
                   "lost heartbeat would lose the partitions\n",
                   (long long)heartbeat, (long long)session);
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);
    size_t end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

char *kafka_check_properties(const struct properties *props, const char *path)
{
    struct buf out = {0};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    unsigned wanted = KAFKA_CONSUMER | KAFKA_PRODUCER;
    char *text = NULL;

    if (ends_with(path, "consumer"))
        wanted = KAFKA_CONSUMER;
    else if (ends_with(path, "producer"))
        wanted = KAFKA_PRODUCER;
    for (size_t i = 0; i < props->count; i++)
        check_one(&out, conf, &props->items[i], wanted);
    check_relations(&out, conf);
    if (out.len > 0)
        text = mem_strndup(out.data, out.len);
    buf_deinit(&out);
    rd_kafka_conf_destroy(conf);
    return text;
}
