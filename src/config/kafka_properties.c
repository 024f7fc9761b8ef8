/*
 * Reads kafka:, kafka.consumer and kafka.producer. Values pass through as text; which names
 * librdkafka knows is not known here. What this program must decide by itself, since its promise
 * hangs on it, is refused.
 */
#include "config/kafka_properties.h"

#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "base/str.h"
#include "config/load.h"
#include "config/problems.h"
#include "config/secret_file.h"

static const struct refusal {
    const char *name;    /* a '*' at the end: any that begins so */
    const char *allowed; /* the one value that it has anyway, or NULL */
    const char *reason;
} refused[] = {
    {"enable.auto.*", NULL,
     "offsets are committed by the gateway itself, after the handler succeeded"},
    {"auto.commit.*", NULL,
     "offsets are committed by the gateway itself: see commit.every of a route"},
    {"offset.store.method", NULL, "offsets are kept by the group"},
    {"auto.offset.reset", NULL,
     "a start is never chosen silently: see initial_offset and on_offset_lost of a route"},
    {"isolation.level", NULL, "it is always read_committed"},
    {"acks", NULL, "it is always all: a copy counts only once every in-sync replica has it"},
    {"request.required.acks", NULL,
     "it is always all: a copy counts only once every in-sync replica has it"},
    {"enable.idempotence", NULL, "it is always true: a copy must not be written twice by a resend"},
    {"message.timeout.ms", NULL, "a copy is never given up by a timer"},
    {"delivery.timeout.ms", NULL, "a copy is never given up by a timer"},
    {"delivery.report.only.error", NULL, "every copy's acknowledgement is awaited"},
    {"group.id", NULL, "it is the group of each route"},
    {"group.protocol", "classic",
     "only classic: another does not keep partitions of equal number together"},
    {"group.remote.assignor", NULL,
     "the assignment is made by the classic protocol and range in this version"},
    {"partition.assignment.strategy", "range",
     "only range: it keeps the same partition number of a topic and its retry topics with one "
     "owner"},
    {"transactional.id", NULL, "the gateway uses no transactions"},
    {"allow.auto.create.topics", NULL, "topics are created by `topics apply` only, never silently"},
    {"enable.partition.eof", NULL, "the gateway uses it for itself"},
    {"opaque", NULL, "it cannot be given as text"},
};

static const struct {
    const char *name;
    const char *use; /* librdkafka's; begins with '!': no property at all, the rest says so */
} renamed[] = {
    {"max.poll.records",
     "!the gateway takes records singly; limits.records of a route bounds them"},
    {"fetch.max.wait.ms", "fetch.wait.max.ms"},
    {"key.deserializer", "!keys and values are passed on as bytes"},
    {"value.deserializer", "!keys and values are passed on as bytes"},
    {"key.serializer", "!keys and values are passed on as bytes"},
    {"value.serializer", "!keys and values are passed on as bytes"},
    {"buffer.memory", "queue.buffering.max.kbytes"},
    {"max.block.ms", "!the gateway never blocks, and a copy is never given up by a timer"},
    {"max.request.size", "message.max.bytes"},
    {"request.timeout.ms", "socket.timeout.ms"},
    {"default.api.timeout.ms", "socket.timeout.ms"},
    {"send.buffer.bytes", "socket.send.buffer.bytes"},
    {"receive.buffer.bytes", "socket.receive.buffer.bytes"},
    {"metadata.recovery.strategy", "!not in this version of librdkafka"},
    {"reconnect.backoff.max", "reconnect.backoff.max.ms"},
    {"partitioner.class", "!copies go to the partition of their source partition's number"},
    {"interceptor.classes", "!there are no Java interceptors"},
    {"metric.reporters", "!there are no Java reporters; see /metrics"},
    {"metrics.recording.level", "!there are no Java reporters; see /metrics"},
    {"sasl.login.callback.handler.class", "!there are no Java classes"},
    {"ssl.keystore.type", "ssl.keystore.location (PKCS#12), or ssl.certificate.location (PEM)"},
    {"ssl.truststore.location", "ssl.ca.location (PEM)"},
    {"ssl.truststore.password", "ssl.ca.location (PEM, without a password)"},
    {"ssl.truststore.type", "ssl.ca.location (PEM)"},
    {"ssl.truststore.certificates", "ssl.ca.pem"},
    {"ssl.keystore.key", "ssl.key.pem"},
    {"ssl.keystore.certificate.chain", "ssl.certificate.pem"},
    {"sasl.jaas.config", "sasl.username and sasl.password (or sasl.password_file)"},
    {"sasl.kerberos.kinit.cmd.path", "sasl.kerberos.kinit.cmd"},
    {"exclude.internal.topics", "!internal topics are never consumed"},
    {"internal.leave.group.on.close", "!static membership: give group.instance.id"},
    {"bootstrap.server", "bootstrap.servers"},
    {"brokers", "bootstrap.servers"},
    {"bootstrap", "bootstrap.servers"},
};

