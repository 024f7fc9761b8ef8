/*
 * The state machine of one connection, from the moment that it can be written (http_connect.c
 * brings it there). One request at a time (request line, head, length, body), written from where
 * its bytes stand unless it is small, and answered in place from the pool's one read buffer.
 *
 * Invariants: a connection has a call in every state but IDLE and DEAD; its read event is pending
 * from connected to closed, so an exchange costs no epoll_ctl; a call that ends does so through
 * finish() or http_conn_fail(), once; a connection that is not exactly between two answers is never
 * reused. A request that is given up cannot arrive later: its socket goes by RST, by which the
 * kernel drops what it still holds; that is so from the socket's beginning, so that it holds for a
 * process that is killed too, and only what ends in order is closed in order. Must not: call the
 * owner of a call (the pool's task does), or free a connection (same).
 */
#include "handler/http_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "handler/http_connect.h"
#include "handler/tcp_acked.h"

/* Servers keep an idle connection for seconds before they give it up. */
#define GIVEN_UP_NS NS_PER_S
/* Reads and writes of one wake-up, so that one connection does not hold up the others. */
#define ROUNDS_MAX 8
/* A request up to this is put together and goes by send(): the kernel takes longer over a message
 * of several pieces than a copy takes. */
#define SEND_WHOLE_MAX 4096

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

struct handler_conn *http_conn_new(struct handler_pool *pool)
{
    struct handler_conn *conn = mem_zalloc(sizeof(*conn));

    conn->pool = pool;
    conn->fd = -1;
    conn->due_ns = UINT64_MAX;
    http_answer_init(&conn->answer);
    return conn;
}

void http_conn_free(struct handler_conn *conn)
{
    http_answer_deinit(&conn->answer);
    mem_free(conn);
}

/* What close() does with bytes that the peer has not acknowledged: drops them, and resets; or goes
 * on to send them for minutes, whoever still wants them. A unix socket holds nothing back. */
