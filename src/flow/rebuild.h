/*
 * The parked list is a cache of the tiers. Where the ledger cannot be trusted to know what is
 * parked (it lost its data, or never heard of this group), the tiers are read before anything of
 * the route is claimed, and the ledger is told of every copy that waits there. Only ordered routes
 * (ordering: key) have order to lose; others take their tokens into use at once.
 *
 *   TAKING ─► TAKEN ─┬─ all built ────────────────────────────────────────► HELD
 *                    └─ BUILDING: twins and tiers told ─► marked as built ─► HELD
 *
 * Owning thread: the worker's.
 */
#ifndef OG_FLOW_REBUILD_H
#define OG_FLOW_REBUILD_H

#include <stdbool.h>
#include <stddef.h>

struct part;
struct route;

void rebuild_init(struct route *route);
void rebuild_deinit(struct route *route);
/* A partition's token was taken: it is in use at once, or after a rebuild. */
void rebuild_token_taken(struct part *part);
/* The ledger lost its data: every partition proves itself and takes a token again. */
void rebuild_ledger_wiped(struct route *route);
/* The partitions are going: what was begun is nobody's any more. */
void rebuild_cancel(struct route *route);
/* The ledger answered for a twin that was parked again. */
void rebuild_twin_told(struct route *route);
bool rebuild_running(const struct route *route);
/* What it does and how far it is, for status; returns text. */
const char *rebuild_text(const struct route *route, char *text, size_t size);

#endif
