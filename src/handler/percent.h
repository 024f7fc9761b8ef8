/* Foreign bytes as the value or the name of an HTTP header. */
#ifndef OG_HANDLER_PERCENT_H
#define OG_HANDLER_PERCENT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

/*
 * Adds s as a header value: visible ASCII stays, but '"' and '%'; everything else, blanks too,
 * becomes %XX (the rule of the CloudEvents HTTP binding, 3.1.3.2). Any percent-decoder gives s
 * back.
 */
void percent_add_value(struct buf *out, struct slice s);
/* The same for a header name: what is not a token character becomes %XX. */
void percent_add_name(struct buf *out, struct slice s);
/* How long s becomes as a value. */
size_t percent_value_len(struct slice s);

/* s may stand raw in a header value: visible ASCII, blanks and tabs only, at most `limit` bytes. */
bool percent_is_plain(struct slice s, size_t limit);
/* s is an HTTP token (RFC 9110, 5.6.2). */
bool percent_is_token(struct slice s);

#endif
