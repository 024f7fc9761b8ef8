/*
 * The connections to one handler; see pool.h.
 *
 * A call is sent at once on the connection that was used last, whoever's call it had (so that few
 * are in use and the others grow idle and are closed), or on a new one. There are never more than
 * calls were open at once. Completions are collected and told together by one task per turn of the
 * loop, never inside a call of this file. Connections that died are freed by the same task, after
 * every event that could still name them has been dispatched.
 *
 * Time: there is no timer per request. Each connection knows when its state ends (due_ns), and one
 * timer per pool fires at the earliest of them as it was when last looked; it then goes over all
 * connections. With equal timeouts that is one pass per timeout, not one per request. It is never
 * early, and late by at most SWEEP_MIN_NS and the loop's own latency.
 */
#include "handler/pool.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"
#include "handler/http_conn.h"
#include "handler/http_connect.h"

#define SWEEP_MIN_NS (5 * NS_PER_MS)

static void free_dead(struct handler_pool *pool)
{
    struct handler_conn *conn;

    while ((conn = LIST_FIRST(&pool->dead)) != NULL) {
        LIST_REMOVE(conn, in_pool);
        http_conn_free(conn);
    }
}

static void run_task(void *arg)
{
    struct handler_pool *pool = arg;
    struct handler_done_list done = STAILQ_HEAD_INITIALIZER(done);
    struct handler_call *call;

    free_dead(pool);
    STAILQ_CONCAT(&done, &pool->done);
    /* The last call's owner may free its client, and with it the pool: not touched from here on. */
    while ((call = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, in_done);
        call->client->open_calls--;
        call->done(call);
    }
}

static void sweep(void *arg)
{
    struct handler_pool *pool = arg;
    uint64_t now_ns = clock_mono_ns();
    struct handler_conn *conn, *next;

    pool->sweep_at_ns = UINT64_MAX;
    for (conn = LIST_FIRST(&pool->conns); conn; conn = next) {
        next = LIST_NEXT(conn, in_pool);
        if (conn->due_ns <= now_ns)
            http_conn_on_due(conn, now_ns);
    }
    uint64_t at_ns = UINT64_MAX;
    LIST_FOREACH(conn, &pool->conns, in_pool)
    {
        if (conn->due_ns < at_ns)
            at_ns = conn->due_ns;
    }
    if (at_ns == UINT64_MAX) {
        loop_timer_cancel(&pool->sweep);
        return;
    }
    if (at_ns < now_ns + SWEEP_MIN_NS)
        at_ns = now_ns + SWEEP_MIN_NS;
    pool->sweep_at_ns = at_ns;
    loop_timer_set_at(&pool->sweep, at_ns);
}

void handler_pool_watch(struct handler_pool *pool, const struct handler_conn *conn)
{
    if (conn->due_ns >= pool->sweep_at_ns)
        return;
    pool->sweep_at_ns = conn->due_ns;
    loop_timer_set_at(&pool->sweep, conn->due_ns);
}

static void on_resolved(void *arg)
{
    struct handler_pool *pool = arg;
    struct handler_conn *conn, *next;

    for (conn = LIST_FIRST(&pool->conns); conn; conn = next) {
        next = LIST_NEXT(conn, in_pool);
        http_connect_on_resolved(conn);
    }
}

struct handler_pool *handler_pool_new(struct loop *loop, const struct handler_config *config,
                                      const struct http_url *url, struct err *err)
{
    struct handler_pool *pool = mem_zalloc(sizeof(*pool));

    pool->loop = loop;
    pool->base = loop_base(loop);
    pool->connect_timeout_ms = config->connect_timeout_ms;
    pool->idle_timeout_ms = config->idle_timeout_ms;
    LIST_INIT(&pool->conns);
    LIST_INIT(&pool->idle);
    LIST_INIT(&pool->dead);
    STAILQ_INIT(&pool->done);
    pool->sweep_at_ns = UINT64_MAX;
    loop_task_init(&pool->task, run_task, pool);
    loop_timer_init(&pool->sweep, loop, sweep, pool);
    pool->scratch = mem_alloc(HTTP_SCRATCH_BYTES);
    if (url->tls) {
        pool->tls = http_tls_new(&config->tls, url->host, err);
        if (!pool->tls)
            goto failed;
    }
    pool->resolver = resolver_new(loop, url->host, url->port, config->socket, on_resolved, pool,
                                  err);
    if (pool->resolver)
        return pool;
failed:
    handler_pool_free(&pool);
    return NULL;
}

void handler_pool_free(struct handler_pool **owned)
{
    struct handler_pool *pool = *owned;
    struct handler_conn *conn;

    if (!pool)
        return;
    while ((conn = LIST_FIRST(&pool->conns)) != NULL) {
        assert(!conn->call);
        http_conn_close(conn);
    }
    assert(STAILQ_EMPTY(&pool->done));
    free_dead(pool);
    loop_task_cancel(pool->loop, &pool->task);
    loop_timer_deinit(&pool->sweep);
    resolver_free(&pool->resolver);
    http_tls_free(&pool->tls);
    mem_free(pool->scratch);
    mem_free(pool);
    *owned = NULL;
}

void handler_pool_complete(struct handler_pool *pool, struct handler_call *call, uint64_t now_ns)
{
    call->ended_ns = now_ns;
    STAILQ_INSERT_TAIL(&pool->done, call, in_done);
    loop_defer(pool->loop, &pool->task);
}

void handler_pool_put_idle(struct handler_pool *pool, struct handler_conn *conn)
{
    LIST_INSERT_HEAD(&pool->idle, conn, in_idle);
    conn->due_ns = conn->idle_ns + (uint64_t)pool->idle_timeout_ms * NS_PER_MS;
    handler_pool_watch(pool, conn);
}

void handler_pool_bury(struct handler_pool *pool, struct handler_conn *conn)
{
    if (conn->state == HTTP_CONN_IDLE)
        LIST_REMOVE(conn, in_idle);
    LIST_REMOVE(conn, in_pool);
    conn->state = HTTP_CONN_DEAD;
    LIST_INSERT_HEAD(&pool->dead, conn, in_pool);
    loop_defer(pool->loop, &pool->task);
}

void handler_pool_open(struct handler_pool *pool, struct handler_call *call)
{
    struct handler_conn *conn = http_conn_new(pool);

    LIST_INSERT_HEAD(&pool->conns, conn, in_pool);
    http_connect_start(conn, call);
}

void handler_pool_send(struct handler_pool *pool, struct handler_call *call)
{
    struct handler_conn *conn = LIST_FIRST(&pool->idle);

    if (!conn) {
        handler_pool_open(pool, call);
        return;
    }
    LIST_REMOVE(conn, in_idle);
    http_conn_send(conn, call);
}
