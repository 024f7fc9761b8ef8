/*
 * Single records by their place, one after the other: the value of a dead letter that is shown or
 * sent. A client of its own beside every group. Places that follow each other closely in a
 * partition come from what was fetched ahead. Owning thread: the loop's.
 */
#ifndef OG_KAFKA_FETCH_H
#define OG_KAFKA_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "record/record.h"

struct kafka_fetch;

enum kafka_fetched {
    KAFKA_FETCHED,     /* rec is the record; the caller's during the call only */
    KAFKA_FETCH_NONE,  /* no record stands there: retention or compaction took it, or none ever did
                        */
    KAFKA_FETCH_FAILED /* err says why; brokers that are away are waited for and are no failure */
};

/* group: for the brokers' access rules; it is neither joined nor committed to. */
struct kafka_fetch *kafka_fetch_new(struct loop *loop, const struct config *config,
                                    const char *group, struct err *err) MUST_CHECK;
/* What was asked for is not answered. Not from done. */
void kafka_fetch_free(struct kafka_fetch **fetch);
/* One at a time: done runs once, from the loop, never inside the call; there the next may be asked
 * for. */
void kafka_fetch_get(struct kafka_fetch *fetch, const char *topic, int32_t partition,
                     int64_t offset,
                     void (*done)(void *arg, enum kafka_fetched result, struct record *rec,
                                  const struct err *err),
                     void *arg);

#endif
