/* Helpers around the sets of a classify rule. */
#ifndef OG_CONFIG_CLASSIFY_RULES_H
#define OG_CONFIG_CLASSIFY_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"

#define CLASSIFY_STATUS_MIN 100U
#define CLASSIFY_STATUS_MAX 599U

/* status within the two bounds. */
bool classify_has_status(const uint64_t statuses[8], unsigned status);
/* "3xx, 401, 403": in the form that the configuration reads. */
void classify_add_statuses(const uint64_t statuses[8], struct buf *out);
void classify_add_errors(unsigned errors, struct buf *out);
/* What no rule of the route matches. */
void classify_missing(const struct route_config *route, uint64_t statuses[8], unsigned *errors);
/* Statuses as ranges, then errors, for people; nothing for empty sets. */
void classify_add_sets(const uint64_t statuses[8], unsigned errors, struct buf *out);

#endif
