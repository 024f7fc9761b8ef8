/*
 * One line per event on stderr: logfmt on a terminal, JSON otherwise (or as configured).
 * An event has a fixed name (snake_case) and fields; free text only in fields. Thread-safe; a line
 * is one write().
 *
 *   log_info("offset_committed", LOG_STR("route", route->name), LOG_INT("partition", p), LOG_END);
 */
#ifndef OG_BASE_LOG_H
#define OG_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_field_kind { LOG_FIELD_END, LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT, LOG_FIELD_BOOL };

struct log_field {
    enum log_field_kind kind;
    const char *name;
    struct slice str;
    int64_t num;
};

#define LOG_STR(n, text) ((struct log_field){LOG_FIELD_STR, (n), slice_of(text), 0})
#define LOG_SLICE(n, s)  ((struct log_field){LOG_FIELD_STR, (n), (s), 0})
#define LOG_INT(n, v)    ((struct log_field){LOG_FIELD_INT, (n), SLICE_NULL, (int64_t)(v)})
#define LOG_UINT(n, v)   ((struct log_field){LOG_FIELD_UINT, (n), SLICE_NULL, (int64_t)(v)})
#define LOG_BOOL(n, v)   ((struct log_field){LOG_FIELD_BOOL, (n), SLICE_NULL, (v) ? 1 : 0})
#define LOG_END          ((struct log_field){LOG_FIELD_END, NULL, SLICE_NULL, 0})

void log_setup(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);

/* fields ends with LOG_END. */
void log_event(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_AT(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_event((level), (event), (const struct log_field[]){__VA_ARGS__});                  \
    } while (0)
#define log_debug(event, ...) LOG_AT(LOG_DEBUG, (event), __VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_INFO, (event), __VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_WARN, (event), __VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_ERROR, (event), __VA_ARGS__)

#endif
