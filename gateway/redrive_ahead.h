/* What the ledger says of letters before they are sent, for a command. */
#ifndef OG_GATEWAY_REDRIVE_AHEAD_H
#define OG_GATEWAY_REDRIVE_AHEAD_H

#include "config/config.h"
#include "dlq/redrive_ahead.h"
#include "dlq/redrive_scan.h"

/* The scan keeps keys, and is done. *out is zeroed. */
void redrive_ahead_look(const struct config *config, struct redrive_scan *scan,
                        struct redrive_ahead *out);

#endif
