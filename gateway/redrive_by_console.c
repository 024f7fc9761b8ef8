/*
 * Redrive jobs of a console; see redrive_by_console.h. A job is watched by asking for it again, and
 * goes on where the command is ended.
 */
#include "redrive_by_console.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/mem.h"
#include "console_ask.h"
#include "console_route.h"
#include "filter_options.h"
#include "json_print.h"
#include "redrive_records.h"
#include "redrive_tell.h"

#define LIST_MOST 500 /* the most that the API gives at once */
#define WATCH_MS  500

struct asking {
    struct cli *cli;
    struct console_client *console;
    struct redrive_tell tell;
    struct err err;
};

/* ---- jobs of the API ---- */

static char *text_or_null(struct json_object *object, const char *name)
{
    return json_object_is_type(answer_member(object, name), json_type_string)
               ? mem_strdup(answer_text(object, name))
               : NULL;
}

static void read_counts(struct json_object *job, struct redrive_counts *counts)
{
    struct json_object *object = answer_member(job, "counts");
    struct json_object *skipped = answer_member(object, "skipped");
    counts->total = (uint64_t)answer_number(object, "total");
    counts->eligible = (uint64_t)answer_number(object, "eligible");
    counts->sent = (uint64_t)answer_number(object, "sent");
    counts->resolved = (uint64_t)answer_number(object, "resolved");
    counts->superseded = (uint64_t)answer_number(object, "superseded");
    counts->dropped = (uint64_t)answer_number(object, "dropped");
    counts->duplicate = (uint64_t)answer_number(object, "duplicate");
    counts->failed = (uint64_t)answer_number(object, "failed");
    for (int i = 0; i < REDRIVE_SKIPS; i++) {
        const char *name = redrive_skip_name((enum redrive_skip)i);
        counts->skipped[i] = (uint64_t)answer_number(skipped, name);
    }
}

static enum redrive_status status_of(const char *name)
{
    for (int i = REDRIVE_WAITING; i < REDRIVE_FAILED; i++) {
        if (strcmp(name, redrive_status_name((enum redrive_status)i)) == 0)
            return (enum redrive_status)i;
    }
    return REDRIVE_FAILED;
}

static void read_job(struct json_object *object, struct redrive_job *job)
{
    const char *filter = json_object_to_json_string_ext(answer_member(object, "filter"),
                                                        JSON_C_TO_STRING_NOSLASHESCAPE);
    *job = (struct redrive_job){.id = mem_strdup(answer_text(object, "id")),
                                .group = mem_strdup(answer_text(object, "group")),
                                .filter = mem_strdup(filter),
                                .rate_per_s = (uint32_t)answer_number(object, "rate"),
                                .limit = (uint64_t)answer_number(object, "limit"),
                                .reason = text_or_null(object, "reason"),
                                .by = text_or_null(object, "by"),
                                .created_ms = answer_ms(object, "created"),
                                .updated_ms = answer_ms(object, "updated"),
                                .status = status_of(answer_text(object, "status")),
                                .owner = text_or_null(object, "owner"),
                                .note = text_or_null(object, "note")};
    if (!redrive_mode_parse(answer_bytes(object, "mode"), &job->mode))
        job->mode = REDRIVE_IF_NEWER;
    read_counts(object, &job->counts);
    job->skipped_listed = (uint64_t)answer_number(object, "skipped_listed");
}

/* No such job is what it is without a console. */
static void explain(struct asking *asking, const char *id)
{
    if (asking->err.code == ERR_NO_FILE)
        (void)err_set(&asking->err, ERR_INPUT, "no such job: %s (see oncegate redrive list)", id);
}

/* redrive_job_deinit where it is true. */
static bool ask_job(struct asking *asking, const char *id, const char *verb, const char *body,
                    struct redrive_job *job)
{
    struct json_object *answer;
    struct buf path = {0};
    buf_add_text(&path, "/api/v1/jobs");
    console_client_add_segment(&path, slice_of(id));
    buf_add_text(&path, verb);
    answer = console_ask(asking->console, path.data, body, &asking->err);
    buf_deinit(&path);
    if (answer)
        read_job(answer, job);
    json_object_put(answer);
    return answer != NULL;
}

