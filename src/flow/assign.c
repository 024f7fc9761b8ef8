/*
 * Assignments; see assign.h.
 * Invariants: a partition yields records only while its fence token is held; commits are explicit
 * lists of contiguous watermarks, one in flight, never below what was committed; nothing of a
 * revoked or lost assignment is committed. Must not: touch a delivery's life but for dropping what
 * has not begun.
 */
#include "flow/assign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/attempt.h"
#include "flow/batch.h"
#include "flow/intake.h"
#include "flow/lift.h"
#include "flow/marks.h"
#include "flow/meet.h"
#include "flow/missing.h"
#include "flow/once.h"
#include "flow/part.h"
#include "flow/rebuild.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"

/* ---- fences ---- */

static void fenced(void *arg, const struct err *err)
{
    struct part *part = arg;
    if (err && err->code != ERR_CANCELLED && !part->gone) {
        log_warn("no_fence", LOG_STR("partition", part->owner.name), LOG_STR("error", err->text),
                 LOG_END);
        part->fence = PART_FENCE_PROVING; /* the next commit takes it up again */
    }
    if (!err && !part->gone)
        rebuild_token_taken(part);
    part_unref(&part);
}

static void take_fence(struct part *part)
{
    struct route *route = part->route;
    part->fence = PART_FENCE_TAKING;
    if (!route->uses_ledger) {
        part->fence = PART_FENCE_HELD;
        return;
    }
    part_ref(part);
    ledger_fence(route->worker->ledger, route->config->group, &part->next, fenced, part);
}

/* ---- commits ---- */

static void commit_now(struct route *route);

static void committed(void *arg, const struct err *err)
{
    struct route *route = arg;
    struct part *part;
    bool again = false;
    CRASH_POINT("commit");
    route->committing = false;
    metric_add(err ? route->metrics.commits_failed : route->metrics.commits_ok, 1);
    if (err)
        log_warn("commit_failed", LOG_STR("route", route->config->name),
                 LOG_STR("error", err->text), LOG_END);
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->committing < 0) {
            again = again || part->fence == PART_FENCE_PROVING;
            continue;
        }
        if (!err) {
            part->committed = part->committing;
            if (part->fence == PART_FENCE_PROVING)
                take_fence(part);
        }
        part->committing = -1;
    }
    if (again && !err)
        commit_now(route);
    once_committed(route, !err);
    assign_check_drained(route);
}

static bool may_commit(const struct route *route)
{
    return route->consumer && route->part_count > 0 && !route->committing &&
           !kafka_consumer_committing(route->consumer);
}

static void send_commit(struct route *route)
{
    struct kafka_commit_item *items;
    size_t count = 0;
    struct part *part;
    if (!may_commit(route))
        return;
    route->settled_since_commit = 0;
    items = mem_calloc(route->part_count, sizeof(*items));
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        int64_t offset = marks_covered(part);
        if (offset <= part->committed && part->fence != PART_FENCE_PROVING)
            continue;
        if (PLANTED("never-commit") && part->number == 0 && part->fence != PART_FENCE_PROVING)
            continue;
        part->committing = offset;
        items[count++] = (struct kafka_commit_item){part->kafka, offset};
    }
    if (count > 0) {
        route->committing = true;
        kafka_consumer_commit(route->consumer, items, count, committed, route);
    }
    mem_free(items);
}

/* Marks are written first, where there are some. */
static void commit_now(struct route *route)
{
    if (may_commit(route) && !marks_begin(route))
        send_commit(route);
}

void assign_commit(struct route *route)
{
    commit_now(route);
}

void assign_commit_marked(struct route *route)
{
    send_commit(route);
    assign_check_drained(route);
}

static void commit_due(void *arg)
{
    struct route *route = arg;
    loop_timer_set_ms(&route->commit_timer, route->config->commit_every_ms);
    if (route->phase == ROUTE_RUNNING)
        commit_now(route);
}

