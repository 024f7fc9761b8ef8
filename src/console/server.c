/*
 * Listening, and the list of connections; see server.h and server_conn.c. A connection beyond the
 * limit takes the place of the one that has idled longest, and is closed where none idles: who
 * holds connections open must not keep a person out, and what is being answered is not cut off.
 */
#include "console/server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "console/server_conn.h"

#define BACKLOG 128

static void reap(void *arg)
{
    struct server *server = arg;
    struct conn *conn;
    while ((conn = TAILQ_FIRST(&server->dead)) != NULL) {
        TAILQ_REMOVE(&server->dead, conn, entry);
        server_conn_free(conn);
    }
}

static bool make_room(struct server *server)
{
    struct conn *conn;
    TAILQ_FOREACH(conn, &server->conns, entry)
    {
        if (conn->state == CONN_IDLE || conn->state == CONN_LINGERING) {
            server_conn_kill(conn);
            return true;
        }
    }
    return false;
}

static void peer_text(const struct sockaddr *addr, socklen_t len, char out[CONN_PEER_MAX])
{
    static const char mapped[] = "::ffff:";
    if (getnameinfo(addr, len, out, CONN_PEER_MAX, NULL, 0, NI_NUMERICHOST) != 0)
        out[0] = '\0';
    /* An IPv4 peer of a socket that takes both is the IPv4 peer. */
    if (strncmp(out, mapped, sizeof(mapped) - 1) == 0 && strchr(out, '.'))
        memmove(out, out + sizeof(mapped) - 1, strlen(out) - sizeof(mapped) + 2);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
                      int len, void *arg)
{
    struct server *server = arg;
    struct bufferevent *bev = NULL;
    char peer[CONN_PEER_MAX];
    (void)listener;
    if (server->count >= server->options.limits.connections && !make_room(server)) {
        evutil_closesocket(fd);
        return;
    }
    /* Head and body are two writes: without this the second one waits for the peer's delayed
     * acknowledgement of the first, 40 ms for each answer. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (server->tls)
        bev = server_tls_accept(server->tls, server->loop, fd);
    else
        bev = bufferevent_socket_new(loop_base(server->loop), fd,
                                     BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!bev) {
        evutil_closesocket(fd);
        return;
    }
    peer_text(addr, (socklen_t)len, peer);
    server_conn_open(server, bev, peer);
}

static void note_port(struct server *server)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    if (getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&addr, &len) == 0)
        server->port = ntohs(addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&addr)->sin6_port
                                                        : ((struct sockaddr_in *)&addr)->sin_port);
}

static bool listen_on(struct server *server, struct err *err)
{
    const struct server_options *options = &server->options;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char *port = mem_printf("%u", (unsigned)options->port);
    int failed = getaddrinfo(options->host, port, &hints, &list);
    mem_free(port);
    if (failed)
        return err_set(err, ERR_UNAVAILABLE, "console.listen: %s: %s", options->host,
                       gai_strerror(failed));
    for (const struct addrinfo *at = list; at && !server->listener; at = at->ai_next)
        server->listener = evconnlistener_new_bind(loop_base(server->loop), on_accept, server,
                                                   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
                                                       LEV_OPT_REUSEABLE,
                                                   BACKLOG, at->ai_addr, (int)at->ai_addrlen);
    failed = errno;
    freeaddrinfo(list);
    if (!server->listener)
        return err_set(err, ERR_UNAVAILABLE, "console.listen: cannot listen on %s:%u: %s",
                       options->host, (unsigned)options->port, strerror(failed));
    note_port(server);
    return true;
}

struct server *server_new(struct loop *loop, const struct server_options *options, struct err *err)
{
    struct server *server = mem_zalloc(sizeof(*server));
    server->loop = loop;
    server->options = *options;
    TAILQ_INIT(&server->conns);
    TAILQ_INIT(&server->dead);
    loop_task_init(&server->reap, reap, server);
    if (options->cert_file)
        server->tls = server_tls_new(options->cert_file, options->key_file, err);
    if ((options->cert_file && !server->tls) || !listen_on(server, err))
        server_free(&server);
    return server;
}

void server_drain(struct server *server)
{
    struct conn *conn, *next;
    server->draining = true;
    if (server->listener)
        evconnlistener_free(server->listener);
    server->listener = NULL;
    for (conn = TAILQ_FIRST(&server->conns); conn; conn = next) {
        next = TAILQ_NEXT(conn, entry);
        if (conn->state != CONN_SERVING && conn->state != CONN_FLUSHING)
            server_conn_kill(conn);
    }
}

void server_free(struct server **server_p)
{
    struct server *server = *server_p;
    struct conn *conn;
    if (!server)
        return;
    server_drain(server);
    while ((conn = TAILQ_FIRST(&server->conns)) != NULL)
        server_conn_kill(conn);
    reap(server);
    loop_task_cancel(server->loop, &server->reap);
    if (server->tls)
        server_tls_free(&server->tls);
    mem_free(server);
    *server_p = NULL;
}

unsigned server_port(const struct server *server)
{
    return server->port;
}

size_t server_connections(const struct server *server)
{
    return server->count;
}
