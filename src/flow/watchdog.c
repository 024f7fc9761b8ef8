/*
 * The watchdog; see watchdog.h.
 * Invariants: it only looks; what it finds is written to the log once, and again every few minutes
 * while it lasts. A record that is not due yet, or waits for its turn behind another of its key, is
 * not stuck. Must not: mend anything.
 */
#include "flow/watchdog.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/part.h"
#include "flow/route.h"
#include "flow/route_state.h"
#include "flow/why.h"

#define TELL_AGAIN_MS (INT64_C(5) * 60 * 1000)
#define LOOK_EVERY_MS                                                                              \
    1000                /* the clock stands still in between: what begins then begins at its end */
#define NAMED_MAX    10 /* keys in /status, and in the log at a time */
#define KEY_TEXT_MAX 128

static uint64_t limit_ms(const struct route *route)
{
    return (uint64_t)route->config->stuck_after_ms;
}

void watchdog_begin(struct delivery *d)
{
    if (d->begun_ms == 0)
        d->begun_ms = d->route->watchdog.run_ms + LOOK_EVERY_MS;
}

/* ---- partitions ---- */

static bool waits_for_its_time(const struct part *part)
{
    return part->waiting && part->waiting->due_wall_ms > clock_wall_ms();
}

/* What cannot go on by itself, however long it has been so. */
static void note_refused(struct route *route)
{
    struct delivery *d;
    struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    part->watchdog.refused = part->out_of_range;
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        if (d->state == DELIVERY_WAITING &&
            (d->wait == WAIT_PRODUCE || d->wait == WAIT_SPOOL || d->wait == WAIT_STATE))
            d->part->watchdog.refused = true;
    }
}

/*
 * The broker has more, and nothing of it comes. Offsets may hold nothing to read (markers of
 * transactions, aborted records), so one time more is no proof: more and more is.
 */
static bool is_starved(const struct route *route, struct watchdog_part *w, int64_t high)
{
    uint64_t now = route->watchdog.run_ms;
    if (w->high < 0)
        w->high = high;
    if (high > w->high) {
        w->high = high;
        w->last_ms = now;
        if (w->first_ms == 0)
            w->first_ms = now + 1;
    }
    return w->first_ms > 0 && now + 1 - w->first_ms >= limit_ms(route) &&
           now - w->last_ms < limit_ms(route);
}

static bool is_stuck(struct route *route, struct part *part)
{
    struct watchdog_part *w = &part->watchdog;
    int64_t offset = watermark_offset(part->watermark);
    int64_t high = kafka_consumer_high_watermark(route->consumer, part->kafka);
    if (!w->met || offset != w->offset || waits_for_its_time(part)) {
        *w = (struct watchdog_part){.met = true,
                                    .offset = offset,
                                    .high = high,
                                    .moved_ms = route->watchdog.run_ms,
                                    .refused = w->refused,
                                    .stuck = w->stuck,
                                    .told_ms = w->told_ms};
        return w->refused;
    }
    if (watermark_open(part->watermark) == 0) {
        w->moved_ms = route->watchdog.run_ms; /* of what comes, not of what is not there */
        return w->refused || is_starved(route, w, high);
    }
    w->first_ms = w->last_ms = 0;
    return w->refused || route->watchdog.run_ms - w->moved_ms >= limit_ms(route);
}

int64_t watchdog_stuck_ms(const struct route *route, const struct part *part)
{
    const struct watchdog_part *w = &part->watchdog;
    if (!w->stuck)
        return -1;
    return (int64_t)(w->first_ms > 0 ? route->watchdog.run_ms + 1 - w->first_ms
                                     : route->watchdog.run_ms - w->moved_ms);
}

static void tell_part(struct route *route, struct part *part, bool stuck)
{
    struct watchdog_part *w = &part->watchdog;
    uint64_t now_ms = route_now_ms(route);
    char why[WHY_MAX];
    if (!stuck && w->stuck)
        log_info("partition_moves_again", LOG_STR("route", route->config->name),
                 LOG_STR("topic", part->kafka->topic), LOG_INT("partition", part->number), LOG_END);
    if (stuck && (!w->stuck || now_ms >= w->told_ms + TELL_AGAIN_MS)) {
        w->told_ms = now_ms;
        w->stuck = true;
        why_of_part(route, part, why);
        log_error("partition_stuck", LOG_STR("route", route->config->name),
                  LOG_STR("topic", part->kafka->topic), LOG_INT("partition", part->number),
                  LOG_INT("offset", watermark_offset(part->watermark)),
                  LOG_INT("for_ms", watchdog_stuck_ms(route, part)), LOG_STR("why", why), LOG_END);
    }
    w->stuck = stuck;
}

