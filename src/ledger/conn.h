/*
 * One connection to Redis on the loop (hiredis asynchronous): connects to where it is aimed, keeps
 * reconnecting with a growing, capped pause, and drops a connection on which an answer is overdue.
 * It knows nothing of what is said on it. Owning thread: the loop's.
 */
#ifndef OG_LEDGER_CONN_H
#define OG_LEDGER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct conn;
struct tls;
struct redisReply; /* hiredis */

struct conn_events {
    /* The transport stands; the login is still to come. */
    void (*connected)(void *ctx);
    /* It is gone (or could not be had), and with it every answer that has not come; why is
     * borrowed. */
    void (*lost)(void *ctx, const char *why);
    void *ctx;
};

/* config and tls (NULL: none) are borrowed for as long as the connection lives. Does nothing before
 * it is aimed. */
struct conn *conn_new(struct loop *loop, const struct redis_config *config, struct tls *tls,
                      const struct conn_events *events);
/*
 * Where it is to connect to, from a later turn on: a unix socket, else host and port. A connection
 * to another place is given up first, which tells `lost` with why; to the same place, nothing
 * happens. The host is looked up anew for each attempt, and the loop does not wait for that.
 */
void conn_aim(struct conn *conn, const char *unix_path, const char *host, uint16_t port,
              const char *why);
/* No callback runs any more. */
void conn_free(struct conn **conn);

/*
 * Sends one command (copied). reply runs exactly once, unless the connection is lost first: then
 * `lost` stands for all of them. False where there is no connection.
 */
bool conn_send(struct conn *conn, const void *command, size_t len,
               void (*reply)(void *arg, const struct redisReply *reply), void *arg) MUST_CHECK;
/* Gives the connection up, tells `lost`, and tries again after the pause. */
void conn_drop(struct conn *conn, const char *why);
/* It works: the next pause is the shortest again. */
void conn_is_healthy(struct conn *conn);
/* Where it connects to, for people. */
const char *conn_address(const struct conn *conn);

#endif
