/* What a console is asked to do with dead letters: archive and purge. */
#ifndef OG_GATEWAY_DLQ_BY_CONSOLE_H
#define OG_GATEWAY_DLQ_BY_CONSOLE_H

#include "cmd_dlq.h"

/* How many letters the filter (with its states) has that can be archived. */
bool dlq_archive_count(struct dlq *dlq, const struct dlq_filter *filter, uint64_t *count,
                       struct err *err) MUST_CHECK;
/* The exit code. */
int dlq_archive_by_console(struct dlq *dlq, const struct dlq_filter *filter, const char *reason,
                           uint64_t count);

struct dlq_purge_order {
    const char *topic, *reason; /* reason NULL: none */
    uint64_t partition, before;
    bool dry_run;
    uint64_t count, open; /* answered: that lie below */
    int64_t begin;        /* answered: of the partition now */
};
bool dlq_purge_by_console(struct dlq *dlq, struct dlq_purge_order *order,
                          struct err *err) MUST_CHECK;

#endif
