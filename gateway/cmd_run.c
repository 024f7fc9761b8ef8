/*
 * oncegate run: the gateway. The main thread owns signals and the admin endpoints, each worker a
 * thread. SIGTERM and SIGINT drain and exit 0; a second one ends at once. From the first one on
 * every wait is bounded: shutdown.drain and BEYOND_DRAIN_MS.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/version.h"
#include "cli.h"
#include "exit_guard.h"
#include "flow/worker.h"
#include "kafka/client_end.h"
#include "spool/spool.h"

/* What an end may take beyond shutdown.drain: a second for the last commit, LEAVE_MS for Kafka's
 * clients, and the rest for what should take no time at all. Then it is cut off, with this code. */
#define BEYOND_DRAIN_MS 15000
#define LEAVE_MS        5000
#define EXIT_CUT_OFF    70

struct run {
    const struct config *config;
    struct loop *loop;
    struct metrics *metrics;
    struct spool *spool; /* NULL: none is configured */
    struct admin *admin;
    struct exit_guard *guard;        /* from the beginning of the end */
    _Atomic(const char *) waits_for; /* the guard tells it */
    struct worker **workers;
    size_t worker_count;
    size_t stopped;
    bool stopping;
    int code;
    pthread_mutex_t lock; /* guards the two below, written by workers */
    bool failed;
    struct err failure;
};

/* On the guard's thread. */
static const char *waits_for(void *ctx)
{
    struct run *run = ctx;
    return run->waits_for;
}

static void guard_the_end(struct run *run)
{
    int64_t drain_ms = 0;
    for (size_t i = 0; i < run->config->route_count; i++) {
        if (run->config->routes[i].shutdown_drain_ms > drain_ms)
            drain_ms = run->config->routes[i].shutdown_drain_ms;
    }
    run->waits_for = "the routes, to drain";
    run->guard = exit_guard_new(drain_ms, BEYOND_DRAIN_MS, EXIT_CUT_OFF, waits_for, run);
}

static void stop_workers(struct run *run)
{
    if (run->stopping)
        return;
    run->stopping = true;
    guard_the_end(run);
    admin_draining(run->admin);
    for (size_t i = 0; i < run->worker_count; i++)
        worker_stop(run->workers[i]);
}

static void on_signal(int signo, void *arg)
{
    struct run *run = arg;
    if (run->stopping) {
        log_warn("ended_at_once", LOG_INT("signal", signo), LOG_END);
        _exit(EXIT_FAIL);
    }
    log_info("draining", LOG_INT("signal", signo), LOG_END);
    stop_workers(run);
}

static void failed_on_main(void *arg)
{
    struct run *run = arg;
    if (run->code == EXIT_OK)
        run->code = cli_fail(&run->failure);
    stop_workers(run);
}

static void on_failed(void *ctx, struct worker *worker, const struct err *err)
{
    struct run *run = ctx;
    bool first;
    (void)worker;
    pthread_mutex_lock(&run->lock);
    first = !run->failed;
    run->failed = true;
    if (first)
        run->failure = *err;
    pthread_mutex_unlock(&run->lock);
    if (first)
        loop_post(run->loop, failed_on_main, run);
}

static void stopped_on_main(void *arg)
{
    struct run *run = arg;
    if (++run->stopped == run->worker_count)
        loop_stop(run->loop);
}

static void on_stopped(void *ctx, struct worker *worker)
{
    struct run *run = ctx;
    (void)worker;
    loop_post(run->loop, stopped_on_main, run);
}

static bool make_workers(struct run *run, struct err *err)
{
    struct worker_events events = {
        .ctx = run, .failed = on_failed, .stopped = on_stopped, .waits_for = &run->waits_for};
    run->workers = mem_calloc(run->config->workers, sizeof(struct worker *));
    for (uint32_t i = 0; i < run->config->workers; i++) {
        run->workers[i] = worker_new(run->config, i, run->metrics, run->spool, &events, err);
        if (!run->workers[i])
            return false;
        run->worker_count++;
    }
    return true;
}

static bool open_spool(struct run *run, struct err *err)
{
    const struct config *config = run->config;
    if (!config->spool_dir)
        return true;
    run->spool = spool_open(config->spool_dir, config->spool_max_bytes, NULL, run->metrics, err);
    return run->spool != NULL;
}

static void make_metrics(struct run *run)
{
    struct metric_label labels[] = {{"version", ONCEGATE_VERSION}};
    run->metrics = metrics_new();
    metric_set(metrics_gauge(run->metrics, "build_info", "1; the version is a label.", labels, 1),
               1);
    metrics_add_process(run->metrics);
}

static void serve(struct run *run)
{
    struct err err = {0};
    struct loop_signal *term = loop_signal_new(run->loop, SIGTERM, on_signal, run, &err);
    struct loop_signal *intr = loop_signal_new(run->loop, SIGINT, on_signal, run, &err);
    size_t started = 0;
    while (started < run->worker_count && worker_start(run->workers[started], &err))
        started++;
    if (started == run->worker_count && term && intr) {
        log_info("started", LOG_STR("version", ONCEGATE_VERSION),
                 LOG_UINT("routes", run->config->route_count),
                 LOG_UINT("workers", run->worker_count),
                 LOG_STR("admin_host", run->config->admin.host),
                 LOG_UINT("admin_port", admin_port(run->admin)), LOG_END);
        loop_run(run->loop);
    } else {
        run->code = cli_fail(&err);
        guard_the_end(run);
        for (size_t i = 0; i < started; i++)
            worker_stop(run->workers[i]);
    }
    loop_signal_free(&term);
    loop_signal_free(&intr);
}

/* What is left of Kafka's clients after a while is left behind. */
static void end_clients(struct run *run)
{
    bool all;
    run->waits_for = "Kafka, to answer what its clients asked last";
    all = kafka_clients_wait(LEAVE_MS);
    exit_guard_free(&run->guard);
    if (run->code == EXIT_OK)
        log_info("stopped", LOG_END);
    if (!all)
        _exit(run->code);
}

static int run_all(struct run *run)
{
    struct err err = {0};
    run->loop = loop_new(&err);
    if (!run->loop)
        return cli_fail(&err);
    make_metrics(run);
    if (open_spool(run, &err) && make_workers(run, &err))
        run->admin = admin_new(run->loop, run->config, run->metrics, run->spool, run->workers,
                               run->worker_count, &err);
    if (run->admin)
        serve(run);
    else
        run->code = cli_fail(&err);
    for (size_t i = 0; i < run->worker_count; i++)
        worker_free(&run->workers[i]);
    run->waits_for = "the spool's disk";
    spool_close(&run->spool);
    admin_free(&run->admin);
    mem_free(run->workers);
    metrics_free(&run->metrics);
    loop_free(&run->loop);
    end_clients(run);
    return run->code;
}

int cmd_run(struct cli *cli)
{
    struct run run = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct config *config;
    int code = EXIT_OK;
    if (cli->argc > 0)
        return cli_usage("run", "run takes no argument %s", cli->argv[0]);
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit (ulimit -f) is refused like a full disk */
    log_setup(config->log_level, config->log_format);
    run.config = config;
    code = run_all(&run);
    config_free(&config);
    return code;
}
