/*
 * From YAML events to a tree with places.
 *
 * Invariants: a mapping in the tree has no key twice and no key that is not a scalar; nothing in it
 * came from an alias; every scalar is UTF-8 without NUL. What breaks one of them is told with its
 * place and left out, so that the rest of the file is still looked at; only broken syntax and a
 * bound that is passed end the reading. Must not interpret values.
 */
#include "config/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/expand.h"
#include "config/problems.h"

struct builder {
    yaml_parser_t parser;
    struct config_problems *problems;
    bool expand;
    size_t expanded_bytes; /* what ${} added up to, all together */
};

static unsigned mark_line(yaml_mark_t mark)
{
    return (unsigned)mark.line + 1;
}

static unsigned mark_column(yaml_mark_t mark)
{
    return (unsigned)mark.column + 1;
}

/* The parser's own complaint, with the hint that helps most often. */
static void report_syntax(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    const char *hint = "";

    if (strstr(problem, "cannot start any token"))
        hint = " (a tab, or a character that needs quotes?)";
    else if (strstr(problem, "expected ',' or '}'") || strstr(problem, "expected ',' or ']'"))
        hint = " (within { } and [ ] a ${NAME} needs quotes)";
    else if (strstr(problem, "mapping values are not allowed"))
        hint = " (a text with \": \" in it needs quotes; is the indentation right?)";
    problems_add(builder->problems, false, mark_line(parser->problem_mark),
                 mark_column(parser->problem_mark), NULL, "not valid YAML: %s%s%s%s", problem,
                 parser->context ? ", " : "", parser->context ? parser->context : "", hint);
}

/* False where the syntax is broken; the event is the caller's to delete otherwise. */
static bool next_event(struct builder *builder, yaml_event_t *event)
{
    if (yaml_parser_parse(&builder->parser, event))
        return true;
    report_syntax(builder);
    return false;
}

static struct node *node_new(enum node_kind kind, const yaml_event_t *event)
{
    struct node *node = mem_zalloc(sizeof(*node));

    node->kind = kind;
    node->line = mark_line(event->start_mark);
    node->column = mark_column(event->start_mark);
    return node;
}

void node_free(struct node **node)
{
    struct node *doomed = *node;

    if (!doomed)
        return;
    for (struct node *child = doomed->first; child;) {
        struct node *next = child->next;
        node_free(&child);
        child = next;
    }
    mem_free(doomed->key);
    mem_free(doomed->text);
    mem_free(doomed);
    *node = NULL;
}

static void append(struct node *parent, struct node *child)
{
    child->parent = parent;
    child->index = parent->count++;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
}

static void set_text(struct builder *builder, struct node *node, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    struct buf text = {0};
    struct err err = {0};

    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (memchr(value, '\0', len)) {
        node_error(node, builder->problems, "a NUL character is not allowed");
    } else if (!builder->expand) {
        buf_add(&text, value, len);
    } else if (!expand_text(value, &text, &node->expanded, &err)) {
        node_error(node, builder->problems, "%s", err.text);
    } else if (node->expanded) {
        node->plain = false;
        builder->expanded_bytes += text.len;
        if (builder->expanded_bytes > NODE_FILE_MAX) {
            node_error(node, builder->problems,
                       "the file is too long once its variables are replaced");
            buf_reset(&text);
        }
    }
    node->text = mem_strndup(text.data ? text.data : "", text.data ? strlen(text.data) : 0);
    buf_deinit(&text);
}

/* Tags and anchors mean nothing here; refusing them also rules out alias bombs. */
static void refuse_extras(struct builder *builder, struct node *node, const yaml_char_t *anchor,
                          const yaml_char_t *tag)
{
    if (anchor)
        node_error(node, builder->problems, "anchors (&%s) are not allowed: write the value out",
                   (const char *)anchor);
    if (tag)
        node_error(node, builder->problems, "tags (%s) are not allowed", (const char *)tag);
}

static bool build(struct builder *builder, yaml_event_t *event, struct node *parent,
                  struct node *pair, unsigned depth);

/* The key's node becomes the value's shell: it keeps key and place until the value's event comes.
 */
static bool read_key(struct builder *builder, yaml_event_t *event, struct node *map,
                     struct node *key)
{
    struct config_problems *problems = builder->problems;

    *key = (struct node){.key_line = mark_line(event->start_mark),
                         .key_column = mark_column(event->start_mark)};
    key->line = key->key_line;
    key->column = key->key_column;
    key->parent = map;
    if (event->type != YAML_SCALAR_EVENT) {
        problems_add(problems, false, key->line, key->column, node_path(map, NULL), "%s",
                     event->type == YAML_ALIAS_EVENT ? "aliases are not allowed: write the key out"
                                                     : "a key must be text");
        return false;
    }
    const char *text = (const char *)event->data.scalar.value;
    if (memchr(text, '\0', event->data.scalar.length)) {
        problems_add(problems, false, key->line, key->column, node_path(map, NULL),
                     "a NUL character is not allowed");
        return false;
    }
    key->key = mem_strdup(text);
    if (event->data.scalar.anchor || (event->data.scalar.tag))
        problems_add(problems, false, key->line, key->column, node_path(key, NULL),
                     "anchors and tags are not allowed");
    return true;
}

