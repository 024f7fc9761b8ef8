/*
 * The store's index and its writing; see store.h.
 * Invariants: an entry is LIVE only after a sync of its segment has succeeded; nothing is written
 * to a segment after a sync of it failed; what a mark of "done" is about is on the disk as long as
 * the mark is, or longer gone. Must not: talk to Kafka, or decide when something is tried.
 */
#include "spool/store.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/store_state.h"

#define SEGMENT_MIN (UINT64_C(64) << 10)
#define SEGMENT_MAX (UINT64_C(16) << 20)
#define TAKEN_MAX   16
#define REFUSED_MAX 5 /* a rest doubles so often */
#define FRAME(body) (SPOOL_FRAME_BYTES + (uint64_t)(body))
#define MARK_BYTES  ((uint64_t)SPOOL_FRAME_BYTES)

struct spool_topic *store_topic(struct spool_store *store, const char *name)
{
    struct spool_topic *topic;
    HASH_FIND_STR(store->topics, name, topic);
    if (topic)
        return topic;
    topic = mem_zalloc(sizeof(*topic));
    memcpy(topic->name, name, strlen(name) + 1);
    TAILQ_INIT(&topic->ready);
    TAILQ_INIT(&topic->refused);
    HASH_ADD_STR(store->topics, name, topic);
    return topic;
}

void store_enter(struct spool_store *store, struct spool_entry *entry)
{
    struct spool_segment *segment = entry->segment;
    entry->state = ENTRY_LIVE;
    HASH_ADD(hh, store->by_number, number, sizeof(entry->number), entry);
    TAILQ_INSERT_TAIL(&store->all, entry, in_all);
    TAILQ_INSERT_TAIL(&entry->topic->ready, entry, link);
    segment->live++;
    segment->live_bytes += entry->size;
    store->live++;
    store->live_bytes += entry->size;
}

/* Where a LIVE one waits. */
static struct spool_entries *list_of(const struct spool_entry *entry)
{
    return entry->refused > 0 ? &entry->topic->refused : &entry->topic->ready;
}

void store_leave(struct spool_store *store, struct spool_entry *entry)
{
    struct spool_segment *segment = entry->segment;
    if (entry->state == ENTRY_TAKEN)
        entry->topic->taken--;
    else
        TAILQ_REMOVE(list_of(entry), entry, link);
    HASH_DEL(store->by_number, entry);
    TAILQ_REMOVE(&store->all, entry, in_all);
    segment->live--;
    segment->live_bytes -= entry->size;
    store->live--;
    store->live_bytes -= entry->size;
}

/* ---- writing ---- */

static uint64_t draw_salt(void)
{
    uint64_t salt;
    if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
        salt = clock_mono_ns() ^ (uint64_t)clock_wall_ms() << 20 ^ (uint64_t)getpid();
    return salt;
}

/* It is written no more: all of it is made durable, the note too. The records that a failure of
 * that concerns are told so by their state. */
static void leave_active(struct spool_store *store)
{
    struct spool_segment *segment = store->active;
    struct err err = {0};
    if (!segment)
        return;
    if (!store_sync(store, &err) || (!segment->sealed && !segment_sync(segment, store->io, &err)))
        log_warn("spool_segment_left", LOG_STR("error", err.text), LOG_END);
    segment->sealed = true;
    store->active = NULL;
}

bool store_make_active(struct spool_store *store, uint64_t size, struct err *err)
{
    struct spool_segment *last = TAILQ_LAST(&store->segments, spool_segments);
    struct spool_head head = {.number = store->next_segment,
                              .salt = draw_salt(),
                              .before = last ? last->head.number : 0,
                              .made_ms = clock_wall_ms()};
    if (store->active && !store->active->sealed &&
        (store->active->len == SPOOL_HEAD_BYTES ||
         store->active->len + size <= store->segment_bytes))
        return true;
    leave_active(store);
    head.before_len = last ? last->synced : 0;
    struct spool_segment *segment = segment_create(store->io, store->dir, store->dir_fd, &head,
                                                   err);
    if (!segment)
        return false;
    store->next_segment++;
    store->bytes += segment->len;
    TAILQ_INSERT_TAIL(&store->segments, segment, in_store);
    store->active = segment;
    return true;
}

bool store_append(struct spool_store *store, struct spool_frame *frame, struct err *err)
{
    struct spool_segment *segment;
    bool done;
    if (!store_make_active(store, FRAME(frame->body.len), err))
        return false;
    segment = store->active;
    store->bytes -= segment->len;
    done = segment_append(segment, store->io, frame, err);
    store->bytes += segment->len;
    return done;
}

/* Every record has room for its mark, or what is full could never be emptied; and there is always
 * room for a copy of what is kept of any segment. */
