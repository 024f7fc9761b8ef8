/*
 * Claims; see claim.h.
 * Invariants: a claim is asked for only while a slot is held; every answer leads to exactly one of:
 * deliver, settle, park, dead letter, wait and claim again, drop. Must not: look at handler
 * answers.
 */
#include "flow/claim.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "flow/assign.h"
#include "flow/attempt.h"
#include "flow/backoff.h"
#include "flow/copy.h"
#include "flow/once.h"
#include "flow/park.h"
#include "flow/part.h"
#include "flow/redriven.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/topics.h"
#include "flow/twins.h"
#include "flow/worker_state.h"

/* The lease outlives the handler's deadline by this: the time that a late finish may take. */
#define LEASE_MARGIN_MS   5000
#define PARK_FULL_WAIT_MS 1000
#define FENCED_WAIT_MS    1000 /* claim_unfenced ends it earlier */

/* What passes between a claim's answer and the start of the attempt. */
#define START_MS 100

static void claimed(struct ledger_op *op);

uint32_t claim_keep_ms(const struct route *route)
{
    const struct route_config *config = route->config;
    int64_t lease = config->handler.timeout_ms + LEASE_MARGIN_MS, session;
    if (config->ordering != ORDERING_KEY || config->dedup.rule.kind != IDENTITY_SEQUENCE ||
        config->dedup.scope == SCOPE_ROUTE || config->dedup.mode == DEDUP_OBSERVE ||
        config->delivery == DELIVERY_AT_MOST_ONCE)
        return 0;
    session = kafka_consumer_session_timeout_ms(route->consumer);
    if (lease > session)
        lease = session;
    return lease > config->handler.timeout_ms + START_MS ? (uint32_t)lease : 0;
}

static void granted(struct delivery *d)
{
    if (d->route->config->delivery == DELIVERY_AT_MOST_ONCE)
        once_begin(d);
    else
        attempt_start(d);
}

void claim_start(struct delivery *d)
{
    const struct route_config *config = d->route->config;
    struct ledger_op *op = &d->op;
    if (!d->route->uses_ledger) {
        metric_add(d->route->metrics.unchecked, 1);
        granted(d);
        return;
    }
    if (d->part->fence != PART_FENCE_HELD && !d->part->gone) {
        delivery_wait(d, WAIT_FENCED, FENCED_WAIT_MS);
        return;
    }
    step_begin(d, DELIVERY_CLAIMING);
    d->ambiguous = false;
    op->verb = LEDGER_CLAIM;
    op->source = d->twin ? LEDGER_TIER : d->source; /* a twin speaks for its copy */
    op->hop = d->hop;
    op->lease_ms = (uint32_t)(config->handler.timeout_ms + LEASE_MARGIN_MS);
    op->cover_ms = d->route->keep_ms ? (uint32_t)config->handler.timeout_ms + START_MS : 0;
    op->observe = config->dedup.mode == DEDUP_OBSERVE || d->deliver_outdated;
    op->done = claimed;
    ledger_submit(d->route->worker->ledger, op);
}

void claim_unfenced(struct route *route)
{
    struct delivery *d;
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        if (d->state == DELIVERY_WAITING && d->wait == WAIT_FENCED &&
            d->part->fence == PART_FENCE_HELD)
            loop_timer_set_ms(&d->timer, 0);
    }
}

static void end_probe(struct delivery *d)
{
    if (!d->probe)
        return;
    d->probe = false;
    breaker_probe_void(d->route->breaker);
    route_pump(d->route);
}

/* Proof that the head's copy is gone: the settled watermark of its tier partition, which we own, is
 * beyond it. */
static bool has_ghost_evidence(const struct delivery *d, const struct ledger_op *op)
{
    const struct route_tier *tier;
    if (d->topic->tier_count == 0)
        return false;
    tier = route_topic_tier(d->topic, op->head_tier);
    if (d->route->config->dedup.scope == SCOPE_ROUTE && d->route->topic_count > 1)
        return false; /* the head may be another topic's, with another tier partition */
    if (!op->head_expired || tier->ms != op->head_tier || tier->partitions <= 0)
        return false;
    return part_tier_watermark(d->route, d->topic, op->head_tier,
                               d->origin.partition % tier->partitions) > op->head_offset;
}

/* The lane's source records wait until one of the key was finished, or for a while. */
static void hold_source(struct delivery *d)
{
    d->lane->source_held = true;
    delivery_put_back(d);
    route_unhold_sources_later(d->route);
}

