/*
 * The console of a configuration: follows its dead-letter and state topics, keeps an index of them,
 * and serves the API (and the page) over it. Owning thread: the loop's.
 */
#ifndef OG_CONSOLE_CONSOLE_H
#define OG_CONSOLE_CONSOLE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "config/config.h"
#include "record/record.h"

struct console;

struct console_options {
    struct loop *loop;
    const struct config *config; /* borrowed */
    struct metrics *metrics;     /* borrowed */
    /* Appends the curl that makes the delivery of a dead letter; NULL: none is given. */
    bool (*curl)(struct buf *out, const struct route_config *route, const struct record *rec,
                 const char *id, struct err *err);
    /* It cannot go on: err says why. */
    void (*failed)(void *arg, const struct err *err);
    void *arg;
};

struct console *console_new(const struct console_options *options, struct err *err) MUST_CHECK;
/* Not from failed. */
void console_free(struct console **console);
unsigned console_port(const struct console *console);
const char *console_index(const struct console *console); /* path of the index */

/* The OpenAPI document of the API. */
void console_openapi(struct buf *out);

#endif
