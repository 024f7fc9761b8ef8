/*
 * The other end of the handler client, in the test's own process and on the same loop: the test
 * says what it accepts, reads and writes, and turns the loop until a condition holds. Nothing
 * sleeps.
 */
#ifndef INTEGRATION_HANDLER_PEER_H
#define INTEGRATION_HANDLER_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "handler/client.h"

#define PEERS_MAX 2048

/* One accepted connection. */
struct peer {
    struct host *host;
    int fd; /* -1: closed by the test */
    SSL *ssl;
    bool handshaken, handshake_failed;
    bool eof, reset; /* what the client did */
    bool deaf;       /* does not read */
    struct buf in;
    struct buf out;   /* to be written when the client takes it */
    uint64_t written; /* bytes */
    uint64_t flood;   /* bytes of 'x' still to be written behind out */
    bool close_after; /* once all is written */
    struct loop_watch *watch;
};

struct host {
    struct loop *loop;
    int listen_fd;
    uint16_t port;
    char path[108]; /* unix socket, or "" */
    bool accepting;
    SSL_CTX *tls; /* NULL: plain */
    struct loop_watch *watch;
    struct peer *peers[PEERS_MAX];
    size_t count;
};

/* Listens on 127.0.0.1:0, or on a unix socket in /tmp. */
struct host *host_new(struct loop *loop, bool unix_socket, int backlog, SSL_CTX *tls);
void host_free(struct host **host);

void peer_write(struct peer *peer, const char *text);
void peer_write_bytes(struct peer *peer, const void *data, size_t len);
void peer_pump(struct peer *peer); /* goes on writing */
void peer_close(struct peer *peer);
void peer_reset(struct peer *peer); /* by RST */
/* Whole requests in peer->in; *body gets the first one's body. */
size_t peer_requests(const struct peer *peer, struct slice *body);
/* Forgets the first request. */
void peer_take_request(struct peer *peer);

/* Turns the loop until the condition holds; fails the test after 20 s. */
void turn_until_(struct loop *loop, bool (*holds)(void *arg), void *arg, const char *what,
                 const char *file, int line);
#define turn_until(loop, holds, arg) turn_until_((loop), (holds), (arg), #holds, __FILE__, __LINE__)
void turn_until_peers(struct host *host, size_t count);
void turn_until_request(struct peer *peer);
void turn_until_closed(struct peer *peer);

/* A call that notes its completion. */
struct
try {
    struct handler_call call;
    int done;
    bool *inside; /* set while the test is inside send or cancel */
    bool done_inside;
};
void try_begin(struct try *try, const char *head, struct slice body, int64_t timeout_ms);
void turn_until_done(struct loop *loop, struct try *try);

#endif