/* Until its end; *job is that of the last answer. */
static bool watch(struct asking *asking, struct redrive_job *job)
{
    struct timespec pause = {0, WATCH_MS * 1000000L};
    bool ok = true;
    while (ok && !redrive_status_is_end(job->status)) {
        struct redrive_job now;
        redrive_tell_progress(&asking->tell, job, false);
        nanosleep(&pause, NULL);
        ok = ask_job(asking, job->id, "", NULL, &now);
        if (!ok)
            break;
        redrive_job_deinit(job);
        *job = now;
    }
    if (ok)
        redrive_tell_progress(&asking->tell, job, false);
    redrive_tell_end(&asking->tell);
    return ok;
}

/* ---- start ---- */

struct order {
    struct redrive_job job;
    struct dlq_filter filter;
    const char *group, *confirm;
    bool dry;
};

static struct buf order_text(const struct order *order, bool start)
{
    struct json_object *object = json_object_new_object();
    struct buf filter = {0}, text = {0};
    dlq_filter_to_json(&order->filter, &filter);
    json_object_object_add(object, "filter", json_tokener_parse(filter.data));
    json_object_object_add(object, "mode",
                           json_object_new_string(redrive_mode_name(order->job.mode)));
    if (order->group)
        json_object_object_add(object, "group", json_object_new_string(order->group));
    if (order->job.rate_per_s)
        json_object_object_add(object, "rate", json_object_new_int64(order->job.rate_per_s));
    if (order->job.limit)
        json_object_object_add(object, "limit", json_object_new_uint64(order->job.limit));
    if (order->job.reason)
        json_object_object_add(object, "reason", json_object_new_string(order->job.reason));
    if (start && order->job.mode == REDRIVE_FORCE)
        json_object_object_add(object, "confirm", json_object_new_string("force"));
    buf_add_text(&text, json_object_to_json_string(object));
    json_object_put(object);
    buf_deinit(&filter);
    return text;
}

static bool plan(struct asking *asking, struct order *order, bool *any)
{
    struct buf body = order_text(order, false);
    struct json_object *answer = console_ask(asking->console, "/api/v1/jobs/dry-run", body.data,
                                             &asking->err);
    struct redrive_ahead ahead = {0};
    struct redrive_counts counts = {0};
    buf_deinit(&body);
    if (!answer)
        return false;
    read_counts(answer, &counts);
    ahead.overtaken = (uint64_t)answer_number(answer, "overtaken");
    ahead.unknown = (uint64_t)answer_number(answer, "overtaken_unknown");
    (void)snprintf(ahead.why, sizeof(ahead.why), "%.290s", answer_text(answer, "overtaken_why"));
    order->job.group = mem_strdup(answer_text(answer, "group"));
    redrive_tell_plan(&asking->tell, &order->job, &counts, order->dry ? &ahead : NULL);
    *any = counts.eligible > 0;
    json_object_put(answer);
    return true;
}

static bool send_order(struct asking *asking, const struct order *order, struct redrive_job *job)
{
    struct buf body = order_text(order, true);
    struct json_object *answer = console_ask(asking->console, "/api/v1/jobs", body.data,
                                             &asking->err);
    buf_deinit(&body);
    if (answer)
        read_job(answer, job);
    json_object_put(answer);
    return answer != NULL;
}

static int start_order(struct asking *asking, struct order *order)
{
    struct redrive_job job = {0};
    bool any = false;
    int code;
    if (!plan(asking, order, &any))
        return cli_fail(&asking->err);
    if (!any && !order->dry)
        fputs("nothing is to be sent\n", stderr);
    if (!any || order->dry)
        return EXIT_OK;
    if (!redrive_may_force(asking->cli, &order->job, order->confirm, &asking->err) ||
        !send_order(asking, order, &job))
        return cli_fail(&asking->err);
    fprintf(stderr, "job %s\n", job.id);
    code = watch(asking, &job) ? redrive_exit_code(&job) : cli_fail(&asking->err);
    if (redrive_status_is_end(job.status))
        redrive_tell_job(&asking->tell, &job, false);
    redrive_job_deinit(&job);
    return code;
}

