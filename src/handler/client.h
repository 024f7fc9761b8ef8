/*
 * The HTTP/1.1 client to one route's handler, with a total deadline per call, on one worker's loop;
 * connections are kept alive, and shared with the worker's other routes to the same handler
 * (pools.h). Narrow on purpose, so that it can be replaced. Owning thread: the worker's.
 *
 * A call is embedded in its owner. `done` runs exactly once per handler_client_send, never inside
 * it, also after a cancel (with error HANDLER_RESET and cancelled set; an answer that had come
 * already is told as it is). Everything the call points to is borrowed until done. done may send
 * again, and the last call's done may free the client.
 */
#ifndef OG_HANDLER_CLIENT_H
#define OG_HANDLER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "config/config.h"
#include "handler/pools.h"

struct handler_client;
struct handler_conn;

#define ANSWER_CODE_MAX   65
#define ANSWER_DETAIL_MAX 4096

struct handler_answer {
    enum handler_error error; /* HANDLER_OK: a whole status line and headers came */
    int status;               /* 0 where error is set before a status line */
    bool request_sent;        /* some byte of the request left, and the handler may have seen it:
                                 with an error, the effect is unknown */
    bool cancelled;
    bool has_outcome; /* Oncegate-Outcome was given and readable */
    enum outcome outcome;
    int64_t retry_after_ms;     /* -1: none (seconds or date, already relative) */
    char code[ANSWER_CODE_MAX]; /* Oncegate-Error-Code, or problem+json's type; "" none; [a-z0-9._-]
                                 */
    char detail[ANSWER_DETAIL_MAX]; /* problem+json detail, or the start of a text body, or the
                                       error's text; UTF-8 */
};

struct handler_call {
    struct slice head;    /* header lines, each with CRLF, without the request line, Host,
                             Content-Length and the blank line */
    struct slice body;    /* may be null or empty: Content-Length: 0 */
    struct buf *results;  /* of a batch: takes the body of a 2xx; NULL: it is not read */
    uint64_t deadline_ns; /* monotonic, as all times here; the total, connect included */
    void (*done)(struct handler_call *call);
    void *arg;

    struct handler_answer answer; /* filled before done, as the next ones */
    bool results_cut;             /* the body was longer than what is read of one */
    uint64_t ended_ns;            /* when the answer was whole, or it failed */

    /* the client's */
    struct handler_client *client;
    struct handler_conn *conn;
    STAILQ_ENTRY(handler_call) in_done;
    uint64_t sent_ns;
    bool retried_reset;
};

/* Reads TLS files and checks the URL; does not connect. The pools are borrowed, config is not kept.
 */
struct handler_client *handler_client_new(struct handler_pools *pools,
                                          const struct handler_config *config,
                                          uint32_t max_in_flight, struct err *err) MUST_CHECK;
/* Every call must be done or cancelled and done before. Where others use its connections they stay.
 */
void handler_client_free(struct handler_client **client);
/* The caller keeps at most max_in_flight calls open; more is a broken invariant. now_ns: the time,
 * which the caller has just read for the deadline. */
void handler_client_send(struct handler_client *client, struct handler_call *call, uint64_t now_ns);
/* Closes the call's connection; done follows with cancelled set, unless the answer had come
 * already. */
void handler_client_cancel(struct handler_client *client, struct handler_call *call);

#endif
