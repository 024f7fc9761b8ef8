/*
 * Files of the spool; see segment.h.
 * Invariants: bytes behind `synced` count for nobody until a sync has succeeded; what a failed
 * write left is cut off before anything else is written; a broken segment is never written again.
 * Must not: know what a frame means.
 */
#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static ssize_t real_write(int fd, const void *data, size_t len, off_t at)
{
    return pwrite(fd, data, len, at);
}

const struct spool_io spool_io_real = {.write = real_write, .sync = fsync, .truncate = ftruncate};

static bool failed(const struct spool_segment *segment, const char *what, struct err *err)
{
    err_set(err, ERR_IO, "spool: %s: %s: %s", segment->path, what, strerror(errno));
    err->retriable = true;
    return false;
}

static struct spool_segment *make(const char *dir, const char *name, int flags)
{
    struct spool_segment *segment = mem_zalloc(sizeof(*segment));
    segment->path = mem_printf("%s/%s", dir, name);
    segment->fd = open(segment->path, flags | O_RDWR | O_CLOEXEC, 0600);
    return segment;
}

void segment_free(struct spool_segment **segment)
{
    if (!*segment)
        return;
    if ((*segment)->fd >= 0)
        close((*segment)->fd);
    mem_free((*segment)->path);
    mem_free(*segment);
    *segment = NULL;
}

bool segment_delete(struct spool_segment **segment, int dir_fd, struct err *err)
{
    if (unlink((*segment)->path) != 0 && errno != ENOENT)
        return failed(*segment, "delete", err);
    (void)fsync(dir_fd); /* one that comes back after a power failure is read as it is */
    segment_free(segment);
    return true;
}

static bool write_all(struct spool_segment *segment, const struct spool_io *io, struct slice bytes,
                      uint64_t at)
{
    while (bytes.len > 0) {
        ssize_t n = io->write(segment->fd, bytes.data, bytes.len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return false;
        }
        bytes.data += n;
        bytes.len -= (size_t)n;
        at += (uint64_t)n;
    }
    return true;
}

struct spool_segment *segment_create(const struct spool_io *io, const char *dir, int dir_fd,
                                     const struct spool_head *head, struct err *err)
{
    char name[40], bytes[SPOOL_HEAD_BYTES];
    struct spool_segment *segment;
    snprintf(name, sizeof(name), "%010llu.spool", (unsigned long long)head->number);
    segment = make(dir, name, O_CREAT | O_EXCL);
    segment->head = *head;
    spool_head_write(head, bytes);
    if (segment->fd >= 0 && write_all(segment, io, (struct slice){bytes, sizeof(bytes)}, 0) &&
        io->sync(segment->fd) == 0 && io->sync(dir_fd) == 0) {
        segment->len = segment->synced = sizeof(bytes);
        return segment;
    }
    (void)failed(segment, "make", err);
    if (segment->fd >= 0)
        (void)unlink(segment->path);
    segment_free(&segment);
    return NULL;
}

struct spool_segment *segment_open(const char *dir, const char *name, struct err *err)
{
    struct spool_segment *segment = make(dir, name, 0);
    struct stat stat;
    if (segment->fd >= 0 && fstat(segment->fd, &stat) == 0) {
        segment->len = segment->synced = (uint64_t)stat.st_size;
        segment->sealed = true;
        return segment;
    }
    (void)failed(segment, "open", err);
    segment_free(&segment);
    return NULL;
}

bool segment_cut(struct spool_segment *segment, const struct spool_io *io, uint64_t len,
                 struct err *err)
{
    if (io->truncate(segment->fd, (off_t)len) != 0 || io->sync(segment->fd) != 0)
        return failed(segment, "cut", err);
    segment->len = segment->synced = len;
    return true;
}

bool segment_append(struct spool_segment *segment, const struct spool_io *io,
                    struct spool_frame *frame, struct err *err)
{
    char front[SPOOL_FRAME_BYTES];
    frame->at = segment->len;
    frame->synced = segment->synced;
    spool_frame_write(&segment->head, frame, front);
    if (write_all(segment, io, (struct slice){front, sizeof(front)}, frame->at) &&
        write_all(segment, io, frame->body, frame->at + sizeof(front))) {
        segment->len = spool_frame_end(frame);
        return true;
    }
    (void)failed(segment, "write", err);
    if (io->truncate(segment->fd, (off_t)segment->len) != 0)
        segment->broken = segment->sealed = true;
    return false;
}

bool segment_sync(struct spool_segment *segment, const struct spool_io *io, struct err *err)
{
    if (segment->broken) {
        errno = EIO;
        return failed(segment, "sync", err);
    }
    if (segment->len == segment->synced)
        return true;
    if (io->sync(segment->fd) == 0) {
        segment->synced = segment->len;
        return true;
    }
    (void)failed(segment, "sync", err);
    segment->broken = segment->sealed = true;
    if (io->truncate(segment->fd, (off_t)segment->synced) == 0)
        segment->len = segment->synced;
    return false;
}

bool segment_is_synced(const struct spool_segment *segment)
{
    return segment->len == segment->synced || segment->len == segment->noted;
}

void segment_note(struct spool_segment *segment, const struct spool_io *io)
{
    struct spool_frame note = {.type = SPOOL_FRAME_NOTE};
    struct err err = {0};
    if (segment->sealed || segment->len != segment->synced || segment->len == SPOOL_HEAD_BYTES)
        return;
    if (segment_append(segment, io, &note, &err))
        segment->noted = segment->len;
}

static bool read_all(const struct spool_segment *segment, char *into, uint64_t size, uint64_t at,
                     struct err *err)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t n = pread(segment->fd, into + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n == 0 ? ENODATA : errno;
            return failed(segment, "read", err);
        }
        done += (uint64_t)n;
    }
    return true;
}

bool segment_load(const struct spool_segment *segment, struct slice *out, struct err *err)
{
    char *memory = mem_try_alloc(segment->len + 1, SIZE_MAX);
    if (!memory)
        return err_set(err, ERR_IO, "spool: %s: no memory for its %llu bytes", segment->path,
                       (unsigned long long)segment->len);
    if (!read_all(segment, memory, segment->len, 0, err)) {
        mem_free(memory);
        return false;
    }
    *out = (struct slice){memory, segment->len};
    return true;
}

/* The frame is checked as one of its place; the bytes before it are not read. */
bool segment_read(const struct spool_segment *segment, uint64_t at, uint64_t size,
                  struct spool_frame *frame, char **memory, struct err *err)
{
    *memory = mem_try_alloc(size + 1, SIZE_MAX);
    if (!*memory)
        return err_set_retriable(err, ERR_IO, "spool: no memory for a record of %llu bytes",
                                 (unsigned long long)size);
    if (read_all(segment, *memory, size, at, err)) {
        if (spool_frame_check(&segment->head, (struct slice){*memory, size}, at, frame))
            return true;
        err_set(err, ERR_IO, "spool: %s: damaged at offset %llu", segment->path,
                (unsigned long long)at);
    }
    mem_free(*memory);
    *memory = NULL;
    return false;
}
