/*
 * Marks; see marks.h.
 * Invariants: an offset is committed only after the marks of all keys that were settled up to it
 * are acknowledged; one round of writing is under way, so that a key's marks are produced in the
 * order in which they were asked; a run holds numbers that are done, never parked ones, whose entry
 * Redis may have lost; with KEYS_MAX dirty keys the route is held. Must not: write what an owner
 * without its newest token was told.
 */
#include "flow/marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/assign.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/topics.h"
#include "flow/worker_state.h"
#include "record/mark.h"

#define KEYS_MAX    32768
#define WRITING_MAX 256  /* on their way to the ledger or the broker */
#define BUCKETS     8192 /* a power of two */
#define LATE_MS     5000 /* a round that takes longer is told as the reason */

/* A dirty key. */
struct dirty {
    TAILQ_ENTRY(dirty) in_list;
    struct dirty *next; /* in its bucket */
    uint64_t hash;
    struct part *part; /* that settled it last, whose token counts; referenced */
    struct route_topic *topic;
    struct slice origin_topic; /* the topic's own, or one of its rank names */
    int32_t partition;         /* of the origin */
    bool has_run;
    uint8_t generation; /* of the key's state, to which the run belongs */
    struct mark_run run;
    bool in_round, again; /* it is being written; it was settled again meanwhile */
    struct writing *writing;
    struct buf key; /* as a record's */
};
TAILQ_HEAD(dirty_list, dirty);

/* One that is on its way. */
struct writing {
    struct marks *marks;
    struct dirty *dirty; /* NULL: forgotten meanwhile */
    struct part *part;   /* whose token counts; referenced */
    struct ledger_mark join;
    struct produce msg;
    struct buf key, state, value;
};

struct marks {
    struct route *route;
    struct dirty *buckets[BUCKETS];
    size_t keys;
    struct dirty_list waiting; /* for the next round */
    struct dirty_list round;   /* of the one under way, not begun */
    size_t under_way;
    bool writing; /* a round is under way */
    bool failed;  /* and one of it could not be written */
    uint64_t begun_ms;
    char trouble[300]; /* why the last round failed; "" where it did not */
    bool told_foreign; /* that there are records that are no marks */
};

/* A mark that was read and is told to the ledger. */
struct telling {
    struct ledger_mark join;
    struct buf state;
    void (*done)(void *arg);
    void *arg;
    char key[];
};

/* ---- dirty keys ---- */

static struct dirty **bucket_of(struct marks *marks, uint64_t hash)
{
    return &marks->buckets[(hash ^ hash >> 32) & (BUCKETS - 1)];
}

static bool is_key(const struct dirty *dirty, struct slice key, int32_t partition)
{
    struct slice text = buf_slice(&dirty->key);
    if (slice_is_null(key))
        return text.data[0] == '-' && dirty->partition == partition;
    return text.data[0] == '=' && text.len == key.len + 1 &&
           (key.len == 0 || memcmp(text.data + 1, key.data, key.len) == 0);
}

static struct dirty *find(struct marks *marks, const struct delivery *d)
{
    struct dirty *dirty = *bucket_of(marks, d->op.key_hash);
    while (dirty && !(dirty->hash == d->op.key_hash && dirty->topic == d->topic &&
                      is_key(dirty, d->op.key, d->op.origin_partition)))
        dirty = dirty->next;
    return dirty;
}

static struct dirty *add(struct marks *marks, const struct delivery *d)
{
    struct dirty *dirty = mem_zalloc(sizeof(*dirty));
    struct dirty **bucket = bucket_of(marks, d->op.key_hash);
    dirty->hash = d->op.key_hash;
    dirty->topic = d->topic;
    mark_write_key(&dirty->key, d->op.key, d->op.origin_partition);
    dirty->next = *bucket;
    *bucket = dirty;
    TAILQ_INSERT_TAIL(&marks->waiting, dirty, in_list);
    marks->keys++;
    return dirty;
}

