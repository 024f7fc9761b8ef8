/*
 * A route's life: find the topics, meet them in the ledger, join, run, drain, leave; and the pump
 * that gives free slots to ready lanes. Invariants: a slot is one delivery that is claiming, at the
 * handler, or delivered and not yet recorded by the ledger; while the breaker is open one probe at
 * a time goes out; a held route keeps polling and keeps its partitions. Must not: know what a
 * delivery does with its slot (intake.c, claim.c, attempt.c, park.c do).
 */
#include "flow/route.h"
#include "flow/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "flow/aging.h"
#include "flow/assign.h"
#include "flow/attempt.h"
#include "flow/batch.h"
#include "flow/intake.h"
#include "flow/lift.h"
#include "flow/marks.h"
#include "flow/meet.h"
#include "flow/missing.h"
#include "flow/once.h"
#include "flow/rebuild.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/topics.h"
#include "flow/watchdog.h"
#include "flow/worker_state.h"

/* What `topics apply` made a moment ago may not be in every broker's metadata yet. */
#define TOPICS_GRACE_MS   3000
#define START_SOON_MS     500
#define START_AGAIN_MS    2000
#define LAG_EVERY_MS      1000
#define TRY_BLOCKED_TICKS 3
#define PREFETCH_MIN      (UINT64_C(4) << 20)
#define PROBED_PER_PUMP   512
#define PROBE_AGAIN_MS    250
/* Whose parked list has room by what another member finished. */
#define UNHOLD_MS        1000
#define UNHOLD_JITTER_MS 250

const char *route_name(const struct route *route)
{
    return route->config->name;
}

/* ---- delivering or not ---- */

void route_note_stops(struct route *route)
{
    bool stopped = route->holds != 0 || breaker_state(route->breaker) != BREAKER_CLOSED ||
                   rebuild_running(route);
    stops_set(&route->stops, stopped, clock_wall_ms());
}

void route_hold(struct route *route, enum route_hold hold, const char *why)
{
    if (route->holds & hold)
        return;
    route->holds |= hold;
    snprintf(route->hold_why[__builtin_ctz(hold)], sizeof(route->hold_why[0]), "%s", why);
    log_warn("route_held", LOG_STR("route", route->config->name), LOG_STR("why", why),
             LOG_STR("hint", hold & (HOLD_FLOOD | HOLD_HANDLER)
                                 ? "look at the cause, then `oncegate route resume`"
                                 : ""),
             LOG_END);
    if (hold & (HOLD_FLOOD | HOLD_HANDLER))
        ledger_set_hold(route->worker->ledger, route->config->name, true, why, NULL, NULL);
    route_note_stops(route);
}

void route_unhold(struct route *route, unsigned holds)
{
    if (!(route->holds & holds))
        return;
    route->holds &= ~holds;
    if (holds != HOLD_MEETING)
        log_info("route_resumed", LOG_STR("route", route->config->name),
                 LOG_BOOL("still_held", route->holds != 0), LOG_END);
    route_note_stops(route);
    route_pump(route);
}

void route_held(struct route *route, bool held, const char *by)
{
    bool first = (route->holds & HOLD_UNREAD) != 0;
    route->holds &= ~(unsigned)HOLD_UNREAD;
    route_note_stops(route);
    if (held) {
        if (!(route->holds & (HOLD_FLOOD | HOLD_HANDLER)))
            route_hold(route, HOLD_PERSON, by);
        return;
    }
    if (first) {
        route_pump(route);
        return;
    }
    flood_reset(&route->flood);
    if (breaker_state(route->breaker) != BREAKER_CLOSED) {
        breaker_reset(route->breaker);
        route_breaker_changed(route);
    }
    route_unhold(route, HOLD_PERSON | HOLD_FLOOD | HOLD_HANDLER);
}

void route_ledger_available(struct route *route, bool up, const char *why)
{
    if (!route->uses_ledger)
        return;
    if (up)
        route_unhold(route, HOLD_LEDGER);
    else
        route_hold(route, HOLD_LEDGER, why);
}

