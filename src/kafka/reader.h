/*
 * Reads ranges of partitions once, each from an offset to the end that the partition has at that
 * moment, beside the group: a client of its own that neither joins nor commits, so that the
 * position of the consumer is never touched. The end is the broker's word (end of partition), not
 * an offset: transaction markers and compacted records at the end are no records. Where the log
 * begins later than the offset asked for, it is read from its beginning. Owning thread: the loop's.
 */
#ifndef OG_KAFKA_READER_H
#define OG_KAFKA_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "record/record.h"

struct kafka_reader;

struct kafka_reader_range {
    const char *topic; /* borrowed during kafka_reader_new */
    int32_t partition;
    int64_t from;
};

/* readable(arg): there may be something to take; take until it is empty, or call again yourself. */
struct kafka_reader *kafka_reader_new(struct loop *loop, const struct config *config,
                                      const char *group, const struct kafka_reader_range *ranges,
                                      size_t count, void (*readable)(void *arg), void *arg,
                                      struct err *err) MUST_CHECK;
/* The same, but it goes on behind the ends: KAFKA_READ_END is told once, when all ranges were read
 * to the ends that they had, and from then on there are records or nothing at present. */
struct kafka_reader *kafka_reader_follow(struct loop *loop, const struct config *config,
                                         const char *group, const struct kafka_reader_range *ranges,
                                         size_t count, void (*readable)(void *arg), void *arg,
                                         struct err *err) MUST_CHECK;
/* Not from readable. */
void kafka_reader_free(struct kafka_reader **reader);

enum kafka_read {
    KAFKA_READ_RECORD,
    KAFKA_READ_EMPTY,  /* nothing at present */
    KAFKA_READ_END,    /* every range is read to its end */
    KAFKA_READ_FAILED, /* err says why; this reader is of no more use */
};
/* Never blocks. The record is the reader's until the next call; range is the index of its range. */
enum kafka_read kafka_reader_take(struct kafka_reader *reader, struct record *out, size_t *range,
                                  struct err *err);

#endif
