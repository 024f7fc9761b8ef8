/*
 * Meeting topics; see meet.h.
 * Invariants: one question is open at a time, a newer assignment's replaces it; an error answers
 * nothing, the question is put again; while a topic is another one it is put again every few
 * seconds, until a person has adopted it.
 */
#include "flow/meet.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "flow/intake.h"
#include "flow/lift.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"

#define ASK_AGAIN_MS 1000

/* A topic that was found: how often it was adopted. */
struct seen {
    struct meeting *meeting;
    struct route_topic *topic;
};

struct meeting {
    struct route *route; /* NULL: a newer one has begun, or the route is gone */
    size_t pending;
    bool failed;
    bool other;   /* one of them is not the one that the ledger knows */
    bool renewed; /* one of them was adopted since it was met last */
    const char **names;
    struct seen *seen; /* for each topic of the route */
};

static void meeting_free(struct meeting *meeting)
{
    mem_free(meeting->names);
    mem_free(meeting->seen);
    mem_free(meeting);
}

/* One that was adopted while records of it are in memory: they are read again, under its new rank.
 */
static void all_met(struct route *route, const struct meeting *meeting)
{
    if (meeting->other)
        loop_timer_set_ms(&route->meet_timer, lift_again_ms());
    else
        route_unhold(route, HOLD_TOPIC);
    if (meeting->renewed && route->delivery_count > 0)
        kafka_consumer_begin_again(route->consumer);
    else
        route_unhold(route, HOLD_MEETING);
    intake_wake(route);
}

static void end(struct meeting *meeting)
{
    struct route *route = meeting->route;
    if (--meeting->pending > 0)
        return;
    if (route) {
        route->meeting = NULL;
        if (meeting->failed)
            loop_timer_set_ms(&route->meet_timer, ASK_AGAIN_MS);
        else
            all_met(route, meeting);
    }
    meeting_free(meeting);
}

static void fail(struct meeting *meeting, const struct err *err)
{
    meeting->failed = true;
    if (meeting->route && err->code != ERR_CANCELLED)
        log_warn("topics_not_met", LOG_STR("route", meeting->route->config->name),
                 LOG_STR("error", err->text), LOG_END);
    end(meeting);
}

static void adoptions_known(void *arg, uint32_t count, const struct err *err)
{
    struct seen *seen = arg;
    struct meeting *meeting = seen->meeting;
    if (err) {
        fail(meeting, err);
        return;
    }
    if (meeting->route && seen->topic->incarnation != count) {
        seen->topic->incarnation = count;
        meeting->renewed = true;
    }
    end(meeting);
}

static void met(void *arg, enum ledger_topic found, const struct err *err)
{
    struct seen *seen = arg;
    struct meeting *meeting = seen->meeting;
    struct route *route = meeting->route;
    if (err) {
        fail(meeting, err);
        return;
    }
    if (found == LEDGER_TOPIC_OTHER && route) {
        meeting->other = true;
        route_hold(route, HOLD_TOPIC,
                   "a source topic was deleted and made again: `oncegate ledger adopt ROUTE TOPIC` "
                   "takes it as new");
    }
    if (found != LEDGER_TOPIC_SAME || !route) {
        end(meeting);
        return;
    }
    ledger_count_adoptions(route->worker->ledger, route->config->group, seen->topic->name,
                           adoptions_known, seen);
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct meeting *meeting = arg;
    struct route *route = meeting->route;
    if (err) {
        fail(meeting, err);
        return;
    }
    for (size_t i = 0; route && i < count; i++) {
        if (!topics[i].exists || topics[i].uuid[0] == '\0')
            continue; /* a broker that tells no UUID cannot be asked for it */
        meeting->pending++;
        meeting->seen[i] = (struct seen){meeting, &route->topics[i]};
        ledger_meet_topic(route->worker->ledger, route->config->group, topics[i].name,
                          topics[i].uuid, met, &meeting->seen[i]);
    }
    end(meeting);
}

static void forget(struct route *route)
{
    loop_timer_cancel(&route->meet_timer);
    if (route->meeting)
        route->meeting->route = NULL;
    route->meeting = NULL;
}

static void ask(void *arg)
{
    struct route *route = arg;
    struct meeting *meeting = mem_zalloc(sizeof(*meeting));
    forget(route);
    meeting->route = route;
    meeting->pending = 1;
    meeting->names = mem_calloc(route->topic_count, sizeof(*meeting->names));
    meeting->seen = mem_calloc(route->topic_count, sizeof(*meeting->seen));
    for (size_t t = 0; t < route->topic_count; t++)
        meeting->names[t] = route->topics[t].name;
    route->meeting = meeting;
    kafka_admin_describe(route->worker->admin, meeting->names, route->topic_count, false, described,
                         meeting);
}

void meet_topics(struct route *route)
{
    if (!route->uses_ledger)
        return;
    route->holds |= HOLD_MEETING;
    ask(route);
}

void meet_init(struct route *route)
{
    loop_timer_init(&route->meet_timer, route->loop, ask, route);
}

void meet_deinit(struct route *route)
{
    forget(route);
    loop_timer_deinit(&route->meet_timer);
}
