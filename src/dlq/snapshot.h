/*
 * What the dead-letter and state topics hold at present, for one who asks once and has no index: an
 * index in memory, filled by the feed that fills a console's, up to the ends that the topics had
 * when the reading began. So a filter finds the same in both.
 */
#ifndef OG_DLQ_SNAPSHOT_H
#define OG_DLQ_SNAPSHOT_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "dlq/filter.h"
#include "dlq/index.h"

struct dlq_snapshot {
    struct loop *loop; /* is turned until all is read */
    const struct config *config;
    /* What will be asked: only the topics of its route and topic are read (ERR_USAGE where there
     * are none such), and text is known of what its text may find. */
    const struct dlq_filter *filter;
    /* From time to time, with the records that were read so far. */
    void (*progress)(void *arg, uint64_t records);
    void *arg;
};

/* To be closed with dlq_index_close. Fails where Kafka gives nothing for 15 s. */
struct dlq_index *dlq_snapshot_take(const struct dlq_snapshot *ask, struct err *err) MUST_CHECK;

/* Every line that the filter takes, the newest first: all pages of dlq_index_list, one after the
 * other. each must not call the index. */
bool dlq_snapshot_each(struct dlq_index *index, const struct dlq_filter *filter,
                       bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                       struct dlq_covered *covered, struct err *err) MUST_CHECK;

#endif
