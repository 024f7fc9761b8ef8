/*
 * Walks the tree along the table: unknown keys, missing keys, defaults, and what is not in this
 * version. Everything is looked at, whatever was wrong before, so that all problems are told at
 * once.
 */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "config/load.h"
#include "config/problems.h"

void *load_at(void *item, size_t offset)
{
    return (char *)item + offset;
}

static void report_unknown(struct load *load, const char *section, struct node *node)
{
    const struct schema_key *near = schema_nearest(section, node->key);
    const struct schema_key *other = NULL;
    bool in_route = strncmp(section, "routes[]", 8) == 0;

    if (!near) {
        other = schema_elsewhere(in_route ? "routes[]." : "", node->key);
        if (other && strncmp(other->path, "routes[].classify", 17) == 0)
            other = NULL;
    }
    node->bad = true;
    char *path = node_path(node, NULL);
    if (near)
        problems_add(load->problems, false, node->key_line, node->key_column, path,
                     "unknown key (did you mean %s?)", schema_name(near));
    else if (other)
        problems_add(load->problems, false, node->key_line, node->key_column, path,
                     "unknown key here (did you mean %s?)", other->path);
    else
        problems_add(load->problems, false, node->key_line, node->key_column, path, "unknown key");
}

static void load_preset(struct load *load, const struct schema_key *key, void *item)
{
    struct config_problems none = {0};
    struct node *node = node_parse(key->preset, strlen(key->preset), false, &none);
    struct load quiet = {&none, load->config};

    assert(node);
    load_value(&quiet, key, node, item);
    assert(none.count == 0 && "a default of the table does not pass its own checks");
    node_free(&node);
}

static void load_absent(struct load *load, const struct schema_key *key, struct node *map,
                        void *item)
{
    char section[SCHEMA_PATH_MAX];

    if (key->required && map)
        problems_add(load->problems, false, map->line, map->column,
                     node_path(map, schema_name(key)), "is required");
    if (key->type == TYPE_SECTION) {
        schema_section(key, section);
        load_section(load, section, NULL, item);
    } else if (key->preset) {
        load_preset(load, key, item);
    }
}

static void load_later(struct load *load, struct node *node)
{
    node->bad = true;
    problems_add(load->problems, false, node->key_line, node->key_column, node_path(node, NULL),
                 "not in this version");
}

static void load_given(struct load *load, const struct schema_key *key, struct node *map,
                       struct node *node, void *item)
{
    bool optional = !key->preset && !key->required;

    if (node_is_null(node) && (optional || key->type == TYPE_SECTION)) {
        load_absent(load, key, map, item);
        return;
    }
    if (key->later == LATER_KEY) {
        load_later(load, node);
        return;
    }
    load_value(load, key, node, item);
}

void load_section(struct load *load, const char *section, struct node *map, void *item)
{
    if (map && map->kind != NODE_MAP) {
        node_error(map, load->problems, "a mapping of keys is expected, not %s",
                   node_type_name(map));
        map = NULL;
    }
    for (struct node *node = map ? map->first : NULL; node; node = node->next)
        if (!schema_child(section, node->key))
            report_unknown(load, section, node);
    for (const struct schema_key *key = schema_keys; key->path; key++) {
        if (!schema_is_child(key, section))
            continue;
        struct node *node = node_get(map, schema_name(key));
        if (node)
            load_given(load, key, map, node, item);
        else
            load_absent(load, key, map, item);
    }
}
