/*
 * What the gateways say of themselves: the JSON of their /status (admin.listen), asked for when
 * somebody wants to know, once for all who ask at a time. Owning thread: the loop's.
 */
#ifndef OG_CONSOLE_PEERS_H
#define OG_CONSOLE_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct peers;

/* Those of console.gateways; where there are none, admin.listen of the configuration. */
struct peers *peers_new(struct loop *loop, const struct config *config);
/* Who waits is told what is known. */
void peers_free(struct peers **peers);

/* done runs once, from the loop, within PEERS_WAIT_MS. */
#define PEERS_WAIT_MS 2000
void peers_ask(struct peers *peers, void (*done)(void *arg), void *arg);

/* "gateways":[...], of what was answered last. */
void peers_add(const struct peers *peers, struct buf *out);

#endif
