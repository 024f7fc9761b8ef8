/*
 * At most once; see once.h. Invariants: the handler is called only after this process' own commit
 * of the record's offset was acknowledged (an offset that is seen committed may be another
 * owner's); none is called done before those in front of it in the partition are, since its commit
 * would wait for theirs; its lane stays taken until the handler has answered, so the order of a key
 * is kept. Must not: settle what the ledger has not recorded, or deliver anything twice.
 */
#include "flow/once.h"

#include "base/log.h"
#include "flow/assign.h"
#include "flow/attempt.h"
#include "flow/marks.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/worker_state.h"

#define COMMIT_AGAIN_MS 500

/* Its offset is committed, or may be, and its handler is not called. */
static void not_delivered(struct delivery *d, const char *why)
{
    metric_add(d->route->metrics.undelivered, 1);
    log_warn("not_delivered", LOG_STR("route", d->route->config->name), LOG_STR("why", why),
             LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
             LOG_INT("offset", d->origin.offset), LOG_END);
    delivery_drop(d);
}

/* ---- the row ---- */

void once_taken(struct delivery *d)
{
    if (d->route->config->delivery != DELIVERY_AT_MOST_ONCE)
        return;
    d->in_row = true;
    TAILQ_INSERT_TAIL(&d->part->row, d, in_part);
}

void once_leave_row(struct delivery *d)
{
    struct delivery *first;
    if (!d->in_row)
        return;
    d->in_row = false;
    TAILQ_REMOVE(&d->part->row, d, in_part);
    first = TAILQ_FIRST(&d->part->row);
    if (!first || !first->lane || !first->lane->turn_held)
        return;
    first->lane->turn_held = false;
    lane_wake(d->route->lanes, first->lane);
    route_pump(d->route);
}

bool once_in_turn(struct delivery *d)
{
    if (!d->in_row || TAILQ_FIRST(&d->part->row) == d)
        return true;
    d->lane->turn_held = true;
    delivery_put_back(d);
    return false;
}

/* ---- from the claim to the handler ---- */

static void await_commit(struct delivery *d)
{
    struct route *route = d->route;
    if (d->part->gone) {
        not_delivered(d, "its partition went away before its offset was committed");
        return;
    }
    step_begin(d, DELIVERY_COMMITTING);
    if (route->marks)
        marks_touch(d);
    d->settled = true; /* it goes on counting against the limits until it is freed */
    watermark_settle(d->part->watermark, d->slot);
    TAILQ_INSERT_TAIL(&route->once_waiting, d, in_lane);
    loop_defer(route->loop, &route->once_task);
}

static void recorded(struct ledger_op *op)
{
    struct delivery *d = op->arg;
    if (op->cancelled) {
        delivery_drop(d);
        return;
    }
    d->holds_claim = false;
    await_commit(d);
}

void once_begin(struct delivery *d)
{
    d->once = true;
    once_leave_row(d);
    if (!d->route->uses_ledger) {
        await_commit(d);
        return;
    }
    step_begin(d, DELIVERY_FINISHING);
    d->op.verb = LEDGER_FINISH;
    d->op.fact = LEDGER_GIVEN_UP;
    d->op.keep_claim = false;
    d->op.done = recorded;
    ledger_submit(d->route->worker->ledger, &d->op);
}

static void commit(void *arg)
{
    struct route *route = arg;
    if (!TAILQ_EMPTY(&route->once_waiting))
        assign_commit(route);
}

void once_committed(struct route *route, bool ok)
{
    struct delivery *d, *next;
    for (d = TAILQ_FIRST(&route->once_waiting); d; d = next) {
        next = TAILQ_NEXT(d, in_lane);
        if (d->part->committed <= d->rec.offset)
            continue;
        TAILQ_REMOVE(&route->once_waiting, d, in_lane);
        TAILQ_INSERT_TAIL(&route->once_ready, d, in_lane);
    }
    route_pump(route);
    if (!ok)
        loop_timer_set_ms(&route->once_timer, COMMIT_AGAIN_MS);
    else if (!TAILQ_EMPTY(&route->once_waiting))
        loop_defer(route->loop, &route->once_task);
}

static void deliver(struct delivery *d)
{
    TAILQ_REMOVE(&d->route->once_ready, d, in_lane);
    attempt_start(d);
}

/* Holds do not count: it was granted before them, and waiting would only risk it; so does an open
 * breaker where this process is about to give up its partitions. */
void once_pump(struct route *route)
{
    struct delivery *d, *next;
    bool closed = breaker_state(route->breaker) == BREAKER_CLOSED || route->phase != ROUTE_RUNNING;
    for (d = TAILQ_FIRST(&route->once_ready); d; d = next) {
        next = TAILQ_NEXT(d, in_lane);
        if (closed || d->probe)
            deliver(d);
    }
}

bool once_probe(struct route *route)
{
    struct delivery *d;
    TAILQ_FOREACH(d, &route->once_ready, in_lane)
    {
        if (!d->lane || !breaker_try_probe(route->breaker, d->lane->hash, route_now_ms(route)))
            continue;
        d->probe = true;
        deliver(d);
        return true;
    }
    return false;
}

void once_forget(struct route *route)
{
    struct delivery *d;
    while ((d = TAILQ_FIRST(&route->once_waiting)) != NULL) {
        TAILQ_REMOVE(&route->once_waiting, d, in_lane);
        not_delivered(d, "its partition went away before its offset was committed");
    }
}

void once_init(struct route *route)
{
    TAILQ_INIT(&route->once_waiting);
    TAILQ_INIT(&route->once_ready);
    loop_task_init(&route->once_task, commit, route);
    loop_timer_init(&route->once_timer, route->loop, commit, route);
    if (route->config->delivery == DELIVERY_AT_MOST_ONCE)
        log_warn("at_most_once", LOG_STR("route", route->config->name),
                 LOG_STR("then", "offsets are committed before the delivery, which is not retried: "
                                 "records can be lost"),
                 LOG_END);
}

void once_deinit(struct route *route)
{
    loop_task_cancel(route->loop, &route->once_task);
    loop_timer_deinit(&route->once_timer);
}
