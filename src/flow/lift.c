/*
 * Lifting the hold for lost offsets; see lift.h. Invariants: one question is open at a time; the
 * hold is lifted only where the ledger knows the group on the topic (it has not lost its data) and
 * on none of the partitions. Must not: decide where a partition starts that nobody has adopted.
 */
#include "flow/lift.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"

#define AGAIN_MS  2000
#define JITTER_MS 1000

struct stopped {
    char topic[256];
    char partition_name[272]; /* "<topic>/<partition>" */
};

struct lift {
    struct route *route;
    struct loop_timer timer;
    struct stopped *stopped;
    size_t count;
    struct stopped *adopted; /* until the question for start offsets that follows is put */
    size_t adopted_count;
    struct question *open;
};

struct question {
    struct lift *lift; /* NULL: nobody waits for the answer any more */
    size_t pending;
    bool adopted; /* so far */
};

int64_t lift_again_ms(void)
{
    return AGAIN_MS + (int64_t)(random() % JITTER_MS);
}

static void clear(struct lift *lift)
{
    loop_timer_cancel(&lift->timer);
    if (lift->open)
        lift->open->lift = NULL;
    lift->open = NULL;
    mem_free(lift->stopped);
    lift->stopped = NULL;
    lift->count = 0;
}

static void restart_all(struct route *route)
{
    struct part *part, *next;
    struct err err = {0};
    for (part = TAILQ_FIRST(&route->parts); part; part = next) {
        next = TAILQ_NEXT(part, in_route);
        if (!part->out_of_range)
            continue;
        if (kafka_consumer_restart_partition(route->consumer, part->kafka, OFFSET_EARLIEST, &err))
            part->out_of_range = false;
        else
            log_error("restart_failed", LOG_STR("route", route->config->name),
                      LOG_STR("partition", part->owner.name), LOG_STR("error", err.text), LOG_END);
    }
}

static size_t count_in_assignment(const struct route *route)
{
    const struct part *part;
    size_t count = 0;
    TAILQ_FOREACH(part, &route->parts, in_route)
    count += part->out_of_range;
    return count;
}

/* Those that are in the assignment are restarted where they stand; one that never came into it
 * needs another beginning of all, which asks for its start once more. */
static void begin_anew(struct lift *lift)
{
    struct route *route = lift->route;
    bool all_here = count_in_assignment(route) == lift->count;
    log_info("offsets_adopted", LOG_STR("route", route->config->name),
             LOG_STR("then", "what was stopped begins at the earliest offset"), LOG_END);
    lift_adoption_used(route);
    if (all_here) {
        clear(lift);
        restart_all(route);
    } else {
        lift->adopted = lift->stopped;
        lift->adopted_count = lift->count;
        lift->stopped = NULL;
        clear(lift);
        kafka_consumer_begin_again(route->consumer);
    }
    route_unhold(route, HOLD_OFFSETS);
}

static void answered(struct question *question)
{
    struct lift *lift = question->lift;
    if (--question->pending > 0)
        return;
    if (lift) {
        lift->open = NULL;
        if (question->adopted)
            begin_anew(lift);
        else
            loop_timer_set_ms(&lift->timer, lift_again_ms());
    }
    mem_free(question);
}

static void topic_known(void *arg, bool known, const struct err *err)
{
    struct question *question = arg;
    question->adopted = question->adopted && known && !err;
    answered(question);
}

static void partition_known(void *arg, bool known, const struct err *err)
{
    struct question *question = arg;
    question->adopted = question->adopted && !known && !err;
    answered(question);
}

static void ask(void *arg)
{
    struct lift *lift = arg;
    struct route *route = lift->route;
    const char *group = route->config->group;
    struct question *question = mem_zalloc(sizeof(*question));
    *question = (struct question){lift, 1 + 2 * lift->count, true};
    lift->open = question;
    for (size_t i = 0; i < lift->count; i++) {
        ledger_meet_group(route->worker->ledger, group, lift->stopped[i].topic, topic_known,
                          question);
        ledger_meet_group(route->worker->ledger, group, lift->stopped[i].partition_name,
                          partition_known, question);
    }
    answered(question);
}

void lift_stopped(struct route *route, const char *topic, int32_t partition)
{
    struct lift *lift = route->lift;
    struct stopped *stopped;
    char name[272];
    if (!route->uses_ledger)
        return;
    snprintf(name, sizeof(name), "%s/%d", topic, (int)partition);
    for (size_t i = 0; i < lift->count; i++) {
        if (strcmp(lift->stopped[i].partition_name, name) == 0)
            return;
    }
    lift->stopped = mem_realloc(lift->stopped, (lift->count + 1) * sizeof(*lift->stopped));
    stopped = &lift->stopped[lift->count++];
    snprintf(stopped->topic, sizeof(stopped->topic), "%s", topic);
    snprintf(stopped->partition_name, sizeof(stopped->partition_name), "%s", name);
    if (!lift->open)
        loop_timer_set_ms(&lift->timer, lift_again_ms());
}

bool lift_is_adopted(const struct route *route, const char *partition_name)
{
    const struct lift *lift = route->lift;
    for (size_t i = 0; i < lift->adopted_count; i++) {
        if (strcmp(lift->adopted[i].partition_name, partition_name) == 0)
            return true;
    }
    return false;
}

void lift_adoption_used(struct route *route)
{
    struct lift *lift = route->lift;
    mem_free(lift->adopted);
    lift->adopted = NULL;
    lift->adopted_count = 0;
}

void lift_forget(struct route *route)
{
    clear(route->lift);
    route_unhold(route, HOLD_OFFSETS);
}

void lift_init(struct route *route)
{
    route->lift = mem_zalloc(sizeof(*route->lift));
    route->lift->route = route;
    loop_timer_init(&route->lift->timer, route->loop, ask, route->lift);
}

void lift_deinit(struct route *route)
{
    if (!route->lift)
        return;
    clear(route->lift);
    lift_adoption_used(route);
    loop_timer_deinit(&route->lift->timer);
    mem_free(route->lift);
    route->lift = NULL;
}
