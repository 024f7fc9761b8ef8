/*
 * Names what makes no progress: a partition whose oldest open record stays, or of which nothing
 * comes though the broker has more; a key whose record has been begun and does not end. Time in
 * which the route does not deliver by its own decision (a pause, an open breaker, Redis away) does
 * not count: there the route itself says why. Owning thread: the worker's.
 */
#ifndef OG_FLOW_WATCHDOG_H
#define OG_FLOW_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct delivery;
struct part;
struct route;

/* Of a route: what the last look found. */
struct watchdog {
    uint64_t run_ms;  /* how long the route has delivered, in all */
    uint64_t look_ms; /* monotonic; of the last look */
    bool delivered;   /* then */
    unsigned parts, keys;
    int phase; /* the phase that the route is in, since */
    uint64_t phase_ms;
    bool phase_told;
};

/* Of a partition. Times are of run_ms. */
struct watchdog_part {
    bool met;
    int64_t offset;             /* where it was */
    int64_t high;               /* of the broker, when it was last there */
    uint64_t moved_ms;          /* since when it is there */
    uint64_t first_ms, last_ms; /* when the broker had more for the first and the last time since */
    bool refused;               /* a copy of it cannot be written at present */
    bool stuck;
    uint64_t told_ms;
};

/* Looks at all; once a second. Sets the metrics, writes to the log. */
void watchdog_look(struct route *route);
/* A record is begun for the first time. */
void watchdog_begin(struct delivery *d);
/* How long the partition has been stuck, in ms; -1: it is not. */
int64_t watchdog_stuck_ms(const struct route *route, const struct part *part);
/* The key for a log or a status; null where keys may not be shown (they are a customer's, or a
 * patient's), or where it is long. */
struct slice watchdog_shown_key(const struct route *route, const struct delivery *d);
/* Appends "stuck_keys":N,"stuck":[...] for /status: the first few records that do not end. */
void watchdog_status(const struct route *route, struct buf *out);

#endif
