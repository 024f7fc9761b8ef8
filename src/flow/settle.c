/*
 * Primitive steps of a delivery; see settle.h.
 * Invariants: a delivery whose `settled` is false when it is freed will be consumed again; the
 * ledger is told a final fact before the watermark moves; nothing waits while it holds a slot or a
 * claim (but for an ambiguous attempt's, which is left to lapse), unless it is for the handler or
 * the ledger.
 */
#include "flow/settle.h"

#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "flow/assign.h"
#include "flow/copy.h"
#include "flow/intake.h"
#include "flow/marks.h"
#include "flow/once.h"
#include "flow/operation.h"
#include "flow/part.h"
#include "flow/redriven.h"
#include "flow/route_state.h"
#include "flow/twins.h"
#include "flow/worker_state.h"

#define SPARE_DELIVERIES_MAX 4096

struct delivery *delivery_new(struct route *route, struct part *part)
{
    struct worker *worker = route->worker;
    struct delivery *d = TAILQ_FIRST(&worker->spare_deliveries);
    struct buf store = {0};
    if (d) {
        TAILQ_REMOVE(&worker->spare_deliveries, d, in_route);
        worker->spare_delivery_count--;
        store = d->identity_store;
        memset(d, 0, sizeof(*d));
    } else {
        d = mem_zalloc(sizeof(*d));
    }
    d->identity_store = store;
    d->route = route;
    d->part = part;
    part_ref(part);
    TAILQ_INSERT_TAIL(&route->all, d, in_route);
    route->delivery_count++;
    return d;
}

