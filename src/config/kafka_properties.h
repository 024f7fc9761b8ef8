/* What may stand below kafka: and what not, each with its reason. */
#ifndef OG_CONFIG_KAFKA_PROPERTIES_H
#define OG_CONFIG_KAFKA_PROPERTIES_H

#include <stdbool.h>

#include "config/config.h"

/* Why the property is not the user's to set to that value (NULL: to any), or NULL. Fixed text. */
const char *kafka_property_refused(const char *name, const char *value);
/* The librdkafka name for one of the Java client's, or NULL; with '!' first: there is none, and
 * why. */
const char *kafka_property_hint(const char *name);
/* The tables behind both, by index, for the reference page; false behind the end. *allowed: the one
 * value that is not refused, or NULL. A rename's text as of kafka_property_hint. */
bool kafka_property_refusal(size_t index, const char **name, const char **allowed,
                            const char **reason);
bool kafka_property_rename(size_t index, const char **name, const char **use);
bool kafka_property_is_secret(const char *name);

#endif
