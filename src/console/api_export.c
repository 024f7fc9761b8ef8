/*
 * Dead letters as JSON lines (dlq/letter_line.h), as `oncegate dlq export` writes them: which they
 * are the index says, their bytes Kafka, one after the other in the order of their topics,
 * partitions and offsets. Of any number: in memory is where each lies, one line, and what of the
 * stream is not sent yet. The last line tells how many there are and whether that is all; where
 * Kafka fails half-way the connection breaks off behind it, so that nobody takes a part for the
 * whole.
 *
 *   index (a thread) -> first record -> head of the answer -> (wait for the client, fetch, line)
 * ...
 *     -> end
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/body.h"
#include "console/console_parts.h"
#include "dlq/letter_import.h"
#include "kafka/fetch.h"

#define AT_ONCE    4
#define PAGE       2000
#define EXPORT_MS  60000 /* to say which they are */
#define PATIENCE   15000 /* ms in which Kafka gives a record */
#define UNSENT_MAX 65536

struct place {
    uint32_t topic;
    int32_t partition;
    int64_t offset;
};

struct exporting {
    struct work work;
    struct dlq_filter filter;
    uint64_t limit; /* 0: none */
    char **topics;
    size_t topic_count;
    struct place *places;
    size_t count, cap;
    struct dlq_covered covered;
    struct err err;
    struct kafka_fetch *fetch;
    struct loop_timer patience;
    size_t next;
    uint64_t written, gone;
    bool fetching, begun, over;
    struct buf line;
};

static void go_on(struct exporting *export);
static void drained(void *arg);

static void drop(struct work *work)
{
    struct exporting *export = (struct exporting *)work;
    loop_timer_deinit(&export->patience);
    kafka_fetch_free(&export->fetch);
    for (size_t i = 0; i < export->topic_count; i++)
        mem_free(export->topics[i]);
    mem_free(export->topics);
    mem_free(export->places);
    buf_deinit(&export->line);
    dlq_filter_deinit(&export->filter);
    work->console->exporting--;
}

/* "changes" for one thing only: what a thread has is not freed when the client goes. */
static const struct work_kind kind = {.size = sizeof(struct exporting),
                                      .time_ms = EXPORT_MS,
                                      .changes = true,
                                      .late = "which dead letters fit could not be said within a "
                                              "minute: narrow the filter",
                                      .drop = drop};

/* ---- the stream ---- */

static void why_not_all(const struct exporting *export, const struct err *failure, struct buf *why)
{
    const struct dlq_covered *covered = &export->covered;
    if (failure)
        buf_printf(why, "%s; ", failure->text);
    if (export->gone > 0)
        buf_printf(why, "of %" PRIu64 " Kafka has no record any more; ", export->gone);
    if (!covered->complete)
        buf_printf(why,
                   "of the topics %" PRIu64 " of %" PRIu64 " records were read when it began; ",
                   covered->rows_read, covered->rows_total);
    if (why->len > 0)
        why->data[why->len - 2] = '\0';
}

static void begin(struct exporting *export)
{
    struct call *call = export->work.call;
    char name[100], at[STR_RFC3339_MAX];
    str_rfc3339_from_ms(clock_wall_ms(), at);
    at[strcspn(at, ".Z")] = '\0';
    for (char *c = at; *c; c++)
        *c = *c == ':' ? '-' : *c;
    snprintf(name, sizeof(name), "attachment; filename=\"dead-letters-%s.jsonl\"", at);
    export->begun = true;
    work_begin(&export->work);
    reply_close_up(call);
    call_header(call, "Content-Disposition", name);
    call_stream_paced(call, "application/x-ndjson", drained);
}

static void write_end(struct exporting *export, struct call *call, const struct err *failure)
{
    struct buf why = {0};
    call_on_gone(call, NULL, NULL);
    why_not_all(export, failure, &why);
    buf_reset(&export->line);
    letter_import_write_end(&export->line, export->written, why.len ? why.data : NULL);
    (void)call_write(call, buf_slice(&export->line));
    if (failure)
        call_cut(call);
    else
        call_end(call);
    buf_deinit(&why);
}

/* failure: it stops half-way, and so does the connection. */
static void end(struct exporting *export, const struct err *failure)
{
    struct call *call = export->work.call;
    if (export->over)
        return;
    export->over = true;
    loop_timer_cancel(&export->patience);
    if (call && failure && !export->begun) {
        work_fail(&export->work, failure);
    } else if (call) {
        if (!export->begun)
            begin(export);
        export->work.call = NULL;
        write_end(export, call, failure);
    }
    work_end(&export->work);
}

static void too_long(void *arg)
{
    struct err err = {0};
    (void)err_set(&err, ERR_UNAVAILABLE, "Kafka has given no record for %d s", PATIENCE / 1000);
    end(arg, &err);
}

static void fetched(void *arg, enum kafka_fetched result, struct record *rec, const struct err *err)
{
    struct exporting *export = arg;
    struct payload_view view = {&export->work.console->masking, export->work.who.role,
                                export->work.console->config->console.limits.value_bytes};
    export->fetching = false;
    loop_timer_cancel(&export->patience);
    if (export->over)
        return;
    if (result == KAFKA_FETCH_FAILED || !export->work.call) {
        end(export, err);
        return;
    }
    if (!export->begun)
        begin(export);
    export->next++;
    export->gone += result == KAFKA_FETCH_NONE;
    if (result == KAFKA_FETCHED) {
        buf_reset(&export->line);
        payload_add_line(&export->line, &view, rec);
        export->written++;
        if (!call_write(export->work.call, buf_slice(&export->line)))
            return;
    }
    go_on(export);
}

