/*
 * Opening a spool's folder: the lock, then every segment from its first byte to its last.
 * Invariants: nothing is skipped in silence. What was never durable (the end of an interrupted
 * write) is cut off and counted; anything else that is not what was written is an error that names
 * file and offset, and the folder is not opened.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "spool/store_state.h"

static bool fail(const char *dir, const char *what, struct err *err)
{
    return err_set(err, ERR_IO, "spool: %s: %s: %s", dir, what, strerror(errno));
}

/* The lock is the process's: the system takes it back however the process ends. */
static bool lock(struct spool_store *store, struct err *err)
{
    char *path = mem_printf("%s/lock", store->dir);
    char owner[24] = "";
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    mem_free(path);
    if (store->lock_fd < 0)
        return fail(store->dir, "lock", err);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return fail(store->dir, "lock", err);
        ssize_t n = pread(store->lock_fd, owner, sizeof(owner) - 1, 0);
        owner[n > 0 ? strcspn(owner, "\n") : 0] = '\0';
        return err_set(err, ERR_IO,
                       "spool: %s is in use by process %s: each gateway needs a folder of its own "
                       "(spool.dir)",
                       store->dir, owner[0] ? owner : "of another host");
    }
    snprintf(owner, sizeof(owner), "%ld\n", (long)getpid());
    if (ftruncate(store->lock_fd, 0) != 0 ||
        pwrite(store->lock_fd, owner, strlen(owner), 0) != (ssize_t)strlen(owner))
        errno = 0; /* it is for people only; a full disk is no reason not to start */
    return true;
}

/* The folder itself must be there after a power failure. Where its parent may not be read, whoever
 * made the folder sees to that. */
static bool sync_parent(struct spool_store *store, struct err *err)
{
    int fd = openat(store->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd < 0 || store->io->sync(fd) == 0 || errno != EIO; /* it may be mounted to read */
    if (!done)
        (void)fail(store->dir, "sync the folder above", err);
    if (fd >= 0)
        close(fd);
    return done;
}

static bool open_dir(struct spool_store *store, struct err *err)
{
    if (mkdir(store->dir, 0700) != 0 && errno != EEXIST)
        return fail(store->dir, "make", err);
    store->dir_fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir_fd < 0)
        return fail(store->dir, "open", err);
    return sync_parent(store, err);
}

/* ---- the files ---- */

static int is_segment(const struct dirent *file)
{
    size_t len = strlen(file->d_name);
    return len > 6 && strspn(file->d_name, "0123456789") == len - 6 &&
           strcmp(file->d_name + len - 6, ".spool") == 0;
}

static bool open_all(struct spool_store *store, struct dirent **files, int count, struct err *err)
{
    for (int i = 0; i < count; i++) {
        struct spool_segment *segment = segment_open(store->dir, files[i]->d_name, err);
        if (!segment)
            return false;
        TAILQ_INSERT_TAIL(&store->segments, segment, in_store);
        store->bytes += segment->len;
    }
    return true;
}

/* Ten digits: by name is by number. */
static bool open_segments(struct spool_store *store, struct err *err)
{
    struct dirent **files = NULL;
    int count = scandir(store->dir, &files, is_segment, alphasort);
    bool done;
    if (count < 0)
        return fail(store->dir, "list", err);
    done = open_all(store, files, count, err);
    for (int i = 0; i < count; i++)
        free(files[i]);
    free(files);
    return done;
}

/* ---- one segment ---- */

static bool damaged(const struct spool_segment *segment, uint64_t at, const char *what,
                    struct err *err)
{
    return err_set(err, ERR_IO,
                   "spool: %s is damaged at offset %llu: %s. Nothing of the spool was used; keep "
                   "the file, and move it out of the folder to go on without it",
                   segment->path, (unsigned long long)at, what);
}

static bool cut(struct spool_store *store, struct spool_segment *segment, uint64_t len,
                struct err *err)
{
    uint64_t torn = segment->len - len;
    if (torn == 0)
        return true;
    log_warn("spool_torn_tail", LOG_STR("file", segment->path), LOG_UINT("offset", len),
             LOG_UINT("bytes", torn),
             LOG_STR("why", "a write was interrupted; it counted for none"), LOG_END);
    store->bytes -= torn;
    store->torn_bytes += torn;
    return segment_cut(segment, store->io, len, err);
}

