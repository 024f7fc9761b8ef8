/*
 * The addresses of one host, looked up without blocking the loop. Owning thread: the loop's.
 * A literal address and a unix socket need no look-up and never expire.
 */
#ifndef OG_HANDLER_HTTP_RESOLVE_H
#define OG_HANDLER_HTTP_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/loop.h"

#define HTTP_ADDRESSES_MAX 8

struct http_address {
    struct sockaddr_storage name;
    socklen_t len;
};

struct http_addresses {
    struct http_address items[HTTP_ADDRESSES_MAX];
    size_t count;
};

struct http_resolver;

/* unix_path wins where it is not NULL. ready(arg) is called on the loop after each look-up that
 * http_resolver_look began; never inside it. */
struct http_resolver *http_resolver_new(struct loop *loop, const char *host, uint16_t port,
                                        const char *unix_path, void (*ready)(void *arg), void *arg,
                                        struct err *err) MUST_CHECK;
/* A look-up under way ends by itself and is not reported. */
void http_resolver_free(struct http_resolver **resolver);

enum http_resolve_state {
    HTTP_RESOLVE_READY,   /* http_resolver_addresses has at least one */
    HTTP_RESOLVE_PENDING, /* ready() will be called */
    HTTP_RESOLVE_FAILED,  /* the look-up that just ended failed: http_resolver_problem says why */
};
/* Begins a look-up where what is known is too old and none is under way. */
enum http_resolve_state http_resolver_look(struct http_resolver *resolver, uint64_t now_ns);
/* What the look-up ended in; for use in ready(). Never PENDING, begins nothing. */
enum http_resolve_state http_resolver_result(const struct http_resolver *resolver);
const struct http_addresses *http_resolver_addresses(const struct http_resolver *resolver);
const char *http_resolver_problem(const struct http_resolver *resolver);

/* "127.0.0.1:9000", "[::1]:9000" or "unix:/path", for messages. */
#define HTTP_ADDRESS_TEXT_MAX 128
void http_address_text(const struct http_address *address, char out[HTTP_ADDRESS_TEXT_MAX]);

#endif
