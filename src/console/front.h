/*
 * The front of the console: takes requests from the server, asks the guard, finds the endpoint, and
 * hands it over. Errors are application/problem+json (RFC 9457). Every answer says that a browser
 * may neither guess its type, frame it, nor hand it to another site.
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

/* {"type":"about:blank","title","status","detail"} */
void front_problem(struct call *call, int status, const char *detail);
/* As the error says: what the caller did wrong is 400, what is away 503. */
void front_problem_err(struct call *call, const struct err *err);
void front_json(struct call *call, const struct buf *body);
/* The headers that those have, for an answer that is made otherwise. */
void front_close_up(struct call *call);

#endif