static bool add_record(struct spool_store *store, struct spool_segment *segment,
                       const struct spool_frame *frame, struct err *err)
{
    struct spool_record rec;
    struct err what = {0};
    struct spool_entry *entry;
    if (!spool_record_read(frame->body, &rec, &what))
        return damaged(segment, frame->at, what.text, err);
    HASH_FIND(hh, store->by_number, &frame->number, sizeof(frame->number), entry);
    if (entry) { /* this is its copy, made before the older segment was to be deleted */
        store_leave(store, entry);
    } else {
        entry = mem_zalloc(sizeof(*entry));
        entry->number = frame->number;
    }
    entry->segment = segment;
    entry->at = frame->at;
    entry->size = spool_frame_end(frame) - frame->at;
    entry->time_ms = rec.time_ms;
    entry->topic = store_topic(store, rec.topic);
    store_enter(store, entry);
    spool_record_deinit(&rec);
    return true;
}

static bool add_frame(struct spool_store *store, struct spool_segment *segment,
                      const struct spool_frame *frame, struct err *err)
{
    struct spool_entry *entry;
    if (frame->number >= store->next_number)
        store->next_number = frame->number + 1;
    if (frame->type == SPOOL_FRAME_RECORD)
        return add_record(store, segment, frame, err);
    if (frame->type == SPOOL_FRAME_NOTE)
        return true;
    HASH_FIND(hh, store->by_number, &frame->number, sizeof(frame->number), entry);
    if (entry) {
        store_leave(store, entry);
        mem_free(entry);
    }
    return true;
}

static bool walk(struct spool_store *store, struct spool_segment *segment, struct slice bytes,
                 bool last, struct err *err)
{
    uint64_t at = SPOOL_HEAD_BYTES;
    struct spool_frame frame;
    for (;;) {
        switch (spool_frame_read(&segment->head, bytes, at, &frame)) {
        case SPOOL_STEP_FRAME:
            if (!add_frame(store, segment, &frame, err))
                return false;
            at = spool_frame_end(&frame);
            break;
        case SPOOL_STEP_END:
            return cut(store, segment, at, err);
        case SPOOL_STEP_TORN:
            if (last)
                return cut(store, segment, at, err);
            return damaged(segment, at, "it is not what was written there", err);
        case SPOOL_STEP_CORRUPT:
            return damaged(segment, at, "it is not what was written there", err);
        }
    }
}

/* How much of it the segment written after it says to have been durable; all, where none does. It
 * may be more than there is. */
static uint64_t believed(const struct spool_store *store, const struct spool_segment *segment)
{
    const struct spool_segment *after;
    TAILQ_FOREACH(after, &store->segments, in_store)
    {
        if (after->head.before == segment->head.number)
            return after->head.before_len;
    }
    return segment->len;
}

static bool read_heads(struct spool_store *store, struct err *err)
{
    struct spool_segment *segment, *next;
    for (segment = TAILQ_FIRST(&store->segments); segment; segment = next) {
        char bytes[SPOOL_HEAD_BYTES];
        ssize_t n = pread(segment->fd, bytes, sizeof(bytes), 0);
        next = TAILQ_NEXT(segment, in_store);
        if (n < 0)
            return fail(segment->path, "read", err);
        if (spool_head_read((struct slice){bytes, (size_t)n}, &segment->head)) {
            store->next_segment = segment->head.number + 1;
            continue;
        }
        if (next || segment->len > SPOOL_HEAD_BYTES)
            return damaged(segment, 0, "it does not begin as a segment does", err);
        /* Its making was interrupted: it held nothing. */
        log_warn("spool_torn_segment", LOG_STR("file", segment->path),
                 LOG_UINT("bytes", segment->len), LOG_END);
        store->torn_bytes += segment->len;
        store->bytes -= segment->len;
        TAILQ_REMOVE(&store->segments, segment, in_store);
        if (!segment_delete(&segment, store->dir_fd, err))
            return false;
    }
    return true;
}

static bool read_segment(struct spool_store *store, struct spool_segment *segment, struct err *err)
{
    uint64_t len = believed(store, segment);
    bool last = TAILQ_NEXT(segment, in_store) == NULL;
    struct slice bytes;
    bool done;
    if (len < SPOOL_HEAD_BYTES)
        return damaged(segment, 0, "it is shorter than its head", err);
    if (len > segment->len)
        return damaged(segment, segment->len, "it ends there, and more of it was durable", err);
    if (!segment_load(segment, &bytes, err))
        return false;
    bytes.len = len;
    done = walk(store, segment, bytes, last, err);
    mem_free((void *)(uintptr_t)bytes.data);
    /* What is believed from now on must survive a power failure too. */
    if (done && store->io->sync(segment->fd) != 0)
        return fail(segment->path, "sync", err);
    return done;
}

bool store_load(struct spool_store *store, struct err *err)
{
    struct spool_segment *segment;
    if (!open_dir(store, err) || !lock(store, err) || !open_segments(store, err) ||
        !read_heads(store, err))
        return false;
    TAILQ_FOREACH(segment, &store->segments, in_store)
    {
        if (!read_segment(store, segment, err))
            return false;
    }
    return true;
}
