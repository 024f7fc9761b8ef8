/*
 * Names across routes: of routes, groups, source topics, and of the topics that follow from them.
 * All names that could be made are compared by sorting, so that many routes stay cheap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/problems.h"
#include "config/relations.h"
#include "config/schema_checks.h"
#include "config/topics.h"

enum topic_role {
    ROLE_TIER,
    ROLE_REDRIVE,
    ROLE_DEAD_LETTER,
    ROLE_MARKS,
    ROLE_STATE,
    ROLE_JOBS,
    ROLE_AUDIT,
    ROLES,
};

/* As they stand in messages, behind "the ". */
static const char *const roles[ROLES] = {
    [ROLE_TIER] = "retry topic",
    [ROLE_REDRIVE] = "redrive topic",
    [ROLE_DEAD_LETTER] = "dead-letter topic",
    [ROLE_MARKS] = "marks topic",
    [ROLE_STATE] = "dead-letter state topic",
    [ROLE_JOBS] = "redrive jobs topic",
    [ROLE_AUDIT] = "audit topic",
};

struct topic_use {
    char *name;   /* owned */
    char *folded; /* owned; '.' as '_', since Kafka allows no two topics that differ only there */
    enum topic_role role;
    size_t route;
    struct node *at; /* the source topic or the group it follows from */
};

struct topic_uses {
    struct topic_use *items;
    size_t count;
};

static void twice(struct load *load, struct node *node, const struct node *first, const char *what)
{
    char place[RELATION_PLACE_MAX];

    node_error(node, load->problems, "\"%s\" %s (%s)", node->text, what,
               relation_place(first, place));
}

static bool is_text(const struct node *node)
{
    return node && node->kind == NODE_SCALAR && !node->bad;
}

/* Quadratic, over at most some hundred routes. */
static void check_unique(struct load *load, struct node *routes, const char *key, const char *what)
{
    for (struct node *route = routes->first; route; route = route->next) {
        struct node *node = node_get(route, key);
        for (struct node *other = routes->first; other != route && is_text(node);
             other = other->next) {
            struct node *before = node_get(other, key);
            if (is_text(before) && strcmp(before->text, node->text) == 0)
                twice(load, node, before, what);
        }
    }
}

static void add_use(struct topic_uses *uses, char *name, enum topic_role role, size_t route,
                    struct node *at)
{
    uses->items = mem_realloc(uses->items, (uses->count + 1) * sizeof(*uses->items));
    char *folded = mem_strdup(name);
    for (char *c = folded; *c; c++)
        if (*c == '.')
            *c = '_';
    uses->items[uses->count++] = (struct topic_use){name, folded, role, route, at};
}

static void uses_free(struct topic_uses *uses)
{
    for (size_t i = 0; i < uses->count; i++) {
        mem_free(uses->items[i].name);
        mem_free(uses->items[i].folded);
    }
    mem_free(uses->items);
}

static void check_length(struct load *load, struct node *at, const char *name, bool *told)
{
    if (*told || strlen(name) <= 249)
        return;
    *told = true;
    node_error(at, load->problems,
               "its topic %.60s... would have %zu characters, and a topic's name has at most 249",
               name, strlen(name));
}

/* All names that follow from one source topic. */
static void derive_names(struct load *load, const struct route_config *route, size_t index,
                         struct node *at, struct topic_uses *uses)
{
    const char *topic = at->text;
    bool told = false;
    size_t first = uses->count;

    for (size_t i = 0; i < route->retry.tier_count; i++)
        add_use(uses, config_tier_topic(route, topic, route->retry.tiers_ms[i]), ROLE_TIER, index,
                at);
    add_use(uses, config_redrive_topic(route, topic), ROLE_REDRIVE, index, at);
    add_use(uses, config_dlq_topic(route, topic), ROLE_DEAD_LETTER, index, at);
    if (route->dedup.rebuild_from == REBUILD_FROM_TOPIC)
        add_use(uses, config_marks_topic(route, topic), ROLE_MARKS, index, at);
    for (size_t i = first; i < uses->count; i++)
        check_length(load, at, uses->items[i].name, &told);
}

/* What there is once for a group. */
static void derive_group_names(struct load *load, const struct route_config *route, size_t index,
                               struct node *at, struct topic_uses *uses)
{
    bool told = false;
    size_t first = uses->count;

    add_use(uses, config_dlq_state_topic(route), ROLE_STATE, index, at);
    add_use(uses, config_dlq_jobs_topic(route), ROLE_JOBS, index, at);
    add_use(uses, config_audit_topic(route), ROLE_AUDIT, index, at);
    for (size_t i = first; i < uses->count; i++)
        check_length(load, at, uses->items[i].name, &told);
}

