/* The test handler: an HTTP/1.1 server that writes down what it sees and misbehaves on request.
 * Private to the handler_*.c files. One thread, one epoll set; nothing here is shared. */
#ifndef SUPPORT_HANDLER_H
#define SUPPORT_HANDLER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "names.h"
#include "rule.h"
#include "tool.h"

struct conn;

/* A piece of a connection's input; borrowed until the request ends. */
struct span {
    const char *data;
    size_t len;
};

struct header {
    struct span name;
    struct span value;
};

enum { MAX_HEADERS = 128, MAX_HEAD_BYTES = 512 * 1024, MAX_BODY_BYTES = 64 * 1024 * 1024 };

struct request {
    struct span method;
    struct span path;
    struct header headers[MAX_HEADERS];
    int header_count;
    bool close; /* Connection: close */
    struct span body;
};

/* An event of a batch, as if it were a request with one record. */
struct batch_event {
    struct request req;
    struct span id;
    char *data; /* of req.body */
    size_t len;
};

struct batch {
    size_t count;
    struct batch_event *events;
    struct json_object *json; /* the rest of what events points to */
};

/* One delivery being worked on. It outlives its connection, as work does in a real handler. */
struct call {
    uint64_t n;
    struct conn *conn; /* NULL once the client has gone */
    struct name *key;
    struct rule rule;
    int64_t due_us;
    size_t heap_at;         /* place in the heap of timers */
    struct call *next_gate; /* in the list of calls that wait at a gate */
    bool hanging;           /* answers nothing more; ends when the client leaves */
    bool dripping;          /* its answer has begun */
    struct batch *batch;    /* of a request with many records: NULL otherwise */
    struct call **parts;    /* one for each event; they have no connection, and wait for nothing */
};

struct listener {
    int fd; /* -1 while refusing */
    bool tls;
    bool control;
    const char *address; /* host:port or a path, with the port that was got */
};

struct server {
    int epoll_fd;
    struct listener main;
    struct listener control;
    SSL_CTX *tls;
    bool stop;

    int log_fd; /* -1: nothing is written per request */
    bool capture;
    struct text log;

    struct rule fallback; /* for records without a rule */
    bool outage;
    struct names open;  /* key: requests of the key that are open now */
    struct names tries; /* record: attempts seen */
    struct names rules; /* key: rule set by /_control */
    struct names gates; /* gate: count > 0 means open */
    struct call *waiting;
    struct call **heap;
    size_t heap_len;
    size_t heap_cap;
    struct conn *dead; /* freed once per turn of the loop */
    struct conn *conns;

    uint64_t requests; /* of a batch each event is one */
    uint64_t batches;
    uint64_t effects;
    uint64_t overlaps;
    uint64_t open_now;
    uint64_t connections; /* accepted so far */
    uint64_t connections_now;
    uint64_t by_status[600];
};

struct conn {
    struct server *srv;
    struct conn *next;
    struct conn **link;
    struct conn *next_dead;
    int fd;
    SSL *ssl;
    bool tls_ready;
    bool control;
    bool writing; /* EPOLLOUT is asked for */
    bool dead;
    struct text in;
    size_t in_at; /* start of the next request in `in` */
    struct text out;
    size_t out_at;
    uint64_t served;   /* requests begun on this connection */
    int64_t flood;     /* bytes of filler still to be sent after `out` */
    bool close_after;  /* once all is sent */
    bool reset_after;  /* the same, by a TCP reset */
    struct call *call; /* the one being answered */
};

/* handler_conn.c: sockets. */
bool conn_listen(struct server *srv, struct listener *listener, const char *address);
void conn_unlisten(struct server *srv, struct listener *listener);
void conn_accept(struct server *srv, struct listener *listener);
void conn_on_event(struct conn *conn, uint32_t events);
void conn_send(struct conn *conn); /* what is in `out`, as far as the peer takes it */
void conn_kill(struct conn *conn, bool reset);
void conn_kill_idle(struct server *srv);
void conn_reap(struct server *srv);

/* handler_http.c: requests out of bytes. Called when input arrived or an answer was sent. */
void http_on_input(struct conn *conn);
struct span http_header(const struct request *req, const char *name);

/* handler_call.c: deliveries. */
void call_begin(struct conn *conn, const struct request *req);
void call_on_due(struct server *srv);
int call_wait_ms(const struct server *srv); /* until the next timer, -1 for none */
void call_open_gate(struct server *srv, const char *gate);
void call_on_close(struct call *call); /* the client has gone */

/* handler_batch.c: requests with many records, and their answers. */
bool batch_is(const struct request *req);
struct batch *batch_read(const struct request *req); /* req's headers stay borrowed */
void batch_free(struct batch *batch);
void batch_add_result(struct text *out, struct span id, const struct rule *rule);
void batch_end_results(struct text *out);

/* handler_control.c: /_control and /_stats. */
void control_on_request(struct conn *conn, const struct request *req);

#endif
