/*
 * A dead letter sent round again with another value or other headers of the app. The copy is a new
 * dead letter (dlq/edited_copy.h), which a job of its own redrives; the letter that it was made of
 * is archived, and names the copy that goes on in its place.
 *
 *   index (a thread) -> record -> audit log -> the copy -> the letter's state -> the job -> answer
 *
 * Each step is acknowledged before the next. What breaks off leaves letters that are open: the
 * first one, or both, of which the second names the first.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "console/body.h"
#include "console/console_parts.h"
#include "dlq/dlq_write.h"
#include "dlq/edited_copy.h"
#include "dlq/put_away.h"
#include "record/letter_state.h"

#define REASON_MAX 1000

struct editing {
    struct work work;
    struct dlq_id id, latest; /* the line; its newest copy */
    struct body_edit edit;
    char *reason;
    bool dry_run, found;
    bool conflict; /* err is about how things stand */
    /* of the line */
    unsigned state;
    enum letter_writer writer;
    char *from;
    struct put_away away; /* its route NULL: none wrote it */
    /* of the copy; what it borrows of the record is owned here */
    struct buf key, value, changed;
    struct record_header *headers;
    size_t header_count;
    struct buf header_bytes;
    bool null_key, null_value, value_changed;
    size_t old_size;
    struct produce msg;
    char *copy, *job;
    struct err err;
};

static void drop(struct work *work)
{
    struct editing *edit = (struct editing *)work;
    dlq_id_deinit(&edit->id);
    dlq_id_deinit(&edit->latest);
    body_edit_deinit(&edit->edit);
    mem_free(edit->reason);
    mem_free(edit->from);
    put_away_deinit(&edit->away);
    buf_deinit(&edit->key);
    buf_deinit(&edit->value);
    buf_deinit(&edit->changed);
    mem_free(edit->headers);
    buf_deinit(&edit->header_bytes);
    mem_free(edit->copy);
    mem_free(edit->job);
}

static const struct work_kind kind = {
    .size = sizeof(struct editing),
    .time_ms = 30000,
    .changes = true,
    .late =
        "Kafka has not acknowledged all of it: whether the copy is there its letter's page says, "
        "under the same key",
    .drop = drop};

/* ---- answering ---- */

static void add_changes(struct buf *out, const struct editing *edit)
{
    buf_printf(
        out, "\"changed\":{\"value\":%s,\"value_size\":{\"was\":%zu,\"is\":%zu},\"headers\":[%s]}",
        edit->value_changed ? "true" : "false", edit->old_size, edit->value.len,
        edit->changed.len ? edit->changed.data : "");
}

static void end(struct editing *edit)
{
    struct buf body = {0};
    if (edit->err.code && edit->conflict) {
        work_problem(&edit->work, 409, edit->err.text);
    } else if (edit->err.code) {
        work_fail(&edit->work, &edit->err);
    } else {
        buf_add_char(&body, '{');
        api_add_text(&body, "letter", edit->from);
        api_add_text_or_null(&body, "copy", edit->copy);
        api_add_text_or_null(&body, "job", edit->job);
        buf_printf(&body, "\"dry_run\":%s,", edit->dry_run ? "true" : "false");
        add_changes(&body, edit);
        buf_add_text(&body, "}\n");
        work_answer(&edit->work, &body);
    }
    buf_deinit(&body);
    work_end(&edit->work);
}

/* ---- the job ---- */

static void started(void *arg, const struct err *err)
{
    struct editing *edit = arg;
    if (err) {
        edit->err = *err;
        (void)err_prefix(&edit->err, "the copy is %s, and no job sends it", edit->copy);
    }
    end(edit);
}

static void start_job(struct editing *edit)
{
    struct console *console = edit->work.console;
    struct redrive_job job = {.created_ms = clock_wall_ms()};
    struct dlq_filter filter;
    struct buf text = {0};
    struct jobs *jobs = redriving_jobs(console->redriving, edit->away.route->group, &edit->err);
    char id[REDRIVE_ID_MAX];
    if (!jobs) {
        (void)err_prefix(&edit->err, "the copy is %s, and no job sends it", edit->copy);
        end(edit);
        return;
    }
    dlq_filter_init(&filter);
    if (!dlq_filter_set(&filter, "id", slice_of(edit->copy), job.created_ms, &edit->err)) {
        dlq_filter_deinit(&filter);
        end(edit);
        return;
    }
    dlq_filter_to_json(&filter, &text);
    dlq_filter_deinit(&filter);
    redrive_job_id(job.created_ms, id);
    job.updated_ms = job.created_ms;
    job.id = mem_strdup(id);
    job.group = mem_strdup(edit->away.route->group);
    job.by = console_by(&edit->work.who);
    job.reason = mem_strdup(edit->reason);
    job.filter = text.data;
    edit->job = mem_strdup(id);
    jobs_start(jobs, &job, started, edit);
    redrive_job_deinit(&job);
}

