/* A dead letter as it waits in the spool: what its topic is to get, to the byte. */
#ifndef OG_SPOOL_SPOOL_RECORD_H
#define OG_SPOOL_SPOOL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/record.h"

#define SPOOL_TOPIC_MAX 250 /* with its NUL */

struct spool_record {
    char topic[SPOOL_TOPIC_MAX];
    int32_t partition;
    int64_t time_ms;         /* wall; when it was given to the spool */
    struct slice key, value; /* borrowed; null stays null */
    const struct record_header *headers;
    size_t header_count;
};

/* Appends the record's bytes. */
void spool_record_write(const struct spool_record *rec, struct buf *out);
/*
 * Reads them back. Key, value and headers are borrowed from bytes; the list of headers is made, and
 * freed by spool_record_deinit (after a failure too). Fails on what spool_record_write does not
 * write.
 */
bool spool_record_read(struct slice bytes, struct spool_record *out, struct err *err) MUST_CHECK;
void spool_record_deinit(struct spool_record *rec);

#endif
