/*
 * Entries of the audit logs, newest first, in pages. Of each partition only the last offsets below
 * the page before are read, as many as lines are asked for: a log is kept for a year. Within a
 * partition the order is the log's; partitions are put together by the entries' times.
 *
 *   describe (which topics, their partitions) -> bounds -> read -> merge -> answer
 *
 * A cursor holds of each partition, in the order of the groups, the offset below which the next
 * page begins. Must not: pass over an entry because the clocks of those who wrote it differ.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/console_parts.h"
#include "kafka/admin.h"
#include "kafka/reader.h"
#include "record/audit_entry.h"

#define DIGITS  16
#define SKEW_MS 3600000 /* what lies this far behind an entry's time is not later than it */

struct audit_topic {
    char *name;
    const char *group; /* the configuration's */
};

struct noted {
    struct audit_entry entry;
    int64_t offset;
};

/* A partition of a log. */
struct log {
    const struct audit_topic *topic;
    int64_t begin, from, below; /* what is read lies from `from`, below `below` */
    bool read;                  /* all of that */
    bool over;                  /* nothing older is wanted */
    struct noted *items;        /* by offset */
    size_t count, left;         /* left: not told yet, the first so many */
};

struct auditing {
    struct work work;
    uint64_t limit;
    int64_t since_ms;
    char *cursor; /* NULL: the first page */
    struct kafka_admin *admin;
    struct audit_topic *topics;
    const char **names;
    size_t topic_count;
    struct kafka_bounds *bounds;
    struct log *logs; /* of the same partitions */
    size_t log_count;
    struct kafka_reader_range *ranges;
    size_t *range_logs;
    size_t range_count;
    struct kafka_reader *reader;
};

