/* One route on one worker, as the worker sees it. Owning thread: the worker's. */
#ifndef OG_FLOW_ROUTE_H
#define OG_FLOW_ROUTE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

struct route;
struct worker;

struct route *route_new(struct worker *worker, const struct route_config *config,
                        struct err *err) MUST_CHECK;
void route_free(struct route **route);
/* Looks for its topics, meets them in the ledger, joins the group; tries again for as long as Kafka
 * or Redis is away. */
void route_start(struct route *route);
/* Drains and leaves; worker_route_stopped is called once. */
void route_stop(struct route *route);
/* Redis answers, or not. */
void route_ledger_available(struct route *route, bool up, const char *why);
void route_ledger_wiped(struct route *route);
/* A person's (or another instance's) hold was set or lifted. */
void route_held(struct route *route, bool held, const char *by);
bool route_ready(const struct route *route);
const char *route_name(const struct route *route);
void route_status(struct route *route, struct buf *out); /* appends a JSON object */

#endif
