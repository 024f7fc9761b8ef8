/*
 * The one table of the configuration: every key with its type, default, bounds and meaning.
 * Parsing, `config show`, the JSON Schema, `config explain` and the reference page read it and
 * nothing else.
 */
#ifndef OG_CONFIG_SCHEMA_H
#define OG_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"

enum schema_type {
    TYPE_SECTION,       /* a mapping of keys of this table */
    TYPE_ITEMS,         /* a list of such mappings; its keys follow as <path>[].<key> */
    TYPE_VERSION,       /* the number of this format; stored nowhere */
    TYPE_TEXT,          /* char * */
    TYPE_TEXTS,         /* char ** and a size_t */
    TYPE_SECRET,        /* char *, shown as *** */
    TYPE_SECRET_FILE,   /* char *, the content of the file that is named; shown as *** */
    TYPE_BOOL,          /* bool */
    TYPE_COUNT,         /* uint32_t */
    TYPE_SIZE,          /* uint64_t, bytes */
    TYPE_DURATION,      /* int64_t, ms */
    TYPE_DURATION_AUTO, /* as TYPE_DURATION, or "auto": 0 until it is derived */
    TYPE_DURATIONS,     /* int64_t * and a size_t */
    TYPE_NUMBER,        /* double */
    TYPE_SHARE,         /* double, 50% = 0.5 */
    TYPE_CHOICE,        /* an enum (int-sized) */
    TYPE_SWITCH,        /* a bool written as one of two words */
    TYPE_FIELD,         /* struct field_source */
    TYPE_LISTEN,        /* struct listen_config */
    TYPE_REDIS_URL,     /* kind, tls_on, where, db, username, password of struct redis_config */
    TYPE_PROPERTIES,    /* struct properties */
    TYPE_HEADERS,       /* struct request_header * and a size_t */
    TYPE_STATUSES,      /* uint64_t[8] of struct classify_rule */
    TYPE_ERRORS,        /* unsigned */
};

struct schema_choice {
    const char *name; /* NULL ends the list */
    int value;
    bool later; /* known, but not in this version */
    const char *doc;
};

/* What of a key is known, but not in this version. Clearing this is all that a later release does
 * here. */
enum schema_later {
    LATER_NOTHING,
    LATER_KEY, /* the key and all below it */
};

/* Says why the text cannot be, or NULL. */
typedef const char *schema_check(const char *text);

struct schema_key {
    const char *path; /* routes[].handler.timeout */
    enum schema_type type;
    const char *preset; /* the default, as YAML; NULL: none */
    size_t at;          /* offset within the enclosing item (config, route or rule) */
    size_t count_at;    /* of lists: where the number is */
    size_t item_size;   /* TYPE_ITEMS */
    int64_t min, max;   /* of numbers, durations, sizes; entries of lists; both 0: unbounded */
    const struct schema_choice *choices;
    schema_check *check;
    const char *unset;   /* what a key without default means while absent, for the reference */
    const char *example; /* YAML; for the reference where there is no default */
    const char *doc;
    bool required;
    enum schema_later later;
    const char *later_prefix; /* TYPE_TEXTS: texts that begin so are not in this version */
};

#define NO_PLACE ((size_t)-1)

extern const struct schema_key schema_keys[]; /* schema_table.c; a NULL path ends it */

const struct schema_key *schema_find(const char *path);
/* The key of that name right below the section (its path; "" for the top level; items end in "[]").
 */
const struct schema_key *schema_child(const char *section, const char *name);
/* The last part of the key's path. */
const char *schema_name(const struct schema_key *key);
/* Whether key stands right below the section. */
bool schema_is_child(const struct schema_key *key, const char *section);
/* The path of what stands below the key: items get "[]"; writes a NUL. */
#define SCHEMA_PATH_MAX 128
void schema_section(const struct schema_key *key, char out[SCHEMA_PATH_MAX]);
/* The nearest key of the section to a misspelt name, or NULL. */
const struct schema_key *schema_nearest(const char *section, const char *name);
/* The only key of the table with that last part below the prefix, or NULL. */
const struct schema_key *schema_elsewhere(const char *prefix, const char *name);
const char *schema_choice_name(const struct schema_choice *choices, int value);
/* Words of a list "a, b or c" without what is not in this version; appended. */
void schema_choice_list(const struct schema_choice *choices, struct buf *out);

#endif