static bool has_room(const struct spool_store *store, uint64_t size)
{
    const struct spool_segment *segment;
    uint64_t marks = (store->live + 1) * MARK_BYTES;
    uint64_t spare = store->segment_bytes > FRAME(size) ? store->segment_bytes : FRAME(size);
    TAILQ_FOREACH(segment, &store->segments, in_store)
    {
        if (segment->live_bytes > spare)
            spare = segment->live_bytes;
    }
    return store->bytes + FRAME(size) + marks + spare + 2 * SPOOL_HEAD_BYTES <= store->max_bytes;
}

struct spool_entry *store_put(struct spool_store *store, const struct spool_record *rec,
                              struct slice body, struct err *err)
{
    struct spool_frame frame = {
        .type = SPOOL_FRAME_RECORD, .number = store->next_number, .body = body};
    struct spool_entry *entry;
    if (!has_room(store, body.len))
        store_tidy(store);
    if (!has_room(store, body.len) || body.len > SPOOL_BODY_MAX) {
        err_set_retriable(err, ERR_LIMIT,
                          "spool: %s is full: %llu of %llu bytes are in use, and the record takes "
                          "%llu; none may take more than half (spool.max)",
                          store->dir, (unsigned long long)store->bytes,
                          (unsigned long long)store->max_bytes,
                          (unsigned long long)FRAME(body.len));
        return NULL;
    }
    if (!store_append(store, &frame, err))
        return NULL;
    store->next_number++;
    entry = mem_zalloc(sizeof(*entry));
    *entry = (struct spool_entry){.number = frame.number,
                                  .segment = store->active,
                                  .at = frame.at,
                                  .size = FRAME(body.len),
                                  .time_ms = rec->time_ms,
                                  .topic = store_topic(store, rec->topic),
                                  .state = ENTRY_PENDING};
    TAILQ_INSERT_TAIL(&store->pending, entry, link);
    return entry;
}

static void drop_marked(struct spool_store *store)
{
    struct spool_entry *entry;
    while ((entry = TAILQ_FIRST(&store->marking)) != NULL) {
        TAILQ_REMOVE(&store->marking, entry, link);
        mem_free(entry);
    }
}

bool store_sync(struct spool_store *store, struct err *err)
{
    struct spool_segment *segment = store->active;
    struct spool_entry *entry;
    bool done = true;
    if (segment && !segment_is_synced(segment)) {
        store->bytes -= segment->len;
        done = segment_sync(segment, store->io, &store->trouble);
        segment_note(segment, store->io);
        store->bytes += segment->len;
    } else if (segment && segment->broken) {
        done = TAILQ_EMPTY(&store->pending) && TAILQ_EMPTY(&store->marking);
    }
    if (!done && err)
        *err = store->trouble;
    while ((entry = TAILQ_FIRST(&store->pending)) != NULL) {
        TAILQ_REMOVE(&store->pending, entry, link);
        if (done)
            store_enter(store, entry);
        else
            entry->state = ENTRY_FAILED;
    }
    if (done)
        drop_marked(store);
    else
        TAILQ_CONCAT(&store->unmarked, &store->marking, link);
    return done;
}

bool store_kept(struct spool_store *store, struct spool_entry *entry, struct err *err)
{
    if (entry->state != ENTRY_FAILED)
        return true;
    mem_free(entry);
    if (err)
        *err = store->trouble;
    return false;
}

/* ---- taking ---- */

static struct spool_entry *take_of(struct spool_topic *topic, uint64_t now_ms)
{
    struct spool_entry *entry = TAILQ_FIRST(&topic->refused);
    if (!entry || entry->rest_until_ms > now_ms)
        entry = TAILQ_FIRST(&topic->ready);
    if (!entry || topic->rest_until_ms > now_ms ||
        topic->taken >= (topic->doubted || topic->alone || entry->refused ? 1 : TAKEN_MAX))
        return NULL;
    topic->alone = entry->refused > 0;
    TAILQ_REMOVE(list_of(entry), entry, link);
    topic->taken++;
    entry->state = ENTRY_TAKEN;
    return entry;
}

struct spool_entry *store_take(struct spool_store *store, uint64_t now_ms)
{
    struct spool_topic *topic, *next;
    HASH_ITER(hh, store->topics, topic, next)
    {
        struct spool_entry *entry = take_of(topic, now_ms);
        if (entry)
            return entry;
    }
    return NULL;
}

bool store_read(struct spool_store *store, struct spool_entry *entry, struct spool_record *rec,
                char **memory, struct err *err)
{
    struct spool_frame frame;
    (void)store;
    if (!segment_read(entry->segment, entry->at, entry->size, &frame, memory, err))
        return false;
    if (spool_record_read(frame.body, rec, err))
        return true;
    mem_free(*memory);
    *memory = NULL;
    return false;
}

