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
    while (pool->dead) {
        struct handler_conn *conn = pool->dead;
        pool->dead = conn->next;
        http_conn_free(conn);
    }
}

static void run_task(void *arg)
{
    struct handler_pool *pool = arg;
    struct handler_call *call = pool->done_first;

    free_dead(pool);
    pool->done_first = pool->done_last = NULL;
    /* The last call's owner may free its client, and with it the pool: not touched from here on. */
    while (call) {
        struct handler_call *next = call->next;
        call->next = NULL;
        call->client->open_calls--;
        call->done(call);
        call = next;
    }
}

static void sweep(void *arg)
{
    struct handler_pool *pool = arg;
    uint64_t now_ns = clock_mono_ns();
    struct handler_conn *next;

    pool->sweep_at_ns = UINT64_MAX;
    for (struct handler_conn *conn = pool->conns; conn; conn = next) {
        next = conn->next;
        if (conn->due_ns <= now_ns)
            http_conn_on_due(conn, now_ns);
    }
    uint64_t at_ns = UINT64_MAX;
    for (const struct handler_conn *conn = pool->conns; conn; conn = conn->next) {
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
    struct handler_conn *next;

    for (struct handler_conn *conn = pool->conns; conn; conn = next) {
        next = conn->next;
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

    if (!pool)
        return;
    while (pool->conns) {
        assert(!pool->conns->call);
        http_conn_close(pool->conns);
    }
    assert(!pool->done_first);
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
    call->next = NULL;
    if (pool->done_last)
        pool->done_last->next = call;
    else
        pool->done_first = call;
    pool->done_last = call;
    loop_defer(pool->loop, &pool->task);
}

static void unlink_idle(struct handler_pool *pool, struct handler_conn *conn)
{
    if (conn->idle_next)
        conn->idle_next->idle_prev = conn->idle_prev;
    if (conn->idle_prev)
        conn->idle_prev->idle_next = conn->idle_next;
    else
        pool->idle = conn->idle_next;
    conn->idle_next = conn->idle_prev = NULL;
}

void handler_pool_put_idle(struct handler_pool *pool, struct handler_conn *conn)
{
    conn->idle_prev = NULL;
    conn->idle_next = pool->idle;
    if (pool->idle)
        pool->idle->idle_prev = conn;
    pool->idle = conn;
    conn->due_ns = conn->idle_ns + (uint64_t)pool->idle_timeout_ms * NS_PER_MS;
    handler_pool_watch(pool, conn);
}

void handler_pool_bury(struct handler_pool *pool, struct handler_conn *conn)
{
    if (conn->state == HTTP_CONN_IDLE)
        unlink_idle(pool, conn);
    if (conn->next)
        conn->next->prev = conn->prev;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        pool->conns = conn->next;
    conn->state = HTTP_CONN_DEAD;
    conn->prev = NULL;
    conn->next = pool->dead;
    pool->dead = conn;
    loop_defer(pool->loop, &pool->task);
}

void handler_pool_open(struct handler_pool *pool, struct handler_call *call)
{
    struct handler_conn *conn = http_conn_new(pool);

    conn->next = pool->conns;
    if (conn->next)
        conn->next->prev = conn;
    pool->conns = conn;
    http_connect_start(conn, call);
}

void handler_pool_send(struct handler_pool *pool, struct handler_call *call)
{
    struct handler_conn *conn = pool->idle;

    if (!conn) {
        handler_pool_open(pool, call);
        return;
    }
    unlink_idle(pool, conn);
    http_conn_send(conn, call);
}
