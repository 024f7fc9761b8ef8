/*
 * The properties of librdkafka by role.
 *
 * librdkafka warns at every start about a producer's property on a consumer, so the common section
 * is split by the table that librdkafka itself prints for its manual: it is right for the linked
 * version. Layers, later ones win: our defaults, the common section, the role's section, what is
 * ours alone. Values may be secrets: none is logged, and messages name the property only.
 */
#include "kafka/properties.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/kafka_properties.h"
#include "kafka/client_error.h"

#define OLDEST_VERSION 0x020800ff

struct setting {
    unsigned roles;
    const char *name;
    const char *value;
};

static const struct setting defaults[] = {
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "client.id", "oncegate"},
    /* A broker that comes back is used within two seconds, not ten. */
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "reconnect.backoff.max.ms", "2000"},
    /* New partitions, and topics that came late, are seen within ten seconds. */
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "topic.metadata.refresh.interval.ms", "10000"},
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "socket.keepalive.enable", "true"},
    /* A small request never waits for the acknowledgement of the one before. */
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "socket.nagle.disable", "true"},
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "log.connection.close", "false"},
    {KAFKA_CONSUMER | KAFKA_PRODUCER, "enable.metrics.push", "false"},
    /* A partition with a full queue looks again soon, and an idle partition's long poll never holds
     * back the next fetch of a busy one for long: there is one fetch at a time to each broker. */
    {KAFKA_CONSUMER, "fetch.queue.backoff.ms", "20"},
    {KAFKA_CONSUMER, "fetch.wait.max.ms", "100"},
    {KAFKA_PRODUCER, "linger.ms", "2"},
    /* Copies of records of any size that a broker takes; the broker's limit decides. */
    {KAFKA_PRODUCER, "message.max.bytes", "100000000"},
    /* Small batches: one that is above a topic's max.message.bytes fails with all that is in it,
     * and the producer then makes them smaller. */
    {KAFKA_PRODUCER, "batch.size", "131072"},
    {KAFKA_PRODUCER, "queue.buffering.max.kbytes", "65536"},
    {KAFKA_PRODUCER, "retry.backoff.max.ms", "1000"},
};

static const struct setting fixed[] = {
    {KAFKA_CONSUMER, "enable.auto.commit", "false"},
    {KAFKA_CONSUMER, "enable.auto.offset.store", "false"},
    {KAFKA_CONSUMER, "allow.auto.create.topics", "false"},
    {KAFKA_CONSUMER, "isolation.level", "read_committed"},
    {KAFKA_CONSUMER, "auto.offset.reset", "error"},
    {KAFKA_CONSUMER, "partition.assignment.strategy", "range"},
    {KAFKA_CONSUMER, "enable.partition.eof", "false"},
    {KAFKA_PRODUCER, "enable.idempotence", "true"},
    {KAFKA_PRODUCER, "acks", "all"},
    /* For ever: a copy is given up by its owner, never by a timer. */
    {KAFKA_PRODUCER, "message.timeout.ms", "0"},
};

/* What librdkafka knows, read once from the table that it prints. */
struct known {
    char *name;
    unsigned roles;
};
static struct known *known;
static size_t known_count;
static pthread_once_t known_once = PTHREAD_ONCE_INIT;

/* "name | C/P | ..." with blanks around; headings and rules have no such second column. */
static bool parse_row(const char *line, struct known *out)
{
    const char *bar = strchr(line, '|');
    size_t len = strcspn(line, " |");

    if (bar == NULL || len == 0)
        return false;
    bar += strspn(bar, "| ");
    if (bar[0] == '*')
        out->roles = KAFKA_CONSUMER | KAFKA_PRODUCER;
    else if (bar[0] == 'C' && bar[1] == ' ')
        out->roles = KAFKA_CONSUMER;
    else if (bar[0] == 'P' && bar[1] == ' ')
        out->roles = KAFKA_PRODUCER;
    else
        return false;
    out->name = mem_strndup(line, len);
    return true;
}

static void known_read(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    char *save = NULL;

    if (file == NULL)
        return;
    rd_kafka_conf_properties_show(file);
    fclose(file);
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        struct known row;

        if (!parse_row(line, &row))
            continue;
        known = mem_realloc(known, (known_count + 1) * sizeof(*known));
        known[known_count++] = row;
    }
    free(text);
}

unsigned properties_roles(const char *name)
{
    unsigned roles = 0;

    pthread_once(&known_once, known_read);
    for (size_t i = 0; i < known_count; i++) {
        if (strcmp(known[i].name, name) == 0)
            roles |= known[i].roles;
    }
    return roles;
}

const char *properties_nearest(const char *name)
{
    const char *best = NULL;
    size_t limit = strlen(name) / 4 + 1;

    pthread_once(&known_once, known_read);
    for (size_t i = 0; i < known_count; i++) {
        size_t distance = str_distance(known[i].name, name, limit);

        if (distance >= limit)
            continue;
        limit = distance;
        best = known[i].name;
    }
    return best;
}

bool properties_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char text[256];

    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return true;
    return err_set(err, ERR_CONFIG, "kafka property %s: %s", name, text);
}

static bool set_all(rd_kafka_conf_t *conf, const struct setting *settings, size_t count,
                    enum kafka_role role, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if ((settings[i].roles & role) == 0)
            continue;
        if (!properties_set(conf, settings[i].name, settings[i].value, err))
            return false;
    }
    return true;
}

/* group.instance.id is a template, filled in by the consumer. */
static bool set_section(rd_kafka_conf_t *conf, const struct properties *section,
                        enum kafka_role role, struct err *err)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct property *property = &section->items[i];
        const char *reason = kafka_property_refused(property->name, property->value);
        unsigned roles = properties_roles(property->name);

        if (reason != NULL)
            return err_set(err, ERR_CONFIG, "kafka property %s: %s", property->name, reason);
        if (roles != 0 && (roles & role) == 0)
            continue;
        if (strcmp(property->name, "group.instance.id") == 0)
            continue;
        if (!properties_set(conf, property->name, property->value, err))
            return false;
    }
    return true;
}

rd_kafka_conf_t *properties_new(const struct config *config, enum kafka_role role, struct err *err)
{
    rd_kafka_conf_t *conf;
    const struct properties *own = role == KAFKA_CONSUMER ? &config->kafka_consumer
                                                          : &config->kafka_producer;

    if (rd_kafka_version() < OLDEST_VERSION) {
        err_set(err, ERR_CONFIG, "librdkafka %s is too old: 2.8.0 or later is needed",
                rd_kafka_version_str());
        return NULL;
    }
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, client_error_log);
    if (set_all(conf, defaults, sizeof(defaults) / sizeof(defaults[0]), role, err) &&
        set_section(conf, &config->kafka, role, err) && set_section(conf, own, role, err) &&
        set_all(conf, fixed, sizeof(fixed) / sizeof(fixed[0]), role, err))
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static const char *find_in(const struct properties *section, const char *name)
{
    for (size_t i = section->count; i > 0; i--) {
        if (strcmp(section->items[i - 1].name, name) == 0)
            return section->items[i - 1].value;
    }
    return NULL;
}

const char *properties_find(const struct config *config, enum kafka_role role, const char *name)
{
    const char *value = find_in(
        role == KAFKA_CONSUMER ? &config->kafka_consumer : &config->kafka_producer, name);

    return value != NULL ? value : find_in(&config->kafka, name);
}
