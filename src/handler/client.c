/*
 * The pool of connections to one handler, and the clock over them.
 *
 * A call is sent at once on the connection that was used last (so that the others grow idle and are
 * closed), or on a new one. Completions are collected and told together by one task per turn of the
 * loop, never inside a call of this file. Connections that died are freed by the same task, after
 * every event that could still name them has been dispatched.
 *
 * Time: there is no timer per request. Each connection knows when its state ends (due_ns), and one
 * timer per client fires at the earliest of them as it was when last looked; it then goes over all
 * connections. With equal timeouts that is one pass per timeout, not one per request. It is never
 * early, and late by at most SWEEP_MIN_NS and the loop's own latency.
 */
#include "handler/client.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "handler/http_conn.h"
#include "handler/http_connect.h"

#define SWEEP_MIN_NS (5 * NS_PER_MS)
/* What a batch's answer may take for each record, beyond max_response: an id of at most 255 bytes,
 * and a few words. */
#define RESULT_BYTES 1024

static void run_task(void *arg)
{
    struct handler_client *client = arg;
    struct handler_call *call = client->done_first;

    while (client->dead) {
        struct handler_conn *conn = client->dead;
        client->dead = conn->next;
        http_conn_free(conn);
    }
    client->done_first = client->done_last = NULL;
    /* The last call's owner may free the client: it is not touched from here on. */
    while (call) {
        struct handler_call *next = call->next;
        call->next = NULL;
        call->done(call);
        call = next;
    }
}

static void sweep(void *arg)
{
    struct handler_client *client = arg;
    uint64_t now_ns = clock_mono_ns();
    struct handler_conn *next;

    client->sweep_at_ns = UINT64_MAX;
    for (struct handler_conn *conn = client->conns; conn; conn = next) {
        next = conn->next;
        if (conn->due_ns <= now_ns)
            http_conn_on_due(conn, now_ns);
    }
    uint64_t at_ns = UINT64_MAX;
    for (const struct handler_conn *conn = client->conns; conn; conn = conn->next) {
        if (conn->due_ns < at_ns)
            at_ns = conn->due_ns;
    }
    if (at_ns == UINT64_MAX) {
        loop_timer_cancel(&client->sweep);
        return;
    }
    if (at_ns < now_ns + SWEEP_MIN_NS)
        at_ns = now_ns + SWEEP_MIN_NS;
    client->sweep_at_ns = at_ns;
    loop_timer_set_at(&client->sweep, at_ns);
}

void handler_client_watch(struct handler_client *client, const struct handler_conn *conn)
{
    if (conn->due_ns >= client->sweep_at_ns)
        return;
    client->sweep_at_ns = conn->due_ns;
    loop_timer_set_at(&client->sweep, conn->due_ns);
}

static void on_resolved(void *arg)
{
    struct handler_client *client = arg;
    struct handler_conn *next;

    for (struct handler_conn *conn = client->conns; conn; conn = next) {
        next = conn->next;
        http_connect_on_resolved(conn);
    }
}

static void build_prefix(struct handler_client *client)
{
    buf_printf(&client->prefix, "POST %s HTTP/1.1\r\nHost: %s\r\n", client->url.target,
               client->url.host_header);
}

struct handler_client *handler_client_new(struct loop *loop, const struct handler_config *config,
                                          uint32_t max_in_flight, struct err *err)
{
    struct handler_client *client = mem_zalloc(sizeof(*client));

    client->loop = loop;
    client->base = loop_base(loop);
    client->connect_timeout_ms = config->connect_timeout_ms;
    client->idle_timeout_ms = config->idle_timeout_ms;
    client->max_response_bytes = config->max_response_bytes;
    client->keeps_bodies = config->batch_max_records > 1;
    if (client->keeps_bodies)
        client->max_response_bytes += (uint64_t)config->batch_max_records * RESULT_BYTES;
    client->max_conns = max_in_flight;
    client->sweep_at_ns = UINT64_MAX;
    loop_task_init(&client->task, run_task, client);
    loop_timer_init(&client->sweep, loop, sweep, client);
    if (!http_url_parse(&client->url, config->url ? config->url : "http://localhost/", err))
        goto failed;
    if (client->url.tls) {
        client->tls = http_tls_new(&config->tls, client->url.host, err);
        if (!client->tls)
            goto failed;
    }
    client->resolver = resolver_new(loop, client->url.host, client->url.port, config->socket,
                                    on_resolved, client, err);
    if (!client->resolver)
        goto failed;
    build_prefix(client);
    client->scratch = mem_alloc(HTTP_SCRATCH_BYTES);
    return client;
failed:
    handler_client_free(&client);
    return NULL;
}

