/*
 * The work of one redrive job: reads what is to be sent, sends it at the job's rate, records it,
 * counts how it ends. Who may do it, and where the job's record is kept, is jobs.h's. May be broken
 * off anywhere and begun again by anybody: what was recorded is not sent again, what was only
 * produced is, and the ledger takes it once.
 *
 * For each letter, in the order of the origins: read its newest bytes, write a copy with the
 * redrive's headers, produce it to its redrive topic, await that, then record `redriving` in the
 * state topic. Owning thread: the loop's.
 */
#ifndef OG_DLQ_REDRIVE_H
#define OG_DLQ_REDRIVE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "dlq/redrive_skipped.h"
#include "kafka/producer.h"
#include "record/redrive_job.h"

struct redrive;

struct redrive_config {
    struct loop *loop;
    const struct config *config;
    struct kafka_producer *producer; /* borrowed; outlives it */
    struct redrive_job *job; /* borrowed: its counts, position and note are kept up to date here */
    void (*changed)(void *arg);
    /* Once, not inside a call: nothing more will be sent or counted. note: NULL or why. */
    void (*ended)(void *arg, enum redrive_status status, const char *note);
    void *arg;
    int64_t patience_ms; /* so long without an end of a letter, and the rest is left on its way */
};

struct redrive *redrive_new(const struct redrive_config *config, struct err *err) MUST_CHECK;
/* Its letters are known: what is skipped is, but for what Kafka refuses or has lost later. */
bool redrive_has_begun(const struct redrive *redrive);
/* Which it has skipped so far, by reason; the caller's. Once it has begun. */
struct redrive_skipped *redrive_list_skipped(const struct redrive *redrive);
/* Sends nothing more; what was begun is recorded, then `ended`. */
void redrive_cancel(struct redrive *redrive);
/* At once: what is on its way to the brokers may or may not be written. Not from its callbacks. */
void redrive_free(struct redrive **redrive);

#endif
