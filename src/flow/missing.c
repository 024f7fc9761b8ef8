/*
 * Partitions without a committed offset; see missing.h.
 *
 *   a retry or redrive topic                      earliest: a copy is never skipped
 *   a person adopted it a moment ago              earliest
 *   the ledger knows the group on the partition   lost: on_offset_lost, with an alarm
 *   no ledger, and the topic was made again       the same
 *   it knows the group on the topic only          a partition found later: earliest
 *   it knows nothing                              the group's first start: initial_offset
 *
 * Invariants: an error of the ledger answers nothing, the question is put again; one question is
 * open at a time.
 */
#include "flow/missing.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "flow/lift.h"
#include "flow/meet.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"

#define ASK_AGAIN_MS 1000
#define LOST_HINT                                                                                  \
    "the group has consumed here before, and its offset is gone or out of range: look whether "    \
    "records expired, then set on_offset_lost, or reset the group's offsets"
#define FORMER_HINT                                                                                \
    "the topic was deleted and made again, so the group's offset says nothing of it: if that was " \
    "meant, set on_offset_lost, or reset the group's offsets"

struct missing_item {
    struct missing_set *set;
    char topic[256];
    char partition_name[272]; /* "<topic>/<partition>" */
    int32_t partition;
    int64_t committed;
    bool out_of_range;
    bool former;
    bool adopted; /* a person has said since that it may begin where it begins */
    bool topic_known;
    enum offset_start start;
};

struct missing_set {
    struct route *route;
    bool forgotten;
    bool failed;
    size_t pending;
    size_t count;
    struct missing_item items[];
};

static void stop_route(struct route *route, const char *topic, int32_t partition)
{
    route_hold(route, HOLD_OFFSETS,
               route->uses_ledger
                   ? "committed offsets are gone or out of range, and on_offset_lost is stop: "
                     "`oncegate ledger adopt ROUTE TOPIC` begins at the earliest"
                   : "committed offsets are gone or out of range, and on_offset_lost is stop");
    lift_stopped(route, topic, partition);
}

static enum offset_start lost_start(struct route *route, const char *topic, int32_t partition,
                                    int64_t committed, bool former)
{
    enum offset_start start = route->config->on_offset_lost;
    const char *then = start == OFFSET_STOP       ? "stop"
                       : start == OFFSET_EARLIEST ? "earliest"
                                                  : "latest";
    metric_add(route->metrics.offset_resets, 1);
    log_error("offsets_lost", LOG_STR("route", route->config->name), LOG_STR("topic", topic),
              LOG_INT("partition", partition), LOG_INT("committed", committed),
              LOG_STR("on_offset_lost", then), LOG_STR("hint", former ? FORMER_HINT : LOST_HINT),
              LOG_END);
    if (start == OFFSET_STOP)
        stop_route(route, topic, partition);
    return start;
}

static void set_free(struct missing_set *set)
{
    if (set->route->missing == set)
        set->route->missing = NULL;
    mem_free(set);
}

static void answer(struct missing_set *set)
{
    enum offset_start *starts = mem_calloc(set->count, sizeof(*starts));
    for (size_t i = 0; i < set->count; i++)
        starts[i] = set->items[i].start;
    kafka_consumer_start_missing(set->route->consumer, starts, set->count);
    mem_free(starts);
}

static void answered(struct missing_set *set)
{
    if (--set->pending > 0)
        return;
    if (set->forgotten) {
        set_free(set);
    } else if (set->failed) {
        loop_timer_set_ms(&set->route->missing_timer, ASK_AGAIN_MS);
    } else {
        answer(set);
        set_free(set);
    }
}

static void fail(struct missing_set *set, const struct err *err)
{
    set->failed = true;
    if (err->code == ERR_CANCELLED)
        set->forgotten = true;
    else
        log_warn("start_unknown", LOG_STR("route", set->route->config->name),
                 LOG_STR("error", err->text), LOG_END);
    answered(set);
}

static void partition_known(void *arg, bool known, const struct err *err)
{
    struct missing_item *item = arg;
    if (err) {
        fail(item->set, err);
        return;
    }
    if (known && !item->set->forgotten)
        item->start = lost_start(item->set->route, item->topic, item->partition, item->committed,
                                 item->former);
    else
        item->start = item->topic_known ? OFFSET_EARLIEST
                                        : item->set->route->config->initial_offset;
    answered(item->set);
}