static struct slice copy_slice(char **at, struct slice s)
{
    struct slice copy = {s.data ? *at : NULL, s.len};
    if (s.len > 0)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

static void uncount(struct delivery *d)
{
    struct route *route = d->route;
    if (!d->counted)
        return;
    d->counted = false;
    if (--route->open_records == 0)
        route->worker->open_routes--;
    route->open_bytes -= d->bytes;
    intake_room_made(route);
}

void delivery_free(struct delivery *d)
{
    struct route *route = d->route;
    struct worker *worker = route->worker;
    uncount(d);
    once_leave_row(d);
    if (d->probe)
        breaker_probe_void(route->breaker);
    if (d->twin) {
        route->twin_records--;
        route->twin_bytes -= d->bytes;
    }
    if (d->has_timer)
        loop_timer_deinit(&d->timer);
    copy_forget(d);
    redriven_forget(d);
    record_release(&d->rec);
    part_unref(&d->part);
    TAILQ_REMOVE(&route->all, d, in_route);
    route->delivery_count--;
    if (worker->spare_delivery_count >= SPARE_DELIVERIES_MAX || d->identity_store.cap > 4096) {
        buf_deinit(&d->identity_store);
        mem_free(d);
        return;
    }
    TAILQ_INSERT_HEAD(&worker->spare_deliveries, d, in_route);
    worker->spare_delivery_count++;
}

void delivery_free_spares(struct worker *worker)
{
    struct delivery *d;
    while ((d = TAILQ_FIRST(&worker->spare_deliveries)) != NULL) {
        TAILQ_REMOVE(&worker->spare_deliveries, d, in_route);
        buf_deinit(&d->identity_store);
        mem_free(d);
    }
}

void step_begin(struct delivery *d, enum delivery_state state)
{
    if (!d->in_step) {
        d->in_step = true;
        d->route->busy++;
    }
    d->state = state;
}

void step_end(struct delivery *d)
{
    if (!d->in_step)
        return;
    d->in_step = false;
    d->route->busy--;
    assign_check_drained(d->route);
}

void slot_take(struct delivery *d)
{
    d->holds_slot = true;
    d->route->slots_used++;
}

void slot_free(struct delivery *d)
{
    if (!d->holds_slot)
        return;
    d->holds_slot = false;
    d->route->slots_used--;
    if (d->probe) { /* it never came to an answer that counts */
        d->probe = false;
        breaker_probe_void(d->route->breaker);
    }
    route_pump(d->route);
}

bool delivery_unwanted(const struct delivery *d)
{
    const struct route *route = d->route;
    return d->part->gone || route->phase == ROUTE_REVOKING || route->phase == ROUTE_DRAINING;
}

void delivery_put_back(struct delivery *d)
{
    slot_free(d);
    step_end(d);
    if (delivery_unwanted(d)) {
        delivery_drop(d);
        return;
    }
    d->wait = WAIT_NONE;
    lane_push_back(d->route->lanes, d->lane, d);
    route_pump(d->route);
}

static void waited(void *arg)
{
    delivery_put_back(arg);
}

void delivery_wait(struct delivery *d, enum wait_reason reason, int64_t ms)
{
    slot_free(d);
    step_end(d);
    if (delivery_unwanted(d)) {
        delivery_drop(d);
        return;
    }
    d->state = DELIVERY_WAITING;
    d->wait = reason;
    if (!d->has_timer) {
        loop_timer_init(&d->timer, d->route->loop, waited, d);
        d->has_timer = true;
    }
    loop_timer_set_ms(&d->timer, ms);
}

void delivery_leave_lane(struct delivery *d)
{
    struct lane *lane = d->lane;
    d->lane = NULL;
    if (!lane)
        return;
    if (lane->current == d)
        lane->current = NULL;
    lane_done(d->route->lanes, lane);
    route_pump(d->route);
}

void delivery_drop(struct delivery *d)
{
    slot_free(d);
    delivery_leave_lane(d);
    step_end(d);
    delivery_free(d);
}

static void released(struct ledger_op *op)
{
    struct delivery *d = op->arg;
    d->holds_claim = false;
    d->after_release(d);
}

void delivery_release(struct delivery *d, void (*next)(struct delivery *d))
{
    slot_free(d);
    if (!d->holds_claim || d->ambiguous) {
        next(d);
        return;
    }
    step_begin(d, DELIVERY_RELEASING);
    d->after_release = next;
    d->op.verb = LEDGER_FINISH;
    d->op.fact = LEDGER_RELEASE;
    d->op.keep_claim = false;
    d->op.done = released;
    ledger_submit(d->route->worker->ledger, &d->op);
}

void delivery_settle_offset(struct delivery *d)
{
    struct part *part = d->part;
    uncount(d);
    once_leave_row(d);
    if (d->route->marks)
        marks_touch(d);
    if (d->settled)
        return;
    d->settled = true;
    if (part->gone)
        return;
    watermark_settle(part->watermark, d->slot);
    assign_settled(d->route);
}

void delivery_settle(struct delivery *d)
{
    slot_free(d);
    delivery_settle_offset(d);
    delivery_leave_lane(d);
    step_end(d);
    delivery_free(d);
}

static void finished(struct ledger_op *op)
{
    struct delivery *d = op->arg;
    CRASH_POINT("finish");
    if (op->cancelled)
        delivery_drop(d);
    else
        delivery_settle(d);
}

/*
 * The lane goes on before the answer is in: the ledger keeps one key's operations in the order of
 * their submission, so the next record's claim, in the same batch, sees this fact. The slot stays
 * taken: what a crash can have happen twice is what holds a slot, however slow the ledger is.
 */
void delivery_finish(struct delivery *d, enum ledger_fact fact)
{
    if (d->redriven) {
        slot_free(d); /* its letter's state may be waited for without end */
        if (redriven_before_finish(d, fact))
            return;
    }
    if (!d->route->uses_ledger) {
        delivery_settle(d);
        return;
    }
    step_begin(d, DELIVERY_FINISHING);
    d->holds_claim = false;
    d->op.verb = LEDGER_FINISH;
    d->op.fact = fact;
    d->op.keep_ms = d->route->phase == ROUTE_RUNNING ? d->route->keep_ms : 0;
    d->op.keep_claim = d->ambiguous; /* given up after a timeout: the request may still run */
    d->op.done = finished;
    ledger_submit(d->route->worker->ledger, &d->op);
    if (d->lane && fact == LEDGER_SUCCEEDED && d->source == LEDGER_REDRIVE)
        d->lane->drain = d->lane->drain || d->lane->blocked; /* it may have been what blocks */
    if (d->lane && d->source != LEDGER_REDRIVE) {
        d->lane->blocked = fact == LEDGER_BLOCKING;
        d->lane->drain = !d->lane->blocked;
        d->lane->source_held = false; /* its parked list may have room again */
        twins_forget(d->lane, d);
    }
    delivery_leave_lane(d);
}

/* One block: headers, then names and values, key, value. */
bool delivery_detach_record(struct delivery *d)
{
    struct record *rec = &d->rec;
    size_t table = rec->header_count * sizeof(struct record_header);
    size_t size = table + record_size(rec) + rec->header_count + 1;
    struct record_header *headers = mem_try_alloc(size, SIZE_MAX);
    char *at = (char *)headers + table;
    struct record copy = *rec;
    if (!headers)
        return false;
    copy.headers = headers;
    for (size_t i = 0; i < rec->header_count; i++) {
        headers[i].name = copy_slice(&at, rec->headers[i].name);
        *at++ = '\0';
        headers[i].value = copy_slice(&at, rec->headers[i].value);
    }
    copy.key = copy_slice(&at, rec->key);
    copy.value = copy_slice(&at, rec->value);
    copy.topic = slice_of(d->topic->name);
    copy.backing = headers;
    copy.release = mem_free;
    record_release(rec);
    *rec = copy;
    d->redrive_id = SLICE_NULL; /* it pointed into the old bytes; a redrive is never kept */
    identity_read(&d->route->config->dedup.rule, rec, &d->identity_store, &d->identity);
    if (d->identity.kind == IDENTITY_NONE)
        d->identity.status = IDENTITY_OK;
    operation_prepare(d);
    return true;
}