/* Whether the key may stand here; what may not is told and its value is read and dropped. */
static bool admit_key(struct builder *builder, const struct node *map, const struct node *key)
{
    const struct node *twin = node_get(map, key->key);

    if (twin) {
        problems_add(builder->problems, false, key->line, key->column, node_path(key, NULL),
                     "given twice (first at line %u, column %u)", twin->key_line, twin->key_column);
        return false;
    }
    if (strcmp(key->key, "<<") == 0) {
        problems_add(builder->problems, false, key->line, key->column, node_path(map, NULL),
                     "merge keys (<<) are not allowed: write the keys out");
        return false;
    }
    return true;
}

static bool too_many(struct builder *builder, const struct node *node)
{
    if (node->count < NODE_ENTRIES_MAX)
        return false;
    problems_add(builder->problems, false, node->line, node->column, node_path(node, NULL),
                 "more than %d entries", NODE_ENTRIES_MAX);
    return true;
}

static bool build_map(struct builder *builder, struct node *map, unsigned depth)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(builder, &event))
            return false;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        struct node key;
        bool readable = read_key(builder, &event, map, &key);
        bool keep = readable && admit_key(builder, map, &key);
        bool ok = !too_many(builder, map);
        if (ok && event.type != YAML_SCALAR_EVENT && event.type != YAML_ALIAS_EVENT)
            ok = build(builder, &event, NULL, NULL, depth + 1);
        yaml_event_delete(&event);
        if (ok && (ok = next_event(builder, &event))) {
            ok = build(builder, &event, keep ? map : NULL, keep ? &key : NULL, depth + 1);
            yaml_event_delete(&event);
        }
        mem_free(key.key);
        if (!ok)
            return false;
    }
}

static bool build_list(struct builder *builder, struct node *list, unsigned depth)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(builder, &event))
            return false;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        bool ok = end ||
                  (!too_many(builder, list) && build(builder, &event, list, NULL, depth + 1));
        yaml_event_delete(&event);
        if (end || !ok)
            return ok;
    }
}

static bool fill(struct builder *builder, yaml_event_t *event, struct node *node, unsigned depth)
{
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        node_error(node, builder->problems, "aliases (*%s) are not allowed: write the value out",
                   (const char *)event->data.alias.anchor);
        node->text = mem_strdup("");
        return true;
    case YAML_SCALAR_EVENT:
        refuse_extras(builder, node, event->data.scalar.anchor, event->data.scalar.tag);
        set_text(builder, node, event);
        return true;
    case YAML_SEQUENCE_START_EVENT:
        refuse_extras(builder, node, event->data.sequence_start.anchor,
                      event->data.sequence_start.tag);
        return build_list(builder, node, depth);
    default:
        refuse_extras(builder, node, event->data.mapping_start.anchor,
                      event->data.mapping_start.tag);
        return build_map(builder, node, depth);
    }
}

/*
 * Builds the value that the event starts, below parent; without a parent it is checked and dropped.
 * False ends the reading of the file.
 */
static bool build(struct builder *builder, yaml_event_t *event, struct node *parent,
                  struct node *pair, unsigned depth)
{
    enum node_kind kind = event->type == YAML_SEQUENCE_START_EVENT  ? NODE_LIST
                          : event->type == YAML_MAPPING_START_EVENT ? NODE_MAP
                                                                    : NODE_SCALAR;
    struct node *node = node_new(kind, event);

    if (pair) {
        node->key = pair->key;
        pair->key = NULL;
        node->key_line = pair->key_line;
        node->key_column = pair->key_column;
    }
    if (parent)
        append(parent, node);
    bool ok;
    if (depth > NODE_DEPTH_MAX) {
        problems_add(builder->problems, false, node->line, node->column, NULL,
                     "nested deeper than %d levels", NODE_DEPTH_MAX);
        ok = false;
    } else {
        ok = fill(builder, event, node, depth);
    }
    if (!parent)
        node_free(&node);
    return ok;
}

static bool check_bytes(const char *text, size_t len, struct config_problems *problems)
{
    unsigned line = 1;
    size_t start = 0;

    if (len > NODE_FILE_MAX) {
        problems_add(problems, false, 0, 0, NULL, "the file is larger than %zu bytes",
                     NODE_FILE_MAX);
        return false;
    }
    if (str_is_utf8((struct slice){text, len}))
        return true;
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '\n')
            continue;
        if (!str_is_utf8((struct slice){text + start, i - start}))
            break;
        line++;
        start = i + 1;
    }
    problems_add(problems, false, line, 1, NULL, "the line is not UTF-8");
    return false;
}

