/*
 * Plans for topics; see topic_plan.h.
 * Invariants: a source topic is never created or changed; an existing topic is never changed;
 * copies carry the broker's time of writing (LogAppendTime), since a tier's delay is counted from
 * it and retention deletes by it.
 */
#include "topic_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define DAY_MS          INT64_C(86400000)
#define TIER_RETENTION  (14 * DAY_MS)
#define DLQ_RETENTION   (90 * DAY_MS)
#define AUDIT_RETENTION (365 * DAY_MS)
#define HEADERS_ROOM    65536

/* A question to the cluster, answered on a loop of its own. */
struct ask {
    struct loop *loop;
    struct loop_timer limit;
    bool done, late;
    struct err err;
    struct plan *plan;
    struct buf failed;
};

static void ask_late(void *arg)
{
    struct ask *ask = arg;
    ask->late = true;
}

static bool ask_wait(struct ask *ask, struct kafka_admin *admin, int64_t timeout_ms,
                     struct err *err)
{
    bool answered;
    loop_timer_init(&ask->limit, ask->loop, ask_late, ask);
    loop_timer_set_ms(&ask->limit, timeout_ms);
    while (!ask->done && !ask->late)
        loop_turn(ask->loop, true);
    loop_timer_deinit(&ask->limit);
    answered = ask->done;
    kafka_admin_free(&admin);
    if (!answered)
        return err_set_retriable(err, ERR_UNAVAILABLE, "the brokers did not answer within %lld ms",
                                 (long long)timeout_ms);
    if (ask->err.code) {
        *err = ask->err;
        return false;
    }
    return true;
}

static struct plan_item *add_item(struct plan *plan, const struct route_config *route, char *topic,
                                  const char *kind)
{
    struct plan_item *item;
    plan->items = mem_realloc(plan->items, (plan->count + 1) * sizeof(*plan->items));
    item = &plan->items[plan->count++];
    memset(item, 0, sizeof(*item));
    item->route = route->name;
    item->topic = topic;
    item->kind = kind;
    return item;
}

static void list_items(const struct config *config, struct plan *plan)
{
    for (size_t r = 0; r < config->route_count; r++) {
        const struct route_config *route = &config->routes[r];
        for (size_t t = 0; t < route->topic_count; t++) {
            const char *topic = route->topics[t];
            add_item(plan, route, mem_strdup(topic), "source");
            for (size_t i = 0; i < route->retry.tier_count; i++)
                add_item(plan, route, config_tier_topic(route, topic, route->retry.tiers_ms[i]),
                         "tier");
            add_item(plan, route, config_redrive_topic(route, topic), "redrive");
            add_item(plan, route, config_dlq_topic(route, topic), "dlq");
            if (route->dedup.rebuild_from == REBUILD_FROM_TOPIC)
                add_item(plan, route, config_marks_topic(route, topic), "marks");
        }
        add_item(plan, route, config_dlq_state_topic(route), "state");
        add_item(plan, route, config_dlq_jobs_topic(route), "jobs");
        add_item(plan, route, config_audit_topic(route), "audit");
    }
}

static void want(struct plan_item *item, const char *name, int64_t value)
{
    item->settings[item->setting_count].name = mem_strdup(name);
    item->settings[item->setting_count++].value = mem_printf("%lld", (long long)value);
}

static void want_text(struct plan_item *item, const char *name, const char *value)
{
    item->settings[item->setting_count].name = mem_strdup(name);
    item->settings[item->setting_count++].value = mem_strdup(value);
}

static int64_t retention_of(const struct config *config, const struct plan_item *item)
{
    const struct route_config *route = config_find_route(config, item->route);
    int64_t tiers = 2 * route->retry.give_up_after_ms > TIER_RETENTION
                        ? 2 * route->retry.give_up_after_ms
                        : TIER_RETENTION;
    if (strcmp(item->kind, "audit") == 0)
        return AUDIT_RETENTION;
    return strcmp(item->kind, "dlq") == 0 ? (tiers > DLQ_RETENTION ? tiers : DLQ_RETENTION) : tiers;
}

static bool is_marks(const struct plan_item *item)
{
    return strcmp(item->kind, "marks") == 0;
}

/* Of the group, not of a source topic: one partition, so that its records have one order. */
static bool is_of_group(const struct plan_item *item)
{
    return strcmp(item->kind, "state") == 0 || strcmp(item->kind, "jobs") == 0 ||
           strcmp(item->kind, "audit") == 0;
}

