/*
 * Intake; see intake.h.
 * Invariants: every record taken stands in its partition's watermark before anything else happens
 * to it; a tier's record is never put into a lane before it is due, and while it waits nothing more
 * is taken from its partition (one fixed delay per tier: what is behind it is due later). Bounded
 * work per turn: what is left re-arms itself. Must not: ask the ledger or call the handler.
 */
#include "flow/intake.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/claim.h"
#include "flow/copy.h"
#include "flow/once.h"
#include "flow/operation.h"
#include "flow/park.h"
#include "flow/part.h"
#include "flow/redriven.h"
#include "flow/route_state.h"
#include "flow/settle.h"
#include "flow/watchdog.h"
#include "flow/worker_state.h"

#define TAKES_PER_TURN  512
#define READY_PER_SLOT  4
#define READY_MIN       256
#define DEEP_PER_SLOT   16 /* records */
#define WAIT_IN_LANE_MS 5000
#define ABSURD_DELAY_MS 60000

void intake_wake(struct route *route)
{
    if (route->loop)
        loop_defer(route->loop, &route->intake_task);
}

/* Ready lanes beyond this keep no slot busier; their records only fall out of the processor's
 * caches until it is their turn. Few lanes, as of one hot key, let it look further ahead: but not
 * where slots are waited for by lanes that are deep already, as in a route of a hundred keys; nor
 * as deep beside other routes, whose records are as many as theirs. */
size_t intake_ready_enough(size_t slots, size_t open_records, size_t open_routes)
{
    size_t enough = slots * READY_PER_SLOT, deep = slots * DEEP_PER_SLOT;
    if (open_routes > 1)
        deep /= open_routes < DEEP_PER_SLOT ? open_routes : DEEP_PER_SLOT;
    if (open_records >= deep)
        return (slots + 1) / 2;
    return enough > READY_MIN ? enough : READY_MIN;
}

static size_t ready_enough(const struct route *route)
{
    return intake_ready_enough(route->slots, route->open_records, route->worker->open_routes);
}

/*
 * The last quarter is for copies: what source records wait for may only come from there. And one
 * copy of a partition may always come.
 */
static bool has_room(const struct route *route, enum part_kind kind)
{
    size_t records = route->config->limits.records;
    uint64_t bytes = route->config->limits.bytes;
    if (kind == PART_SOURCE) {
        records -= records / 4;
        bytes -= bytes / 4;
        if (lane_ready_count(route->lanes) >= ready_enough(route))
            return false;
    }
    return route->open_records < records && route->open_bytes < bytes;
}

static bool part_has_room(const struct part *part)
{
    return has_room(part->route, part->kind) ||
           (part->kind != PART_SOURCE && watermark_open(part->watermark) == 0);
}

/*
 * Due: the broker's time of writing plus the tier's delay, so that no gateway's clock matters;
 * where the topic has no such time, or it is absurd against the header, the header counts. A longer
 * wait that the handler asked for is kept apart: it sends the copy round again.
 */
static void set_due(struct delivery *d, const struct copy_info *info)
{
    const struct part *part = d->part;
    int64_t by_broker = d->rec.timestamp_ms + part->tier_ms;
    int64_t by_header = info->not_before_ms;
    if (part->kind != PART_TIER)
        return;
    if (!d->rec.log_append_time || d->rec.timestamp_ms <= 0 ||
        (by_header > 0 && by_broker > by_header + ABSURD_DELAY_MS)) {
        d->due_wall_ms = by_header;
        return;
    }
    d->due_wall_ms = by_broker + 1; /* its time is rounded down: a delay is never cut short */
    if (by_header > by_broker)
        d->not_before_wall_ms = by_header;
}

static void refuse_copy(struct delivery *d, const char *text)
{
    d->bad_copy = true;
    d->origin.topic = d->rec.topic;
    metric_add(d->route->metrics.foreign_copies, 1);
    (void)copy_note(d, "foreign-copy", text, 0);
    log_error(
        "copy_refused", LOG_STR("route", d->route->config->name), LOG_SLICE("topic", d->rec.topic),
        LOG_INT("partition", d->rec.partition), LOG_INT("offset", d->rec.offset),
        LOG_STR("why", text),
        LOG_STR(
            "hint",
            "another program writes to this retry topic; the record goes to the dead-letter topic"),
        LOG_END);
}

static void origin_of_source(struct delivery *d)
{
    d->origin = (struct origin){.topic = slice_of(d->topic->name),
                                .partition = d->rec.partition,
                                .leader_epoch = d->rec.leader_epoch,
                                .offset = d->rec.offset,
                                .timestamp_ms = d->rec.timestamp_ms,
                                .incarnation = d->topic->incarnation};
}

