/*
 * Members of a JSON text by their pointer (RFC 6901), found in one pass without building a tree and
 * without allocating. A number is handed out as it is written: nothing is rounded to a double or
 * clamped to a machine integer.
 */
#ifndef OG_RECORD_JSON_FIELD_H
#define OG_RECORD_JSON_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/slice.h"

enum json_kind {
    JSON_ABSENT, /* no such member */
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_field {
    const char *pointer; /* set by the caller; "" is the whole text */
    enum json_kind kind;
    struct slice
        raw; /* as written, borrowed from the text; of a string what is between the quotes */
};

enum { JSON_FIELDS_MAX = 4, JSON_DEPTH_MAX = 32 };

/*
 * Fills kind and raw of each field. Of members with the same name the last one counts, as most
 * parsers have it. The whole text is checked: false where it is no JSON (RFC 8259) or nested deeper
 * than JSON_DEPTH_MAX, and then no field is found. Lenient in two points: a byte order mark is
 * skipped, and bytes that are not UTF-8 pass inside strings.
 */
bool json_find(struct slice text, struct json_field *fields, size_t count) MUST_CHECK;

/*
 * All of the text is one JSON value (RFC 8259), nested no deeper than depth_max; else *at is where
 * it is not, the text's end where more was wanted. Bytes that are not UTF-8 pass inside strings.
 */
bool json_check(struct slice text, int depth_max, size_t *at) MUST_CHECK;

/*
 * The bytes of a JSON_STRING: borrowed from the text where it has no escapes, else added to store,
 * which must have room reserved for raw.len bytes (so that earlier slices into it stay good). False
 * for half a surrogate pair.
 */
bool json_string_bytes(struct slice raw, struct buf *store, struct slice *out) MUST_CHECK;

/*
 * A walk over the members of an object, or the elements of an array, in their order. It ends at the
 * first thing that is no JSON, too: a text that json_find has checked is walked to its end.
 */
struct json_walk {
    const char *at, *end; /* private */
    bool is_object, begun;
};

/* text is borrowed. What is neither object nor array has nothing to walk over. */
void json_walk_begin(struct json_walk *walk, struct slice text);
/* name: what is written between the quotes, null in an array; value: as it is written, a string
 * with its quotes. False at the end. */
bool json_walk_next(struct json_walk *walk, struct slice *name, struct slice *value) MUST_CHECK;

#endif
