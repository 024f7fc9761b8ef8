/*
 * One group member: subscribes to source topics, tiers and the redrive topic of a route, on the
 * loop through queue IO events. Pull: the flow takes records partition by partition while it has
 * room, so that nothing needs pause(); a partition whose head is not due is simply not taken from.
 * Only this folder includes librdkafka.
 *
 * Assignment: range. On assign the start offsets are made explicit (the committed one; else what
 * `missing` says, resolved and committed first), then `assigned` is called once with all partitions
 * (may be none: an idle member). On revoke `revoked` is called; the flow drains within its bound,
 * commits, and calls kafka_consumer_revoke_done, which unassigns; a lost assignment is announced
 * with lost = true, needs no answer, and nothing of it is committed. struct kafka_partition lives
 * from assigned until revoke_done (or the end of the revoked callback where lost). Callbacks run on
 * the loop, never inside a call into this module. Keeps polling whatever the flow does, so
 * max.poll.interval.ms is never at risk. Owning thread: the worker's.
 */
#ifndef OG_KAFKA_CONSUMER_H
#define OG_KAFKA_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "record/record.h"

struct kafka_consumer;

struct kafka_partition {
    const char *topic; /* owned by the consumer module */
    int32_t partition;
    int64_t start_offset;
    int64_t end_offset; /* the end of the log when it was assigned, or -1 (not known) */
    void *user;         /* the flow's */
};

struct kafka_missing_offset { /* a partition of the assignment for which the group has no (valid)
                                 committed offset */
    const char *topic;
    int32_t partition;
    bool out_of_range; /* there was one, and the log does not hold it */
    bool former;       /* it was of a topic of that name which was deleted; also where it is gone
                          with that */
    int64_t committed; /* out_of_range: the offset that is gone; else -1 */
};

struct kafka_consumer_events {
    void *ctx;
    /* Which start? Answer by kafka_consumer_start_missing (now or later). OFFSET_STOP leaves the
     * partition unassigned and reported as stuck. */
    void (*missing)(void *ctx, const struct kafka_missing_offset *items, size_t count);
    void (*assigned)(void *ctx, struct kafka_partition **partitions, size_t count);
    void (*revoked)(void *ctx, bool lost);
    /* Some partition may have records: take until empty, bounded by your own budget; re-arm
     * yourself by kafka_consumer_rearm. */
    void (*readable)(void *ctx);
    /* An offset went out of range while consuming; the partition yields nothing until
     * kafka_consumer_restart_partition. After that start_offset is the new start; where that is
     * below what was consumed, revoked (lost) and assigned come first. */
    void (*out_of_range)(void *ctx, struct kafka_partition *partition, int64_t offset);
    /* Something worth a line and the status: retriable (brokers away, not authorised ...) or fatal.
     */
    void (*trouble)(void *ctx, const struct err *err);
    /* A topic that the route consumes or writes to is another than it was: a producer that has
     * written to the old one may not find the new one's leaders (kafka_producer_renew). May be
     * NULL. */
    void (*made_again)(void *ctx);
};

struct kafka_consumer_config {
    const struct config *config; /* kafka properties: common + consumer; outlives the consumer */
    const struct route_config *route; /* as well */
    uint32_t worker;                  /* index, for group.instance.id templates */
    const char **topics;              /* names, all of which exist; borrowed during the call */
    size_t topic_count;
    const char **written; /* names that the route only writes to; borrowed as well */
    size_t written_count;
    uint64_t prefetch_bytes; /* the share of limits.process_bytes that this consumer may prefetch */
};

/* Starts to join. */
struct kafka_consumer *kafka_consumer_new(struct loop *loop,
                                          const struct kafka_consumer_config *config,
                                          const struct kafka_consumer_events *events,
                                          struct err *err) MUST_CHECK;
/* Leaves the group (unless static) and frees; blocking at most timeout_ms. Not from an event's
 * callback. Every record must have been released. A partition that was not given up (revoke_done)
 * is given up without a word, a commit in flight is not answered. */
void kafka_consumer_free(struct kafka_consumer **consumer, int64_t timeout_ms);

void kafka_consumer_start_missing(struct kafka_consumer *consumer, const enum offset_start *starts,
                                  size_t count);
void kafka_consumer_revoke_done(struct kafka_consumer *consumer);
void kafka_consumer_rearm(
    struct kafka_consumer *consumer); /* readable is called again in the next turn */
bool kafka_consumer_restart_partition(struct kafka_consumer *consumer,
                                      struct kafka_partition *partition, enum offset_start start,
                                      struct err *err) MUST_CHECK;

/* Gives up the assignment and begins it again, without the group: revoked (lost), then missing or
 * assigned as after a rebalance. For offsets that were to stop and may be had now. Does nothing
 * where no assignment stands. */
void kafka_consumer_begin_again(struct kafka_consumer *consumer);

enum kafka_take { KAFKA_TAKE_RECORD, KAFKA_TAKE_EMPTY };
/* Takes the next record; the caller owns it (record_release). Never blocks. */
enum kafka_take kafka_consumer_take(struct kafka_consumer *consumer,
                                    struct kafka_partition *partition, struct record *out);

struct kafka_commit_item {
    struct kafka_partition *partition;
    int64_t offset; /* the next offset to consume */
};
/* Commits an explicit list; one in flight: a second call before done is a broken invariant. done
 * runs once, with err on failure. A commit whose assignment was revoked or lost meanwhile is
 * reported as failed with ERR_CANCELLED. */
bool kafka_consumer_committing(const struct kafka_consumer *consumer);
void kafka_consumer_commit(struct kafka_consumer *consumer, const struct kafka_commit_item *items,
                           size_t count, void (*done)(void *arg, const struct err *err), void *arg);

/* The session timeout in force, in ms. */
int64_t kafka_consumer_session_timeout_ms(const struct kafka_consumer *consumer);
bool kafka_consumer_joined(const struct kafka_consumer *consumer); /* a member that knows where it
                                                                      begins, also an idle one */
size_t kafka_consumer_assigned_count(const struct kafka_consumer *consumer);
bool kafka_consumer_lost(const struct kafka_consumer *consumer);
/* The high watermark as last fetched, or -1 (unknown): lag = high - committed. */
int64_t kafka_consumer_high_watermark(const struct kafka_consumer *consumer,
                                      const struct kafka_partition *partition);

#endif