static void read_copy(struct delivery *d)
{
    struct copy_info info;
    struct err err = {0};
    bool ok = headers_read_copy(&d->rec, &info, &err);
    if (ok && !slice_equal_text(info.group, d->route->config->group))
        ok = err_set(&err, ERR_INPUT, "the copy is of group %.*s", (int)info.group.len,
                     info.group.data);
    if (ok && !slice_equal_text(info.origin.topic, d->topic->name))
        ok = err_set(&err, ERR_INPUT, "the copy is of topic %.*s", (int)info.origin.topic.len,
                     info.origin.topic.data);
    if (!ok) {
        origin_of_source(d); /* where it lies: that is all that is certain of it */
        refuse_copy(d, err.text);
        return;
    }
    d->origin = info.origin;
    d->origin.topic = slice_of(d->topic->name);
    d->attempt = info.attempt;
    d->hop = info.hop;
    d->first_failed_at_ms = info.first_failed_at_ms;
    d->last_failed_at_ms = info.last_failed_at_ms;
    d->failed_visit = info.first_failed_at_ms > 0;
    d->redrive_id = info.redrive_id;
    d->redrive_force = slice_equal_text(info.redrive_mode, "force");
    d->redrive_count = info.redrive_count;
    if (d->part->kind == PART_REDRIVE) { /* a new life: what failed before does not count */
        d->first_failed_at_ms = 0;
        d->failed_visit = false;
        redriven_taken(d, info.first_letter);
    }
    d->tier_ms = d->part->tier_ms;
    d->copy_offset = d->rec.offset;
    if (info.error_code.len > 0 && info.error_code.len < ANSWER_CODE_MAX) {
        char code[ANSWER_CODE_MAX];
        struct copy_job *job;
        memcpy(code, info.error_code.data, info.error_code.len);
        code[info.error_code.len] = '\0';
        job = copy_note(d, code, NULL, info.http_status);
        copy_set_detail(job, info.error_detail);
    }
    set_due(d, &info);
}

/* Timestamps of a partition rise, but for clocks that differ and for what a producer sends again.
 */
static void note_time(struct delivery *d)
{
    if (d->rec.log_append_time || d->rec.timestamp_ms < 0)
        return;
    d->is_resent = d->rec.timestamp_ms < d->part->newest_ms;
    if (!d->is_resent)
        d->part->newest_ms = d->rec.timestamp_ms;
}

static void describe(struct delivery *d)
{
    static const enum ledger_source sources[] = {LEDGER_SOURCE, LEDGER_TIER, LEDGER_REDRIVE};
    d->topic = d->part->topic;
    d->source = sources[d->part->kind];
    if (d->part->kind == PART_SOURCE) {
        origin_of_source(d);
        note_time(d);
    } else {
        read_copy(d);
    }
    identity_read(&d->route->config->dedup.rule, &d->rec, &d->identity_store, &d->identity);
    if (d->identity.kind == IDENTITY_NONE)
        d->identity.status = IDENTITY_OK;
    operation_prepare(d);
}

#define RANK_BYTES (sizeof(int32_t) + sizeof(int64_t))

static struct slice slice_of_rank(const struct delivery *d, char out[RANK_BYTES])
{
    memcpy(out, &d->origin.partition, sizeof(int32_t));
    memcpy(out + sizeof(int32_t), &d->origin.offset, sizeof(int64_t));
    return (struct slice){out, RANK_BYTES};
}

/* A route whose identity is `none` or `offset` still needs the order key; see identity_read. */
static struct lane *lane_of(struct delivery *d)
{
    struct route *route = d->route;
    char rank[RANK_BYTES];
    struct slice number = {(const char *)&d->origin.partition, sizeof(d->origin.partition)};
    switch (route->config->ordering) {
    case ORDERING_NONE:
        /* Two copies of one record go one after the other; and lanes that may wait for a turn are
         * hashed, so that they are found. */
        if (d->source != LEDGER_SOURCE || d->in_row)
            return lane_get(route->lanes, (uint32_t)(d->topic - route->topics), 'r',
                            slice_of_rank(d, rank));
        return lane_single(route->lanes, ((uint64_t)(uint32_t)d->origin.partition << 40) ^
                                             (uint64_t)d->origin.offset);
    case ORDERING_PARTITION:
        return lane_get(route->lanes, d->topic->lane_scope, 'p', number);
    case ORDERING_KEY:
        break;
    }
    if (slice_is_null(d->identity.key))
        return lane_get(route->lanes, d->topic->lane_scope, 'n', number);
    return lane_get(route->lanes, d->topic->lane_scope, 'k', d->identity.key);
}

static void admit(struct delivery *d)
{
    struct route *route = d->route;
    if (d->due_wall_ms > 0)
        metric_observe(route->metrics.lateness,
                       (double)(clock_wall_ms() - d->due_wall_ms) / 1000.0);
    lane_push(route->lanes, lane_of(d), d);
    route_pump(route);
}

/* True: the partition's look-ahead is free, something may be taken. */
static bool admit_waiting(struct part *part)
{
    struct delivery *d = part->waiting;
    int64_t left;
    if (!d)
        return true;
    left = d->due_wall_ms - clock_wall_ms();
    if (left > 0) {
        if (!loop_timer_armed(&part->due))
            loop_timer_set_ms(&part->due, left);
        return false;
    }
    part->waiting = NULL;
    admit(d);
    return true;
}

