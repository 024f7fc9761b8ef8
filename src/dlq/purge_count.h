/* How many letters a purge takes: it deletes what lies below an offset of a partition, for ever. */
#ifndef OG_DLQ_PURGE_COUNT_H
#define OG_DLQ_PURGE_COUNT_H

#include <stdint.h>

#include "dlq/filter.h"
#include "dlq/index.h"

struct purge_count {
    uint64_t partition, before;
    uint64_t letters, open; /* open: or on their way */
};

/* The lines that are to be counted: all of the topic. filter is empty before. */
void purge_count_filter(struct dlq_filter *filter, const char *topic);
/* A line counts by where its newest copy lies: older ones of it may go too. */
void purge_count_add(struct purge_count *count, const struct dlq_row *row);

#endif
