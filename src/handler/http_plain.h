/*
 * The answer that nearly every handler gives, read without a parser's state machine: HTTP/1.1, a
 * final status, header lines of printable ASCII, a body of a given length, and all of it there at
 * once. What is anything else is left to the parser, which takes what this takes for the same
 * answer.
 */
#ifndef OG_HANDLER_HTTP_PLAIN_H
#define OG_HANDLER_HTTP_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "handler/http_answer.h"

struct http_plain {
    int status;                              /* 200 to 599 */
    struct slice values[HTTP_KNOWN_HEADERS]; /* null: the answer has no such line */
    struct slice body;
};

/* False: not that plain, and *out means nothing. What *out points to is data's. */
bool http_plain_read(const char *data, size_t len, struct http_plain *out);

#endif
