/* What the ledger says of letters before they are sent: how many their keys have moved past. */
#ifndef OG_GATEWAY_REDRIVE_AHEAD_H
#define OG_GATEWAY_REDRIVE_AHEAD_H

#include <stdint.h>

#include "config/config.h"
#include "dlq/redrive_scan.h"

struct redrive_ahead {
    uint64_t overtaken; /* a later number of the key has succeeded: superseded under if-newer */
    uint64_t asked;     /* letters that the ledger was asked for */
    uint64_t unknown;   /* eligible ones of which nothing can be said */
    char why[300];      /* why nothing was asked; "" where it was */
};

/* The scan keeps keys, and is done. Asks for at most 10,000 letters. */
void redrive_ahead_look(const struct config *config, struct redrive_scan *scan,
                        struct redrive_ahead *out);

#endif
