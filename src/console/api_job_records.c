/*
 * What became of each letter that a redrive job sent. Asked of the index, which makes it of the
 * state topic and the letters: so it is the same in every console, and after any rebuild.
 */
#include <string.h>

#include "base/mem.h"
#include "console/console_parts.h"

struct asked {
    char *job;
    unsigned results;
};

struct list {
    struct buf *out;
    size_t count;
};

static bool each(void *arg, const struct dlq_job_row *row)
{
    struct list *list = arg;
    struct buf *out = list->out;
    buf_add_text(out, list->count++ ? ",{" : "{");
    api_add_text(out, "id", row->id);
    api_add_text(out, "result", dlq_job_result_name(row->result));
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

static void ask(struct query *query, struct dlq_index *index)
{
    const struct asked *asked = query->extra;
    struct list list = {&query->body, 0};
    struct dlq_covered covered = {0};
    char next[DLQ_CURSOR_MAX] = "";
    buf_add_text(&query->body, "{\"records\":[");
    if (!dlq_index_job(index, asked->job, asked->results, query->cursor, (size_t)query->limit, each,
                       &list, next, &covered, &query->err))
        return;
    buf_add_text(&query->body, "],");
    api_add_text(&query->body, "next", next);
    buf_add_text(&query->body, "\"covered\":");
    json_add_covered(&query->body, &covered);
    buf_add_text(&query->body, "}\n");
}

static void end(struct query *query)
{
    struct asked *asked = query->extra;
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
                           "result: on_its_way, resolved, superseded, dropped, duplicate, failed "
                           "or unknown");
        *results |= 1u << result;
    }
    return true;
}

void api_job_records(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct query *query = query_new(console, call, match);
    struct asked *asked = mem_zalloc(sizeof(*asked));
    struct jobs *jobs;
    query->extra = asked;
    query->end = end;
    query->ask = ask;
    asked->job = mem_strdup(router_param(match, "id").data);
    if (api_find_job(console, asked->job, &jobs, &query->err) && query_read_page(query, match))
        (void)read_results(match, &asked->results, &query->err);
    query_start(query); /* answers with its error where there is one */
}
