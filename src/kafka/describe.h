/* Which topics there are under some names: asking librdkafka, and reading a topic's id from what it
 * answers. */
#ifndef OG_KAFKA_DESCRIBE_H
#define OG_KAFKA_DESCRIBE_H

#include <stddef.h>

#include <librdkafka/rdkafka.h>

/* The answer comes to the queue as an event with that opaque. It passes by librdkafka's cache. */
void describe_send(rd_kafka_t *rk, rd_kafka_queue_t *queue, void *opaque, const char **names,
                   size_t count, int timeout_ms);
/* Base64 text, the description's; NULL where the broker does not say. */
const char *describe_topic_id(const rd_kafka_TopicDescription_t *topic);

#endif
