/* Groups and pages of dead letters. */
#include <string.h>

#include "console/console_parts.h"

struct list {
    struct buf *out;
    size_t count;
};

static void begin(struct list *list)
{
    if (list->count++)
        buf_add_char(list->out, ',');
}

static bool each_group(void *arg, const struct dlq_group *group)
{
    struct list *list = arg;
    begin(list);
    json_add_group(list->out, group);
    return true;
}

static bool each_row(void *arg, const struct dlq_row *row)
{
    struct list *list = arg;
    begin(list);
    json_add_row(list->out, row);
    return true;
}

static void ask_groups(struct query *query, struct dlq_index *index)
{
    struct list list = {&query->body, 0};
    struct dlq_covered covered = {0};
    buf_add_text(&query->body, "{\"groups\":[");
    if (!dlq_index_groups(index, &query->filter, query->now_ms, each_group, &list, &covered,
                          &query->err))
        return;
    buf_add_text(&query->body, "],\"covered\":");
    json_add_covered(&query->body, &covered);
    buf_add_text(&query->body, "}\n");
}

static void ask_letters(struct query *query, struct dlq_index *index)
{
    struct list list = {&query->body, 0};
    struct dlq_covered covered = {0};
    char next[DLQ_CURSOR_MAX] = "";
    buf_add_text(&query->body, "{\"letters\":[");
    if (!dlq_index_list(index, &query->filter, query->cursor, (size_t)query->limit, each_row, &list,
                        next, &covered, &query->err))
        return;
    buf_add_text(&query->body, "],\"next\":");
    buf_add_json(&query->body, slice_of(next));
    buf_add_text(&query->body, ",\"covered\":");
    json_add_covered(&query->body, &covered);
    buf_add_text(&query->body, "}\n");
}

static void ask_group(struct query *query, struct dlq_index *index)
{
    struct list list = {&query->body, 0};
    struct dlq_covered covered = {0};
    query->filter.states = DLQ_STATE_ANY;
    buf_add_text(&query->body, "{\"groups\":[");
    if (!dlq_index_groups(index, &query->filter, query->now_ms, each_group, &list, &covered,
                          &query->err))
        return;
    if (list.count == 0) {
        (void)err_set(&query->err, ERR_NO_FILE,
                      covered.complete ? "there is no such group"
                                       : "there is no such group in what was read of "
                                         "the topics so far");
        return;
    }
    buf_add_text(&query->body, "],\"covered\":");
    json_add_covered(&query->body, &covered);
    buf_add_text(&query->body, "}\n");
}

static void start(void *arg, struct call *call, const struct route_match *match,
                  void (*ask)(struct query *query, struct dlq_index *index))
{
    struct query *query = query_new(arg, call, match);
    query->ask = ask;
    (void)query_read(query, match); /* query_start answers with its error */
    query_start(query);
}

void api_groups(void *arg, struct call *call, const struct route_match *match)
{
    start(arg, call, match, ask_groups);
}

/* One signature may stand for several routes' failures, where the route is unknown. */
void api_group(void *arg, struct call *call, const struct route_match *match)
{
    start(arg, call, match, ask_group);
}

void api_letters(void *arg, struct call *call, const struct route_match *match)
{
    start(arg, call, match, ask_letters);
}
