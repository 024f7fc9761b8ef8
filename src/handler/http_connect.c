/*
 * From a call without a connection to one that may be written: the look-up, one address after the
 * other, each with its share of the time, and the TLS handshake. What the answer is about is in
 * http_conn.c.
 *
 * Invariants: the connection has its call all along and is RESOLVING, CONNECTING or HANDSHAKE; it
 * leaves through http_conn_begin_request() or http_conn_fail(), once. Must not: write or read a
 * byte of HTTP.
 */
#include "handler/http_connect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

/* The want of descriptors is said so often at most. */
#define SAY_AGAIN_NS (10000 * NS_PER_MS)
/* A unix socket whose backlog is full says so at once instead of making us wait. */
#define CONNECT_AGAIN_NS (5 * NS_PER_MS)

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void fail_connect(struct handler_conn *conn, const char *why)
{
    const struct net_addresses *known = resolver_addresses(conn->pool->resolver);
    char address[NET_ADDRESS_TEXT_MAX] = "the handler";
    char text[256];

    if (conn->address_at < known->count)
        net_address_text(&known->items[conn->address_at], address);
    snprintf(text, sizeof(text), "connect to %s: %s", address, why);
    http_conn_fail(conn, HANDLER_CONNECT, text);
}

void http_connect_handshake(struct handler_conn *conn)
{
    struct err err = {0};

    conn->due_ns = conn->connect_due_ns;
    handler_pool_watch(conn->pool, conn);
    switch (http_tls_handshake(conn->tls, &err)) {
    case HTTP_TLS_DONE:
        http_conn_begin_request(conn);
        return;
    case HTTP_TLS_WANT_READ:
        return;
    case HTTP_TLS_WANT_WRITE:
        http_conn_await_writable(conn);
        return;
    case HTTP_TLS_CLOSED:
    case HTTP_TLS_FAILED:
        http_conn_fail(conn, HANDLER_TLS, err.text);
        return;
    }
}

static void on_connected(struct handler_conn *conn)
{
    struct err err = {0};

    conn->pool->address_hint = conn->address_at;
    event_add(&conn->read_event, NULL);
    if (!conn->pool->tls) {
        http_conn_begin_request(conn);
        return;
    }
    conn->tls = http_tls_session_new(conn->pool->tls, conn->fd, &err);
    if (!conn->tls) {
        http_conn_fail(conn, HANDLER_TLS, err.text);
        return;
    }
    conn->state = HTTP_CONN_HANDSHAKE;
    http_connect_handshake(conn);
}

/* Each call fails as if the handler were away; that it is this process must be said. Keeps errno.
 */
static void say_what_is_wanting(struct handler_pool *pool, uint64_t now_ns)
{
    int error = errno;

    if ((error != EMFILE && error != ENFILE) ||
        (pool->want_said_ns != 0 && now_ns - pool->want_said_ns < SAY_AGAIN_NS))
        return;
    pool->want_said_ns = now_ns;
    log_error("no_descriptors", LOG_STR("error", strerror(error)),
              LOG_STR("hint", "no connection to the handler can be opened: raise the limit of open "
                              "files (ulimit -n, LimitNOFILE)"),
              LOG_END);
    errno = error;
}

/* Begins to connect to the address at hand. False with errno set: it failed at once. */
static bool connect_address(struct handler_conn *conn, uint64_t now_ns)
{
    const struct net_addresses *known = resolver_addresses(conn->pool->resolver);
    const struct net_address *address = &known->items[conn->address_at];

    conn->state = HTTP_CONN_CONNECTING;
    if (!http_conn_open_socket(conn, address->name.ss_family)) {
        say_what_is_wanting(conn->pool, now_ns);
        return false;
    }
    /* An address that swallows packets must leave time for the others. */
    conn->due_ns = now_ns + (conn->connect_due_ns - now_ns) / conn->addresses_left;
    handler_pool_watch(conn->pool, conn);
    if (connect(conn->fd, (const struct sockaddr *)(const void *)&address->name, address->len) ==
        0) {
        on_connected(conn);
        return true;
    }
    if (errno == EAGAIN && address->name.ss_family == AF_UNIX) {
        http_conn_close_socket(conn);
        conn->connect_again = true;
        conn->due_ns = earlier(now_ns + CONNECT_AGAIN_NS, conn->connect_due_ns);
        handler_pool_watch(conn->pool, conn);
        return true;
    }
    if (errno != EINPROGRESS && errno != EINTR)
        return false;
    http_conn_await_writable(conn);
    return true;
}

