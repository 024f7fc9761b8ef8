/*
 * Questions about the ends of partitions, asked asynchronously through librdkafka's admin calls on
 * the consumer's own handle. Every answer carries the number of its question, so that late ones can
 * be told apart. It must not decide anything: start.c and restart.c do.
 */
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"

#define QUERY_TIMEOUT_MS 10000

/* A number that librdkafka carries for us, never an address. */
void *offset_query_opaque(uint64_t number, enum offset_query kind)
{
    uintptr_t carried = (uintptr_t)(number << 2 | (uint64_t)kind);

    return (void *)carried; /* NOLINT(performance-no-int-to-ptr) */
}

uint64_t offset_query_number(rd_kafka_event_t *event)
{
    return (uint64_t)(uintptr_t)rd_kafka_event_opaque(event) >> 2;
}

enum offset_query offset_query_kind(rd_kafka_event_t *event)
{
    return (enum offset_query)((uintptr_t)rd_kafka_event_opaque(event) & 3);
}

static rd_kafka_AdminOptions_t *options_new(struct kafka_consumer *consumer, rd_kafka_admin_op_t op,
                                            void *opaque)
{
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(consumer->rk, op);
    char text[128];

    rd_kafka_AdminOptions_set_request_timeout(options, QUERY_TIMEOUT_MS, text, sizeof(text));
    rd_kafka_AdminOptions_set_opaque(options, opaque);
    return options;
}

/* Read committed: "latest" stands before the records of transactions that are still open. */
static void send_list(struct kafka_consumer *consumer, void *opaque, int64_t spec,
                      const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_AdminOptions_t *options = options_new(consumer, RD_KAFKA_ADMIN_OP_LISTOFFSETS, opaque);
    rd_kafka_topic_partition_list_t *request = rd_kafka_topic_partition_list_copy(list);

    for (int i = 0; i < request->cnt; i++)
        request->elems[i].offset = spec;
    rd_kafka_error_destroy(rd_kafka_AdminOptions_set_isolation_level(
        options, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED));
    rd_kafka_ListOffsets(consumer->rk, request, options, consumer->reply_queue);
    rd_kafka_topic_partition_list_destroy(request);
    rd_kafka_AdminOptions_destroy(options);
}

void offset_query_send(struct kafka_consumer *consumer, uint64_t number, enum offset_query kind,
                       const rd_kafka_topic_partition_list_t *list)
{
    send_list(consumer, offset_query_opaque(number, kind),
              kind == QUERY_EARLIEST ? RD_KAFKA_OFFSET_SPEC_EARLIEST : RD_KAFKA_OFFSET_SPEC_LATEST,
              list);
}

static void read_list(rd_kafka_event_t *event,
                      void (*each)(void *arg, const rd_kafka_topic_partition_t *item), void *arg)
{
    size_t count = 0;
    const rd_kafka_ListOffsetsResultInfo_t **infos = rd_kafka_ListOffsets_result_infos(
        rd_kafka_event_ListOffsets_result(event), &count);

    for (size_t i = 0; i < count; i++)
        each(arg, rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]));
}

bool offset_query_read(rd_kafka_event_t *event,
                       void (*each)(void *arg, const rd_kafka_topic_partition_t *item), void *arg,
                       struct err *err)
{
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return client_error_set(err, rd_kafka_event_error(event),
                                "asking for the ends of partitions");
    read_list(event, each, arg);
    return true;
}
