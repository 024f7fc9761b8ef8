/* A delivery's operations on the ledger: what those of one record have in common. */
#ifndef OG_FLOW_OPERATION_H
#define OG_FLOW_OPERATION_H

#include "flow/delivery.h"

struct route_topic;

/* Fills what all of the delivery's operations have in common; once, when its identity is known. */
void operation_prepare(struct delivery *d);
/* The record's place in the order of its key, for an operation on it. */
void operation_set_rank(struct ledger_op *op, struct route_topic *topic,
                        const struct origin *origin);

#endif
