/* Everything around the story: the directory, the configuration, and the processes of the demo.
 * Blocks while it sets up; nothing that it started outlives it. */
#ifndef OG_GATEWAY_DEMO_WORLD_H
#define OG_GATEWAY_DEMO_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "demo_child.h"

#define DEMO_TOPIC "orders"

struct demo_world {
    char *program;   /* this one */
    char *dir;       /* of what is left to read: configuration and logs */
    char *redis_dir; /* Redis' own, removed at the end; NULL: none */
    char *config_file;
    char *handler_log;
    char *gateway_log;
    char *index_file, *console_log;
    char *bootstrap;
    bool mock;       /* Kafka is librdkafka's mock cluster */
    struct buf text; /* the configuration */
    struct config *config;
    struct child kafka, redis, handler, gateway, console;
    struct child opener; /* of the console's page */
};

/* dir NULL: a new one among the temporary files. bootstrap NULL: the mock cluster. prefix: of the
 * topic and the group, "" on a broker of our own. */
bool demo_world_open(struct demo_world *world, const char *dir, const char *bootstrap,
                     const char *prefix, struct err *err) MUST_CHECK;
/* Creates the topics; the mock cluster has them. */
bool demo_world_make_topics(struct demo_world *world, struct err *err) MUST_CHECK;
bool demo_world_start_gateway(struct demo_world *world, struct err *err) MUST_CHECK;
/* The console with its page; not on the mock cluster, which keeps no offsets for it. The demo goes
 * on without it. */
bool demo_world_start_console(struct demo_world *world, struct err *err) MUST_CHECK;
/* The last lines of the gateway's log, to stderr. */
void demo_world_show_log(const struct demo_world *world);
void demo_world_close(struct demo_world *world);

#endif
