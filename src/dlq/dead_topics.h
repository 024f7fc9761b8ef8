/* Dead-letter topics for one who waits for the answer (commands): which there are, their records,
 * and deleting the oldest. Each ends where nothing has happened for 15 s. */
#ifndef OG_DLQ_DEAD_TOPICS_H
#define OG_DLQ_DEAD_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "kafka/admin.h"
#include "kafka/reader.h"
#include "record/record.h"

struct dlq_topic {
    char *name;
    const struct route_config *route; /* borrowed from the configuration */
    bool exists;
    int32_t partitions;
    char uuid[KAFKA_UUID_MAX]; /* "" where the broker does not say */
};
struct dlq_topics {
    struct dlq_topic *items;
    size_t count;
};

/* The dead-letter topics of a route (NULL: of all), or the one of that name (NULL: all). None that
 * fits is ERR_USAGE. */
bool dlq_topics_find(struct loop *loop, const struct config *config, const char *route,
                     const char *topic, struct dlq_topics *out, struct err *err) MUST_CHECK;
void dlq_topics_deinit(struct dlq_topics *topics);
bool dlq_topic_exists(struct loop *loop, const struct config *config, const char *name,
                      bool *exists, struct err *err) MUST_CHECK;
/* Reads ranges, in any order between them, to their present ends or until each returns false. The
 * record is each's during the call only. */
bool dlq_read(struct loop *loop, const struct config *config,
              const struct kafka_reader_range *ranges, size_t count,
              bool (*each)(void *arg, const struct record *rec), void *arg,
              struct err *err) MUST_CHECK;
/* A record that outlives its reader. */
struct kept_record {
    struct record rec; /* slices into what is below */
    struct record_header *headers;
    struct buf bytes;
};
void kept_record_deinit(struct kept_record *kept);
/* One record; *found false: nothing stands there (any more), and there is nothing to free. */
bool dlq_read_one(struct loop *loop, const struct config *config, const char *topic,
                  int32_t partition, int64_t offset, struct kept_record *kept, bool *found,
                  struct err *err) MUST_CHECK;

/* Deletes what lies below an offset; *begin: where the log begins then. */
bool dlq_delete_below(struct loop *loop, const struct config *config, const char *topic,
                      int32_t partition, int64_t offset, int64_t *begin,
                      struct err *err) MUST_CHECK;

#endif