/* Secret values; also whatever was read from a file. */
static const char *const secrets[] = {
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static bool matches(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);

    if (pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static const struct refusal *find_refusal(const char *name)
{
    for (size_t i = 0; i < COUNT(refused); i++)
        if (matches(refused[i].name, name))
            return &refused[i];
    return NULL;
}

const char *kafka_property_refused(const char *name, const char *value)
{
    const struct refusal *refusal = find_refusal(name);

    if (!refusal || (value && refusal->allowed && strcmp(refusal->allowed, value) == 0))
        return NULL;
    return refusal->reason;
}

const char *kafka_property_hint(const char *name)
{
    for (size_t i = 0; i < COUNT(renamed); i++)
        if (strcmp(renamed[i].name, name) == 0)
            return renamed[i].use;
    return NULL;
}

bool kafka_property_refusal(size_t index, const char **name, const char **allowed,
                            const char **reason)
{
    if (index >= COUNT(refused))
        return false;
    *name = refused[index].name;
    *allowed = refused[index].allowed;
    *reason = refused[index].reason;
    return true;
}

bool kafka_property_rename(size_t index, const char **name, const char **use)
{
    if (index >= COUNT(renamed))
        return false;
    *name = renamed[index].name;
    *use = renamed[index].use;
    return true;
}

bool kafka_property_is_secret(const char *name)
{
    for (size_t i = 0; i < COUNT(secrets); i++)
        if (strcmp(secrets[i], name) == 0)
            return true;
    return false;
}

/* Told at the key: it is the name that is wrong. */
static bool refuse_name(struct load *load, struct node *node, const char *fmt, const char *a,
                        const char *b)
{
    struct buf text = {0};

    buf_add_text(&text, fmt);
    buf_add_text(&text, a);
    buf_add_text(&text, b);
    problems_add(load->problems, false, node->key_line, node->key_column, node_path(node, NULL),
                 "%s", text.data);
    buf_deinit(&text);
    node->bad = true;
    return false;
}

/* bootstrap_servers -> bootstrap.servers, where the dotted name differs. */
static bool is_underscored(const char *name, char out[128])
{
    if (!strchr(name, '_') || strchr(name, '.') || !str_copy(out, 128, slice_of(name)))
        return false;
    for (char *c = out; *c; c++)
        if (*c == '_')
            *c = '.';
    return true;
}

static bool check_name(struct load *load, struct node *node, const char *name)
{
    char dotted[128];
    const struct refusal *refusal = find_refusal(name);
    const char *hint = refusal ? NULL : kafka_property_hint(name);

    if (refusal && !refusal->allowed)
        return refuse_name(load, node, "not to be set: ", refusal->reason, "");
    if (hint && hint[0] == '!')
        return refuse_name(load, node, "no property of librdkafka: ", hint + 1, "");
    if (hint)
        return refuse_name(load, node, "no property of librdkafka (did you mean ", hint, "?)");
    if (is_underscored(name, dotted))
        return refuse_name(load, node, "no property of librdkafka (did you mean ", dotted, "?)");
    if (name[0] == '\0')
        return refuse_name(load, node, "a property needs a name", "", "");
    return true;
}

static bool check_value(struct load *load, struct node *node, const char *name)
{
    static const struct schema_key value_key = {.path = "value", .type = TYPE_TEXT};

    if (node->kind == NODE_MAP)
        return node_error(node, load->problems,
                          "a property's value is expected, not a mapping: names are written with "
                          "dots, e.g. bootstrap.servers: 127.0.0.1:9092");
    if (!load_wants_scalar(load, &value_key, node))
        return false;
    const char *reason = kafka_property_refused(name, node->text);
    return !reason || node_error(node, load->problems, "%s", reason);
}

static void add_property(struct properties *props, const struct node *node, const char *name,
                         char *value, bool secret)
{
    props->items = mem_realloc(props->items, (props->count + 1) * sizeof(*props->items));
    props->items[props->count++] = (struct property){.name = mem_strdup(name),
                                                     .value = value,
                                                     .secret = secret,
                                                     .line = node->key_line,
                                                     .column = node->key_column};
}

static void load_property(struct load *load, struct node *map, struct node *node,
                          struct properties *props)
{
    static const char suffix[] = "_file";
    size_t len = strlen(node->key);
    size_t suffix_len = sizeof(suffix) - 1;
    bool from_file = len > suffix_len && strcmp(node->key + len - suffix_len, suffix) == 0;
    char name[128];

    if (node->bad)
        return;
    if (from_file)
        len -= suffix_len;
    if (!str_copy(name, sizeof(name), (struct slice){node->key, len})) {
        refuse_name(load, node, "no property of librdkafka has so long a name", "", "");
        return;
    }
    if (!check_name(load, node, name) || !check_value(load, node, name))
        return;
    if (!from_file) {
        add_property(props, node, name, mem_strdup(node->text), kafka_property_is_secret(name));
        return;
    }
    struct node *direct = node_get(map, name);
    if (direct) {
        node_error(node, load->problems, "%s is given too (line %u, column %u): only one of both",
                   name, direct->key_line, direct->key_column);
        return;
    }
    char *value = NULL;
    struct err err = {0};
    if (secret_file_read(node->text, &value, &err))
        add_property(props, node, name, value, true);
    else
        node_error(node, load->problems, "%s", err.text);
}

void load_properties(struct load *load, const struct schema_key *key, struct node *map,
                     struct properties *props)
{
    if (map->bad)
        return;
    if (map->kind != NODE_MAP) {
        load_refuse(load, key, map);
        return;
    }
    for (struct node *node = map->first; node; node = node->next) {
        const struct schema_key *role = schema_child(key->path, node->key);
        if (!role)
            load_property(load, map, node, props);
        else if (!node_is_null(node))
            load_value(load, role, node, load->config);
    }
}
