/*
 * The file as a tree in which every value knows its place. Scalars are text: what type they must
 * have is the schema's business. Anchors, aliases, tags and merge keys are refused; size, depth and
 * number of entries are bounded, so that a hostile file costs little.
 */
#ifndef OG_CONFIG_NODE_H
#define OG_CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/slice.h"
#include "config/config.h"

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    unsigned line, column;         /* 1-based, of the value */
    unsigned key_line, key_column; /* of its key; 0 in a list and for the root */
    char *key;                     /* owned; NULL in a list and for the root */
    char *text;                    /* owned; a scalar's text, NUL-terminated, without NUL inside */
    bool plain;                    /* written without quotes, and no ${} in it */
    bool expanded;                 /* holds the value of a ${} */
    bool bad;                      /* reported: nothing more is to be concluded from it */
    struct node *parent;           /* borrowed; NULL for the root */
    size_t index;                  /* within the parent */
    struct node *first, *last;     /* children, owned */
    struct node *next;             /* sibling */
    size_t count;                  /* of children */
};

#define NODE_FILE_MAX    ((size_t)1 << 20)
#define NODE_DEPTH_MAX   12
#define NODE_ENTRIES_MAX 1000

/* NULL where the text is no usable YAML (told in *problems). With expand, ${} is replaced from the
 * environment. */
struct node *node_parse(const char *text, size_t len, bool expand,
                        struct config_problems *problems) MUST_CHECK;
void node_free(struct node **node);

struct node *node_get(const struct node *map, const char *key);
/* Follows keys separated by dots from a mapping; NULL where one is missing. */
struct node *node_at(const struct node *map, const char *path);
/* e.g. routes[0].retry.tiers[1]; heap text, transferred. sub: a key below the node, or NULL. */
char *node_path(const struct node *node, const char *sub) MUST_CHECK;
/* A plain scalar that means null. */
bool node_is_null(const struct node *node);
/* What stands there, for messages: "a list", "a number" ... */
const char *node_type_name(const struct node *node);

/* Reports at the value, marks it bad and returns false. */
bool node_error(struct node *node, struct config_problems *problems, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void node_warn(const struct node *node, struct config_problems *problems, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
