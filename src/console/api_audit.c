/*
 * The newest entries of the audit logs. Only the last offsets of each partition are read, as many
 * as lines are asked for: a log is kept for a year.
 *
 *   describe (which topics, their partitions) -> bounds -> read -> sort -> answer
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/console_parts.h"
#include "kafka/admin.h"
#include "kafka/reader.h"
#include "record/audit_entry.h"

struct audit_topic {
    char *name;
    const char *group; /* the configuration's */
    int32_t partitions;
};

struct noted {
    struct audit_entry entry;
    const char *group;
};

struct auditing {
    struct work work;
    uint64_t limit;
    int64_t since_ms;
    struct kafka_admin *admin;
    struct audit_topic *topics;
    const char **names;
    size_t topic_count;
    struct kafka_bounds *bounds;
    size_t bound_count;
    struct kafka_reader_range *ranges;
    size_t range_count;
    struct kafka_reader *reader;
    struct noted *items;
    size_t count;
    bool older; /* some were not read, or are too many */
};

static void drop(struct work *work)
{
    struct auditing *audit = (struct auditing *)work;
    kafka_reader_free(&audit->reader);
    kafka_admin_free(&audit->admin); /* its answers find no call */
    for (size_t i = 0; i < audit->count; i++)
        audit_entry_deinit(&audit->items[i].entry);
    for (size_t i = 0; i < audit->topic_count; i++)
        mem_free(audit->topics[i].name);
    mem_free(audit->items);
    mem_free(audit->topics);
    mem_free(audit->names);
    mem_free(audit->bounds);
    mem_free(audit->ranges);
}

static const struct work_kind audit_kind = {.size = sizeof(struct auditing),
                                            .late = "the brokers did not give the log in time",
                                            .drop = drop};

static void fail(struct auditing *audit, const struct err *err)
{
    work_fail(&audit->work, err);
    work_end(&audit->work);
}

/* ---- the answer ---- */

static int newest_first(const void *a, const void *b)
{
    int64_t left = ((const struct noted *)a)->entry.at_ms;
    int64_t right = ((const struct noted *)b)->entry.at_ms;
    return left < right ? 1 : left > right ? -1 : 0;
}

static void add_entry(struct buf *out, const struct noted *noted, bool masked)
{
    const struct audit_entry *entry = &noted->entry;
    bool hidden = json_filter_is_hidden(entry->details, "/filter/text", masked);
    char at[STR_RFC3339_MAX];
    str_rfc3339_from_ms(entry->at_ms, at);
    buf_add_text(out, "{\"group\":");
    buf_add_json(out, slice_of(noted->group));
    buf_printf(out, ",\"at\":\"%s\"", at);
    json_add_text_or_null(out, "by", entry->by);
    json_add_text_or_null(out, "action", entry->action);
    json_add_text_or_null(out, "on", entry->on);
    json_add_text_or_null(out, "reason", entry->reason);
    json_add_text_or_null(out, "result", entry->result);
    buf_printf(out, ",\"details\":%s,\"details_hidden\":%s}",
               hidden || !entry->details ? "null" : entry->details, hidden ? "true" : "false");
}

static void answer(struct auditing *audit)
{
    struct buf body = {0};
    if (audit->count > 1)
        qsort(audit->items, audit->count, sizeof(*audit->items), newest_first);
    buf_add_text(&body, "{\"entries\":[");
    for (size_t i = 0; i < audit->count && i < audit->limit; i++) {
        if (i > 0)
            buf_add_char(&body, ',');
        add_entry(&body, &audit->items[i], audit->work.masked);
    }
    buf_printf(&body, "],\"more\":%s}\n",
               audit->older || audit->count > audit->limit ? "true" : "false");
    work_answer(&audit->work, &body);
    buf_deinit(&body);
    work_end(&audit->work);
}

/* ---- reading ---- */

static const char *group_of(const struct auditing *audit, const char *topic)
{
    for (size_t i = 0; i < audit->topic_count; i++) {
        if (strcmp(audit->topics[i].name, topic) == 0)
            return audit->topics[i].group;
    }
    return "";
}

/* What is nobody's of ours is passed over: anybody may write there. */
static void keep(struct auditing *audit, const struct record *rec, size_t range)
{
    struct audit_entry entry = {0};
    struct err err = {0};
    if (!audit_entry_read(rec, &entry, &err))
        return;
    if (entry.at_ms < audit->since_ms) {
        audit_entry_deinit(&entry);
        return;
    }
    audit->items = mem_realloc(audit->items, (audit->count + 1) * sizeof(*audit->items));
    audit->items[audit->count++] = (struct noted){entry,
                                                  group_of(audit, audit->ranges[range].topic)};
}

