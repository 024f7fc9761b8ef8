/*
 * Values for people. JSON is laid out token by token, so that no number is rounded and nothing is
 * left out; what is nested deeper than the record's own reader goes counts as text.
 */
#include "letter_value.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"
#include "record/json_field.h"
#include "text_out.h"

#define INDENT 2

enum value_kind letter_value_kind(struct slice value)
{
    if (slice_is_null(value))
        return VALUE_NULL;
    if (value.len == 0)
        return VALUE_EMPTY;
    if (!str_is_utf8(value) || memchr(value.data, '\0', value.len))
        return VALUE_BINARY;
    return json_find(value, NULL, 0) ? VALUE_JSON : VALUE_TEXT;
}

void letter_value_say(struct slice value, struct buf *out)
{
    static const char *const names[] = {"null (a tombstone)", "empty", "JSON", "text, UTF-8",
                                        "binary"};
    enum value_kind kind = letter_value_kind(value);
    const unsigned char *at = (const unsigned char *)value.data;
    buf_add_text(out, names[kind]);
    if (value.len > 0)
        buf_printf(out, ", %zu byte%s", value.len, value.len == 1 ? "" : "s");
    if (kind == VALUE_BINARY && value.len > 5 && at[0] == 0)
        buf_printf(out, " (begins as a schema registry's serialiser does: schema %" PRIu32 ")",
                   (uint32_t)at[1] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 8 | at[4]);
}

static void new_line(struct buf *out, size_t depth)
{
    buf_add_char(out, '\n');
    for (size_t i = 0; i < INDENT * depth; i++)
        buf_add_char(out, ' ');
}

/* The string that begins at at, quotes and all. */
static size_t string_end(struct slice json, size_t at)
{
    for (at++; at < json.len && json.data[at] != '"'; at++)
        at += json.data[at] == '\\';
    return at < json.len ? at + 1 : json.len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(struct slice json, size_t at)
{
    while (at < json.len && is_space(json.data[at]))
        at++;
    return at;
}

/* Stops soon after most bytes. */
static void lay_out(struct slice json, size_t most, struct buf *out)
{
    size_t depth = 0, at = skip_space(json, 0);
    while (at < json.len && out->len < most) {
        char c = json.data[at];
        if (c == '"') {
            size_t end = string_end(json, at);
            size_t len = end - at < most ? end - at : utf8_cut(json.data + at, end - at, most);
            text_add_safe(out, (struct slice){json.data + at, len}, false);
            at += len - 1;
        } else if (c == '{' || c == '[') {
            size_t next = skip_space(json, at + 1);
            buf_add_char(out, c);
            if (next < json.len && (json.data[next] == '}' || json.data[next] == ']'))
                buf_add_char(out, json.data[at = next]);
            else
                new_line(out, ++depth);
        } else if (c == '}' || c == ']') {
            new_line(out, depth > 0 ? --depth : 0);
            buf_add_char(out, c);
        } else {
            text_add_safe(out, (struct slice){&json.data[at], 1}, false);
            if (c == ',')
                new_line(out, depth);
            else if (c == ':')
                buf_add_char(out, ' ');
        }
        at = skip_space(json, at + 1);
    }
    if (at < json.len)
        buf_printf(out, "\n... and %zu bytes more", json.len - at);
}

void letter_value_show(struct slice value, size_t most, struct buf *out)
{
    struct buf text = {0};
    size_t shown;
    switch (letter_value_kind(value)) {
    case VALUE_NULL:
    case VALUE_EMPTY:
        return;
    case VALUE_JSON:
        lay_out(value, most, &text);
        break;
    case VALUE_TEXT:
        shown = utf8_cut(value.data, value.len, most);
        text_add_safe(&text, (struct slice){value.data, shown}, true);
        if (shown < value.len)
            buf_printf(&text, "\n... and %zu bytes more", value.len - shown);
        break;
    case VALUE_BINARY:
        text_add_hex(&text, value, most / 4);
        break;
    }
    buf_add_slice(out, buf_slice(&text));
    if (out->len > 0 && out->data[out->len - 1] != '\n')
        buf_add_char(out, '\n');
    buf_deinit(&text);
}
