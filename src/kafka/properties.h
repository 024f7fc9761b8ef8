/* librdkafka's configuration for one role: our defaults, the user's properties that fit the role,
 * what is ours alone. */
#ifndef OG_KAFKA_PROPERTIES_H
#define OG_KAFKA_PROPERTIES_H

#include <stdbool.h>
#include <stddef.h>

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "config/config.h"

enum kafka_role {
    KAFKA_CONSUMER = 1 << 0,
    KAFKA_PRODUCER = 1 << 1, /* admin handles are producers, as far as librdkafka goes */
};

/*
 * A configuration for role, with the log callback set; NULL with err set on failure. Transferred:
 * rd_kafka_conf_destroy, or rd_kafka_new.
 */
rd_kafka_conf_t *properties_new(const struct config *config, enum kafka_role role,
                                struct err *err) MUST_CHECK;
bool properties_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                    struct err *err) MUST_CHECK;
/* The value that the user gave for role, or NULL; the role's own section wins. Borrowed. */
const char *properties_find(const struct config *config, enum kafka_role role, const char *name);

/* Roles (bits) that librdkafka uses the property in, 0 where it knows none of that name. */
unsigned properties_roles(const char *name);
/* The known name nearest to a misspelt one, or NULL. Static. */
const char *properties_nearest(const char *name);

#endif
