/* The flood guard; see flood.h. */
#include "flow/flood.h"

#include <string.h>

void flood_init(struct flood *flood, double share, uint32_t records, int64_t window_ms)
{
    memset(flood, 0, sizeof(*flood));
    flood->share = share;
    flood->records = records;
    flood->window_ms = window_ms;
}

void flood_reset(struct flood *flood)
{
    flood_init(flood, flood->share, flood->records, flood->window_ms);
}

static unsigned slide(struct flood *flood, uint64_t now_ms)
{
    uint64_t width = (uint64_t)flood->window_ms / FLOOD_BUCKETS;
    uint64_t bucket = now_ms / (width ? width : 1);
    if (bucket < flood->bucket_started) /* an answer that is told behind one that came later */
        bucket = flood->bucket_started;
    uint64_t steps = bucket - flood->bucket_started;
    if (steps > FLOOD_BUCKETS)
        steps = FLOOD_BUCKETS;
    for (uint64_t i = 0; i < steps; i++) {
        unsigned at = (unsigned)((bucket - i) % FLOOD_BUCKETS);
        flood->ended[at] = flood->dead[at] = 0;
    }
    flood->bucket_started = bucket;
    return (unsigned)(bucket % FLOOD_BUCKETS);
}

void flood_ended(struct flood *flood, uint64_t now_ms)
{
    flood->ended[slide(flood, now_ms)]++;
}

bool flood_admits(struct flood *flood, uint64_t now_ms)
{
    unsigned at = slide(flood, now_ms);
    uint64_t ended = 0, dead = 0;
    for (unsigned i = 0; i < FLOOD_BUCKETS; i++) {
        ended += flood->ended[i];
        dead += flood->dead[i];
    }
    if (dead >= flood->records && (double)dead >= flood->share * (double)(dead + ended))
        return false;
    flood->dead[at]++;
    return true;
}