void assign_settled(struct route *route)
{
    route->settled_since_commit++;
    if (route->settled_since_commit >= route->config->commit_records &&
        route->phase == ROUTE_RUNNING && !marks_writing(route))
        commit_now(route);
}

void assign_prove(struct part *part)
{
    if (part->fence != PART_FENCE_HELD)
        return;
    if (PLANTED("no-proof")) {
        take_fence(part);
        return;
    }
    log_warn("fenced", LOG_STR("route", part->route->config->name),
             LOG_STR("partition", part->owner.name),
             LOG_STR("then", "stopped until a commit proves that it is ours"), LOG_END);
    part->fence = PART_FENCE_PROVING;
    part->committing = -1; /* a commit that was on its way before proves nothing */
    commit_now(part->route);
}

/* ---- drains ---- */

static bool has_uncommitted(const struct route *route)
{
    const struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (watermark_offset(part->watermark) > part->committed)
            return true;
    }
    return false;
}

/* Its partitions are given up, and nothing is under way: what was kept is in nobody's way. */
static void release_kept(struct route *route)
{
    struct part *part;
    if (!route->uses_ledger || route->keep_ms == 0)
        return;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->kind == PART_SOURCE && part->fence == PART_FENCE_HELD)
            ledger_release_kept(route->worker->ledger, route->config->group, &part->owner, NULL,
                                NULL);
    }
}

static void drain_end(struct route *route)
{
    void (*done)(struct route *) = route->drained;
    if (!done)
        return;
    route->drained = NULL;
    loop_timer_cancel(&route->drain_timer);
    if (route->busy == 0)
        release_kept(route);
    done(route);
}

static void drain_cancel(struct route *route)
{
    route->drained = NULL;
    loop_timer_cancel(&route->drain_timer);
    route->phase = ROUTE_RUNNING;
}

/* First the steps under way, then the last commit, then done; the deadline cuts each of them short.
 */
static void drain_step(void *arg)
{
    struct route *route = arg;
    if (!route->drained || route->committing || marks_writing(route) ||
        (route->busy > 0 && !route->drain_late))
        return;
    if (!route->drain_committed && has_uncommitted(route)) {
        route->drain_committed = true;
        commit_now(route);
        if (route->committing || marks_writing(route))
            return;
    }
    drain_end(route);
}

static void drain_late(void *arg)
{
    struct route *route = arg;
    if (!route->drain_late) {
        log_warn("drain_late", LOG_STR("route", route->config->name),
                 LOG_UINT("under_way", route->busy),
                 LOG_STR("then", "what is not finished will be consumed again"), LOG_END);
        route->drain_late = true;
        loop_timer_set_ms(&route->drain_timer, 1000); /* for the last commit */
        drain_step(route);
        return;
    }
    drain_end(route);
}

void assign_check_drained(struct route *route)
{
    if (route->drained)
        loop_defer(route->loop, &route->drain_task);
}

void assign_drain(struct route *route, int64_t limit_ms, void (*done)(struct route *route))
{
    route->drained = done;
    route->drain_late = route->drain_committed = false;
    rebuild_cancel(route);
    intake_drop_queued(route);
    batch_let_go(route);
    loop_timer_set_ms(&route->drain_timer, limit_ms);
    assign_check_drained(route);
}

void assign_forget(struct route *route)
{
    struct part *part;
    rebuild_cancel(route);
    marks_forget(route);
    while ((part = TAILQ_FIRST(&route->parts)) != NULL) {
        TAILQ_REMOVE(&route->parts, part, in_route);
        route->part_count--;
        part_gone(&part);
    }
    route->committing = false;
    once_forget(route);
    metric_set(route->metrics.partitions, 0);
}

/* ---- the consumer's events ---- */

