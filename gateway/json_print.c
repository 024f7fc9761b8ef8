/*
 * JSON of commands. json-c passes bytes on as they are: what it is given is UTF-8, and the control
 * characters that JSON allows raw, and marks that turn what is read around, are escaped here.
 */
#include "json_print.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/str.h"

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
        base64_encode(&text, bytes);
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

void json_write(struct json_object *value, bool pretty, struct buf *out)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                (pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : 0);
    size_t len = 0;
    const char *text = json_object_to_json_string_length(value, flags, &len);
    buf_add_visible(out, (struct slice){text, len});
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