static void topic_known(void *arg, bool known, const struct err *err)
{
    struct missing_item *item = arg;
    struct route *route = item->set->route;
    if (err) {
        fail(item->set, err);
        return;
    }
    item->topic_known = known;
    ledger_meet_group(route->worker->ledger, route->config->group, item->partition_name,
                      partition_known, item);
}

static bool is_source(const struct route *route, const char *topic)
{
    for (size_t t = 0; t < route->topic_count; t++) {
        if (strcmp(topic, route->topics[t].name) == 0)
            return true;
    }
    return false;
}

/* True: the ledger has to be asked. */
static bool decide(struct missing_item *item)
{
    struct route *route = item->set->route;
    item->start = OFFSET_EARLIEST;
    if (!is_source(route, item->topic) || item->adopted)
        return false;
    if (item->out_of_range || (item->former && !route->uses_ledger))
        item->start = lost_start(route, item->topic, item->partition, item->committed,
                                 item->former);
    else if (!route->uses_ledger)
        item->start = route->config->initial_offset;
    else
        return true;
    return false;
}

static void ask(struct missing_set *set)
{
    struct route *route = set->route;
    set->failed = false;
    set->pending = 1;
    for (size_t i = 0; i < set->count; i++) {
        if (!decide(&set->items[i]))
            continue;
        set->pending++;
        ledger_meet_group(route->worker->ledger, route->config->group, set->items[i].topic,
                          topic_known, &set->items[i]);
    }
    answered(set);
}

static void ask_again(void *arg)
{
    struct route *route = arg;
    if (route->missing)
        ask(route->missing);
}

void missing_offsets(void *ctx, const struct kafka_missing_offset *items, size_t count)
{
    struct route *route = ctx;
    struct missing_set *set = mem_zalloc(sizeof(*set) + count * sizeof(set->items[0]));
    missing_forget(route);
    set->route = route;
    set->count = count;
    for (size_t i = 0; i < count; i++) {
        struct missing_item *item = &set->items[i];
        item->set = set;
        item->partition = items[i].partition;
        item->committed = items[i].committed;
        item->out_of_range = items[i].out_of_range;
        item->former = items[i].former;
        snprintf(item->topic, sizeof(item->topic), "%s", items[i].topic);
        snprintf(item->partition_name, sizeof(item->partition_name), "%s/%d", items[i].topic,
                 (int)items[i].partition);
        item->adopted = lift_is_adopted(route, item->partition_name);
    }
    lift_adoption_used(route);
    route->missing = set;
    ask(set);
}

void missing_out_of_range(void *ctx, struct kafka_partition *partition, int64_t offset)
{
    struct route *route = ctx;
    struct part *part = partition->user;
    struct err err = {0};
    enum offset_start start = OFFSET_EARLIEST;
    if (!part)
        return; /* not ours any more */
    if (part->kind == PART_SOURCE) {
        start = lost_start(route, partition->topic, partition->partition, offset, false);
        meet_topics(route); /* or is it another topic of that name? */
    } else {
        log_error("retry_records_expired", LOG_STR("route", route->config->name),
                  LOG_STR("topic", partition->topic), LOG_INT("partition", partition->partition),
                  LOG_INT("offset", offset),
                  LOG_STR("hint",
                          "the retention of the retry topic is too short: `oncegate topics plan`"),
                  LOG_END);
    }
    part->lost_offset = offset;
    part->out_of_range = start == OFFSET_STOP;
    if (start != OFFSET_STOP &&
        !kafka_consumer_restart_partition(route->consumer, partition, start, &err)) {
        part->out_of_range = true;
        log_error("restart_failed", LOG_STR("route", route->config->name),
                  LOG_STR("topic", partition->topic), LOG_STR("error", err.text), LOG_END);
    }
}

void missing_forget(struct route *route)
{
    struct missing_set *set = route->missing;
    loop_timer_cancel(&route->missing_timer);
    route->missing = NULL;
    if (!set)
        return;
    set->forgotten = true;
    if (set->pending == 0)
        mem_free(set);
}

void missing_init(struct route *route)
{
    loop_timer_init(&route->missing_timer, route->loop, ask_again, route);
}

void missing_deinit(struct route *route)
{
    missing_forget(route);
    loop_timer_deinit(&route->missing_timer);
}
