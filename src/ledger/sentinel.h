/*
 * Where the master is, as Redis' sentinels see it. Every sentinel of the configuration is asked
 * every SENTINEL_EVERY_MS, and at once when the master is lost. Owning thread: the loop's.
 */
#ifndef OG_LEDGER_SENTINEL_H
#define OG_LEDGER_SENTINEL_H

#include <stdint.h>

#include "base/loop.h"
#include "config/config.h"

#define SENTINEL_EVERY_MS 500

struct sentinel;
struct tls;

struct sentinel_events {
    /* The master's address, when it is known for the first time and when it is another one. */
    void (*master)(void *ctx, const char *host, uint16_t port);
    /* No sentinel names one (any more); why is borrowed. Where one was named it stays in use. */
    void (*unknown)(void *ctx, const char *why);
    void *ctx;
};

/* config and tls are borrowed. */
struct sentinel *sentinel_new(struct loop *loop, const struct redis_config *config, struct tls *tls,
                              const struct sentinel_events *events);
void sentinel_free(struct sentinel **sentinel);
void sentinel_ask(struct sentinel *sentinel);

#endif
