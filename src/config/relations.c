/*
 * What several keys say together. Each complaint names both keys; it stands at the place of one of
 * them and names the place of the other where that is written in the file.
 *
 * A value that was refused already is not compared: no complaint follows from another.
 * Topic names across routes are in relations_topics.c.
 */
#include "config/relations.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/classify_rules.h"
#include "config/load.h"
#include "config/problems.h"

#define HANDLER_MARGIN_MS  2000
#define SESSION_TIMEOUT_MS 45000 /* librdkafka's default */
#define GHOST_LAG_MS       (INT64_C(3600) * 1000)

void config_derive(struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        struct route_config *route = &config->routes[i];
        if (route->ordering == ORDERING_PARTITION || route->delivery == DELIVERY_AT_MOST_ONCE)
            route->retry.tier_count = 0;
        int64_t longest = route->retry.tier_count
                              ? route->retry.tiers_ms[route->retry.tier_count - 1]
                              : 0;
        if (route->parked.ghost_ttl_ms == 0)
            route->parked.ghost_ttl_ms = 2 * longest + GHOST_LAG_MS;
        if (route->dead_letter.on_write_failure != POLICY_BLOCK &&
            route->dead_letter.on_write_failure != POLICY_SPOOL)
            route->dead_letter.on_write_failure = config->spool_dir ? POLICY_SPOOL : POLICY_BLOCK;
    }
}

const char *relation_place(const struct node *node, char out[RELATION_PLACE_MAX])
{
    if (node)
        snprintf(out, RELATION_PLACE_MAX, "line %u, column %u", node->line, node->column);
    else
        snprintf(out, RELATION_PLACE_MAX, "the default");
    return out;
}

/* The value, or NULL: it is the default, or was refused (then *usable is cleared). */
static struct node *given(const struct node *map, const char *path, bool *usable)
{
    struct node *node = node_at(map, path);

    if (node && node->bad)
        *usable = false;
    return node && !node_is_null(node) ? node : NULL;
}

bool relation_add(struct load *load, const struct relation *relation, bool warning, const char *fmt,
                  ...)
{
    bool usable = true;
    struct node *a = given(relation->map, relation->key, &usable);
    struct node *b = relation->other ? given(relation->map, relation->other, &usable) : NULL;
    const struct node *at = a ? a : b ? b : relation->map;
    struct buf text = {0};
    char place[RELATION_PLACE_MAX];
    char what[512];
    va_list args;

    if (!usable)
        return false;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    buf_add_text(&text, what);
    if (a && b)
        buf_printf(&text, " (%s: %s)", relation->other, relation_place(b, place));
    problems_add(load->problems, warning, at->line, at->column,
                 a   ? node_path(a, NULL)
                 : b ? node_path(b, NULL)
                     : node_path(relation->map, relation->key),
                 "%s", text.data);
    buf_deinit(&text);
    return true;
}

static bool is_given(const struct node *map, const char *path)
{
    bool usable = true;

    return given(map, path, &usable) && usable;
}

/* Both are there and one excludes the other. */
static void exclude(struct load *load, struct node *map, const char *key, const char *other,
                    const char *why)
{
    if (is_given(map, key) && is_given(map, other))
        relation_add(load, &(struct relation){map, key, other}, false, "%s", why);
}

static void need(struct load *load, struct node *map, const char *key, const char *other)
{
    if (is_given(map, key) && !node_at(map, other))
        relation_add(load, &(struct relation){map, key, other}, false, "needs %s too", other);
}

static const char *duration(int64_t ms, char out[STR_DURATION_MAX])
{
    str_from_duration_ms(ms, out);
    return out;
}

