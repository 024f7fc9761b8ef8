/*
 * The flood guard: where dead letters exceed a share of what was ended within a sliding window (and
 * a number of records), whatever the cause, the route must pause. Pure: times are monotonic ms
 * passed in. Ten buckets make the window slide.
 */
#ifndef OG_FLOW_FLOOD_H
#define OG_FLOW_FLOOD_H

#include <stdbool.h>
#include <stdint.h>

#define FLOOD_BUCKETS 10

struct flood {
    double share;
    uint32_t records;
    int64_t window_ms;
    uint64_t bucket_started; /* index of the newest bucket: now / (window / FLOOD_BUCKETS) */
    uint32_t ended[FLOOD_BUCKETS];
    uint32_t dead[FLOOD_BUCKETS];
};

void flood_init(struct flood *flood, double share, uint32_t records, int64_t window_ms);
void flood_reset(struct flood *flood);
/* A record ended otherwise than as a dead letter; now_ms may be a little before what was counted.
 */
void flood_ended(struct flood *flood, uint64_t now_ms);
/* May one more dead letter be written? Counts it when it may; false: pause. */
bool flood_admits(struct flood *flood, uint64_t now_ms);

#endif
