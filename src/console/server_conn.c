/*
 * One connection of the server:
 *
 *   idle -> reading -> serving -> flushing -> idle ...
 *                         |           `-----> lingering -> dead
 *                         `-> streaming -> dead
 *
 * Every state has a timer, set where it is entered and nowhere else, so that a peer which sends a
 * byte now and then gains no time. What is dead is off the list at once and freed later in the
 * turn, since a handler or libevent may still be above us on the stack. `gone` runs once, and only
 * for a call that was not answered. Must not: read on while a call is open.
 */
#include "console/server_conn.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

#define INPUT_MAX    65536
#define LINGER_MS    2000
#define STREAM_LEAST 4096

static void process(struct conn *conn);

static const struct server_limits *limits(const struct conn *conn)
{
    return &conn->server->options.limits;
}

static void enter(struct conn *conn, enum conn_state state, int64_t timeout_ms)
{
    conn->state = state;
    loop_timer_set_ms(&conn->timer, timeout_ms);
}

void server_conn_kill(struct conn *conn)
{
    struct server *server = conn->server;
    bool open = conn->state == CONN_SERVING || conn->state == CONN_STREAMING;
    void (*gone)(void *) = conn->call.gone;
    if (conn->state == CONN_DEAD)
        return;
    conn->state = CONN_DEAD;
    loop_timer_cancel(&conn->timer);
    bufferevent_disable(conn->bev, EV_READ | EV_WRITE);
    TAILQ_REMOVE(&server->conns, conn, entry);
    TAILQ_INSERT_TAIL(&server->dead, conn, entry);
    server->count--;
    loop_defer(server->loop, &server->reap);
    conn->call.gone = NULL;
    if (open && gone)
        gone(conn->call.gone_arg);
}

void server_conn_free(struct conn *conn)
{
    loop_timer_deinit(&conn->timer);
    bufferevent_free(conn->bev);
    buf_deinit(&conn->head);
    buf_deinit(&conn->body);
    buf_deinit(&conn->call.headers);
    mem_free(conn);
}

