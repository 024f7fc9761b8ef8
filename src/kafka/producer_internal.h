/* For tests of the producer alone. */
#ifndef OG_KAFKA_PRODUCER_INTERNAL_H
#define OG_KAFKA_PRODUCER_INTERNAL_H

#include "kafka/producer.h"

/* Makes librdkafka believe in a fatal error of the idempotent producer. */
void kafka_producer_break_for_test(struct kafka_producer *producer);
/* How many times the client was made anew. */
unsigned kafka_producer_remakes(const struct kafka_producer *producer);

/* What it has in a batch, at least. */
static inline size_t produce_bytes(const struct produce *msg)
{
    size_t bytes = msg->key.len + msg->value.len;

    for (size_t i = 0; i < msg->header_count; i++)
        bytes += msg->headers[i].name.len + msg->headers[i].value.len;
    return bytes;
}

/* Has a broker named the offset of this delivery? Where the client only concludes it, by itself or
 * from DUPLICATE_SEQUENCE_NUMBER, it names none, or counts those of a batch up from -1. `unplaced`
 * is the offset of the report before, if it was such a one; at first any below -1. */
static inline bool produce_is_placed(int64_t *unplaced, int64_t offset)
{
    bool placed = offset >= 0 && offset != *unplaced + 1;

    *unplaced = placed ? INT64_MIN : offset;
    return placed;
}

#endif
