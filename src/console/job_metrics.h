/*
 * The counter redrive_records_total{group,result}: how the records of the redrive jobs ended, as
 * the jobs' own records say. These stay in their topic, so the counter goes on where it stood when
 * a console is started anew, is the same in every console, and is not there until a group's jobs
 * are known: a series that began at 0 and leapt would count all of them again. Owning thread: the
 * loop's.
 */
#ifndef OG_CONSOLE_JOB_METRICS_H
#define OG_CONSOLE_JOB_METRICS_H

#include "base/metrics.h"
#include "console/redriving.h"

struct job_metrics;

/* Borrowed. */
struct job_metrics *job_metrics_new(struct metrics *metrics, const struct redriving *redriving);
void job_metrics_free(struct job_metrics **job_metrics);
/* Before they are rendered. */
void job_metrics_update(struct job_metrics *job_metrics);

#endif
