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
#define CURSOR      'b' /* begins one */

/* ---- JSON ---- */

static void add_skipped(struct buf *out, const struct redrive_counts *counts)
{
    char before = '{';
    buf_add_text(out, "\"skipped\":");
    for (int i = 0; i < REDRIVE_SKIPS; i++) {
        buf_printf(out, "%c\"%s\":%" PRIu64, before, redrive_skip_name((enum redrive_skip)i),
                   counts->skipped[i]);
        before = ',';
    }
    buf_add_char(out, '}');
}

void json_add_counts(struct buf *out, const struct redrive_counts *counts)
{
    buf_add_text(out, "\"counts\":{");
    api_add_count(out, "total", counts->total);
    api_add_count(out, "eligible", counts->eligible);
    api_add_count(out, "sent", counts->sent);
    api_add_count(out, "resolved", counts->resolved);
    api_add_count(out, "superseded", counts->superseded);
    api_add_count(out, "dropped", counts->dropped);
    api_add_count(out, "duplicate", counts->duplicate);
    api_add_count(out, "failed", counts->failed);
    api_add_count(out, "on_their_way", redrive_counts_on_their_way(counts));
    add_skipped(out, counts);
    buf_add_char(out, '}');
}

static void add_moving(struct buf *out, const struct redrive_job *job, bool cancel_asked)
{
    bool cancelling = cancel_asked && !redrive_status_is_end(job->status);
    api_add_text(out, "id", job->id);
    api_add_text(out, "group", job->group);
    api_add_text(out, "status", redrive_status_name(cancelling ? REDRIVE_CANCELLING : job->status));
    api_add_text(out, "mode", redrive_mode_name(job->mode));
    api_add_count(out, "rate", job->rate_per_s);
    api_add_count(out, "limit", job->limit);
    api_add_time(out, "created", job->created_ms);
    api_add_time(out, "updated", job->updated_ms);
    json_add_counts(out, &job->counts);
}

void json_add_job_event(struct buf *out, const struct redrive_job *job, bool cancel_asked)
{
    buf_add_char(out, '{');
    add_moving(out, job, cancel_asked);
    buf_add_char(out, '}');
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
    buf_add_char(out, ',');
    api_add_text_or_null(out, "reason", job->reason);
    api_add_text_or_null(out, "by", job->by);
    api_add_text_or_null(out, "owner", job->owner);
    api_add_text_or_null(out, "note", job->note);
    api_add_count(out, "skipped_listed", job->skipped_listed);
    buf_printf(out, "\"filter\":%s,\"filter_hidden\":%s}", hidden ? "{}" : job->filter,
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

struct list {
    const char *below; /* the cursor's id; NULL: from the newest on */
    size_t limit;
    struct listed *items; /* of each group one more than a page has */
    size_t count;
    struct buf groups;
};

/* Newest first: ids sort by time. */
static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct listed *)b)->job->id, ((const struct listed *)a)->job->id);
}

static void take_newest(const struct jobs *jobs, struct list *list)
{
    size_t room = list->count + list->limit + 1;
    for (size_t i = jobs_count(jobs); i > 0 && list->count < room; i--) {
        const struct redrive_job *job = jobs_at(jobs, i - 1);
        if (job && (!list->below || strcmp(job->id, list->below) < 0))
            list->items[list->count++] = (struct listed){jobs, job};
    }
}

static void add_group(struct buf *out, const struct redriving_group *group)
{
    buf_add_text(out, out->len > 0 ? ",{" : "{");
    api_add_text(out, "group", group->name);
    api_add_text_or_null(out, "trouble", group->trouble[0] ? group->trouble : NULL);
    buf_printf(out, "\"known\":%s,\"runs_here\":%s}", group->known ? "true" : "false",
               group->owns ? "true" : "false");
}

static void write_list(const struct list *list, bool masked, struct buf *body)
{
    size_t shown = list->count < list->limit ? list->count : list->limit;
    buf_add_text(body, "{\"jobs\":[");
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            buf_add_char(body, ',');
        json_add_job(body, list->items[i].job,
                     jobs_cancel_asked(list->items[i].jobs, list->items[i].job->id), masked);
    }
    buf_add_text(body, "],\"next\":\"");
    if (shown < list->count)
        buf_printf(body, "%c%s", CURSOR, list->items[shown - 1].job->id);
    buf_printf(body, "\",\"groups\":[%s]}\n", list->groups.data ? list->groups.data : "");
}

static void list_jobs(struct console *console, const struct route_match *match, struct list *list,
                      struct buf *body)
{
    const struct redriving *redriving = console->redriving;
    struct slice only = router_param(match, "group");
    list->items = mem_calloc(redriving_count(redriving) * (list->limit + 1) + 1,
                             sizeof(*list->items));
    for (size_t i = 0; i < redriving_count(redriving); i++) {
        struct redriving_group group = redriving_at(redriving, i);
        if (!slice_is_null(only) && !slice_equal_text(only, group.name))
            continue;
        add_group(&list->groups, &group);
        if (group.known)
            take_newest(group.jobs, list);
    }
    qsort(list->items, list->count, sizeof(*list->items), by_id);
    write_list(list, is_masked(console, match), body);
    buf_deinit(&list->groups);
    mem_free(list->items);
}

/* A cursor is the id of the last job of the page before. */
static bool read_page(const struct route_match *match, struct list *list, struct err *err)
{
    struct slice cursor = router_param(match, "cursor");
    uint64_t limit;
    if (!api_read_limit(match, &limit, err))
        return false;
    list->limit = (size_t)limit;
    if (slice_is_null(cursor) || cursor.len == 0)
        return true;
    list->below = cursor.data + 1;
    return (cursor.data[0] == CURSOR && redrive_job_id_is_valid(slice_of(list->below))) ||
           err_set(err, ERR_USAGE, "cursor: no page has given this one; begin without one");
}

void api_jobs(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct slice only = router_param(match, "group");
    struct redriving_group group;
    struct list list = {0};
    struct buf body = {0};
    struct err err = {0};
    if (!slice_is_null(only) && !redriving_find(console->redriving, only.data, &group))
        (void)err_set(&err, ERR_USAGE, "no route has the group %.200s", only.data);
    else if (read_page(match, &list, &err))
        list_jobs(console, match, &list, &body);
    if (err.code)
        reply_problem_err(call, &err);
    else
        reply_json(call, &body);
    buf_deinit(&body);
}

const struct redrive_job *api_find_job(const struct console *console, const char *id,
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
    const struct redrive_job *job = api_find_job(console, router_param(match, "id").data, &jobs,
                                                 &err);
    if (!job) {
        reply_problem_err(call, &err);
        return;
    }
    json_add_job(&body, job, jobs_cancel_asked(jobs, job->id), is_masked(console, match));
    buf_add_char(&body, '\n');
    reply_json(call, &body);
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
    const struct redrive_job *job =
        err ? NULL : api_find_job(work->console, cancelling->id, &jobs, &failure);
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
              ? api_find_job(console, router_param(match, "id").data, &jobs, &err)
              : NULL;
    if (!job) {
        reply_problem_err(call, &err);
    } else if (redrive_status_is_end(job->status)) {
        reply_problem(call, 409, "it has ended already");
    } else if ((cancelling = work_new(&cancel_kind, console, call, match)) != NULL) {
        char *by = console_by(&match->who);
        cancelling->id = mem_strdup(job->id);
        jobs_cancel(jobs, cancelling->id, by, reason, cancelled, cancelling);
        mem_free(by);
    }
    mem_free(reason);
}
