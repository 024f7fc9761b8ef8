/*
 * The question which topics there are under some names, asked through an admin call on the
 * consumer's own handle: it passes by librdkafka's cache. Must not: decide anything.
 */
#include "kafka/consumer_state.h"

void describe_send(struct kafka_consumer *consumer, uint64_t number, const char **names,
                   size_t count, int timeout_ms)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(consumer->rk,
                                                                 RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, count);
    char text[128];

    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text));
    rd_kafka_AdminOptions_set_opaque(options, offset_query_opaque(number, 0));
    rd_kafka_DescribeTopics(consumer->rk, topics, options, consumer->reply_queue);
    rd_kafka_TopicCollection_destroy(topics);
    rd_kafka_AdminOptions_destroy(options);
}
