/* The OpenAPI document of a table of endpoints; see router.h. */
#ifndef OG_CONSOLE_OPENAPI_H
#define OG_CONSOLE_OPENAPI_H

#include "base/buf.h"
#include "console/router.h"

/* OpenAPI 3.1, as JSON. schemas: a JSON object of the JSON Schemas that the table refers to. */
void openapi_write(struct buf *out, const struct endpoint *table, struct slice schemas);

#endif
