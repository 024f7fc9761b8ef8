/* Builds the call of apply_ops for some operations, and reads its answer back into them.
 * docs/ledger.md has the layout. */
#ifndef OG_LEDGER_BATCH_H
#define OG_LEDGER_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/ledger.h"

struct redisReply; /* hiredis */
struct name_cache;
struct known_states;

/* Offsets at or above this cannot be told apart by the scripts. */
#define BATCH_OFFSET_LIMIT (INT64_C(1) << 52)

/* Appends the whole command for 1 to LEDGER_BATCH_MAX operations in the order given. whole: EVAL
 * instead of EVALSHA. */
void batch_build(struct buf *out, struct name_cache *names, struct ledger_op *const *ops,
                 size_t count, bool whole);
/* A batch without operations: does nothing, but needs all that others need. key: named, and not
 * touched; NULL: none. */
void batch_build_empty(struct buf *out, const char *key, bool whole);
/* Fills the operations' answers, and tells states (unless NULL) what it may know now; false where
 * the reply is not what the script returns. */
bool batch_read(const struct redisReply *reply, struct known_states *states,
                struct ledger_op *const *ops, size_t count, struct err *err) MUST_CHECK;

#endif
