/* The one place that knows what well-formed UTF-8 is (RFC 3629: no surrogates, no overlong forms,
 * up to U+10FFFF). */
#ifndef OG_BASE_UTF8_H
#define OG_BASE_UTF8_H

#include <stddef.h>

/* Length (1 to 4) of the well-formed character that data begins with; 0: it begins with none. len >
 * 0. */
size_t utf8_char_len(const char *data, size_t len);

/* The longest prefix of at most limit bytes that does not cut a well-formed character in two. */
size_t utf8_cut(const char *data, size_t len, size_t limit);

#endif
