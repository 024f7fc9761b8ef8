/* See handler_peer.h. */
#include "handler_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ports.h"

static ssize_t peer_recv(struct peer *peer, char *into, size_t len)
{
    if (!peer->ssl)
        return recv(peer->fd, into, len, 0);
    int n = SSL_read(peer->ssl, into, (int)len);
    if (n > 0)
        return n;
    int why = SSL_get_error(peer->ssl, n);
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static bool peer_handshake(struct peer *peer)
{
    if (!peer->ssl || peer->handshaken)
        return true;
    int n = SSL_accept(peer->ssl);
    peer->handshaken = n == 1;
    if (n != 1) {
        int why = SSL_get_error(peer->ssl, n);
        peer->handshake_failed = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
        if (peer->handshake_failed)
            peer->eof = true;
    }
    return peer->handshaken;
}

static void on_peer(void *arg)
{
    struct peer *peer = arg;
    char chunk[16384];
    ssize_t n;

    if (peer->handshake_failed || !peer_handshake(peer)) {
        if (peer->handshake_failed)
            loop_watch_free(&peer->watch);
        return;
    }
    while ((n = peer_recv(peer, chunk, sizeof(chunk))) > 0)
        buf_add(&peer->in, chunk, (size_t)n);
    if (n == 0)
        peer->eof = true;
    else if (errno != EAGAIN)
        peer->eof = peer->reset = true;
    if (peer->eof)
        loop_watch_free(&peer->watch);
}

static void on_accept(void *arg)
{
    struct host *host = arg;
    struct err err;
    int fd;

    while (host->accepting &&
           (fd = accept4(host->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = mem_zalloc(sizeof(*peer));
        assert_true(host->count < PEERS_MAX);
        host->peers[host->count++] = peer;
        peer->host = host;
        peer->fd = fd;
        if (host->tls) {
            peer->ssl = SSL_new(host->tls);
            SSL_set_fd(peer->ssl, fd);
        }
        peer->watch = loop_watch_new(host->loop, fd, on_peer, peer, &err);
        assert_non_null(peer->watch);
    }
}

static void listen_unix(struct host *host)
{
    static int number;
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    snprintf(host->path, sizeof(host->path), "/tmp/oncegate-peer-%d-%d", (int)getpid(), number++);
    unlink(host->path);
    memcpy(name.sun_path, host->path, strlen(host->path) + 1);
    assert_int_equal(bind(host->listen_fd, (struct sockaddr *)(void *)&name, sizeof(name)), 0);
}

static void bind_tcp(struct host *host)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    host->port = ports_take();
    name.sin_port = htons((uint16_t)host->port);
    assert_int_equal(bind(host->listen_fd, (struct sockaddr *)(void *)&name, sizeof(name)), 0);
}

struct host *host_new(struct loop *loop, bool unix_socket, int backlog, SSL_CTX *tls)
{
    struct host *host = mem_zalloc(sizeof(*host));
    struct err err;

    host->loop = loop;
    host->tls = tls;
    host->accepting = true;
    host->listen_fd = socket(unix_socket ? AF_UNIX : AF_INET,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(host->listen_fd >= 0);
    if (unix_socket)
        listen_unix(host);
    else
        bind_tcp(host);
    assert_int_equal(listen(host->listen_fd, backlog), 0);
    host->watch = loop_watch_new(loop, host->listen_fd, on_accept, host, &err);
    assert_non_null(host->watch);
    return host;
}

static void peer_drop(struct peer *peer)
{
    if (peer->fd < 0)
        return;
    loop_watch_free(&peer->watch);
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    close(peer->fd);
    peer->fd = -1;
}

void host_free(struct host **host_ptr)
{
    struct host *host = *host_ptr;

    if (!host)
        return;
    for (size_t i = 0; i < host->count; i++) {
        peer_drop(host->peers[i]);
        buf_deinit(&host->peers[i]->in);
        buf_deinit(&host->peers[i]->out);
        mem_free(host->peers[i]);
    }
    loop_watch_free(&host->watch);
    close(host->listen_fd);
    if (host->path[0])
        unlink(host->path);
    mem_free(host);
    *host_ptr = NULL;
}

static ssize_t peer_send(struct peer *peer, const char *data, size_t len)
{
    if (!peer->ssl)
        return send(peer->fd, data, len, MSG_NOSIGNAL);
    int n = SSL_write(peer->ssl, data, (int)len);
    return n > 0 ? n : -1;
}

void peer_pump(struct peer *peer)
{
    static char filler[65536];
    ssize_t n = 1;
    size_t at = 0;

    if (peer->fd < 0)
        return;
    while (at < peer->out.len && (n = peer_send(peer, peer->out.data + at, peer->out.len - at)) > 0)
        at += (size_t)n;
    peer->written += at;
    memmove(peer->out.data, peer->out.data + at, peer->out.len - at);
    peer->out.len -= at;
    memset(filler, 'x', sizeof(filler));
    while (!peer->out.len && peer->flood && n > 0) {
        n = peer_send(peer, filler, peer->flood < sizeof(filler) ? peer->flood : sizeof(filler));
        if (n > 0) {
            peer->flood -= (uint64_t)n;
            peer->written += (uint64_t)n;
        }
    }
    if (peer->close_after && !peer->out.len && !peer->flood)
        peer_close(peer);
}

void peer_write_bytes(struct peer *peer, const void *data, size_t len)
{
    buf_add(&peer->out, data, len);
    peer_pump(peer);
}

void peer_write(struct peer *peer, const char *text)
{
    peer_write_bytes(peer, text, strlen(text));
}

void peer_close(struct peer *peer)
{
    if (peer->ssl)
        SSL_shutdown(peer->ssl);
    peer_drop(peer);
}

void peer_reset(struct peer *peer)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    SSL_free(peer->ssl);
    peer->ssl = NULL;
    peer_drop(peer);
}

/* Length of the first whole request in `in` from `at`, or 0. */
static size_t request_at(const struct buf *in, size_t at, struct slice *body)
{
    if (at >= in->len)
        return 0;
    char *end = memmem(in->data + at, in->len - at, "\r\n\r\n", 4);
    char *length = memmem(in->data + at, in->len - at, "\r\nContent-Length: ", 18);
    if (!end || !length)
        return 0;
    size_t head = (size_t)(end - in->data) - at + 4;
    size_t len = strtoull(length + 18, NULL, 10);
    if (in->len - at < head + len)
        return 0;
    *body = (struct slice){end + 4, len};
    return head + len;
}

size_t peer_requests(const struct peer *peer, struct slice *body)
{
    size_t count = 0, at = 0, len;
    struct slice this_body;

    while ((len = request_at(&peer->in, at, &this_body)) > 0) {
        if (count++ == 0)
            *body = this_body;
        at += len;
    }
    return count;
}

void peer_take_request(struct peer *peer)
{
    struct slice body;
    size_t len = request_at(&peer->in, 0, &body);

    assert_true(len > 0);
    memmove(peer->in.data, peer->in.data + len, peer->in.len - len);
    peer->in.len -= len;
    peer->in.data[peer->in.len] = '\0';
}

static void on_give_up(void *arg)
{
    *(bool *)arg = true;
}

void turn_until_(struct loop *loop, bool (*holds)(void *arg), void *arg, const char *what,
                 const char *file, int line)
{
    bool late = false;
    struct loop_timer timer;

    loop_timer_init(&timer, loop, on_give_up, &late);
    loop_timer_set_ms(&timer, 20000);
    while (!late && !holds(arg))
        loop_turn(loop, true);
    loop_timer_deinit(&timer);
    if (late) {
        print_message("%s:%d: gave up waiting for: %s\n", file, line, what);
        _fail(file, line);
    }
}

struct wait {
    struct host *host;
    size_t count;
};

static bool has_peers(void *arg)
{
    const struct wait *wait = arg;
    return wait->host->count >= wait->count;
}

void turn_until_peers(struct host *host, size_t count)
{
    struct wait wait = {host, count};
    turn_until(host->loop, has_peers, &wait);
}

static bool has_request(void *arg)
{
    struct slice body;
    return peer_requests(arg, &body) > 0;
}

void turn_until_request(struct peer *peer)
{
    turn_until(peer->host->loop, has_request, peer);
}

static bool is_closed(void *arg)
{
    return ((struct peer *)arg)->eof;
}

void turn_until_closed(struct peer *peer)
{
    turn_until(peer->host->loop, is_closed, peer);
}

static void on_done(struct handler_call *call)
{
    struct try *try = call->arg;

    try->done++;
    try->done_inside = try->inside && *try->inside;
}

void try_begin(struct try *try, const char *head, struct slice body, int64_t timeout_ms)
{
    memset(try, 0, sizeof(*try));
    try->call.head = slice_of(head);
    try->call.body = body;
    try->call.deadline_ns = clock_mono_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    try->call.done = on_done;
    try->call.arg = try;
}

static bool is_done(void *arg)
{
    return ((struct try *)arg)->done > 0;
}

void turn_until_done(struct loop *loop, struct try *try)
{
    turn_until(loop, is_done, try);
    assert_int_equal(try->done, 1);
    assert_false(try->done_inside);
    assert_null(try->call.conn);
}
