/*
 * A request that the server has read whole, and how one reads it. Borrowed from the connection
 * until the call is answered or gone.
 */
#ifndef OG_CONSOLE_REQUEST_H
#define OG_CONSOLE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum request_method { METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_DELETE, METHOD_OTHER };

struct request_header_line {
    struct slice name, value;
};

struct console_request {
    enum request_method method;
    struct slice path;  /* as sent: begins with '/', not decoded */
    struct slice query; /* as sent, without '?'; null: none */
    const struct request_header_line *headers;
    size_t header_count;
    struct slice body;
    const char *peer; /* address in text, no port; "" unknown */
    bool tls;
};

const char *request_method_name(enum request_method method);
/* The header of that name, any case; null: not there. */
struct slice request_header(const struct console_request *req, const char *name);
/* How often it stands there: what must be there once is refused where it is there twice. */
size_t request_header_times(const struct console_request *req, const char *name);
/* Whether the list of a header (If-None-Match, say) has that element; '*' is an element as others.
 */
bool request_list_has(struct slice list, const char *element);

/* Adds s with %XX decoded; plus_is_blank for query strings. False: a '%' without two hex digits. */
bool request_decode(struct buf *out, struct slice s, bool plus_is_blank) MUST_CHECK;

/* Takes the next name=value pair off *query. False: no more. Not decoded. */
bool request_next_pair(struct slice *query, struct slice *name, struct slice *value);
/* Takes the next segment off *path, which begins with '/'. False: no more. Not decoded. */
bool request_next_segment(struct slice *path, struct slice *segment);

#endif
