/*
 * Asks a console's API and waits for the answer: for commands. One request at a time, each on a
 * connection of its own; TLS is always verified, by chain and by name. Blocks; no loop is needed.
 */
#ifndef OG_CONSOLE_CLIENT_H
#define OG_CONSOLE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct console_client;

struct console_client_options {
    const char *url;        /* http://host:port, https://host[:port][/path before /api] */
    const char *token_file; /* its first line is the token; NULL: none */
    const char *ca_file;    /* NULL: the system's */
    int64_t timeout_ms;     /* of a request, all in all; where its answer is taken, of each piece */
};

/* Reads the files; does not connect. A token is not sent over plain http but to this machine. */
struct console_client *console_client_new(const struct console_client_options *options,
                                          struct err *err) MUST_CHECK;
void console_client_free(struct console_client **client);

struct console_client_request {
    const char *path;  /* with its leading slash, encoded, with the query */
    struct slice body; /* null: GET; else POST */
    const char *type;  /* of the body; NULL: JSON */
    /* NULL, or it takes the body of a 2xx piece by piece, of any length. False: no more of it is
     * wanted, and the request fails with ERR_CANCELLED. */
    bool (*take)(void *arg, struct slice bytes);
    void *arg;
};

/*
 * answer gets the body of a 2xx that nobody takes. One that breaks off has failed. Another status
 * is an error with the console's own words: 400 ERR_USAGE, 401 and 403 ERR_DENIED, 404 ERR_NO_FILE,
 * 409 ERR_INPUT, 413 ERR_LIMIT, 503 ERR_AGAIN; nobody there, or no console, ERR_UNAVAILABLE.
 * *status: 0 where there was none; may be NULL.
 */
bool console_client_send(struct console_client *client,
                         const struct console_client_request *request, struct buf *answer,
                         int *status, struct err *err) MUST_CHECK;
/* The same with JSON, taken by nobody. */
bool console_client_ask(struct console_client *client, const char *path, struct slice body,
                        struct buf *answer, int *status, struct err *err) MUST_CHECK;

/* Appends "name=value", encoded, behind ? or &. */
void console_client_add_param(struct buf *path, const char *name, struct slice value);
/* Appends one segment of a path, encoded, behind a slash. */
void console_client_add_segment(struct buf *path, struct slice value);

#endif