static void check_redis(struct load *load, struct node *root)
{
    const struct redis_config *redis = &load->config->redis;
    struct node *url = node_at(root, "redis.url");
    bool has_user = url && !url->bad && url->kind == NODE_SCALAR && !redis->unix_path &&
                    strchr(url->text, '@');
    bool tls = is_given(root, "redis.tls.ca_file") || is_given(root, "redis.tls.cert_file") ||
               is_given(root, "redis.tls.key_file") || is_given(root, "redis.tls.server_name");

    exclude(load, root, "redis.password", "redis.password_file",
            "redis.password and redis.password_file are both given: only one of them");
    if (has_user && is_given(root, "redis.username"))
        relation_add(load, &(struct relation){root, "redis.username", "redis.url"}, false,
                     "redis.url holds a user already");
    if (has_user && (is_given(root, "redis.password") || is_given(root, "redis.password_file")) &&
        memchr(url->text + strcspn(url->text, "/") + 2, ':',
               (size_t)(strrchr(url->text, '@') - url->text) - strcspn(url->text, "/") - 2))
        relation_add(load,
                     &(struct relation){root,
                                        is_given(root, "redis.password") ? "redis.password"
                                                                         : "redis.password_file",
                                        "redis.url"},
                     false, "redis.url holds a password already");
    exclude(load, root, "redis.sentinel.password", "redis.sentinel.password_file",
            "redis.sentinel.password and redis.sentinel.password_file are both given: only one of "
            "them");
    if (redis->kind != REDIS_SENTINEL &&
        (is_given(root, "redis.sentinel.username") || is_given(root, "redis.sentinel.password") ||
         is_given(root, "redis.sentinel.password_file")))
        relation_add(load, &(struct relation){root, "redis.sentinel", "redis.url"}, false,
                     "redis.sentinel is given, but redis.url does not begin with "
                     "redis+sentinel://");
    need(load, root, "redis.tls.cert_file", "redis.tls.key_file");
    need(load, root, "redis.tls.key_file", "redis.tls.cert_file");
    if (tls && !redis->tls_on)
        relation_add(load, &(struct relation){root, "redis.tls", "redis.url"}, false,
                     "redis.tls is given, but redis.url does not begin with rediss://");
}

/* Known placeholders only; and with several workers each needs a name of its own. */
static void check_instance_id(struct load *load, struct node *root, const char *path)
{
    struct node *map = node_get(root, "kafka");
    struct node *node = path ? node_get(node_get(map, path), "group.instance.id")
                             : node_get(map, "group.instance.id");

    if (!node || node->bad || node->kind != NODE_SCALAR)
        return;
    for (const char *brace = strchr(node->text, '{'); brace; brace = strchr(brace + 1, '{'))
        if (strncmp(brace, "{route}", 7) != 0 && strncmp(brace, "{worker}", 8) != 0)
            node_error(node, load->problems,
                       "an unknown {placeholder}: {route} and {worker} (a variable of the "
                       "environment is ${NAME})");
    const struct node *workers = node_get(root, "workers");
    char place[RELATION_PLACE_MAX];
    if (!node->bad && load->config->workers > 1 && !strstr(node->text, "{worker}"))
        node_error(node, load->problems,
                   "{worker} is needed in it, since workers is %" PRIu32
                   " (%s): no two members may have the same id",
                   load->config->workers, relation_place(workers, place));
}

/* A misspelt one was told already. */
static bool names_brokers(const struct node *kafka)
{
    for (const struct node *node = kafka->first; node; node = node->next)
        if (strncmp(node->key, "bootstrap", 9) == 0 ||
            strcmp(node->key, "metadata.broker.list") == 0)
            return true;
    return node_get(node_get(kafka, "consumer"), "bootstrap.servers") &&
           node_get(node_get(kafka, "producer"), "bootstrap.servers");
}

static void check_kafka(struct load *load, struct node *root)
{
    static const char *const roles[] = {NULL, "consumer", "producer"};
    struct node *map = node_get(root, "kafka");

    if (!map || map->bad || map->kind != NODE_MAP)
        return;
    if (!names_brokers(map))
        problems_add(load->problems, false, map->line, map->column,
                     node_path(map, "bootstrap.servers"), "is required");
    for (size_t i = 0; i < 3; i++)
        check_instance_id(load, root, roles[i]);
    if (node_get(node_get(map, "producer"), "group.instance.id"))
        node_warn(node_get(node_get(map, "producer"), "group.instance.id"), load->problems,
                  "has no effect: a producer is in no group");
}

