/*
 * What the ledger says of letters before they are sent: how many their keys have moved past. Asks,
 * changes nothing. Owning thread: the loop's.
 */
#ifndef OG_DLQ_REDRIVE_AHEAD_H
#define OG_DLQ_REDRIVE_AHEAD_H

#include <stdint.h>

#include "base/loop.h"
#include "config/config.h"
#include "dlq/redrive_scan.h"
#include "ledger/ledger.h"

struct redrive_ahead {
    uint64_t overtaken; /* a later number of the key has succeeded: superseded under if-newer */
    uint64_t asked;     /* letters that the ledger was asked for */
    uint64_t unknown;   /* eligible ones of which nothing can be said */
    char why[300];      /* why it did not answer in time; "" where it did */
};

struct redrive_ahead_ask;

/*
 * The scan keeps keys, and is done; nothing of it is looked at after this call. Asks for at most
 * 10,000 letters, and tells what is known after timeout_ms at the latest. done runs once, from the
 * loop, also where the ledger is freed first; what the ledger has not answered by then it answers
 * to nobody. *cancel: given to redrive_ahead_cancel, until done.
 */
struct redrive_ahead_ask *
redrive_ahead_ask(struct loop *loop, struct ledger *ledger, const struct config *config,
                  struct redrive_scan *scan, int64_t timeout_ms,
                  void (*done)(void *arg, const struct redrive_ahead *ahead), void *arg);
/* done will not run. */
void redrive_ahead_cancel(struct redrive_ahead_ask *ask);

#endif
