/* Redrive jobs as people and programs read them. */
#ifndef OG_GATEWAY_REDRIVE_PRINT_H
#define OG_GATEWAY_REDRIVE_PRINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "record/redrive_job.h"

/* What became of a job so far, in lines. */
void redrive_print_job(const struct redrive_job *job, bool cancel_asked, struct buf *out);
/* One line: "12 of 40 sent, 10 resolved, 1 failed". */
void redrive_print_progress(const struct redrive_job *job, struct buf *out);
/* What a job would do. */
void redrive_print_plan(const struct redrive_counts *counts, const struct redrive_job *job,
                        struct buf *out);
/* "waiting" ... , or what somebody has asked for. */
const char *redrive_print_status(const struct redrive_job *job, bool cancel_asked);

#endif
