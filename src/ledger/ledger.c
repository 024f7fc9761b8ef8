/*
 * A ledger from outside: its life, whether it can be written, and what comes in. Operations go to
 * calls.c, small requests to requests.c and fences.c.
 *
 * Invariant: `availability` is told when it changes, or its cause does, and only then.
 * Must not decide anything about a record: it carries facts and answers.
 */
#include "ledger/ledger.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/cluster.h"
#include "ledger/parts.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"
#include "ledger/sentinel.h"

/* ---- availability ---- */

static void tell_up(struct ledger *ledger)
{
    ledger->up = true;
    ledger->why[0] = '\0';
    if (ledger->up_gauge)
        metric_set(ledger->up_gauge, 1);
    log_info("redis_up", LOG_END);
    if (ledger->events.availability)
        ledger->events.availability(ledger->events.ctx, true, "");
    loop_timer_set_ms(&ledger->poll_timer, 0); /* the holds come first */
}

static void tell_down(struct ledger *ledger, const char *why)
{
    bool changed = ledger->up || strcmp(ledger->why, why) != 0;
    ledger->up = false;
    snprintf(ledger->why, sizeof(ledger->why), "%s", why);
    if (ledger->up_gauge)
        metric_set(ledger->up_gauge, 0);
    if (!changed)
        return;
    log_warn("redis_down", LOG_STR("why", ledger->why), LOG_END);
    if (ledger->events.availability)
        ledger->events.availability(ledger->events.ctx, false, ledger->why);
}

void ledger_look(struct ledger *ledger)
{
    char why[sizeof(ledger->why)] = "";
    bool up;
    if (ledger->freeing)
        return;
    if (ledger->cluster) {
        up = cluster_is_up(ledger, why, sizeof(why));
    } else {
        up = ledger->nodes->up;
        snprintf(why, sizeof(why), "%s", ledger->nodes->why);
    }
    /* Without a reason yet: a server is being connected to for the first time. */
    if (!up && why[0])
        tell_down(ledger, why);
    else if (up && !ledger->up)
        tell_up(ledger);
}

void ledger_tell_wiped(struct ledger *ledger)
{
    if (ledger->states)
        known_states_forget_all(ledger->states);
    if (ledger->wipes)
        metric_add(ledger->wipes, 1);
    log_error("ledger_wiped",
              LOG_STR("why", "the sentinel key is gone or another: Redis lost its data"), LOG_END);
    if (ledger->events.wiped)
        ledger->events.wiped(ledger->events.ctx);
}

/* ---- sentinels ---- */

static void on_master(void *ctx, const char *host, uint16_t port)
{
    struct ledger *ledger = ctx;
    char place[sizeof(ledger->place)], why[400];
    snprintf(place, sizeof(place), "%s:%u", host, (unsigned)port);
    snprintf(why, sizeof(why), "the sentinels name another master: %s", place);
    if (ledger->place[0]) {
        log_warn("redis_master_moved", LOG_STR("from", ledger->place), LOG_STR("to", place),
                 LOG_END);
        if (ledger->failovers)
            metric_add(ledger->failovers, 1);
    }
    snprintf(ledger->place, sizeof(ledger->place), "%s", place);
    session_aim(ledger->nodes->session, NULL, host, port, why);
}

static void on_master_unknown(void *ctx, const char *why)
{
    struct ledger *ledger = ctx;
    struct node *node = ledger->nodes;
    if (node->up)
        return;
    snprintf(node->why, sizeof(node->why), "no sentinel names the master %.60s: %.300s",
             ledger->config->master, why);
    ledger_look(ledger);
}

/* ---- errors ---- */

bool ledger_is_refusal(const char *error)
{
    static const char *const words[] = {"OOM",    "READONLY", "NOREPLICAS",  "LOADING",
                                        "BUSY",   "MISCONF",  "NOAUTH",      "MASTERDOWN",
                                        "NOPERM", "TRYAGAIN", "CLUSTERDOWN", "UNKILLABLE"};
    size_t len = strcspn(error, " :");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i]) == len && strncmp(words[i], error, len) == 0)
            return true;
    }
    return false;
}

