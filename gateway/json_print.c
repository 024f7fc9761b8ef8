/*
 * JSON of commands. json-c passes bytes on as they are: what it is given is UTF-8, and the control
 * characters that JSON allows raw, and marks that turn what is read around, are escaped here.
 */
#include "json_print.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/mem.h"
#include "base/str.h"
#include "text_out.h"

enum output json_output_of(const struct cli *cli)
{
    if (!cli->output || strcmp(cli->output, "table") == 0)
        return OUTPUT_TABLE;
    return strcmp(cli->output, "jsonl") == 0 ? OUTPUT_JSONL : OUTPUT_JSON;
}

void json_add_text(struct json_object *object, const char *name, const char *text)
{
    json_add_bytes(object, name, slice_of(text));
}

void json_add_bytes(struct json_object *object, const char *name, struct slice bytes)
{
    if (slice_is_null(bytes)) {
        json_object_object_add(object, name, NULL);
    } else if (str_is_utf8(bytes)) {
        json_object_object_add(object, name,
                               json_object_new_string_len(bytes.data, (int)bytes.len));
    } else {
        struct buf text = {0};
        char *encoding = mem_printf("%s_encoding", name);
        json_add_base64(&text, bytes);
        json_object_object_add(object, name, json_object_new_string_len(text.data, (int)text.len));
        json_object_object_add(object, encoding, json_object_new_string("base64"));
        mem_free(encoding);
        buf_deinit(&text);
    }
}

void json_add_int(struct json_object *object, const char *name, int64_t number)
{
    json_object_object_add(object, name, json_object_new_int64(number));
}

void json_add_uint(struct json_object *object, const char *name, uint64_t number)
{
    json_object_object_add(object, name, json_object_new_uint64(number));
}

void json_add_time(struct json_object *object, const char *name, int64_t ms)
{
    char text[STR_RFC3339_MAX];
    if (ms > 0)
        str_rfc3339_from_ms(ms, text);
    json_add_text(object, name, ms > 0 ? text : NULL);
}

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void json_add_base64(struct buf *out, struct slice bytes)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    buf_reserve(out, (bytes.len + 2) / 3 * 4);
    for (size_t at = 0; at < bytes.len; at += 3) {
        size_t left = bytes.len - at;
        unsigned triple = (unsigned)data[at] << 16 | (left > 1 ? (unsigned)data[at + 1] << 8 : 0) |
                          (left > 2 ? data[at + 2] : 0);
        buf_add_char(out, DIGITS[triple >> 18]);
        buf_add_char(out, DIGITS[triple >> 12 & 63]);
        buf_add_char(out, left > 1 ? DIGITS[triple >> 6 & 63] : '=');
        buf_add_char(out, left > 2 ? DIGITS[triple & 63] : '=');
    }
    if (bytes.len == 0)
        buf_add(out, "", 0);
}

static int digit(char c)
{
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

bool json_read_base64(struct slice text, struct buf *out)
{
    size_t padding = 0;
    if (text.len % 4 != 0)
        return false;
    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=')
        padding++;
    buf_add(out, "", 0);
    for (size_t at = 0; at < text.len; at += 4) {
        size_t digits = at + 4 == text.len ? 4 - padding : 4;
        unsigned triple = 0;
        for (size_t i = 0; i < 4; i++) {
            int value = i < digits ? digit(text.data[at + i]) : 0;
            if (value < 0)
                return false;
            triple = triple << 6 | (unsigned)value;
        }
        /* Bits that stand for nothing must be none: one text, one meaning. */
        if (triple & (digits == 3 ? 0xffu : digits == 2 ? 0xffffu : 0u))
            return false;
        for (size_t i = 0; i + 1 < digits; i++)
            buf_add_char(out, (char)(triple >> (16 - 8 * i) & 0xff));
    }
    return true;
}

void json_write(struct json_object *value, bool pretty, struct buf *out)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                (pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : 0);
    size_t len = 0;
    const char *text = json_object_to_json_string_length(value, flags, &len);
    for (size_t at = 0, size; at < len; at += size) {
        uint32_t code;
        bool hidden = text_is_hidden(text + at, len - at, &code, &size);
        size += size == 0;
        if (!hidden || code < 0x20) /* line feeds of the layout; json-c escapes the others */
            buf_add(out, text + at, size);
        else if (code < 0x10000)
            buf_printf(out, "\\u%04x", (unsigned)code);
        else
            buf_printf(out, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (code >> 10)),
                       (unsigned)(0xdc00 + (code & 0x3ff)));
    }
}

bool json_print(struct json_object *value, bool pretty)
{
    struct buf out = {0};
    bool ok;
    json_write(value, pretty, &out);
    buf_add_char(&out, '\n');
    ok = fwrite(out.data, 1, out.len, stdout) == out.len;
    buf_deinit(&out);
    return ok;
}
