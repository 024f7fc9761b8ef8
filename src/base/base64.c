/* See base64.h. What is decoded has one spelling only: no blanks, padding as it must be, no spare
 * bits. */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct slice s)
{
    const unsigned char *in = (const unsigned char *)s.data;
    buf_add(out, "", 0);
    buf_reserve(out, (s.len + 2) / 3 * 4);
    for (size_t i = 0; i < s.len; i += 3) {
        size_t left = s.len - i;
        uint32_t bits = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? in[i + 2] : 0);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                        left > 1 ? digits[bits >> 6 & 63] : '=',
                        left > 2 ? digits[bits & 63] : '='};
        buf_add(out, four, 4);
    }
}

static int digit(char c)
{
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool base64_decode(struct buf *out, struct slice s)
{
    size_t pad = 0;
    if (s.len % 4 != 0)
        return false;
    buf_add(out, "", 0);
    if (s.len > 0 && s.data[s.len - 1] == '=')
        pad = s.data[s.len - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < s.len; i += 4) {
        size_t want = i + 4 == s.len ? 4 - pad : 4;
        uint32_t bits = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = k < want ? digit(s.data[i + k]) : 0;
            if (value < 0)
                return false;
            bits = bits << 6 | (uint32_t)value;
        }
        if ((want == 3 && (bits & 0xff)) || (want == 2 && (bits & 0xffff)))
            return false;
        char three[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        buf_add(out, three, want - 1);
    }
    return true;
}
