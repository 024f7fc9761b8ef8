/*
 * Well-formed UTF-8, after table 3-7 of the Unicode standard: only the second byte's range depends
 * on the first. Never reads beyond len.
 */
#include "base/utf8.h"

static bool within(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

/* Bytes of the character by its first byte; 0 for one that begins none. */
static size_t len_by_lead(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (within(lead, 0xc2, 0xdf))
        return 2;
    if (within(lead, 0xe0, 0xef))
        return 3;
    if (within(lead, 0xf0, 0xf4))
        return 4;
    return 0;
}

static bool second_fits(unsigned char lead, unsigned char second)
{
    switch (lead) {
    case 0xe0:
        return within(second, 0xa0, 0xbf);
    case 0xed:
        return within(second, 0x80, 0x9f);
    case 0xf0:
        return within(second, 0x90, 0xbf);
    case 0xf4:
        return within(second, 0x80, 0x8f);
    default:
        return within(second, 0x80, 0xbf);
    }
}

size_t utf8_char_len(const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t need = len_by_lead(p[0]);
    if (need == 0 || need > len)
        return 0;
    if (need > 1 && !second_fits(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (!within(p[i], 0x80, 0xbf))
            return 0;
    }
    return need;
}

size_t utf8_cut(const char *data, size_t len, size_t limit)
{
    if (len <= limit)
        return len;
    /* Only a character that begins within the last three bytes can reach beyond the limit. */
    for (size_t back = 1; back <= 3 && back <= limit; back++) {
        size_t at = limit - back;
        size_t char_len = utf8_char_len(data + at, len - at);
        if (char_len > back)
            return at;
    }
    return limit;
}

uint32_t utf8_decode(const char *data, size_t len)
{
    const unsigned char *byte = (const unsigned char *)data;
    uint32_t code = len == 1 ? byte[0] : (uint32_t)(byte[0] & (0x7f >> len));
    for (size_t i = 1; i < len; i++)
        code = code << 6 | (byte[i] & 0x3f);
    return code;
}

bool utf8_is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe0fff);
}
