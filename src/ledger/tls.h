/* TLS of the connection to Redis: the chain and the host's name are always verified. */
#ifndef OG_LEDGER_TLS_H
#define OG_LEDGER_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "config/config.h"

struct tls;
struct redisContext; /* hiredis */

struct tls *tls_new(const struct redis_config *config, struct err *err) MUST_CHECK;
void tls_free(struct tls **tls);
/* Starts the handshake on a connection that is being opened. */
bool tls_start(struct tls *tls, struct redisContext *context, struct err *err) MUST_CHECK;
/*
 * Why the handshake of the connection that is going down failed, where it was TLS that failed; NULL
 * otherwise. Valid until the next call; empties OpenSSL's queue of errors, which hiredis does not.
 */
const char *tls_why(struct tls *tls);
/* That connection is gone. */
void tls_forget(struct tls *tls);

#endif
