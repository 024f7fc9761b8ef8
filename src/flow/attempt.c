/*
 * Attempts; see attempt.h.
 * Invariants: an attempt starts only if its whole timeout fits into the lease; an ambiguous failure
 * is never retried inline and leaves its claim to lapse; while the breaker is open a failure spends
 * nothing and nothing is given up. Must not: write copies itself (park.c does).
 */
#include "flow/attempt.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/backoff.h"
#include "flow/batch.h"
#include "flow/claim.h"
#include "flow/copy.h"
#include "flow/park.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/worker_state.h"
#include "handler/classify.h"

/* A Retry-After up to this waits in the lane; a longer one parks the record. */
#define RETRY_AFTER_INLINE_MS 5000

/* The attempt on the wire; used again, a route has at most max_in_flight of them. */
struct attempt {
    struct handler_call call;
    struct buf head;
    uint64_t started_ns;
    SLIST_ENTRY(attempt) in_spare;
};

static void answered(struct handler_call *call);

static struct attempt *attempt_take(struct worker *worker)
{
    struct attempt *attempt = SLIST_FIRST(&worker->spare_attempts);
    if (attempt)
        SLIST_REMOVE_HEAD(&worker->spare_attempts, in_spare);
    else
        attempt = mem_zalloc(sizeof(*attempt));
    buf_reset(&attempt->head);
    return attempt;
}

void attempt_free_spares(struct worker *worker)
{
    struct attempt *attempt;
    while ((attempt = SLIST_FIRST(&worker->spare_attempts)) != NULL) {
        SLIST_REMOVE_HEAD(&worker->spare_attempts, in_spare);
        buf_deinit(&attempt->head);
        mem_free(attempt);
    }
}

void attempt_cancel_all(struct route *route)
{
    struct delivery *d, *next;
    if (route->batches) {
        batch_cancel_all(route);
        return;
    }
    for (d = TAILQ_FIRST(&route->all); d; d = next) {
        next = TAILQ_NEXT(d, in_route);
        if (d->attempt_now)
            handler_client_cancel(route->client, &d->attempt_now->call);
    }
}

bool attempt_is_covered(const struct delivery *d, uint64_t now_ns)
{
    uint64_t timeout_ns = (uint64_t)d->route->config->handler.timeout_ms * NS_PER_MS;
    return !d->route->uses_ledger || d->once || now_ns + timeout_ns <= d->lease_deadline_ns;
}

void attempt_describe(const struct delivery *d, int64_t deadline_wall_ms,
                      struct request_facts *facts)
{
    *facts = (struct request_facts){.rec = &d->rec,
                                    .origin = &d->origin,
                                    .identity = &d->identity,
                                    .attempt = d->attempt + 1,
                                    .deadline_wall_ms = deadline_wall_ms,
                                    .indeterminate = d->indeterminate,
                                    .redrive_id = d->redrive_id};
}

void attempt_begin(struct delivery *d)
{
    step_begin(d, DELIVERY_HANDLING);
    d->attempt++;
}

void attempt_start(struct delivery *d)
{
    struct route *route = d->route;
    struct attempt *attempt;
    struct request_facts facts;
    int64_t timeout_ms = route->config->handler.timeout_ms;
    uint64_t now = clock_mono_ns();
    if (route->batches) {
        batch_add(d);
        return;
    }
    if (!attempt_is_covered(d, now)) {
        claim_start(
            d); /* the answer came too late for a whole attempt: anew, with the same token */
        return;
    }
    attempt_describe(d, loop_wall_ms(route->loop) + timeout_ms, &facts);
    attempt_begin(d);
    attempt = d->attempt_now = attempt_take(route->worker);
    request_write(route->template, &facts, &attempt->head);
    attempt->started_ns = now;
    attempt->call.head = buf_slice(&attempt->head);
    attempt->call.body = d->rec.value;
    attempt->call.deadline_ns = now + (uint64_t)timeout_ms * NS_PER_MS;
    attempt->call.done = answered;
    attempt->call.arg = d;
    metric_gauge_add(route->metrics.handler_in_flight, 1);
    if (d->twin)
        metric_add(route->metrics.twin_deliveries, 1);
    handler_client_send(route->client, &attempt->call, now);
}

