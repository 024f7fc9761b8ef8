/* JSON out of YAML defaults, and JSON for people. */
#ifndef OG_CONFIG_JSON_OUT_H
#define OG_CONFIG_JSON_OUT_H

#include "base/buf.h"

/* A default of the table as JSON. */
void json_add_yaml(struct buf *out, const char *yaml);
/* The same JSON with line breaks and indentation; short objects and lists stay on one line. */
void json_add_pretty(struct buf *out, struct slice json);

#endif
