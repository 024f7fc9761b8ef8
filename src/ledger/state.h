/* The state of one key as it is stored (docs/ledger.md), read for people. The scripts are the only
 * ones that write it. */
#ifndef OG_LEDGER_STATE_H
#define OG_LEDGER_STATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* Appends the state in words, a line each; false where the bytes are no state (foreign bytes are
 * expected). */
bool state_describe(struct buf *out, struct slice bytes, struct err *err) MUST_CHECK;

#endif
