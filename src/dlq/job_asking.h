/*
 * What somebody wants of redrive jobs: written to the audit log, then to the jobs' topic. Owning
 * thread: the loop's.
 */
#ifndef OG_DLQ_JOB_ASKING_H
#define OG_DLQ_JOB_ASKING_H

#include "base/err.h"
#include "kafka/producer.h"
#include "record/redrive_job.h"

/* Borrowed until done. */
struct job_topics {
    struct kafka_producer *producer;
    const char *jobs, *audit;
};

/* done runs once, from the loop; where the log does not take it nothing is asked for. */
void job_ask_start(const struct job_topics *topics, const struct redrive_job *job,
                   void (*done)(void *arg, const struct err *err), void *arg);
void job_ask_cancel(const struct job_topics *topics, const char *id, const char *by,
                    const char *reason, void (*done)(void *arg, const struct err *err), void *arg);

#endif