void ledger_count_error(struct ledger *ledger, const char *error)
{
    char kind[24];
    if (!ledger->metrics)
        return;
    snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(error, " :"), error);
    struct metric_label label = {"kind", ledger_is_refusal(error) ? kind : "other"};
    metric_add(metrics_counter(ledger->metrics, "redis_errors_total",
                               "Errors that Redis answered, by their first word.", &label, 1),
               1);
}

/* ---- public ---- */

static void init_metrics(struct ledger *ledger, struct metrics *metrics)
{
    static const double bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                    0.01,   0.025,   0.05,   0.1,   0.5,    2};
    struct metric_label script = {"script", scripts_name(SCRIPT_APPLY_OPS)};
    struct metric_label swap = {"script", scripts_name(SCRIPT_SWAP_STATES)};
    ledger->metrics = metrics;
    if (!metrics)
        return;
    ledger->up_gauge = metrics_gauge(metrics, "redis_up", "1 while Redis answers and takes writes.",
                                     NULL, 0);
    ledger->wipes = metrics_counter(metrics, "ledger_wipes_total",
                                    "Times that Redis was found to have lost its data.", NULL, 0);
    ledger->failovers = metrics_counter(
        metrics, "redis_failovers_total",
        "Times that another server became the master; it may lack the last writes.", NULL, 0);
    ledger->reasserted = metrics_counter(
        metrics, "ledger_reasserted_total",
        "Records that Redis had forgotten and this process knew to be finished: told again, not "
        "delivered again.",
        NULL, 0);
    ledger->short_waits = metrics_counter(
        metrics, "redis_wait_short_total",
        "Answers to WAIT by which fewer replicas than redis.wait.replicas had the last writes.",
        NULL, 0);
    ledger->call_seconds = metrics_histogram(metrics, "redis_call_duration_seconds",
                                             "From sending a call to its answer.", bounds,
                                             sizeof(bounds) / sizeof(bounds[0]), &script, 1);
    ledger->swap_seconds = metrics_histogram(metrics, "redis_call_duration_seconds",
                                             "From sending a call to its answer.", bounds,
                                             sizeof(bounds) / sizeof(bounds[0]), &swap, 1);
    ledger->swap_misses = metrics_counter(
        metrics, "redis_swap_misses_total",
        "Claims and finishes whose state was not the one that "
        "the short way knows: they were asked in the general way.",
        NULL, 0);
    ledger->unasked = metrics_counter(metrics, "ledger_unasked_claims_total",
                                      "Claims that were kept from the key's record before, so that "
                                      "Redis was not asked.",
                                      NULL, 0);
    metric_set(ledger->up_gauge, 0);
}

static void pump(void *arg)
{
    joins_flush(arg);
    requests_flush(arg);
    calls_pump(arg);
}

static void end_ops(void *arg)
{
    calls_end_all(arg);
}

/* One queue and one node; where the node is, the configuration says, or sentinels do. */
static bool open_alone(struct ledger *ledger, struct err *err)
{
    const struct redis_config *config = ledger->config;
    struct sentinel_events events = {
        .master = on_master, .unknown = on_master_unknown, .ctx = ledger};
    struct node *node = nodes_add(ledger, NULL, 0, NULL, err);
    if (!node)
        return false;
    calls_open_queues(ledger, 1);
    ledger->meta = ledger->fence = ledger->queues;
    ledger->queues->node = node;
    if (config->kind == REDIS_SENTINEL)
        ledger->sentinel = sentinel_new(ledger->loop, config, ledger->tls, &events);
    else
        session_aim(node->session, config->unix_path, config->host, config->port, "");
    return true;
}

static bool open_servers(struct ledger *ledger, struct err *err)
{
    if (ledger->config->tls_on && !(ledger->tls = tls_new(&ledger->config->tls, err)))
        return false;
    if (ledger->config->kind == REDIS_CLUSTER)
        return (ledger->cluster = cluster_new(ledger, err)) != NULL;
    return open_alone(ledger, err);
}