static void drop(struct work *work)
{
    struct auditing *audit = (struct auditing *)work;
    kafka_reader_free(&audit->reader);
    kafka_admin_free(&audit->admin); /* its answers find no call */
    for (size_t i = 0; i < audit->log_count; i++) {
        for (size_t n = 0; n < audit->logs[i].count; n++)
            audit_entry_deinit(&audit->logs[i].items[n].entry);
        mem_free(audit->logs[i].items);
    }
    for (size_t i = 0; i < audit->topic_count; i++)
        mem_free(audit->topics[i].name);
    mem_free(audit->cursor);
    mem_free(audit->topics);
    mem_free(audit->names);
    mem_free(audit->bounds);
    mem_free(audit->logs);
    mem_free(audit->ranges);
    mem_free(audit->range_logs);
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

static void add_entry(struct buf *out, const struct noted *noted, const char *group, bool masked)
{
    const struct audit_entry *entry = &noted->entry;
    bool hidden = json_filter_is_hidden(entry->details, "/filter/text", masked);
    buf_add_char(out, '{');
    api_add_text(out, "group", group);
    api_add_time(out, "at", entry->at_ms);
    api_add_text_or_null(out, "by", entry->by);
    api_add_text_or_null(out, "action", entry->action);
    api_add_text_or_null(out, "on", entry->on);
    api_add_text_or_null(out, "reason", entry->reason);
    api_add_text_or_null(out, "result", entry->result);
    buf_printf(out, "\"details\":%s,\"details_hidden\":%s}",
               hidden || !entry->details ? "null" : entry->details, hidden ? "true" : "false");
}

/* The one whose next entry is the newest. NULL: all is told, or an older part of one would have to
 * be read first. */
static struct log *newest(struct auditing *audit)
{
    struct log *found = NULL;
    for (size_t i = 0; i < audit->log_count; i++) {
        struct log *log = &audit->logs[i];
        if (log->left == 0 && log->from > log->begin && !log->over)
            return NULL;
        if (log->left > 0 && (!found || log->items[log->left - 1].entry.at_ms >
                                            found->items[found->left - 1].entry.at_ms))
            found = log;
    }
    return found;
}

/* Where the next page begins. */
static int64_t left_off(const struct log *log)
{
    if (log->left == 0)
        return log->over ? log->begin : log->from;
    return log->left < log->count ? log->items[log->left].offset : log->below;
}

static void add_next(struct buf *out, const struct auditing *audit)
{
    bool more = false;
    for (size_t i = 0; i < audit->log_count; i++)
        more = more || left_off(&audit->logs[i]) > audit->logs[i].begin;
    buf_add_text(out, "\"next\":\"");
    for (size_t i = 0; more && i < audit->log_count; i++)
        buf_printf(out, "%s%0*" PRIx64, i == 0 ? "b" : "", DIGITS,
                   (uint64_t)left_off(&audit->logs[i]));
    buf_add_char(out, '"');
}

static void answer(struct auditing *audit)
{
    struct buf body = {0};
    struct log *log;
    buf_add_text(&body, "{\"entries\":[");
    for (size_t i = 0; i < audit->limit && (log = newest(audit)) != NULL; i++) {
        if (i > 0)
            buf_add_char(&body, ',');
        add_entry(&body, &log->items[--log->left], log->topic->group, audit->work.masked);
    }
    buf_add_text(&body, "],");
    add_next(&body, audit);
    buf_add_text(&body, "}\n");
    work_answer(&audit->work, &body);
    buf_deinit(&body);
    work_end(&audit->work);
}

/* ---- reading ---- */

/* What is nobody's of ours is passed over: anybody may write there. */
static void keep(struct auditing *audit, const struct record *rec, struct log *log)
{
    struct audit_entry entry = {0};
    struct err err = {0};
    log->read = rec->offset >= log->below - 1;
    if (rec->offset >= log->below || !audit_entry_read(rec, &entry, &err))
        return;
    log->over = log->over || entry.at_ms < audit->since_ms - SKEW_MS;
    if (entry.at_ms < audit->since_ms) {
        audit_entry_deinit(&entry);
        return;
    }
    log->items = mem_realloc(log->items, (log->count + 1) * sizeof(*log->items));
    log->items[log->count++] = (struct noted){entry, rec->offset};
    log->left = log->count;
}

/* The logs go on behind what is wanted. */
static bool all_read(const struct auditing *audit)
{
    for (size_t i = 0; i < audit->range_count; i++) {
        if (!audit->logs[audit->range_logs[i]].read)
            return false;
    }
    return true;
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
            keep(audit, &rec, &audit->logs[audit->range_logs[range]]);
            if (all_read(audit))
                answer(audit);
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

/* The offset of a partition in the cursor; its shape was looked at. */
static int64_t cursor_at(const struct auditing *audit, size_t at)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        char c = audit->cursor[1 + at * DIGITS + i];
        offset = offset << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return offset > INT64_MAX ? INT64_MAX : (int64_t)offset;
}

static void set_range(struct auditing *audit, size_t at)
{
    struct log *log = &audit->logs[at];
    const struct kafka_bounds *bounds = &audit->bounds[at];
    log->begin = bounds->begin < 0 ? 0 : bounds->begin;
    log->below = bounds->end < 0 ? 0 : bounds->end;
    if (audit->cursor && cursor_at(audit, at) < log->below)
        log->below = cursor_at(audit, at);
    log->from = log->below - (int64_t)audit->limit;
    if (log->from < log->begin)
        log->from = log->begin;
    if (log->below <= log->begin)
        return;
    audit->range_logs[audit->range_count] = at;
    audit->ranges[audit->range_count++] = (struct kafka_reader_range){bounds->topic,
                                                                      bounds->partition, log->from};
}

static void read_logs(struct auditing *audit)
{
    struct console *console = audit->work.console;
    struct err err = {0};
    audit->ranges = mem_calloc(audit->log_count + 1, sizeof(*audit->ranges));
    audit->range_logs = mem_calloc(audit->log_count + 1, sizeof(*audit->range_logs));
    for (size_t i = 0; i < audit->log_count; i++)
        set_range(audit, i);
    if (audit->range_count == 0) {
        answer(audit);
        return;
    }
    audit->reader = kafka_reader_new(console->options.loop, console->config,
                                     console->config->routes[0].group, audit->ranges,
                                     audit->range_count, readable, audit, &err);
    if (!audit->reader)
        fail(audit, &err);
}

static void bounded(void *arg, const struct kafka_bounds *bounds, size_t count,
                    const struct err *err)
{
    struct auditing *audit = arg;
    if (!audit->work.call)
        return;
    if (err) {
        fail(audit, err);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        audit->bounds[i].begin = bounds[i].begin;
        audit->bounds[i].end = bounds[i].end;
    }
    read_logs(audit);
}

static bool is_cursor(const char *text, size_t partitions)
{
    return strlen(text) == 1 + DIGITS * partitions && text[0] == 'b' &&
           strspn(text + 1, "0123456789abcdef") == DIGITS * partitions;
}

static void ask_bounds(struct auditing *audit)
{
    struct err err = {0};
    if (audit->cursor && !is_cursor(audit->cursor, audit->log_count)) {
        (void)err_set(&err, ERR_USAGE,
                      "cursor: no page has given this one, or partitions were added since; begin "
                      "without one");
        fail(audit, &err);
    } else if (audit->log_count == 0) {
        answer(audit);
    } else {
        kafka_admin_bounds(audit->admin, audit->bounds, audit->log_count, bounded, audit);
    }
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct auditing *audit = arg;
    size_t partitions = 0;
    if (!audit->work.call)
        return;
    if (err) {
        fail(audit, err);
        return;
    }
    for (size_t i = 0; i < count; i++) /* one that is not there has no entries */
        partitions += topics[i].exists ? (size_t)topics[i].partitions : 0;
    audit->bounds = mem_calloc(partitions + 1, sizeof(*audit->bounds));
    audit->logs = mem_calloc(partitions + 1, sizeof(*audit->logs));
    for (size_t i = 0; i < count; i++) {
        for (int32_t p = 0; topics[i].exists && p < topics[i].partitions; p++) {
            audit->bounds[audit->log_count] = (struct kafka_bounds){.topic = audit->topics[i].name,
                                                                    .partition = p};
            audit->logs[audit->log_count++].topic = &audit->topics[i];
        }
    }
    ask_bounds(audit);
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
    struct slice only = router_param(match, "group"), cursor = router_param(match, "cursor");
    struct redriving_group group;
    struct auditing *audit;
    struct err err = {0};
    uint64_t limit;
    int64_t since_ms = 0;
    if (!slice_is_null(only) && !redriving_find(console->redriving, only.data, &group))
        (void)err_set(&err, ERR_USAGE, "no route has the group %.200s", only.data);
    if (err.code || !api_read_limit(match, &limit, &err) || !read_since(match, &since_ms, &err)) {
        reply_problem_err(call, &err);
        return;
    }
    audit = work_new(&audit_kind, console, call, match);
    if (!audit)
        return;
    audit->limit = limit;
    audit->since_ms = since_ms;
    if (!slice_is_null(cursor) && cursor.len > 0)
        audit->cursor = mem_strdup(cursor.data);
    ask(audit, only);
}
