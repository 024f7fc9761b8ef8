/*
 * oncegate redrive: dead letters sent round again, as jobs in a topic. Where no runner is at work
 * the command joins as one and stays until its job has ended.
 */
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "console_ask.h"
#include "dlq/filter.h"
#include "dlq/jobs.h"
#include "dlq/redrive_ahead.h"
#include "dlq/redrive_scan.h"
#include "filter_options.h"
#include "json_print.h"
#include "redis_task.h"
#include "redrive_by_console.h"
#include "redrive_records.h"
#include "redrive_tell.h"

#define EXIT_INTERRUPTED 130
#define AHEAD_MS         5000

struct redriving {
    struct cli *cli;
    const struct config *config;
    struct loop *loop;
    struct jobs *jobs;
    struct loop_signal *signals[2];
    const char *group, *reason;
    char *by, *owner;
    struct dlq_filter filter;
    struct redrive_job job; /* that is asked for */
    const char *watched;    /* the job that is waited for; NULL: none */
    bool all;               /* until no job is left */
    bool done, asked, interrupted;
    struct redrive_tell tell;
    struct err err;
};

/* ---- who ---- */

static void set_names(struct redriving *r, const char *by)
{
    char host[HOST_NAME_MAX + 1] = "";
    const char *user = getenv("USER");
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    r->by = by ? mem_strdup(by) : mem_printf("%s@%s", user && *user ? user : "unknown", host);
    r->owner = mem_printf("%s/%ld", host, (long)getpid());
}

/* ---- the loop ---- */

static void stop(struct redriving *r)
{
    r->done = true;
}

static void fail(void *arg, const struct err *err)
{
    struct redriving *r = arg;
    r->err = *err;
    stop(r);
}

static void nothing(void *arg, const struct err *err)
{
    if (err && err->code != ERR_CANCELLED)
        fail(arg, err);
}

/* The first one asks for the end of the job, the second one ends the command. */
static void on_signal(int signo, void *arg)
{
    struct redriving *r = arg;
    (void)signo;
    if (r->interrupted || !r->asked || !r->jobs) {
        if (r->asked)
            fputs("oncegate: left; the job goes on with `oncegate redrive resume`, or wherever a "
                  "runner is at work\n",
                  stderr);
        r->interrupted = true;
        stop(r);
        return;
    }
    r->interrupted = true;
    fputs("oncegate: asked to cancel; once more to leave at once\n", stderr);
    if (r->watched)
        jobs_cancel(r->jobs, r->watched, r->by, "interrupted", nothing, r);
    else
        stop(r);
}

static bool watch_signals(struct redriving *r, struct err *err)
{
    r->signals[0] = loop_signal_new(r->loop, SIGINT, on_signal, r, err);
    r->signals[1] = loop_signal_new(r->loop, SIGTERM, on_signal, r, err);
    return r->signals[0] && r->signals[1];
}

static bool wait_done(struct redriving *r)
{
    while (!r->done)
        loop_turn(r->loop, true);
    r->done = false;
    return r->err.code == ERR_NONE;
}

/* ---- telling ---- */

static bool any_left(const struct redriving *r)
{
    for (size_t i = 0; i < jobs_count(r->jobs); i++) {
        const struct redrive_job *job = jobs_at(r->jobs, i);
        if (job && !redrive_status_is_end(job->status))
            return true;
    }
    return false;
}

static void on_known(void *arg)
{
    stop(arg);
}

static void on_changed(void *arg, const struct redrive_job *job, bool cancel_asked)
{
    struct redriving *r = arg;
    bool mine = r->watched && strcmp(r->watched, job->id) == 0;
    if (!r->asked)
        return;
    if (mine || r->all)
        redrive_tell_progress(&r->tell, job, cancel_asked);
    if (mine ? redrive_status_is_end(job->status) : r->all && !any_left(r))
        stop(r);
}

static void on_owning(void *arg, bool owns)
{
    (void)arg;
    fputs(owns ? "oncegate: this command runs the group's jobs until its own has ended\n"
               : "oncegate: another runner is at work\n",
          stderr);
}

/* ---- setting up ---- */

static bool open_jobs(struct redriving *r)
{
    struct jobs_config config = {.loop = r->loop,
                                 .config = r->config,
                                 .group = r->group,
                                 .owner = r->owner,
                                 .known = on_known,
                                 .changed = on_changed,
                                 .owning = on_owning,
                                 .failed = fail,
                                 .arg = r};
    r->jobs = jobs_new(&config, &r->err);
    return r->jobs && wait_done(r) && !r->interrupted;
}

/* --group, the filter's route's, or the only one that there is. */
static bool choose_group(struct redriving *r, const char *given)
{
    const struct route_config *route = r->filter.route
                                           ? config_find_route(r->config, r->filter.route)
                                           : NULL;
    if (given && !redrive_group_route(r->config, given))
        return err_set(&r->err, ERR_USAGE, "no route has the group %s", given);
    if (r->filter.route && !route)
        return err_set(&r->err, ERR_USAGE, "no such route: %s", r->filter.route);
    r->group = given ? given : route ? route->group : r->config->routes[0].group;
    for (size_t i = 0; !given && !route && i < r->config->route_count; i++) {
        if (strcmp(r->config->routes[i].group, r->group) != 0)
            return err_set(&r->err, ERR_USAGE,
                           "the routes have several groups: say which with --group or --route");
    }
    return true;
}