/* ---- the letter's state ---- */

static void archived(void *arg, const struct err *err)
{
    struct editing *edit = arg;
    if (!err) {
        CRASH_POINT("edit_archived");
        start_job(edit);
        return;
    }
    edit->err = *err;
    (void)err_prefix(&edit->err, "the copy is %s, and its letter is still open", edit->copy);
    end(edit);
}

static void archive(struct editing *edit)
{
    char *by = console_by(&edit->work.who);
    char *topic = config_dlq_state_topic(edit->away.route);
    struct buf value = {0};
    put_away_write(&value, &edit->away, by, edit->reason, slice_of(edit->copy));
    dlq_write(edit->work.console->producer, topic, LETTER_STATE_PARTITION,
              slice_of(edit->away.state_key), buf_slice(&value), archived, edit);
    buf_deinit(&value);
    mem_free(topic);
    mem_free(by);
}

/* ---- the copy ---- */

static void produced(struct produce *msg)
{
    struct editing *edit = msg->arg;
    if (msg->result == PRODUCE_ACKED) {
        CRASH_POINT("edit_produced");
        edit->copy = mem_printf("%s/%" PRId32 "/%" PRId64, msg->topic, msg->partition, msg->offset);
        archive(edit);
        return;
    }
    edit->err = msg->err;
    if (!edit->err.code)
        (void)err_set(&edit->err, ERR_CANCELLED, "given up before the brokers answered");
    (void)err_prefix(&edit->err, "%s", msg->topic);
    end(edit);
}

static void audited(void *arg, const struct err *err)
{
    struct editing *edit = arg;
    if (err) {
        edit->err = *err;
        end(edit);
        return;
    }
    CRASH_POINT("edit_audited");
    edit->msg = (struct produce){.topic = edit->latest.topic,
                                 .partition = edit->latest.partition,
                                 .key = edit->null_key ? SLICE_NULL : buf_slice(&edit->key),
                                 .value = edit->null_value ? SLICE_NULL : buf_slice(&edit->value),
                                 .headers = edit->headers,
                                 .header_count = edit->header_count,
                                 .done = produced,
                                 .arg = edit};
    kafka_producer_send(edit->work.console->producer, &edit->msg);
}

static void write_audit(struct editing *edit)
{
    struct buf details = {0};
    buf_add_char(&details, '{');
    add_changes(&details, edit);
    buf_add_char(&details, '}');
    console_audit(edit->work.console, edit->away.route->group,
                  &(struct audit_note){.who = &edit->work.who,
                                       .action = "dlq.edit",
                                       .on = edit->from,
                                       .reason = edit->reason,
                                       .details = details.data},
                  audited, edit);
    buf_deinit(&details);
}

/* ---- making it ---- */

/* The record goes; room for all is made first, so that nothing moves. */
static void keep_copy(struct editing *edit, const struct record *rec,
                      const struct edited_copy *copy)
{
    size_t size = 0;
    for (size_t i = 0; i < copy->headers.count; i++)
        size += copy->headers.items[i].name.len + copy->headers.items[i].value.len + 2;
    buf_reserve(&edit->header_bytes, size + 1);
    edit->headers = mem_calloc(copy->headers.count + 1, sizeof(*edit->headers));
    edit->header_count = copy->headers.count;
    for (size_t i = 0; i < copy->headers.count; i++) {
        edit->headers[i].name = buf_keep(&edit->header_bytes, copy->headers.items[i].name);
        edit->headers[i].value = buf_keep(&edit->header_bytes, copy->headers.items[i].value);
    }
    edit->null_key = slice_is_null(rec->key);
    edit->null_value = slice_is_null(copy->value);
    edit->value_changed = copy->value_changed;
    edit->old_size = rec->value.len;
    buf_add_slice(&edit->key, rec->key);
    buf_add_slice(&edit->value, copy->value);
    buf_add_slice(&edit->changed, buf_slice(&copy->changed));
}

