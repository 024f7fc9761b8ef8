/*
 * A record as JSON, the one place where payloads are turned into it: key, value and headers, with
 * what the viewer may not see taken out.
 */
#ifndef OG_CONSOLE_PAYLOAD_H
#define OG_CONSOLE_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "console/guard.h"
#include "console/masking.h"
#include "record/record.h"

struct payload_view {
    const struct masking *masking;
    enum role role;
    size_t limit; /* bytes of a value, or of a key, that are shown */
};

/* Whether anything is hidden from that role: then it may not search for text either, since by
 * asking for one word after the other it would read what is hidden. */
bool payload_is_masked(const struct payload_view *view);

/* {"encoding": "null|json|text|base64|hidden", "size", "text", "cut", "masked": [pointers], "why"}
 */
void payload_add_value(struct buf *out, const struct payload_view *view, struct slice value);
/* The same shape; a key is never masked. */
void payload_add_key(struct buf *out, const struct payload_view *view, struct slice key);
/* [{"name", "encoding", "size", "text", "cut", "masked"}]: those of oncegate, or the app's. */
void payload_add_headers(struct buf *out, const struct payload_view *view, const struct record *rec,
                         bool own);
/* A line of dlq/letter_line.h with its line feed: whole for who may see all, else without what is
 * hidden, and saying so. */
void payload_add_line(struct buf *out, const struct payload_view *view, const struct record *rec);

#endif
