/*
 * Parking and dead letters; see park.h.
 * Invariants: the ledger is told PARKED or GIVEN_UP only after the copy was acknowledged; the
 * offset is settled only after the ledger was told. A copy that cannot be written holds the record,
 * and with it the partition's watermark (a dead letter goes to the spool first, where there is
 * one): nothing is lost for it. Must not: call the handler.
 */
#include "flow/park.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "flow/backoff.h"
#include "flow/copy.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/spooling.h"
#include "flow/twins.h"
#include "flow/worker_state.h"

#define REFUSED_WAIT_MS 500

static void tier_written(struct delivery *d);
static void dlq_written(struct delivery *d);

static void produce_again(void *arg)
{
    struct delivery *d = arg;
    struct copy_job *job = d->copy;
    loop_timer_deinit(&d->timer); /* the timer is the wait's again */
    d->has_timer = false;
    if (d->part->gone && !d->once) {
        delivery_drop(d);
        return;
    }
    step_begin(d, DELIVERY_PRODUCING);
    if (job->kind == COPY_DEAD_LETTER)
        copy_to_dlq(d, dlq_written);
    else
        copy_to_tier(d, job->tier_ms, job->not_before_ms, tier_written);
}

/* The record stays where it is, its claim may lapse; the lane waits with it. */
static void write_failed(struct delivery *d)
{
    const struct produce *msg = &d->copy->msg;
    log_error(
        "copy_not_written", LOG_STR("route", d->route->config->name), LOG_STR("topic", msg->topic),
        LOG_SLICE("origin_topic", d->origin.topic),
        LOG_INT("origin_partition", d->origin.partition),
        LOG_INT("origin_offset", d->origin.offset), LOG_STR("error", msg->err.text),
        LOG_STR("spool", d->copy->spool_failed ? d->copy->spool.err.text : ""),
        LOG_STR("hint", d->copy->outgrown
                            ? "raise max.message.bytes of the topic and kafka: message.max.bytes"
                            : "`oncegate topics plan` tells what is missing"),
        LOG_END);
    if (delivery_unwanted(d) && !d->once) {
        delivery_drop(d);
        return;
    }
    if (!d->once) /* else a drain waits for it: nobody will consume it again */
        step_end(d);
    d->state = DELIVERY_WAITING;
    d->wait = d->copy->spool_failed ? WAIT_SPOOL : WAIT_PRODUCE;
    if (d->has_timer)
        loop_timer_deinit(&d->timer);
    loop_timer_init(&d->timer, d->route->loop, produce_again, d);
    d->has_timer = true;
    loop_timer_set_ms(&d->timer, BACKOFF_PRODUCE_MS);
}

static void parked(struct ledger_op *op)
{
    struct delivery *d = op->arg;
    if (op->cancelled) {
        delivery_drop(d);
        return;
    }
    CRASH_POINT("finish");
    d->holds_claim = false;
    if (op->code == LEDGER_REFUSED &&
        d->source == LEDGER_SOURCE) { /* a tier's new copy is durable all the same */
        delivery_wait(d, WAIT_PARK_FULL, REFUSED_WAIT_MS);
        return;
    }
    if (op->code == LEDGER_DONE || delivery_unwanted(d))
        delivery_settle(d);
    else
        twins_park(d);
}

static void tier_written(struct delivery *d)
{
    struct copy_job *job = d->copy;
    char label[STR_DURATION_MAX];
    if (job->msg.result == PRODUCE_CANCELLED) {
        delivery_drop(d);
        return;
    }
    if (job->msg.result != PRODUCE_ACKED) {
        write_failed(d);
        return;
    }
    CRASH_POINT("produce-acknowledged");
    d->hop++;
    d->tier_ms = job->tier_ms;
    d->copy_offset = job->msg.offset;
    str_from_duration_ms(job->tier_ms, label);
    route_metrics_retry(&d->route->metrics, label);
    if (!d->route->uses_ledger) {
        delivery_settle(d);
        return;
    }
    step_begin(d, DELIVERY_FINISHING);
    d->op.verb = LEDGER_FINISH;
    d->op.fact = PLANTED("seen-without-parked") ? LEDGER_SUCCEEDED : LEDGER_PARKED;
    d->op.keep_claim = d->ambiguous && d->purpose == COPY_TO_TIER_FAILED;
    d->op.hop = d->hop;
    d->op.tier = d->tier_ms;
    d->op.copy_offset = d->copy_offset;
    d->op.done = parked;
    ledger_submit(d->route->worker->ledger, &d->op);
}

