/*
 * Rebuilding the parked list, and what was done; see rebuild.h.
 * Invariants: no claim goes out with a new token before everything that waits in the tiers is in
 * the ledger and the ledger has said so (`marked`): operations borrow part->owner, the new token
 * waits in part->next. Copies are read beside the consumer, so nothing of the assignment moves; a
 * bounded number of them is in memory. Each is parked by its rank alone (kind none): its number is
 * not called seen. The ledger sorts by rank and keeps the newest copy of a record, so the order of
 * telling does not matter. What began before a loss of data ends without a mark, and begins anew.
 * Marks come after the parked records: a mark calls numbers seen that are parked, and a fail-over
 * that loses the last writes must not leave such a number without its entry, since its copy would
 * be taken for a duplicate. Must not: settle, produce or deliver.
 */
#include "flow/rebuild.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/assign.h"
#include "flow/claim.h"
#include "flow/intake.h"
#include "flow/marks.h"
#include "flow/operation.h"
#include "flow/part.h"
#include "flow/route_state.h"
#include "flow/twins.h"
#include "flow/worker_state.h"
#include "kafka/reader.h"

#define TELLING_MAX    1024 /* copies on their way to the ledger */
#define READS_PER_TURN 512
#define AGAIN_MS       1000

struct rebuild {
    struct route *route;
    uint64_t run; /* answers to an older one count for nothing */
    bool running;
    bool marking;
    bool knowing; /* the parked records are told, and the marks topics are being read */
    struct kafka_reader *reader;
    struct part **parts; /* by range of the reader; referenced */
    size_t part_count;
    size_t telling; /* copies of this run that the ledger has not answered for */
    size_t marks;   /* partitions whose mark has not been answered */
    bool unmarked;  /* one of them was refused */
    uint64_t copies, refused, known;
    uint64_t started_ns;
    struct buf identity_store;
    struct loop_task step_task;
    struct loop_timer again_timer;
};

/* One copy that the ledger is told of, or one partition's mark. */
struct telling {
    struct ledger_op op;
    struct rebuild *rebuild;
    struct part *part;
    uint64_t run;
    char key[];
};

static struct telling *telling_new(struct rebuild *rebuild, struct part *part, struct slice key)
{
    struct telling *telling = mem_zalloc(sizeof(*telling) + key.len);
    telling->rebuild = rebuild;
    telling->part = part;
    telling->run = rebuild->run;
    part_ref(part);
    if (key.len > 0)
        memcpy(telling->key, key.data, key.len);
    return telling;
}

static void telling_free(struct telling *telling)
{
    part_unref(&telling->part);
    mem_free(telling);
}

static void decide(struct route *route);

/* ---- beginning and ending ---- */

static void release_reader(struct rebuild *rebuild)
{
    kafka_reader_free(&rebuild->reader);
    for (size_t i = 0; i < rebuild->part_count; i++)
        part_unref(&rebuild->parts[i]);
    mem_free(rebuild->parts);
    rebuild->parts = NULL;
    rebuild->part_count = 0;
}

static void stop(struct rebuild *rebuild)
{
    struct route *route = rebuild->route;
    if (!rebuild->running)
        return;
    rebuild->running = false;
    rebuild->run++;
    loop_task_cancel(route->loop, &rebuild->step_task);
    loop_timer_cancel(&rebuild->again_timer);
    release_reader(rebuild);
    metric_set(route->metrics.rebuilding, 0);
    route_note_stops(route);
}

void rebuild_cancel(struct route *route)
{
    stop(route->rebuild);
}

static void use_token(struct part *part)
{
    part->owner = part->next;
    part->fence = PART_FENCE_HELD;
    part->fresh = false;
}

static void use_tokens(struct route *route)
{
    struct part *part;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence == PART_FENCE_BUILDING ||
            (part->fence == PART_FENCE_TAKEN && !part->next.unbuilt))
            use_token(part);
    }
    claim_unfenced(route);
    intake_wake(route);
    route_pump(route);
}

static void complete(struct rebuild *rebuild)
{
    struct route *route = rebuild->route;
    if (rebuild->known > 0)
        log_info("marks_rebuilt", LOG_STR("route", route->config->name),
                 LOG_UINT("marks", rebuild->known),
                 LOG_UINT("ms", (clock_mono_ns() - rebuild->started_ns) / NS_PER_MS), LOG_END);
    if (rebuild->copies > 0)
        log_info("parked_rebuilt", LOG_STR("route", route->config->name),
                 LOG_UINT("copies", rebuild->copies), LOG_UINT("refused", rebuild->refused),
                 LOG_UINT("from_memory", route->twin_records),
                 LOG_UINT("ms", (clock_mono_ns() - rebuild->started_ns) / NS_PER_MS), LOG_END);
    stop(rebuild);
    use_tokens(route);
    decide(route); /* one may have come back unbuilt meanwhile */
}

