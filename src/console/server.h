/*
 * An HTTP/1.1 server for few and possibly hostile clients, on a loop. Bounds everything that a peer
 * decides: connections, head, body, the time to send a request, to take an answer and to idle. One
 * request of a connection is open at a time; what was sent behind it waits unread.
 *
 * Owning thread: the loop's. A call (one request being answered) is answered by call_reply or
 * call_stream, then or later; until then it is the handler's to keep. Where the peer goes away
 * first, `gone` is called instead, once, and the call must not be used any more. Neither runs
 * inside the other.
 */
#ifndef OG_CONSOLE_SERVER_H
#define OG_CONSOLE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "console/request.h"

struct server;
struct call;

struct server_limits {
    uint32_t connections;
    size_t header_bytes; /* request line and headers together */
    size_t body_bytes;
    int64_t request_ms;  /* from accept, or a request's first byte, until all of it is there */
    int64_t idle_ms;     /* between requests */
    int64_t answer_ms;   /* for the handler to answer, then again for the peer to take it */
    size_t stream_bytes; /* unsent bytes of a stream, at most; a client that is slower is ended */
};

struct server_options {
    const char *host;                 /* numeric address or name; borrowed */
    uint16_t port;                    /* 0: a free one */
    const char *cert_file, *key_file; /* NULL: no TLS */
    struct server_limits limits;
    /* Called once for each whole request. */
    void (*serve)(void *arg, struct call *call);
    /* The answer to a request that is no request: 400, 408, 411, 413, 417, 431. Fills the body. Of
     * req all may be missing, but for 413 method and path. */
    void (*refuse)(void *arg, const struct console_request *req, int status, const char *detail,
                   struct buf *body);
    const char *const *headers; /* "Name: value" lines of every answer, ended by NULL; borrowed */
    void *arg;
};

struct server *server_new(struct loop *loop, const struct server_options *options,
                          struct err *err) MUST_CHECK;
/* Calls that are open get their `gone`. Not from a handler. */
void server_free(struct server **server);
unsigned server_port(const struct server *server);
/* No new connection and no further request of an open one; streams end. */
void server_drain(struct server *server);
size_t server_connections(const struct server *server);

const struct console_request *call_request(const struct call *call);
/* Called where the peer goes away, or answer_ms passes, before the answer. */
void call_on_gone(struct call *call, void (*gone)(void *arg), void *arg);
/* So long the answer may take, instead of answer_ms. */
void call_wait(struct call *call, int64_t ms);
/* A header of the answer, "Name: value"; copied. Must hold no line end. */
void call_header(struct call *call, const char *name, const char *value);
/* Answers; type NULL: no body. The call is over. HEAD gets the head only. */
void call_reply(struct call *call, int status, const char *type, struct slice body);
/* Begins an answer without an end; the call goes on until the peer goes (`gone`), or call_end. */
void call_stream(struct call *call, const char *type);
/* The same for an answer that has an end, of any length: in chunks, so that the peer notices where
 * it is cut off. What is written is kept until it is sent, so the caller paces itself: it goes on
 * when `drained` says that all of it is, and not before, and never inside call_write. arg is that
 * of call_on_gone. The peer has to take 4 KiB within each answer_ms, or all that there is. */
void call_stream_paced(struct call *call, const char *type, void (*drained)(void *arg));
/* False: the peer does not keep up, and `gone` will be called; nothing more is sent. */
bool call_write(struct call *call, struct slice data);
/* Not sent yet. */
size_t call_unsent(const struct call *call);
void call_end(struct call *call);
/* Ends a paced stream that is not whole: what was written is sent, and then the connection breaks
 * off without the end that a peer waits for. */
void call_cut(struct call *call);

const char *http_reason(int status);

#endif
