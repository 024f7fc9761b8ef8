/*
 * The addresses of one host, looked up without blocking the loop. Owning thread: the loop's.
 * A literal address and a unix socket need no look-up and never expire.
 */
#ifndef OG_HANDLER_RESOLVER_H
#define OG_HANDLER_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/loop.h"

#define NET_ADDRESSES_MAX 8

struct net_address {
    struct sockaddr_storage name;
    socklen_t len;
};

struct net_addresses {
    struct net_address items[NET_ADDRESSES_MAX];
    size_t count;
};

struct resolver;

/* unix_path wins where it is not NULL. ready(arg) is called on the loop after each look-up that
 * resolver_look began; never inside it. */
struct resolver *resolver_new(struct loop *loop, const char *host, uint16_t port,
                              const char *unix_path, void (*ready)(void *arg), void *arg,
                              struct err *err) MUST_CHECK;
/* A look-up under way ends by itself and is not reported. */
void resolver_free(struct resolver **resolver);

enum resolver_state {
    RESOLVER_READY,   /* resolver_addresses has at least one */
    RESOLVER_PENDING, /* ready() will be called */
    RESOLVER_FAILED,  /* the look-up that just ended failed: resolver_problem says why */
};
/* Begins a look-up where what is known is too old and none is under way. */
enum resolver_state resolver_look(struct resolver *resolver, uint64_t now_ns);
/* What the look-up ended in; for use in ready(). Never PENDING, begins nothing. */
enum resolver_state resolver_result(const struct resolver *resolver);
const struct net_addresses *resolver_addresses(const struct resolver *resolver);
const char *resolver_problem(const struct resolver *resolver);
/* What is known may be wrong by now: the next resolver_look begins a look-up. Serves again only if
 * that fails for a passing reason. */
void resolver_forget(struct resolver *resolver);

/* "127.0.0.1:9000", "[::1]:9000" or "unix:/path", for messages. */
#define NET_ADDRESS_TEXT_MAX 128
void net_address_text(const struct net_address *address, char out[NET_ADDRESS_TEXT_MAX]);

#endif
