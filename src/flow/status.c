/*
 * What a route is doing and why something waits, as JSON: the data behind /status and `oncegate
 * status`. Reads only; runs on the worker's thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "flow/aging.h"
#include "flow/marks.h"
#include "flow/part.h"
#include "flow/rebuild.h"
#include "flow/route.h"
#include "flow/route_state.h"
#include "flow/watchdog.h"
#include "flow/why.h"
#include "flow/worker_state.h"

static void add_name(struct buf *out, const char *name)
{
    buf_add_json(out, slice_of(name));
    buf_add_char(out, ':');
}

static void add_text(struct buf *out, const char *name, const char *value)
{
    add_name(out, name);
    buf_add_json(out, slice_of(value));
}

/* Why it is held, of all reasons the one to begin with: a topic that is another one is why its
 * offsets are gone. What the ledger says comes and goes: it is asked. */
static const char *hold_why(const struct route *route)
{
    static const enum route_hold order[] = {HOLD_FLOOD, HOLD_HANDLER, HOLD_PERSON,
                                            HOLD_TOPIC, HOLD_OFFSETS, HOLD_MARKS};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (route->holds & order[i])
            return route->hold_why[__builtin_ctz(order[i])];
    }
    return "";
}

static const char *state_of(const struct route *route)
{
    enum breaker_state breaker = breaker_state(route->breaker);
    if (route->phase != ROUTE_RUNNING)
        return route_phase_name(route->phase);
    if (!(route->holds & HOLD_LEDGER) &&
        (route->holds & ~(unsigned)(HOLD_UNREAD | HOLD_MEETING)) == 0 && route->holds != 0)
        return route_phase_name(ROUTE_JOINING);
    if (route->holds & HOLD_LEDGER)
        return "ledger-down";
    if (route->holds) /* another instance's flood comes as a hold with its reason */
        return strncmp(hold_why(route), "dead-letter-flood", 17) == 0 ? "dead-letter-flood"
                                                                      : "paused";
    if (rebuild_running(route))
        return "rebuilding";
    if (breaker == BREAKER_SUSPECT_POISON)
        return "suspect-poison";
    if (breaker == BREAKER_OPEN)
        return "breaker-open";
    return route->part_count == 0 ? "idle" : "running";
}

static void add_why(const struct route *route, struct buf *out)
{
    const char *why = "";
    char text[320];
    const char *marks = marks_why(route, text, sizeof(text));
    char aging_text[200];
    const char *aging = aging_why(route, aging_text, sizeof(aging_text));
    if (route->holds & HOLD_LEDGER)
        why = ledger_why_down(route->worker->ledger);
    else if (route->holds & HOLD_UNREAD)
        why = "the holds have not been read from Redis yet";
    else if (route->holds == HOLD_MEETING)
        why = "its topics are being looked at";
    else if (route->holds)
        why = hold_why(route);
    else if (rebuild_running(route))
        why = rebuild_text(route, text, sizeof(text));
    else if (aging)
        why = aging;
    else if (marks)
        why = marks;
    else if (breaker_state(route->breaker) != BREAKER_CLOSED)
        why = "the handler fails for many keys: one probe at a time goes out, one success closes "
              "the breaker";
    else if (route->trouble[0])
        why = route->trouble;
    else if (route->restarts && restarts_recent(route->restarts, route_now_ms(route)))
        why =
            "a producer seems to use numbers again without a new epoch, and what it sends is taken "
            "for duplicates: see numbers_used_again in the log";
    else if (route->phase == ROUTE_RUNNING && route->part_count == 0)
        why = "no partition is assigned: the group has more members than the topics have "
              "partitions, or it is rebalancing";
    add_text(out, "why", why);
}

static void add_part_why(const struct route *route, const struct part *part, struct buf *out)
{
    int64_t stuck_ms = watchdog_stuck_ms(route, part);
    char why[WHY_MAX];
    if (stuck_ms >= 0)
        buf_printf(out, "\"stuck_ms\":%lld,", (long long)stuck_ms);
    why_of_part(route, part, why);
    add_text(out, "why", why);
}

static void add_part(const struct route *route, const struct part *part, struct buf *out)
{
    int64_t high = kafka_consumer_high_watermark(route->consumer, part->kafka);
    int64_t watermark = watermark_offset(part->watermark);
    buf_add_char(out, '{');
    add_text(out, "topic", part->kafka->topic);
    buf_printf(out, ",\"partition\":%d,", (int)part->number);
    add_text(out, "kind", part_kind_name(part->kind));
    buf_printf(out, ",\"retiring\":%s,\"watermark\":%lld,\"committed\":%lld,\"open\":%zu,",
               part->retiring ? "true" : "false", (long long)watermark, (long long)part->committed,
               watermark_open(part->watermark));
    if (high >= 0)
        buf_printf(out, "\"lag\":%lld,", (long long)(high > watermark ? high - watermark : 0));
    add_part_why(route, part, out);
    buf_add_char(out, '}');
}

static void add_counts(const struct route *route, struct buf *out)
{
    static const char *const breaker[] = {"closed", "open", "suspect-poison"};
    buf_printf(out,
               ",\"in_flight_records\":%zu,\"in_flight_bytes\":%llu,\"followers_in_memory\":%zu,",
               route->open_records, (unsigned long long)route->open_bytes, route->twin_records);
    buf_printf(out, "\"lanes\":%zu,\"lanes_ready\":%zu,\"slots\":%u,\"slots_used\":%u,",
               lane_table_count(route->lanes), lane_ready_count(route->lanes), route->slots,
               route->slots_used);
    add_text(out, "breaker", breaker[breaker_state(route->breaker)]);
}

void route_status(struct route *route, struct buf *out)
{
    const struct part *part;
    bool first = true;
    buf_add_char(out, '{');
    add_text(out, "name", route->config->name);
    buf_add_char(out, ',');
    add_text(out, "group", route->config->group);
    buf_printf(out, ",\"worker\":%u,", route->worker->index);
    add_text(out, "state", state_of(route));
    buf_add_char(out, ',');
    add_why(route, out);
    buf_printf(out, ",\"ready\":%s", route_ready(route) ? "true" : "false");
    add_counts(route, out);
    buf_add_char(out, ',');
    watchdog_status(route, out);
    buf_add_text(out, ",\"partitions\":[");
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (!first)
            buf_add_char(out, ',');
        first = false;
        add_part(route, part, out);
    }
    buf_add_text(out, "]}");
}
