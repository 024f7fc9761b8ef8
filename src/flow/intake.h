/* Takes records from the assigned partitions while there is room, and puts them into their lanes
 * when they are due. */
#ifndef OG_FLOW_INTAKE_H
#define OG_FLOW_INTAKE_H

#include <stddef.h>

#include "flow/delivery.h"

struct route;

void intake_init(struct route *route);
/* There may be something to take: room, a due record, a readable partition. Runs later in this
 * turn. */
void intake_wake(struct route *route);
/* A record was settled, or ready lanes were given slots: the intake may have waited for that. */
void intake_room_made(struct route *route);
/* Forgets what waits in the partitions' look-ahead and in the lanes' queues: it will be consumed
 * again. */
void intake_drop_queued(struct route *route);
/* What a current delivery does first: a bad copy, a missing identity and an early one never reach
 * the ledger. Holds a slot. */
void intake_begin(struct delivery *d);

/* How many lanes of a route may be ready before no more is taken from its sources, where
 * open_routes of the worker's have records in memory. */
size_t intake_ready_enough(size_t slots, size_t open_records, size_t open_routes);

#endif