static struct part *make_part(struct route *route, struct kafka_partition *kafka)
{
    for (size_t t = 0; t < route->topic_count; t++) {
        struct route_topic *topic = &route->topics[t];
        if (strcmp(kafka->topic, topic->name) == 0)
            return part_new(route, kafka, PART_SOURCE, topic, 0);
        if (strcmp(kafka->topic, topic->redrive) == 0)
            return part_new(route, kafka, PART_REDRIVE, topic, 0);
        for (size_t i = 0; i < topic->tier_count; i++) {
            struct part *part;
            if (strcmp(kafka->topic, topic->tiers[i].name) != 0)
                continue;
            part = part_new(route, kafka, PART_TIER, topic, topic->tiers[i].ms);
            part->retiring = topic->tiers[i].retiring;
            return part;
        }
    }
    return NULL; /* a topic that we did not subscribe to: cannot be */
}

static void marked(void *arg, const struct err *err)
{
    (void)arg;
    (void)err;
}

/* From now on the ledger knows that this group has offsets on that partition: where they are gone
 * later, they were lost. */
static void mark_known(struct part *part)
{
    struct route *route = part->route;
    if (part->kind != PART_SOURCE || !route->uses_ledger)
        return;
    ledger_mark_group(route->worker->ledger, route->config->group, part->topic->name, marked, NULL);
    ledger_mark_group(route->worker->ledger, route->config->group, part->owner.name, marked, NULL);
}

void assign_remark(struct route *route)
{
    struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    mark_known(part);
}

void assign_assigned(void *ctx, struct kafka_partition **partitions, size_t count)
{
    struct route *route = ctx;
    if (route->phase == ROUTE_STOPPED || route->phase == ROUTE_FAILED)
        return;
    log_info("assigned", LOG_STR("route", route->config->name), LOG_UINT("partitions", count),
             LOG_END);
    metric_add(route->metrics.rebalances[0], 1);
    missing_forget(route); /* a question of a start that was cancelled */
    if (route->phase != ROUTE_DRAINING)
        route->phase = ROUTE_RUNNING;
    for (size_t i = 0; i < count; i++) {
        struct part *part = make_part(route, partitions[i]);
        if (!part)
            continue;
        TAILQ_INSERT_TAIL(&route->parts, part, in_route);
        route->part_count++;
        take_fence(part);
        mark_known(part);
    }
    metric_set(route->metrics.partitions, (double)route->part_count);
    route->trouble[0] = '\0';
    meet_topics(route);
    intake_wake(route);
}

static void revoke_drained(struct route *route)
{
    assign_forget(route);
    lift_forget(route);
    if (route->phase == ROUTE_REVOKING)
        route->phase = ROUTE_RUNNING;
    kafka_consumer_revoke_done(route->consumer);
}

void assign_revoked(void *ctx, bool lost)
{
    struct route *route = ctx;
    log_info("revoked", LOG_STR("route", route->config->name), LOG_BOOL("lost", lost),
             LOG_UINT("under_way", route->busy), LOG_END);
    metric_add(route->metrics.rebalances[lost ? 2 : 1], 1);
    missing_forget(route);
    if (lost) {
        if (route->phase == ROUTE_REVOKING)
            drain_cancel(route); /* or it would end in the midst of the next assignment */
        intake_drop_queued(route);
        assign_forget(route);
        lift_forget(route);
        assign_check_drained(route);
        return;
    }
    if (route->phase == ROUTE_DRAINING || route->phase == ROUTE_STOPPED)
        return; /* the shutdown's drain is under way, and ends with leaving */
    route->phase = ROUTE_REVOKING;
    assign_drain(route, route->config->rebalance_drain_ms, revoke_drained);
}

void assign_init(struct route *route)
{
    TAILQ_INIT(&route->parts);
    loop_task_init(&route->drain_task, drain_step, route);
    loop_timer_init(&route->drain_timer, route->loop, drain_late, route);
    loop_timer_init(&route->commit_timer, route->loop, commit_due, route);
    loop_timer_set_ms(&route->commit_timer, route->config->commit_every_ms);
}

void assign_deinit(struct route *route)
{
    loop_task_cancel(route->loop, &route->drain_task);
    loop_timer_deinit(&route->drain_timer);
    loop_timer_deinit(&route->commit_timer);
}