void handler_client_free(struct handler_client **owned)
{
    struct handler_client *client = *owned;

    if (!client)
        return;
    while (client->conns) {
        assert(!client->conns->call);
        http_conn_close(client->conns);
    }
    assert(!client->done_first);
    run_task(client); /* frees the dead */
    loop_task_cancel(client->loop, &client->task);
    loop_timer_deinit(&client->sweep);
    resolver_free(&client->resolver);
    http_tls_free(&client->tls);
    http_url_deinit(&client->url);
    buf_deinit(&client->prefix);
    mem_free(client->scratch);
    mem_free(client);
    *owned = NULL;
}

void handler_client_complete(struct handler_client *client, struct handler_call *call,
                             uint64_t now_ns)
{
    call->ended_ns = now_ns;
    call->next = NULL;
    if (client->done_last)
        client->done_last->next = call;
    else
        client->done_first = call;
    client->done_last = call;
    loop_defer(client->loop, &client->task);
}

static void unlink_idle(struct handler_client *client, struct handler_conn *conn)
{
    if (conn->idle_next)
        conn->idle_next->idle_prev = conn->idle_prev;
    if (conn->idle_prev)
        conn->idle_prev->idle_next = conn->idle_next;
    else
        client->idle = conn->idle_next;
    conn->idle_next = conn->idle_prev = NULL;
}

void handler_client_put_idle(struct handler_client *client, struct handler_conn *conn)
{
    conn->idle_prev = NULL;
    conn->idle_next = client->idle;
    if (client->idle)
        client->idle->idle_prev = conn;
    client->idle = conn;
    conn->due_ns = conn->idle_ns + (uint64_t)client->idle_timeout_ms * NS_PER_MS;
    handler_client_watch(client, conn);
}

void handler_client_bury(struct handler_client *client, struct handler_conn *conn)
{
    if (conn->state == HTTP_CONN_IDLE)
        unlink_idle(client, conn);
    if (conn->next)
        conn->next->prev = conn->prev;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        client->conns = conn->next;
    conn->state = HTTP_CONN_DEAD;
    conn->prev = NULL;
    conn->next = client->dead;
    client->dead = conn;
    client->conn_count--;
    loop_defer(client->loop, &client->task);
}

void handler_client_open(struct handler_client *client, struct handler_call *call)
{
    struct handler_conn *conn = http_conn_new(client);

    assert(client->conn_count < client->max_conns);
    client->conn_count++;
    conn->next = client->conns;
    if (conn->next)
        conn->next->prev = conn;
    client->conns = conn;
    http_connect_start(conn, call);
}

static void begin_answer(struct handler_call *call)
{
    call->answer.error = HANDLER_OK;
    call->answer.status = 0;
    call->answer.request_sent = false;
    call->answer.cancelled = false;
    call->answer.has_outcome = false;
    call->answer.retry_after_ms = -1;
    call->answer.code[0] = '\0';
    call->answer.detail[0] = '\0';
}

void handler_client_send(struct handler_client *client, struct handler_call *call, uint64_t now_ns)
{
    struct handler_conn *conn = client->idle;

    begin_answer(call);
    call->conn = NULL;
    call->next = call->prev = NULL;
    call->retried_reset = false;
    call->results_cut = false;
    call->sent_ns = now_ns;
    if (now_ns >= call->deadline_ns) {
        call->answer.error = HANDLER_TIMEOUT;
        str_copy(call->answer.detail, sizeof(call->answer.detail),
                 SLICE_LIT("the deadline had passed before the request was sent"));
        handler_client_complete(client, call, now_ns);
        return;
    }
    if (!conn) {
        handler_client_open(client, call);
        return;
    }
    unlink_idle(client, conn);
    http_conn_send(conn, call);
}

void handler_client_cancel(struct handler_client *client, struct handler_call *call)
{
    (void)client;
    /* Without a connection its answer is known already and is about to be told. */
    if (call->conn)
        http_conn_cancel(call->conn);
}
