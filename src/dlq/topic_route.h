/* Which route writes to a dead-letter topic. */
#ifndef OG_DLQ_TOPIC_ROUTE_H
#define OG_DLQ_TOPIC_ROUTE_H

#include "config/config.h"

/* NULL: none of the configuration. */
const struct route_config *dlq_topic_route(const struct config *config, const char *topic);

#endif
