/* See yaml_text.h. Only the few shapes of plain scalars are used that nobody can misread. */
#include "config/yaml_text.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SAFE    LETTERS "0123456789_./-"

/* A letter or slash first: no number, no indicator. A colon only where no blank can follow it. */
static bool is_plain(const char *text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};

    if (text[0] == '\0' || !strchr(LETTERS "/", text[0]))
        return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    const char *end = text + strspn(text, SAFE ":");
    return *end == '\0' && end[-1] != ':';
}

/* The length of a character that may not stand raw in YAML, and its code; 0: it may. */
static size_t unprintable(const char *at, unsigned *code)
{
    const unsigned char *c = (const unsigned char *)at;

    *code = c[0];
    if (c[0] < 0x20 || c[0] == 0x7f)
        return 1;
    if (c[0] == 0xc2 && c[1] < 0xa0) {
        *code = c[1];
        return 2;
    }
    if ((c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf) ||
        (c[0] == 0xef && c[1] == 0xbf && c[2] >= 0xbe)) {
        *code = ((c[0] & 0x0fU) << 12) | ((c[1] & 0x3fU) << 6) | (c[2] & 0x3fU);
        return 3;
    }
    return 0;
}

void yaml_add_text(struct buf *out, const char *text)
{
    if (is_plain(text)) {
        buf_add_text(out, text);
        return;
    }
    buf_add_char(out, '"');
    while (*text) {
        unsigned code;
        size_t len = unprintable(text, &code);
        if (len) {
            buf_printf(out, "\\u%04x", code);
            text += len;
            continue;
        }
        if (*text == '"' || *text == '\\')
            buf_add_char(out, '\\');
        if (*text == '$')
            buf_add_char(out, '$');
        buf_add_char(out, *text++);
    }
    buf_add_char(out, '"');
}
