/* The redrive jobs of a group as their topic tells them, in the order of their ids. Owning thread:
 * its user's. */
#ifndef OG_DLQ_KNOWN_JOBS_H
#define OG_DLQ_KNOWN_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "record/redrive_job.h"

struct known_job {
    struct redrive_job job;
    bool cancel; /* somebody wants it ended */
    int64_t
        skipped_at; /* where its list of skipped letters stands in the topic; -1: there is none */
};

/* Zeroed: none. */
struct known_jobs {
    struct known_job **items; /* sorted by id */
    size_t count;
};

void known_jobs_deinit(struct known_jobs *jobs);
/* NULL: not known. Borrowed until it is forgotten. */
struct known_job *known_jobs_find(const struct known_jobs *jobs, struct slice id);
struct known_job *known_jobs_find_or_add(struct known_jobs *jobs, struct slice id);
void known_jobs_forget(struct known_jobs *jobs, struct slice id);
/* A cancel, or a list, alone makes no job. */
bool known_job_is_job(const struct known_job *known);

#endif
