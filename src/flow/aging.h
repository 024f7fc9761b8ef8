/*
 * Names retry topics whose oldest record has waited for half of the topic's retention: a little
 * later Kafka deletes it, delivered or not. Only looks. Owning thread: the worker's.
 */
#ifndef OG_FLOW_AGING_H
#define OG_FLOW_AGING_H

#include <stddef.h>

struct route;

/* Looks at all; called once a second. Sets the metric, writes to the log. */
void aging_look(struct route *route);
/* What a status says of it, in out; NULL: nothing is that old. */
const char *aging_why(const struct route *route, char *out, size_t cap);

#endif