static bool make_job(struct redriving *r)
{
    struct redrive_job *job = &r->job;
    struct buf filter = {0};
    char id[REDRIVE_ID_MAX];
    if (!redrive_order_read(r->cli, job, &r->err))
        return false;
    job->created_ms = job->updated_ms = clock_wall_ms();
    redrive_job_id(job->created_ms, id);
    dlq_filter_to_json(&r->filter, &filter);
    job->id = mem_strdup(id);
    job->group = mem_strdup(r->group);
    job->filter = filter.data;
    job->by = mem_strdup(r->by);
    if (filter.len <= REDRIVE_JOB_MAX / 2)
        return true;
    return err_set(&r->err, ERR_LIMIT, "a selection of %zu letters is too large: use a filter",
                   r->filter.id_count);
}

/* ---- start ---- */

static void scanned(void *arg, const struct err *err)
{
    struct redriving *r = arg;
    if (err)
        r->err = *err;
    stop(r);
}

struct looking {
    struct redis_task task;
    struct redrive_ahead *out;
};

static void looked(void *arg, const struct redrive_ahead *ahead)
{
    struct looking *looking = arg;
    *looking->out = *ahead;
    looking->task.done = true;
}

/* Waits for it; a dry run does not fail because Redis is away. */
static void look_ahead(const struct config *config, struct redrive_scan *scan,
                       struct redrive_ahead *out)
{
    struct looking looking = {.out = out};
    struct redrive_ahead_ask *ask;
    struct err err = {0};
    if (redis_task_init(&looking.task, config, &err)) {
        ask = redrive_ahead_ask(looking.task.loop, looking.task.ledger, config, scan, AHEAD_MS,
                                looked, &looking);
        if (!redis_task_wait(&looking.task, 2 * AHEAD_MS, &err))
            redrive_ahead_cancel(ask);
        redis_task_deinit(&looking.task); /* what is not answered ends now */
    }
    if (err.code) {
        out->unknown = redrive_scan_list(scan)->count;
        snprintf(out->why, sizeof(out->why), "%.280s", err.text);
    }
}

/* Says what would be sent; false: nothing is to be done, or it went wrong. */
static bool plan(struct redriving *r, bool dry)
{
    struct redrive_scan_config config = {.loop = r->loop,
                                         .config = r->config,
                                         .group = r->group,
                                         .filter = &r->filter,
                                         .before_ms = r->job.created_ms,
                                         .keep_keys = dry,
                                         .done = scanned,
                                         .arg = r};
    struct redrive_scan *scan = redrive_scan_new(&config, &r->err);
    bool any = false;
    if (scan && wait_done(r) && !r->interrupted) {
        struct redrive_ahead ahead = {0};
        any = redrive_scan_counts(scan)->eligible > 0;
        if (dry)
            look_ahead(r->config, scan, &ahead);
        redrive_tell_plan(&r->tell, &r->job, redrive_scan_counts(scan), dry ? &ahead : NULL);
        if (!any && !dry)
            fputs("nothing is to be sent\n", stderr);
    }
    redrive_scan_free(&scan);
    return any;
}

/* Joins, stays until the watched job has ended, says how. */
static int stay(struct redriving *r)
{
    const struct redrive_job *job;
    if (jobs_join(r->jobs, &r->err))
        (void)wait_done(r);
    redrive_tell_end(&r->tell);
    if (r->err.code != ERR_NONE)
        return cli_fail(&r->err);
    job = r->watched ? jobs_find(r->jobs, r->watched) : NULL;
    if (!job || !redrive_status_is_end(job->status))
        return r->interrupted ? EXIT_INTERRUPTED : EXIT_OK;
    redrive_tell_job(&r->tell, job, false);
    return redrive_exit_code(job);
}

static void started(void *arg, const struct err *err)
{
    struct redriving *r = arg;
    if (err)
        r->err = *err;
    stop(r);
}

static int start(struct redriving *r)
{
    bool dry = cli_flag(r->cli, "--dry-run");
    const char *confirm = cli_option(r->cli, "--confirm");
    if (!make_job(r))
        return cli_fail(&r->err);
    if (!plan(r, dry) || dry || !redrive_may_force(r->cli, &r->job, confirm, &r->err)) {
        if (r->err.code != ERR_NONE)
            return cli_fail(&r->err);
        return r->interrupted ? EXIT_INTERRUPTED : EXIT_OK;
    }
    if (!open_jobs(r))
        return r->interrupted ? EXIT_INTERRUPTED : cli_fail(&r->err);
    r->asked = true;
    r->watched = r->job.id;
    fprintf(stderr, "job %s\n", r->job.id);
    jobs_start(r->jobs, &r->job, started, r);
    if (!wait_done(r))
        return cli_fail(&r->err);
    return stay(r);
}

/* ---- the other verbs ---- */

