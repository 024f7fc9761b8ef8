/*
 * A request's way to the index and back; see console_parts.h. Frees itself when it is answered, or
 * when its client has gone and the thread is done with it. Must not: touch the call in a thread.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/console_parts.h"

#define LIMIT_PRESET 50
#define LIMIT_MAX    500

static void gone(void *arg)
{
    ((struct query *)arg)->call = NULL;
}

struct query *query_new(struct console *console, struct call *call, const struct route_match *match)
{
    struct query *query = mem_zalloc(sizeof(*query));
    query->console = console;
    query->call = call;
    query->view = (struct payload_view){&console->masking, match->who.role,
                                        console->config->console.limits.value_bytes};
    query->now_ms = clock_wall_ms();
    query->limit = LIMIT_PRESET;
    dlq_filter_init(&query->filter);
    call_on_gone(call, gone, query);
    return query;
}

bool api_read_filter(const struct route_param *param, bool masked, int64_t now_ms,
                     struct dlq_filter *filter, struct err *err)
{
    if (strcmp(param->param->name, "text") == 0 && masked)
        return err_set(err, ERR_DENIED,
                       "text: parts of records are hidden from this role, and a search for words "
                       "would tell what they are");
    return dlq_filter_set(filter, param->param->name, param->value, now_ms, err);
}

/* *taken: it is one of a page's. */
static bool read_page(struct query *query, const struct route_param *param, bool *taken)
{
    const char *name = param->param->name;
    *taken = true;
    if (strcmp(name, "cursor") == 0)
        return str_copy(query->cursor, sizeof(query->cursor), param->value) ||
               err_set(&query->err, ERR_USAGE, "cursor: not one that this console gave");
    if (strcmp(name, "limit") == 0)
        return (str_to_u64(param->value, &query->limit) && query->limit >= 1 &&
                query->limit <= LIMIT_MAX) ||
               err_set(&query->err, ERR_USAGE, "limit: a number from 1 to %d", LIMIT_MAX);
    *taken = false;
    return true;
}

bool query_read_page(struct query *query, const struct route_match *match)
{
    bool taken;
    for (size_t i = 0; i < match->param_count; i++) {
        if (!read_page(query, &match->params[i], &taken))
            return false;
    }
    return true;
}

bool query_read(struct query *query, const struct route_match *match)
{
    bool taken;
    for (size_t i = 0; i < match->param_count; i++) {
        if (!read_page(query, &match->params[i], &taken) ||
            (!taken && !api_read_filter(&match->params[i], payload_is_masked(&query->view),
                                        query->now_ms, &query->filter, &query->err)))
            return false;
    }
    return true;
}

static void run(void *arg, struct dlq_index *index)
{
    struct query *query = arg;
    query->ask(query, index);
}

static void free_query(struct query *query)
{
    if (query->end)
        query->end(query);
    dlq_filter_deinit(&query->filter);
    buf_deinit(&query->body);
    mem_free(query);
}

void query_finish(struct query *query)
{
    if (query->call && query->err.code == ERR_DENIED)
        reply_problem(query->call, 403, query->err.text);
    else if (query->call && query->err.code)
        reply_problem_err(query->call, &query->err);
    else if (query->call)
        reply_json(query->call, &query->body);
    free_query(query);
}

static void done(void *arg)
{
    struct query *query = arg;
    if (query->then && query->call && !query->err.code)
        query->then(query);
    else
        query_finish(query);
}

/* Once it is asked it is the thread's until done runs: nothing of it is looked at behind that. */
void query_start(struct query *query)
{
    if (query->err.code) {
        query_finish(query);
    } else if (!workers_ask(query->console->workers, run, done, query)) {
        (void)err_set_retriable(&query->err, ERR_AGAIN,
                                "too many requests wait for the index: try again");
        query_finish(query);
    }
}
