/*
 * Reads the dead-letter and state topics of a group from beginning to end into a table: what a dry
 * run tells of and a job begins with. Owning thread: the loop's.
 */
#ifndef OG_DLQ_REDRIVE_SCAN_H
#define OG_DLQ_REDRIVE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "dlq/filter.h"
#include "dlq/redrive_table.h"

struct redrive_scan;

struct redrive_scan_config {
    struct loop *loop;
    const struct config *config;
    const char *group;
    const struct dlq_filter *filter;
    int64_t before_ms; /* as redrive_table_new */
    const char *id;    /* the redrive, or NULL */
    bool keep_keys;    /* see redrive_table.h */
    /* Once; err is set where it could not be read. */
    void (*done)(void *arg, const struct err *err);
    void *arg;
};

struct redrive_scan *redrive_scan_new(const struct redrive_scan_config *config,
                                      struct err *err) MUST_CHECK;
/* Not from done. */
void redrive_scan_free(struct redrive_scan **scan);

/* After done: */
struct redrive_table *redrive_scan_table(struct redrive_scan *scan);
/* Letters to be sent; those that cannot are counted as skipped, of a selection also what is not
 * there. */
const struct redrive_list *redrive_scan_list(struct redrive_scan *scan);
/* Letters that had a late `redriving`; where it is the last word still, they are `late`. */
const struct redrive_list *redrive_scan_late(struct redrive_scan *scan);
/* Those that are not to be sent; the caller's. */
struct redrive_skipped *redrive_scan_skipped(const struct redrive_scan *scan);
const struct redrive_counts *redrive_scan_counts(struct redrive_scan *scan);
/* The redrive topic of a letter, and its partitions. */
const char *redrive_scan_target(const struct redrive_scan *scan, const struct redrive_entry *entry,
                                int32_t *partitions);
/* Where the state topic is to be followed from. */
int64_t redrive_scan_state_end(const struct redrive_scan *scan);
uint64_t
redrive_scan_read(const struct redrive_scan *scan); /* records so far, for a progress line */

/* The first route of a group, NULL: none. */
const struct route_config *redrive_group_route(const struct config *config, const char *group);

#endif
