/*
 * Topics of a route; see topics.h.
 * Invariants: nothing is created here; a tier that the configuration does not name any more stays
 * subscribed while its topic exists.
 */
#include "flow/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "flow/worker_state.h"

struct lookup {
    struct route *route;
    void (*done)(struct route *route, const struct err *err);
    const char **names;
    size_t count;
};

static void set_tier(struct route_tier *tier, char *name, int64_t ms, bool retiring)
{
    tier->name = name;
    tier->ms = (int32_t)ms;
    tier->retiring = retiring;
    str_from_duration_ms(ms, tier->label);
}

static void init_topic(struct route *route, size_t index)
{
    const struct route_config *config = route->config;
    struct route_topic *topic = &route->topics[index];
    topic->name = config->topics[index];
    topic->lane_scope = config->dedup.scope == SCOPE_ROUTE ? 0 : (uint32_t)index;
    topic->redrive = config_redrive_topic(config, topic->name);
    topic->dlq = config_dlq_topic(config, topic->name);
    if (config->dedup.rebuild_from == REBUILD_FROM_TOPIC)
        topic->marks = config_marks_topic(config, topic->name);
    topic->tier_count = config->retry.tier_count; /* 0 for ordering: partition and at-most-once */
    topic->tiers = mem_calloc(topic->tier_count + 1, sizeof(*topic->tiers));
    for (size_t i = 0; i < topic->tier_count; i++)
        set_tier(&topic->tiers[i],
                 config_tier_topic(config, topic->name, config->retry.tiers_ms[i]),
                 config->retry.tiers_ms[i], false);
}

void topics_init(struct route *route)
{
    route->topic_count = route->config->topic_count;
    route->topics = mem_calloc(route->topic_count, sizeof(*route->topics));
    for (size_t i = 0; i < route->topic_count; i++)
        init_topic(route, i);
    route->letter_states = config_dlq_state_topic(route->config);
}

struct slice topics_rank_name(struct route_topic *topic, uint32_t incarnation)
{
    struct rank_name *made;
    if (incarnation == 0)
        return slice_of(topic->name);
    for (size_t i = 0; i < topic->rank_name_count; i++) {
        if (topic->rank_names[i].incarnation == incarnation)
            return slice_of(topic->rank_names[i].name);
    }
    topic->rank_names = mem_realloc(topic->rank_names,
                                    (topic->rank_name_count + 1) * sizeof(*topic->rank_names));
    made = &topic->rank_names[topic->rank_name_count++];
    made->incarnation = incarnation;
    made->name = mem_printf("%s~%u", topic->name, (unsigned)incarnation);
    return slice_of(made->name);
}

void topics_deinit(struct route *route)
{
    for (size_t t = 0; t < route->topic_count; t++) {
        struct route_topic *topic = &route->topics[t];
        for (size_t i = 0; i < topic->tier_count; i++)
            mem_free(topic->tiers[i].name);
        for (size_t i = 0; i < topic->rank_name_count; i++)
            mem_free(topic->rank_names[i].name);
        mem_free(topic->rank_names);
        mem_free(topic->tiers);
        mem_free(topic->redrive);
        mem_free(topic->dlq);
        mem_free(topic->marks);
        ledger_scope_free(&topic->scope);
    }
    mem_free(route->topics);
    mem_free(route->letter_states);
}

const char **topics_subscription(const struct route *route, size_t *count)
{
    size_t n = 0, at = 0;
    const char **names;
    for (size_t t = 0; t < route->topic_count; t++)
        n += 2 + route->topics[t].tier_count;
    names = mem_calloc(n, sizeof(*names));
    for (size_t t = 0; t < route->topic_count; t++) {
        const struct route_topic *topic = &route->topics[t];
        names[at++] = topic->name;
        names[at++] = topic->redrive;
        for (size_t i = 0; i < topic->tier_count; i++)
            names[at++] = topic->tiers[i].name;
    }
    *count = n;
    return names;
}

const char **topics_written(const struct route *route, size_t *count)
{
    const char **names = mem_calloc(2 * route->topic_count + 1, sizeof(*names));
    size_t n = 0;
    for (size_t t = 0; t < route->topic_count; t++) {
        names[n++] = route->topics[t].dlq;
        if (route->topics[t].marks)
            names[n++] = route->topics[t].marks;
    }
    names[n++] = route->letter_states;
    *count = n;
    return names;
}

static void lookup_end(struct lookup *lookup, const struct err *err)
{
    struct route *route = lookup->route;
    void (*done)(struct route *, const struct err *) = lookup->done;
    mem_free(lookup->names);
    mem_free(lookup);
    done(route, err);
}

