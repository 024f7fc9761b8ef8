/* What is read off a route's state by whoever has it; see route_state.h. Must not: change it. */
#include "flow/route_state.h"

#include "base/clock.h"

const char *route_phase_name(enum route_phase phase)
{
    static const char *const names[] = {"starting", "joining", "running", "revoking",
                                        "draining", "stopped", "failed"};
    return names[phase];
}

uint64_t route_now_ms(const struct route *route)
{
    (void)route;
    return clock_mono_ns() / NS_PER_MS;
}

const struct route_tier *route_topic_tier(const struct route_topic *topic, int32_t ms)
{
    for (size_t i = 0; i < topic->tier_count; i++) {
        if (topic->tiers[i].ms >= ms)
            return &topic->tiers[i];
    }
    return &topic->tiers[topic->tier_count - 1];
}

bool route_delivers(const struct route *route)
{
    return route->phase == ROUTE_RUNNING && route->holds == 0;
}