static void set_reset_on_close(const struct handler_conn *conn, bool reset)
{
    struct linger linger = {.l_onoff = reset, .l_linger = 0};

    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

bool http_conn_open_socket(struct handler_conn *conn, int family)
{
    int on = 1;

    conn->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return false;
    if (family != AF_UNIX) {
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        set_reset_on_close(conn, true);
    }
    event_assign(&conn->read_event, conn->pool->base, conn->fd, EV_READ | EV_PERSIST, on_readable,
                 conn);
    event_assign(&conn->write_event, conn->pool->base, conn->fd, EV_WRITE, on_writable, conn);
    return true;
}

void http_conn_close_socket(struct handler_conn *conn)
{
    if (conn->fd < 0)
        return;
    event_del(&conn->read_event);
    event_del(&conn->write_event);
    http_tls_session_free(&conn->tls);
    close(conn->fd);
    conn->fd = -1;
}

static void bury(struct handler_conn *conn)
{
    http_conn_close_socket(conn);
    handler_pool_bury(conn->pool, conn);
}

void http_conn_close(struct handler_conn *conn)
{
    if (conn->state == HTTP_CONN_DEAD)
        return;
    if (conn->fd >= 0)
        set_reset_on_close(conn, false);
    bury(conn);
}

/* Ends a connection whose request is not wanted any more. One that has begun none ends in order: an
 * alert of TLS shall arrive. */
static void give_up(struct handler_conn *conn)
{
    if (conn->state == HTTP_CONN_SENDING || conn->state == HTTP_CONN_WAITING)
        bury(conn);
    else
        http_conn_close(conn);
}

static struct handler_call *take_call(struct handler_conn *conn)
{
    struct handler_call *call = conn->call;

    conn->call = NULL;
    call->conn = NULL;
    return call;
}

/* Ends the connection and its call. The head of a broken answer still gives the status. */
void http_conn_fail(struct handler_conn *conn, enum handler_error error, const char *text)
{
    struct handler_call *call = take_call(conn);
    struct handler_answer *answer = &call->answer;

    answer->error = error;
    answer->status = http_answer_status(&conn->answer);
    answer->request_sent = answer->request_sent || conn->sent > 0;
    answer->has_outcome = false;
    answer->retry_after_ms = -1;
    answer->code[0] = '\0';
    snprintf(answer->detail, sizeof(answer->detail), "%s", text);
    give_up(conn);
    handler_pool_complete(conn->pool, call, clock_mono_ns());
}

/* Bytes that left on the connection, ever. */
static uint64_t bytes_written(const struct handler_conn *conn)
{
    return conn->tls ? http_tls_written(conn->tls) : conn->left_before + conn->sent;
}

/*
 * May the handler have seen the request? Not where no byte of it left, or where its kernel has
 * acknowledged none (what went before was answered, so it was; the opening counts as one byte). A
 * close acknowledges what was read before it. A reset does not: it counts as one of an idle
 * connection only where this one had been idle, since nobody gives up one that is in use.
 */
static bool may_be_seen(const struct handler_conn *conn, bool orderly)
{
    uint64_t acked;
    if (bytes_written(conn) == conn->left_before)
        return false;
    if (!orderly && conn->idled_ns < GIVEN_UP_NS)
        return true;
    return !tcp_acked(conn->fd, &acked) || acked > conn->left_before + 1;
}

/*
 * The peer closed or reset. Where it has not seen the request, it gave up an idle connection as we
 * wrote: once more on a new one. Else the request may have been at work, and may still be.
 */
static void fail_reset(struct handler_conn *conn, bool orderly, const char *text)
{
    struct handler_call *call = conn->call;

    if (!conn->reused || conn->answer.started || call->retried_reset ||
        may_be_seen(conn, orderly) || clock_mono_ns() >= call->deadline_ns) {
        http_conn_fail(conn, HANDLER_RESET, text);
        return;
    }
    take_call(conn);
    call->retried_reset = true;
    give_up(conn);
    handler_pool_open(conn->pool, call);
}

/* The body changes its owner without a copy. */
static void give_results(struct handler_conn *conn, struct handler_call *call)
{
    struct buf body = conn->answer.body;

    conn->answer.body = *call->results;
    *call->results = body;
    buf_reset(&conn->answer.body);
    call->results_cut = conn->answer.cut;
}

static void finish(struct handler_conn *conn)
{
    struct handler_call *call = take_call(conn);
    uint64_t now_ns = clock_mono_ns();
    /* A clock is not for nothing: some twenty nanoseconds. */
    bool may_say_when = conn->answer.values[HTTP_HEADER_RETRY_AFTER].seen > 0;

    call->answer.request_sent = true;
    http_answer_read(&conn->answer, may_say_when ? clock_wall_ms() : 0, &call->answer);
    if (call->results && call->answer.status / 100 == 2)
        give_results(conn, call);
    if (conn->answer.keep_alive && conn->state == HTTP_CONN_WAITING) {
        conn->reused = true;
        conn->idle_ns = now_ns;
        conn->state = HTTP_CONN_IDLE;
        handler_pool_put_idle(conn->pool, conn);
    } else {
        http_conn_close(conn);
    }
    handler_pool_complete(conn->pool, call, now_ns);
}

/* ---- the answer ---- */

enum io { IO_DONE, IO_AGAIN, IO_CLOSED, IO_FAILED };

void http_conn_await_writable(struct handler_conn *conn)
{
    event_add(&conn->write_event, NULL);
}

static enum io again_when_writable(struct handler_conn *conn)
{
    http_conn_await_writable(conn);
    return IO_AGAIN;
}

static enum io io_of(struct handler_conn *conn, enum http_tls_result result)
{
    switch (result) {
    case HTTP_TLS_DONE:
        return IO_DONE;
    case HTTP_TLS_WANT_READ:
        return IO_AGAIN;
    case HTTP_TLS_WANT_WRITE:
        return again_when_writable(conn);
    case HTTP_TLS_CLOSED:
        return IO_CLOSED;
    case HTTP_TLS_FAILED:
        break;
    }
    return IO_FAILED;
}

static enum io read_some(struct handler_conn *conn, size_t *len)
{
    char *into = conn->pool->scratch;

    if (conn->tls)
        return io_of(conn, http_tls_read(conn->tls, into, HTTP_SCRATCH_BYTES, len));
    ssize_t n;
    do {
        n = recv(conn->fd, into, HTTP_SCRATCH_BYTES, 0);
    } while (n < 0 && errno == EINTR);
    *len = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return IO_DONE;
    if (n == 0)
        return IO_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? IO_AGAIN : IO_FAILED;
}

static void on_peer_closed(struct handler_conn *conn)
{
    if (http_answer_eof(&conn->answer) == HTTP_ANSWER_WHOLE)
        finish(conn);
    else if (conn->answer.started)
        fail_reset(conn, true, "the handler closed the connection in the middle of its answer");
    else
        fail_reset(conn, true, "the handler closed the connection without an answer");
}

/* Reads what came; returns with the call ended, or waiting for more. */
static void read_answer(struct handler_conn *conn)
{
    for (int round = 0; round < ROUNDS_MAX || conn->tls; round++) {
        size_t len;
        switch (read_some(conn, &len)) {
        case IO_AGAIN:
            return;
        case IO_CLOSED:
            on_peer_closed(conn);
            return;
        case IO_FAILED:
            fail_reset(conn, false, "the handler reset the connection");
            return;
        case IO_DONE:
            break;
        }
        switch (http_answer_feed(&conn->answer, conn->pool->scratch, len)) {
        case HTTP_ANSWER_WHOLE:
            finish(conn);
            return;
        case HTTP_ANSWER_BROKEN:
            http_conn_fail(conn, HANDLER_PROTOCOL, conn->answer.problem);
            return;
        case HTTP_ANSWER_MORE:
            break;
        }
        if (!conn->tls && len < HTTP_SCRATCH_BYTES)
            return; /* the socket is empty; asking it again would only say so */
    }
}

/* An idle connection became readable: the server closes it, or says what nobody asked for. TLS may
 * hand over session tickets, which is nothing. */
static void read_idle(struct handler_conn *conn)
{
    size_t len;

    if (read_some(conn, &len) != IO_AGAIN)
        http_conn_close(conn);
}

/* ---- the request ---- */

static int parts_of(const struct handler_conn *conn, struct iovec parts[4])
{
    const struct handler_call *call = conn->call;
    const struct slice all[4] = {
        buf_slice(&call->client->prefix),
        call->head,
        {conn->length_line, conn->length_line_len},
        call->body,
    };
    size_t skip = conn->sent;
    int count = 0;

    for (int i = 0; i < 4; i++) {
        if (skip >= all[i].len) {
            skip -= all[i].len;
            continue;
        }
        parts[count].iov_base = (char *)(uintptr_t)all[i].data + skip;
        parts[count++].iov_len = all[i].len - skip;
        skip = 0;
    }
    return count;
}

/* What is left of a request, put together: TLS makes a record of each write. */
static size_t gather(struct handler_conn *conn, const struct iovec *parts, int count)
{
    size_t len = 0;

    for (int i = 0; i < count && len < HTTP_SCRATCH_BYTES; i++) {
        size_t room = HTTP_SCRATCH_BYTES - len;
        size_t take = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(conn->pool->scratch + len, parts[i].iov_base, take);
        len += take;
    }
    return len;
}

static ssize_t send_parts(struct handler_conn *conn, struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    size_t left = conn->request_len - conn->sent;
    ssize_t n;

    if (left <= SEND_WHOLE_MAX)
        gather(conn, parts, count);
    do {
        n = left <= SEND_WHOLE_MAX ? send(conn->fd, conn->pool->scratch, left, MSG_NOSIGNAL)
                                   : sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n;
}

static enum io write_some(struct handler_conn *conn)
{
    struct iovec parts[4];
    int count = parts_of(conn, parts);
    size_t done = 0;

    if (conn->tls) {
        size_t len = gather(conn, parts, count);
        enum io io = io_of(conn, http_tls_write(conn->tls, conn->pool->scratch, len, &done));
        conn->sent += done;
        return io;
    }
    ssize_t n = send_parts(conn, parts, count);
    if (n >= 0) {
        conn->sent += (size_t)n;
        return IO_DONE;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return again_when_writable(conn);
    return IO_FAILED;
}

/* The peer takes no more. It may have answered before it closed (413 and the like): that counts. */
static void on_write_failed(struct handler_conn *conn)
{
    read_answer(conn);
    if (conn->call && conn->state == HTTP_CONN_SENDING)
        fail_reset(conn, false, "the handler closed the connection while the request was sent");
}

static void write_request(struct handler_conn *conn)
{
    for (int round = 0; conn->sent < conn->request_len; round++) {
        if (round == ROUNDS_MAX) {
            http_conn_await_writable(conn);
            return;
        }
        switch (write_some(conn)) {
        case IO_DONE:
            break;
        case IO_AGAIN:
            return;
        case IO_CLOSED:
        case IO_FAILED:
            on_write_failed(conn);
            return;
        }
    }
    conn->state = HTTP_CONN_WAITING;
    CRASH_POINT("request-sent");
}

static void set_length_line(struct handler_conn *conn, size_t len)
{
    static const char name[] = "Content-Length: ";
    static const char end[] = "\r\n\r\n";
    char digits[20];
    size_t at = sizeof(digits);
    char *out = conn->length_line;

    do {
        digits[--at] = (char)('0' + len % 10);
        len /= 10;
    } while (len);
    memcpy(out, name, sizeof(name) - 1);
    out += sizeof(name) - 1;
    memcpy(out, digits + at, sizeof(digits) - at);
    out += sizeof(digits) - at;
    memcpy(out, end, sizeof(end) - 1);
    conn->length_line_len = (size_t)(out - conn->length_line) + sizeof(end) - 1;
}

void http_conn_begin_request(struct handler_conn *conn)
{
    const struct handler_call *call = conn->call;
    const struct handler_client *client = call->client;

    set_length_line(conn, call->body.len);
    conn->left_before = bytes_written(conn);
    conn->idled_ns = conn->reused ? call->sent_ns - conn->idle_ns : 0;
    conn->sent = 0;
    conn->request_len = client->prefix.len + call->head.len + conn->length_line_len +
                        call->body.len;
    http_answer_begin(&conn->answer, client->max_response_bytes, client->keeps_bodies);
    conn->state = HTTP_CONN_SENDING;
    conn->due_ns = call->deadline_ns;
    handler_pool_watch(conn->pool, conn);
    write_request(conn);
}

void http_conn_send(struct handler_conn *conn, struct handler_call *call)
{
    conn->call = call;
    call->conn = conn;
    http_conn_begin_request(conn);
}

/* ---- events ---- */

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct handler_conn *conn = arg;
    (void)fd;
    (void)what;

    switch (conn->state) {
    case HTTP_CONN_HANDSHAKE:
        http_connect_handshake(conn);
        return;
    case HTTP_CONN_SENDING:
        if (conn->tls) /* TLS may have had to read before it can write */
            write_request(conn);
        if (conn->call && conn->state != HTTP_CONN_DEAD)
            read_answer(conn);
        return;
    case HTTP_CONN_WAITING:
        read_answer(conn);
        return;
    case HTTP_CONN_IDLE:
        read_idle(conn);
        return;
    case HTTP_CONN_RESOLVING:
    case HTTP_CONN_CONNECTING:
    case HTTP_CONN_DEAD:
        return;
    }
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct handler_conn *conn = arg;
    int error = 0;
    socklen_t len = sizeof(error);
    (void)what;

    switch (conn->state) {
    case HTTP_CONN_CONNECTING:
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
            error = errno;
        http_connect_on_socket(conn, error);
        return;
    case HTTP_CONN_HANDSHAKE:
        http_connect_handshake(conn);
        return;
    case HTTP_CONN_SENDING:
        write_request(conn);
        return;
    case HTTP_CONN_WAITING: /* TLS had to write before it can read */
        read_answer(conn);
        return;
    case HTTP_CONN_IDLE:
    case HTTP_CONN_RESOLVING:
    case HTTP_CONN_DEAD:
        return;
    }
}

void http_conn_on_due(struct handler_conn *conn, uint64_t now_ns)
{
    switch (conn->state) {
    case HTTP_CONN_RESOLVING:
    case HTTP_CONN_CONNECTING:
    case HTTP_CONN_HANDSHAKE:
        http_connect_on_due(conn, now_ns);
        return;
    case HTTP_CONN_SENDING:
        http_conn_fail(conn, HANDLER_TIMEOUT, "the deadline passed while the request was sent");
        return;
    case HTTP_CONN_WAITING:
        http_conn_fail(conn, HANDLER_TIMEOUT, "the deadline passed without a whole answer");
        return;
    case HTTP_CONN_IDLE:
        http_conn_close(conn);
        return;
    case HTTP_CONN_DEAD:
        return;
    }
}

void http_conn_cancel(struct handler_conn *conn)
{
    conn->call->answer.cancelled = true;
    http_conn_fail(conn, HANDLER_RESET, "given up by the gateway");
}