static void learn(struct route *route, const struct kafka_topic *found)
{
    for (size_t t = 0; t < route->topic_count; t++) {
        struct route_topic *topic = &route->topics[t];
        if (strcmp(found->name, topic->name) == 0) {
            topic->partitions = found->partitions;
        } else if (strcmp(found->name, topic->dlq) == 0) {
            topic->dlq_partitions = found->partitions;
        } else if (topic->marks && strcmp(found->name, topic->marks) == 0) {
            topic->marks_partitions = found->partitions;
        }
        for (size_t i = 0; i < topic->tier_count; i++) {
            if (strcmp(found->name, topic->tiers[i].name) == 0)
                topic->tiers[i].partitions = found->partitions;
        }
    }
}

/* Copies go to the partition of the source's number modulo the count: with other counts a key's
 * topics may have other owners. */
static void warn_counts(const struct route *route)
{
    for (size_t t = 0; t < route->topic_count; t++) {
        const struct route_topic *topic = &route->topics[t];
        for (size_t i = 0; i < topic->tier_count; i++) {
            if (topic->tiers[i].partitions == topic->partitions)
                continue;
            log_warn(
                "partition_counts_differ", LOG_STR("route", route->config->name),
                LOG_STR("topic", topic->name), LOG_INT("partitions", topic->partitions),
                LOG_STR("retry_topic", topic->tiers[i].name),
                LOG_INT("retry_partitions", topic->tiers[i].partitions),
                LOG_STR(
                    "hint",
                    "followers of a failed record may wait for their tier: `oncegate topics plan`"),
                LOG_END);
        }
    }
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct lookup *lookup = arg;
    struct err missing = {0};
    struct buf names = {0};
    if (err) {
        lookup_end(lookup, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (topics[i].exists) {
            learn(lookup->route, &topics[i]);
            continue;
        }
        buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", topics[i].name);
    }
    if (names.len > 0)
        (void)err_set(
            &missing, ERR_CONFIG,
            "route %s: no such topic: %.300s: create what is missing with `oncegate topics apply`",
            lookup->route->config->name, names.data);
    else
        warn_counts(lookup->route);
    buf_deinit(&names);
    lookup_end(lookup, missing.code ? &missing : NULL);
}

static int by_delay(const void *a, const void *b)
{
    const struct route_tier *x = a, *y = b;
    return x->ms < y->ms ? -1 : x->ms > y->ms;
}

/* name is the tier topic of some delay that the configuration does not name. */
static void adopt_retiring(struct route *route, struct route_topic *topic, const char *name)
{
    const char *dot = strrchr(name, '.');
    int64_t ms = 0;
    char *expected;
    bool same;
    if (!dot || !str_to_duration_ms(slice_of(dot + 1), &ms) || ms <= 0 || ms > INT32_MAX)
        return;
    expected = config_tier_topic(route->config, topic->name, ms);
    same = strcmp(expected, name) == 0;
    mem_free(expected);
    for (size_t i = 0; same && i < topic->tier_count; i++)
        same = topic->tiers[i].ms != (int32_t)ms;
    if (!same)
        return;
    topic->tiers = mem_realloc(topic->tiers, (topic->tier_count + 2) * sizeof(*topic->tiers));
    memset(&topic->tiers[topic->tier_count], 0, sizeof(*topic->tiers));
    set_tier(&topic->tiers[topic->tier_count++], mem_strdup(name), ms, true);
    qsort(topic->tiers, topic->tier_count, sizeof(*topic->tiers), by_delay);
    log_info("tier_retiring", LOG_STR("route", route->config->name), LOG_STR("topic", name),
             LOG_STR("then", "stays subscribed: what waits there is delivered"), LOG_END);
}

static void listed(void *arg, const char *const *names, size_t count, const struct err *err)
{
    struct lookup *lookup = arg;
    struct route *route = lookup->route;
    const char **written;
    size_t n, more;
    if (err) {
        lookup_end(lookup, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t t = 0; t < route->topic_count; t++)
            adopt_retiring(route, &route->topics[t], names[i]);
    }
    lookup->names = topics_subscription(route, &n);
    written = topics_written(route, &more);
    lookup->names = mem_realloc(lookup->names, (n + more) * sizeof(*lookup->names));
    memcpy(lookup->names + n, written, more * sizeof(*written));
    mem_free(written);
    lookup->count = n + more;
    kafka_admin_describe(route->worker->admin, lookup->names, lookup->count, false, described,
                         lookup);
}

void topics_resolve(struct route *route, void (*done)(struct route *route, const struct err *err))
{
    struct lookup *lookup = mem_zalloc(sizeof(*lookup));
    lookup->route = route;
    lookup->done = done;
    kafka_admin_list(route->worker->admin, listed, lookup);
}
