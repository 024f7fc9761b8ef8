/*
 * The connection to Redis.
 *
 *   waiting --timer--> resolving --address--> connecting --transport up--> connected
 *      ^                   |                      |                           |
 *      +------- lost ------+-------- lost --------+----------- lost ----------+
 *
 * Invariants: calls are answered in the order sent, so one timer on the oldest is enough; when the
 * connection goes, `lost` is told once, and the calls that were open are forgotten here (their
 * owner sends them again). hiredis' own command timeout is not used: it would be armed per
 * connection and not per call. hiredis never sees a name: its look-up would block the loop.
 */
#include "ledger/conn.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <netdb.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/resolver.h"
#include "ledger/attach.h"
#include "ledger/blocks.h"
#include "ledger/tls.h"

/* Of an answer: hiredis allocates by the length that it is told. CLUSTER SLOTS may have 16384. */
#define ELEMENTS_MAX 65536
#define PAUSE_MIN_MS 20
#define PAUSE_MAX_MS 1000

struct call {
    struct conn *conn; /* NULL: forgotten, the connection was dropped */
    void (*reply)(void *arg, const struct redisReply *reply);
    void *arg;
    uint64_t sent_ns;
    STAILQ_ENTRY(call) in_conn;
};

enum conn_state { CONN_WAITING, CONN_RESOLVING, CONN_CONNECTING, CONN_CONNECTED };

struct conn {
    struct loop *loop;
    const struct redis_config *config;
    struct conn_events events;
    struct tls *tls; /* NULL: plain */
    struct tls_link link;
    char *unix_path, *host; /* where it is aimed; both NULL: nowhere yet */
    uint16_t port;
    char address[300];         /* the same for people */
    struct resolver *resolver; /* of host */
    size_t address_at;         /* which of its addresses is next */
    enum conn_state state;
    redisAsyncContext *ac;     /* NULL while waiting */
    STAILQ_HEAD(, call) calls; /* in the order sent */
    struct loop_timer timer;   /* waiting: the pause; resolving, connecting: the deadline */
    struct loop_timer overdue; /* connected: the oldest call's deadline */
    int64_t pause_ms;
};

static uint64_t call_timeout_ns(const struct conn *conn)
{
    /* A call may stand behind others that wait for replicas. */
    int64_t ms = conn->config->timeout_ms;
    if (conn->config->wait_replicas)
        ms += 8 * conn->config->wait_timeout_ms;
    return (uint64_t)ms * NS_PER_MS;
}

/* Forgets the open calls; hiredis hands each of them to on_reply once more, with no answer, and
 * there they are freed. */
static void forget_calls(struct conn *conn)
{
    struct call *call;
    STAILQ_FOREACH(call, &conn->calls, in_conn)
    {
        call->conn = NULL;
    }
    STAILQ_INIT(&conn->calls);
    loop_timer_cancel(&conn->overdue);
}

static int64_t next_pause_ms(struct conn *conn)
{
    unsigned char random = 128;
    (void)RAND_bytes(&random, 1);
    int64_t pause = conn->pause_ms / 2 + conn->pause_ms * random / 512;
    conn->pause_ms = conn->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : conn->pause_ms * 2;
    return pause;
}

static void wait_and_tell(struct conn *conn, const char *why)
{
    conn->state = CONN_WAITING;
    loop_timer_set_ms(&conn->timer, next_pause_ms(conn));
    conn->events.lost(conn->events.ctx, why);
}

void conn_drop(struct conn *conn, const char *why)
{
    if (conn->state == CONN_WAITING)
        return;
    redisAsyncContext *ac = conn->ac;
    char text[400];
    snprintf(text, sizeof(text), "%s", why); /* why may live in what is freed now */
    conn->ac = NULL;
    if (conn->state == CONN_CONNECTING)
        conn->address_at++;
    tls_forget(&conn->link);
    forget_calls(conn);
    if (ac) {
        ac->data = NULL;
        redisAsyncFree(ac);
    }
    wait_and_tell(conn, text);
}

