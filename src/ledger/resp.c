/*
 * Writes Redis commands. Nothing is parsed here: hiredis reads the answers.
 */
#include "ledger/resp.h"

#include <stdarg.h>
#include <string.h>

/* A kind, up to 20 digits, CR LF. */
#define HEAD_MAX 23

/* Writes at `at`, where there is room for HEAD_MAX bytes; returns the end. */
static char *write_head(char *at, char kind, size_t n)
{
    char digits[20];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    *at++ = kind;
    while (first < sizeof(digits))
        *at++ = digits[first++];
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void end_at(struct buf *out, char *end)
{
    *end = '\0';
    out->len = (size_t)(end - out->data);
}

void resp_begin(struct buf *out, size_t args)
{
    buf_reserve(out, HEAD_MAX);
    end_at(out, write_head(out->data + out->len, '*', args));
}

/* In one go: a batch has two hundred of these. */
void resp_arg(struct buf *out, const void *data, size_t len)
{
    buf_reserve(out, HEAD_MAX + len + 2);
    char *at = write_head(out->data + out->len, '$', len);
    if (len)
        memcpy(at, data, len);
    at += len;
    *at++ = '\r';
    *at++ = '\n';
    end_at(out, at);
}

uint8_t *resp_open(uint8_t *at, size_t len)
{
    return (uint8_t *)write_head((char *)at, '$', len);
}

uint8_t *resp_close(uint8_t *at)
{
    *at++ = '\r';
    *at++ = '\n';
    return at;
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

void resp_login(struct buf *out, const char *username, const char *password)
{
    if (username)
        resp_command(out, "AUTH", username, password ? password : "", NULL);
    else
        resp_command(out, "AUTH", password, NULL);
}
