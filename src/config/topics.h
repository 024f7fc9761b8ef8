/* Topic names by template. */
#ifndef OG_CONFIG_TOPICS_H
#define OG_CONFIG_TOPICS_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

/* Heap text, transferred. */
char *topics_fill(const char *template, const char *group, const char *topic,
                  const char *delay) MUST_CHECK;
/* Whether the name could have been made by the template for this group, from some topic and some
 * delay. */
bool topics_matches(const char *template, const char *group, const char *name);

#endif