/* hiredis gave it up by itself, and frees it. */
static void gone(struct conn *conn, const redisAsyncContext *ac, const char *doing)
{
    char why[400];
    const char *reason = conn->tls ? tls_why(&conn->link) : NULL;
    if (!reason)
        reason = ac->err && ac->errstr && ac->errstr[0] ? ac->errstr : "connection closed";
    snprintf(why, sizeof(why), "%s %.150s: %.200s", doing, conn->address, reason);
    tls_forget(&conn->link);
    if (conn->state == CONN_CONNECTING)
        conn->address_at++;
    conn->ac = NULL;
    forget_calls(conn);
    wait_and_tell(conn, why);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    struct conn *conn = ac->data;
    if (!conn || conn->ac != ac)
        return;
    if (status != REDIS_OK) {
        gone(conn, ac, "connecting to");
        return;
    }
    loop_timer_cancel(&conn->timer);
    conn->state = CONN_CONNECTED;
    conn->events.connected(conn->events.ctx);
}

static void on_disconnect(const redisAsyncContext *ac, int status)
{
    struct conn *conn = ac->data;
    (void)status;
    if (conn && conn->ac == ac)
        gone(conn, ac, "connection to");
}

/* The next of the host's addresses as text, which hiredis takes without a look-up. */
static bool numeric_host(struct conn *conn, char *out, size_t size, struct err *err)
{
    const struct net_addresses *known = resolver_addresses(conn->resolver);
    const struct net_address *address = &known->items[conn->address_at % known->count];
    const struct sockaddr *name = (const struct sockaddr *)(const void *)&address->name;
    int failed = getnameinfo(name, address->len, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST);
    return !failed || err_set(err, ERR_INTERNAL, "its address: %s", gai_strerror(failed));
}

static bool open_context(struct conn *conn, struct err *err)
{
    redisOptions options = {0};
    char host[NI_MAXHOST];
    if (!conn->unix_path && !numeric_host(conn, host, sizeof(host), err))
        return false;
    if (conn->unix_path)
        REDIS_OPTIONS_SET_UNIX(&options, conn->unix_path);
    else
        REDIS_OPTIONS_SET_TCP(&options, host, conn->port);
    redisAsyncContext *ac = redisAsyncConnectWithOptions(&options);
    if (!ac)
        return err_set(err, ERR_INTERNAL, "no memory for a connection");
    if (ac->err) {
        err_set_retriable(err, ERR_UNAVAILABLE, "%s", ac->errstr);
        redisAsyncFree(ac);
        return false;
    }
    conn->ac = ac;
    ac->data = conn;
    ac->c.reader->maxelements = ELEMENTS_MAX;
    if (!attach_to_loop(ac, conn->loop))
        return err_set(err, ERR_INTERNAL, "cannot watch the connection");
    const char *name = conn->config->tls.server_name ? conn->config->tls.server_name : conn->host;
    if (conn->tls && !tls_start(conn->tls, &conn->link, &ac->c, name, err))
        return false;
    redisAsyncSetConnectCallback(ac, on_connect);
    redisAsyncSetDisconnectCallback(ac, on_disconnect);
    return true;
}

static void fail_connecting(struct conn *conn, const char *reason)
{
    char why[500];
    snprintf(why, sizeof(why), "connecting to %.150s: %.200s", conn->address, reason);
    conn_drop(conn, why);
}

static void connect_now(struct conn *conn)
{
    struct err err = {0};
    conn->state = CONN_CONNECTING;
    if (!open_context(conn, &err))
        fail_connecting(conn, err.text);
}

static void on_resolved(void *arg)
{
    struct conn *conn = arg;
    if (conn->state != CONN_RESOLVING)
        return;
    if (resolver_result(conn->resolver) == RESOLVER_READY)
        connect_now(conn);
    else
        fail_connecting(conn, resolver_problem(conn->resolver));
}

static void begin(struct conn *conn)
{
    conn->state = CONN_RESOLVING;
    loop_timer_set_ms(&conn->timer, conn->config->timeout_ms);
    if (conn->unix_path) {
        connect_now(conn);
        return;
    }
    resolver_forget(conn->resolver);
    switch (resolver_look(conn->resolver, clock_mono_ns())) {
    case RESOLVER_READY:
        connect_now(conn);
        return;
    case RESOLVER_FAILED:
        fail_connecting(conn, resolver_problem(conn->resolver));
        return;
    case RESOLVER_PENDING:
        return;
    }
}

static void on_timer(void *arg)
{
    struct conn *conn = arg;
    if (conn->state == CONN_WAITING) {
        begin(conn);
        return;
    }
    char why[100];
    snprintf(why, sizeof(why), "no %s within %lld ms",
             conn->state == CONN_RESOLVING ? "answer of a name server" : "connection",
             (long long)conn->config->timeout_ms);
    fail_connecting(conn, why);
}

