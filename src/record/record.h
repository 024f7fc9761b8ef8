/*
 * One Kafka record as the rest of the program sees it. Everything it points to is borrowed from
 * `backing`, which the consumer fills (no copy is made between the client library and the handler's
 * socket).
 */
#ifndef OG_RECORD_RECORD_H
#define OG_RECORD_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct record_header {
    struct slice name;  /* never null; NUL-terminated when it comes from Kafka */
    struct slice value; /* null where Kafka says null */
};

struct record {
    struct slice topic; /* NUL-terminated */
    int32_t partition;
    int32_t leader_epoch; /* -1 where the broker does not say */
    int64_t offset;
    int64_t timestamp_ms;                /* -1: none */
    bool log_append_time;                /* the timestamp is the broker's, not the producer's */
    struct slice key;                    /* null is not empty */
    struct slice value;                  /* null is a tombstone */
    const struct record_header *headers; /* in order, repeats kept */
    size_t header_count;

    void *backing;                  /* owned; whatever holds the bytes */
    void (*release)(void *backing); /* NULL: nothing to release */
};

/* Releases the backing; the record must not be read afterwards. */
void record_release(struct record *rec);
/* Bytes of key, value and headers: what limits.bytes counts. */
size_t record_size(const struct record *rec);
/* The last header of that name (the record's own repeats: the last one wins), or NULL. */
const struct record_header *record_find_header(const struct record *rec, const char *name);

#endif
