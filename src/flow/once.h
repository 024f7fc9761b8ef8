/*
 * delivery: at-most-once. The record is called done before it is delivered, so that no crash and no
 * other owner delivers it a second time:
 *
 *   claim ─► given up, recorded ─► settled ─► own commit acknowledged ─► handler ─► succeeded
 *                                                                          └─► dead letter | drop
 *
 * A partition's records are called done in the order of their offsets, one after the other, and
 * each holds a handler slot from then on. So what is called done can be committed, and what is cut
 * off behind that step, and is not delivered, is at most as much as there are slots. The fact told
 * first is "given up", not "succeeded": a redriven dead letter must not find that its key has moved
 * on. Owning thread: the worker's.
 */
#ifndef OG_FLOW_ONCE_H
#define OG_FLOW_ONCE_H

#include <stdbool.h>

#include "flow/delivery.h"

struct route;

void once_init(struct route *route);
void once_deinit(struct route *route);
/* A record was taken: it stands in its partition's row. */
void once_taken(struct delivery *d);
/* May it be decided upon now? Else it gives its slot back, and its lane waits for its turn. */
bool once_in_turn(struct delivery *d);
/* It was decided upon, or is gone: the next of the partition has its turn. */
void once_leave_row(struct delivery *d);
/* The delivery is in turn, and holds a slot and (where the route uses the ledger) a claim. */
void once_begin(struct delivery *d);
/* A commit of the route was answered. */
void once_committed(struct route *route, bool ok);
/* Delivers what is committed. */
void once_pump(struct route *route);
/* One of them, as the breaker's probe; false: there is none that may. */
bool once_probe(struct route *route);
/* The assignment is gone: what is not known to be committed is not delivered. */
void once_forget(struct route *route);

#endif