/* By the end of their rest. Most rest equally long, so its place is near the end. */
static void insert_refused(struct spool_topic *topic, struct spool_entry *entry)
{
    struct spool_entry *before = TAILQ_LAST(&topic->refused, spool_entries);
    while (before && before->rest_until_ms > entry->rest_until_ms)
        before = TAILQ_PREV(before, spool_entries, link);
    if (before)
        TAILQ_INSERT_AFTER(&topic->refused, before, entry, link);
    else
        TAILQ_INSERT_HEAD(&topic->refused, entry, link);
}

void store_give_back(struct spool_store *store, struct spool_entry *entry, uint64_t now_ms,
                     uint64_t rest_ms, bool whole_topic)
{
    struct spool_topic *topic = entry->topic;
    (void)store;
    topic->taken--;
    entry->state = ENTRY_LIVE;
    if (whole_topic) {
        topic->rest_until_ms = now_ms + rest_ms;
        topic->doubted = true;
        /* Another one is tried next: it may be only this one's partition that is gone. */
        if (entry->refused == 0) {
            TAILQ_INSERT_TAIL(&topic->ready, entry, link);
            return;
        }
        entry->rest_until_ms = now_ms + 2 * rest_ms;
        insert_refused(topic, entry);
        return;
    }
    /* Elsewhere: the others are not to wait for it. */
    entry->rest_until_ms = now_ms + (rest_ms << (entry->refused < REFUSED_MAX ? entry->refused
                                                                              : REFUSED_MAX));
    entry->refused++;
    insert_refused(topic, entry);
}

void store_forget(struct spool_store *store, struct spool_entry *entry)
{
    entry->topic->doubted = false;
    store_leave(store, entry);
    entry->state = ENTRY_UNMARKED;
    TAILQ_INSERT_TAIL(&store->unmarked, entry, link);
}

/* ---- opening, closing ---- */

struct spool_store *store_open(const char *dir, uint64_t max_bytes, const struct spool_io *io,
                               struct err *err)
{
    struct spool_store *store = mem_zalloc(sizeof(*store));
    store->dir = mem_strdup(dir);
    store->dir_fd = store->lock_fd = -1;
    store->io = io ? io : &spool_io_real;
    store->max_bytes = max_bytes;
    store->segment_bytes = max_bytes / 16;
    if (store->segment_bytes < SEGMENT_MIN)
        store->segment_bytes = SEGMENT_MIN;
    if (store->segment_bytes > SEGMENT_MAX)
        store->segment_bytes = SEGMENT_MAX;
    store->next_segment = store->next_number = 1;
    TAILQ_INIT(&store->segments);
    TAILQ_INIT(&store->pending);
    TAILQ_INIT(&store->unmarked);
    TAILQ_INIT(&store->marking);
    TAILQ_INIT(&store->all);
    if (!store_load(store, err)) {
        store_close(&store);
        return NULL;
    }
    store_tidy(store);
    return store;
}

static void free_list(struct spool_entries *list)
{
    struct spool_entry *entry;
    while ((entry = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, entry, link);
        mem_free(entry);
    }
}

void store_close(struct spool_store **store_p)
{
    struct spool_store *store = *store_p;
    struct spool_topic *topic, *next;
    struct spool_entry *entry;
    struct spool_segment *segment;
    if (!store)
        return;
    *store_p = NULL;
    HASH_CLEAR(hh, store->by_number);
    while ((entry = TAILQ_FIRST(&store->all)) != NULL) {
        TAILQ_REMOVE(&store->all, entry, in_all);
        mem_free(entry);
    }
    free_list(&store->pending);
    free_list(&store->unmarked);
    free_list(&store->marking);
    HASH_ITER(hh, store->topics, topic, next)
    {
        HASH_DEL(store->topics, topic);
        mem_free(topic);
    }
    while ((segment = TAILQ_FIRST(&store->segments)) != NULL) {
        TAILQ_REMOVE(&store->segments, segment, in_store);
        segment_free(&segment);
    }
    if (store->dir_fd >= 0)
        close(store->dir_fd);
    if (store->lock_fd >= 0)
        close(store->lock_fd); /* and with it the lock */
    mem_free(store->dir);
    mem_free(store);
}

void store_stats(const struct spool_store *store, struct spool_store_stats *out)
{
    const struct spool_entry *oldest = TAILQ_FIRST(&store->all);
    const struct spool_segment *segment;
    *out = (struct spool_store_stats){.records = store->live,
                                      .bytes = store->bytes,
                                      .oldest_ms = oldest ? oldest->time_ms : 0,
                                      .torn_bytes = store->torn_bytes};
    TAILQ_FOREACH(segment, &store->segments, in_store)
    out->segments++;
}