/* Goes on to the next address after a failure for the reason given; NULL: begins. */
static void next_address(struct handler_conn *conn, const char *why)
{
    const struct net_addresses *known = resolver_addresses(conn->pool->resolver);

    if (why) {
        http_conn_close_socket(conn);
        conn->addresses_left--;
        conn->address_at++;
    }
    conn->connect_again = false;
    while (conn->addresses_left > 0) {
        uint64_t now_ns = clock_mono_ns();
        if (now_ns >= conn->connect_due_ns || known->count == 0)
            break;
        conn->address_at %= known->count;
        if (connect_address(conn, now_ns))
            return;
        why = strerror(errno);
        http_conn_close_socket(conn);
        conn->addresses_left--;
        conn->address_at++;
    }
    /* Name the address that the reason belongs to. */
    conn->address_at = known->count ? (conn->address_at + known->count - 1) % known->count : 0;
    fail_connect(conn, why ? why : "timed out");
}

static void try_addresses(struct handler_conn *conn)
{
    const struct net_addresses *known = resolver_addresses(conn->pool->resolver);

    conn->address_at = conn->pool->address_hint % known->count;
    conn->addresses_left = known->count;
    next_address(conn, NULL);
}

void http_connect_start(struct handler_conn *conn, struct handler_call *call)
{
    struct handler_pool *pool = conn->pool;
    uint64_t now_ns = clock_mono_ns();

    conn->call = call;
    call->conn = conn;
    conn->state = HTTP_CONN_RESOLVING;
    conn->connect_due_ns = earlier(call->deadline_ns,
                                   now_ns + (uint64_t)pool->connect_timeout_ms * NS_PER_MS);
    conn->due_ns = conn->connect_due_ns;
    switch (resolver_look(pool->resolver, now_ns)) {
    case RESOLVER_READY:
        try_addresses(conn);
        return;
    case RESOLVER_PENDING:
        handler_pool_watch(pool, conn);
        return;
    case RESOLVER_FAILED:
        http_conn_fail(conn, HANDLER_DNS, resolver_problem(pool->resolver));
        return;
    }
}

void http_connect_on_resolved(struct handler_conn *conn)
{
    if (conn->state != HTTP_CONN_RESOLVING)
        return;
    if (resolver_result(conn->pool->resolver) == RESOLVER_READY)
        try_addresses(conn);
    else
        http_conn_fail(conn, HANDLER_DNS, resolver_problem(conn->pool->resolver));
}

void http_connect_on_socket(struct handler_conn *conn, int error)
{
    if (error)
        next_address(conn, strerror(error));
    else
        on_connected(conn);
}

void http_connect_on_due(struct handler_conn *conn, uint64_t now_ns)
{
    if (conn->state == HTTP_CONN_RESOLVING)
        http_conn_fail(conn, HANDLER_DNS, "the name look-up took too long");
    else if (conn->state == HTTP_CONN_HANDSHAKE)
        http_conn_fail(conn, HANDLER_TLS, "handshake: timed out");
    else if (conn->connect_again && now_ns < conn->connect_due_ns)
        next_address(conn, NULL);
    else if (now_ns < conn->connect_due_ns && conn->addresses_left > 1)
        next_address(conn, "timed out");
    else
        fail_connect(conn, "timed out");
}
