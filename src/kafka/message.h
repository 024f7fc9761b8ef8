/* A message of the client library as a record. Includes librdkafka: for this folder only. */
#ifndef OG_KAFKA_MESSAGE_H
#define OG_KAFKA_MESSAGE_H

#include <librdkafka/rdkafka.h>

#include "record/record.h"

/* Where the headers of one record at a time stand; zero-initialised. */
struct message_headers {
    struct record_header *items;
    size_t cap;
};

/* Fills *out, which borrows from the message, the name and the headers until any of them goes. The
 * record has no backing. */
void message_to_record(const rd_kafka_message_t *message, const char *topic,
                       struct message_headers *headers, struct record *out);
void message_headers_deinit(struct message_headers *headers);

#endif
