/*
 * Membership by a consumer that takes nothing; see membership.h. Its group commits nothing: the
 * assignment alone is what it is for. Must not: take the name of a static member of the routes'
 * group, or fetch more than it cannot help.
 */
#include "dlq/membership.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kafka/consumer.h"

#define LEAVE_MS       1000
#define PREFETCH_BYTES 65536
#define SESSION_MS     "10000" /* so long a job stands still when its runner dies */

struct membership {
    struct membership_config config;
    struct config client;        /* a copy with other properties */
    struct property *properties; /* of the consumer */
    struct route_config route;
    char *group;
    struct kafka_consumer *consumer;
};

static void missing(void *ctx, const struct kafka_missing_offset *items, size_t count)
{
    struct membership *membership = ctx;
    enum offset_start *starts = mem_calloc(count, sizeof(*starts));
    (void)items;
    for (size_t i = 0; i < count; i++)
        starts[i] = OFFSET_LATEST;
    kafka_consumer_start_missing(membership->consumer, starts, count);
    mem_free(starts);
}

static void assigned(void *ctx, struct kafka_partition **partitions, size_t count)
{
    struct membership *membership = ctx;
    bool owns = false;
    for (size_t i = 0; i < count; i++)
        owns = owns || partitions[i]->partition == 0;
    membership->config.owning(membership->config.arg, owns);
}

static void revoked(void *ctx, bool lost)
{
    struct membership *membership = ctx;
    membership->config.owning(membership->config.arg, false);
    if (!lost)
        kafka_consumer_revoke_done(membership->consumer);
}

static void readable(void *ctx)
{
    (void)ctx; /* what is assigned is what it says, not its records */
}

static void out_of_range(void *ctx, struct kafka_partition *partition, int64_t offset)
{
    (void)ctx, (void)partition, (void)offset; /* nothing is taken */
}

static void trouble(void *ctx, const struct err *err)
{
    struct membership *membership = ctx;
    if (err->fatal)
        membership->config.failed(membership->config.arg, err);
    else
        log_debug("redrive_membership", LOG_STR("group", membership->group),
                  LOG_STR("error", err->text), LOG_END);
}

/* The routes' properties, but for what is a member's own. */
static void set_properties(struct membership *membership)
{
    static char session[] = "session.timeout.ms", session_ms[] = SESSION_MS;
    const struct properties *from = &membership->config.config->kafka_consumer;
    size_t count = 0;
    membership->properties = mem_calloc(from->count + 1, sizeof(*membership->properties));
    for (size_t i = 0; i < from->count; i++) {
        if (strcmp(from->items[i].name, "group.instance.id") != 0 &&
            strcmp(from->items[i].name, session) != 0)
            membership->properties[count++] = from->items[i];
    }
    membership->properties[count++] = (struct property){.name = session, .value = session_ms};
    membership->client = *membership->config.config;
    membership->client.kafka_consumer = (struct properties){membership->properties, count};
    membership->client.workers = 1;
}

struct membership *membership_new(const struct membership_config *config, struct err *err)
{
    struct membership *membership = mem_zalloc(sizeof(*membership));
    struct kafka_consumer_events events = {.ctx = membership,
                                           .missing = missing,
                                           .assigned = assigned,
                                           .revoked = revoked,
                                           .readable = readable,
                                           .out_of_range = out_of_range,
                                           .trouble = trouble};
    const char *topics[1] = {config->topic};
    struct kafka_consumer_config of = {.config = &membership->client,
                                       .route = &membership->route,
                                       .topics = topics,
                                       .topic_count = 1,
                                       .prefetch_bytes = PREFETCH_BYTES};
    membership->config = *config;
    membership->group = mem_printf("%s.oncegate-redrive", config->group);
    membership->route = (struct route_config){.name = membership->group,
                                              .group = membership->group};
    set_properties(membership);
    membership->consumer = kafka_consumer_new(config->loop, &of, &events, err);
    if (membership->consumer)
        return membership;
    membership_free(&membership);
    return NULL;
}

void membership_free(struct membership **pointer)
{
    struct membership *membership = *pointer;
    if (!membership)
        return;
    *pointer = NULL;
    if (membership->consumer)
        kafka_consumer_free(&membership->consumer, LEAVE_MS);
    mem_free(membership->properties);
    mem_free(membership->group);
    mem_free(membership);
}
