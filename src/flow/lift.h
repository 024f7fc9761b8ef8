/*
 * Lifts, while the route runs, the hold for offsets that are gone (on_offset_lost: stop): a person
 * mends it with `oncegate ledger adopt`, which makes the ledger forget that the group has consumed
 * the topic's partitions. The ledger is asked every few seconds while the hold stands; then the
 * partitions begin at the earliest offset, as ones found later do. Owning thread: the worker's.
 */
#ifndef OG_FLOW_LIFT_H
#define OG_FLOW_LIFT_H

#include <stdbool.h>
#include <stdint.h>

struct route;

void lift_init(struct route *route);
void lift_deinit(struct route *route);
/* The offsets of that source partition are gone, and the policy is stop. */
void lift_stopped(struct route *route, const char *topic, int32_t partition);
/* The assignment is over: what was stopped in it is forgotten, and so is the hold. */
void lift_forget(struct route *route);
/* May that source partition begin at the earliest offset, though its committed one is out of range?
 * So it may between the adoption and the question for start offsets that follows it. */
bool lift_is_adopted(const struct route *route, const char *partition_name);
void lift_adoption_used(struct route *route);
/* A time to ask again at, not the same for all. */
int64_t lift_again_ms(void);

#endif
