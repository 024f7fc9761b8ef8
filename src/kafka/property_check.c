/*
 * kafka_check_properties: every complaint about one section at once, before anything connects.
 * What is ours is refused with the reason and a Java client's name gets librdkafka's as a hint (the
 * configuration's tables say both), an unknown name gets the nearest known one, and librdkafka
 * itself judges the values.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "config/kafka_properties.h"
#include "kafka/admin.h"
#include "kafka/properties.h"

static void add_unknown(struct buf *out, const char *name)
{
    const char *hint = kafka_property_hint(name);

    if (hint == NULL)
        hint = properties_nearest(name);
    if (hint == NULL)
        buf_printf(out, "%s: no property of librdkafka\n", name);
    else if (hint[0] == '!')
        buf_printf(out, "%s: no property of librdkafka: %s\n", name, hint + 1);
    else
        buf_printf(out, "%s: no property of librdkafka (did you mean %s?)\n", name, hint);
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
    const char *reason = kafka_property_refused(property->name, property->value);
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
