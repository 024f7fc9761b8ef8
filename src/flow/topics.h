/*
 * The topics of a route: looked up in the cluster, checked, retiring tiers found. Asynchronous;
 * called again while Kafka is away.
 */
#ifndef OG_FLOW_TOPICS_H
#define OG_FLOW_TOPICS_H

#include "base/err.h"
#include "flow/route_state.h"

/* Allocates route->topics from the configuration. */
void topics_init(struct route *route);
void topics_deinit(struct route *route);
/*
 * Fills partition counts, UUIDs and retiring tiers. done(route, err) once: err retriable = try
 * again later, not retriable = the cluster does not fit the configuration (a topic is missing).
 */
void topics_resolve(struct route *route, void (*done)(struct route *route, const struct err *err));
/* What stands for the topic in a record's rank: its name, and of one that was made again and
 * adopted another one, so that the offsets of the two are not taken for each other. Borrowed. */
struct slice topics_rank_name(struct route_topic *topic, uint32_t incarnation);
/* All names that the consumer subscribes to; an array of borrowed names, to be freed with mem_free.
 */
const char **topics_subscription(const struct route *route, size_t *count);
/* The same of those that the route only writes to. */
const char **topics_written(const struct route *route, size_t *count);

#endif
