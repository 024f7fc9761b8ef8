/* Words about a row, for `config explain` and the reference page. */
#ifndef OG_CONFIG_EXPLAIN_H
#define OG_CONFIG_EXPLAIN_H

#include "base/buf.h"
#include "config/schema.h"

/* "10ms to 1h"; nothing for types without bounds. */
void explain_range(const struct schema_key *key, struct buf *out);

#endif
