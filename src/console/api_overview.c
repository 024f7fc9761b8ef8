/*
 * What there is at a glance: the routes with their dead letters, and how far the topics are read.
 * The same counts are the metrics dead_letters_open and the event "groups", which tells pages that
 * there is something new: counted once after things moved, and once more where they moved
 * meanwhile.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "console/console_parts.h"

struct count {
    struct console *console;
    uint64_t *open, *redriving; /* of each route */
    struct dlq_covered covered;
    bool failed;
};

static bool count_state(struct dlq_index *index, const char *route, unsigned states,
                        uint64_t *count, struct dlq_covered *covered, struct err *err)
{
    struct dlq_filter filter;
    bool ok;
    dlq_filter_init(&filter);
    filter.route = mem_strdup(route);
    filter.states = states;
    ok = dlq_index_count(index, &filter, 0, count, covered, err);
    dlq_filter_deinit(&filter);
    return ok;
}

static bool count_all(const struct config *config, struct dlq_index *index, uint64_t *open,
                      uint64_t *redriving, struct dlq_covered *covered, struct err *err)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const char *route = config->routes[i].name;
        if (!count_state(index, route, DLQ_STATE_OPEN, &open[i], covered, err) ||
            !count_state(index, route, DLQ_STATE_REDRIVING, &redriving[i], covered, err))
            return false;
    }
    return true;
}

static void add_counts(struct buf *out, const struct config *config, const uint64_t *open,
                       const uint64_t *redriving)
{
    buf_add_text(out, "\"routes\":[");
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        buf_printf(out, "%s{\"name\":", i ? "," : "");
        buf_add_json(out, slice_of(route->name));
        buf_add_text(out, ",\"group\":");
        buf_add_json(out, slice_of(route->group));
        buf_printf(out, ",\"open\":%" PRIu64 ",\"redriving\":%" PRIu64 "}", open[i], redriving[i]);
    }
    buf_add_char(out, ']');
}

/* ---- overview ---- */

static void ask_overview(struct query *query, struct dlq_index *index)
{
    const struct config *config = query->console->config;
    uint64_t *open = mem_calloc(config->route_count, sizeof(*open));
    uint64_t *redriving = mem_calloc(config->route_count, sizeof(*redriving));
    struct dlq_covered covered = {0};
    if (count_all(config, index, open, redriving, &covered, &query->err)) {
        buf_add_char(&query->body, '{');
        add_counts(&query->body, config, open, redriving);
        buf_add_text(&query->body, ",\"covered\":");
        json_add_covered(&query->body, &covered);
    }
    mem_free(open);
    mem_free(redriving);
}

/* The rest is the loop's to say. */
static void add_feed(void *arg)
{
    struct query *query = arg;
    const struct console *console = query->console;
    buf_add_char(&query->body, ',');
    peers_add(console->peers, &query->body);
    buf_printf(
        &query->body,
        ",\"allow_changes\":%s,\"allow_edits\":%s,\"role\":\"%s\",\"feed\":{\"caught_up\":%s",
        console->config->console.allow_changes ? "true" : "false",
        console->config->console.allow_edits ? "true" : "false", role_name(query->view.role),
        console->caught_up ? "true" : "false");
    buf_add_text(&query->body, ",\"trouble\":");
    if (console->trouble.code)
        buf_add_json(&query->body, slice_of(console->trouble.text));
    else
        buf_add_text(&query->body, "null");
    buf_add_text(&query->body, "}}\n");
    query_finish(query);
}

static void ask_gateways(struct query *query)
{
    peers_ask(query->console->peers, add_feed, query);
}

void api_overview(void *arg, struct call *call, const struct route_match *match)
{
    struct query *query = query_new(arg, call, match);
    query->ask = ask_overview;
    query->then = ask_gateways;
    query_start(query);
}

/* ---- metrics and events ---- */

static void run_count(void *arg, struct dlq_index *index)
{
    struct count *count = arg;
    struct err err = {0};
    count->failed = !count_all(count->console->config, index, count->open, count->redriving,
                               &count->covered, &err);
}

static void publish(const struct count *count)
{
    struct console *console = count->console;
    struct buf json = {0};
    for (size_t i = 0; i < console->config->route_count; i++)
        metric_set(console->open[i], (double)count->open[i]);
    buf_add_char(&json, '{');
    add_counts(&json, console->config, count->open, count->redriving);
    buf_add_char(&json, '}');
    events_publish(console->events, "groups", buf_slice(&json));
    buf_reset(&json);
    json_add_covered(&json, &count->covered);
    events_publish(console->events, "feed", buf_slice(&json));
    buf_deinit(&json);
}

static void counted(void *arg)
{
    struct count *count = arg;
    struct console *console = count->console;
    console->counting = false;
    if (!count->failed && console->events)
        publish(count);
    mem_free(count->open);
    mem_free(count->redriving);
    mem_free(count);
    if (console->count_again && console->events)
        console_count(console);
}

void console_count(struct console *console)
{
    size_t routes = console->config->route_count;
    struct count *count;
    console->count_again = console->counting;
    if (console->counting)
        return;
    count = mem_zalloc(sizeof(*count));
    count->console = console;
    count->open = mem_calloc(routes, sizeof(*count->open));
    count->redriving = mem_calloc(routes, sizeof(*count->redriving));
    console->counting = true;
    if (!workers_ask(console->workers, run_count, counted, count)) {
        console->counting = false; /* with the next that moves */
        mem_free(count->open);
        mem_free(count->redriving);
        mem_free(count);
    }
}
