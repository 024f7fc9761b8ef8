/*
 * Making room in a spool: a file of which nothing is kept is deleted; where much of the space is of
 * no use, what is kept of the oldest file is copied to the end first, so that a record that nobody
 * takes does not hold the space of all that came after it.
 *
 * Invariants: only the oldest file goes. So a mark of "done" always stands behind what it is about,
 * and when its own file goes, that is gone already; a file goes only after what is kept of it is
 * durable elsewhere. A crash in between leaves two copies of one number: the later one counts.
 */
#include "base/clock.h"
#include "base/log.h"
#include "spool/store_state.h"

/* What a copy that failed has left behind takes room too. */
#define COPY_AGAIN_MS 60000

/* Writes the marks that are due. Where that fails (a full disk) they stay due: what is deleted
 * below may make room. */
static void write_marks(struct spool_store *store)
{
    struct spool_entry *entry;
    struct err err = {0};
    while ((entry = TAILQ_FIRST(&store->unmarked)) != NULL) {
        struct spool_frame frame = {.type = SPOOL_FRAME_DONE, .number = entry->number};
        if (!store_append(store, &frame, &err))
            return;
        TAILQ_REMOVE(&store->unmarked, entry, link);
        TAILQ_INSERT_TAIL(&store->marking, entry, link);
    }
}

/* Marks of records whose segment goes are of no use any more. */
static void drop_marks_of(struct spool_entries *list, const struct spool_segment *segment)
{
    struct spool_entry *entry, *next;
    for (entry = TAILQ_FIRST(list); entry; entry = next) {
        next = TAILQ_NEXT(entry, link);
        if (entry->segment != segment)
            continue;
        TAILQ_REMOVE(list, entry, link);
        mem_free(entry);
    }
}

static bool delete_segment(struct spool_store *store, struct spool_segment *segment)
{
    uint64_t len = segment->len;
    struct err err = {0};
    drop_marks_of(&store->unmarked, segment);
    drop_marks_of(&store->marking, segment);
    TAILQ_REMOVE(&store->segments, segment, in_store);
    if (store->active == segment)
        store->active = NULL;
    if (segment_delete(&segment, store->dir_fd, &err)) {
        store->bytes -= len;
        return true;
    }
    log_error("spool_not_deleted", LOG_STR("error", err.text), LOG_END);
    segment->sealed = segment->stays = true; /* not tried again before the next start */
    TAILQ_INSERT_HEAD(&store->segments, segment, in_store);
    return false;
}

/* Nothing is kept and nothing is on its way: the folder is emptied. */
static bool delete_all(struct spool_store *store)
{
    struct spool_segment *segment;
    if (store->live > 0 || !TAILQ_EMPTY(&store->pending))
        return false;
    /* The oldest first: the marks in a newer one may be about it. */
    while ((segment = TAILQ_FIRST(&store->segments)) != NULL) {
        if (!delete_segment(store, segment))
            return true;
    }
    return true;
}

/* A record's new place; the index learns of it once that is durable. */
struct move {
    struct spool_entry *entry;
    struct spool_segment *segment;
    uint64_t at;
};

static bool copy_record(struct spool_store *store, const struct spool_segment *segment,
                        const struct spool_frame *frame, struct move *moves, size_t *count,
                        struct err *err)
{
    struct spool_frame copy = {.type = frame->type, .number = frame->number, .body = frame->body};
    struct spool_entry *entry;
    HASH_FIND(hh, store->by_number, &frame->number, sizeof(frame->number), entry);
    if (frame->type != SPOOL_FRAME_RECORD || !entry || entry->segment != segment ||
        entry->at != frame->at)
        return true;
    if (!store_append(store, &copy, err))
        return false;
    moves[(*count)++] = (struct move){entry, store->active, copy.at};
    return true;
}

static bool copy_all(struct spool_store *store, const struct spool_segment *segment,
                     struct move *moves, size_t *count, struct err *err)
{
    struct slice bytes;
    struct spool_frame frame;
    uint64_t at = SPOOL_HEAD_BYTES;
    bool done = true;
    if (!segment_load(segment, &bytes, err))
        return false;
    bytes.len = segment->synced;
    while (done && at < bytes.len) {
        if (spool_frame_read(&segment->head, bytes, at, &frame) != SPOOL_STEP_FRAME)
            done = err_set(err, ERR_IO, "spool: %s: damaged at offset %llu", segment->path,
                           (unsigned long long)at);
        else
            done = copy_record(store, segment, &frame, moves, count, err);
        at = spool_frame_end(&frame);
    }
    mem_free((void *)(uintptr_t)bytes.data);
    return done && store_sync(store, err);
}

/* The copying may have gone over the end of a file, whose sync is another than the last one. */
static bool all_durable(const struct move *moves, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (moves[i].at + moves[i].entry->size > moves[i].segment->synced)
            return err_set(err, ERR_IO, "spool: %s: what was copied there is not durable",
                           moves[i].segment->path);
    }
    return true;
}

static bool compact(struct spool_store *store, struct spool_segment *segment)
{
    struct move *moves = mem_calloc(segment->live + 1, sizeof(*moves));
    struct err err = {0};
    size_t count = 0;
    bool done = copy_all(store, segment, moves, &count, &err) && all_durable(moves, count, &err);
    for (size_t i = 0; done && i < count; i++) {
        segment->live--;
        segment->live_bytes -= moves[i].entry->size;
        moves[i].entry->segment = moves[i].segment;
        moves[i].entry->at = moves[i].at;
        moves[i].segment->live++;
        moves[i].segment->live_bytes += moves[i].entry->size;
    }
    if (!done) {
        log_error("spool_not_tidied", LOG_STR("error", err.text), LOG_END);
        store->copy_after_ms = clock_mono_ns() / NS_PER_MS + COPY_AGAIN_MS;
    }
    mem_free(moves);
    return done && delete_segment(store, segment);
}

/* Much of what the files take is of no use, and there is room to copy what is kept of the oldest.
 */
static bool is_worth_it(const struct spool_store *store, const struct spool_segment *oldest)
{
    return store->bytes - store->live_bytes > store->bytes / 4 + store->segment_bytes &&
           store->bytes + oldest->live_bytes + 2 * SPOOL_HEAD_BYTES <= store->max_bytes &&
           clock_mono_ns() / NS_PER_MS >= store->copy_after_ms;
}

void store_tidy(struct spool_store *store)
{
    struct spool_segment *oldest;
    struct err err = {0};
    if (delete_all(store))
        return;
    write_marks(store);
    while ((oldest = TAILQ_FIRST(&store->segments)) != NULL && oldest->sealed && !oldest->stays) {
        if (oldest->live == 0 ? !delete_segment(store, oldest)
                              : !is_worth_it(store, oldest) || !compact(store, oldest))
            break;
    }
    if (!TAILQ_EMPTY(&store->marking) && !store_sync(store, &err))
        log_warn("spool_not_marked", LOG_STR("error", err.text), LOG_END);
}
