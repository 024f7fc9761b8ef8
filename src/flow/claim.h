/* Asks the ledger for the right to deliver, and acts on its answer. */
#ifndef OG_FLOW_CLAIM_H
#define OG_FLOW_CLAIM_H

#include <stdint.h>

#include "flow/delivery.h"

struct route;

/*
 * For how long a claim may stay for the key's next record, in ms; 0: not at all. No longer than the
 * session timeout: who takes over from a process that died has waited that long anyway.
 */
uint32_t claim_keep_ms(const struct route *route);
/* The delivery is current in its lane and holds a slot. */
void claim_start(struct delivery *d);
/* While it had to wait the route may have been held, or its breaker opened. */
bool claim_may_deliver(const struct delivery *d);
/* Tokens came into use: what waited for them claims at once. */
void claim_unfenced(struct route *route);

#endif
