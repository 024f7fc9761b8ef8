/*
 * How long a record waits in memory before its next try. The spread is drawn from random(3), which
 * the worker seeds at its start; no clock is read here.
 */
#ifndef OG_FLOW_BACKOFF_H
#define OG_FLOW_BACKOFF_H

#include <stdint.h>

#include "config/config.h"

#define BACKOFF_BUSY_MAX_MS 1000

/* What could not be produced, for a reason that does not heal by itself. */
#define BACKOFF_PRODUCE_MS 2000

/* Another's claim stands in the way and lapses so soon: until just after that, but at most
 * BACKOFF_BUSY_MAX_MS, for it may end earlier; and up to a quarter longer: those that wait for the
 * same claim do not all ask at once. */
int64_t backoff_busy_ms(uint32_t lapses_in_ms);

/* Inline retry number `retries`, from 0: with full jitter, at random up to the delay that grows
 * with each. */
int64_t backoff_inline_ms(const struct retry_config *retry, uint32_t retries);

#endif
