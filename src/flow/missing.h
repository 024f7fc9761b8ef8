/*
 * Partitions whose committed offset is not there, or not in the log any more: new, found later, or
 * lost. Nothing is guessed: while the ledger cannot say whether the group has consumed there
 * before, the question stays open.
 */
#ifndef OG_FLOW_MISSING_H
#define OG_FLOW_MISSING_H

#include <stddef.h>
#include <stdint.h>

#include "kafka/consumer.h"

struct route;

void missing_init(struct route *route);
void missing_deinit(struct route *route);
/* The consumer's events; ctx is the route. */
void missing_offsets(void *ctx, const struct kafka_missing_offset *items, size_t count);
void missing_out_of_range(void *ctx, struct kafka_partition *partition, int64_t offset);
/* The assignment that asked is over: an answer that comes later is for nobody. */
void missing_forget(struct route *route);

#endif