/* Back to where it stood, as if this attempt had not been: the handler, not the record, is to
 * blame. */
static void hold_back(struct delivery *d)
{
    uint64_t now = clock_mono_ns();
    if (d->attempt > 0)
        d->attempt--;
    if (d->ambiguous && d->lease_deadline_ns > now) {
        d->holds_claim = false;
        delivery_wait(d, WAIT_HELD, (int64_t)((d->lease_deadline_ns - now) / NS_PER_MS) + 1);
        return;
    }
    delivery_release(d, delivery_put_back);
}

static void wait_inline(struct delivery *d)
{
    uint64_t now = clock_mono_ns();
    int64_t ms = backoff_inline_ms(&d->route->config->retry, d->inline_retries++);
    if (d->ambiguous && d->lease_deadline_ns > now) { /* only ordering: partition comes here */
        int64_t lease = (int64_t)((d->lease_deadline_ns - now) / NS_PER_MS) + 1;
        ms = lease > ms ? lease : ms;
        d->holds_claim = false;
    }
    delivery_wait(d, WAIT_INLINE, ms);
}

static void wait_retry_after(struct delivery *d)
{
    delivery_wait(d, WAIT_RETRY_AFTER, d->retry_after_ms + 1);
}

static bool gives_up(const struct delivery *d, int64_t now_ms)
{
    int64_t age = now_ms - d->first_failed_at_ms -
                  stops_within(&d->route->stops, d->first_failed_at_ms, now_ms);
    return age >= d->route->config->retry.give_up_after_ms;
}

static bool may_retry_inline(const struct delivery *d)
{
    const struct route_config *config = d->route->config;
    if (config->ordering == ORDERING_PARTITION && d->source == LEDGER_SOURCE)
        return true;
    return !d->ambiguous && !d->failed_visit &&
           d->inline_retries < config->retry.inline_max_retries;
}

static void give_up(struct delivery *d, const char *why)
{
    log_warn("record_given_up", LOG_STR("route", d->route->config->name), LOG_STR("why", why),
             LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
             LOG_INT("offset", d->origin.offset), LOG_UINT("attempt", d->attempt), LOG_END);
    park_dead_letter(d, NULL, NULL, d->copy ? d->copy->http_status : 0);
}

static void retry(struct delivery *d, const struct verdict *verdict)
{
    int64_t now_ms = clock_wall_ms();
    if (d->first_failed_at_ms == 0)
        d->first_failed_at_ms = now_ms;
    d->last_failed_at_ms = now_ms;
    if (!verdict->spends_attempt && d->attempt > 0)
        d->attempt--;
    if (gives_up(d, now_ms)) {
        give_up(d, "give_up_after passed");
    } else if (verdict->retry_after_ms >= 0 && verdict->retry_after_ms <= RETRY_AFTER_INLINE_MS) {
        d->retry_after_ms = verdict->retry_after_ms;
        delivery_release(d, wait_retry_after);
    } else if (verdict->retry_after_ms >= 0 &&
               (d->route->config->retry.tier_count == 0 || d->source == LEDGER_REDRIVE)) {
        d->retry_after_ms = verdict->retry_after_ms; /* it has no other place to wait */
        delivery_release(d, wait_retry_after);
    } else if (may_retry_inline(d) && verdict->retry_after_ms < 0) {
        delivery_release(d, wait_inline);
    } else if (d->source == LEDGER_REDRIVE || d->route->config->retry.tier_count == 0) {
        give_up(d, "no tier to go to");
    } else if (verdict->retry_after_ms >= 0) {
        park_later(d, verdict->retry_after_ms);
    } else {
        park_failed(d);
    }
}

void attempt_tell_breaker(struct delivery *d, const struct verdict *verdict)
{
    struct route *route = d->route;
    uint64_t hash = d->lane ? d->lane->hash : 0;
    bool changed = false, probe = d->probe;
    d->probe = false;
    if (verdict->breaker)
        changed = breaker_failure(route->breaker, hash, route_now_ms(route));
    else if (verdict->outcome != OUTCOME_RETRY)
        changed = breaker_success(route->breaker);
    else if (probe)
        breaker_probe_void(route->breaker);
    if (changed)
        route_breaker_changed(route);
    if (probe)
        route_pump(route);
}

