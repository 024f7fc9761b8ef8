/* Helpers shared by the verbs of og-support.
 *
 * Every failure here ends the program with a message: a test tool that goes on after running out
 * of memory or after a bad argument would only produce results that cannot be trusted. */
#include "tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void tool_die(const char *fmt, ...)
{
    va_list args;

    fputs("og-support: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void *tool_resize(void *ptr, size_t size)
{
    void *grown = realloc(ptr, size > 0 ? size : 1);

    if (grown == NULL)
        tool_die("out of memory (%zu bytes)", size);
    return grown;
}

void *tool_alloc(size_t size)
{
    return memset(tool_resize(NULL, size), 0, size);
}

char *tool_copy(const char *data, size_t len)
{
    char *copy = tool_resize(NULL, len + 1);

    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

static int64_t clock_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t tool_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t tool_wall_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t tool_number(const char *text, const char *what)
{
    char *end = NULL;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        tool_die("%s: not a number: %s", what, text);
    return value;
}

double tool_fraction(const char *text, const char *what)
{
    char *end = NULL;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || value < 0)
        tool_die("%s: not a fraction: %s", what, text);
    return value;
}

void text_reserve(struct text *text, size_t more)
{
    size_t need = text->len + more + 1;

    if (need <= text->cap)
        return;
    text->cap = need < 2 * text->cap ? 2 * text->cap : need + 64;
    text->data = tool_resize(text->data, text->cap);
}

void text_add(struct text *text, const void *data, size_t len)
{
    text_reserve(text, len);
    if (len > 0)
        memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_adds(struct text *text, const char *str)
{
    text_add(text, str, strlen(str));
}

void text_addf(struct text *text, const char *fmt, ...)
{
    va_list args;
    int len;

    text_reserve(text, 128);
    va_start(args, fmt);
    len = vsnprintf(text->data + text->len, text->cap - text->len, fmt, args);
    va_end(args);
    if (len < 0)
        tool_die("cannot format");
    if ((size_t)len >= text->cap - text->len) {
        text_reserve(text, (size_t)len);
        va_start(args, fmt);
        vsnprintf(text->data + text->len, text->cap - text->len, fmt, args);
        va_end(args);
    }
    text->len += (size_t)len;
}

void text_json(struct text *text, const char *data, size_t len)
{
    static const char hex[] = "0123456789abcdef";

    text_reserve(text, 6 * len + 2);
    text->data[text->len++] = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (c == '"' || c == '\\') {
            text->data[text->len++] = '\\';
            text->data[text->len++] = (char)c;
        } else if (c >= 0x20 && c < 0x7f) {
            text->data[text->len++] = (char)c;
        } else {
            memcpy(text->data + text->len, "\\u00", 4);
            text->data[text->len + 4] = hex[c >> 4];
            text->data[text->len + 5] = hex[c & 15];
            text->len += 6;
        }
    }
    text->data[text->len++] = '"';
    text->data[text->len] = '\0';
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_b64(struct text *text, const void *data, size_t len)
{
    const unsigned char *in = data;
    char *out;

    if (data == NULL) {
        text_adds(text, "null");
        return;
    }
    text_reserve(text, (len + 2) / 3 * 4 + 2);
    out = text->data + text->len;
    *out++ = '"';
    for (size_t i = 0; i < len; i += 3) {
        uint32_t three = (uint32_t)in[i] << 16;

        three |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
        three |= i + 2 < len ? in[i + 2] : 0;
        *out++ = alphabet[three >> 18];
        *out++ = alphabet[three >> 12 & 63];
        *out++ = i + 1 < len ? alphabet[three >> 6 & 63] : '=';
        *out++ = i + 2 < len ? alphabet[three & 63] : '=';
    }
    *out++ = '"';
    *out = '\0';
    text->len = (size_t)(out - text->data);
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

bool tool_b64_decode(const char *b64, size_t b64_len, char **data, size_t *len)
{
    uint32_t bits = 0;
    int held = 0;
    char *out = tool_resize(NULL, b64_len / 4 * 3 + 4);
    size_t n = 0;

    while (b64_len > 0 && b64[b64_len - 1] == '=')
        b64_len--;
    for (size_t i = 0; i < b64_len; i++) {
        const char *at = b64[i] != '\0' ? strchr(alphabet, b64[i]) : NULL;

        if (at == NULL) {
            free(out);
            return false;
        }
        bits = bits << 6 | (uint32_t)(at - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (char)(bits >> held & 0xff);
        }
    }
    out[n] = '\0';
    *data = out;
    *len = n;
    return true;
}
