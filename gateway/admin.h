/*
 * The admin endpoints of `run`: /metrics, /livez, /readyz, /status and POST
 * /routes/<name>/pause|resume. On the main thread's loop. Loopback unless configured otherwise;
 * what it can change is a route's hold, which is written to Redis.
 */
#ifndef OG_GATEWAY_ADMIN_H
#define OG_GATEWAY_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "config/config.h"
#include "flow/worker.h"

struct admin;
struct spool;

/* workers are borrowed and may be set before they run; spool is borrowed and may be NULL. */
struct admin *admin_new(struct loop *loop, const struct config *config, struct metrics *metrics,
                        struct spool *spool, struct worker **workers, size_t worker_count,
                        struct err *err) MUST_CHECK;
void admin_free(struct admin **admin);
/* Not ready any more, whatever the workers say: the program drains. */
void admin_draining(struct admin *admin);
unsigned admin_port(const struct admin *admin);

#endif