static int list(struct redriving *r)
{
    if (!open_jobs(r))
        return cli_fail(&r->err);
    for (size_t i = jobs_count(r->jobs); i > 0; i--) {
        const struct redrive_job *job = jobs_at(r->jobs, i - 1);
        if (job)
            redrive_tell_line(&r->tell, job, jobs_cancel_asked(r->jobs, job->id));
    }
    return EXIT_OK;
}

static const struct redrive_job *find_job(struct redriving *r, const char *id)
{
    const struct redrive_job *job = NULL;
    if (open_jobs(r))
        job = jobs_find(r->jobs, id);
    if (!job && r->err.code == ERR_NONE)
        err_set(&r->err, ERR_INPUT, "no such job: %s (see oncegate redrive list)", id);
    return job;
}

/* The job itself as well, where people read. */
static int print_status(struct redriving *r, const struct redrive_job *job)
{
    int code = job->counts.failed > 0 ? EXIT_PARTLY : EXIT_OK;
    bool records = cli_flag(r->cli, "--records");
    struct redrive_records of = {.job = r->cli->argv[1],
                                 .group = r->group,
                                 .topic = jobs_topic(r->jobs),
                                 .skipped_at = jobs_skipped_at(r->jobs, job->id)};
    if (!records || json_output_of(r->cli) == OUTPUT_TABLE)
        redrive_tell_job(&r->tell, job, false);
    /* job is not valid behind this: the loop turns. */
    if (records &&
        !redrive_records_print(r->cli, r->loop, r->config, &of, &r->interrupted, &r->err))
        return r->interrupted ? EXIT_INTERRUPTED : cli_fail(&r->err);
    return code;
}

static int status(struct redriving *r)
{
    bool watch = cli_flag(r->cli, "--watch");
    const struct redrive_job *job = find_job(r, r->cli->argv[1]);
    if (!job)
        return cli_fail(&r->err);
    if (watch && !redrive_status_is_end(job->status)) {
        r->watched = r->cli->argv[1];
        redrive_tell_progress(&r->tell, job, false);
        r->asked = true;
        r->interrupted = true; /* ^C ends the watching alone */
        if (!wait_done(r))
            return cli_fail(&r->err);
        job = jobs_find(r->jobs, r->watched);
        r->interrupted = !redrive_status_is_end(job->status);
        r->asked = false;
    }
    return print_status(r, job);
}

static int cancel(struct redriving *r)
{
    const struct redrive_job *job = find_job(r, r->cli->argv[1]);
    if (!job)
        return cli_fail(&r->err);
    if (redrive_status_is_end(job->status)) {
        fputs("it has ended already\n", stderr);
        redrive_tell_job(&r->tell, job, false);
        return EXIT_OK;
    }
    r->watched = r->cli->argv[1];
    r->asked = true;
    r->interrupted = true;
    jobs_cancel(r->jobs, r->watched, r->by, r->reason, started, r);
    if (!wait_done(r))
        return cli_fail(&r->err);
    int code = stay(r);
    return code == EXIT_PARTLY ? EXIT_OK : code;
}

static int resume(struct redriving *r)
{
    if (!open_jobs(r))
        return cli_fail(&r->err);
    if (!any_left(r)) {
        fputs("no job is left to be done\n", stderr);
        return EXIT_OK;
    }
    r->all = true;
    r->asked = true;
    return stay(r);
}

static int run(struct redriving *r)
{
    const char *verb = r->cli->argv[0];
    const char *group = cli_option(r->cli, "--group");
    const char *by = cli_option(r->cli, "--by");
    if (strcmp(verb, "start") != 0)
        r->reason = cli_option(r->cli, "--reason"); /* an order has its own */
    set_names(r, by);
    if (!filter_options_read(r->cli, &r->filter, &r->err) || !choose_group(r, group) ||
        !watch_signals(r, &r->err))
        return cli_fail(&r->err);
    if (strcmp(verb, "start") == 0)
        return start(r);
    if (strcmp(verb, "list") == 0)
        return list(r);
    if (strcmp(verb, "status") == 0)
        return status(r);
    return strcmp(verb, "cancel") == 0 ? cancel(r) : resume(r);
}

int cmd_redrive(struct cli *cli)
{
    struct redriving r = {.cli = cli, .tell.cli = cli};
    struct console_client *console = NULL;
    struct config *config;
    int code = EXIT_OK;
    if (!console_ask_open(cli, &console, &r.err))
        return cli_fail(&r.err);
    if (console) {
        code = redrive_by_console(cli, console);
        console_client_free(&console);
        return code;
    }
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    r.config = config;
    dlq_filter_init(&r.filter);
    r.loop = loop_new(&r.err);
    code = r.loop ? run(&r) : cli_fail(&r.err);
    jobs_free(&r.jobs);
    for (int i = 0; i < 2; i++)
        loop_signal_free(&r.signals[i]);
    if (r.loop)
        loop_free(&r.loop);
    dlq_filter_deinit(&r.filter);
    redrive_job_deinit(&r.job);
    mem_free(r.by);
    mem_free(r.owner);
    redrive_tell_deinit(&r.tell);
    config_free(&config);
    return code;
}