/* Not while it stands in a list. */
static void drop(struct marks *marks, struct dirty *dirty)
{
    struct dirty **at = bucket_of(marks, dirty->hash);
    while (*at != dirty)
        at = &(*at)->next;
    *at = dirty->next;
    marks->keys--;
    if (dirty->writing)
        dirty->writing->dirty = NULL;
    part_unref(&dirty->part);
    buf_deinit(&dirty->key);
    mem_free(dirty);
}

static void add_number(struct dirty *dirty, const struct ledger_op *op)
{
    if (op->kind != IDENTITY_SEQUENCE || op->source == LEDGER_REDRIVE ||
        op->verb != LEDGER_FINISH || (op->fact != LEDGER_SUCCEEDED && op->fact != LEDGER_GIVEN_UP))
        return;
    if (dirty->has_run && dirty->generation == op->generation)
        mark_run_add(&dirty->run, op->epoch, op->number);
    else
        dirty->run = mark_run_of(op->epoch, op->number);
    dirty->has_run = true;
    dirty->generation = op->generation;
}

void marks_touch(const struct delivery *d)
{
    struct marks *marks = d->route->marks;
    struct dirty *dirty;
    if (!d->topic || d->bad_copy || d->part->gone ||
        d->op.kind != d->route->config->dedup.rule.kind)
        return;
    dirty = find(marks, d);
    if (!dirty)
        dirty = add(marks, d);
    dirty->again = dirty->in_round;
    if (dirty->part != d->part) {
        part_unref(&dirty->part);
        dirty->part = d->part;
        part_ref(d->part);
    }
    dirty->origin_topic = d->op.origin_topic;
    dirty->partition = d->op.origin_partition;
    add_number(dirty, &d->op);
    if (marks->keys >= KEYS_MAX)
        route_hold(d->route, HOLD_MARKS,
                   "too many keys wait for their marks to be written to the marks topic");
}

/* ---- a round ---- */

static void begin_some(struct marks *marks);

static void end_round(struct marks *marks)
{
    struct route *route = marks->route;
    struct part *part;
    marks->writing = false;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (!marks->failed && part->marking > part->marked)
            part->marked = part->marking;
        part->marking = -1;
    }
    if (!marks->failed) {
        marks->trouble[0] = '\0';
        if (marks->keys < KEYS_MAX)
            route_unhold(route, HOLD_MARKS);
    }
    assign_commit_marked(route);
}

/* What was not begun waits for the next round. */
static void break_off(struct marks *marks)
{
    struct dirty *dirty;
    marks->failed = true;
    while ((dirty = TAILQ_FIRST(&marks->round)) != NULL) {
        TAILQ_REMOVE(&marks->round, dirty, in_list);
        TAILQ_INSERT_TAIL(&marks->waiting, dirty, in_list);
        dirty->in_round = dirty->again = false;
    }
}

static void end_one(struct writing *writing, bool written)
{
    struct marks *marks = writing->marks;
    struct dirty *dirty = writing->dirty;
    bool forgotten = !dirty;
    if (dirty) {
        dirty->writing = NULL;
        bool keep = !written || dirty->again;
        dirty->in_round = dirty->again = false;
        if (keep)
            TAILQ_INSERT_TAIL(&marks->waiting, dirty, in_list);
        else
            drop(marks, dirty);
    }
    part_unref(&writing->part);
    buf_deinit(&writing->key);
    buf_deinit(&writing->state);
    buf_deinit(&writing->value);
    mem_free(writing);
    if (forgotten)
        return;
    marks->under_way--;
    if (!written)
        break_off(marks);
    begin_some(marks);
}

