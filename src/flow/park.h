/* What ends in a copy: parking in a tier, and dead letters. Produce, await the acknowledgement,
 * tell the ledger, settle. */
#ifndef OG_FLOW_PARK_H
#define OG_FLOW_PARK_H

#include <stdint.h>

#include "flow/delivery.h"

/* An attempt failed: the next tier. */
void park_failed(struct delivery *d);
/* The handler asked for more patience than a lane has: the tier that is long enough; no attempt is
 * spent. */
void park_later(struct delivery *d, int64_t wait_ms);
/* Due in its tier, but the handler asked for later still: the same tier again. Has no claim. */
void park_again(struct delivery *d);
/* An earlier record of the key is parked in head_tier: behind it. Costs no attempt. */
void park_follower(struct delivery *d, int32_t head_tier);
/* code NULL: what copy_note remembered. Holds the route instead where dead letters have become a
 * flood. */
void park_dead_letter(struct delivery *d, const char *code, const char *detail, int http_status);

#endif
