/*
 * The primitive steps of a delivery that the rest of this folder is made of: slots, waits, giving a
 * claim back, settling, dropping.
 */
#ifndef OG_FLOW_SETTLE_H
#define OG_FLOW_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/delivery.h"

struct worker;

struct delivery *delivery_new(struct route *route, struct part *part);
/* Out of every list, record released. Not while an operation of it is under way. */
void delivery_free(struct delivery *d);
void delivery_free_spares(struct worker *worker);

/* A step is under way (a drain waits for it), or not. */
void step_begin(struct delivery *d, enum delivery_state state);
void step_end(struct delivery *d);
void slot_take(struct delivery *d);
void slot_free(struct delivery *d);

/* Current in its lane, for a time, holding neither slot nor claim; then it starts over with a
 * claim. */
void delivery_wait(struct delivery *d, enum wait_reason reason, int64_t ms);
/* Back to the front of its lane, to be started again when the route delivers. */
void delivery_put_back(struct delivery *d);
/* Forgets it without settling: it will be consumed again. */
void delivery_drop(struct delivery *d);
/* Gives the claim back where one is held (an ambiguous one is left to lapse), then calls next(d).
 */
void delivery_release(struct delivery *d, void (*next)(struct delivery *d));

/* Records a final fact (SUCCEEDED, GIVEN_UP), lets the lane go on at once, and settles when the
 * ledger has it. A redriven record's letter is told of before all that. */
void delivery_finish(struct delivery *d, enum ledger_fact fact);
/* Its offset is dealt with: moves the watermark. Frees it and lets the lane go on, unless it stays
 * as a twin. */
void delivery_settle(struct delivery *d);
void delivery_settle_offset(struct delivery *d);
/* The lane goes on to its next record. */
void delivery_leave_lane(struct delivery *d);

/* Copies the record's bytes out of the client library's buffer, which a whole fetch shares; false:
 * without memory. */
bool delivery_detach_record(struct delivery *d);

/* Nobody would use its result: the partition went away, or the route drains. */
bool delivery_unwanted(const struct delivery *d);

#endif