static void produced(struct produce *msg)
{
    struct writing *writing = msg->arg;
    struct marks *marks = writing->marks;
    if (msg->result == PRODUCE_ACKED) {
        metric_add(marks->route->metrics.marks_written, 1);
    } else if (writing->dirty) {
        snprintf(marks->trouble, sizeof(marks->trouble),
                 "marks cannot be written to %s, so no offset is committed: %.200s", msg->topic,
                 msg->err.text);
        log_warn("marks_not_written", LOG_STR("route", marks->route->config->name),
                 LOG_STR("topic", msg->topic), LOG_STR("error", msg->err.text), LOG_END);
    }
    end_one(writing, msg->result == PRODUCE_ACKED);
}

static void told(struct ledger_mark *join)
{
    struct writing *writing = join->arg;
    struct dirty *dirty = writing->dirty;
    if (!dirty || join->cancelled || join->fenced) {
        end_one(writing, false);
        return;
    }
    if (join->told.len == 0) { /* nothing is known, so nothing is covered by it */
        end_one(writing, true);
        return;
    }
    mark_write(&writing->value, join->told);
    writing->msg = (struct produce){.topic = dirty->topic->marks,
                                    .partition = dirty->partition % dirty->topic->marks_partitions,
                                    .key = buf_slice(&writing->key),
                                    .value = buf_slice(&writing->value),
                                    .done = produced,
                                    .arg = writing};
    kafka_producer_send(writing->marks->route->worker->producer, &writing->msg);
}

static void begin_one(struct marks *marks, struct dirty *dirty)
{
    struct writing *writing = mem_zalloc(sizeof(*writing));
    struct slice key;
    writing->marks = marks;
    writing->dirty = dirty;
    writing->part = dirty->part;
    part_ref(dirty->part);
    dirty->writing = writing;
    buf_add_slice(&writing->key, buf_slice(&dirty->key));
    key = buf_slice(&writing->key);
    if (dirty->has_run)
        mark_run_write(&writing->state, &dirty->run);
    writing->join = (struct ledger_mark){
        .scope = dirty->topic->scope,
        .owner = &writing->part->owner,
        .key = key.data[0] == '=' ? (struct slice){key.data + 1, key.len - 1} : SLICE_NULL,
        .topic = dirty->origin_topic,
        .partition = dirty->partition,
        .state = buf_slice(&writing->state),
        .own = true,
        .generation = dirty->generation,
        .done = told,
        .arg = writing};
    marks->under_way++;
    ledger_join(marks->route->worker->ledger, &writing->join);
}

static void begin_some(struct marks *marks)
{
    struct dirty *dirty;
    while (marks->under_way < WRITING_MAX && (dirty = TAILQ_FIRST(&marks->round)) != NULL) {
        TAILQ_REMOVE(&marks->round, dirty, in_list);
        begin_one(marks, dirty);
    }
    if (marks->under_way == 0)
        end_round(marks);
}

static void begin_round(struct marks *marks)
{
    struct route *route = marks->route;
    struct dirty *dirty;
    struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    part->marking = watermark_offset(part->watermark);
    TAILQ_CONCAT(&marks->round, &marks->waiting, in_list);
    TAILQ_FOREACH(dirty, &marks->round, in_list)
    dirty->in_round = true;
    marks->writing = true;
    marks->failed = false;
    marks->begun_ms = route_now_ms(route);
    begin_some(marks);
}

bool marks_begin(struct route *route)
{
    struct marks *marks = route->marks;
    struct part *part;
    if (!marks)
        return false;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence != PART_FENCE_HELD)
            return false; /* a commit is the way to the token, which asking the ledger needs */
    }
    if (marks->writing)
        return true;
    if (!TAILQ_EMPTY(&marks->waiting)) {
        begin_round(marks);
        return true;
    }
    TAILQ_FOREACH(part, &route->parts, in_route)
    part->marked = watermark_offset(part->watermark);
    return false;
}

bool marks_writing(const struct route *route)
{
    return route->marks && route->marks->writing;
}

int64_t marks_covered(const struct part *part)
{
    int64_t offset = watermark_offset(part->watermark);
    return part->route->marks && part->marked < offset ? part->marked : offset;
}