/* ---- keys ---- */

static bool is_stuck_key(const struct route *route, const struct delivery *d)
{
    return !d->settled && d->begun_ms > 0 && d->lane &&
           route->watchdog.run_ms >= d->begun_ms + limit_ms(route);
}

struct slice watchdog_shown_key(const struct route *route, const struct delivery *d)
{
    struct slice key = d->identity.key;
    if (route->config->handler.hide_key || !key.data || key.len > KEY_TEXT_MAX)
        return SLICE_NULL;
    return key;
}

static void tell_key(struct route *route, struct delivery *d)
{
    if (d->stuck_told)
        return;
    d->stuck_told = true;
    log_warn("key_stuck", LOG_STR("route", route->config->name),
             LOG_SLICE("topic", d->origin.topic), LOG_INT("partition", d->origin.partition),
             LOG_INT("offset", d->origin.offset), LOG_SLICE("key", watchdog_shown_key(route, d)),
             LOG_INT("for_ms", route->watchdog.run_ms - d->begun_ms),
             LOG_STR("why", why_of_record(d)), LOG_END);
}

static unsigned look_at_keys(struct route *route)
{
    struct delivery *d;
    unsigned keys = 0, told = 0;
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        if (!is_stuck_key(route, d))
            continue;
        keys++;
        if (!d->stuck_told && told++ < NAMED_MAX)
            tell_key(route, d);
    }
    return keys;
}

void watchdog_status(const struct route *route, struct buf *out)
{
    const struct delivery *d;
    unsigned named = 0;
    buf_printf(out, "\"stuck_keys\":%u,\"stuck\":[", route->watchdog.keys);
    TAILQ_FOREACH(d, &route->all, in_route)
    {
        struct slice key = watchdog_shown_key(route, d);
        if (!is_stuck_key(route, d) || named++ >= NAMED_MAX)
            continue;
        buf_add_text(out, named > 1 ? ",{\"topic\":" : "{\"topic\":");
        buf_add_json(out, d->origin.topic);
        buf_printf(out, ",\"partition\":%d,\"offset\":%lld,\"ms\":%llu,", (int)d->origin.partition,
                   (long long)d->origin.offset,
                   (unsigned long long)(route->watchdog.run_ms - d->begun_ms));
        if (key.data) {
            buf_add_text(out, "\"key\":");
            buf_add_json(out, key);
            buf_add_char(out, ',');
        }
        buf_add_text(out, "\"why\":");
        buf_add_json(out, slice_of(why_of_record(d)));
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

/* ---- the route ---- */

/* Joining, or a rebalance, that does not end. */
static void look_at_phase(struct route *route, uint64_t now_ms)
{
    struct watchdog *w = &route->watchdog;
    bool transient = route->phase == ROUTE_STARTING || route->phase == ROUTE_JOINING ||
                     route->phase == ROUTE_REVOKING;
    if (w->phase != (int)route->phase || w->phase_ms == 0) {
        w->phase = (int)route->phase;
        w->phase_ms = now_ms;
        w->phase_told = false;
    }
    if (!transient || w->phase_told || now_ms - w->phase_ms < limit_ms(route))
        return;
    w->phase_told = true;
    log_error("route_stuck", LOG_STR("route", route->config->name),
              LOG_STR("state", route_phase_name(route->phase)),
              LOG_INT("for_ms", now_ms - w->phase_ms), LOG_STR("why", route->trouble), LOG_END);
}

void watchdog_look(struct route *route)
{
    struct watchdog *w = &route->watchdog;
    uint64_t now_ms = route_now_ms(route);
    bool delivers = route_delivers(route) && breaker_state(route->breaker) == BREAKER_CLOSED;
    struct part *part;
    if (delivers && w->delivered)
        w->run_ms += now_ms - w->look_ms;
    w->look_ms = now_ms;
    w->delivered = delivers;
    note_refused(route);
    w->parts = route->holds & HOLD_OFFSETS ? 1 : 0;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        bool stuck = is_stuck(route, part);
        tell_part(route, part, stuck);
        w->parts += stuck;
    }
    w->keys = look_at_keys(route);
    look_at_phase(route, now_ms);
    metric_set(route->metrics.stuck, w->parts);
    metric_set(route->metrics.stuck_keys, w->keys);
}
