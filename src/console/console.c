/*
 * Puts the parts together; see console.h. Order of making: the feed first, which makes the file and
 * is refused where another process keeps it; then who reads it; the server last, so that nobody is
 * answered by half a console. Freed the other way round: streams end before the server, and what
 * waits for a thread is told before what it would tell is gone.
 */
#include "console/console.h"

#include "base/log.h"
#include "base/mem.h"
#include "console/console_parts.h"
#include "console/index_path.h"

#define THREADS     3
#define WAITING_MAX 64

static void moved(void *arg, bool caught_up)
{
    struct console *console = arg;
    if (caught_up && !console->caught_up)
        log_info("console_caught_up", LOG_END);
    console->caught_up = caught_up;
    err_clear(&console->trouble);
    if (console->workers)
        console_count(console);
}

static void failed(void *arg, const struct err *err)
{
    struct console *console = arg;
    console->trouble = *err;
    if (err->retriable)
        log_warn("console_feed_waits", LOG_STR("reason", err->text), LOG_END);
    else
        console->options.failed(console->options.arg, err);
}

static bool make_index(struct console *console, struct err *err)
{
    struct follow_options options = {.loop = console->options.loop,
                                     .config = console->config,
                                     .moved = moved,
                                     .failed = failed,
                                     .arg = console};
    console->path = index_path(console->config->console.index_file, err);
    if (!console->path)
        return false;
    options.path = console->path;
    console->follow = follow_new(&options, err);
    if (!console->follow) {
        if (err->code == ERR_AGAIN)
            return err_prefix(err,
                              "another console keeps this index (console.index): use that one, "
                              "or give this one a file of its own");
        return false;
    }
    console->workers = workers_new(console->options.loop, console->path, THREADS, WAITING_MAX, err);
    return console->workers != NULL;
}

static void job_moved(void *arg, const struct redrive_job *job, bool cancel_asked)
{
    struct console *console = arg;
    struct buf json = {0};
    job_start_seen(console, job);
    json_add_job_event(&json, job, cancel_asked);
    events_publish(console->events, "job", buf_slice(&json));
    buf_deinit(&json);
}

static void make_redriving(struct console *console)
{
    struct redriving_options options = {.loop = console->options.loop,
                                        .config = console->config,
                                        .run = console->config->console.allow_changes,
                                        .changed = job_moved,
                                        .arg = console};
    console->redriving = redriving_new(&options);
}

static void make_metrics(struct console *console)
{
    console->open = mem_calloc(console->config->route_count, sizeof(struct metric *));
    for (size_t i = 0; i < console->config->route_count; i++) {
        struct metric_label label = {"route", console->config->routes[i].name};
        console->open[i] = metrics_gauge(console->options.metrics, "dead_letters_open",
                                         "Dead letters that nobody has dealt with.", &label, 1);
        metric_omit(console->open[i]);
    }
}

struct console *console_new(const struct console_options *options, struct err *err)
{
    struct console *console = mem_zalloc(sizeof(*console));
    struct loop *loop = options->loop;
    console->options = *options;
    console->config = options->config;
    TAILQ_INIT(&console->works);
    console->masking.config = &options->config->console;
    make_metrics(console);
    console->letters = letters_reader_new(loop, console->config);
    console->keys = keys_new(loop, console->config);
    console->events = events_new(loop, console->config->console.limits.connections / 2);
    make_redriving(console);
    console->job_metrics = job_metrics_new(options->metrics, console->redriving);
    console->peers = peers_new(loop, console->config);
    if (make_index(console, err))
        console->front = front_new(loop, &console->config->console, api_table, console, err);
    if (!console->front)
        console_free(&console);
    return console;
}

void console_free(struct console **console_p)
{
    struct console *console = *console_p;
    if (!console)
        return;
    job_metrics_free(&console->job_metrics);
    redriving_free(&console->redriving); /* what waits for it is told */
    kafka_producer_free(&console->producer);
    events_free(&console->events);
    if (console->front)
        front_free(&console->front);
    letters_reader_free(&console->letters);
    peers_free(&console->peers);
    workers_free(&console->workers);
    work_drop_all(&console->works); /* when no thread has any of them */
    keys_free(&console->keys);
    follow_free(&console->follow);
    mem_free(console->open);
    mem_free(console->path);
    mem_free(console);
    *console_p = NULL;
}

unsigned console_port(const struct console *console)
{
    return front_port(console->front);
}

const char *console_index(const struct console *console)
{
    return console->path;
}

void console_openapi(struct buf *out)
{
    openapi_write(out, api_table, (struct slice){console_schemas, console_schemas_len});
}
