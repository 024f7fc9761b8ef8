/*
 * The connections to one handler, and the clock over them. All clients of a worker that reach the
 * same handler in the same way share one (pools.h); what is a route's own is in its client.
 * Private to this folder. Owning thread: the worker's.
 */
#ifndef OG_HANDLER_POOL_H
#define OG_HANDLER_POOL_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "handler/client.h"
#include "handler/http_url.h"

#define HTTP_SCRATCH_BYTES (64 * 1024)

LIST_HEAD(handler_conn_list, handler_conn);
STAILQ_HEAD(handler_done_list, handler_call);

struct handler_pool {
    struct loop *loop;
    struct event_base *base;
    struct resolver *resolver;
    struct http_tls *tls; /* NULL: plain */
    int64_t connect_timeout_ms, idle_timeout_ms;
    size_t address_hint; /* the one that answered last is tried first */
    struct handler_conn_list conns, idle, dead;
    struct handler_done_list done; /* to be told by the task */
    struct loop_task task;
    struct loop_timer sweep;
    uint64_t sweep_at_ns;  /* UINT64_MAX: not armed */
    uint64_t want_said_ns; /* when the want of descriptors was logged last; 0: never */
    char *scratch;         /* HTTP_SCRATCH_BYTES: what is read, and requests being gathered */
};

/* Reads TLS files; does not connect. config and url are not kept. */
struct handler_pool *handler_pool_new(struct loop *loop, const struct handler_config *config,
                                      const struct http_url *url, struct err *err) MUST_CHECK;
/* No call is open. */
void handler_pool_free(struct handler_pool **pool);

/* Sends the call at once on the connection that was used last, or on a new one. Its client is set.
 */
void handler_pool_send(struct handler_pool *pool, struct handler_call *call);
/* The call's answer is filled; done follows from the task. */
void handler_pool_complete(struct handler_pool *pool, struct handler_call *call, uint64_t now_ns);

/* For the connections. */

/* The connection must be looked at when its due_ns comes. */
void handler_pool_watch(struct handler_pool *pool, const struct handler_conn *conn);
/* Its idle_ns is set. */
void handler_pool_put_idle(struct handler_pool *pool, struct handler_conn *conn);
/* Takes the connection off all lists; it is freed by the task. */
void handler_pool_bury(struct handler_pool *pool, struct handler_conn *conn);
/* Opens a connection for the call. */
void handler_pool_open(struct handler_pool *pool, struct handler_call *call);

#endif
