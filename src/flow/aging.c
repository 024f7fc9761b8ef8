/*
 * Records that wait in a tier for half of its retention; see aging.h.
 * Invariants: the first record of an assigned tier partition is always in memory, also while the
 * route is held, so looking there is enough. The retention is asked for once a minute, so that one
 * who raises it is heard; what is not answered leaves what is known. A topic that keeps its records
 * for ever, or does not say, is left alone. Must not: mend anything.
 */
#include "flow/aging.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"

#define TELL_AGAIN_MS (INT64_C(5) * 60 * 1000)
#define ASK_AGAIN_MS  (60 * 1000)

/* What a compacted topic deletes is not a matter of age; "" is one that may not be asked. */
static void learn(struct route *route, const struct kafka_topic *found)
{
    for (size_t t = 0; found->cleanup_policy[0] && t < route->topic_count; t++) {
        struct route_topic *topic = &route->topics[t];
        for (size_t i = 0; i < topic->tier_count; i++) {
            if (strcmp(found->name, topic->tiers[i].name) == 0)
                topic->tiers[i].retention_ms = strstr(found->cleanup_policy, "delete")
                                                   ? found->retention_ms
                                                   : 0;
        }
    }
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct route *route = arg;
    route->aging_asks = false;
    for (size_t i = 0; !err && i < count; i++)
        learn(route, &topics[i]);
}

/* Nothing waits for the answer, and there may be none. */
static void ask(struct route *route)
{
    const char **names;
    size_t n = 0;
    if (route->aging_asks || route->phase != ROUTE_RUNNING ||
        route_now_ms(route) < route->aging_ask_ms)
        return;
    for (size_t t = 0; t < route->topic_count; t++)
        n += route->topics[t].tier_count;
    if (n == 0)
        return;
    names = mem_calloc(n, sizeof(*names));
    n = 0;
    for (size_t t = 0; t < route->topic_count; t++) {
        for (size_t i = 0; i < route->topics[t].tier_count; i++)
            names[n++] = route->topics[t].tiers[i].name;
    }
    route->aging_asks = true;
    route->aging_ask_ms = route_now_ms(route) + ASK_AGAIN_MS;
    kafka_admin_describe(route->worker->admin, names, n, true, described, route);
    mem_free(names);
}

static int64_t retention_ms(const struct part *part)
{
    for (size_t i = 0; i < part->topic->tier_count; i++) {
        if (part->topic->tiers[i].ms == part->tier_ms)
            return part->topic->tiers[i].retention_ms;
    }
    return 0;
}

static void tell(const struct route *route, struct part *part, const struct delivery *d,
                 int64_t age_ms)
{
    uint64_t now_ms = route_now_ms(route);
    if (part->aging_told_ms > 0 && now_ms < part->aging_told_ms + TELL_AGAIN_MS)
        return;
    part->aging_told_ms = now_ms;
    log_error("retry_record_aging", LOG_STR("route", route->config->name),
              LOG_STR("topic", part->kafka->topic), LOG_INT("partition", part->number),
              LOG_INT("offset", d->rec.offset), LOG_INT("age_ms", age_ms),
              LOG_INT("retention_ms", retention_ms(part)),
              LOG_STR("hint",
                      "Kafka deletes it when it is as old as retention.ms: let the route go "
                      "on, or raise retention.ms"),
              LOG_END);
}

static void look_at(const struct route *route, const struct delivery *d, int64_t now_ms)
{
    struct part *part = d->part;
    int64_t retention, age_ms;
    if (part->kind != PART_TIER || part->gone || d->settled || d->rec.timestamp_ms <= 0)
        return;
    retention = retention_ms(part);
    age_ms = now_ms - d->rec.timestamp_ms;
    if (retention <= 0 || age_ms < retention / 2)
        return;
    part->aging = true;
    tell(route, part, d, age_ms);
}

void aging_look(struct route *route)
{
    int64_t now_ms = clock_wall_ms();
    const struct delivery *d;
    struct part *part;
    ask(route);
    route->aging = 0;
    TAILQ_FOREACH(part, &route->parts, in_route)
    part->aging = false;
    TAILQ_FOREACH(d, &route->all, in_route)
    look_at(route, d, now_ms);
    TAILQ_FOREACH(part, &route->parts, in_route)
    route->aging += part->aging;
    metric_set(route->metrics.aging, (double)route->aging);
}

const char *aging_why(const struct route *route, char *out, size_t cap)
{
    if (route->aging == 0)
        return NULL;
    snprintf(out, cap,
             "records of %zu retry partitions have waited for half of their topic's retention.ms, "
             "after which Kafka deletes them: see retry_record_aging in the log",
             route->aging);
    return out;
}
