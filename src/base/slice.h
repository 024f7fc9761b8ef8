/*
 * A borrowed run of bytes. Not NUL-terminated unless the owner says so.
 * data == NULL means null (a null key, a null value), which is not the same as empty.
 */
#ifndef OG_BASE_SLICE_H
#define OG_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data;
    size_t len;
};

#define SLICE_NULL      ((struct slice){NULL, 0})
#define SLICE_LIT(text) ((struct slice){("" text ""), sizeof(text) - 1})

/* The same where C wants a constant: initialisers of static tables. */
#define SLICE_INIT(text)                                                                           \
    {                                                                                              \
        ("" text ""), sizeof(text) - 1                                                             \
    }

/* text may be NULL: gives the null slice. Borrows text. */
static inline struct slice slice_of(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool slice_is_null(struct slice s)
{
    return s.data == NULL;
}

/* Byte equality; null equals null only. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    if (a.data == NULL || b.data == NULL)
        return a.data == b.data;
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_equal_text(struct slice a, const char *text)
{
    return slice_equal(a, slice_of(text));
}

static inline bool slice_starts_with(struct slice a, struct slice prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.data, prefix.data, prefix.len) == 0);
}

#endif
