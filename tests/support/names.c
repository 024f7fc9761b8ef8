/* Open-addressing hash table of names. Entries are never removed singly, so probing needs no
 * tombstones and pointers to entries stay valid while the table grows. */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"

static uint32_t hash_of(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash;
}

static struct name **slot_of(struct name **slots, size_t size, uint32_t hash, const char *text,
                             size_t len)
{
    size_t at = hash & (size - 1);

    while (slots[at] != NULL && (slots[at]->hash != hash || slots[at]->len != len ||
                                 memcmp(slots[at]->text, text, len) != 0))
        at = (at + 1) & (size - 1);
    return &slots[at];
}

static void grow(struct names *names)
{
    size_t size = names->size > 0 ? names->size * 2 : 256;
    struct name **slots = tool_alloc(size * sizeof(*slots));

    for (size_t i = 0; i < names->size; i++) {
        struct name *name = names->slots[i];

        if (name != NULL)
            *slot_of(slots, size, name->hash, name->text, name->len) = name;
    }
    free(names->slots);
    names->slots = slots;
    names->size = size;
}

struct name *names_find(const struct names *names, const char *text, size_t len)
{
    if (names->size == 0)
        return NULL;
    return *slot_of(names->slots, names->size, hash_of(text, len), text, len);
}

struct name *names_get(struct names *names, const char *text, size_t len)
{
    uint32_t hash = hash_of(text, len);
    struct name **slot;

    if (names->used * 2 >= names->size)
        grow(names);
    slot = slot_of(names->slots, names->size, hash, text, len);
    if (*slot == NULL) {
        *slot = tool_alloc(sizeof(**slot));
        (*slot)->text = tool_copy(text, len);
        (*slot)->len = len;
        (*slot)->hash = hash;
        names->used++;
    }
    return *slot;
}

void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->size; i++) {
        if (names->slots[i] == NULL)
            continue;
        free(names->slots[i]->text);
        free(names->slots[i]);
    }
    free(names->slots);
    *names = (struct names){0};
}