static void behind_head(struct delivery *d, const struct ledger_op *op, bool had_evidence)
{
    end_probe(d);
    d->lane->blocked = op->head_blocks;
    if (!had_evidence && has_ghost_evidence(d, op)) {
        d->op.has_ghost = true;
        d->op.ghost_tier = op->head_tier;
        d->op.ghost_offset = op->head_offset;
        claim_start(d);
        return;
    }
    if (d->twin) { /* some earlier one is not in memory: its copy brings it */
        d->lane->drain = false;
        delivery_put_back(d);
        return;
    }
    if (d->source == LEDGER_SOURCE && d->route->config->retry.tier_count == 0) {
        hold_source(d); /* left from when the route had tiers: their copies come first */
        return;
    }
    /* A dead letter waits for a person: what comes behind it is copied as seldom as can be. */
    park_follower(d, op->head_blocks ? copy_tier_for_wait(d, INT64_MAX) : op->head_tier);
}

static void park_full(struct delivery *d)
{
    end_probe(d);
    d->lane->blocked = d->op.head_blocks;
    if (d->route->config->parked.on_full == POLICY_DEAD_LETTER && d->source == LEDGER_SOURCE) {
        park_dead_letter(d, "parked-full", "the key's parked list is at its cap", 0);
        return;
    }
    if (d->source != LEDGER_SOURCE) {
        delivery_wait(d, WAIT_PARK_FULL, PARK_FULL_WAIT_MS);
        return;
    }
    hold_source(d);
}

static void fenced(struct delivery *d)
{
    metric_add(d->route->metrics.fenced, 1);
    end_probe(d);
    if (!d->part->gone)
        assign_prove(d->part);
    delivery_wait(d, WAIT_FENCED, FENCED_WAIT_MS);
}

static void outdated(struct delivery *d)
{
    end_probe(d);
    switch (d->route->config->dedup.on_superseded) {
    case POLICY_DELIVER:
        d->deliver_outdated = true;
        claim_start(d);
        break;
    case POLICY_DEAD_LETTER:
        park_dead_letter(d, "outdated", "a higher version of the key is done", 0);
        break;
    default:
        if (d->source == LEDGER_SOURCE && !d->twin)
            delivery_settle(d);
        else
            delivery_finish(
                d, LEDGER_GIVEN_UP); /* else its parked entry would stay the key's head for ever */
    }
}

static void duplicate(struct delivery *d, enum ledger_code code)
{
    end_probe(d);
    if (d->lane && d->source != LEDGER_SOURCE) {
        d->lane->drain = true;
        if (code == LEDGER_DUP)
            twins_forget(d->lane, d);
    }
    if (d->redriven) {
        slot_free(d);
        if (redriven_before_settle(d, code, delivery_settle))
            return;
    }
    delivery_settle(d);
}

/* Redis lost the end of a record that this process has finished: it is told again. */
static bool finish_again(struct delivery *d)
{
    enum ledger_fact fact;
    if (!ledger_knows_done(d->route->worker->ledger, &d->op, &fact))
        return false;
    end_probe(d);
    delivery_finish(d, fact);
    return true;
}

static void indeterminate(struct delivery *d)
{
    if (finish_again(d))
        return;
    d->indeterminate = true;
    if (d->route->config->dedup.on_indeterminate == POLICY_DEAD_LETTER) {
        end_probe(d);
        park_dead_letter(d, "indeterminate", "the ledger cannot tell whether it was done", 0);
        return;
    }
    granted(d);
}

static void corrupt(struct delivery *d)
{
    log_error(
        "ledger_state_unreadable", LOG_STR("route", d->route->config->name),
        LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
        LOG_INT("offset", d->origin.offset),
        LOG_STR("hint",
                "see the key with `oncegate ledger get`, mend it with `oncegate ledger reset`"),
        LOG_END);
    end_probe(d);
    park_dead_letter(d, "ledger-unreadable", "the key's state in the ledger cannot be read", 0);
}

/* As this process knows, an earlier record of the key is parked; a twin itself is never asked. */
static bool overtakes_twin(const struct delivery *d)
{
    const struct delivery *twin = d->lane && !d->twin ? TAILQ_FIRST(&d->lane->twins) : NULL;
    if (!twin || !d->route->uses_ledger || d->source == LEDGER_REDRIVE)
        return false;
    return d->source == LEDGER_SOURCE || (twin->origin.partition == d->origin.partition &&
                                          twin->origin.offset < d->origin.offset);
}

/*
 * A record may go though earlier ones of its key are parked: Redis lost writes (or others finished
 * them). It hears again what is parked, before the claim is asked for anew.
 */
static void go(struct delivery *d)
{
    if (!overtakes_twin(d)) {
        if (!finish_again(d))
            granted(d);
        return;
    }
    end_probe(d);
    twins_repark(d->lane);
    delivery_release(d, delivery_put_back);
}

static void count_verdict(struct delivery *d, const struct ledger_op *op)
{
    struct route_metrics *m = &d->route->metrics;
    metric_add(m->verdicts[op->code], 1);
    if (op->observe && op->would_code != op->code)
        metric_add(m->would[op->would_code], 1);
}

