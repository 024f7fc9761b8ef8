/*
 * The front of the console: takes requests from the server, asks the guard, finds the endpoint, and
 * hands it over. Every answer says that a browser may neither guess its type, frame it, nor hand it
 * to another site.
 * Owning thread: the loop's.
 */
#ifndef OG_CONSOLE_FRONT_H
#define OG_CONSOLE_FRONT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "console/router.h"
#include "console/server.h"

struct front;

/* config and table are borrowed; arg is what endpoints get. */
struct front *front_new(struct loop *loop, const struct console_config *config,
                        const struct endpoint *table, void *arg, struct err *err) MUST_CHECK;
void front_free(struct front **front);
void front_drain(struct front *front);
unsigned front_port(const struct front *front);
size_t front_connections(const struct front *front);

#endif
