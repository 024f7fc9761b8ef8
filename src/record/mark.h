/*
 * A mark: what the ledger knows of one key, as a record of a marks topic. Its key is '=' and the
 * order key, or '-' for the null key of a source partition; its value is "1 " (the version) and, in
 * hex, the bytes of the key's state that do not pass with time: the block of its identity and its
 * generation (docs/ledger.md). Marks are read back from a topic, where anybody may have written
 * anything.
 */
#ifndef OG_RECORD_MARK_H
#define OG_RECORD_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "record/record.h"

/* Appends the record's key; key null: the source partition stands for it. */
void mark_write_key(struct buf *out, struct slice key, int32_t partition);
/* Appends the record's value; state as the ledger told it. */
void mark_write(struct buf *out, struct slice state);
/*
 * Reads a record: *key borrows from it (null: that of the source partition *partition), *state is
 * reset and filled. False where it is no mark that this version writes: it is to be left out.
 */
bool mark_read(const struct record *rec, struct slice *key, int32_t *partition, struct buf *state,
               struct err *err) MUST_CHECK;

/* The highest number of a state (as mark_read gives it) whose handler call succeeded; epoch 0 for a
 * version. False where none is known, or the state is none. */
bool mark_succeeded(struct slice state, uint64_t *epoch, uint64_t *number) MUST_CHECK;

/*
 * Numbers of a sequence that this process settled since a key's last mark: first to last without a
 * gap, and bit n: last + 1 + n. What does not fit is left out.
 */
struct mark_run {
    uint64_t epoch, first, last, window;
};
struct mark_run mark_run_of(uint64_t epoch, uint64_t number);
void mark_run_add(struct mark_run *run, uint64_t epoch, uint64_t number);
/* Appends it as a state: what is at or below its first number is not known. */
void mark_run_write(struct buf *out, const struct mark_run *run);

#endif
