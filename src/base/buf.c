/*
 * The growable byte buffer. cap counts the byte of the closing NUL too, so len < cap wherever data
 * is set. What is added must not point into the buffer itself: growing moves it.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

enum { FIRST_CAP = 64 };

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_deinit(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

void buf_grow(struct buf *buf, size_t more)
{
    if (more >= SIZE_MAX / 2 - buf->len)
        abort(); /* a length that was computed wrongly: no machine has this much */
    size_t need = buf->len + more + 1;
    if (need <= buf->cap)
        return;
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    while (cap < need)
        cap *= 2;
    buf->data = mem_realloc(buf->data, cap);
    buf->cap = cap;
    buf->data[buf->len] = '\0';
}

void buf_add_u64(struct buf *buf, uint64_t n)
{
    if (n < 10) { /* attempts, epochs, partitions: most are */
        buf_add_char(buf, (char)('0' + n));
        return;
    }
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_add_i64(struct buf *buf, int64_t n)
{
    if (n < 0)
        buf_add_char(buf, '-');
    buf_add_u64(buf, n < 0 ? UINT64_C(0) - (uint64_t)n : (uint64_t)n);
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        abort(); /* a broken format string */
    buf_reserve(buf, (size_t)len);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, fmt, again);
    va_end(again);
    buf->len += (size_t)len;
}

/* The two-character escape of c, or 0. */
static char json_short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static void add_json_char(struct buf *buf, const char *p, size_t len)
{
    unsigned char c = (unsigned char)p[0];
    char escape = len == 1 ? json_short_escape(c) : 0;
    if (escape) {
        buf_add(buf, (char[]){'\\', escape}, 2);
    } else if (len == 1 && (c < 0x20 || c == 0x7f)) {
        buf_printf(buf, "\\u%04x", c);
    } else if (len == 2 && c == 0xc2 && (unsigned char)p[1] < 0xa0) {
        /* C1 controls drive terminals as ESC does, and such text ends up on one. */
        buf_printf(buf, "\\u%04x", (unsigned char)p[1]);
    } else {
        buf_add(buf, p, len);
    }
}

static bool json_plain(char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void buf_add_json(struct buf *buf, struct slice s)
{
    buf_reserve(buf, s.len + 2);
    buf_add_char(buf, '"');
    for (size_t i = 0; i < s.len;) {
        size_t run = 0;
        while (i + run < s.len && json_plain(s.data[i + run]))
            run++;
        if (run) {
            buf_add(buf, s.data + i, run);
            i += run;
            continue;
        }
        size_t len = utf8_char_len(s.data + i, s.len - i);
        if (len == 0)
            buf_add_text(buf, "\xef\xbf\xbd");
        else
            add_json_char(buf, s.data + i, len);
        i += len ? len : 1;
    }
    buf_add_char(buf, '"');
}

void buf_add_visible(struct buf *buf, struct slice json)
{
    size_t shown = 0; /* below it all is added */
    for (size_t at = 0; at < json.len;) {
        unsigned char c = (unsigned char)json.data[at];
        size_t len = c < 0x7f ? 1 : utf8_char_len(json.data + at, json.len - at);
        uint32_t code = c < 0x7f || len == 0 ? 0 : utf8_decode(json.data + at, len);
        len += len == 0;
        at += len;
        if (code == 0 || !utf8_is_hidden(code))
            continue;
        buf_add(buf, json.data + shown, at - len - shown);
        shown = at;
        if (code < 0x10000)
            buf_printf(buf, "\\u%04x", (unsigned)code);
        else
            buf_printf(buf, "\\u%04x\\u%04x", (unsigned)(0xd7c0 + (code >> 10)),
                       (unsigned)(0xdc00 + (code & 0x3ff)));
    }
    buf_add(buf, json.data + shown, json.len - shown);
}

/* A bit for each of the first 128 bytes: ALPHA DIGIT - . _ ~ */
static bool unreserved(unsigned char c)
{
    static const uint64_t set[2] = {UINT64_C(0x03ff600000000000), UINT64_C(0x47fffffe87fffffe)};
    return c < 128 && (set[c >> 6] >> (c & 63) & 1);
}

void buf_add_percent(struct buf *buf, struct slice s, const char *keep)
{
    static const char hex[] = "0123456789ABCDEF";
    if (s.len > SIZE_MAX / 6)
        abort();
    buf_reserve(buf, 3 * s.len);
    char *to = buf->data + buf->len;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        unsigned char byte = (unsigned char)c;
        if (unreserved(byte) || (c && *keep && strchr(keep, c))) {
            *to++ = c;
        } else {
            *to++ = '%';
            *to++ = hex[byte >> 4];
            *to++ = hex[byte & 15];
        }
    }
    *to = '\0';
    buf->len = (size_t)(to - buf->data);
}

struct slice buf_keep(struct buf *buf, struct slice s)
{
    size_t at = buf->len;
    if (slice_is_null(s))
        return SLICE_NULL;
    buf_add_slice(buf, s);
    buf_add_char(buf, '\0');
    return (struct slice){buf->data + at, s.len};
}
