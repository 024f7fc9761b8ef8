/*
 * What a record of a dead-letter topic says, whoever wrote it: oncegate itself, a broker for a
 * share group (KIP-1191: __dlq.errors.*), Kafka Streams (KIP-1034: __streams.errors.*), Spring
 * Kafka (kafka_dlt-*, its numbers big-endian binary; kafka_* in its retry topics), Kafka Connect
 * (__connect.errors.*), or a plain producer. Reading never fails: what is missing or unreadable is
 * left at its null value and named in `unread`.
 */
#ifndef OG_RECORD_DEAD_LETTER_H
#define OG_RECORD_DEAD_LETTER_H

#include <stdbool.h>
#include <stdint.h>

#include "record/headers.h"
#include "record/record.h"

enum letter_writer {
    LETTER_OWN,
    LETTER_STREAMS,
    LETTER_SPRING,
    LETTER_CONNECT,
    LETTER_PLAIN, /* none of these: only topic, time, key and value are known */
    LETTER_SHARE_GROUP,
};

/* Slices are borrowed from the record. Names and codes are valid UTF-8; a detail need not be. */
struct dead_letter {
    enum letter_writer writer;
    struct slice group; /* the consumer or share group; of Kafka Connect the connector's name; null:
                           unknown */
    struct slice route; /* null where another program wrote it */
    struct origin origin;       /* topic null, partition, offset and time -1 where unknown */
    uint32_t attempts;          /* 0 unknown */
    int32_t http_status;        /* 0 none */
    int64_t first_failed_at_ms; /* 0 unknown */
    int64_t last_failed_at_ms;  /* 0 unknown: the record's own timestamp stands in */
    struct slice code;   /* the stable error code, or the exception's class name; null: unknown */
    struct slice detail; /* the handler's answer, or the exception's message; null: none */
    /* What oncegate wrote, else computed here alike; in the route's place stands the group, and
     * where that is unknown the dead-letter topic, so that two programs' failures are two groups.
     */
    char signature[HEADERS_SIGNATURE_MAX];
    bool has_epoch, has_number;
    uint64_t epoch, number;
    struct slice redrive_id; /* null: never redriven */
    uint32_t redrive_count;
    struct slice first_letter; /* the state key of the letter that this one continues (it was
                                  redriven and failed again), null: this is a first one */
    /* Name of the first header (in the order of the record) that is there but unreadable, else of
     * one that its writer always writes and that is missing; NULL: none. Static. */
    const char *unread;
};

void dead_letter_read(const struct record *rec, struct dead_letter *out);

/* own is "oncegate"; else "streams", "spring", "connect", "plain", "share-group". Static. */
const char *letter_writer_name(enum letter_writer writer);

#endif
