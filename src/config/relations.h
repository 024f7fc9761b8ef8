/* Shared by the files that check what keys say together. */
#ifndef OG_CONFIG_RELATIONS_H
#define OG_CONFIG_RELATIONS_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/attr.h"
#include "config/load.h"

#define RELATION_PLACE_MAX 48

/* Two keys of one mapping, by their paths within it; other may be NULL. */
struct relation {
    struct node *map;
    const char *key;
    const char *other;
};

/*
 * Complains at `key` (at `other` where key has its default) and names the place of the other. Says
 * nothing, and returns false, where one of them was refused already.
 */
bool relation_add(struct load *load, const struct relation *relation, bool warning, const char *fmt,
                  ...) PRINTF_LIKE(4, 5);
/* "line 3, column 7", or "the default" for NULL. */
const char *relation_place(const struct node *node, char out[RELATION_PLACE_MAX]);

/* What the keys of `console` say together. */
void relations_check_console(struct load *load, struct node *root);

/* Names of routes, groups and topics, also derived ones, across all routes. */
void relations_check_topics(struct load *load, struct node *routes);

#endif
