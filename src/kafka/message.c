/*
 * Messages as records; see message.h. Nothing is copied: what is null in Kafka stays null, which is
 * not the same as empty.
 */
#include "kafka/message.h"

#include "base/mem.h"

static void fill_headers(const rd_kafka_message_t *message, struct message_headers *headers,
                         struct record *out)
{
    rd_kafka_headers_t *list;
    size_t count;

    if (rd_kafka_message_headers(message, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    count = rd_kafka_header_cnt(list);
    if (count > headers->cap) {
        headers->items = mem_realloc(headers->items, count * sizeof(*headers->items));
        headers->cap = count;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name;
        const void *value;
        size_t size;

        if (rd_kafka_header_get_all(list, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            break;
        headers->items[i].name = slice_of(name);
        headers->items[i].value = (struct slice){value, value != NULL ? size : 0};
        out->header_count++;
    }
    out->headers = headers->items;
}

void message_to_record(const rd_kafka_message_t *message, const char *topic,
                       struct message_headers *headers, struct record *out)
{
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;

    *out = (struct record){0};
    out->topic = slice_of(topic);
    out->partition = message->partition;
    out->leader_epoch = rd_kafka_message_leader_epoch(message);
    out->offset = message->offset;
    out->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    out->log_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    out->key = (struct slice){message->key, message->key != NULL ? message->key_len : 0};
    out->value = (struct slice){message->payload, message->payload != NULL ? message->len : 0};
    fill_headers(message, headers, out);
}

void message_headers_deinit(struct message_headers *headers)
{
    mem_free(headers->items);
    *headers = (struct message_headers){0};
}
