/*
 * Follows partitions from an offset on, for as long as it lives, beside every group: a client of
 * its own that neither joins nor commits. Each time a partition is read to its end the offset of
 * that end is told, so that its reader knows how far it stands where the last offsets hold no
 * records (transaction markers, compaction). Brokers that are away are waited for. Owning thread:
 * the loop's.
 *
 * Where the log begins later than the offset asked for, it is read from its beginning. So it is
 * where the log has become shorter than that (the topic was made again): then an offset comes that
 * is lower than the ones before, and what to do about it is the caller's to decide.
 */
#ifndef OG_KAFKA_FOLLOWER_H
#define OG_KAFKA_FOLLOWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "kafka/reader.h"
#include "record/record.h"

struct kafka_follower;

/* readable(arg): there may be something to take; take until it is empty, or call again yourself.
 * group: for the brokers' access rules. */
struct kafka_follower *kafka_follower_new(struct loop *loop, const struct config *config,
                                          const char *group,
                                          const struct kafka_reader_range *ranges, size_t count,
                                          void (*readable)(void *arg), void *arg,
                                          struct err *err) MUST_CHECK;
/* Not from readable. */
void kafka_follower_free(struct kafka_follower **follower);

enum kafka_follow {
    KAFKA_FOLLOW_RECORD,
    KAFKA_FOLLOW_EMPTY,  /* nothing at present */
    KAFKA_FOLLOW_END,    /* one range is read to the end that it has now */
    KAFKA_FOLLOW_TROUBLE /* one range cannot be read at present; err says why. It is tried on. */
};
/* Never blocks. The record is the follower's until the next call. range: index of its range; end:
 * the offset of that end, the one of the next record that will be written. */
enum kafka_follow kafka_follower_take(struct kafka_follower *follower, struct record *out,
                                      size_t *range, int64_t *end, struct err *err);

#endif
