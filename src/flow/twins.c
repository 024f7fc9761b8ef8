/*
 * Twins; see twins.h.
 * Invariants: a head that waits in a tier (`awaits_copy`) is never claimed from memory, it is not
 * due; a twin whose operation is under way is neither claimed nor freed. Must not: produce or
 * deliver.
 */
#include "flow/twins.h"

#include "base/log.h"
#include "flow/copy.h"
#include "flow/lane.h"
#include "flow/operation.h"
#include "flow/part.h"
#include "flow/rebuild.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/worker_state.h"

/* In at-most-once none is kept: it has no offset of its own left to commit before its delivery. */
static bool has_room(const struct route *route, const struct delivery *d)
{
    return route->config->ordering == ORDERING_KEY && d->lane &&
           route->config->delivery != DELIVERY_AT_MOST_ONCE &&
           route->twin_records < route->config->limits.records / 2 &&
           route->twin_bytes + d->bytes < route->config->limits.bytes / 2;
}

void twins_park(struct delivery *d)
{
    struct route *route = d->route;
    struct lane *lane = d->lane;
    struct delivery *twin = lane ? lane_find_twin(lane, d->origin.partition, d->origin.offset)
                                 : NULL;
    bool head = d->purpose != COPY_TO_TIER_FOLLOWER;
    if (twin) {
        twin->hop = d->hop;
        twin->tier_ms = d->tier_ms;
        twin->copy_offset = d->copy_offset;
        twin->awaits_copy = head;
        twin->copy_lost = false;
        twin->attempt = d->attempt;
        twin->first_failed_at_ms = d->first_failed_at_ms;
        twin->last_failed_at_ms = d->last_failed_at_ms;
        twin->failed_visit = twin->failed_visit || d->purpose == COPY_TO_TIER_FAILED;
    }
    if (twin || (!d->twin && !has_room(route, d)) || (!d->twin && !delivery_detach_record(d))) {
        delivery_settle(d);
        return;
    }
    delivery_settle_offset(d);
    if (!d->twin) {
        route->twin_records++;
        route->twin_bytes += d->bytes;
    }
    d->awaits_copy = head;
    d->copy_lost = false;
    d->failed_visit = d->failed_visit || d->purpose == COPY_TO_TIER_FAILED;
    d->inline_retries = 0;
    lane->current = NULL;
    d->holds_claim = false;
    copy_forget(d);
    step_end(d);
    lane_add_twin(route->lanes, lane, d);
    lane_done(route->lanes, lane);
    route_pump(route);
}

void twins_forget(struct lane *lane, const struct delivery *done)
{
    struct delivery *twin = lane_find_twin(lane, done->origin.partition, done->origin.offset);
    if (!twin || twin->in_step)
        return;
    lane_remove(lane, twin);
    twin->lane = NULL;
    delivery_free(twin);
}

/* DONE: somebody else finished it meanwhile. */
static void reparked(struct ledger_op *op)
{
    struct delivery *d = op->arg;
    struct route *route = d->route;
    struct lane *lane = d->lane;
    bool forget = op->cancelled || op->code == LEDGER_DONE || delivery_unwanted(d);
    operation_prepare(d); /* its own kind again */
    route->twins_telling--;
    rebuild_twin_told(route);
    if (forget) {
        lane_remove(lane, d);
        d->lane = NULL;
    }
    step_end(d);
    if (forget)
        delivery_free(d);
    lane_done(route->lanes, lane);
    route_pump(route);
}

/* Its newest copy is settled, and not by us: it was finished elsewhere. */
static bool was_finished_elsewhere(const struct delivery *d)
{
    const struct route_tier *tier = route_topic_tier(d->topic, d->tier_ms);
    if (tier->ms != d->tier_ms || tier->partitions <= 0)
        return false;
    return part_tier_watermark(d->route, d->topic, d->tier_ms,
                               d->origin.partition % tier->partitions) > d->copy_offset;
}

/*
 * By rank alone (kind none): a number's bit must not be set by one that was forgotten, since
 * another copy of the number may be waiting by now.
 */
static void park_again(struct delivery *d)
{
    d->op.kind = IDENTITY_NONE;
    d->route->twins_telling++;
    step_begin(d, DELIVERY_TWIN);
    d->op.verb = LEDGER_FINISH;
    d->op.fact = LEDGER_PARKED;
    d->op.source = LEDGER_TIER;
    d->op.keep_claim = false;
    d->op.hop = d->hop;
    d->op.tier = d->tier_ms;
    d->op.copy_offset = d->copy_offset;
    d->op.done = reparked;
    ledger_submit(d->route->worker->ledger, &d->op);
}

void twins_repark(struct lane *lane)
{
    struct delivery *d, *next;
    for (d = TAILQ_FIRST(&lane->twins); d; d = next) {
        next = TAILQ_NEXT(d, in_lane);
        if (d->in_step)
            continue;
        if (!d->copy_lost && was_finished_elsewhere(d)) {
            lane_remove(lane, d);
            d->lane = NULL;
            delivery_free(d);
            continue;
        }
        park_again(d);
    }
}

void twins_rescue(struct lane *lane, int32_t tier_ms, int64_t copy_offset)
{
    struct delivery *d;
    TAILQ_FOREACH(d, &lane->twins, in_lane)
    {
        if (d->tier_ms != tier_ms || d->copy_offset != copy_offset || d->in_step)
            continue;
        log_warn("rescued_from_memory", LOG_STR("route", d->route->config->name),
                 LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
                 LOG_INT("offset", d->origin.offset),
                 LOG_STR("why", "its copy expired in its retry topic"), LOG_END);
        d->copy_lost = true;
        d->awaits_copy = false;
        lane->drain = true;
        park_again(d);
        return;
    }
}

struct reparking {
    struct route *route;
    size_t lanes;
};

static void repark_lane(struct lane *lane, void *arg)
{
    struct reparking *all = arg;
    if (TAILQ_EMPTY(&lane->twins))
        return;
    all->lanes++;
    twins_repark(lane);
    lane_done(all->route->lanes, lane);
}

void twins_repark_all(struct route *route)
{
    struct reparking all = {route, 0};
    lane_each(route->lanes, repark_lane, &all);
    log_warn("parked_again", LOG_STR("route", route->config->name), LOG_UINT("keys", all.lanes),
             LOG_UINT("records", route->twin_records), LOG_END);
}
