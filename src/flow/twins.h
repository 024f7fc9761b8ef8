/*
 * Parked records that are kept in memory: followers, to be delivered at once when their key's head
 * is done, and heads that wait in a tier, as the memory of what the ledger must know. A twin owns
 * no unsettled offset; its copy in a tier is its durable form.
 */
#ifndef OG_FLOW_TWINS_H
#define OG_FLOW_TWINS_H

#include <stdbool.h>

#include "flow/delivery.h"

struct lane;
struct route;

/*
 * d was parked (copy acknowledged, ledger told) and is current in its lane: keeps it as a twin, or
 * moves the twin that there is to the newer copy. Settles its offset in any case, and lets the lane
 * go on.
 */
void twins_park(struct delivery *d);
/*
 * The ledger let go of an entry whose copy is gone from its tier (expired there), and its record is
 * here in memory: it is parked again as the head, and is the next to be delivered.
 */
void twins_rescue(struct lane *lane, int32_t tier_ms, int64_t copy_offset);
/* The record of that origin is done: its twin, if any, is forgotten. */
void twins_forget(struct lane *lane, const struct delivery *done);
/*
 * The ledger lost writes: tells it again what of this lane is parked, in rank order. Claims of the
 * key that are submitted later see it.
 */
void twins_repark(struct lane *lane);
void twins_repark_all(struct route *route);

#endif
