/* What the routes need in the cluster against what is there: the plan behind `topics plan|apply`
 * and `check --connect`. */
#ifndef OG_GATEWAY_TOPIC_PLAN_H
#define OG_GATEWAY_TOPIC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "kafka/admin.h"

enum plan_action {
    PLAN_OK,
    PLAN_CREATE,
    PLAN_DIFFERS,        /* exists, and something is not as it should be: told, not changed */
    PLAN_SOURCE_MISSING, /* a source topic: never created by us */
};

#define PLAN_SETTINGS_MAX 8

struct plan_item {
    enum plan_action action;
    const char *route;
    char *topic;
    const char *kind; /* source, tier, redrive, dlq, marks, state, jobs, audit */
    int32_t partitions;
    int32_t replication;
    struct property settings[PLAN_SETTINGS_MAX]; /* values are heap text */
    size_t setting_count;
    struct buf differs; /* lines for people */
};

struct plan {
    struct plan_item *items;
    size_t count;
    size_t create, differ, missing;
};

/* Blocks, on a loop of its own, for at most timeout_ms. replication <= 0: the source's. */
bool plan_make(const struct config *config, int32_t replication, int64_t timeout_ms,
               struct plan *plan, struct err *err) MUST_CHECK;
void plan_free(struct plan *plan);
/* Creates what is to be created; failures are in err, all of them. */
bool plan_apply(const struct config *config, const struct plan *plan, int64_t timeout_ms,
                struct err *err) MUST_CHECK;

#endif
