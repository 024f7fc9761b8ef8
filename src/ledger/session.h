/*
 * A usable conversation with Redis: logged in, version and memory policy accepted, shards equal,
 * scripts allowed, writes taken. Any refusal ends the session; it starts anew, by the connection's
 * growing pauses, until Redis accepts again (fail closed). Owning thread: the loop's.
 */
#ifndef OG_LEDGER_SESSION_H
#define OG_LEDGER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct session;
struct tls;
struct redisReply; /* hiredis */

struct session_events {
    void (*up)(void *ctx);
    /* Not usable (any more): what was sent and not answered is to be sent again once it is up. */
    void (*down)(void *ctx, const char *why);
    /* The sentinel key is gone or another. */
    void (*wiped)(void *ctx);
    void *ctx;
};

/*
 * config and tls are borrowed; does nothing before it is aimed (see conn_aim). probe_key: in a
 * cluster, a key (copied) of a slot that this server should serve: touched by name only, so that a
 * cluster that is down says so. There the number of shards and the sentinel are not looked at: they
 * are in slots of their own. NULL: not a cluster.
 */
struct session *session_new(struct loop *loop, const struct redis_config *config, struct tls *tls,
                            const char *probe_key, const struct session_events *events,
                            struct err *err) MUST_CHECK;
void session_aim(struct session *session, const char *unix_path, const char *host, uint16_t port,
                 const char *why);
void session_free(struct session **session);
bool session_is_up(const struct session *session);
const char *session_address(const struct session *session); /* for people */

/* As conn_send; false while not up. */
bool session_send(struct session *session, const void *command, size_t len,
                  void (*reply)(void *arg, const struct redisReply *reply), void *arg) MUST_CHECK;
/* An answer said that Redis cannot serve: ends the session. */
void session_refused(struct session *session, const char *error);
/* The scripts do their work: pauses start short again. */
void session_is_healthy(struct session *session);
/* Looks at the sentinel key; `wiped` comes before the answers to anything that is sent later. */
void session_check_sentinel(struct session *session);
/* Why another number of shards is refused. */
void session_describe_shards(const char *found, const struct redis_config *config, char *out,
                             size_t size);

#endif