void route_ledger_wiped(struct route *route)
{
    log_error("ledger_wiped", LOG_STR("route", route->config->name),
              LOG_STR("then", "records that were done may be delivered again"), LOG_END);
    assign_remark(route);
    rebuild_ledger_wiped(route);
}

/* The records whose inline retries fell into the run that opened it begin anew: the handler was to
 * blame. */
static void refund(struct route *route)
{
    struct delivery *d;
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        if (d->state != DELIVERY_WAITING || d->wait != WAIT_INLINE || d->failed_visit)
            continue;
        d->attempt = 0;
        d->inline_retries = 0;
        d->first_failed_at_ms = 0;
    }
}

void route_breaker_changed(struct route *route)
{
    static const char *const names[] = {"closed", "open", "suspect-poison"};
    enum breaker_state state = breaker_state(route->breaker);
    log_warn("breaker", LOG_STR("route", route->config->name), LOG_STR("state", names[state]),
             LOG_END);
    metric_set(route->metrics.breaker_open, state == BREAKER_CLOSED ? 0 : 1);
    if (state == BREAKER_OPEN)
        refund(route);
    route_note_stops(route);
    route_pump(route);
}

/* ---- the pump ---- */

void route_pump(struct route *route)
{
    turns_ask(&route->worker->turns, &route->turn);
}

static void start_next(struct route *route, struct lane *lane, bool probe)
{
    struct delivery *d = lane_next(lane);
    if (!d) {
        if (probe)
            breaker_probe_void(route->breaker);
        lane_done(route->lanes, lane);
        return;
    }
    d->probe = probe;
    slot_take(d);
    intake_begin(d);
}

/* While the breaker is open: one key that was not probed yet; where every ready key was, the one
 * that waits longest. */
static void pump_probe(struct route *route)
{
    int64_t wait_ms = breaker_next_probe_ms(route->breaker, route_now_ms(route));
    size_t ready = lane_ready_count(route->lanes);
    struct lane *lane = NULL;
    if (wait_ms > 0) {
        loop_timer_set_ms(&route->probe_timer, wait_ms);
        return;
    }
    if (once_probe(route))
        return;
    for (size_t i = 0; i < ready && i < PROBED_PER_PUMP; i++) {
        lane = lane_pop_ready(route->lanes);
        if (breaker_try_probe(route->breaker, lane->hash, route_now_ms(route))) {
            start_next(route, lane, true);
            return;
        }
        lane_wake(route->lanes, lane);
    }
    loop_timer_set_ms(&route->probe_timer, PROBE_AGAIN_MS);
}

/* At most share; how many. */
static unsigned begin_some(void *arg, unsigned share)
{
    struct route *route = arg;
    unsigned begun = 0;
    once_pump(route);
    if (!route_delivers(route))
        return 0;
    if (breaker_state(route->breaker) != BREAKER_CLOSED) {
        pump_probe(route);
        intake_room_made(route);
        return 0;
    }
    while (begun < share && route->slots_used < route->slots) {
        struct lane *lane = lane_pop_ready(route->lanes);
        if (!lane)
            break;
        start_next(route, lane, false);
        begun++;
        if (!route_delivers(route) || breaker_state(route->breaker) != BREAKER_CLOSED)
            return begun;
    }
    if (begun == share)
        route_pump(route);
    intake_room_made(route);
    return begun;
}

static void probe_due(void *arg)
{
    route_pump(arg);
}

static void unhold_sources(void *arg)
{
    struct route *route = arg;
    lane_table_unhold_sources(route->lanes);
    route_pump(route);
}

void route_unhold_sources_later(struct route *route)
{
    if (!loop_timer_armed(&route->retry_timer))
        loop_timer_set_ms(&route->retry_timer, UNHOLD_MS + (int64_t)(random() % UNHOLD_JITTER_MS));
}

/* ---- starting ---- */

