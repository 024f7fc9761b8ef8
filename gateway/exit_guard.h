/* Sees to it that a process that ends does end: whatever it waits for then is named in the log, and
 * cut off after a while. */
#ifndef OG_GATEWAY_EXIT_GUARD_H
#define OG_GATEWAY_EXIT_GUARD_H

#include <stdint.h>

struct exit_guard;

/*
 * Begins to watch: after drain_ms the log says each second what is waited for, as waits_for(ctx)
 * says (a constant; called on a thread of the guard's, until exit_guard_free). beyond_ms later the
 * process ends with code. NULL where there is no thread for it.
 */
struct exit_guard *exit_guard_new(int64_t drain_ms, int64_t beyond_ms, int code,
                                  const char *(*waits_for)(void *ctx), void *ctx);
/* It has ended in time. */
void exit_guard_free(struct exit_guard **guard);

#endif
