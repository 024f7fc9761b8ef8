/* One delivery to the handler, and what follows from its answer. */
#ifndef OG_FLOW_ATTEMPT_H
#define OG_FLOW_ATTEMPT_H

#include "flow/delivery.h"

struct route;

/* The delivery holds a slot, and (where the route uses the ledger) a claim whose lease covers one
 * attempt. */
void attempt_start(struct delivery *d);
/* Frees the pool of attempts. */
void attempt_free_all(struct route *route);
/* The handler calls under way are given up: their effect is unknown. */
void attempt_cancel_all(struct route *route);

#endif
