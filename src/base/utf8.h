/* The one place that knows what well-formed UTF-8 is (RFC 3629: no surrogates, no overlong forms,
 * up to U+10FFFF). */
#ifndef OG_BASE_UTF8_H
#define OG_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length (1 to 4) of the well-formed character that data begins with; 0: it begins with none. len >
 * 0. */
size_t utf8_char_len(const char *data, size_t len);

/* The longest prefix of at most limit bytes that does not cut a well-formed character in two. */
size_t utf8_cut(const char *data, size_t len, size_t limit);

/* The code of a well-formed character of len bytes. */
uint32_t utf8_decode(const char *data, size_t len);

/* A control character, or a mark that is not seen and changes how the rest is (direction, blanks
 * without width). */
bool utf8_is_hidden(uint32_t code);

#endif