static int start(struct asking *asking)
{
    struct order order = {.group = cli_option(asking->cli, "--group"),
                          .confirm = cli_option(asking->cli, "--confirm"),
                          .dry = cli_flag(asking->cli, "--dry-run")};
    struct buf filter = {0};
    char id[REDRIVE_ID_MAX];
    int code;
    dlq_filter_init(&order.filter);
    order.job.created_ms = order.job.updated_ms = clock_wall_ms();
    if (filter_options_read(asking->cli, &order.filter, &asking->err) &&
        redrive_order_read(asking->cli, &order.job, &asking->err)) {
        dlq_filter_to_json(&order.filter, &filter);
        order.job.filter = filter.data;
        redrive_job_id(order.job.created_ms, id); /* of a dry run */
        order.job.id = mem_strdup(id);
        code = start_order(asking, &order);
    } else {
        code = cli_fail(&asking->err);
    }
    redrive_job_deinit(&order.job);
    dlq_filter_deinit(&order.filter);
    return code;
}

/* ---- the other verbs ---- */

static void tell_trouble(struct json_object *groups)
{
    for (size_t i = 0; i < answer_count(groups); i++) {
        struct json_object *group = json_object_array_get_idx(groups, i);
        if (answer_text(group, "trouble")[0])
            fprintf(stderr, "oncegate: jobs of %s: %s\n", answer_text(group, "group"),
                    answer_text(group, "trouble"));
    }
}

static void tell_jobs(struct asking *asking, struct json_object *jobs)
{
    for (size_t i = 0; i < answer_count(jobs); i++) {
        struct redrive_job job;
        read_job(json_object_array_get_idx(jobs, i), &job);
        redrive_tell_line(&asking->tell, &job, false);
        redrive_job_deinit(&job);
    }
}

/* What is not over, the newest first. */
struct left {
    char **ids;
    size_t count;
};

static void take_left(struct left *left, struct json_object *jobs)
{
    for (size_t i = 0; i < answer_count(jobs); i++) {
        struct json_object *job = json_object_array_get_idx(jobs, i);
        if (redrive_status_is_end(status_of(answer_text(job, "status"))))
            continue;
        left->ids = mem_realloc(left->ids, (left->count + 1) * sizeof(char *));
        left->ids[left->count++] = mem_strdup(answer_text(job, "id"));
    }
}

/* One page; next: its cursor, then the next one's. left NULL: it is printed. */
static bool list_page(struct asking *asking, const struct buf *group, struct left *left,
                      struct buf *next)
{
    struct buf path = {0};
    struct json_object *answer;
    buf_printf(&path, "/api/v1/jobs?limit=%d", LIST_MOST);
    if (group->len > 0)
        console_client_add_param(&path, "group", buf_slice(group));
    if (next->len > 0)
        console_client_add_param(&path, "cursor", buf_slice(next));
    answer = console_ask(asking->console, path.data, NULL, &asking->err);
    buf_deinit(&path);
    buf_reset(next);
    if (!answer)
        return false;
    if (left)
        take_left(left, answer_member(answer, "jobs"));
    else
        tell_jobs(asking, answer_member(answer, "jobs"));
    buf_add_text(next, answer_text(answer, "next"));
    if (next->len == 0)
        tell_trouble(answer_member(answer, "groups"));
    json_object_put(answer);
    return true;
}

static bool list_pages(struct asking *asking, struct left *left)
{
    struct buf group = {0}, next = {0};
    bool ok = console_route_group(asking->cli, asking->console, &group, &asking->err);
    if (ok) {
        do {
            ok = list_page(asking, &group, left, &next);
        } while (ok && next.len > 0);
    }
    buf_deinit(&group);
    buf_deinit(&next);
    return ok;
}

static int list(struct asking *asking)
{
    return list_pages(asking, NULL) ? EXIT_OK : cli_fail(&asking->err);
}

/* ---- resume ---- */

/* A console that may change things runs jobs, or another runner of the group does. */
static bool runs_jobs(struct asking *asking)
{
    struct json_object *answer = console_ask(asking->console, "/api/v1/overview", NULL,
                                             &asking->err);
    bool runs = answer_bool(answer, "allow_changes");
    if (answer && !runs)
        (void)err_set(&asking->err, ERR_DENIED,
                      "this console runs no jobs: its console.allow_changes is false; leave "
                      "--console out to run them here");
    json_object_put(answer);
    return runs;
}