static void fail(struct route *route, const struct err *err)
{
    route->phase = ROUTE_FAILED;
    (void)str_copy(route->trouble, sizeof(route->trouble), slice_of(err->text));
    log_error("route_failed", LOG_STR("route", route->config->name), LOG_STR("error", err->text),
              LOG_END);
    route->worker->events.failed(route->worker->events.ctx, route->worker, err);
}

static void trouble(void *ctx, const struct err *err)
{
    struct route *route = ctx;
    if (err->fatal) {
        fail(route, err);
        return;
    }
    (void)str_copy(route->trouble, sizeof(route->trouble), slice_of(err->text));
}

static void made_again(void *ctx)
{
    const struct route *route = ctx;
    kafka_producer_renew(route->worker->producer);
}

static void readable(void *ctx)
{
    intake_wake(ctx);
}

/* The first failure should not wait for what can be known before. */
static void prepare_copies(struct route *route, const char *const *written, size_t count)
{
    struct kafka_producer *producer = route->worker->producer;
    for (size_t t = 0; t < route->topic_count; t++) {
        for (size_t i = 0; i < route->topics[t].tier_count; i++)
            kafka_producer_prepare(producer, route->topics[t].tiers[i].name);
    }
    for (size_t i = 0; i < count; i++)
        kafka_producer_prepare(producer, written[i]);
}

static void join(struct route *route)
{
    struct kafka_consumer_config config = {
        .config = route->worker->config, .route = route->config, .worker = route->worker->index};
    struct kafka_consumer_events events = {.ctx = route,
                                           .missing = missing_offsets,
                                           .assigned = assign_assigned,
                                           .revoked = assign_revoked,
                                           .readable = readable,
                                           .out_of_range = missing_out_of_range,
                                           .trouble = trouble,
                                           .made_again = made_again};
    struct err err = {0};
    uint64_t share = route->worker->config->process_bytes /
                     (2 * route->worker->config->workers * route->worker->config->route_count);
    config.topics = topics_subscription(route, &config.topic_count);
    config.written = topics_written(route, &config.written_count);
    config.prefetch_bytes = share > PREFETCH_MIN ? share : PREFETCH_MIN;
    prepare_copies(route, config.written, config.written_count);
    route->phase = ROUTE_JOINING;
    route->trouble[0] = '\0';
    route->consumer = kafka_consumer_new(route->loop, &config, &events, &err);
    mem_free(config.topics);
    mem_free(config.written);
    if (route->consumer)
        route->keep_ms = claim_keep_ms(route);
    else
        fail(route, &err);
}

static void make_scopes(struct route *route)
{
    const struct route_config *config = route->config;
    for (size_t t = 0; t < route->topic_count; t++) {
        struct ledger_scope_config scope = {
            .group = config->group,
            .topic = config->dedup.scope == SCOPE_ROUTE ? NULL : route->topics[t].name,
            .route = config->name,
            .kind = config->dedup.rule.kind,
            .ordered = config->ordering == ORDERING_KEY,
            .ttl_ms = config->dedup.ttl_ms,
            .ghost_ttl_ms = config->parked.ghost_ttl_ms,
            .parked_cap = config->parked.per_key};
        route->topics[t].scope = ledger_scope_new(route->worker->ledger, &scope);
    }
}

static void resolved(struct route *route, const struct err *err)
{
    if (route->phase != ROUTE_STARTING)
        return;
    if (err && (err->retriable || route_now_ms(route) - route->started_ms < TOPICS_GRACE_MS)) {
        (void)str_copy(route->trouble, sizeof(route->trouble), slice_of(err->text));
        log_warn("waiting_for_kafka", LOG_STR("route", route->config->name),
                 LOG_STR("error", err->text), LOG_END);
        loop_timer_set_ms(&route->start_timer, err->retriable ? START_AGAIN_MS : START_SOON_MS);
        return;
    }
    if (err) {
        fail(route, err);
        return;
    }
    join(route);
}

