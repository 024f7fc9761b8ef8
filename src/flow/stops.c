/* Stopped times of a route; see stops.h. */
#include "flow/stops.h"

void stops_set(struct stops *stops, bool stopped, int64_t now_ms)
{
    if (stopped == (stops->open_since_ms != 0))
        return;
    if (stopped) {
        stops->open_since_ms = now_ms;
        return;
    }
    stops->past[stops->count % STOPS_MAX].from_ms = stops->open_since_ms;
    stops->past[stops->count % STOPS_MAX].to_ms = now_ms;
    stops->count++;
    stops->open_since_ms = 0;
}

static int64_t overlap(int64_t a_from, int64_t a_to, int64_t b_from, int64_t b_to)
{
    int64_t from = a_from > b_from ? a_from : b_from;
    int64_t to = a_to < b_to ? a_to : b_to;
    return to > from ? to - from : 0;
}

int64_t stops_within(const struct stops *stops, int64_t from_ms, int64_t now_ms)
{
    size_t kept = stops->count < STOPS_MAX ? stops->count : STOPS_MAX;
    int64_t sum = 0;
    for (size_t i = 0; i < kept; i++)
        sum += overlap(stops->past[i].from_ms, stops->past[i].to_ms, from_ms, now_ms);
    if (stops->open_since_ms != 0)
        sum += overlap(stops->open_since_ms, now_ms, from_ms, now_ms);
    return sum;
}
