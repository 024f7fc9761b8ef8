/* Reads the retry and dead-letter topics beside the gateway, as a group of its own, and tells the
 * book what stands in them: the figures survive a killed gateway, and are not its own word. */
#ifndef OG_GATEWAY_DEMO_WATCH_H
#define OG_GATEWAY_DEMO_WATCH_H

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "demo_book.h"

struct demo_watch;

/* route is the demo's; its topics exist. */
struct demo_watch *demo_watch_new(struct loop *loop, const struct config *config,
                                  const struct route_config *route, struct demo_book *book,
                                  struct err *err) MUST_CHECK;
void demo_watch_free(struct demo_watch **watch);

#endif
