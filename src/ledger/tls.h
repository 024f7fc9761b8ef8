/* TLS of connections to Redis: the chain and the host's name are always verified. */
#ifndef OG_LEDGER_TLS_H
#define OG_LEDGER_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"

struct tls;          /* what all connections of a ledger have in common */
struct ssl_st;       /* OpenSSL */
struct redisContext; /* hiredis */

/* One connection's part of it; embedded in its owner, zero while there is none. */
struct tls_link {
    struct ssl_st *ssl; /* hiredis owns it */
    char why[200];
};

struct tls *tls_new(const struct tls_config *config, struct err *err) MUST_CHECK;
void tls_free(struct tls **tls);
/* Starts the handshake on a connection that is being opened; name: of the server, NULL for a unix
 * socket without one. */
bool tls_start(struct tls *tls, struct tls_link *link, struct redisContext *context,
               const char *name, struct err *err) MUST_CHECK;
/*
 * Why the handshake of the connection that is going down failed, where it was TLS that failed; NULL
 * otherwise. Valid until the next call; empties OpenSSL's queue of errors, which hiredis does not.
 */
const char *tls_why(struct tls_link *link);
/* The connection is gone. */
void tls_forget(struct tls_link *link);

#endif