static bool check_version(struct builder *builder, const yaml_event_t *event)
{
    const yaml_version_directive_t *version = event->data.document_start.version_directive;

    if (!version || (version->major == 1 && version->minor == 2))
        return true;
    problems_add(builder->problems, false, mark_line(event->start_mark),
                 mark_column(event->start_mark), NULL, "YAML %d.%d is not read: 1.2 only",
                 version->major, version->minor);
    return false;
}

/* The root hangs below *holder, so that one place frees whatever was built. */
static bool build_document(struct builder *builder, struct node *holder)
{
    bool done = false;

    while (!done) {
        yaml_event_t event;
        if (!next_event(builder, &event))
            return false;
        bool ok = true;
        if (event.type == YAML_STREAM_END_EVENT) {
            done = true;
        } else if (event.type == YAML_DOCUMENT_START_EVENT) {
            ok = check_version(builder, &event);
            if (ok && holder->first) {
                problems_add(builder->problems, false, mark_line(event.start_mark),
                             mark_column(event.start_mark), NULL,
                             "a second document: the file holds one only");
                ok = false;
            }
        } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_END_EVENT) {
            ok = build(builder, &event, holder, NULL, 0);
        }
        yaml_event_delete(&event);
        if (!ok)
            return false;
    }
    return true;
}

struct node *node_parse(const char *text, size_t len, bool expand, struct config_problems *problems)
{
    struct builder builder = {.problems = problems, .expand = expand};
    struct node holder = {.kind = NODE_SCALAR}; /* no list: adds nothing to a path */

    if (!check_bytes(text, len, problems))
        return NULL;
    if (!yaml_parser_initialize(&builder.parser)) {
        problems_add(problems, false, 0, 0, NULL, "no memory for the YAML parser");
        return NULL;
    }
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
    bool ok = build_document(&builder, &holder);
    yaml_parser_delete(&builder.parser);

    struct node *root = holder.first;
    if (ok && !root)
        problems_add(problems, false, 0, 0, NULL, "the file is empty");
    if (!ok)
        node_free(&root);
    if (root)
        root->parent = NULL;
    return root;
}

struct node *node_get(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (struct node *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

struct node *node_at(const struct node *map, const char *path)
{
    char key[128];

    for (;;) {
        const char *dot = strchr(path, '.');
        size_t len = dot ? (size_t)(dot - path) : strlen(path);
        if (!str_copy(key, sizeof(key), (struct slice){path, len}))
            return NULL;
        struct node *found = node_get(map, key);
        if (!dot || !found)
            return found;
        map = found;
        path = dot + 1;
    }
}

static void add_path(const struct node *node, struct buf *out)
{
    if (node->parent)
        add_path(node->parent, out);
    if (node->key) {
        if (out->len)
            buf_add_char(out, '.');
        buf_add_text(out, node->key);
    } else if (node->parent && node->parent->kind == NODE_LIST) {
        buf_printf(out, "[%zu]", node->index);
    }
}

char *node_path(const struct node *node, const char *sub)
{
    struct buf out = {0};

    add_path(node, &out);
    if (sub)
        buf_printf(&out, "%s%s", out.len ? "." : "", sub);
    char *path = mem_strndup(out.data ? out.data : "", out.len);
    buf_deinit(&out);
    return path;
}

bool node_is_null(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->plain && !node->bad &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0 || strcmp(node->text, "Null") == 0 ||
            strcmp(node->text, "NULL") == 0);
}

/* The core schema's floats, integers included: [-+]? digits with a point, an exponent. */
static bool looks_like_number(const char *text)
{
    size_t digits;

    text += *text == '-' || *text == '+';
    digits = strspn(text, "0123456789");
    text += digits;
    if (*text == '.') {
        size_t more = strspn(text + 1, "0123456789");
        digits += more;
        text += 1 + more;
    }
    if (digits && (*text == 'e' || *text == 'E')) {
        text += 1 + (text[1] == '-' || text[1] == '+');
        size_t more = strspn(text, "0123456789");
        if (more == 0)
            return false;
        text += more;
    }
    return digits && *text == '\0';
}

const char *node_type_name(const struct node *node)
{
    if (node->kind == NODE_LIST)
        return "a list";
    if (node->kind == NODE_MAP)
        return "a mapping";
    if (node_is_null(node))
        return "nothing";
    if (!node->plain)
        return "text";
    if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)
        return "a boolean";
    return looks_like_number(node->text) ? "a number" : "text";
}

bool node_error(struct node *node, struct config_problems *problems, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    problems_add_va(problems, false, node->line, node->column, node_path(node, NULL), fmt, args);
    va_end(args);
    node->bad = true;
    return false;
}

void node_warn(const struct node *node, struct config_problems *problems, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    problems_add_va(problems, true, node->line, node->column, node_path(node, NULL), fmt, args);
    va_end(args);
}
