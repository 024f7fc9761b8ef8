/*
 * The local spool as the flow uses it: a dead letter that its topic refuses goes there, and what is
 * there goes to its topic once that takes it. See spool/spool.h. Owning thread: the worker's.
 */
#ifndef OG_FLOW_SPOOLING_H
#define OG_FLOW_SPOOLING_H

#include <stdbool.h>

#include "flow/delivery.h"

struct replay;
struct worker;

/* Whether the copy that the delivery is about to write may go to the spool. */
bool spooling_wanted(const struct delivery *d);
/* Gives the delivery's dead letter, as it was to be produced, to the spool; done(d) runs once,
 * later: d->copy->spool.result says how it went. */
void spooling_put(struct delivery *d, void (*done)(struct delivery *));

/* Tries what is in the spool again, for all workers: one of them does it. */
struct replay *replay_new(struct worker *worker);
/* Nothing new is tried. */
void replay_stop(struct replay *replay);
/* After the producer. */
void replay_free(struct replay **replay);

#endif
