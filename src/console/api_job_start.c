/*
 * A redrive job that somebody asks for: tried first, then started. Both read the same order, so
 * that what was tried is what is done. A dry run reads the topics as the job itself will, since
 * only they are the truth, and then asks the ledger how many keys have moved on.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "console/body.h"
#include "console/console_parts.h"
#include "dlq/redrive_ahead.h"
#include "dlq/redrive_scan.h"

#define REASON_MAX    1000
#define RATE_MAX      1000000
#define PLAN_MS       60000
#define AHEAD_MS      5000
#define PLANS_AT_ONCE 2

struct order {
    struct redrive_job job;
    struct dlq_filter filter;
    char *confirm;
};

static void order_deinit(struct order *order)
{
    redrive_job_deinit(&order->job);
    dlq_filter_deinit(&order->filter);
    mem_free(order->confirm);
}

/* ---- reading it ---- */

static bool read_mode(const struct body *body, struct redrive_job *job, struct err *err)
{
    char *mode = NULL;
    bool ok = body_text(body, "mode", 20, &mode, err);
    if (ok && mode && !redrive_mode_parse(slice_of(mode), &job->mode))
        ok = err_set(err, ERR_USAGE, "mode: if-newer or force");
    mem_free(mode);
    return ok;
}

static bool read_members(const struct body *body, struct order *order, bool may_search,
                         struct err *err)
{
    struct redrive_job *job = &order->job;
    uint64_t rate = 0;
    if (!body_filter(body, job->created_ms, may_search, &order->filter, err) ||
        !body_text(body, "group", 300, &job->group, err) || !read_mode(body, job, err) ||
        !body_number(body, "rate", 0, RATE_MAX, &rate, err) ||
        !body_number(body, "limit", 0, UINT32_MAX, &job->limit, err) ||
        !body_text(body, "reason", REASON_MAX, &job->reason, err) ||
        !body_text(body, "confirm", 20, &order->confirm, err))
        return false;
    job->rate_per_s = (uint32_t)rate;
    return true;
}

/* The order's, its route's, or the only one that there is. */
static bool choose_group(const struct console *console, struct order *order, struct err *err)
{
    const struct route_config *route = NULL;
    struct redriving_group group;
    if (order->filter.route) {
        route = config_find_route(console->config, order->filter.route);
        if (!route)
            return err_set(err, ERR_USAGE, "there is no route %.200s", order->filter.route);
    }
    if (!order->job.group && !route && redriving_count(console->redriving) > 1)
        return err_set(err, ERR_USAGE,
                       "the routes have several groups: say which, as group or filter.route");
    if (!order->job.group)
        order->job.group = mem_strdup(route ? route->group : console->config->routes[0].group);
    return redriving_find(console->redriving, order->job.group, &group) ||
           err_set(err, ERR_USAGE, "no route has the group %.200s", order->job.group);
}

static bool name_job(struct order *order, const struct route_match *match, struct err *err)
{
    struct redrive_job *job = &order->job;
    struct buf filter = {0};
    char id[REDRIVE_ID_MAX];
    redrive_job_id(job->created_ms, id);
    job->id = mem_strdup(id);
    job->by = console_by(&match->who);
    dlq_filter_to_json(&order->filter, &filter);
    job->filter = filter.data;
    return filter.len <= REDRIVE_JOB_MAX / 2 ||
           err_set(err, ERR_USAGE, "a selection of %zu letters is too large: use a filter",
                   order->filter.id_count);
}

/* order_deinit in any case. */
static bool read_order(const struct console *console, struct call *call,
                       const struct route_match *match, struct order *order, struct err *err)
{
    static const char *const names[] = {"group", "filter", "mode",    "rate",
                                        "limit", "reason", "confirm", NULL};
    struct payload_view view = {.masking = &console->masking, .role = match->who.role};
    struct body *body = body_parse(call_request(call)->body, names, err);
    bool ok;
    *order = (struct order){0};
    dlq_filter_init(&order->filter);
    order->job.created_ms = order->job.updated_ms = clock_wall_ms();
    ok = body && read_members(body, order, !payload_is_masked(&view), err) &&
         choose_group(console, order, err) && name_job(order, match, err);
    body_free(&body);
    return ok;
}

static void refuse(struct call *call, const struct err *err)
{
    if (err->code == ERR_DENIED)
        reply_problem(call, 403, err->text);
    else
        reply_problem_err(call, err);
}

/* ---- start ---- */

struct starting {
    struct work work;
    struct redrive_job job;
};

static void drop_starting(struct work *work)
{
    redrive_job_deinit(&((struct starting *)work)->job);
}

static const struct work_kind start_kind = {
    .size = sizeof(struct starting),
    .changes = true,
    .late = "Kafka has not acknowledged the job: whether there is one is not known yet",
    .drop = drop_starting};

static void answer_started(struct starting *starting)
{
    struct buf body = {0};
    json_add_job(&body, &starting->job, false, starting->work.masked);
    buf_add_char(&body, '\n');
    work_answer(&starting->work, &body);
    buf_deinit(&body);
    work_end(&starting->work);
}

/* Answered when the job has come back from its topic: who asks for it then finds it. */
static void started(void *arg, const struct err *err)
{
    struct starting *starting = arg;
    struct work *work = &starting->work;
    struct err unknown = {0};
    struct jobs *jobs =
        err ? NULL : redriving_jobs(work->console->redriving, starting->job.group, &unknown);
    if (err) {
        work_fail(work, err);
        work_end(work);
    } else if (!work->call || !jobs || jobs_find(jobs, starting->job.id)) {
        answer_started(starting);
    } else {
        work->settled = true;
    }
}