const char *marks_why(const struct route *route, char *text, size_t size)
{
    const struct marks *marks = route->marks;
    if (!marks)
        return NULL;
    if (marks->trouble[0]) {
        snprintf(text, size, "%s", marks->trouble);
        return text;
    }
    if (!marks->writing || route_now_ms(route) - marks->begun_ms < LATE_MS)
        return NULL;
    snprintf(text, size,
             "no offset is committed before the marks of %zu keys are written to their topic, and "
             "the brokers or Redis take long",
             marks->keys);
    return text;
}

/* ---- telling the ledger ---- */

static void told_again(struct ledger_mark *join)
{
    struct telling *telling = join->arg;
    telling->done(telling->arg);
    buf_deinit(&telling->state);
    mem_free(telling);
}

/* Of a key that was quiet for so long the ledger would know nothing either. */
static bool is_forgotten(const struct route *route, const struct record *rec)
{
    return rec->timestamp_ms > 0 &&
           rec->timestamp_ms < clock_wall_ms() - route->config->dedup.ttl_ms;
}

static void left_out(const struct part *part, const struct record *rec, const struct err *err)
{
    struct marks *marks = part->route->marks;
    if (marks->told_foreign)
        return;
    marks->told_foreign = true;
    log_warn("mark_left_out", LOG_STR("topic", part->topic->marks),
             LOG_INT("partition", rec->partition), LOG_INT("offset", rec->offset),
             LOG_STR("error", err->text), LOG_STR("then", "others are not told of"), LOG_END);
}

bool marks_tell(struct part *part, const struct record *rec, void (*done)(void *arg), void *arg)
{
    struct route *route = part->route;
    struct telling *telling;
    struct buf state = {0};
    struct err err = {0};
    struct slice key;
    int32_t partition;
    if (slice_is_null(rec->value) || is_forgotten(route, rec))
        return false;
    if (!mark_read(rec, &key, &partition, &state, &err)) {
        left_out(part, rec, &err);
        buf_deinit(&state);
        return false;
    }
    telling = mem_zalloc(sizeof(*telling) + key.len);
    if (key.len > 0)
        memcpy(telling->key, key.data, key.len);
    telling->state = state;
    telling->done = done;
    telling->arg = arg;
    telling->join = (struct ledger_mark){
        .scope = part->topic->scope,
        .key = {slice_is_null(key) ? NULL : telling->key, key.len},
        .topic = topics_rank_name(part->topic, part->topic->incarnation),
        .partition = partition,
        .state = buf_slice(&telling->state),
        .done = told_again,
        .arg = telling};
    metric_add(route->metrics.marks_rebuilt, 1);
    ledger_join(route->worker->ledger, &telling->join);
    return true;
}

/* ---- making, forgetting ---- */

static void drop_list(struct marks *marks, struct dirty_list *list)
{
    struct dirty *dirty;
    while ((dirty = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, dirty, in_list);
        drop(marks, dirty);
    }
}

void marks_forget(struct route *route)
{
    struct marks *marks = route->marks;
    if (!marks)
        return;
    drop_list(marks, &marks->waiting);
    drop_list(marks, &marks->round);
    for (size_t i = 0; i < BUCKETS && marks->keys > 0; i++) {
        while (marks->buckets[i])
            drop(marks, marks->buckets[i]); /* on its way: its end finds nothing */
    }
    marks->under_way = 0;
    marks->writing = marks->failed = false;
    marks->trouble[0] = '\0';
    route_unhold(route, HOLD_MARKS);
}

void marks_init(struct route *route)
{
    struct marks *marks;
    if (route->config->dedup.rebuild_from != REBUILD_FROM_TOPIC)
        return;
    marks = mem_zalloc(sizeof(*marks));
    marks->route = route;
    TAILQ_INIT(&marks->waiting);
    TAILQ_INIT(&marks->round);
    route->marks = marks;
}

void marks_deinit(struct route *route)
{
    marks_forget(route);
    mem_free(route->marks);
    route->marks = NULL;
}