static void accept(struct part *part, struct delivery *d)
{
    struct route *route = part->route;
    d->slot = watermark_add(part->watermark, d->rec.offset);
    d->bytes = record_size(&d->rec);
    d->counted = true;
    once_taken(d);
    if (route->open_records++ == 0)
        route->worker->open_routes++;
    route->open_bytes += d->bytes;
    metric_add(route->metrics.consumed[part->kind], 1);
    describe(d);
    if (d->due_wall_ms > 0) {
        part->waiting = d;
        (void)admit_waiting(part);
        return;
    }
    admit(d);
}

/* Returns what is left of the budget. */
static unsigned take_from(struct part *part, unsigned budget)
{
    struct route *route = part->route;
    while (admit_waiting(part) && budget > 0 && part_has_room(part)) {
        struct delivery *d;
        struct record rec = {0};
        if (kafka_consumer_take(route->consumer, part->kafka, &rec) != KAFKA_TAKE_RECORD)
            break;
        CRASH_POINT("poll");
        d = delivery_new(route, part);
        d->rec = rec;
        accept(part, d);
        budget--;
    }
    return budget;
}

static bool may_take(const struct part *part)
{
    return !part->gone && !part->out_of_range && part->fence == PART_FENCE_HELD;
}

/* Retry and redrive topics come first: what waits there is older. A fair share each, so that one
 * partition does not starve the others. */
static void run(void *arg)
{
    struct route *route = arg;
    unsigned budget = TAKES_PER_TURN;
    unsigned share = route->part_count > 0 ? TAKES_PER_TURN / (unsigned)route->part_count + 1 : 1;
    struct part *part;
    if (route->phase != ROUTE_RUNNING || route->holds & HOLD_MEETING)
        return;
    bool copies = false;
    for (int pass = 0; pass < 2; pass++) {
        copies = copies || budget < TAKES_PER_TURN;
        TAILQ_FOREACH(part, &route->parts, in_route)
        {
            unsigned give = share < budget ? share : budget;
            if ((part->kind == PART_SOURCE) == (pass == 1) && may_take(part))
                budget -= give - take_from(part, give);
        }
    }
    if ((part = TAILQ_FIRST(&route->parts)) != NULL) { /* the next turn begins with another */
        TAILQ_REMOVE(&route->parts, part, in_route);
        TAILQ_INSERT_TAIL(&route->parts, part, in_route);
    }
    route->intake_blocked = !has_room(route, PART_SOURCE);
    if (copies || (budget < TAKES_PER_TURN && !route->intake_blocked))
        kafka_consumer_rearm(route->consumer);
}

void intake_room_made(struct route *route)
{
    if (route->intake_blocked && lane_ready_count(route->lanes) < (ready_enough(route) + 1) / 2)
        intake_wake(route);
}

void intake_init(struct route *route)
{
    loop_task_init(&route->intake_task, run, route);
}

static void drop_queued(struct delivery *d, void *arg)
{
    (void)arg;
    if (d->in_step) /* a twin that the ledger is being told of again: it goes when that is done */
        return;
    lane_remove(d->lane, d);
    d->lane = NULL;
    delivery_free(d);
}

void intake_drop_queued(struct route *route)
{
    struct delivery *d, *next;
    struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        loop_timer_cancel(&part->due);
        if (part->waiting)
            delivery_free(part->waiting);
        part->waiting = NULL;
    }
    lane_each_queued(route->lanes, drop_queued, NULL);
    for (d = TAILQ_FIRST(&route->all); d; d = next) {
        next = TAILQ_NEXT(d, in_route);
        if (d->state == DELIVERY_WAITING && d->lane && !d->once) {
            loop_timer_cancel(&d->timer);
            delivery_drop(d);
        }
    }
}

/* The handler asked for more than the tier's delay: a short rest waits in the lane, a long one goes
 * round again. */
static bool waits_longer(struct delivery *d)
{
    int64_t left = d->not_before_wall_ms > 0 ? d->not_before_wall_ms - clock_wall_ms() : 0;
    if (left <= 0)
        return false;
    if (left <= WAIT_IN_LANE_MS || d->route->config->retry.tier_count == 0)
        delivery_wait(d, WAIT_RETRY_AFTER, left);
    else
        park_again(d);
    return true;
}

void intake_begin(struct delivery *d)
{
    struct route *route = d->route;
    watchdog_begin(d);
    if (!once_in_turn(d))
        return;
    if (d->bad_copy) {
        park_dead_letter(d, NULL, NULL, 0);
        return;
    }
    if (!d->twin && waits_longer(d))
        return;
    if (d->identity.status != IDENTITY_OK &&
        route->config->dedup.on_missing == POLICY_DEAD_LETTER) {
        park_dead_letter(d, d->identity.code, d->identity.problem, 0);
        return;
    }
    claim_start(d);
}
