/*
 * One file of the spool: written at its end only, never written again after a sync of it failed.
 * Blocks; for the spool's own thread.
 */
#ifndef OG_SPOOL_SEGMENT_H
#define OG_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "base/err.h"
#include "spool/frame.h"

/* What may fail below us; a seam for tests. Each as its system call, -1 with errno. */
struct spool_io {
    ssize_t (*write)(int fd, const void *data, size_t len, off_t at);
    int (*sync)(int fd);
    int (*truncate)(int fd, off_t len);
};
extern const struct spool_io spool_io_real;

struct spool_segment {
    struct spool_head head;
    char *path;
    int fd;
    uint64_t len;    /* what was written */
    uint64_t synced; /* of that, what is durable */
    uint64_t noted;  /* len behind the note that says so; 0: none yet */
    bool sealed;     /* not written any more */
    bool broken;     /* a sync or a truncation failed: only `synced` of it is believed */
    bool stays;      /* it could not be deleted */

    /* the store's: what is kept in it */
    size_t live;
    uint64_t live_bytes;
    TAILQ_ENTRY(spool_segment) in_store;
};

/* Makes the file, with its head, and the folder (dir_fd) durable. NULL with err. */
struct spool_segment *segment_create(const struct spool_io *io, const char *dir, int dir_fd,
                                     const struct spool_head *head, struct err *err) MUST_CHECK;
/* Opens a file that is there; nothing is read yet. */
struct spool_segment *segment_open(const char *dir, const char *name, struct err *err) MUST_CHECK;
void segment_free(struct spool_segment **segment);
/* Deletes the file. */
bool segment_delete(struct spool_segment **segment, int dir_fd, struct err *err) MUST_CHECK;

/*
 * Writes a frame at the end; frame->at and ->synced are filled in. On failure nothing of it is
 * left, or the segment is broken.
 */
bool segment_append(struct spool_segment *segment, const struct spool_io *io,
                    struct spool_frame *frame, struct err *err) MUST_CHECK;
/* Makes what was written durable. On failure the segment is broken, and what was not durable before
 * is cut off as far as that works: after a failed sync the system may believe pages to be clean
 * that never reached the disk. */
bool segment_sync(struct spool_segment *segment, const struct spool_io *io,
                  struct err *err) MUST_CHECK;
/*
 * Writes down, without making that durable, how much is: so that damage done to it later is known
 * for what it is. Does nothing where it stands there already.
 */
void segment_note(struct spool_segment *segment, const struct spool_io *io);
/* Whether all of it is durable but for a note. */
bool segment_is_synced(const struct spool_segment *segment);
/* Cuts the file to len and makes that durable. */
bool segment_cut(struct spool_segment *segment, const struct spool_io *io, uint64_t len,
                 struct err *err) MUST_CHECK;
/* The whole file in memory (mem_free data), or one piece of it. */
bool segment_load(const struct spool_segment *segment, struct slice *out,
                  struct err *err) MUST_CHECK;
/* Reads the frame of that place; its body is in *memory (mem_free). */
bool segment_read(const struct spool_segment *segment, uint64_t at, uint64_t size,
                  struct spool_frame *frame, char **memory, struct err *err) MUST_CHECK;

#endif
