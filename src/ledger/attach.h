/* hiredis on the event loop: when it may read and write. */
#ifndef OG_LEDGER_ATTACH_H
#define OG_LEDGER_ATTACH_H

#include <stdbool.h>

#include "base/attr.h"

struct loop;
struct redisAsyncContext; /* hiredis */

/* Until the context is freed, which takes back what this has made. False where memory or the number
 * of events does not allow it. */
bool attach_to_loop(struct redisAsyncContext *ac, struct loop *loop) MUST_CHECK;

#endif
