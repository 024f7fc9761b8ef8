/*
 * What became of each letter of a redrive job. Of those that it sent the index is asked, which
 * makes it of the state topic and the letters: so it is the same in every console, and after any
 * rebuild. Those that it skipped stand in a record of the jobs' topic, which is read when a page
 * comes to them.
 *
 *   index: sent ─► (room left on the page) ─► Kafka: the list ─► index: skipped ─► answer
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/console_parts.h"

#define SKIPPED_CURSOR 's' /* begins one among the skipped; how many lie before it */

struct asked {
    char *job;
    unsigned results;
    struct dlq_id list_at; /* where the list of skipped letters stands; no topic: nobody wants it */
    struct redrive_skipped *list;
    uint64_t at;  /* in it */
    size_t count; /* of records in this page */
    struct dlq_covered covered;
    char next[DLQ_CURSOR_MAX];
};

static bool each(void *arg, const struct dlq_job_row *row)
{
    struct query *query = arg;
    struct asked *asked = query->extra;
    struct buf *out = &query->body;
    buf_add_text(out, asked->count++ ? ",{" : "{");
    api_add_text(out, "id", row->id);
    api_add_text(out, "result", dlq_job_result_name(row->result));
    api_add_text_or_null(out, "skipped", row->skipped[0] ? row->skipped : NULL);
    api_add_text_or_null(out, "code", row->code[0] ? row->code : NULL);
    api_add_time(out, "at", row->at_ms);
    api_add_count(out, "redrive_count", row->count);
    api_add_text_or_null(out, "since", row->since[0] ? row->since : NULL);
    buf_add_text(out, "\"letter\":");
    if (row->line)
        json_add_row(out, row->line);
    else
        buf_add_text(out, "null");
    buf_add_char(out, '}');
    return true;
}

/* ---- the answer ---- */

static void finish(struct query *query)
{
    struct asked *asked = query->extra;
    struct buf *out = &query->body;
    buf_add_text(out, "],");
    api_add_text(out, "next", asked->next);
    buf_add_text(out, "\"covered\":");
    json_add_covered(out, &asked->covered);
    buf_add_text(out, "}\n");
    query_finish(query);
}

/* Of the list, behind this page. */
static void go_on_at(struct asked *asked, uint64_t at)
{
    snprintf(asked->next, sizeof(asked->next), "%c%" PRIu64, SKIPPED_CURSOR, at);
}

/* ---- what it skipped ---- */

static void ask_skipped(struct query *query, struct dlq_index *index)
{
    struct asked *asked = query->extra;
    size_t before = asked->count;
    if (!dlq_index_job_skipped(index, asked->list, asked->at, query->limit - before, each, query,
                               &asked->covered, &query->err))
        return;
    asked->at += asked->count - before;
    if (asked->at < redrive_skipped_count(asked->list))
        go_on_at(asked, asked->at);
}

static void fetched(void *arg, struct record *rec, const struct err *err)
{
    struct query *query = arg;
    struct asked *asked = query->extra;
    struct err failure = {0};
    if (rec)
        asked->list = redrive_skipped_read(rec->value, &failure);
    else if (err)
        failure = *err;
    else
        (void)err_set_retriable(&failure, ERR_UNAVAILABLE,
                                "the list of what it skipped was written anew: try again");
    if (asked->list && query->call) {
        query->ask = ask_skipped;
        query->then = finish;
        query_start(query);
    } else if (asked->count > 0 && query->call) {
        go_on_at(asked, asked->at); /* what is known is told; who goes on learns of it */
        finish(query);
    } else {
        query->err = failure;
        query_finish(query);
    }
}

static void read_list(struct query *query)
{
    struct asked *asked = query->extra;
    letters_reader_get(query->console->letters, &asked->list_at, fetched, query);
}

/* ---- what it sent ---- */

static void ask_sent(struct query *query, struct dlq_index *index)
{
    struct asked *asked = query->extra;
    if (!dlq_index_job(index, asked->job, asked->results, query->cursor, (size_t)query->limit, each,
                       query, asked->next, &asked->covered, &query->err))
        asked->next[0] = '\0'; /* err is answered */
}

static void sent_is_told(struct query *query)
{
    struct asked *asked = query->extra;
    bool over = asked->next[0] == '\0' && asked->list_at.topic;
    if (over && asked->count < query->limit) {
        read_list(query);
        return;
    }
    if (over)
        go_on_at(asked, 0);
    finish(query);
}

/* ---- the question ---- */

static void end(struct query *query)
{
    struct asked *asked = query->extra;
    redrive_skipped_free(&asked->list);
    dlq_id_deinit(&asked->list_at);
    mem_free(asked->job);
    mem_free(asked);
}

static bool read_results(const struct route_match *match, unsigned *results, struct err *err)
{
    for (size_t i = 0; i < match->param_count; i++) {
        unsigned result;
        if (strcmp(match->params[i].param->name, "result") != 0)
            continue;
        if (!dlq_job_result_parse(match->params[i].value, &result))
            return err_set(err, ERR_USAGE,
                           "result: on_its_way, resolved, superseded, dropped, duplicate, failed, "
                           "unknown or skipped");
        *results |= 1u << result;
    }
    return true;
}

/* Where the list stands, if it is wanted and there is one. */
static void find_list(const struct jobs *jobs, struct asked *asked)
{
    int64_t at = jobs_skipped_at(jobs, asked->job);
    if (at >= 0 && (asked->results == 0 || (asked->results >> DLQ_JOB_SKIPPED & 1)))
        asked->list_at = (struct dlq_id){.topic = mem_strdup(jobs_topic(jobs)),
                                         .partition = LETTER_STATE_PARTITION,
                                         .offset = at};
}

static bool read_cursor(struct query *query, bool *skipped)
{
    struct asked *asked = query->extra;
    *skipped = query->cursor[0] == SKIPPED_CURSOR;
    return !*skipped || str_to_u64(slice_of(query->cursor + 1), &asked->at) ||
           err_set(&query->err, ERR_USAGE, "cursor: no page has given this one");
}

void api_job_records(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct query *query = query_new(console, call, match);
    struct asked *asked = mem_zalloc(sizeof(*asked));
    struct jobs *jobs;
    bool skipped = false;
    query->extra = asked;
    query->end = end;
    query->ask = ask_sent;
    query->then = sent_is_told;
    asked->job = mem_strdup(router_param(match, "id").data);
    if (api_find_job(console, asked->job, &jobs, &query->err) && query_read_page(query, match) &&
        read_results(match, &asked->results, &query->err) && read_cursor(query, &skipped))
        find_list(jobs, asked);
    buf_add_text(&query->body, "{\"records\":[");
    if (skipped && !query->err.code && asked->list_at.topic)
        read_list(query);
    else
        query_start(query); /* answers with its error where there is one */
}
