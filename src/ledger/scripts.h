/* The Lua scripts by name, each with the SHA-1 that EVALSHA wants. Process-wide constants, computed
 * at first use. */
#ifndef OG_LEDGER_SCRIPTS_H
#define OG_LEDGER_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum script {
    SCRIPT_APPLY_OPS,
    SCRIPT_JOIN_MARKS,
    SCRIPT_MARK_BUILT,
    SCRIPT_MEET_VALUE,
    SCRIPT_RAISE_FENCE,
    SCRIPT_READ_STATE,
    SCRIPT_RELEASE_KEY,
    SCRIPT_RESET_KEY,
    SCRIPT_SWAP_STATES,
    SCRIPT_TAKE_FENCE
};

/*
 * Begins a call of the script with `keys` keys and `args` further arguments, which the caller adds
 * by resp_arg. whole: as EVAL with the text, for a server that does not know the script (any more).
 */
void scripts_begin(struct buf *out, enum script script, bool whole, size_t keys, size_t args);
const char *scripts_name(enum script script);
const char *scripts_sha1(enum script script);

#endif
