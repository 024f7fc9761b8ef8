/* Redrive jobs as JSON, and what may be asked of one that there is. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/body.h"
#include "console/console_parts.h"
#include "record/json_field.h"

#define JOBS_PRESET 50
#define JOBS_MAX    500
#define REASON_MAX  1000

/* ---- JSON ---- */

static void add_count(struct buf *out, const char *name, uint64_t count)
{
    buf_printf(out, "\"%s\":%" PRIu64 ",", name, count);
}

static void add_skipped(struct buf *out, const struct redrive_counts *counts)
{
    char before = '{';
    buf_add_text(out, "\"skipped\":");
    for (int i = 0; i < REDRIVE_SKIPS; i++) {
        buf_printf(out, "%c\"", before);
        for (const char *c = redrive_skip_name((enum redrive_skip)i); *c; c++)
            buf_add_char(out, *c == '-' ? '_' : *c);
        buf_printf(out, "\":%" PRIu64, counts->skipped[i]);
        before = ',';
    }
    buf_add_char(out, '}');
}

void json_add_counts(struct buf *out, const struct redrive_counts *counts)
{
    buf_add_text(out, "\"counts\":{");
    add_count(out, "total", counts->total);
    add_count(out, "eligible", counts->eligible);
    add_count(out, "sent", counts->sent);
    add_count(out, "resolved", counts->resolved);
    add_count(out, "superseded", counts->superseded);
    add_count(out, "dropped", counts->dropped);
    add_count(out, "duplicate", counts->duplicate);
    add_count(out, "failed", counts->failed);
    add_count(out, "on_their_way", redrive_counts_on_their_way(counts));
    add_skipped(out, counts);
    buf_add_char(out, '}');
}

static void add_moving(struct buf *out, const struct redrive_job *job, bool cancel_asked)
{
    char created[STR_RFC3339_MAX], updated[STR_RFC3339_MAX];
    bool cancelling = cancel_asked && !redrive_status_is_end(job->status);
    str_rfc3339_from_ms(job->created_ms, created);
    str_rfc3339_from_ms(job->updated_ms, updated);
    buf_add_text(out, "\"id\":");
    buf_add_json(out, slice_of(job->id));
    buf_add_text(out, ",\"group\":");
    buf_add_json(out, slice_of(job->group));
    buf_printf(out, ",\"status\":\"%s\",\"mode\":\"%s\",\"rate\":%" PRIu32 ",\"limit\":%" PRIu64,
               redrive_status_name(cancelling ? REDRIVE_CANCELLING : job->status),
               redrive_mode_name(job->mode), job->rate_per_s, job->limit);
    buf_printf(out, ",\"created\":\"%s\",\"updated\":\"%s\",", created, updated);
    json_add_counts(out, &job->counts);
}

void json_add_job_event(struct buf *out, const struct redrive_job *job, bool cancel_asked)
{
    buf_add_char(out, '{');
    add_moving(out, job, cancel_asked);
    buf_add_char(out, '}');
}

void json_add_text_or_null(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    if (text)
        buf_add_json(out, slice_of(text));
    else
        buf_add_text(out, "null");
}

/* The words that somebody searched for tell what stands in records. */
bool json_filter_is_hidden(const char *json, const char *pointer, bool masked)
{
    struct json_field field = {.pointer = pointer};
    return masked && json && (!json_find(slice_of(json), &field, 1) || field.kind != JSON_ABSENT);
}

void json_add_job(struct buf *out, const struct redrive_job *job, bool cancel_asked, bool masked)
{
    bool hidden = json_filter_is_hidden(job->filter, "/text", masked);
    buf_add_char(out, '{');
    add_moving(out, job, cancel_asked);
    json_add_text_or_null(out, "reason", job->reason);
    json_add_text_or_null(out, "by", job->by);
    json_add_text_or_null(out, "owner", job->owner);
    json_add_text_or_null(out, "note", job->note);
    buf_printf(out, ",\"filter\":%s,\"filter_hidden\":%s}", hidden ? "{}" : job->filter,
               hidden ? "true" : "false");
}

/* ---- list and get ---- */

static bool is_masked(const struct console *console, const struct route_match *match)
{
    return payload_is_masked(
        &(struct payload_view){.masking = &console->masking, .role = match->who.role});
}

bool api_read_limit(const struct route_match *match, uint64_t *limit, struct err *err)
{
    struct slice text = router_param(match, "limit");
    *limit = JOBS_PRESET;
    return slice_is_null(text) || (str_to_u64(text, limit) && *limit >= 1 && *limit <= JOBS_MAX) ||
           err_set(err, ERR_USAGE, "limit: a number from 1 to %d", JOBS_MAX);
}

struct listed {
    const struct jobs *jobs;
    const struct redrive_job *job;
};

/* Newest first: ids sort by time. Of all groups at most limit each, then the newest of them. */
static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct listed *)b)->job->id, ((const struct listed *)a)->job->id);
}

static size_t take_newest(const struct jobs *jobs, size_t most, struct listed *out)
{
    size_t count = 0;
    for (size_t i = jobs_count(jobs); i > 0 && count < most; i--) {
        const struct redrive_job *job = jobs_at(jobs, i - 1);
        if (job)
            out[count++] = (struct listed){jobs, job};
    }
    return count;
}

