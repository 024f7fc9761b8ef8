/* The store, as the files of this folder share it: store.c writes, store_load.c reads at the start,
 * store_tidy.c makes room. */
#ifndef OG_SPOOL_STORE_STATE_H
#define OG_SPOOL_STORE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "spool/store.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) mem_free(p)
#include <uthash.h>

TAILQ_HEAD(spool_entries, spool_entry);

struct spool_topic {
    char name[SPOOL_TOPIC_MAX];
    struct spool_entries ready;   /* the next to be tried first */
    struct spool_entries refused; /* were refused, and rest: whose rest ends first stands first */
    size_t taken;
    bool alone;             /* what is taken is one that was refused */
    uint64_t rest_until_ms; /* it refused: nothing is tried before */
    bool doubted;           /* it refused, and has taken nothing since */
    UT_hash_handle hh;
};

enum spool_entry_state { ENTRY_PENDING, ENTRY_LIVE, ENTRY_TAKEN, ENTRY_FAILED, ENTRY_UNMARKED };

struct spool_entry {
    uint64_t number;
    struct spool_segment *segment; /* where its bytes are */
    uint64_t at;
    uint64_t size; /* of the frame */
    int64_t time_ms;
    struct spool_topic *topic;
    enum spool_entry_state state;
    uint64_t rest_until_ms;
    unsigned refused; /* how often */
    TAILQ_ENTRY(spool_entry)
    link; /* PENDING: pending; LIVE: its topic's ready or refused; UNMARKED: unmarked
           */
    TAILQ_ENTRY(spool_entry) in_all; /* LIVE or TAKEN */
    UT_hash_handle hh;               /* by number, LIVE or TAKEN */
};

struct spool_store {
    char *dir;
    int dir_fd, lock_fd;
    const struct spool_io *io;
    uint64_t max_bytes;
    uint64_t segment_bytes; /* a segment is left when it is longer */
    uint64_t bytes;         /* of all segments */
    uint64_t next_segment, next_number;
    TAILQ_HEAD(spool_segments, spool_segment) segments; /* by number */
    struct spool_segment *active;                       /* the last of them, or NULL */
    struct spool_topic *topics;
    struct spool_entries pending, unmarked, marking, all;
    struct spool_entry *by_number;
    size_t live;
    uint64_t live_bytes;
    uint64_t torn_bytes;
    uint64_t copy_after_ms; /* monotonic: a copy failed, and is not tried again before */
    struct err trouble;     /* the last failure of a sync */
};

struct spool_topic *store_topic(struct spool_store *store, const char *name);
/* The entry is kept from now on. */
void store_enter(struct spool_store *store, struct spool_entry *entry);
/* It is not any more: out of the index and of its segment's counts. */
void store_leave(struct spool_store *store, struct spool_entry *entry);
/* A segment that can be written, with room for size more bytes. */
bool store_make_active(struct spool_store *store, uint64_t size, struct err *err) MUST_CHECK;
bool store_append(struct spool_store *store, struct spool_frame *frame, struct err *err) MUST_CHECK;

/* store_load.c */
bool store_load(struct spool_store *store, struct err *err) MUST_CHECK;

#endif
