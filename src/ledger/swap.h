/*
 * Swaps: claims and finishes of the plain next record of a key whose state this process wrote last.
 * The state is known to the byte then, so Redis need only compare and replace it
 * (lua/swap_states.lua), at half the cost of working it out. Only Redis' bytes decide: a state that
 * is remembered wrongly costs one more call, to apply_ops, and nothing else. Of a key that is not
 * remembered a claim goes the same way, with the record in place of a state: Redis grants it where
 * it is the plain next one of what stands there, and tells that.
 */
#ifndef OG_LEDGER_SWAP_H
#define OG_LEDGER_SWAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ledger/ledger.h"

struct redisReply; /* hiredis */
struct name_cache;
struct known_states;

/* Is the operation a swap, by what is remembered of its key, or since nothing is? */
bool swaps_fit(struct known_states *states, struct name_cache *names, const struct ledger_op *op);

/* May the claim be taken unasked, because the one of the record before was kept for it, and covers
 * cover_ms from now? Then it is answered GO, and what was kept is used up. first: no operation of
 * the key that was asked for is still to be answered. */
bool swaps_grant(struct known_states *states, struct name_cache *names, struct ledger_op *op,
                 uint64_t now_ns, bool first);

/* Appends the command for 1 to LEDGER_BATCH_MAX operations of different keys; one that does not fit
 * (any more) is refused by Redis. whole: EVAL instead of EVALSHA. */
void swaps_build(struct buf *out, struct known_states *states, struct name_cache *names,
                 struct ledger_op *const *ops, size_t count, bool whole);
/* A call without operations: loads the script. */
void swaps_build_empty(struct buf *out, bool whole);
/* Fills the answers of what was replaced and sets swapped[i] for it; the others are to be asked of
 * apply_ops. False where the reply is not what the script returns. */
bool swaps_read(struct known_states *states, struct name_cache *names,
                const struct redisReply *reply, struct ledger_op *const *ops, size_t count,
                bool swapped[LEDGER_BATCH_MAX], struct err *err) MUST_CHECK;

#endif
