/* One key of the ledger, for commands. */
#ifndef OG_GATEWAY_LEDGER_KEY_H
#define OG_GATEWAY_LEDGER_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"
#include "ledger/ledger.h"

/* Appends the key's state in words; *found false: nothing is known of it. False where Redis does
 * not answer within timeout_ms. */
bool ledger_key_words(const struct config *config, const struct route_config *route,
                      const char *topic, struct slice key, int64_t timeout_ms, struct buf *words,
                      bool *found, struct err *err) MUST_CHECK;

#endif