/* A newer owner, or a further loss of data: who commits next is asked, and then the ledger. */
static void begin_anew(struct rebuild *rebuild)
{
    struct route *route = rebuild->route;
    struct part *part;
    log_warn("rebuild_void", LOG_STR("route", route->config->name),
             LOG_STR("why", "the ledger does not know the new tokens: it lost its data again, or "
                            "another owner exists"),
             LOG_END);
    stop(rebuild);
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence == PART_FENCE_BUILDING)
            part->fence = PART_FENCE_PROVING; /* the next commit takes it up */
    }
}

/* ---- marking ---- */

static void marked(void *arg, bool known, const struct err *err)
{
    struct telling *telling = arg;
    struct rebuild *rebuild = telling->rebuild;
    bool mine = telling->run == rebuild->run && rebuild->running;
    telling_free(telling);
    if (!mine)
        return;
    rebuild->unmarked = rebuild->unmarked || err || !known;
    if (--rebuild->marks > 0)
        return;
    if (rebuild->unmarked)
        begin_anew(rebuild);
    else
        complete(rebuild);
}

/* Each partition is marked only now: who takes over one that is not reads its tiers again. */
static void mark(struct rebuild *rebuild)
{
    struct route *route = rebuild->route;
    struct part *part;
    rebuild->marking = true;
    rebuild->unmarked = false;
    rebuild->marks = 1;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence != PART_FENCE_BUILDING)
            continue;
        rebuild->marks++;
        ledger_rebuilt(route->worker->ledger, route->config->group, &part->next, marked,
                       telling_new(rebuild, part, SLICE_NULL));
    }
    if (--rebuild->marks == 0)
        complete(rebuild);
}

/* ---- telling ---- */

static void step(struct rebuild *rebuild)
{
    if (rebuild->running)
        loop_defer(rebuild->route->loop, &rebuild->step_task);
}

static void told(struct ledger_op *op)
{
    struct telling *telling = op->arg;
    struct rebuild *rebuild = telling->rebuild;
    if (telling->run == rebuild->run) {
        rebuild->telling--;
        rebuild->refused += !op->cancelled && op->code == LEDGER_REFUSED;
        step(rebuild);
    }
    telling_free(telling);
}

static bool is_ours(const struct part *part, const struct copy_info *info)
{
    return slice_equal_text(info->group, part->route->config->group) &&
           slice_equal_text(info->origin.topic, part->topic->name);
}

/* A copy that cannot be read, or is another group's, is dealt with when it is due. */
static void tell(struct rebuild *rebuild, struct part *part, const struct record *rec)
{
    struct route *route = rebuild->route;
    struct copy_info info;
    struct err err = {0};
    struct identity identity;
    struct telling *telling;
    struct ledger_op *op;
    if (part->gone || watermark_is_settled(part->watermark, rec->offset) ||
        !headers_read_copy(rec, &info, &err) || !is_ours(part, &info))
        return;
    identity_read(&route->config->dedup.rule, rec, &rebuild->identity_store, &identity);
    telling = telling_new(rebuild, part, identity.key);
    op = &telling->op;
    op->verb = LEDGER_FINISH;
    op->fact = LEDGER_PARKED;
    op->scope = part->topic->scope;
    op->owner = &part->owner;
    op->source = LEDGER_TIER;
    op->kind = IDENTITY_NONE;
    op->key = (struct slice){identity.key.data ? telling->key : NULL, identity.key.len};
    operation_set_rank(op, part->topic, &info.origin);
    op->hop = info.hop;
    op->tier = part->tier_ms;
    op->copy_offset = rec->offset;
    op->done = told;
    op->arg = telling;
    rebuild->telling++;
    rebuild->copies++;
    metric_add(route->metrics.rebuilt, 1);
    ledger_submit(route->worker->ledger, op);
}

static void known(void *arg)
{
    struct telling *telling = arg;
    struct rebuild *rebuild = telling->rebuild;
    if (telling->run == rebuild->run) {
        rebuild->telling--;
        step(rebuild);
    }
    telling_free(telling);
}

static void tell_mark(struct rebuild *rebuild, struct part *part, const struct record *rec)
{
    struct telling *telling;
    if (part->gone)
        return;
    telling = telling_new(rebuild, part, SLICE_NULL);
    if (!marks_tell(part, rec, known, telling)) {
        telling_free(telling);
        return;
    }
    rebuild->telling++;
    rebuild->known++;
}

/* ---- reading ---- */

