/* See topic_route.h. Only topics that a route names: of a pattern it is not known what it takes. */
#include "dlq/topic_route.h"

#include <string.h>

#include "base/mem.h"

const struct route_config *dlq_topic_route(const struct config *config, const char *topic)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        for (size_t t = 0; t < route->topic_count; t++) {
            char *name = config_dlq_topic(route, route->topics[t]);
            bool same = strcmp(name, topic) == 0;
            mem_free(name);
            if (same)
                return route;
        }
    }
    return NULL;
}