static void act(struct delivery *d, const struct ledger_op *op, bool had_evidence)
{
    switch (op->code) {
    case LEDGER_GO:
        go(d);
        break;
    case LEDGER_INDETERMINATE:
        indeterminate(d);
        break;
    case LEDGER_STALE:
        if (d->source == LEDGER_SOURCE && !d->twin)
            park_dead_letter(d, "stale-epoch", "the key has a newer epoch", 0);
        else
            granted(d);
        break;
    case LEDGER_BLOCKED:
    case LEDGER_NOT_HEAD:
        behind_head(d, op, had_evidence);
        break;
    case LEDGER_BUSY:
        end_probe(d);
        delivery_wait(d, WAIT_BUSY, backoff_busy_ms(op->busy_ms));
        break;
    case LEDGER_PARK_FULL:
        park_full(d);
        break;
    case LEDGER_FENCED:
        fenced(d);
        break;
    case LEDGER_OUTDATED:
        outdated(d);
        break;
    case LEDGER_CORRUPT:
        corrupt(d);
        break;
    default: /* DUP, DUP_PARKED, SUPERSEDED, MOVED_ON */
        duplicate(d, op->code);
    }
}

/* A duplicate that was not read again: perhaps its producer counts from the beginning again. */
static void number_used_again(struct delivery *d, const struct ledger_op *op)
{
    struct route *route = d->route;
    struct used_number used = {.number = op->number, .behind = op->behind};
    uint64_t now_ms = route_now_ms(route), count;
    if (!route->restarts || !d->lane)
        return;
    used.key = d->lane->hash ^ op->epoch * UINT64_C(0x9e3779b97f4a7c15) ^
               (uint64_t)d->topic->lane_scope << 56;
    used.is_resent = d->is_resent;
    if (!restarts_suspect(route->restarts, &used, now_ms))
        return;
    metric_add(route->metrics.restarts, 1);
    if ((count = restarts_to_tell(route->restarts, now_ms)) == 0)
        return;
    log_error("numbers_used_again", LOG_STR("route", route->config->name),
              LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
              LOG_INT("offset", d->origin.offset), LOG_SLICE("key", watchdog_shown_key(route, d)),
              LOG_UINT("number", op->number), LOG_UINT("last", op->number + (op->behind - 1)),
              LOG_UINT("records", count),
              LOG_STR("why", "a producer seems to count from the beginning again without a new "
                             "epoch: its records are taken for duplicates and not delivered"),
              LOG_STR("hint", "give its records an epoch (dedup.epoch); where the key's past does "
                              "not matter, forget it with `oncegate ledger reset`"),
              LOG_END);
}

bool claim_may_deliver(const struct delivery *d)
{
    return route_delivers(d->route) &&
           (d->probe || breaker_state(d->route->breaker) == BREAKER_CLOSED);
}

/* Planted faults: answers that are taken for GO; and one that has its record marked done before it
 * is delivered, which true is for: the mark is on its way, and its answer comes here again. */
static bool plant(struct delivery *d, struct ledger_op *op)
{
    bool marked = PLANTED("mark-first") && op->verb == LEDGER_FINISH;
    if (PLANTED("mark-first") && op->verb == LEDGER_CLAIM && op->code == LEDGER_GO) {
        op->verb = LEDGER_FINISH;
        op->fact = LEDGER_SUCCEEDED;
        ledger_submit(d->route->worker->ledger, op);
        return true;
    }
    if (marked || (PLANTED("no-fence") && op->code == LEDGER_FENCED) ||
        (PLANTED("no-lease-wait") && op->code == LEDGER_BUSY)) {
        op->code = LEDGER_GO;
        op->lease_deadline_ns = clock_mono_ns() + op->lease_ms * (uint64_t)NS_PER_MS;
    }
    return false;
}

static void claimed(struct ledger_op *op)
{
    struct delivery *d = op->arg;
    if (!op->cancelled && plant(d, op))
        return;
    bool held = op->code == LEDGER_GO || op->code == LEDGER_INDETERMINATE ||
                op->code == LEDGER_STALE;
    bool had_evidence = op->has_ghost;
    CRASH_POINT("claim");
    if (op->cancelled) {
        delivery_drop(d);
        return;
    }
    op->has_ghost = false;
    if (had_evidence && d->lane && op->code != LEDGER_FENCED && op->code != LEDGER_CORRUPT)
        twins_rescue(d->lane, op->ghost_tier, op->ghost_offset);
    d->holds_claim = held;
    d->lease_deadline_ns = op->lease_deadline_ns;
    count_verdict(d, op);
    if (op->code == LEDGER_DUP && op->behind > 0)
        number_used_again(d, op);
    if (delivery_unwanted(d) || (held && !claim_may_deliver(d))) {
        bool proven = op->code == LEDGER_DUP || op->code == LEDGER_DUP_PARKED ||
                      op->code == LEDGER_SUPERSEDED;
        end_probe(d);
        if (proven && !d->redriven)
            delivery_settle(d);
        else
            delivery_release(d, delivery_put_back);
        return;
    }
    act(d, op, had_evidence);
}