static void read_again(struct rebuild *rebuild, const struct err *err)
{
    log_warn(rebuild->knowing ? "marks_not_read" : "tiers_not_read",
             LOG_STR("route", rebuild->route->config->name), LOG_STR("error", err->text),
             LOG_STR("then", "tried again"), LOG_END);
    release_reader(rebuild);
    loop_timer_set_ms(&rebuild->again_timer, AGAIN_MS);
}

/* True: everything is read. */
static bool read_on(struct rebuild *rebuild)
{
    struct err err = {0};
    struct record rec;
    size_t range;
    for (int i = 0; i < READS_PER_TURN && rebuild->telling < TELLING_MAX; i++) {
        switch (kafka_reader_take(rebuild->reader, &rec, &range, &err)) {
        case KAFKA_READ_RECORD:
            if (rebuild->knowing)
                tell_mark(rebuild, rebuild->parts[range], &rec);
            else
                tell(rebuild, rebuild->parts[range], &rec);
            break;
        case KAFKA_READ_EMPTY:
            return false;
        case KAFKA_READ_END:
            return true;
        case KAFKA_READ_FAILED:
            read_again(rebuild, &err);
            return false;
        }
    }
    if (rebuild->telling < TELLING_MAX)
        step(rebuild);
    return false;
}

static void begin_reading(void *arg);

static void run(void *arg)
{
    struct rebuild *rebuild = arg;
    if (!rebuild->running || rebuild->marking || loop_timer_armed(&rebuild->again_timer))
        return;
    if (rebuild->reader) {
        if (!read_on(rebuild))
            return;
        release_reader(rebuild);
    }
    if (rebuild->telling > 0 || rebuild->route->twins_telling > 0)
        return;
    if (!rebuild->knowing && rebuild->route->marks) {
        rebuild->knowing = true;
        begin_reading(rebuild);
        return;
    }
    mark(rebuild);
}

static void readable(void *arg)
{
    step(arg);
}

/* Tier partitions have copies of the source partitions of their number. */
static bool feeds(const struct part *tier, const struct part *part)
{
    int32_t count = route_topic_tier(tier->topic, tier->tier_ms)->partitions;
    if (part->topic != tier->topic)
        return false;
    return part->number == tier->number ||
           (part->kind != PART_TIER && count > 0 && part->number % count == tier->number);
}

/* A partition whose list is not known has copies there; or may have: the end is known only where
 * the partition was just assigned. */
static bool must_be_read(const struct route *route, const struct part *tier)
{
    const struct part *part;
    if (tier->kind != PART_TIER ||
        (tier->fresh && watermark_offset(tier->watermark) >= tier->kafka->end_offset &&
         tier->kafka->end_offset >= 0))
        return false;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->next.unbuilt && feeds(tier, part))
            return true;
    }
    return false;
}

/* Partitions of a marks topic may be fewer than those of its source. */
static int32_t marks_number(const struct part *part)
{
    return part->number % (part->topic->marks_partitions > 0 ? part->topic->marks_partitions : 1);
}

static bool is_read_already(const struct rebuild *rebuild, const struct part *part)
{
    for (size_t i = 0; i < rebuild->part_count; i++) {
        if (rebuild->parts[i]->topic == part->topic &&
            marks_number(rebuild->parts[i]) == marks_number(part))
            return true;
    }
    return false;
}

/* What is to be read for the partition, or of it; false: nothing. */
static bool range_of(const struct rebuild *rebuild, const struct part *part,
                     struct kafka_reader_range *range)
{
    if (!rebuild->knowing) {
        *range = (struct kafka_reader_range){part->kafka->topic, part->number,
                                             watermark_offset(part->watermark)};
        return must_be_read(rebuild->route, part);
    }
    *range = (struct kafka_reader_range){part->topic->marks, marks_number(part), 0};
    return part->kind == PART_SOURCE && part->next.unbuilt && !is_read_already(rebuild, part);
}

static void say_what(const struct rebuild *rebuild)
{
    if (rebuild->knowing)
        log_warn("rebuilding", LOG_STR("route", rebuild->route->config->name),
                 LOG_UINT("marks_partitions", rebuild->part_count),
                 LOG_STR("why", "the ledger does not know what was done: the marks are read, and "
                                "nothing is delivered before"),
                 LOG_END);
    else
        log_warn("rebuilding", LOG_STR("route", rebuild->route->config->name),
                 LOG_UINT("tier_partitions", rebuild->part_count),
                 LOG_STR("why", "the ledger does not know what is parked: the tiers are read, and "
                                "nothing is delivered before"),
                 LOG_END);
}

