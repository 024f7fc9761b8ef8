/*
 * Plain structs as flat JSON objects, by a table: each member has a name, a type and a place. For
 * records of our own topics, where anybody may have written anything.
 */
#ifndef OG_RECORD_JSON_MEMBERS_H
#define OG_RECORD_JSON_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum json_member_type {
    JSON_MEMBER_VERSION, /* always 1; nothing stands in the struct */
    JSON_MEMBER_TEXT,    /* char *, owned; NULL: not written */
    JSON_MEMBER_ANY,     /* char *, owned: JSON text, as it was written; NULL: not written */
    JSON_MEMBER_ENUM,    /* int-sized enum; `names` ends with NULL */
    JSON_MEMBER_U32,     /* 0: not written unless it is required */
    JSON_MEMBER_U64,     /* as U32; at most INT64_MAX */
    JSON_MEMBER_TIME,    /* int64_t, not negative; as U32 */
};

struct json_member {
    const char *pointer; /* the name stands behind the slash */
    enum json_member_type type;
    bool required;
    size_t offset;
    const char *const *names;
};

/* Appends the object. */
void json_members_write(struct buf *out, const struct json_member *members, size_t count,
                        const void *from);
/*
 * Fills a zeroed struct. Members that are not in the table are passed over. False where the text is
 * no JSON, a required member is missing, one is of the wrong type, a number is out of its range, a
 * name is not known or a text holds a NUL; `what` stands in the error. *to may then be filled in
 * part and is to be freed all the same.
 */
bool json_members_read(struct slice text, const struct json_member *members, size_t count, void *to,
                       const char *what, struct err *err) MUST_CHECK;
/* Frees the texts and clears the members. */
void json_members_deinit(const struct json_member *members, size_t count, void *of);

#endif
