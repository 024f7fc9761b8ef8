/*
 * A server that is asked the same questions for as long as it lives: a sentinel where the master
 * is, a node of a cluster who serves which slots. Connects, logs in, asks, hands the answers over,
 * and asks again after a while; reconnects by itself. Owning thread: the loop's.
 */
#ifndef OG_LEDGER_PEER_H
#define OG_LEDGER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/slice.h"
#include "config/config.h"

#define PEER_QUESTIONS_MAX 2

struct peer;
struct tls;
struct redisReply; /* hiredis */

struct peer_config {
    const struct redis_config *redis;           /* borrowed */
    struct tls *tls;                            /* borrowed; NULL: none */
    const char *username, *password;            /* borrowed; NULL: none */
    struct slice questions[PEER_QUESTIONS_MAX]; /* whole commands, copied */
    size_t question_count;
    int64_t every_ms;
    /* Answer number `index`, error replies included. Must not free the peer. */
    void (*answer)(void *ctx, size_t index, const struct redisReply *reply);
    /* Not connected (any more), or the login was refused; why is borrowed. Must not free the peer.
     */
    void (*lost)(void *ctx, const char *why);
    void *ctx;
};

struct peer *peer_new(struct loop *loop, const struct peer_config *config);
void peer_free(struct peer **peer);
/* As conn_aim: nothing is asked before it. */
void peer_aim(struct peer *peer, const char *unix_path, const char *host, uint16_t port,
              const char *why);
/* Does not wait for the next time, where it is connected. */
void peer_ask(struct peer *peer);
/* The answer is of no use: gives the connection up. */
void peer_drop(struct peer *peer, const char *why);
const char *peer_address(const struct peer *peer);

#endif
