/*
 * The spool's folder: segments, and an index of what is kept in them, in memory (about 200 bytes a
 * record). One process owns a folder. Blocks; for the spool's own thread (spool.h is what others
 * use).
 *
 *   put ──► PENDING ──sync──► LIVE ──take──► TAKEN ──forget──► marked done, gone
 *              └─ sync failed: FAILED          └── give back ──► LIVE
 */
#ifndef OG_SPOOL_STORE_H
#define OG_SPOOL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "spool/segment.h"
#include "spool/spool_record.h"

struct spool_store;
struct spool_entry;

struct spool_store_stats {
    uint64_t records;  /* kept */
    uint64_t bytes;    /* of all files */
    int64_t oldest_ms; /* wall; 0: none is kept */
    size_t segments;
    uint64_t torn_bytes; /* cut off when it was opened */
};

/* Makes the folder where it is not there, locks it, and reads all of it. io NULL: the real one.
 * ERR_IO: in use by another process, unreadable, or damaged (the text says where). */
struct spool_store *store_open(const char *dir, uint64_t max_bytes, const struct spool_io *io,
                               struct err *err) MUST_CHECK;
void store_close(struct spool_store **store);

/*
 * Writes a record whose bytes are body (of spool_record_write); rec gives topic and time. PENDING,
 * until store_sync. NULL: ERR_LIMIT where there is no room for it, else ERR_IO.
 */
struct spool_entry *store_put(struct spool_store *store, const struct spool_record *rec,
                              struct slice body, struct err *err) MUST_CHECK;
/* Makes durable what was put and forgotten since; false: what was PENDING has FAILED. */
bool store_sync(struct spool_store *store, struct err *err) MUST_CHECK;
/* After store_sync. A failed one is freed: it is not to be used again. */
bool store_kept(struct spool_store *store, struct spool_entry *entry, struct err *err) MUST_CHECK;

/*
 * The next record that may be tried; NULL: none, or none yet. At most 16 of a topic are taken at a
 * time; one while the topic just began to be tried again; and one that was refused is tried alone,
 * since Kafka refuses a batch for the one that is too large in it.
 */
struct spool_entry *store_take(struct spool_store *store, uint64_t now_ms);
/* Reads a taken one; its bytes are in *memory (mem_free). */
bool store_read(struct spool_store *store, struct spool_entry *entry, struct spool_record *rec,
                char **memory, struct err *err) MUST_CHECK;
/* Not this time: where it is the topic that refuses, the whole topic rests; else the record, longer
 * each time. */
void store_give_back(struct spool_store *store, struct spool_entry *entry, uint64_t now_ms,
                     uint64_t rest_ms, bool whole_topic);
/* It is in its topic. Frees the entry; a crash before the next store_sync may bring it back. */
void store_forget(struct spool_store *store, struct spool_entry *entry);

/* Deletes files of which nothing is kept, copies what is kept of the oldest one where that wins
 * room, and marks what could not be marked before. Call now and then, and after a round of calls.
 */
void store_tidy(struct spool_store *store);

void store_stats(const struct spool_store *store, struct spool_store_stats *out);

#endif
