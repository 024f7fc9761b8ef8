/* The OpenAPI document of a table of endpoints; see router.h. */
#ifndef OG_CONSOLE_OPENAPI_H
#define OG_CONSOLE_OPENAPI_H

#include "base/buf.h"
#include "console/router.h"

struct openapi_schema {
    const char *name; /* NULL ends the list */
    const char *json; /* JSON Schema */
};

/* OpenAPI 3.1, as JSON. schemas: what the table's answers refer to. */
void openapi_write(struct buf *out, const struct endpoint *table,
                   const struct openapi_schema *schemas);

#endif