static void readable(void *arg)
{
    struct auditing *audit = arg;
    struct record rec;
    struct err err = {0};
    size_t range;
    while (audit->reader && audit->work.call) {
        switch (kafka_reader_take(audit->reader, &rec, &range, &err)) {
        case KAFKA_READ_RECORD:
            keep(audit, &rec, range);
            break;
        case KAFKA_READ_EMPTY:
            return;
        case KAFKA_READ_END:
            answer(audit);
            return;
        case KAFKA_READ_FAILED:
            fail(audit, &err);
            return;
        }
    }
}

static void bounded(void *arg, const struct kafka_bounds *bounds, size_t count,
                    const struct err *err)
{
    struct auditing *audit = arg;
    struct console *console = audit->work.console;
    struct err failure = {0};
    if (!audit->work.call)
        return;
    audit->ranges = mem_calloc(count + 1, sizeof(*audit->ranges));
    for (size_t i = 0; !err && i < count; i++) {
        int64_t from = bounds[i].end - (int64_t)audit->limit;
        if (bounds[i].end <= bounds[i].begin)
            continue;
        audit->older = audit->older || from > bounds[i].begin;
        audit->ranges[audit->range_count++] = (struct kafka_reader_range){
            audit->bounds[i].topic, bounds[i].partition,
            from > bounds[i].begin ? from : bounds[i].begin};
    }
    if (err)
        fail(audit, err);
    else if (audit->range_count == 0)
        answer(audit);
    else {
        audit->reader = kafka_reader_new(console->options.loop, console->config,
                                         console->config->routes[0].group, audit->ranges,
                                         audit->range_count, readable, audit, &failure);
        if (!audit->reader)
            fail(audit, &failure);
    }
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct auditing *audit = arg;
    if (!audit->work.call)
        return;
    if (err) {
        fail(audit, err);
        return;
    }
    for (size_t i = 0; i < count; i++) /* one that is not there has no entries */
        audit->bound_count += topics[i].exists ? (size_t)topics[i].partitions : 0;
    audit->bounds = mem_calloc(audit->bound_count + 1, sizeof(*audit->bounds));
    audit->bound_count = 0;
    for (size_t i = 0; i < count; i++) {
        for (int32_t p = 0; topics[i].exists && p < topics[i].partitions; p++)
            audit->bounds[audit->bound_count++] = (struct kafka_bounds){
                .topic = audit->topics[i].name, .partition = p};
    }
    if (audit->bound_count == 0)
        answer(audit);
    else
        kafka_admin_bounds(audit->admin, audit->bounds, audit->bound_count, bounded, audit);
}

/* ---- asking ---- */

static void add_topic(struct auditing *audit, const struct route_config *route)
{
    for (size_t i = 0; i < audit->topic_count; i++) {
        if (strcmp(audit->topics[i].group, route->group) == 0)
            return;
    }
    audit->topics[audit->topic_count].name = config_audit_topic(route);
    audit->topics[audit->topic_count].group = route->group;
    audit->names[audit->topic_count] = audit->topics[audit->topic_count].name;
    audit->topic_count++;
}

static void ask(struct auditing *audit, struct slice only)
{
    const struct config *config = audit->work.console->config;
    struct err err = {0};
    audit->topics = mem_calloc(config->route_count, sizeof(*audit->topics));
    audit->names = mem_calloc(config->route_count, sizeof(*audit->names));
    for (size_t i = 0; i < config->route_count; i++) {
        if (slice_is_null(only) || slice_equal_text(only, config->routes[i].group))
            add_topic(audit, &config->routes[i]);
    }
    audit->admin = kafka_admin_new(audit->work.console->options.loop, config, &err);
    if (audit->admin)
        kafka_admin_describe(audit->admin, audit->names, audit->topic_count, false, described,
                             audit);
    else
        fail(audit, &err);
}

static bool read_since(const struct route_match *match, int64_t *since_ms, struct err *err)
{
    struct slice text = router_param(match, "since");
    struct dlq_filter filter;
    bool ok;
    dlq_filter_init(&filter);
    ok = slice_is_null(text) || dlq_filter_set(&filter, "since", text, clock_wall_ms(), err);
    *since_ms = filter.since_ms;
    dlq_filter_deinit(&filter);
    return ok;
}

void api_audit(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct slice only = router_param(match, "group");
    struct redriving_group group;
    struct auditing *audit;
    struct err err = {0};
    uint64_t limit;
    int64_t since_ms = 0;
    if (!slice_is_null(only) && !redriving_find(console->redriving, only.data, &group))
        (void)err_set(&err, ERR_USAGE, "no route has the group %.200s", only.data);
    if (err.code || !api_read_limit(match, &limit, &err) || !read_since(match, &since_ms, &err)) {
        front_problem_err(call, &err);
        return;
    }
    audit = work_new(&audit_kind, console, call, match);
    if (!audit)
        return;
    audit->limit = limit;
    audit->since_ms = since_ms;
    ask(audit, only);
}
