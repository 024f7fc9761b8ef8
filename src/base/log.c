/*
 * One line per event. A line is built whole, then written by one write(), so that lines of several
 * threads (and of several processes on one pipe, up to PIPE_BUF) never mix. No byte of a value can
 * end a line or drive a terminal: both formats escape control characters, and a value that is too
 * long is cut.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"

enum { VALUE_MAX_BYTES = 4096 };

static atomic_int min_level = LOG_INFO;
static atomic_bool as_json;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

void log_setup(enum log_level level, enum log_format format)
{
    bool json = format == LOG_FORMAT_JSON;
    if (format == LOG_FORMAT_AUTO)
        json = !isatty(STDERR_FILENO);
    atomic_store(&min_level, (int)level);
    atomic_store(&as_json, json);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

static struct slice cut(struct slice s)
{
    return (struct slice){s.data, utf8_cut(s.data, s.len, VALUE_MAX_BYTES)};
}

static bool logfmt_needs_quotes(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return s.len == 0;
}

static void add_string(struct buf *line, struct slice value, bool json)
{
    if (slice_is_null(value))
        buf_add_text(line, json ? "null" : "");
    else if (json || logfmt_needs_quotes(value))
        buf_add_json(line, cut(value));
    else
        buf_add_slice(line, cut(value));
}

static void add_value(struct buf *line, const struct log_field *field, bool json)
{
    switch (field->kind) {
    case LOG_FIELD_STR:
        add_string(line, field->str, json);
        break;
    case LOG_FIELD_INT:
        buf_add_i64(line, field->num);
        break;
    case LOG_FIELD_UINT:
        buf_add_u64(line, (uint64_t)field->num);
        break;
    case LOG_FIELD_BOOL:
        buf_add_text(line, field->num ? "true" : "false");
        break;
    case LOG_FIELD_END:
        break;
    }
}

static void add_field(struct buf *line, const struct log_field *field, bool json)
{
    if (line->len > 1)
        buf_add_char(line, json ? ',' : ' ');
    if (json)
        buf_add_json(line, slice_of(field->name));
    else
        buf_add_text(line, field->name);
    buf_add_char(line, json ? ':' : '=');
    add_value(line, field, json);
}

static void write_line(const struct buf *line)
{
    pthread_mutex_lock(&write_lock);
    size_t done = 0;
    while (done < line->len) {
        ssize_t n = write(STDERR_FILENO, line->data + done, line->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* nobody reads: a log line is no reason to stop */
        done += (size_t)n;
    }
    pthread_mutex_unlock(&write_lock);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    char now[STR_RFC3339_MAX];
    str_rfc3339_from_ms(clock_wall_ms(), now);

    int saved_errno = errno;
    struct buf line = {0};
    buf_reserve(&line, 512);
    if (json)
        buf_add_char(&line, '{');
    add_field(&line, &LOG_STR("time", now), json);
    add_field(&line, &LOG_STR("level", level_names[level]), json);
    add_field(&line, &LOG_STR("event", event), json);
    for (const struct log_field *field = fields; field && field->kind != LOG_FIELD_END; field++)
        add_field(&line, field, json);
    buf_add_text(&line, json ? "}\n" : "\n");
    write_line(&line);
    buf_deinit(&line);
    errno = saved_errno;
}
