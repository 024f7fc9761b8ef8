/* Looking things up in the table: by path, by section, by likeness. */
#include "config/schema.h"

#include <string.h>

#include "base/str.h"

const struct schema_key *schema_find(const char *path)
{
    for (const struct schema_key *key = schema_keys; key->path; key++)
        if (strcmp(key->path, path) == 0)
            return key;
    return NULL;
}

const char *schema_name(const struct schema_key *key)
{
    const char *dot = strrchr(key->path, '.');

    return dot ? dot + 1 : key->path;
}

bool schema_is_child(const struct schema_key *key, const char *section)
{
    size_t len = strlen(section);

    if (len == 0)
        return !strchr(key->path, '.');
    return strncmp(key->path, section, len) == 0 && key->path[len] == '.' &&
           !strchr(key->path + len + 1, '.');
}

const struct schema_key *schema_child(const char *section, const char *name)
{
    for (const struct schema_key *key = schema_keys; key->path; key++)
        if (schema_is_child(key, section) && strcmp(schema_name(key), name) == 0)
            return key;
    return NULL;
}

void schema_section(const struct schema_key *key, char out[SCHEMA_PATH_MAX])
{
    size_t len = strlen(key->path);

    (void)str_copy(out, SCHEMA_PATH_MAX, slice_of(key->path));
    if (key->type == TYPE_ITEMS && len + 3 <= SCHEMA_PATH_MAX)
        memcpy(out + len, "[]", 3);
}

/* Letters in lower case, '-' as '_': what people mix up most. */
static void fold(const char *name, char out[64])
{
    size_t i = 0;

    for (; name[i] && i < 63; i++) {
        char c = name[i];
        out[i] = (char)(c == '-' ? '_' : c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[i] = '\0';
}

const struct schema_key *schema_nearest(const char *section, const char *name)
{
    const struct schema_key *best = NULL;
    char wanted[64];

    fold(name, wanted);
    size_t limit = strlen(wanted) / 3 + 1;
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        if (!schema_is_child(key, section))
            continue;
        size_t distance = str_distance(wanted, schema_name(key), limit);
        if (distance <= limit && (!best || distance < limit)) {
            best = key;
            limit = distance;
        }
    }
    return best;
}

const struct schema_key *schema_elsewhere(const char *prefix, const char *name)
{
    const struct schema_key *found = NULL;
    size_t len = strlen(prefix);
    char wanted[64];

    fold(name, wanted);
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        if (strncmp(key->path, prefix, len) != 0 || strcmp(schema_name(key), wanted) != 0)
            continue;
        if (found)
            return NULL;
        found = key;
    }
    return found;
}

const char *schema_choice_name(const struct schema_choice *choices, int value)
{
    for (; choices->name; choices++)
        if (choices->value == value)
            return choices->name;
    return "?";
}

void schema_choice_list(const struct schema_choice *choices, struct buf *out)
{
    size_t left = 0;
    bool first = true;

    for (const struct schema_choice *choice = choices; choice->name; choice++)
        left += !choice->later;
    for (const struct schema_choice *choice = choices; choice->name; choice++) {
        if (choice->later)
            continue;
        left--;
        buf_printf(out, "%s%s", first ? "" : left ? ", " : " or ", choice->name);
        first = false;
    }
}
