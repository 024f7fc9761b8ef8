/*
 * Workers; see worker.h. The worker's thread owns everything but the counters; the main thread
 * posts to it. Order of teardown: routes drain and leave, the loop ends, then spool, admin,
 * producer and ledger complete what is left as cancelled, then the routes are freed.
 */
#include "flow/worker.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/attempt.h"
#include "flow/route.h"
#include "flow/settle.h"
#include "flow/spooling.h"
#include "flow/worker_state.h"

#define LAST_TURNS 8

static void availability(void *ctx, bool up, const char *why)
{
    struct worker *worker = ctx;
    for (size_t i = 0; i < worker->route_count; i++)
        route_ledger_available(worker->routes[i], up, why);
}

static void wiped(void *ctx)
{
    struct worker *worker = ctx;
    metric_add(worker->ledger_wipes, 1);
    for (size_t i = 0; i < worker->route_count; i++)
        route_ledger_wiped(worker->routes[i]);
}

static struct route *find_route(struct worker *worker, const char *name)
{
    for (size_t i = 0; i < worker->route_count; i++) {
        if (strcmp(route_name(worker->routes[i]), name) == 0)
            return worker->routes[i];
    }
    return NULL;
}

static void hold(void *ctx, const char *name, bool held, const char *by)
{
    struct route *route = find_route(ctx, name);
    if (route)
        route_held(route, held, by);
}

static bool make_parts(struct worker *worker, struct err *err)
{
    struct ledger_events events = {
        .availability = availability, .wiped = wiped, .hold = hold, .ctx = worker};
    const struct config *config = worker->config;
    worker->ledger = ledger_new(worker->loop, &config->redis, &events, worker->metrics, err);
    if (!worker->ledger)
        return false;
    worker->producer = kafka_producer_new(worker->loop, config, worker->metrics, err);
    if (!worker->producer)
        return false;
    worker->admin = kafka_admin_new(worker->loop, config, err);
    if (!worker->admin)
        return false;
    if (worker->spool && worker->index == 0)
        worker->replay = replay_new(worker);
    worker->handlers = handler_pools_new(worker->loop);
    worker->routes = mem_calloc(config->route_count, sizeof(struct route *));
    for (size_t i = 0; i < config->route_count; i++) {
        worker->routes[i] = route_new(worker, &config->routes[i], err);
        if (!worker->routes[i])
            return false;
        worker->route_count++;
    }
    return true;
}

static void teardown(struct worker *worker)
{
    _Atomic(const char *) *waits_for = worker->events.waits_for;
    for (int i = 0; i < LAST_TURNS; i++) /* completions of what was cancelled */
        loop_turn(worker->loop, false);
    replay_stop(worker->replay);
    *waits_for = "the spool's disk";
    if (worker->spool)
        spool_client_stop(worker->spool);
    while (PLANTED("endless-end"))
        pause();
    *waits_for = "Kafka, to end its clients";
    kafka_admin_free(&worker->admin);
    kafka_producer_free(&worker->producer);
    replay_free(&worker->replay);
    *waits_for = "Redis, to end its connections";
    ledger_free(&worker->ledger);
    *waits_for = "its routes to be taken down";
    for (size_t i = 0; i < worker->route_count; i++)
        route_free(&worker->routes[i]);
    attempt_free_spares(worker);
    delivery_free_spares(worker);
    mem_free(worker->routes);
    handler_pools_free(&worker->handlers);
    spool_client_free(&worker->spool);
    turns_deinit(&worker->turns);
    loop_free(&worker->loop);
}

struct worker *worker_new(const struct config *config, uint32_t index, struct metrics *metrics,
                          struct spool *spool, const struct worker_events *events, struct err *err)
{
    struct worker *worker = mem_zalloc(sizeof(*worker));
    srandom((unsigned)(clock_mono_ns() ^ (uint64_t)getpid() << 16)); /* jitter alone */
    worker->config = config;
    worker->index = index;
    worker->metrics = metrics;
    worker->events = *events;
    SLIST_INIT(&worker->spare_attempts);
    TAILQ_INIT(&worker->spare_deliveries);
    worker->ledger_wipes = metrics_counter(metrics, "ledger_wipes_total",
                                           "Times that Redis came back without its data.", NULL, 0);
    worker->loop = loop_new(err);
    if (worker->loop)
        turns_init(&worker->turns, worker->loop);
    if (worker->loop && spool)
        worker->spool = spool_client_new(spool, worker->loop);
    if (!worker->loop || !make_parts(worker, err)) {
        if (worker->loop)
            teardown(worker);
        mem_free(worker);
        return NULL;
    }
    return worker;
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    for (size_t i = 0; i < worker->route_count; i++)
        route_start(worker->routes[i]);
    loop_run(worker->loop);
    worker->events.stopped(worker->events.ctx, worker);
    return NULL;
}

bool worker_start(struct worker *worker, struct err *err)
{
    if (pthread_create(&worker->thread, NULL, thread_main, worker) != 0)
        return err_set(err, ERR_INTERNAL, "no thread for a worker");
    worker->thread_started = true;
    return true;
}

static void stop_now(void *arg)
{
    struct worker *worker = arg;
    if (worker->stopping)
        return;
    worker->stopping = true;
    for (size_t i = 0; i < worker->route_count; i++)
        route_stop(worker->routes[i]);
}

void worker_stop(struct worker *worker)
{
    loop_post(worker->loop, stop_now, worker);
}

void worker_route_stopped(struct worker *worker)
{
    if (++worker->routes_stopped == worker->route_count)
        loop_stop(worker->loop);
}

void worker_free(struct worker **worker)
{
    if (!*worker)
        return;
    if ((*worker)->thread_started)
        (void)pthread_join((*worker)->thread, NULL);
    teardown(*worker);
    mem_free(*worker);
    *worker = NULL;
}

/* ---- requests from the main thread ---- */

struct status_request {
    struct worker *worker;
    void (*done)(void *arg, struct slice json, bool ready);
    void *arg;
};

static void status_now(void *arg)
{
    struct status_request *request = arg;
    struct worker *worker = request->worker;
    struct buf out = {0};
    bool ready = true;
    buf_add_char(&out, '[');
    for (size_t i = 0; i < worker->route_count; i++) {
        if (i > 0)
            buf_add_char(&out, ',');
        route_status(worker->routes[i], &out);
        ready = ready && route_ready(worker->routes[i]);
    }
    buf_add_char(&out, ']');
    request->done(request->arg, buf_slice(&out), ready);
    buf_deinit(&out);
    mem_free(request);
}

void worker_status(struct worker *worker, void (*done)(void *arg, struct slice json, bool ready),
                   void *arg)
{
    struct status_request *request = mem_zalloc(sizeof(*request));
    *request = (struct status_request){worker, done, arg};
    loop_post(worker->loop, status_now, request);
}

struct hold_request {
    struct worker *worker;
    char *route, *by;
    bool held;
};

static void hold_now(void *arg)
{
    struct hold_request *request = arg;
    ledger_set_hold(request->worker->ledger, request->route, request->held, request->by, NULL,
                    NULL);
    mem_free(request->route);
    mem_free(request->by);
    mem_free(request);
}

void worker_hold(struct worker *worker, const char *route, bool held, const char *by)
{
    struct hold_request *request = mem_zalloc(sizeof(*request));
    *request = (struct hold_request){worker, mem_strdup(route), mem_strdup(by), held};
    loop_post(worker->loop, hold_now, request);
}
