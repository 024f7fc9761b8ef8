/*
 * One connection to the handler, and what it reads of a client; private to this folder.
 *
 *                 handler_pool_send
 *        idle one |            | none
 *                 v            v
 *   +--------> SENDING <- HANDSHAKE <- CONNECTING <- RESOLVING
 *   |             |           (TLS)     next address
 *   |             v
 *  IDLE <----- WAITING
 *      answer whole,       any of them -> DEAD on error, time, cancel;
 *      kept alive          freed by the pool's task
 */
#ifndef OG_HANDLER_HTTP_CONN_H
#define OG_HANDLER_HTTP_CONN_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/resolver.h"
#include "handler/client.h"
#include "handler/http_answer.h"
#include "handler/http_tls.h"
#include "handler/pool.h"

enum http_conn_state {                       /* ends by time at: */
                       HTTP_CONN_RESOLVING,  /* connect_due_ns */
                       HTTP_CONN_CONNECTING, /* this address's share of the time until
                                                connect_due_ns */
                       HTTP_CONN_HANDSHAKE,  /* connect_due_ns */
                       HTTP_CONN_SENDING,    /* the call's deadline */
                       HTTP_CONN_WAITING,    /* the call's deadline */
                       HTTP_CONN_IDLE,       /* idle_timeout */
                       HTTP_CONN_DEAD,       /* the pool's next task */
};

struct handler_conn {
    struct handler_pool *pool;
    struct handler_call *call; /* NULL when IDLE or DEAD */
    enum http_conn_state state;
    int fd; /* -1: none yet, or closed */
    struct http_tls_session *tls;
    struct event read_event;    /* persistent, from the connection's first byte on */
    struct event write_event;   /* only while a write or the connecting waits */
    uint64_t due_ns;            /* when the state ends by time */
    uint64_t connect_due_ns;    /* connect_timeout or the deadline, whichever is first */
    size_t address_at;          /* the address being tried */
    size_t addresses_left;      /* those not tried yet */
    uint64_t idle_ns, idled_ns; /* since when it is idle; and how long it was before the request */
    uint64_t left_before; /* bytes that left before the request, with TLS its framing counted */
    size_t sent;          /* bytes of the request that left */
    size_t request_len;   /* all of them */
    bool reused;          /* it has answered before */
    bool connect_again; /* a unix socket's backlog was full: the address is tried again when due */
    char length_line[48]; /* Content-Length and the blank line */
    size_t length_line_len;
    struct http_answer answer;
    LIST_ENTRY(handler_conn) in_pool; /* of all connections, or of the dead */
    LIST_ENTRY(handler_conn) in_idle; /* latest first */
};

/* What a connection reads of the client whose call it has. */
struct handler_client {
    struct handler_pools *pools;
    struct handler_pool *pool;
    struct buf prefix; /* request line and Host */
    uint64_t max_response_bytes;
    bool keeps_bodies;   /* the calls are batches */
    uint32_t max_calls;  /* that may be open */
    uint32_t open_calls; /* sent, and not told done */
};

/* http_conn.c. None of them tells a caller anything inside: completions go through the task. */

struct handler_conn *http_conn_new(struct handler_pool *pool);
void http_conn_free(struct handler_conn *conn);
/* Sends the call on an idle connection. */
void http_conn_send(struct handler_conn *conn, struct handler_call *call);
/* due_ns has come. */
void http_conn_on_due(struct handler_conn *conn, uint64_t now_ns);
void http_conn_cancel(struct handler_conn *conn);
/* Closes in order, whatever it does; it has no call. */
void http_conn_close(struct handler_conn *conn);

/* For http_connect.c. */

/* A socket that does not block, with its events; false with errno set. */
bool http_conn_open_socket(struct handler_conn *conn, int family);
/* By RST where it is TCP: what the kernel still holds is dropped. */
void http_conn_close_socket(struct handler_conn *conn);
void http_conn_await_writable(struct handler_conn *conn);
/* Connected, and TLS is up where it is wanted: sends the call. */
void http_conn_begin_request(struct handler_conn *conn);
/* Ends the connection and its call. The head of a broken answer still gives the status. */
void http_conn_fail(struct handler_conn *conn, enum handler_error error, const char *text);

#endif