static bool is_compacted(const struct plan_item *item)
{
    return is_marks(item) || strcmp(item->kind, "state") == 0 || strcmp(item->kind, "jobs") == 0;
}

static void set_wanted(const struct config *config, struct plan_item *item,
                       const struct kafka_topic *source, int32_t replication)
{
    item->partitions = is_of_group(item) ? 1 : source->partitions;
    item->replication = replication > 0 ? replication : source->replication;
    want(item, "min.insync.replicas", item->replication >= 3 ? 2 : 1);
    if (is_compacted(item)) {
        want_text(item, "cleanup.policy", "compact");
        return;
    }
    want_text(item, "cleanup.policy", "delete");
    want_text(item, "message.timestamp.type", "LogAppendTime");
    want(item, "retention.ms", retention_of(config, item));
    if (source->max_message_bytes > 0 && !is_of_group(item))
        want(item, "max.message.bytes", source->max_message_bytes + HEADERS_ROOM);
}

static void differ(struct plan_item *item, const char *what, const char *is, const char *should,
                   const char *why)
{
    item->action = PLAN_DIFFERS;
    buf_printf(&item->differs, "%s is %s, should be %s: %s\n", what, is, should, why);
}

static void differ_number(struct plan_item *item, const char *what, int64_t is, int64_t should,
                          const char *why)
{
    char a[24], b[24];
    snprintf(a, sizeof(a), "%lld", (long long)is);
    snprintf(b, sizeof(b), "%lld", (long long)should);
    differ(item, what, a, b, why);
}

/* Also compact,delete will do, where what it deletes is older than the ledger remembers a key. */
static void compare_marks(const struct config *config, struct plan_item *item,
                          const struct kafka_topic *found)
{
    int64_t ttl_ms = config_find_route(config, item->route)->dedup.ttl_ms;
    if (found->partitions != item->partitions)
        differ_number(item, "partitions", found->partitions, item->partitions,
                      "who takes over a partition reads marks of other partitions too");
    if (!found->cleanup_policy[0])
        return;
    if (!strstr(found->cleanup_policy, "compact"))
        differ(item, "cleanup.policy", found->cleanup_policy, "compact",
               "the mark of a key that is quiet for long would be deleted");
    else if (strstr(found->cleanup_policy, "delete") && found->retention_ms >= 0 &&
             found->retention_ms < ttl_ms)
        differ_number(item, "retention.ms", found->retention_ms, ttl_ms,
                      "marks are deleted that the ledger would still know (dedup.ttl)");
}

static void compare_of_group(struct plan_item *item, const struct kafka_topic *found)
{
    const char *policy = is_compacted(item) ? "compact" : "delete";
    if (found->partitions != item->partitions)
        differ_number(item, "partitions", found->partitions, item->partitions,
                      "only partition 0 is used");
    if (!found->cleanup_policy[0])
        return;
    if (strcmp(found->cleanup_policy, policy) != 0)
        differ(item, "cleanup.policy", found->cleanup_policy, policy,
               is_compacted(item) ? "what became of a dead letter would be forgotten with time"
                                  : "its records have no keys, and compaction refuses them");
    else if (!is_compacted(item) && found->retention_ms >= 0 &&
             found->retention_ms < AUDIT_RETENTION)
        differ_number(item, "retention.ms", found->retention_ms, AUDIT_RETENTION,
                      "who changed what would be forgotten within the year");
}

static void compare(const struct config *config, struct plan_item *item,
                    const struct kafka_topic *found)
{
    int64_t retention = retention_of(config, item);
    if (found->partitions != item->partitions && !is_of_group(item))
        differ_number(
            item, "partitions", found->partitions, item->partitions,
            "a key's retries may go to another member than its source, and wait for their tier");
    if (found->replication < item->replication)
        differ_number(item, "replication", found->replication, item->replication,
                      "a copy is lost with fewer brokers than a source record");
    if (is_marks(item)) {
        compare_marks(config, item, found);
        return;
    }
    if (is_of_group(item)) {
        compare_of_group(item, found);
        return;
    }
    if (found->cleanup_policy[0] && strcmp(found->cleanup_policy, "delete") != 0)
        differ(item, "cleanup.policy", found->cleanup_policy, "delete",
               "compaction would remove copies of the same key");
    if (found->timestamp_type[0] && strcmp(found->timestamp_type, "LogAppendTime") != 0 &&
        strcmp(item->kind, "tier") == 0)
        differ(item, "message.timestamp.type", found->timestamp_type, "LogAppendTime",
               "delays would depend on the gateways' clocks");
    if (found->retention_ms >= 0 && found->cleanup_policy[0] && found->retention_ms < retention)
        differ_number(item, "retention.ms", found->retention_ms, retention,
                      "a record that waits may expire");
}