static void check_dedup(struct load *load, struct node *map, const struct route_config *route)
{
    const struct identity_rule *rule = &route->dedup.rule;
    bool version = rule->kind == IDENTITY_VERSION;
    bool numbered = version || rule->kind == IDENTITY_SEQUENCE;
    const char *kind = schema_choice_name(schema_find("routes[].dedup.identity")->choices,
                                          (int)rule->kind);

    if (rule->number.from == FIELD_TIMESTAMP && !version)
        relation_add(load, &(struct relation){map, "dedup.from", "dedup.identity"}, false,
                     "dedup.from: timestamp needs dedup.identity: version, since two records can "
                     "have the same time");
    if (rule->rfc3339 && !version)
        relation_add(load, &(struct relation){map, "dedup.format", "dedup.identity"}, false,
                     "dedup.format: rfc3339 needs dedup.identity: version");
    if (rule->rfc3339 && rule->number.from == FIELD_TIMESTAMP)
        relation_add(load, &(struct relation){map, "dedup.format", "dedup.from"}, false,
                     "dedup.format: rfc3339 does not go with dedup.from: timestamp, which is a "
                     "number");
    if (rule->kind == IDENTITY_EVENT_ID && !node_at(map, "dedup.from"))
        relation_add(load, &(struct relation){map, "dedup.identity", "dedup.from"}, false,
                     "dedup.identity: event-id needs dedup.from: where the id stands, e.g. "
                     "header:ce_id");
    if ((rule->kind == IDENTITY_OFFSET || rule->kind == IDENTITY_NONE) &&
        is_given(map, "dedup.from"))
        relation_add(load, &(struct relation){map, "dedup.from", "dedup.identity"}, true,
                     "has no effect with dedup.identity: %s", kind);
    if (!numbered && is_given(map, "dedup.epoch"))
        relation_add(load, &(struct relation){map, "dedup.epoch", "dedup.identity"}, true,
                     "has no effect with dedup.identity: %s", kind);
    if (!version && is_given(map, "dedup.on_superseded"))
        relation_add(load, &(struct relation){map, "dedup.on_superseded", "dedup.identity"}, true,
                     "has no effect with dedup.identity: %s", kind);
}

/* A mark is of a key: what is kept by id or by offset, or not rebuilt at all, has none. */
static void check_marks(struct load *load, struct node *map, const struct route_config *route)
{
    static const char key[] = "dedup.rebuild_from";
    static const char *const why[] = {
        [IDENTITY_EVENT_ID] = "ids are kept one by one, and one mark for each key cannot hold them",
        [IDENTITY_OFFSET] = "the committed offsets say what was seen, and they are kept by Kafka",
        [IDENTITY_NONE] = "nothing is known that could be told again",
    };
    const struct dedup_config *dedup = &route->dedup;
    if (dedup->rebuild_from != REBUILD_FROM_TOPIC) {
        if (is_given(map, "dedup.marks_topic"))
            relation_add(load, &(struct relation){map, "dedup.marks_topic", key}, true,
                         "has no effect with dedup.rebuild_from: none");
        return;
    }
    if (dedup->rule.kind != IDENTITY_SEQUENCE && dedup->rule.kind != IDENTITY_VERSION)
        relation_add(load, &(struct relation){map, key, "dedup.identity"}, false,
                     "dedup.rebuild_from: topic needs dedup.identity: sequence or version: %s",
                     why[dedup->rule.kind]);
    if (dedup->mode == DEDUP_OBSERVE)
        relation_add(load, &(struct relation){map, key, "dedup.mode"}, false,
                     "dedup.rebuild_from: topic needs dedup.mode: enforce: what is only counted "
                     "need not be proven again");
    if (route->ordering != ORDERING_KEY)
        relation_add(load, &(struct relation){map, key, "ordering"}, false,
                     "dedup.rebuild_from: topic needs ordering: key: of other routes what is "
                     "parked is not rebuilt, and its copies would be taken for duplicates");
}

/* How the attribute of an event is called that holds this record header: kafkaheader and what of
 * the name may stand in an attribute's. */