/* False: nothing is to be read. */
static bool open_reader(struct rebuild *rebuild, struct err *err)
{
    struct route *route = rebuild->route;
    struct kafka_reader_range *ranges = mem_calloc(route->part_count + 1, sizeof(*ranges));
    struct part *part;
    release_reader(rebuild);
    rebuild->parts = mem_calloc(route->part_count + 1, sizeof(*rebuild->parts));
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (!range_of(rebuild, part, &ranges[rebuild->part_count]))
            continue;
        rebuild->parts[rebuild->part_count++] = part;
        part_ref(part);
    }
    if (rebuild->part_count > 0) {
        say_what(rebuild);
        rebuild->reader = kafka_reader_new(route->loop, route->worker->config, route->config->group,
                                           ranges, rebuild->part_count, readable, rebuild, err);
    }
    mem_free(ranges);
    return rebuild->part_count == 0 || rebuild->reader;
}

static void begin_reading(void *arg)
{
    struct rebuild *rebuild = arg;
    struct err err = {0};
    if (!open_reader(rebuild, &err))
        read_again(rebuild, &err);
    else
        step(rebuild);
}

static void begin(struct route *route)
{
    struct rebuild *rebuild = route->rebuild;
    struct part *part;
    rebuild->run++;
    rebuild->running = true;
    rebuild->marking = false;
    rebuild->knowing = false;
    rebuild->telling = 0;
    rebuild->copies = rebuild->refused = rebuild->known = 0;
    rebuild->started_ns = clock_mono_ns();
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence == PART_FENCE_TAKEN)
            part->fence = PART_FENCE_BUILDING;
    }
    metric_set(route->metrics.rebuilding, 1);
    route_note_stops(route);
    if (route->twin_records > 0)
        twins_repark_all(route);
    begin_reading(rebuild);
}

/* ---- tokens ---- */

static void prove_all(struct route *route)
{
    struct part *part;
    stop(route->rebuild);
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence == PART_FENCE_TAKING)
            continue;
        part->fence = PART_FENCE_PROVING;
        part->committing = -1;
    }
    assign_commit(route);
}

void rebuild_ledger_wiped(struct route *route)
{
    if (route->config->ordering == ORDERING_KEY && route->part_count > 0)
        prove_all(route);
}

/*
 * Decides when every partition has its token: all of a route wait for each other, since a loss of
 * data is all of theirs. One that was in use while another comes back unbuilt has a token that the
 * ledger has lost as well.
 */
static void decide(struct route *route)
{
    const struct part *part;
    bool unbuilt = false, in_use = false;
    TAILQ_FOREACH(part, &route->parts, in_route)
    {
        if (part->fence == PART_FENCE_TAKING || part->fence == PART_FENCE_PROVING)
            return;
        in_use = in_use || part->fence != PART_FENCE_TAKEN;
        unbuilt = unbuilt || (part->fence == PART_FENCE_TAKEN && part->next.unbuilt);
    }
    if (unbuilt && in_use)
        prove_all(route);
    else if (unbuilt)
        begin(route);
    else if (!route->rebuild->running)
        use_tokens(route);
}

void rebuild_token_taken(struct part *part)
{
    struct route *route = part->route;
    part->fence = PART_FENCE_TAKEN;
    if (route->config->ordering == ORDERING_KEY) {
        if (route->phase == ROUTE_RUNNING)
            decide(route);
        return;
    }
    use_token(part);
    claim_unfenced(route);
    intake_wake(route);
    route_pump(route);
}

void rebuild_twin_told(struct route *route)
{
    if (route->twins_telling == 0)
        step(route->rebuild);
}

bool rebuild_running(const struct route *route)
{
    return route->rebuild->running;
}

const char *rebuild_text(const struct route *route, char *text, size_t size)
{
    if (route->rebuild->knowing)
        snprintf(text, size,
                 "rebuilding from marks topics: the ledger does not know what was done (%llu marks "
                 "read so far)",
                 (unsigned long long)route->rebuild->known);
    else
        snprintf(
            text, size,
            "rebuilding from tier topics: the ledger does not know what is parked (%llu copies "
            "read so far)",
            (unsigned long long)route->rebuild->copies);
    return text;
}

void rebuild_init(struct route *route)
{
    struct rebuild *rebuild = mem_zalloc(sizeof(*rebuild));
    rebuild->route = route;
    loop_task_init(&rebuild->step_task, run, rebuild);
    loop_timer_init(&rebuild->again_timer, route->loop, begin_reading, rebuild);
    route->rebuild = rebuild;
}

void rebuild_deinit(struct route *route)
{
    struct rebuild *rebuild = route->rebuild;
    if (!rebuild)
        return;
    stop(rebuild);
    loop_timer_deinit(&rebuild->again_timer);
    buf_deinit(&rebuild->identity_store);
    mem_free(rebuild);
    route->rebuild = NULL;
}
