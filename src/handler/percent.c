/*
 * Percent-encoding for header lines. Runs of bytes that may stand are copied as a whole; most
 * values are one run. What comes out can hold no CR, LF, NUL or byte above 0x7e.
 */
#include "handler/percent.h"

#include <stdint.h>

enum { VALUE = 1, TOKEN = 2 };

/* From 0x20 to 0x7f; the rest is 0. */
static const uint8_t kinds[256] = {
    [0x20] = 0, 3, 0, 3, 3, 0, 3, 3, 1, 1, 3, 3, 1, 3, 3, 1, 3, 3, 3, 3, 3, 3, 3, 3,
    3,          3, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3,          3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3,          3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1, 3, 1, 3, 0,
};

static uint8_t kind_of(unsigned char c)
{
    return kinds[c];
}

static void add(struct buf *out, struct slice s, uint8_t kind)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t run = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (kind_of(c) & kind)
            continue;
        buf_add(out, s.data + run, i - run);
        buf_add(out, (const char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        run = i + 1;
    }
    if (run < s.len)
        buf_add(out, s.data + run, s.len - run);
}

void percent_add_value(struct buf *out, struct slice s)
{
    add(out, s, VALUE);
}

void percent_add_name(struct buf *out, struct slice s)
{
    add(out, s, TOKEN);
}

size_t percent_value_len(struct slice s)
{
    size_t len = s.len;

    for (size_t i = 0; i < s.len; i++) {
        if (!(kind_of((unsigned char)s.data[i]) & VALUE))
            len += 2;
    }
    return len;
}

bool percent_is_plain(struct slice s, size_t limit)
{
    if (slice_is_null(s) || s.len > limit)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if ((c < ' ' || c > '~') && c != '\t')
            return false;
    }
    return true;
}

bool percent_is_token(struct slice s)
{
    if (slice_is_null(s) || s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        /* '%' is a token character, but it is how we write the others. */
        if (!(kind_of((unsigned char)s.data[i]) & TOKEN) && s.data[i] != '%')
            return false;
    }
    return true;
}