static void to_tier(struct delivery *d, enum copy_purpose purpose, int32_t tier_ms,
                    int64_t not_before_ms)
{
    slot_free(d);
    d->purpose = purpose;
    if (d->lane && purpose != COPY_TO_TIER_FOLLOWER)
        d->lane->drain = false; /* the key's head is parked again */
    step_begin(d, DELIVERY_PRODUCING);
    if (PLANTED("settle-before-ack"))
        delivery_settle_offset(d);
    copy_to_tier(d, tier_ms, not_before_ms, tier_written);
}

void park_failed(struct delivery *d)
{
    to_tier(d, COPY_TO_TIER_FAILED, copy_next_tier(d), 0);
}

void park_later(struct delivery *d, int64_t wait_ms)
{
    to_tier(d, COPY_TO_TIER_LATER, copy_tier_for_wait(d, wait_ms), clock_wall_ms_after(wait_ms));
}

void park_again(struct delivery *d)
{
    to_tier(d, COPY_TO_TIER_LATER, copy_same_tier(d, d->tier_ms), d->not_before_wall_ms);
}

/* Where the route has no tiers any more, a copy goes round in the one that it came from. */
void park_follower(struct delivery *d, int32_t head_tier)
{
    bool tiers = d->route->config->retry.tier_count > 0;
    to_tier(d, COPY_TO_TIER_FOLLOWER, tiers ? copy_same_tier(d, head_tier) : d->tier_ms, 0);
}

static void dead_letter_is_safe(struct delivery *d)
{
    route_metrics_dead_letter(&d->route->metrics, d->copy->code);
    if (d->bad_copy) { /* its rank is not to be believed: the ledger hears nothing of it */
        delivery_settle(d);
        return;
    }
    if (d->route->config->dead_letter.on_key != POLICY_BLOCK_KEY) {
        delivery_finish(d, LEDGER_GIVEN_UP);
        return;
    }
    d->op.tier = copy_tier_for_wait(d, INT64_MAX);
    d->op.copy_offset = d->copy->msg.offset > 0 ? d->copy->msg.offset : 0; /* -1: in the spool */
    delivery_finish(d, LEDGER_BLOCKING);
}

static void dlq_spooled(struct delivery *d)
{
    struct copy_job *job = d->copy;
    if (job->spool.result != SPOOL_OK) {
        job->spool_failed = true;
        write_failed(d);
        return;
    }
    CRASH_POINT("spooled");
    log_warn("dead_letter_spooled", LOG_STR("route", d->route->config->name),
             LOG_STR("code", job->code), LOG_SLICE("topic", d->origin.topic),
             LOG_INT("partition", d->origin.partition), LOG_INT("offset", d->origin.offset),
             LOG_STR("dlq", job->msg.topic), LOG_STR("error", job->msg.err.text), LOG_END);
    dead_letter_is_safe(d);
}

static void dlq_written(struct delivery *d)
{
    struct copy_job *job = d->copy;
    if (job->msg.result == PRODUCE_CANCELLED) {
        delivery_drop(d);
        return;
    }
    if (job->msg.result != PRODUCE_ACKED) {
        if (spooling_wanted(d))
            spooling_put(d, dlq_spooled);
        else
            write_failed(d);
        return;
    }
    CRASH_POINT("produce-acknowledged");
    log_warn("dead_letter", LOG_STR("route", d->route->config->name), LOG_STR("code", job->code),
             LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
             LOG_INT("offset", d->origin.offset), LOG_STR("dlq", job->msg.topic),
             LOG_INT("dlq_offset", job->msg.offset), LOG_END);
    dead_letter_is_safe(d);
}

void park_dead_letter(struct delivery *d, const char *code, const char *detail, int http_status)
{
    struct route *route = d->route;
    int64_t now_ms = clock_wall_ms();
    slot_free(d);
    if (!flood_admits(&route->flood, route_now_ms(route))) {
        route_hold(route, HOLD_FLOOD,
                   "dead-letter-flood: too large a share of the records would become dead letters");
        if (!d->once) { /* else it has no way back */
            delivery_release(d, delivery_put_back);
            return;
        }
    }
    (void)copy_note(d, code, detail, http_status);
    if (d->first_failed_at_ms == 0)
        d->first_failed_at_ms = now_ms;
    d->last_failed_at_ms = now_ms;
    d->purpose = COPY_TO_DLQ;
    step_begin(d, DELIVERY_PRODUCING);
    copy_to_dlq(d, dlq_written);
}
