/* A JSON text as json-c's tree: for what is looked up by name, or changed and written again. */
#ifndef OG_RECORD_JSON_TREE_H
#define OG_RECORD_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/slice.h"

struct json_object; /* json-c */

struct json_trouble {
    size_t at;        /* in the text; its length: it ends too early */
    const char *what; /* static */
};

/*
 * All of the text must be one JSON value (RFC 8259), nested no deeper than depth; utf8: its strings
 * UTF-8. *tree (NULL for null) is the caller's to put; false: *trouble, which may be NULL.
 */
bool json_tree_read(struct slice text, int depth, bool utf8, struct json_object **tree,
                    struct json_trouble *trouble) MUST_CHECK;

#endif
