/* Sockets of the test handler: listening, accepting, TLS, reading and writing without blocking.
 *
 * A connection is marked dead and freed once per turn of the loop, so that a pointer to it stays
 * valid through the callback in which it dies. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "handler.h"

static int listen_unix(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(addr.sun_path))
        tool_die("socket path too long: %s", path);
    memcpy(addr.sun_path, path, strlen(path));
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
        tool_die("cannot bind %s: %s", path, strerror(errno));
    return fd;
}

static int listen_tcp(const char *address, char **got)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    socklen_t addr_len = sizeof(addr);
    const char *colon = strrchr(address, ':');
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    char *host = tool_copy(address, colon != NULL ? (size_t)(colon - address) : 0);
    struct text text = {0};

    if (colon == NULL || inet_pton(AF_INET, host, &addr.sin_addr) != 1)
        tool_die("not an address: %s", address);
    addr.sin_port = htons((uint16_t)tool_number(colon + 1, "port"));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
        tool_die("cannot bind %s: %s", address, strerror(errno));
    getsockname(fd, (struct sockaddr *)&addr, &addr_len);
    text_addf(&text, "%s:%u", host, ntohs(addr.sin_port));
    *got = text.data;
    free(host);
    return fd;
}

bool conn_listen(struct server *srv, struct listener *listener, const char *address)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    char *got = NULL;

    if (address[0] == '/') {
        listener->fd = listen_unix(address);
        got = tool_copy(address, strlen(address));
    } else {
        listener->fd = listen_tcp(address, &got);
    }
    free((char *)(uintptr_t)listener->address);
    listener->address = got;
    return listen(listener->fd, 1024) == 0 &&
           epoll_ctl(srv->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) == 0;
}

void conn_unlisten(struct server *srv, struct listener *listener)
{
    (void)srv;
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

static void conn_new(struct server *srv, const struct listener *listener, int fd)
{
    struct conn *conn = tool_alloc(sizeof(*conn));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    conn->srv = srv;
    conn->fd = fd;
    conn->control = listener->control;
    if (listener->tls) {
        conn->ssl = SSL_new(srv->tls);
        SSL_set_fd(conn->ssl, fd);
        SSL_set_accept_state(conn->ssl);
    }
    conn->next = srv->conns;
    conn->link = &srv->conns;
    if (srv->conns != NULL)
        srv->conns->link = &conn->next;
    srv->conns = conn;
    srv->connections++;
    srv->connections_now++;
    epoll_ctl(srv->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

void conn_accept(struct server *srv, struct listener *listener)
{
    int on = 1;

    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
            return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        conn_new(srv, listener, fd);
    }
}

void conn_kill(struct conn *conn, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (conn->dead)
        return;
    conn->dead = true;
    if (reset)
        setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(conn->fd);
    if (conn->call != NULL)
        call_on_close(conn->call);
    conn->call = NULL;
    *conn->link = conn->next;
    if (conn->next != NULL)
        conn->next->link = conn->link;
    conn->srv->connections_now--;
    conn->next_dead = conn->srv->dead;
    conn->srv->dead = conn;
}

void conn_kill_idle(struct server *srv)
{
    struct conn *next = NULL;

    for (struct conn *conn = srv->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->control)
            continue;
        if (conn->call == NULL)
            conn_kill(conn, false);
        else
            conn->close_after = true;
    }
}

void conn_reap(struct server *srv)
{
    while (srv->dead != NULL) {
        struct conn *conn = srv->dead;

        srv->dead = conn->next_dead;
        SSL_free(conn->ssl);
        text_free(&conn->in);
        text_free(&conn->out);
        free(conn);
    }
}

/* Bytes moved, 0 when the socket would block, -1 when the connection is over. */
static ssize_t moved(struct conn *conn, ssize_t n)
{
    if (n > 0)
        return n;
    if (conn->ssl != NULL) {
        int error = SSL_get_error(conn->ssl, (int)n);

        ERR_clear_error();
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static ssize_t conn_read(struct conn *conn, char *data, size_t size)
{
    if (conn->ssl != NULL)
        return moved(conn, SSL_read(conn->ssl, data, (int)size));
    return moved(conn, read(conn->fd, data, size));
}

static ssize_t conn_write(struct conn *conn, const char *data, size_t len)
{
    if (conn->ssl != NULL)
        return moved(conn, SSL_write(conn->ssl, data, (int)len));
    return moved(conn, send(conn->fd, data, len, MSG_NOSIGNAL));
}

static void conn_watch(struct conn *conn, bool writing)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

    if (conn->writing == writing || conn->dead)
        return;
    conn->writing = writing;
    if (writing)
        event.events |= EPOLLOUT;
    epoll_ctl(conn->srv->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
}

void conn_send(struct conn *conn)
{
    static const char filler[16384];

    while (!conn->dead) {
        size_t left = conn->out.len - conn->out_at;
        bool flood = left == 0 && conn->flood > 0;
        const char *data = flood ? filler : conn->out.data + conn->out_at;
        ssize_t n;

        if (left == 0 && !flood)
            break;
        if (flood)
            left = conn->flood < (int64_t)sizeof(filler) ? (size_t)conn->flood : sizeof(filler);
        n = conn_write(conn, data, left);
        if (n < 0) {
            conn_kill(conn, false);
        } else if (n == 0) {
            conn_watch(conn, true);
            return;
        } else if (flood) {
            conn->flood -= n;
        } else {
            conn->out_at += (size_t)n;
        }
    }
    if (conn->dead)
        return;
    conn->out.len = 0;
    conn->out_at = 0;
    conn_watch(conn, false);
    if ((conn->close_after || conn->reset_after) && conn->call == NULL)
        conn_kill(conn, conn->reset_after);
}

static void conn_receive(struct conn *conn)
{
    bool some = false;

    for (int i = 0; i < 16; i++) {
        ssize_t n;

        text_reserve(&conn->in, 16384);
        n = conn_read(conn, conn->in.data + conn->in.len, conn->in.cap - conn->in.len - 1);
        if (n < 0) {
            conn_kill(conn, false);
            return;
        }
        if (n == 0)
            break;
        conn->in.len += (size_t)n;
        some = true;
        if (conn->ssl == NULL && (size_t)n < 16383)
            break;
    }
    if (some)
        http_on_input(conn);
}

void conn_on_event(struct conn *conn, uint32_t events)
{
    if (conn->dead)
        return;
    if (conn->ssl != NULL && !conn->tls_ready) {
        int done = SSL_accept(conn->ssl);

        if (done != 1) {
            if (moved(conn, done) < 0)
                conn_kill(conn, false);
            return;
        }
        conn->tls_ready = true;
    }
    if ((events & EPOLLOUT) != 0)
        conn_send(conn);
    if (!conn->dead && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        conn_receive(conn);
}
