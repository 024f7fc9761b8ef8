/*
 * Variables in scalars. Done after the YAML was parsed, so that a value can never change the
 * structure of the file, and once, so that a value with ${} in it means nothing.
 */
#include "config/expand.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "base/str.h"

static bool is_name_char(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

/* at points behind "${"; *end is set behind the closing brace. */
static bool expand_one(const char *at, const char **end, struct buf *out, struct err *err)
{
    const char *name = at;

    while (is_name_char(*at, at == name))
        at++;
    size_t name_len = (size_t)(at - name);
    const char *close = strchr(at, '}');
    if (!close)
        return err_set(err, ERR_CONFIG, "${ is not closed by } (a plain $ is written $$)");
    bool has_default = at[0] == ':' && at[1] == '-';
    if (name_len == 0 || (at != close && !has_default))
        return err_set(err, ERR_CONFIG, "\"${%.*s}\" is no variable: ${NAME} or ${NAME:-default}",
                       (int)(close - name), name);
    *end = close + 1;

    char *key = mem_strndup(name, name_len);
    const char *value = getenv(key);
    mem_free(key);
    if (has_default && (!value || value[0] == '\0')) {
        buf_add(out, at + 2, (size_t)(close - at - 2));
        return true;
    }
    if (!value)
        return err_set(err, ERR_CONFIG,
                       "the environment variable %.*s is not set, and no default is given "
                       "(${%.*s:-default})",
                       (int)name_len, name, (int)name_len, name);
    if (strlen(value) > EXPAND_MAX)
        return err_set(err, ERR_CONFIG, "the value of %.*s is too long", (int)name_len, name);
    if (!str_is_utf8(slice_of(value)))
        return err_set(err, ERR_CONFIG, "the value of %.*s is not UTF-8", (int)name_len, name);
    buf_add_text(out, value);
    return true;
}

bool expand_text(const char *text, struct buf *out, bool *replaced, struct err *err)
{
    *replaced = false;
    while (*text) {
        size_t plain = strcspn(text, "$");
        buf_add(out, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        if (text[1] == '{') {
            if (!expand_one(text + 2, &text, out, err))
                return false;
            *replaced = true;
        } else {
            buf_add_char(out, '$');
            text += text[1] == '$' ? 2 : 1;
        }
        if (out->len > EXPAND_MAX)
            return err_set(err, ERR_CONFIG, "too long once its variables are replaced");
    }
    return true;
}
