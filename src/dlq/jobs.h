/*
 * The redrive jobs of a group: follows their topic, asks for new ones and for their end, and, where
 * it joins as a runner, does them, one at a time in the order of their ids.
 *
 * Who runs: of the members of the group "<group>.oncegate-redrive" the one that Kafka gives
 * partition 0 of dlq-state.<group>. Any number may join; when the owner dies another goes on with
 * its job from what the topics say. An owner writes itself and an epoch one higher than the last
 * into the job's record, and begins when it has read that back; who reads a higher epoch than its
 * own stops. Owning thread: the loop's.
 */
#ifndef OG_DLQ_JOBS_H
#define OG_DLQ_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "record/redrive_job.h"

struct jobs;

struct jobs_config {
    struct loop *loop;
    const struct config *config;
    const char *group;
    const char *owner;   /* how this program names itself in what it runs: host/pid */
    int64_t patience_ms; /* see redrive.h; 0: 5 minutes */
    /* The jobs that stood in the topic are known. */
    void (*known)(void *arg);
    /* A job is new or has moved. Valid during the call. cancel_asked: somebody wants it ended. */
    void (*changed)(void *arg, const struct redrive_job *job, bool cancel_asked);
    /* The runner's part was given to this one, or taken. */
    void (*owning)(void *arg, bool owns);
    /* It cannot go on. */
    void (*failed)(void *arg, const struct err *err);
    void *arg;
};

struct jobs *jobs_new(const struct jobs_config *config, struct err *err) MUST_CHECK;
/* Not from its callbacks. What it runs stays as it is and is taken up by the next runner. */
void jobs_free(struct jobs **jobs);

/* Joins the runners. */
bool jobs_join(struct jobs *jobs, struct err *err) MUST_CHECK;
bool jobs_owns(const struct jobs *jobs);

/* Both write to the audit log first: without that nothing is done. done runs once, from the loop.
 */
void jobs_start(struct jobs *jobs, const struct redrive_job *job,
                void (*done)(void *arg, const struct err *err), void *arg);
void jobs_cancel(struct jobs *jobs, const char *id, const char *by, const char *reason,
                 void (*done)(void *arg, const struct err *err), void *arg);

/* NULL: not known. Borrowed until the loop turns. */
const struct redrive_job *jobs_find(const struct jobs *jobs, const char *id);
/* Whether somebody wants it ended. */
bool jobs_cancel_asked(const struct jobs *jobs, const char *id);
/* The record of their topic's partition LETTER_STATE_PARTITION that lists what it skipped
 * (redrive_skipped.h); -1: there is none. */
int64_t jobs_skipped_at(const struct jobs *jobs, const char *id);
const char *jobs_topic(const struct jobs *jobs);
size_t jobs_count(const struct jobs *jobs);
/* In the order of their ids. */
const struct redrive_job *jobs_at(const struct jobs *jobs, size_t at);

#endif