void job_start_seen(struct console *console, const struct redrive_job *job)
{
    struct work *work;
    TAILQ_FOREACH(work, &console->works, entry)
    {
        struct starting *starting = (struct starting *)work;
        if (work->kind != &start_kind || !work->settled || !work->call ||
            strcmp(starting->job.id, job->id) != 0)
            continue;
        answer_started(starting);
        return;
    }
}

static bool may_force(const struct order *order, struct err *err)
{
    if (order->job.mode != REDRIVE_FORCE)
        return true;
    if (!order->job.reason || !order->job.reason[0])
        return err_set(err, ERR_USAGE, "reason: force wants one, for the audit log");
    return (order->confirm && strcmp(order->confirm, "force") == 0) ||
           err_set(err, ERR_USAGE,
                   "confirm: force delivers records although later ones of their keys have "
                   "succeeded, and wants the word force");
}

void api_job_start(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct starting *starting = NULL;
    struct jobs *jobs = NULL;
    struct order order;
    struct err err = {0};
    if (read_order(console, call, match, &order, &err) && may_force(&order, &err))
        jobs = redriving_jobs(console->redriving, order.job.group, &err);
    if (!jobs)
        refuse(call, &err);
    else
        starting = work_new(&start_kind, console, call, match);
    if (starting) {
        starting->job = order.job;
        order.job = (struct redrive_job){0};
        jobs_start(jobs, &starting->job, started, starting);
    }
    order_deinit(&order);
}

/* ---- dry run ---- */

struct planning {
    struct work work;
    struct order order;
    struct redrive_scan *scan;
    struct redrive_ahead_ask *ask; /* NULL: not asked, or told */
};

static void drop_planning(struct work *work)
{
    struct planning *planning = (struct planning *)work;
    if (planning->ask)
        redrive_ahead_cancel(planning->ask);
    redrive_scan_free(&planning->scan);
    order_deinit(&planning->order);
    work->console->planning--;
}

static const struct work_kind plan_kind = {
    .size = sizeof(struct planning),
    .time_ms = PLAN_MS,
    .late = "the topics could not be read in a minute: narrow the filter, or ask when less is "
            "going on; a job itself takes the time that it needs",
    .drop = drop_planning};

static void answer_plan(struct planning *planning, const struct redrive_ahead *ahead)
{
    const struct redrive_counts *counts = redrive_scan_counts(planning->scan);
    const struct redrive_job *job = &planning->order.job;
    uint64_t sends = job->limit > 0 && job->limit < counts->eligible ? job->limit
                                                                     : counts->eligible;
    struct buf body = {0};
    buf_add_char(&body, '{');
    api_add_text(&body, "group", job->group);
    api_add_count(&body, "sends", sends);
    api_add_count(&body, "overtaken", ahead->overtaken);
    api_add_count(&body, "overtaken_unknown", ahead->unknown);
    api_add_text_or_null(&body, "overtaken_why", ahead->why[0] ? ahead->why : NULL);
    json_add_counts(&body, counts);
    buf_add_text(&body, "}\n");
    work_answer(&planning->work, &body);
    buf_deinit(&body);
    work_end(&planning->work);
}

static void looked_ahead(void *arg, const struct redrive_ahead *ahead)
{
    struct planning *planning = arg;
    planning->ask = NULL;
    answer_plan(planning, ahead);
}

static void look_ahead(struct planning *planning)
{
    struct console *console = planning->work.console;
    struct redrive_ahead none = {.unknown = redrive_scan_list(planning->scan)->count};
    struct err err = {0};
    struct ledger *ledger = keys_ledger(console->keys, &err);
    if (!ledger) {
        snprintf(none.why, sizeof(none.why), "%.280s", err.text);
        answer_plan(planning, &none);
        return;
    }
    planning->ask = redrive_ahead_ask(console->options.loop, ledger, console->config,
                                      planning->scan, AHEAD_MS, looked_ahead, planning);
}

static void scanned(void *arg, const struct err *err)
{
    struct planning *planning = arg;
    if (!err) {
        look_ahead(planning);
        return;
    }
    work_fail(&planning->work, err);
    work_end(&planning->work);
}

static void plan(struct planning *planning)
{
    struct console *console = planning->work.console;
    struct redrive_scan_config config = {.loop = console->options.loop,
                                         .config = console->config,
                                         .group = planning->order.job.group,
                                         .filter = &planning->order.filter,
                                         .before_ms = planning->order.job.created_ms,
                                         .keep_keys = true,
                                         .done = scanned,
                                         .arg = planning};
    struct err err = {0};
    planning->scan = redrive_scan_new(&config, &err);
    if (planning->scan)
        return;
    work_fail(&planning->work, &err);
    work_end(&planning->work);
}

void api_job_plan(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct planning *planning = NULL;
    struct order order;
    struct err err = {0};
    if (!read_order(console, call, match, &order, &err))
        refuse(call, &err);
    else if (console->planning >= PLANS_AT_ONCE)
        reply_problem(call, 503,
                      "others try a job out right now, which reads all topics: try again");
    else
        planning = work_new(&plan_kind, console, call, match);
    if (!planning) {
        order_deinit(&order);
        return;
    }
    console->planning++;
    planning->order = order;
    plan(planning);
}