static bool same_attribute(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

static void check_batch(struct load *load, struct node *map, const struct route_config *route)
{
    static const char key[] = "handler.batch.max_records";
    const struct handler_config *handler = &route->handler;

    if (handler->batch_max_records <= 1) {
        if (is_given(map, "handler.batch.max_bytes"))
            relation_add(load, &(struct relation){map, "handler.batch.max_bytes", key}, true,
                         "has no effect with handler.batch.max_records: 1");
        return;
    }
    if (handler->batch_max_records > route->limits.records)
        relation_add(load, &(struct relation){map, key, "limits.records"}, true,
                     "handler.batch.max_records (%" PRIu32
                     ") is never reached with limits.records %" PRIu32,
                     handler->batch_max_records, route->limits.records);
    if (route->ordering == ORDERING_PARTITION)
        relation_add(load, &(struct relation){map, key, "ordering"}, true,
                     "with ordering: partition a request holds at most one record of each "
                     "partition");
    if (is_given(map, "handler.idempotency_key"))
        relation_add(load, &(struct relation){map, "handler.idempotency_key", key}, true,
                     "has no effect with handler.batch.max_records above 1: in an event the key "
                     "is never quoted");
    for (size_t i = 0; i < handler->forward_header_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (same_attribute(handler->forward_headers[i], handler->forward_headers[k]))
                relation_add(load, &(struct relation){map, "handler.forward_headers", key}, false,
                             "with handler.batch.max_records above 1 %s and %s would be one "
                             "attribute of an event, whose name has only a-z and 0-9",
                             handler->forward_headers[k], handler->forward_headers[i]);
        }
    }
}

static void check_handler(struct load *load, struct node *map, const struct route_config *route)
{
    const struct handler_config *handler = &route->handler;
    char low[STR_DURATION_MAX], high[STR_DURATION_MAX];
    bool tls = is_given(map, "handler.tls.ca_file") || is_given(map, "handler.tls.cert_file") ||
               is_given(map, "handler.tls.key_file") || is_given(map, "handler.tls.server_name");

    if (handler->connect_timeout_ms >= handler->timeout_ms)
        relation_add(
            load, &(struct relation){map, "handler.connect_timeout", "handler.timeout"}, false,
            "handler.connect_timeout, %s, must be below handler.timeout, %s, which includes it",
            duration(handler->connect_timeout_ms, low), duration(handler->timeout_ms, high));
    need(load, map, "handler.tls.cert_file", "handler.tls.key_file");
    need(load, map, "handler.tls.key_file", "handler.tls.cert_file");
    if (tls && handler->url && strncmp(handler->url, "https://", 8) != 0)
        relation_add(load, &(struct relation){map, "handler.tls", "handler.url"}, false,
                     "handler.tls is given, but handler.url does not begin with https://");
    if (handler->max_in_flight > route->limits.records)
        relation_add(load, &(struct relation){map, "handler.max_in_flight", "limits.records"}, true,
                     "handler.max_in_flight (%" PRIu32
                     ") is never reached with limits.records %" PRIu32,
                     handler->max_in_flight, route->limits.records);
    check_batch(load, map, route);
}

/* Its value and, in *node, its place; NULL: librdkafka's default. */
static int64_t session_timeout_ms(const struct node *root, const struct node **node)
{
    const struct node *kafka = node_get(root, "kafka");
    int64_t ms;

    *node = node_get(node_get(kafka, "consumer"), "session.timeout.ms");
    if (!*node)
        *node = node_get(kafka, "session.timeout.ms");
    if (*node && (*node)->kind == NODE_SCALAR && str_to_i64(slice_of((*node)->text), &ms))
        return ms;
    *node = NULL;
    return SESSION_TIMEOUT_MS;
}

/* A delivery that outlives either can be made a second time by the partition's next owner. */
static void warn_long_timeout(struct load *load, struct node *root, struct node *map,
                              const struct route_config *route)
{
    const struct node *at;
    int64_t needed = route->handler.timeout_ms + HANDLER_MARGIN_MS;
    int64_t session = session_timeout_ms(root, &at);
    char place[RELATION_PLACE_MAX];
    char text[STR_DURATION_MAX];

    if (needed > session)
        relation_add(
            load, &(struct relation){map, "handler.timeout", NULL}, true,
            "handler.timeout + 2s is above kafka's session.timeout.ms, %s (%s): a delivery "
            "can outlive the gateway's membership",
            duration(session, text), relation_place(at, place));
    if (needed > route->shutdown_drain_ms)
        relation_add(load, &(struct relation){map, "handler.timeout", "shutdown.drain"}, true,
                     "handler.timeout + 2s is above shutdown.drain, %s: a delivery can be cut off "
                     "at the end of the process",
                     duration(route->shutdown_drain_ms, text));
}