/* Equal, as Kafka takes names. */
static bool is_named(const char *text, char *name)
{
    bool same = strlen(text) == strlen(name);

    for (size_t i = 0; same && name[i]; i++)
        same = text[i] == name[i] || (strchr("._", text[i]) && strchr("._", name[i]));
    mem_free(name);
    return same;
}

/* The role that a topic has for the route's own group by its name; ROLES: none. */
static enum topic_role own_role(const struct route_config *route, const char *name)
{
    if (topics_matches(route->retry.topic, route->group, name))
        return ROLE_TIER;
    if (topics_matches(route->dead_letter.topic, route->group, name))
        return ROLE_DEAD_LETTER;
    if (route->dedup.rebuild_from == REBUILD_FROM_TOPIC &&
        topics_matches(route->dedup.marks_topic, route->group, name))
        return ROLE_MARKS;
    if (is_named(name, config_dlq_state_topic(route)))
        return ROLE_STATE;
    if (is_named(name, config_dlq_jobs_topic(route)))
        return ROLE_JOBS;
    return is_named(name, config_audit_topic(route)) ? ROLE_AUDIT : ROLES;
}

/* A source topic that this group writes itself would feed on its own copies. */
static bool check_own_copy(struct load *load, const struct route_config *route, struct node *map,
                           struct node *at)
{
    enum topic_role role = own_role(route, at->text);
    char place[RELATION_PLACE_MAX];

    if (role == ROLES)
        return true;
    return node_error(at, load->problems,
                      "\"%s\" is by its name %s %s of the route's own group \"%s\" (group: %s)",
                      at->text, role <= ROLE_MARKS ? "a" : "the", roles[role], route->group,
                      relation_place(node_get(map, "group"), place));
}

static int compare_uses(const void *a, const void *b)
{
    const struct topic_use *x = a, *y = b;
    int order = strcmp(x->folded, y->folded);

    if (order == 0)
        order = (x->role > y->role) - (x->role < y->role);
    if (order == 0)
        order = (x->at->line > y->at->line) - (x->at->line < y->at->line);
    return order ? order : (x->at->column > y->at->column) - (x->at->column < y->at->column);
}

/*
 * Equal names of different meaning. Source topics are left out: any number of groups may read one,
 * and another group's dead letters may well be a source.
 */
static void check_collisions(struct load *load, struct topic_uses *uses)
{
    if (uses->count)
        qsort(uses->items, uses->count, sizeof(*uses->items), compare_uses);
    for (size_t i = 1; i < uses->count; i++) {
        const struct topic_use *a = &uses->items[i - 1];
        const struct topic_use *b = &uses->items[i];
        char place[RELATION_PLACE_MAX];
        if (strcmp(a->folded, b->folded) != 0)
            continue;
        if (b->at->bad || a->at->bad ||
            (a->at == b->at && a->role == ROLE_TIER && b->role == ROLE_TIER))
            continue; /* the last: equal tiers, told already */
        node_error(
            b->at, load->problems,
            "the %s \"%s\" of routes[%zu] would be named like the %s \"%s\" of routes[%zu] (%s)%s",
            roles[b->role], b->name, b->route, roles[a->role], a->name, a->route,
            relation_place(a->at, place),
            strcmp(a->name, b->name) == 0 ? "" : ": Kafka takes '.' and '_' as the same");
    }
}

void relations_check_topics(struct load *load, struct node *routes)
{
    struct topic_uses uses = {0};

    check_unique(load, routes, "name", "is the name of another route already");
    check_unique(load, routes, "group",
                 "is the group of another route already: one route for each group");
    for (struct node *map = routes->first; map; map = map->next) {
        const struct route_config *route = &load->config->routes[map->index];
        struct node *topics = node_get(map, "topics");
        bool usable = route->group && route->retry.topic && route->dead_letter.topic &&
                      route->dedup.marks_topic;
        if (!usable || !topics || topics->kind != NODE_LIST)
            continue;
        for (struct node *at = topics->first; at; at = at->next)
            if (is_text(at) && !check_topic_name(at->text) && check_own_copy(load, route, map, at))
                derive_names(load, route, map->index, at, &uses);
        if (is_text(node_get(map, "group")))
            derive_group_names(load, route, map->index, node_get(map, "group"), &uses);
    }
    check_collisions(load, &uses);
    uses_free(&uses);
}