static void on_overdue(void *arg)
{
    struct conn *conn = arg;
    const struct call *oldest = STAILQ_FIRST(&conn->calls);
    if (!oldest)
        return;
    uint64_t due = oldest->sent_ns + call_timeout_ns(conn);
    if (clock_mono_ns() < due) {
        loop_timer_set_at(&conn->overdue, due);
        return;
    }
    char why[400];
    snprintf(why, sizeof(why), "%s: no answer within %lld ms", conn->address,
             (long long)(call_timeout_ns(conn) / NS_PER_MS));
    conn_drop(conn, why);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *privdata)
{
    struct call *call = privdata;
    struct conn *conn = call->conn;
    (void)ac;
    if (conn) {
        STAILQ_REMOVE_HEAD(&conn->calls, in_conn);
        if (reply)
            call->reply(call->arg, reply);
    }
    mem_free(call);
}

bool conn_send(struct conn *conn, const void *command, size_t len,
               void (*reply)(void *arg, const struct redisReply *reply), void *arg)
{
    if (conn->state != CONN_CONNECTED)
        return false;
    struct call *call = mem_zalloc(sizeof(*call));
    call->conn = conn;
    call->reply = reply;
    call->arg = arg;
    call->sent_ns = clock_mono_ns();
    if (redisAsyncFormattedCommand(conn->ac, on_reply, call, command, len) != REDIS_OK) {
        mem_free(call);
        return false;
    }
    STAILQ_INSERT_TAIL(&conn->calls, call, in_conn);
    /* The timer is not moved with every answer: when it fires it looks at the oldest call that
     * there is then. */
    if (!loop_timer_armed(&conn->overdue))
        loop_timer_set_at(&conn->overdue, call->sent_ns + call_timeout_ns(conn));
    return true;
}

void conn_is_healthy(struct conn *conn)
{
    conn->pause_ms = PAUSE_MIN_MS;
}

const char *conn_address(const struct conn *conn)
{
    return conn->address;
}

/* hiredis writes without MSG_NOSIGNAL: a server that goes away must not end the process. */
static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

struct conn *conn_new(struct loop *loop, const struct redis_config *config, struct tls *tls,
                      const struct conn_events *events)
{
    struct conn *conn = mem_zalloc(sizeof(*conn));
    ignore_sigpipe();
    blocks_install();
    conn->loop = loop;
    conn->config = config;
    conn->events = *events;
    conn->tls = tls;
    STAILQ_INIT(&conn->calls);
    conn->pause_ms = PAUSE_MIN_MS;
    snprintf(conn->address, sizeof(conn->address), "an unknown address");
    loop_timer_init(&conn->timer, loop, on_timer, conn);
    loop_timer_init(&conn->overdue, loop, on_overdue, conn);
    return conn;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

void conn_aim(struct conn *conn, const char *unix_path, const char *host, uint16_t port,
              const char *why)
{
    struct err err = {0};
    if (same_text(conn->unix_path, unix_path) && same_text(conn->host, host) && conn->port == port)
        return;
    conn_drop(conn, why);
    resolver_free(&conn->resolver);
    mem_free(conn->unix_path);
    mem_free(conn->host);
    conn->unix_path = unix_path ? mem_strdup(unix_path) : NULL;
    conn->host = host ? mem_strdup(host) : NULL;
    conn->port = port;
    conn->address_at = 0;
    if (unix_path)
        snprintf(conn->address, sizeof(conn->address), "%s", unix_path);
    else
        snprintf(conn->address, sizeof(conn->address), "%s:%u", host, (unsigned)port);
    /* Only the path of a socket can be refused. */
    if (host)
        conn->resolver = resolver_new(conn->loop, host, port, NULL, on_resolved, conn, &err);
    conn->pause_ms = PAUSE_MIN_MS;
    loop_timer_set_ms(&conn->timer, 0);
}

void conn_free(struct conn **conn_ptr)
{
    struct conn *conn = *conn_ptr;
    if (!conn)
        return;
    *conn_ptr = NULL;
    forget_calls(conn);
    if (conn->ac) {
        conn->ac->data = NULL;
        redisAsyncFree(conn->ac);
    }
    loop_timer_deinit(&conn->timer);
    loop_timer_deinit(&conn->overdue);
    resolver_free(&conn->resolver);
    mem_free(conn->unix_path);
    mem_free(conn->host);
    mem_free(conn);
}
