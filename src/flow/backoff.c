/* Waits before a next try; see backoff.h. */
#include "flow/backoff.h"

#include <stdlib.h>

int64_t backoff_busy_ms(uint32_t lapses_in_ms)
{
    int64_t ms = lapses_in_ms < BACKOFF_BUSY_MAX_MS ? lapses_in_ms : BACKOFF_BUSY_MAX_MS;
    return ms + 1 + (int64_t)(random() % (ms / 4 + 1));
}

int64_t backoff_inline_ms(const struct retry_config *retry, uint32_t retries)
{
    double most = (double)retry->inline_max_ms;
    double ms = (double)retry->inline_initial_ms;
    for (uint32_t i = 0; i < retries && ms < most; i++)
        ms *= retry->inline_multiplier;
    if (ms > most)
        ms = most;
    return (int64_t)(ms * ((double)random() / (double)RAND_MAX)) + 1;
}