static void check_tiers(struct load *load, struct node *map, const struct route_config *route)
{
    struct node *list = node_at(map, "retry.tiers");
    const struct retry_config *retry = &route->retry;
    char place[RELATION_PLACE_MAX];

    if (list && (list->bad || list->kind != NODE_LIST))
        return;
    struct node *node = list ? list->first : NULL;
    for (struct node *next = node ? node->next : NULL; next; node = next, next = next->next) {
        int64_t before, after;
        if (str_to_duration_ms(slice_of(node->text), &before) &&
            str_to_duration_ms(slice_of(next->text), &after) && after <= before)
            node_error(next, load->problems,
                       "%s is not longer than the tier before it, %s (tiers[%zu]: %s): tiers must "
                       "grow",
                       next->text, node->text, node->index, relation_place(node, place));
    }
    if (list && list->count && route->ordering == ORDERING_PARTITION)
        relation_add(load, &(struct relation){map, "retry.tiers", "ordering"}, false,
                     "retry.tiers are not used with ordering: partition, which retries in place");
    if (list && list->count && route->delivery == DELIVERY_AT_MOST_ONCE)
        relation_add(load, &(struct relation){map, "retry.tiers", "delivery"}, false,
                     "retry.tiers are not used with delivery: at-most-once, which never retries");
    int64_t longest = retry->tier_count ? retry->tiers_ms[retry->tier_count - 1] : 0;
    if (retry->give_up_after_ms <= longest)
        relation_add(
            load, &(struct relation){map, "retry.give_up_after", "retry.tiers"}, true,
            "retry.give_up_after is not above the longest of retry.tiers: records are given "
            "up before they have seen them all");
}

static void check_retry(struct load *load, struct node *map, const struct route_config *route)
{
    const struct retry_config *retry = &route->retry;
    int64_t longest = retry->tier_count ? retry->tiers_ms[retry->tier_count - 1] : 0;
    char low[STR_DURATION_MAX], high[STR_DURATION_MAX];

    if (retry->inline_initial_ms > retry->inline_max_ms)
        relation_add(load, &(struct relation){map, "retry.inline.initial", "retry.inline.max"},
                     false, "retry.inline.initial, %s, is above retry.inline.max, %s",
                     duration(retry->inline_initial_ms, high), duration(retry->inline_max_ms, low));
    check_tiers(load, map, route);
    if (route->parked.ghost_ttl_ms <= longest)
        relation_add(load, &(struct relation){map, "parked.ghost_ttl", "retry.tiers"}, false,
                     "parked.ghost_ttl must be longer than the longest of retry.tiers");
    if (route->delivery == DELIVERY_AT_MOST_ONCE && route->ordering == ORDERING_PARTITION)
        relation_add(load, &(struct relation){map, "delivery", "ordering"}, false,
                     "delivery: at-most-once cannot retry in place, as ordering: partition does");
    if (route->dedup.ttl_ms <= longest)
        relation_add(load, &(struct relation){map, "dedup.ttl", "retry.tiers"}, false,
                     "dedup.ttl must be longer than the longest of retry.tiers, or a parked "
                     "record's state is forgotten before its turn");
}

static bool any_bad(const struct node *node)
{
    bool bad = node->bad;

    for (const struct node *child = node->first; child && !bad; child = child->next)
        bad = any_bad(child);
    return bad;
}

