/*
 * Reads problem details. The body is foreign and was cut to HTTP_BODY_KEPT_MAX before; nesting is
 * bounded here. What comes out goes into record headers and logs, so it is cleaned: a code is one
 * word of low cardinality, a detail is UTF-8 text.
 */
#include "handler/http_problem.h"

#include <json-c/json.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define NESTING_MAX 8

static bool is_code_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

bool http_problem_is_code(struct slice s)
{
    if (s.len == 0 || s.len >= ANSWER_CODE_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_code_char(s.data[i]))
            return false;
    }
    return true;
}

/* The length of the UTF-8 sequence that begins at data, or 0 where none does. */
static size_t utf8_length(const char *data, size_t left)
{
    unsigned char first = (unsigned char)data[0];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (len > left || !str_is_utf8((struct slice){data, len}))
        return 0;
    return len;
}

void http_problem_text(struct slice text, char detail[ANSWER_DETAIL_MAX])
{
    size_t out = 0;

    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_length(text.data + i, text.len - i);
        char c = text.data[i];
        bool control = len == 1 && ((c >= 0 && c < ' ' && c != '\n' && c != '\t') || c == 0x7f);
        const char *from = len == 0 ? "\xef\xbf\xbd" : control ? " " : text.data + i;
        size_t from_len = len == 0 ? 3 : len;
        if (out + from_len >= ANSWER_DETAIL_MAX)
            break;
        memcpy(detail + out, from, from_len);
        out += from_len;
        i += len ? len : 1;
    }
    detail[out] = '\0';
}

static struct slice member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(object, name, &value) ||
        !json_object_is_type(value, json_type_string))
        return SLICE_NULL;
    return (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static void code_from_type(struct slice type, char code[ANSWER_CODE_MAX])
{
    size_t end = 0, start;

    if (slice_is_null(type) || slice_equal_text(type, "about:blank"))
        return;
    while (end < type.len && type.data[end] != '?' && type.data[end] != '#')
        end++;
    while (end > 0 && type.data[end - 1] == '/')
        end--;
    for (start = end; start > 0; start--) {
        char c = type.data[start - 1];
        if (c == '/' || c == ':')
            break;
    }
    if (end - start >= ANSWER_CODE_MAX)
        return;
    char lower[ANSWER_CODE_MAX];
    for (size_t i = start; i < end; i++) {
        char c = type.data[i];
        lower[i - start] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    struct slice segment = {lower, end - start};
    if (http_problem_is_code(segment)) {
        memcpy(code, segment.data, segment.len);
        code[segment.len] = '\0';
    }
}

bool http_problem_read(struct slice body, char code[ANSWER_CODE_MAX],
                       char detail[ANSWER_DETAIL_MAX])
{
    struct json_tokener *tokener = json_tokener_new_ex(NESTING_MAX);
    if (!tokener)
        return false;
    struct json_object *object = json_tokener_parse_ex(tokener, body.data, (int)body.len);
    bool ok = json_tokener_get_error(tokener) == json_tokener_success &&
              json_object_is_type(object, json_type_object);
    if (ok) {
        code_from_type(member(object, "type"), code);
        struct slice text = member(object, "detail");
        if (slice_is_null(text))
            text = member(object, "title");
        http_problem_text(text, detail);
    }
    json_object_put(object);
    json_tokener_free(tokener);
    return ok;
}
