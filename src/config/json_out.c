/* See json_out.h. Its input is the program's own, so it is trusted to be well-formed. */
#include "config/json_out.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "config/node.h"

#define SHORT_MAX 72

static void add_node(struct buf *out, const struct node *node)
{
    const char *type = node_type_name(node);

    if (node->kind == NODE_SCALAR) {
        if (strcmp(type, "a number") == 0 || strcmp(type, "a boolean") == 0)
            buf_add_text(out, node->text);
        else if (strcmp(type, "nothing") == 0)
            buf_add_text(out, "null");
        else
            buf_add_json(out, slice_of(node->text));
        return;
    }
    bool map = node->kind == NODE_MAP;
    buf_add_char(out, map ? '{' : '[');
    for (const struct node *child = node->first; child; child = child->next) {
        buf_add_text(out, child == node->first ? "" : ", ");
        if (map) {
            buf_add_json(out, slice_of(child->key));
            buf_add_text(out, ": ");
        }
        add_node(out, child);
    }
    buf_add_char(out, map ? '}' : ']');
}

void json_add_yaml(struct buf *out, const char *yaml)
{
    struct config_problems none = {0};
    struct node *node = node_parse(yaml, strlen(yaml), false, &none);

    assert(node && none.count == 0);
    add_node(out, node);
    node_free(&node);
}

/* Behind the string that begins at `at`. */
static size_t skip_string(struct slice json, size_t at)
{
    for (at++; at < json.len && json.data[at] != '"'; at++)
        at += json.data[at] == '\\';
    return at + 1;
}

/* Behind the bracket that closes the one at `at`. */
static size_t skip_group(struct slice json, size_t at)
{
    size_t depth = 0;

    while (at < json.len) {
        char c = json.data[at];
        if (c == '"') {
            at = skip_string(json, at);
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
        if (depth == 0)
            break;
    }
    return at;
}

static void new_line(struct buf *out, size_t depth)
{
    buf_printf(out, "\n%*s", (int)(2 * depth), "");
}

void json_add_pretty(struct buf *out, struct slice json)
{
    size_t depth = 0;

    for (size_t at = 0; at < json.len;) {
        char c = json.data[at];
        size_t end = at + 1;
        if (c == '"')
            end = skip_string(json, at);
        else if (c == '{' || c == '[')
            end = skip_group(json, at);
        bool opens = (c == '{' || c == '[') && end - at > SHORT_MAX;
        if (opens)
            end = at + 1;
        if ((c == '}' || c == ']') && depth)
            new_line(out, --depth);
        buf_add(out, json.data + at, end - at);
        at = end;
        if (opens)
            new_line(out, ++depth);
        if (c != ',')
            continue;
        new_line(out, depth);
        while (at < json.len && json.data[at] == ' ')
            at++;
    }
    buf_add_char(out, '\n');
}