static bool make_copy(struct editing *edit, const struct record *rec)
{
    struct letter_edit wanted = {.has_value = edit->edit.has_value,
                                 .value = edit->edit.value,
                                 .has_headers = edit->edit.has_headers,
                                 .headers = edit->edit.headers,
                                 .header_count = edit->edit.header_count};
    struct edited_copy copy;
    bool ok = edited_copy_make(&copy, rec, &wanted, &edit->away.route->dedup.rule, edit->from,
                               &edit->err);
    if (ok)
        keep_copy(edit, rec, &copy);
    edited_copy_deinit(&copy);
    return ok;
}

static void fetched(void *arg, struct record *rec, const struct err *err)
{
    struct editing *edit = arg;
    struct console *console = edit->work.console;
    if (err)
        edit->err = *err;
    else if (!rec)
        (void)err_set(&edit->err, ERR_NO_FILE, "retention has taken this record");
    if (edit->err.code || !make_copy(edit, rec) || edit->dry_run || !console->events ||
        !redriving_jobs(console->redriving, edit->away.route->group, &edit->err) ||
        !console_producer(console, &edit->err))
        end(edit);
    else
        write_audit(edit);
}

/* ---- which ---- */

static void take_row(void *arg, const struct dlq_row *row)
{
    struct editing *edit = arg;
    struct err err = {0};
    edit->state = row->state;
    edit->writer = row->writer;
    edit->from = mem_printf("%s/%" PRId32 "/%" PRId64, row->topic, row->partition, row->offset);
    put_away_take(&edit->away, dlq_topic_route(edit->work.console->config, row->topic), row);
    if (!dlq_id_parse(slice_of(row->latest), &edit->latest, &err))
        edit->latest = (struct dlq_id){0};
}

static void run(void *arg, struct dlq_index *index)
{
    struct editing *edit = arg;
    if (!dlq_index_get(index, &edit->id, take_row, edit, &edit->found, &edit->err))
        edit->found = false;
}

static void looked(void *arg)
{
    struct editing *edit = arg;
    if (!edit->err.code && !edit->found)
        (void)err_set(&edit->err, ERR_NO_FILE, "no dead letter is known there");
    else if (!edit->err.code &&
             (!edit->away.route || edit->writer != LETTER_OWN || !edit->latest.topic))
        edit->conflict = !err_set(&edit->err, ERR_INPUT,
                                  "another program wrote it: where it came from is not known");
    else if (!edit->err.code && edit->state != DLQ_STATE_OPEN)
        edit->conflict = !err_set(&edit->err, ERR_INPUT,
                                  "it is %s: only what is open can be edited",
                                  dlq_state_name(edit->state));
    if (edit->err.code || !edit->work.console->events)
        end(edit);
    else
        letters_reader_get(edit->work.console->letters, &edit->latest, fetched, edit);
}

static bool read_order(struct editing *edit, struct call *call, const struct route_match *match,
                       struct err *err)
{
    static const char *const names[] = {"value", "headers", "reason", "dry_run", NULL};
    struct buf id = {0};
    struct body *body;
    bool ok;
    buf_add_slice(&id, router_param(match, "topic"));
    buf_add_char(&id, '/');
    buf_add_slice(&id, router_param(match, "partition"));
    buf_add_char(&id, '/');
    buf_add_slice(&id, router_param(match, "offset"));
    ok = dlq_id_parse(buf_slice(&id), &edit->id, err);
    buf_deinit(&id);
    body = ok ? body_parse(call_request(call)->body, names, err) : NULL;
    ok = body && body_edit(body, &edit->edit, err) &&
         body_text(body, "reason", REASON_MAX, &edit->reason, err) &&
         body_bool(body, "dry_run", &edit->dry_run, err);
    body_free(&body);
    return ok && (edit->dry_run || (edit->reason && edit->reason[0]) ||
                  err_set(err, ERR_USAGE, "reason: an edit wants one, for the audit log"));
}

void api_edit(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct editing *edit;
    if (!console->config->console.allow_edits) {
        reply_problem(call, 403, "no record is edited here: console.allow_edits is false");
        return;
    }
    edit = work_new(&kind, console, call, match);
    if (!edit)
        return;
    if (!read_order(edit, call, match, &edit->err)) {
        end(edit);
    } else if (!workers_ask(console->workers, run, looked, edit)) {
        work_problem(&edit->work, 503, "too many requests wait for the index: try again");
        work_end(&edit->work);
    }
}
