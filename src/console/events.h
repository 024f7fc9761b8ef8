/*
 * Server-sent events: one stream of named events for all pages that are open. Bounded: the last
 * events are kept for those that come back (Last-Event-ID), a client that does not keep up is ended
 * (server.h) and comes back by itself, and there is a most of clients. Events carry counts and
 * progress only, never anything of a record.
 * Owning thread: the loop's.
 */
#ifndef OG_CONSOLE_EVENTS_H
#define OG_CONSOLE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/loop.h"
#include "base/slice.h"
#include "console/server.h"

struct events;

#define EVENTS_KEPT 256

struct events *events_new(struct loop *loop, size_t clients_max);
/* Before the server: streams that are open are ended. */
void events_free(struct events **events);
/* To all clients. name: letters; json: one line. */
void events_publish(struct events *events, const char *name, struct slice json);
/*
 * Makes the call a stream; false where there are too many (the call is still to be answered).
 * last_id: what the client saw last, null: it is new. Where what came since is not known any more
 * (or it is another start of the program) it gets the event "reset": everything is to be read anew.
 */
bool events_join(struct events *events, struct call *call, struct slice last_id) MUST_CHECK;
size_t events_clients(const struct events *events);

#endif
