/*
 * See masking.h. The value is parsed, changed and written again: so a member that stands twice, or
 * whose name is spelt with escapes, cannot slip through, since what was parsed is all that is
 * written. Must not: give out any byte of the value that was not parsed.
 */
#include "console/masking.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "record/json_tree.h"

/* One step of a walk: where a pointer has got to. */
struct walk {
    struct buf place; /* pointer of the value that is looked at */
    struct buf *places;
};

bool masking_hides_values(const struct masking *masking)
{
    return masking->config->mask.pointer_count > 0;
}

bool masking_hides_headers(const struct masking *masking)
{
    return masking->config->mask.header_count > 0;
}

bool masking_hides_header(const struct masking *masking, struct slice name)
{
    for (size_t i = 0; i < masking->config->mask.header_count; i++) {
        const char *hidden = masking->config->mask.headers[i];
        if (name.len == strlen(hidden) && strncasecmp(name.data, hidden, name.len) == 0)
            return true;
    }
    return false;
}

/* The next name of a pointer, without ~0 and ~1. */
static const char *next_name(const char *pointer, struct buf *name)
{
    buf_reset(name);
    buf_add_text(name, "");
    for (pointer++; *pointer && *pointer != '/'; pointer++) {
        if (*pointer == '~' && (pointer[1] == '0' || pointer[1] == '1'))
            buf_add_char(name, *++pointer == '0' ? '~' : '/');
        else
            buf_add_char(name, *pointer);
    }
    return pointer;
}

static void push_name(struct buf *place, const char *name)
{
    buf_add_char(place, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            buf_add_text(place, *name == '~' ? "~0" : "~1");
        else
            buf_add_char(place, *name);
    }
}

static void pop(struct buf *place, size_t len)
{
    place->len = len;
    place->data[len] = '\0';
}

static void note(struct walk *walk)
{
    if (walk->places->len)
        buf_add_char(walk->places, ',');
    buf_add_json(walk->places, buf_slice(&walk->place));
}

static void hide(struct walk *walk, struct json_object *in, const char *pointer);

static void hide_member(struct walk *walk, struct json_object *in, const char *name,
                        const char *rest)
{
    struct json_object *value;
    size_t len = walk->place.len;
    if (!json_object_object_get_ex(in, name, &value))
        return;
    push_name(&walk->place, name);
    if (*rest) {
        hide(walk, value, rest);
    } else {
        note(walk);
        json_object_object_add(in, name, json_object_new_string(MASKING_TEXT));
    }
    pop(&walk->place, len);
}

static void hide_element(struct walk *walk, struct json_object *in, size_t at, const char *rest)
{
    size_t len = walk->place.len;
    buf_printf(&walk->place, "/%zu", at);
    if (*rest) {
        hide(walk, json_object_array_get_idx(in, at), rest);
    } else {
        note(walk);
        json_object_array_put_idx(in, at, json_object_new_string(MASKING_TEXT));
    }
    pop(&walk->place, len);
}

static void hide_in_object(struct walk *walk, struct json_object *in, const char *name,
                           const char *rest)
{
    if (strcmp(name, "*") != 0) {
        hide_member(walk, in, name, rest);
        return;
    }
    /* Replacing the value of a member that is there does not move the others. */
    json_object_object_foreach(in, each, value)
    {
        (void)value;
        hide_member(walk, in, each, rest);
    }
}

static void hide_in_array(struct walk *walk, struct json_object *in, const char *name,
                          const char *rest)
{
    uint64_t at;
    size_t count = json_object_array_length(in);
    if (strcmp(name, "*") == 0) {
        for (size_t i = 0; i < count; i++)
            hide_element(walk, in, i, rest);
    } else if (str_to_u64(slice_of(name), &at) && at < count) {
        hide_element(walk, in, (size_t)at, rest);
    }
}

/* Depth is bounded by the pointer's own length. */
static void hide(struct walk *walk, struct json_object *in, const char *pointer)
{
    struct buf name = {0};
    const char *rest = next_name(pointer, &name);
    if (json_object_is_type(in, json_type_object))
        hide_in_object(walk, in, name.data, rest);
    else if (json_object_is_type(in, json_type_array))
        hide_in_array(walk, in, name.data, rest);
    buf_deinit(&name);
}

/* All of it must be one JSON value. */
static struct json_object *parse(struct slice value)
{
    struct json_object *root;
    return str_is_utf8(value) && json_tree_read(value, MASKING_DEPTH, false, &root, NULL) ? root
                                                                                          : NULL;
}

enum masking_result masking_value(const struct masking *masking, struct slice value,
                                  struct buf *out, struct buf *places)
{
    struct walk walk = {.places = places};
    struct json_object *root = parse(value);
    const char *text;
    size_t len = 0;
    if (!root)
        return MASKING_NO_JSON;
    buf_add_text(&walk.place, "");
    for (size_t i = 0; i < masking->config->mask.pointer_count; i++)
        hide(&walk, root, masking->config->mask.pointers[i]);
    text = json_object_to_json_string_length(
        root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    buf_add(out, text, len);
    json_object_put(root);
    buf_deinit(&walk.place);
    return MASKING_DONE;
}
