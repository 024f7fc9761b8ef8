/*
 * Which clients of a worker share connections: those whose configuration says the same of all that
 * makes a connection, and of the credentials that its requests carry. Owning thread: the worker's.
 */
#ifndef OG_HANDLER_POOLS_H
#define OG_HANDLER_POOLS_H

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct handler_pool;
struct handler_pools;
struct http_url;

struct handler_pools *handler_pools_new(struct loop *loop);
/* Every client was freed before. */
void handler_pools_free(struct handler_pools **pools);

/* For client.c. */

/* The pool that clients of this configuration share; made where there is none. url: the
 * configuration's. Nothing is kept of either. NULL: the TLS files or the address are no good. */
struct handler_pool *handler_pools_get(struct handler_pools *pools,
                                       const struct handler_config *config,
                                       const struct http_url *url, struct err *err) MUST_CHECK;
/* The last one that puts it back frees it. */
void handler_pools_put(struct handler_pools *pools, struct handler_pool *pool);

#endif