static void add_group(struct buf *out, const struct redriving_group *group)
{
    buf_add_text(out, "{\"group\":");
    buf_add_json(out, slice_of(group->name));
    buf_printf(out, ",\"known\":%s,\"runs_here\":%s", group->known ? "true" : "false",
               group->owns ? "true" : "false");
    json_add_text_or_null(out, "trouble", group->trouble[0] ? group->trouble : NULL);
    buf_add_char(out, '}');
}

static void list_jobs(struct console *console, const struct route_match *match, size_t limit,
                      struct buf *body)
{
    const struct redriving *redriving = console->redriving;
    struct slice only = router_param(match, "group");
    struct listed *list = mem_calloc(redriving_count(redriving) * limit + 1, sizeof(*list));
    struct buf groups = {0};
    size_t count = 0;
    for (size_t i = 0; i < redriving_count(redriving); i++) {
        struct redriving_group group = redriving_at(redriving, i);
        if (!slice_is_null(only) && !slice_equal_text(only, group.name))
            continue;
        if (groups.len > 0)
            buf_add_char(&groups, ',');
        add_group(&groups, &group);
        if (group.known)
            count += take_newest(group.jobs, limit, list + count);
    }
    qsort(list, count, sizeof(*list), by_id);
    buf_add_text(body, "{\"jobs\":[");
    for (size_t i = 0; i < count && i < limit; i++) {
        if (i > 0)
            buf_add_char(body, ',');
        json_add_job(body, list[i].job, jobs_cancel_asked(list[i].jobs, list[i].job->id),
                     is_masked(console, match));
    }
    buf_printf(body, "],\"groups\":[%s]}\n", groups.data ? groups.data : "");
    buf_deinit(&groups);
    mem_free(list);
}

void api_jobs(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct slice only = router_param(match, "group");
    struct redriving_group group;
    struct buf body = {0};
    struct err err = {0};
    uint64_t limit;
    if (!slice_is_null(only) && !redriving_find(console->redriving, only.data, &group))
        (void)err_set(&err, ERR_USAGE, "no route has the group %.200s", only.data);
    else if (api_read_limit(match, &limit, &err))
        list_jobs(console, match, limit, &body);
    if (err.code)
        front_problem_err(call, &err);
    else
        front_json(call, &body);
    buf_deinit(&body);
}

/* *jobs: those of its group. NULL: err says why. */
static const struct redrive_job *find_job(const struct console *console, const char *id,
                                          struct jobs **jobs, struct err *err)
{
    bool all_known = true;
    for (size_t i = 0; i < redriving_count(console->redriving); i++) {
        struct redriving_group group = redriving_at(console->redriving, i);
        const struct redrive_job *job = group.known ? jobs_find(group.jobs, id) : NULL;
        *jobs = group.jobs;
        if (job)
            return job;
        all_known = all_known && group.known;
    }
    if (all_known)
        (void)err_set(err, ERR_NO_FILE, "there is no such job");
    else
        (void)err_set_retriable(err, ERR_UNAVAILABLE,
                                "the jobs of a group are not known: /api/v1/jobs says why");
    return NULL;
}

void api_job(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct jobs *jobs;
    struct buf body = {0};
    struct err err = {0};
    const struct redrive_job *job = find_job(console, router_param(match, "id").data, &jobs, &err);
    if (!job) {
        front_problem_err(call, &err);
        return;
    }
    json_add_job(&body, job, jobs_cancel_asked(jobs, job->id), is_masked(console, match));
    buf_add_char(&body, '\n');
    front_json(call, &body);
    buf_deinit(&body);
}

/* ---- cancel ---- */

struct cancelling {
    struct work work;
    char *id;
};

static void drop_cancelling(struct work *work)
{
    mem_free(((struct cancelling *)work)->id);
}

static const struct work_kind cancel_kind = {
    .size = sizeof(struct cancelling),
    .changes = true,
    .late = "Kafka has not acknowledged this: whether the job is cancelled is not known yet",
    .drop = drop_cancelling};

static void cancelled(void *arg, const struct err *err)
{
    struct cancelling *cancelling = arg;
    struct work *work = &cancelling->work;
    struct jobs *jobs;
    struct buf body = {0};
    struct err failure = {0};
    const struct redrive_job *job = err ? NULL
                                        : find_job(work->console, cancelling->id, &jobs, &failure);
    if (job) {
        json_add_job(&body, job, true, work->masked);
        buf_add_char(&body, '\n');
        work_answer(work, &body);
    } else {
        work_fail(work, err ? err : &failure);
    }
    buf_deinit(&body);
    work_end(work);
}

static bool read_reason(struct call *call, char **reason, struct err *err)
{
    static const char *const names[] = {"reason", NULL};
    struct body *body = body_parse(call_request(call)->body, names, err);
    bool ok = body && body_text(body, "reason", REASON_MAX, reason, err);
    body_free(&body);
    return ok;
}

void api_job_cancel(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct cancelling *cancelling;
    const struct redrive_job *job;
    struct jobs *jobs;
    struct err err = {0};
    char *reason = NULL;
    job = read_reason(call, &reason, &err)
              ? find_job(console, router_param(match, "id").data, &jobs, &err)
              : NULL;
    if (!job) {
        front_problem_err(call, &err);
    } else if (redrive_status_is_end(job->status)) {
        front_problem(call, 409, "it has ended already");
    } else if ((cancelling = work_new(&cancel_kind, console, call, match)) != NULL) {
        char *by = console_by(&match->who);
        cancelling->id = mem_strdup(job->id);
        jobs_cancel(jobs, cancelling->id, by, reason, cancelled, cancelling);
        mem_free(by);
    }
    mem_free(reason);
}
