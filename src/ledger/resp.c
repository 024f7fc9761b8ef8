/*
 * Writes Redis commands. Nothing is parsed here: hiredis reads the answers.
 */
#include "ledger/resp.h"

#include <stdarg.h>
#include <string.h>

static void add_head(struct buf *out, char kind, size_t n)
{
    char text[24];
    size_t at = sizeof(text);
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    text[--at] = kind;
    buf_add(out, text + at, sizeof(text) - at);
}

void resp_begin(struct buf *out, size_t args)
{
    add_head(out, '*', args);
}

void resp_arg(struct buf *out, const void *data, size_t len)
{
    add_head(out, '$', len);
    buf_add(out, data, len);
    buf_add(out, "\r\n", 2);
}

void resp_text(struct buf *out, const char *text)
{
    resp_arg(out, text, strlen(text));
}

void resp_number(struct buf *out, uint64_t n)
{
    char text[21];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    resp_arg(out, text + at, sizeof(text) - at);
}

void resp_command(struct buf *out, const char *name, ...)
{
    va_list args;
    size_t count = 1;
    va_start(args, name);
    while (va_arg(args, const char *))
        count++;
    va_end(args);
    resp_begin(out, count);
    resp_text(out, name);
    va_start(args, name);
    for (const char *text; (text = va_arg(args, const char *)) != NULL;)
        resp_text(out, text);
    va_end(args);
}
