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

#endif
