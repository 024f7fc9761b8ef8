/* Connections of the server; private to server*.c. See server.h. */
#ifndef OG_CONSOLE_SERVER_CONN_H
#define OG_CONSOLE_SERVER_CONN_H

#include <http_parser.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "console/server.h"

#define CONN_HEADERS_MAX 100
#define CONN_PEER_MAX    64

struct bufferevent;
struct evconnlistener;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* Each state has a timeout. */
enum conn_state {
    CONN_IDLE,      /* nothing of a request is there: idle_ms, the first time request_ms */
    CONN_READING,   /* request_ms, TLS handshake included */
    CONN_SERVING,   /* a call is open: answer_ms */
    CONN_FLUSHING,  /* the answer is on its way: answer_ms */
    CONN_STREAMING, /* a call is open: bounded by stream_bytes or paced by the handler, and a slow
                       peer by answer_ms */
    CONN_LINGERING, /* said all, and the peer may still be sending: LINGER_MS */
    CONN_DEAD,      /* off the list; freed at the end of this turn */
};

struct span {
    size_t at, len;
};

struct call {
    struct conn *conn;
    struct console_request req;
    struct buf headers; /* of the answer */
    void (*gone)(void *arg);
    void (*drained)(void *arg); /* of a paced stream */
    void *gone_arg;
};

struct conn {
    TAILQ_ENTRY(conn) entry;
    struct server *server;
    struct bufferevent *bev;
    enum conn_state state;
    struct loop_timer timer;
    char peer[CONN_PEER_MAX];

    /* The request under way. */
    http_parser parser;
    struct buf head; /* target, names and values, one behind the other */
    struct span target, names[CONN_HEADERS_MAX], values[CONN_HEADERS_MAX];
    struct request_header_line lines[CONN_HEADERS_MAX];
    size_t header_count;
    bool in_value; /* the last piece was of a value */
    size_t head_bytes;
    struct buf body;
    bool whole;
    int refused; /* status, 0: not */
    const char *why;

    bool keep_alive;
    bool linger;    /* after the answer: more of the request may be on its way */
    uint64_t added; /* bytes of a stream */
    uint64_t sent;  /* of these the peer had taken, when its timer was set */
    bool overrun;   /* more of a stream is unsent than may be */
    bool chunked;
    struct call call;
};
TAILQ_HEAD(conn_list, conn);

struct server {
    struct loop *loop;
    struct server_options options;
    struct ssl_ctx_st *tls;
    struct evconnlistener *listener;
    struct conn_list conns, dead;
    size_t count;
    struct loop_task reap;
    bool draining;
    unsigned port;
};

/* server_conn.c. bev is transferred. */
void server_conn_open(struct server *server, struct bufferevent *bev, const char *peer);
void server_conn_kill(struct conn *conn); /* tells the handler; freed later in this turn */
void server_conn_free(struct conn *conn); /* of the dead */
/* server_read.c: takes what it can of the input; true: the request is whole or refused. */
bool server_conn_read(struct conn *conn, const char *data, size_t len, size_t *used);
void server_conn_reset(struct conn *conn);

/* server_tls.c */
struct ssl_ctx_st *server_tls_new(const char *cert_file, const char *key_file, struct err *err);
void server_tls_free(struct ssl_ctx_st **ctx);
struct bufferevent *server_tls_accept(struct ssl_ctx_st *ctx, struct loop *loop, int fd);

#endif