static void start_again(void *arg)
{
    route_start(arg);
}

void route_start(struct route *route)
{
    if (route->phase == ROUTE_STARTING)
        topics_resolve(route, resolved);
}

/* ---- figures that are read now and then ---- */

static void update_waiting(struct route *route)
{
    const struct route_topic *topic = &route->topics[0];
    for (size_t i = 0; route->topic_count > 0 && i < topic->tier_count; i++) {
        double waiting = 0;
        struct part *part;
        TAILQ_FOREACH(part, &route->parts, in_route)
        {
            int64_t high = kafka_consumer_high_watermark(route->consumer, part->kafka);
            int64_t open = high - watermark_offset(part->watermark);
            if (part->kind == PART_TIER && part->tier_ms == topic->tiers[i].ms && open > 0)
                waiting += (double)open;
        }
        route_metrics_waiting(&route->metrics, topic->tiers[i].label, waiting);
    }
}

/* Arrival is close enough to age: what was taken first of what is not settled. Twins are settled.
 */
static void update_oldest(struct route *route)
{
    const struct delivery *d;
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        if (!d->settled && d->rec.timestamp_ms > 0) {
            metric_set(route->metrics.oldest_unsettled, (double)d->rec.timestamp_ms / 1000.0);
            return;
        }
    }
    metric_omit(route->metrics.oldest_unsettled);
}

/* A person lets keys go elsewhere (`ledger release`): nobody tells us. */
static void try_blocked(struct route *route)
{
    if (route->config->dead_letter.on_key != POLICY_BLOCK_KEY ||
        route->lag_ticks++ % TRY_BLOCKED_TICKS != 0)
        return;
    metric_set(route->metrics.blocked_keys, (double)lane_table_try_blocked(route->lanes));
}

static void update_lag(void *arg)
{
    struct route *route = arg;
    struct part *part;
    loop_timer_set_ms(&route->lag_timer, LAG_EVERY_MS);
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        int64_t high = kafka_consumer_high_watermark(route->consumer, part->kafka);
        int64_t lag = high - watermark_offset(part->watermark);
        route_metrics_lag(&route->metrics, part->kafka->topic, (int)part->number,
                          lag > 0 ? (double)lag : 0, high >= 0);
    }
    update_waiting(route);
    watchdog_look(route);
    aging_look(route);
    try_blocked(route);
    update_oldest(route);
    metric_set(route->metrics.lanes, (double)lane_table_count(route->lanes));
    metric_set(route->metrics.in_flight_records, (double)route->open_records);
    metric_set(route->metrics.in_flight_bytes, (double)route->open_bytes);
    metric_set(route->metrics.twins, (double)route->twin_records);
    for (int i = 0; i < ROUTE_PHASES; i++)
        metric_set(route->metrics.state[i], route->phase == (enum route_phase)i ? 1 : 0);
    /* A safety net: nothing should wait for these. */
    if (lane_ready_count(route->lanes) > 0)
        route_pump(route);
    intake_room_made(route);
}

/* ---- making, stopping ---- */

static bool make_handler(struct route *route, struct err *err)
{
    const struct config *config = route->worker->config;
    const struct handler_config *handler = &route->config->handler;
    uint32_t requests = handler->max_in_flight / config->workers;
    if (requests == 0)
        requests = 1;
    route->slots = requests * handler->batch_max_records;
    if (handler->batch_max_records > 1)
        route->batches = batches_new(route, requests);
    route->client = handler_client_new(route->worker->handlers, handler, requests, err);
    if (!route->client)
        return false;
    route->template = request_template_new(route->config, err);
    return route->template != NULL;
}

