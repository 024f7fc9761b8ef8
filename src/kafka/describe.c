/*
 * Describing topics; see describe.h. Must not: decide anything.
 */
#include "kafka/describe.h"

#include <string.h>

/* All zeroes: a broker from before topic ids. */
#define ID_OF_NO_TOPIC "AAAAAAAAAAAAAAAAAAAAAA"

void describe_send(rd_kafka_t *rk, rd_kafka_queue_t *queue, void *opaque, const char **names,
                   size_t count, int timeout_ms)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk,
                                                                 RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, count);
    char text[128];

    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    rd_kafka_AdminOptions_set_opaque(options, opaque);
    rd_kafka_DescribeTopics(rk, topics, options, queue);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
}

const char *describe_topic_id(const rd_kafka_TopicDescription_t *topic)
{
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(topic);
    const char *text = id != NULL ? rd_kafka_Uuid_base64str(id) : NULL;

    return text != NULL && strcmp(text, ID_OF_NO_TOPIC) != 0 ? text : NULL;
}