struct ledger *ledger_new(struct loop *loop, const struct redis_config *config,
                          const struct ledger_events *events, struct metrics *metrics,
                          struct err *err)
{
    struct ledger *ledger = mem_zalloc(sizeof(*ledger));
    ledger->loop = loop;
    ledger->config = config;
    if (events)
        ledger->events = *events;
    ledger->names = name_cache_new();
    calls_init(ledger);
    requests_init(ledger);
    joins_init(ledger);
    loop_task_init(&ledger->pump_task, pump, ledger);
    loop_task_init(&ledger->end_task, end_ops, ledger);
    snprintf(ledger->why, sizeof(ledger->why), "not connected to Redis yet");
    init_metrics(ledger, metrics);
    holds_init(ledger);
    if (!(ledger->states = known_states_new(err)) || !(ledger->finished = finished_new(err)) ||
        !open_servers(ledger, err))
        ledger_free(&ledger);
    return ledger;
}

void ledger_free(struct ledger **ledger_ptr)
{
    struct ledger *ledger = *ledger_ptr;
    if (!ledger)
        return;
    ledger->up = false;
    ledger->freeing = true;
    sentinel_free(&ledger->sentinel);
    nodes_free(ledger);
    joins_cancel(ledger);
    requests_cancel(ledger);
    calls_deinit(ledger);
    cluster_free(&ledger->cluster);
    *ledger_ptr = NULL;
    loop_task_cancel(ledger->loop, &ledger->pump_task);
    loop_task_cancel(ledger->loop, &ledger->end_task);
    holds_deinit(ledger);
    name_cache_free(&ledger->names);
    tls_free(&ledger->tls);
    known_states_free(&ledger->states);
    finished_free(&ledger->finished);
    buf_deinit(&ledger->out);
    mem_free(ledger);
}

bool ledger_is_up(const struct ledger *ledger)
{
    return ledger->up;
}

const char *ledger_why_down(const struct ledger *ledger)
{
    return ledger->up ? "" : ledger->why;
}

struct ledger_scope *ledger_scope_new(struct ledger *ledger,
                                      const struct ledger_scope_config *config)
{
    return scope_new(ledger->config, config);
}

struct ledger_scope *ledger_scope_of_route(struct ledger *ledger, const struct route_config *route,
                                           const char *topic)
{
    struct ledger_scope_config scope = {.group = route->group,
                                        .topic = route->dedup.scope == SCOPE_ROUTE ? NULL : topic,
                                        .route = route->name,
                                        .kind = route->dedup.rule.kind,
                                        .ordered = route->ordering == ORDERING_KEY,
                                        .ttl_ms = route->dedup.ttl_ms,
                                        .ghost_ttl_ms = route->parked.ghost_ttl_ms,
                                        .parked_cap = route->parked.per_key};
    return ledger_scope_new(ledger, &scope);
}

void ledger_submit(struct ledger *ledger, struct ledger_op *op)
{
    op->cancelled = false;
    op->no_swap = false;
    op->generation = 0;
    op->key_hash = scope_hash_key(op->scope, op->key);
    ledger->pending++;
    if (op->origin_offset >= 0 && op->origin_offset < BATCH_OFFSET_LIMIT) {
        calls_take(ledger, op);
        return;
    }
    op->code = op->would_code = LEDGER_CORRUPT;
    calls_end(ledger, op);
}

void ledger_cancel(struct ledger *ledger, struct ledger_op *op)
{
    calls_unqueue(ledger, op);
}

bool ledger_knows_done(struct ledger *ledger, const struct ledger_op *op, enum ledger_fact *fact)
{
    uint64_t now_ns;
    /* Writes are lost with a connection, or with a slot that moved. */
    if (!ledger->shaken_ns)
        return false;
    now_ns = clock_mono_ns();
    if (now_ns - ledger->shaken_ns > FINISHED_LIFE_NS ||
        !finished_find(ledger->finished, op, now_ns, fact))
        return false;
    if (ledger->reasserted)
        metric_add(ledger->reasserted, 1);
    return true;
}

size_t ledger_pending(const struct ledger *ledger)
{
    return ledger->pending;
}