struct route *route_new(struct worker *worker, const struct route_config *config, struct err *err)
{
    struct route *route = mem_zalloc(sizeof(*route));
    route->worker = worker;
    route->loop = worker->loop;
    route->config = config;
    route->started_ms = route_now_ms(route);
    TAILQ_INIT(&route->all);
    route->lanes = lane_table_new();
    route->breaker = breaker_new(config->breaker.failures, config->breaker.distinct_keys,
                                 config->breaker.probe_every_ms);
    if (config->ordering == ORDERING_KEY && config->dedup.rule.kind == IDENTITY_SEQUENCE)
        route->restarts = restarts_new();
    flood_init(&route->flood, config->dead_letter.pause_share, config->dead_letter.pause_records,
               config->dead_letter.pause_window_ms);
    route->uses_ledger = config->ordering == ORDERING_KEY ||
                         config->dedup.rule.kind != IDENTITY_NONE;
    if (route->uses_ledger)
        route->holds = HOLD_UNREAD;
    route_metrics_init(&route->metrics, worker->metrics, config->name);
    route->turn = (struct turn){.begin = begin_some, .arg = route};
    loop_timer_init(&route->probe_timer, route->loop, probe_due, route);
    loop_timer_init(&route->retry_timer, route->loop, unhold_sources, route);
    loop_timer_init(&route->start_timer, route->loop, start_again, route);
    loop_timer_init(&route->lag_timer, route->loop, update_lag, route);
    loop_timer_set_ms(&route->lag_timer, LAG_EVERY_MS);
    intake_init(route);
    assign_init(route);
    missing_init(route);
    meet_init(route);
    lift_init(route);
    once_init(route);
    rebuild_init(route);
    marks_init(route);
    topics_init(route);
    make_scopes(route);
    ledger_watch_hold(worker->ledger, config->name);
    if (!make_handler(route, err)) {
        err_prefix(err, "route %s", config->name);
        route_free(&route);
    }
    return route;
}

/* The group is left in route_free: until then an operation that Redis or Kafka does not answer may
 * hold a record of the consumer's. */
static void left(struct route *route)
{
    assign_forget(route);
    attempt_cancel_all(route);
    route->phase = ROUTE_STOPPED;
    worker_route_stopped(route->worker);
}

void route_stop(struct route *route)
{
    bool joined = route->consumer != NULL;
    if (route->phase == ROUTE_DRAINING || route->phase == ROUTE_STOPPED)
        return;
    route->phase = ROUTE_DRAINING;
    loop_timer_cancel(&route->start_timer);
    if (!joined) {
        left(route);
        return;
    }
    assign_drain(route, route->config->shutdown_drain_ms, left);
}

/* Everything under way has completed or was cancelled: ledger, producer and client are closed
 * before. */
static void drop_all(struct route *route)
{
    struct delivery *d;
    intake_drop_queued(route);
    while ((d = TAILQ_FIRST(&route->all)) != NULL)
        delivery_free(d);
}

void route_free(struct route **route_p)
{
    struct route *route = *route_p;
    if (!route)
        return;
    *route_p = NULL;
    handler_client_free(&route->client);
    drop_all(route);
    marks_deinit(route);
    if (route->consumer)
        kafka_consumer_free(&route->consumer, 0); /* it leaves the group beside the others */
    batches_free(&route->batches);
    request_template_free(&route->template);
    restarts_free(&route->restarts);
    lane_table_free(&route->lanes);
    breaker_free(&route->breaker);
    turns_cancel(&route->worker->turns, &route->turn);
    loop_task_cancel(route->loop, &route->intake_task);
    loop_timer_deinit(&route->probe_timer);
    loop_timer_deinit(&route->retry_timer);
    loop_timer_deinit(&route->start_timer);
    loop_timer_deinit(&route->lag_timer);
    assign_deinit(route);
    missing_deinit(route);
    meet_deinit(route);
    lift_deinit(route);
    once_deinit(route);
    rebuild_deinit(route);
    topics_deinit(route);
    mem_free(route);
}

bool route_ready(const struct route *route)
{
    bool joined = route->consumer && kafka_consumer_joined(route->consumer);
    return joined && (!route->uses_ledger || ledger_is_up(route->worker->ledger));
}
