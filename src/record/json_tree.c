/*
 * Reads JSON into json-c's tree; see json_tree.h. What is JSON is decided by json_check: without
 * JSON_TOKENER_STRICT json-c takes more than that, and with it json-c 0.18 (Debian 13) refuses
 * every string with a byte above 0x7f, and numbers beyond 64 bits, which it else clamps.
 */
#include "record/json_tree.h"

#include <json-c/json.h>
#include <stdint.h>

#include "record/json_field.h"

static bool told(struct json_trouble *trouble, size_t at, const char *what)
{
    if (trouble)
        *trouble = (struct json_trouble){at, what};
    return false;
}

bool json_tree_read(struct slice text, int depth, bool utf8, struct json_object **tree,
                    struct json_trouble *trouble)
{
    size_t at = 0;
    *tree = NULL;
    if (text.len == 0 || !json_check(text, depth, &at))
        return told(trouble, at, at == text.len ? "it ends too early" : "unexpected character");
    if (text.len > INT32_MAX)
        return told(trouble, INT32_MAX, "longer than any text");
    /* It counts a value within the innermost array as a level. */
    struct json_tokener *tokener = json_tokener_new_ex(depth + 1);
    if (!tokener)
        return told(trouble, 0, "out of memory");
    json_tokener_set_flags(tokener, utf8 ? JSON_TOKENER_VALIDATE_UTF8 : 0);
    *tree = json_tokener_parse_ex(tokener, text.data, (int)text.len);
    /* A number at the end is only known to be whole when something follows it. */
    if (json_tokener_get_error(tokener) == json_tokener_continue)
        *tree = json_tokener_parse_ex(tokener, "", 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    at = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error == json_tokener_success)
        return true;
    json_object_put(*tree);
    *tree = NULL;
    return told(trouble, at, json_tokener_error_desc(error));
}