static void check_classify(struct load *load, struct node *map, const struct route_config *route)
{
    struct node *list = node_get(map, "classify");

    if (!list || list->bad || list->kind != NODE_LIST)
        return;
    for (struct node *rule = list->first; rule; rule = rule->next) {
        struct node *status = node_get(rule, "status");
        struct node *error = node_get(rule, "error");
        if (rule->kind != NODE_MAP)
            continue;
        if (!status && !error)
            node_error(rule, load->problems, "a rule needs status or error");
        else if (status && error)
            node_error(rule, load->problems,
                       "a rule has status (line %u, column %u) or error (line %u, column %u), not "
                       "both: write two rules",
                       status->line, status->column, error->line, error->column);
    }
    if (any_bad(list))
        return;
    uint64_t statuses[8];
    unsigned errors;
    struct buf missing = {0};
    classify_missing(route, statuses, &errors);
    for (unsigned status = CLASSIFY_STATUS_MIN; status < 200; status++)
        statuses[(status - CLASSIFY_STATUS_MIN) / 64] &= ~(
            UINT64_C(1) << ((status - CLASSIFY_STATUS_MIN) % 64)); /* never a final answer */
    classify_add_sets(statuses, errors, &missing);
    if (missing.len)
        node_warn(list, load->problems, "no rule matches %s: these are retried", missing.data);
    buf_deinit(&missing);
}

/* What waits is parked in a tier, behind its head. */
static void check_block_key(struct load *load, struct node *map, const struct route_config *route)
{
    static const char key[] = "dead_letter.on_key";
    if (route->dead_letter.on_key != POLICY_BLOCK_KEY)
        return;
    if (route->ordering != ORDERING_KEY)
        relation_add(load, &(struct relation){map, key, "ordering"}, false,
                     "block-key keeps the order of a key: it wants ordering: key");
    else if (route->retry.tier_count == 0)
        relation_add(load, &(struct relation){map, key, "retry.tiers"}, false,
                     "block-key parks what waits: it wants a tier in retry.tiers");
    if (route->parked.on_full == POLICY_DEAD_LETTER)
        relation_add(load, &(struct relation){map, key, "parked.on_full"}, false,
                     "block-key holds what comes after a dead letter, and parked.on_full: "
                     "dead-letter would give it up");
}

static void check_route(struct load *load, struct node *root, struct node *map,
                        const struct route_config *route)
{
    check_dedup(load, map, route);
    check_marks(load, map, route);
    check_handler(load, map, route);
    warn_long_timeout(load, root, map, route);
    check_retry(load, map, route);
    check_classify(load, map, route);
    if (route->dead_letter.on_write_failure == POLICY_SPOOL && !load->config->spool_dir &&
        !node_at(root, "spool.dir"))
        relation_add(load, &(struct relation){map, "dead_letter.on_write_failure", NULL}, false,
                     "spool needs spool.dir too");
    check_block_key(load, map, route);
    if (route->breaker.distinct_keys > route->breaker.failures)
        relation_add(load, &(struct relation){map, "breaker.distinct_keys", "breaker.failures"},
                     false,
                     "breaker.distinct_keys (%" PRIu32 ") is above breaker.failures (%" PRIu32
                     "): it would never open",
                     route->breaker.distinct_keys, route->breaker.failures);
}

static void check_memory(struct load *load, struct node *root)
{
    const struct config *config = load->config;
    uint64_t bytes = 0;

    for (size_t i = 0; i < config->route_count; i++)
        bytes += config->routes[i].limits.bytes;
    char sum[STR_SIZE_MAX], most[STR_SIZE_MAX];
    str_from_size(bytes, sum);
    str_from_size(config->process_bytes, most);
    if (bytes > config->process_bytes)
        relation_add(load, &(struct relation){root, "limits.process_bytes", NULL}, true,
                     "limits.bytes of all routes (%s) are above limits.process_bytes (%s)", sum,
                     most);
}

void config_check_relations(struct load *load, struct node *root)
{
    struct node *routes = node_get(root, "routes");

    check_redis(load, root);
    check_kafka(load, root);
    check_memory(load, root);
    relations_check_console(load, root);
    need(load, root, "spool.max", "spool.dir");
    need(load, root, "spool.after", "spool.dir");
    if (!routes || routes->kind != NODE_LIST || routes->count != load->config->route_count)
        return;
    for (struct node *map = routes->first; map; map = map->next)
        if (map->kind == NODE_MAP)
            check_route(load, root, map, &load->config->routes[map->index]);
    relations_check_topics(load, routes);
}