static size_t unsent(const struct conn *conn)
{
    return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

/* Whether the peer took enough since the last look, or all that there is. */
static bool keeps_up(struct conn *conn)
{
    uint64_t sent = conn->added - unsent(conn);
    uint64_t least = conn->call.drained ? STREAM_LEAST : 1;
    bool enough = unsent(conn) == 0 || sent >= conn->sent + least;
    conn->sent = sent;
    return enough && !conn->overrun;
}

static void on_timer(void *arg)
{
    struct conn *conn = arg;
    const struct server_options *options = &conn->server->options;
    struct buf body = {0};
    if (conn->state == CONN_STREAMING && keeps_up(conn)) {
        loop_timer_set_ms(&conn->timer, options->limits.answer_ms);
        return;
    }
    if (conn->state != CONN_READING) {
        server_conn_kill(conn);
        return;
    }
    options->refuse(options->arg, &conn->call.req, 408, "the request did not arrive in time",
                    &body);
    conn->keep_alive = false;
    conn->linger = true;
    enter(conn, CONN_SERVING, options->limits.answer_ms);
    call_reply(&conn->call, 408, "application/problem+json", buf_slice(&body));
    buf_deinit(&body);
}

static void begin_idle(struct conn *conn)
{
    server_conn_reset(conn);
    buf_reset(&conn->call.headers);
    enter(conn, CONN_IDLE, limits(conn)->idle_ms);
}

/* All was said. Closing now would reset the connection where the peer still sends, and it might
 * never see the answer: so what it sends is thrown away for a while. */
static void linger(struct conn *conn)
{
    if (!conn->linger) {
        server_conn_kill(conn);
        return;
    }
    enter(conn, CONN_LINGERING, LINGER_MS);
    if (!conn->server->tls)
        shutdown(bufferevent_getfd(conn->bev), SHUT_WR);
}

static void flushed(struct conn *conn)
{
    if (!conn->keep_alive || conn->server->draining) {
        linger(conn);
        return;
    }
    begin_idle(conn);
    process(conn);
}

static void on_written(struct bufferevent *bev, void *arg)
{
    struct conn *conn = arg;
    (void)bev;
    if (unsent(conn) > 0)
        return;
    if (conn->state == CONN_FLUSHING)
        flushed(conn);
    else if (conn->state == CONN_STREAMING && conn->call.drained)
        conn->call.drained(conn->call.gone_arg);
}

static void serve(struct conn *conn)
{
    const struct server_options *options = &conn->server->options;
    struct buf body = {0};
    enter(conn, CONN_SERVING, options->limits.answer_ms);
    if (!conn->refused) {
        options->serve(options->arg, &conn->call);
        return;
    }
    conn->keep_alive = false;
    conn->linger = true;
    options->refuse(options->arg, &conn->call.req, conn->refused, conn->why, &body);
    conn->call.req.method = METHOD_GET; /* it may not have been read */
    call_reply(&conn->call, conn->refused, "application/problem+json", buf_slice(&body));
    buf_deinit(&body);
}

/* Takes one request off the input, if it is there. */
static void process(struct conn *conn)
{
    struct evbuffer *in = bufferevent_get_input(conn->bev);
    while (conn->state == CONN_IDLE || conn->state == CONN_READING) {
        size_t len = evbuffer_get_contiguous_space(in), used = 0;
        bool whole;
        if (len == 0)
            return;
        if (conn->state == CONN_IDLE)
            enter(conn, CONN_READING, limits(conn)->request_ms);
        whole = server_conn_read(conn, (const char *)evbuffer_pullup(in, (ssize_t)len), len, &used);
        evbuffer_drain(in, used < len ? used : len);
        if (whole)
            serve(conn);
    }
}

static void on_input(struct bufferevent *bev, void *arg)
{
    struct conn *conn = arg;
    if (conn->state == CONN_LINGERING || conn->state == CONN_STREAMING)
        evbuffer_drain(bufferevent_get_input(bev), INPUT_MAX);
    else
        process(conn);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct conn *conn = arg;
    (void)bev;
    if (conn->state == CONN_FLUSHING && (what & BEV_EVENT_EOF))
        conn->keep_alive = conn->linger = false; /* it has said all, and may still be listening */
    else if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        server_conn_kill(conn);
}

void server_conn_open(struct server *server, struct bufferevent *bev, const char *peer)
{
    struct conn *conn = mem_zalloc(sizeof(*conn));
    conn->server = server;
    conn->bev = bev;
    conn->call.conn = conn;
    memcpy(conn->peer, peer, strlen(peer) + 1);
    loop_timer_init(&conn->timer, server->loop, on_timer, conn);
    TAILQ_INSERT_TAIL(&server->conns, conn, entry);
    server->count++;
    server_conn_reset(conn);
    enter(conn, CONN_IDLE, server->options.limits.request_ms);
    bufferevent_setcb(bev, on_input, on_written, on_event, conn);
    bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* ---- answering ---- */

const struct console_request *call_request(const struct call *call)
{
    return &call->req;
}

void call_on_gone(struct call *call, void (*gone)(void *arg), void *arg)
{
    call->gone = gone;
    call->gone_arg = arg;
}

void call_wait(struct call *call, int64_t ms)
{
    if (call->conn->state == CONN_SERVING)
        loop_timer_set_ms(&call->conn->timer, ms);
}

void call_header(struct call *call, const char *name, const char *value)
{
    if (!strpbrk(value, "\r\n"))
        buf_printf(&call->headers, "%s: %s\r\n", name, value);
}

static void add_head(struct conn *conn, struct buf *out, int status, const char *type)
{
    const struct server_options *options = &conn->server->options;
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
    if (type)
        buf_printf(out, "Content-Type: %s\r\n", type);
    for (size_t i = 0; options->headers && options->headers[i]; i++)
        buf_printf(out, "%s\r\n", options->headers[i]);
    if (conn->call.headers.len)
        buf_add_slice(out, buf_slice(&conn->call.headers));
    if (!conn->keep_alive || conn->server->draining)
        buf_add_text(out, "Connection: close\r\n");
}

void call_reply(struct call *call, int status, const char *type, struct slice body)
{
    struct conn *conn = call->conn;
    struct buf out = {0};
    call->gone = NULL;
    add_head(conn, &out, status, type);
    if (status != 304)
        buf_printf(&out, "Content-Length: %zu\r\n", body.len);
    buf_add_text(&out, "\r\n");
    if (call->req.method != METHOD_HEAD && status != 304)
        buf_add_slice(&out, body);
    enter(conn, CONN_FLUSHING, limits(conn)->answer_ms);
    if (bufferevent_write(conn->bev, out.data, out.len) != 0)
        server_conn_kill(conn);
    buf_deinit(&out);
}

static bool add(struct conn *conn, struct slice data)
{
    conn->added += data.len;
    return bufferevent_write(conn->bev, data.data, data.len) == 0;
}

static void begin_stream(struct conn *conn, const char *type)
{
    struct buf out = {0};
    conn->keep_alive = false;
    add_head(conn, &out, 200, type);
    buf_add_text(&out, conn->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
    enter(conn, CONN_STREAMING, limits(conn)->answer_ms);
    conn->added = conn->sent = 0;
    (void)add(conn, buf_slice(&out));
    buf_deinit(&out);
}

void call_stream(struct call *call, const char *type)
{
    begin_stream(call->conn, type);
}

void call_stream_paced(struct call *call, const char *type, void (*drained)(void *arg))
{
    struct conn *conn = call->conn;
    call->drained = drained;
    conn->chunked = conn->parser.http_minor > 0; /* 1.0 knows no chunks */
    begin_stream(conn, type);
}

size_t call_unsent(const struct call *call)
{
    return unsent(call->conn);
}

static bool write_chunk(struct conn *conn, struct slice data)
{
    char head[24];
    int len = snprintf(head, sizeof(head), "%zx\r\n", data.len);
    return data.len == 0 || (add(conn, (struct slice){head, (size_t)len}) && add(conn, data) &&
                             add(conn, SLICE_LIT("\r\n")));
}

bool call_write(struct call *call, struct slice data)
{
    struct conn *conn = call->conn;
    bool full = !call->drained && unsent(conn) + data.len > limits(conn)->stream_bytes;
    if (conn->state != CONN_STREAMING)
        return false;
    if (full || !(conn->chunked ? write_chunk(conn, data) : add(conn, data))) {
        /* Not here: `gone` must not run inside. A timer that is due runs in the next turn. */
        conn->overrun = true;
        loop_timer_set_ms(&conn->timer, 0);
        return false;
    }
    return true;
}

void call_cut(struct call *call)
{
    struct conn *conn = call->conn;
    call->gone = NULL;
    if (conn->state == CONN_STREAMING)
        enter(conn, CONN_FLUSHING, limits(conn)->answer_ms);
    if (unsent(conn) == 0)
        server_conn_kill(conn);
}

void call_end(struct call *call)
{
    if (call->conn->chunked && call->conn->state == CONN_STREAMING)
        (void)add(call->conn, SLICE_LIT("0\r\n\r\n"));
    call_cut(call);
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        {200, "OK"},
        {202, "Accepted"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].status == status)
            return known[i].text;
    }
    return "Unknown";
}
