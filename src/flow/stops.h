/*
 * The times at which a route did not deliver by its own decision (breaker open, paused, flood):
 * they do not count to give_up_after. Wall-clock ms, because first-failed-at is. Pure. Keeps the
 * newest STOPS_MAX intervals; older ones are forgotten, which only makes a record live shorter than
 * it might.
 */
#ifndef OG_FLOW_STOPS_H
#define OG_FLOW_STOPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STOPS_MAX 128

struct stops {
    struct {
        int64_t from_ms, to_ms;
    } past[STOPS_MAX];
    size_t count;          /* ever written; the newest stands at (count - 1) % STOPS_MAX */
    int64_t open_since_ms; /* 0: delivering */
};

/* Tells whether the route is stopped now; saying the same twice is fine. */
void stops_set(struct stops *stops, bool stopped, int64_t now_ms);
/* How much of [from, now] the route was stopped. */
int64_t stops_within(const struct stops *stops, int64_t from_ms, int64_t now_ms);

#endif
