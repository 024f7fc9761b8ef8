/* What may stand below kafka: and what not, each with its reason. */
#ifndef OG_CONFIG_KAFKA_PROPERTIES_H
#define OG_CONFIG_KAFKA_PROPERTIES_H

#include <stdbool.h>

#include "config/config.h"

/* Why the property is not the user's to set, or NULL. Fixed text. */
const char *kafka_property_refused(const char *name);
/* The librdkafka name for one of the Java client's (or a misspelling with '_'), or NULL. */
const char *kafka_property_hint(const char *name);
bool kafka_property_is_secret(const char *name);
/* The last property of that name, or NULL. */
const char *kafka_property_get(const struct properties *props, const char *name);

#endif