static void go_on(struct exporting *export)
{
    const struct place *place;
    if (export->over || export->fetching || !export->work.call ||
        call_unsent(export->work.call) > UNSENT_MAX)
        return;
    if (export->next == export->count) {
        end(export, NULL);
        return;
    }
    place = &export->places[export->next];
    export->fetching = true;
    loop_timer_set_ms(&export->patience, PATIENCE);
    kafka_fetch_get(export->fetch, export->topics[place->topic], place->partition, place->offset,
                    fetched, export);
}

static void drained(void *arg)
{
    go_on(arg);
}

/* ---- which ---- */

static uint32_t topic_of(struct exporting *export, const char *name)
{
    size_t at = 0;
    while (at < export->topic_count && strcmp(export->topics[at], name) != 0)
        at++;
    if (at == export->topic_count) {
        export->topics = mem_realloc(export->topics, (at + 1) * sizeof(*export->topics));
        export->topics[export->topic_count++] = mem_strdup(name);
    }
    return (uint32_t)at;
}

static bool each(void *arg, const struct dlq_row *row)
{
    struct exporting *export = arg;
    if (export->limit > 0 && export->count == export->limit)
        return false;
    if (export->count == export->cap) {
        export->cap = export->cap ? 2 * export->cap : PAGE;
        export->places = mem_realloc(export->places, export->cap * sizeof(*export->places));
    }
    export->places[export->count++] = (struct place){topic_of(export, row->topic), row->partition,
                                                     row->offset};
    return true;
}

static int by_place(const void *left, const void *right, void *arg)
{
    const struct exporting *export = arg;
    const struct place *a = left, *b = right;
    if (a->topic != b->topic)
        return strcmp(export->topics[a->topic], export->topics[b->topic]);
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static void run(void *arg, struct dlq_index *index)
{
    struct exporting *export = arg;
    char cursor[DLQ_CURSOR_MAX] = "", next[DLQ_CURSOR_MAX] = "";
    do {
        memcpy(cursor, next, sizeof(cursor));
        next[0] = '\0';
        if (!dlq_index_list(index, &export->filter, cursor, PAGE, each, export, next,
                            &export->covered, &export->err))
            return;
    } while (next[0] && (export->limit == 0 || export->count < export->limit));
    if (export->count > 0)
        qsort_r(export->places, export->count, sizeof(*export->places), by_place, export);
}

static void found(void *arg)
{
    struct exporting *export = arg;
    struct console *console = export->work.console;
    if (!export->err.code && export->work.call && console->events)
        export->fetch = kafka_fetch_new(console->options.loop, console->config,
                                        console->config->routes[0].group, &export->err);
    if (export->fetch) {
        go_on(export);
        return;
    }
    if (export->err.code)
        work_fail(&export->work, &export->err);
    work_end(&export->work);
}

/* ---- asking ---- */

static bool read_params(struct exporting *export, const struct route_match *match, struct err *err)
{
    for (size_t i = 0; i < match->param_count; i++) {
        const struct route_param *param = &match->params[i];
        if (strcmp(param->param->name, "limit") == 0) {
            if (!str_to_u64(param->value, &export->limit) || export->limit == 0)
                return err_set(err, ERR_USAGE, "limit: a number above 0");
        } else if (!api_read_filter(param, export->work.masked, clock_wall_ms(), &export->filter,
                                    err)) {
            return false;
        }
    }
    return true;
}

static bool read_body(struct exporting *export, struct call *call, struct err *err)
{
    static const char *const names[] = {"filter", "limit", NULL};
    struct body *body = body_parse(call_request(call)->body, names, err);
    bool ok = body &&
              body_filter(body, clock_wall_ms(), !export->work.masked, &export->filter, err) &&
              body_number(body, "limit", 1, UINT32_MAX, &export->limit, err);
    body_free(&body);
    return ok;
}

static struct exporting *new_export(struct console *console, struct call *call,
                                    const struct route_match *match)
{
    struct exporting *export;
    if (console->exporting >= AT_ONCE) {
        reply_problem(call, 503, "others export right now: try again");
        return NULL;
    }
    export = work_new(&kind, console, call, match);
    if (!export)
        return NULL;
    console->exporting++;
    dlq_filter_init(&export->filter);
    loop_timer_init(&export->patience, console->options.loop, too_long, export);
    return export;
}

static void start(struct exporting *export, bool ok, const struct err *err)
{
    if (ok && workers_ask(export->work.console->workers, run, found, export))
        return;
    if (ok)
        work_problem(&export->work, 503, "too many requests wait for the index: try again");
    else if (err->code == ERR_DENIED)
        work_problem(&export->work, 403, err->text);
    else
        work_fail(&export->work, err);
    work_end(&export->work);
}

/* HEAD is a question whether there is such a page. */
void api_export(void *arg, struct call *call, const struct route_match *match)
{
    struct exporting *export;
    struct err err = {0};
    if (call_request(call)->method == METHOD_HEAD) {
        reply_close_up(call);
        call_reply(call, 200, "application/x-ndjson", SLICE_LIT(""));
        return;
    }
    export = new_export(arg, call, match);
    if (export)
        start(export, read_params(export, match, &err), &err);
}

/* For a selection that is longer than an address. */
void api_export_chosen(void *arg, struct call *call, const struct route_match *match)
{
    struct exporting *export = new_export(arg, call, match);
    struct err err = {0};
    if (export)
        start(export, read_body(export, call, &err), &err);
}