static const struct kafka_topic *find(const struct kafka_topic *topics, size_t count,
                                      const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(topics[i].name, name) == 0)
            return &topics[i];
    }
    return NULL;
}

static void judge(const struct config *config, struct plan *plan, const struct kafka_topic *topics,
                  size_t count, int32_t replication)
{
    const struct kafka_topic *source = NULL;
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        const struct kafka_topic *found = find(topics, count, item->topic);
        bool exists = found && found->exists;
        if (strcmp(item->kind, "source") == 0) {
            source = exists ? found : NULL;
            item->action = exists ? PLAN_OK : PLAN_SOURCE_MISSING;
            item->partitions = exists ? found->partitions : 0;
            item->replication = exists ? found->replication : 0;
            plan->missing += !exists;
            continue;
        }
        if (!source) {
            item->action = PLAN_SOURCE_MISSING;
            continue;
        }
        set_wanted(config, item, source, replication);
        if (!exists)
            item->action = PLAN_CREATE;
        else
            compare(config, item, found);
        plan->create += item->action == PLAN_CREATE;
        plan->differ += item->action == PLAN_DIFFERS;
    }
}

struct describe {
    struct ask ask;
    const struct config *config;
    int32_t replication;
};

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct describe *describe = arg;
    describe->ask.done = true;
    if (err)
        describe->ask.err = *err;
    else
        judge(describe->config, describe->ask.plan, topics, count, describe->replication);
}

bool plan_make(const struct config *config, int32_t replication, int64_t timeout_ms,
               struct plan *plan, struct err *err)
{
    struct describe describe = {.config = config, .replication = replication};
    struct kafka_admin *admin;
    const char **names;
    bool ok;
    memset(plan, 0, sizeof(*plan));
    list_items(config, plan);
    describe.ask.plan = plan;
    describe.ask.loop = loop_new(err);
    if (!describe.ask.loop)
        return false;
    admin = kafka_admin_new(describe.ask.loop, config, err);
    if (!admin) {
        loop_free(&describe.ask.loop);
        return false;
    }
    names = mem_calloc(plan->count, sizeof(*names));
    for (size_t i = 0; i < plan->count; i++)
        names[i] = plan->items[i].topic;
    kafka_admin_describe(admin, names, plan->count, true, described, &describe);
    ok = ask_wait(&describe.ask, admin, timeout_ms, err);
    mem_free(names);
    loop_free(&describe.ask.loop);
    return ok;
}

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        mem_free(item->topic);
        buf_deinit(&item->differs);
        for (size_t s = 0; s < item->setting_count; s++) {
            mem_free(item->settings[s].name);
            mem_free(item->settings[s].value);
        }
    }
    mem_free(plan->items);
    memset(plan, 0, sizeof(*plan));
}

static void created(void *arg, const char *const *failed, size_t count, const struct err *err)
{
    struct ask *ask = arg;
    ask->done = true;
    if (err) {
        ask->err = *err;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (failed[i])
            buf_printf(&ask->failed, "%s%s", ask->failed.len > 0 ? "; " : "", failed[i]);
    }
    if (ask->failed.len > 0)
        (void)err_set(&ask->err, ERR_DENIED, "%.400s", ask->failed.data);
}

bool plan_apply(const struct config *config, const struct plan *plan, int64_t timeout_ms,
                struct err *err)
{
    struct ask ask = {0};
    struct kafka_admin *admin;
    struct kafka_new_topic *topics = mem_calloc(plan->count, sizeof(*topics));
    size_t count = 0;
    bool ok = false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        if (item->action == PLAN_CREATE)
            topics[count++] = (struct kafka_new_topic){item->topic, item->partitions,
                                                       item->replication, item->settings,
                                                       item->setting_count};
    }
    ask.loop = loop_new(err);
    admin = ask.loop ? kafka_admin_new(ask.loop, config, err) : NULL;
    if (admin) {
        kafka_admin_create(admin, topics, count, created, &ask);
        ok = ask_wait(&ask, admin, timeout_ms, err);
    }
    loop_free(&ask.loop);
    buf_deinit(&ask.failed);
    mem_free(topics);
    return ok;
}