static void count_ended(struct delivery *d, uint64_t ended_ns)
{
    flood_ended(&d->route->flood, ended_ns / NS_PER_MS);
}

static void act(struct delivery *d, const struct attempt_end *end)
{
    const struct handler_answer *answer = end->answer;
    const struct verdict *verdict = end->verdict;
    if (verdict->outcome == OUTCOME_RETRY && verdict->breaker && !end->lonely_probe &&
        breaker_state(d->route->breaker) != BREAKER_CLOSED) {
        hold_back(d);
        return;
    }
    switch (verdict->outcome) {
    case OUTCOME_SUCCESS:
        count_ended(d, end->ended_ns);
        delivery_finish(d, LEDGER_SUCCEEDED);
        break;
    case OUTCOME_DROP:
        count_ended(d, end->ended_ns);
        delivery_finish(d, LEDGER_GIVEN_UP);
        break;
    case OUTCOME_RETRY:
        (void)copy_note(d, verdict->code, answer->detail, answer->status);
        retry(d, verdict);
        break;
    case OUTCOME_DEAD_LETTER:
        park_dead_letter(d, verdict->code, answer->detail, answer->status);
        break;
    case OUTCOME_PAUSE:
        route_hold(d->route, HOLD_HANDLER, "the handler answered `pause`");
        hold_back(d);
        break;
    }
}

/* At most once: there is no other attempt, whatever the reason, nor another owner to take it up. */
static void act_once(struct delivery *d, const struct attempt_end *end)
{
    const struct handler_answer *answer = end->answer;
    const struct verdict *verdict = end->verdict;
    if (verdict->outcome == OUTCOME_SUCCESS || verdict->outcome == OUTCOME_DROP) {
        count_ended(d, end->ended_ns);
        delivery_finish(d,
                        verdict->outcome == OUTCOME_SUCCESS ? LEDGER_SUCCEEDED : LEDGER_GIVEN_UP);
        return;
    }
    if (verdict->outcome == OUTCOME_PAUSE)
        route_hold(d->route, HOLD_HANDLER, "the handler answered `pause`");
    park_dead_letter(d, verdict->code, answer->detail, answer->status);
}

/* A late answer, after the partition went away: the fact counts, a failure is somebody else's to
 * retry. */
static void act_unwanted(struct delivery *d, const struct verdict *verdict)
{
    if (verdict->outcome == OUTCOME_SUCCESS)
        delivery_finish(d, LEDGER_SUCCEEDED);
    else if (verdict->outcome == OUTCOME_DROP)
        delivery_finish(d, LEDGER_GIVEN_UP);
    else
        delivery_release(d, delivery_drop);
}

bool attempt_is_lonely_probe(const struct delivery *d)
{
    return d->probe && d->route->delivery_count == 1;
}

void attempt_ended(struct delivery *d, const struct attempt_end *end)
{
    d->ambiguous = end->verdict->ambiguous;
    metric_add(d->route->metrics.deliveries[end->verdict->outcome], 1);
    if (d->once)
        act_once(d, end);
    else if (delivery_unwanted(d))
        act_unwanted(d, end->verdict);
    else
        act(d, end);
}

static void answered(struct handler_call *call)
{
    struct delivery *d = call->arg;
    struct route *route = d->route;
    struct attempt *attempt = d->attempt_now;
    struct verdict verdict;
    struct attempt_end end = {&verdict, &call->answer, call->ended_ns, attempt_is_lonely_probe(d)};
    CRASH_POINT("answer");
    classify_answer(route->config, &call->answer, &verdict);
    d->attempt_now = NULL;
    metric_gauge_add(route->metrics.handler_in_flight, -1);
    metric_observe(route->metrics.handler_seconds,
                   (double)(call->ended_ns - attempt->started_ns) / 1e9);
    if (call->answer.cancelled) {
        d->ambiguous = true;
        delivery_drop(d);
    } else {
        attempt_tell_breaker(d, &verdict);
        attempt_ended(d, &end);
    }
    SLIST_INSERT_HEAD(&route->worker->spare_attempts, attempt, in_spare);
}