/* As they are run: the oldest first. */
static bool watch_left(struct asking *asking, const struct left *left)
{
    bool ok = true;
    for (size_t i = left->count; ok && i > 0; i--) {
        struct redrive_job job;
        ok = ask_job(asking, left->ids[i - 1], "", NULL, &job);
        if (!ok)
            break;
        ok = watch(asking, &job);
        if (ok)
            redrive_tell_job(&asking->tell, &job, false);
        redrive_job_deinit(&job);
    }
    return ok;
}

static int resume(struct asking *asking)
{
    struct left left = {0};
    bool ok = list_pages(asking, &left);
    if (ok && left.count == 0)
        fputs("no job is left to be done\n", stderr);
    else
        ok = ok && runs_jobs(asking) && watch_left(asking, &left);
    for (size_t i = 0; i < left.count; i++)
        mem_free(left.ids[i]);
    mem_free(left.ids);
    return ok ? EXIT_OK : cli_fail(&asking->err);
}

/* The job itself as well, where people read. */
static int print_status(struct asking *asking, const struct redrive_job *job)
{
    bool records = cli_flag(asking->cli, "--records");
    if (!records || json_output_of(asking->cli) == OUTPUT_TABLE)
        redrive_tell_job(&asking->tell, job, false);
    if (records && !redrive_records_of_console(asking->cli, asking->console, job->id, &asking->err))
        return cli_fail(&asking->err);
    return job->counts.failed > 0 ? EXIT_PARTLY : EXIT_OK;
}

static int status(struct asking *asking)
{
    const char *id = asking->cli->argv[1];
    bool stay = cli_flag(asking->cli, "--watch");
    struct redrive_job job;
    int code;
    if (!ask_job(asking, id, "", NULL, &job)) {
        explain(asking, id);
        return cli_fail(&asking->err);
    }
    if (stay && !redrive_status_is_end(job.status) && !watch(asking, &job)) {
        code = cli_fail(&asking->err);
    } else {
        code = print_status(asking, &job);
    }
    redrive_job_deinit(&job);
    return code;
}

static bool order_cancel(struct asking *asking, const char *id, struct redrive_job *job)
{
    const char *reason = cli_option(asking->cli, "--reason");
    struct buf body = {0};
    bool ok;
    buf_add_char(&body, '{');
    if (reason) {
        buf_add_text(&body, "\"reason\":");
        buf_add_json(&body, slice_of(reason));
    }
    buf_add_char(&body, '}');
    ok = ask_job(asking, id, "/cancel", body.data, job);
    buf_deinit(&body);
    return ok;
}

static int cancel(struct asking *asking)
{
    const char *id = asking->cli->argv[1];
    struct redrive_job job;
    int code;
    if (!order_cancel(asking, id, &job)) {
        if (asking->err.code == ERR_INPUT) { /* 409 */
            fputs("it has ended already\n", stderr);
            return status(asking);
        }
        explain(asking, id);
        return cli_fail(&asking->err);
    }
    if (watch(asking, &job)) {
        redrive_tell_job(&asking->tell, &job, false);
        code = job.status == REDRIVE_FAILED ? EXIT_FAIL : EXIT_OK;
    } else {
        code = cli_fail(&asking->err);
    }
    redrive_job_deinit(&job);
    return code;
}

int redrive_by_console(struct cli *cli, struct console_client *console)
{
    struct asking asking = {.cli = cli, .console = console, .tell.cli = cli};
    int code;
    if (cli_option(cli, "--by"))
        return cli_usage("redrive", "--by is not taken with --console: it knows who asks");
    if (strcmp(cli->argv[0], "start") == 0)
        code = start(&asking);
    else if (strcmp(cli->argv[0], "list") == 0)
        code = list(&asking);
    else if (strcmp(cli->argv[0], "status") == 0)
        code = status(&asking);
    else if (strcmp(cli->argv[0], "cancel") == 0)
        code = cancel(&asking);
    else
        code = resume(&asking);
    redrive_tell_deinit(&asking.tell);
    return code;
}
