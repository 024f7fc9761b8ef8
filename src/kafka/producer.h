/*
 * The producer of copies (retry, dead letter): idempotent, acks=all, on the loop through queue IO
 * events. One per worker. A message is embedded in its owner; `done` runs exactly once per send,
 * never inside it: with the offset once it is acknowledged, or with an error that will not heal by
 * itself (too large, not authorised, unknown topic ...). What may heal is retried inside, for ever,
 * until cancelled. When the idempotent producer goes fatal it is made anew and everything not
 * acknowledged is produced again.
 */
#ifndef OG_KAFKA_PRODUCER_H
#define OG_KAFKA_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "config/config.h"
#include "record/record.h"

struct kafka_producer;
struct sent;

enum produce_result {
    PRODUCE_ACKED,
    PRODUCE_TOO_LARGE, /* for the client or for the broker */
    PRODUCE_DENIED,
    PRODUCE_NO_TOPIC,  /* or no such partition */
    PRODUCE_INVALID,   /* the broker refuses the record for another lasting reason */
    PRODUCE_ABANDONED, /* by kafka_producer_abandon: its fate is unknown */
    PRODUCE_CANCELLED, /* by kafka_producer_cancel_all / free: its fate is unknown */
};

struct produce {
    const char *topic; /* all borrowed until done */
    int32_t partition;
    struct slice key, value; /* null stays null */
    const struct record_header *headers;
    size_t header_count;
    void (*done)(struct produce *msg);
    void *arg;

    enum produce_result result;
    bool no_partition; /* NO_TOPIC: the topic is there, and has no such partition */
    int64_t offset;    /* ACKED */
    struct err err;    /* otherwise */

    /* the producer's */
    TAILQ_ENTRY(produce) in_list;
    struct sent *sent;
    uint8_t state;
};

struct kafka_producer *kafka_producer_new(struct loop *loop, const struct config *config,
                                          struct metrics *metrics, struct err *err) MUST_CHECK;
void kafka_producer_free(struct kafka_producer **producer); /* completes the rest as cancelled */
/* Learns of a topic now, so that the first copy to it does not wait for its metadata. */
void kafka_producer_prepare(struct kafka_producer *producer, const char *topic);
/* The timestamp is the time of writing. */
void kafka_producer_send(struct kafka_producer *producer, struct produce *msg);
/* Waits no longer for a message that was sent: done follows, with ABANDONED where it has not ended
 * yet. It may still be written. */
void kafka_producer_abandon(struct kafka_producer *producer, struct produce *msg);
/* A topic may be another than it was: what is under way is awaited for a moment, then another
 * client takes over, which has the rest (at worst a copy is written twice). The one before would
 * not follow a topic that was made again to other brokers: see consumer's renew.c. */
void kafka_producer_renew(struct kafka_producer *producer);
size_t kafka_producer_pending(const struct kafka_producer *producer);

#endif
