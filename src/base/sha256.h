/* SHA-256 as hex digits, for keys that must not be shown or are too long to be. */
#ifndef OG_BASE_SHA256_H
#define OG_BASE_SHA256_H

#include "base/slice.h"

#define SHA256_HEX_MAX 65
void sha256_hex(struct slice s, char out[SHA256_HEX_MAX]);

#endif
