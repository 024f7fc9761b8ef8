/* A table from text to a small counter record: open requests of a key, attempts of a record. */
#ifndef SUPPORT_NAMES_H
#define SUPPORT_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct name {
    char *text;
    size_t len;
    uint32_t hash;
    uint32_t count;   /* requests open now, or attempts seen */
    int64_t first_us; /* monotonic time of the first sight, 0 before */
    void *rule;       /* owned by whoever sets it */
};

struct names {
    struct name **slots;
    size_t size; /* power of two, 0 before the first use */
    size_t used;
};

/* Finds or adds; the pointer stays valid until names_clear. */
struct name *names_get(struct names *names, const char *text, size_t len);
/* Finds, or NULL. */
struct name *names_find(const struct names *names, const char *text, size_t len);
void names_clear(struct names *names);

#endif
