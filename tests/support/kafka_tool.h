/* Kafka clients of the test tools, with librdkafka used directly. */
#ifndef SUPPORT_KAFKA_TOOL_H
#define SUPPORT_KAFKA_TOOL_H

#include <librdkafka/rdkafka.h>

/* Ends the program where the brokers or a property are refused. `props`: name, value, ..., NULL. */
rd_kafka_t *kafka_tool_producer(const char *brokers, const char *const *props,
                                void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *,
                                                    void *),
                                void *opaque);
rd_kafka_t *kafka_tool_consumer(const char *brokers, const char *group);

/* The topic's partitions; 0 where there is no such topic. */
int kafka_tool_partitions(rd_kafka_t *rk, const char *topic);

#endif
