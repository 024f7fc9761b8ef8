/* For tests of the producer alone. */
#ifndef OG_KAFKA_PRODUCER_INTERNAL_H
#define OG_KAFKA_PRODUCER_INTERNAL_H

#include "kafka/producer.h"

/* Makes librdkafka believe in a fatal error of the idempotent producer. */
void kafka_producer_break_for_test(struct kafka_producer *producer);
/* How many times the client was made anew. */
unsigned kafka_producer_remakes(const struct kafka_producer *producer);

#endif
