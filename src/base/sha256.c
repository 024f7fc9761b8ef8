/*
 * The one use of a digest that needs no key: OpenSSL computes it, this writes it down.
 */
#include "base/sha256.h"

#include <openssl/sha.h>

void sha256_hex(struct slice s, char out[SHA256_HEX_MAX])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(s.data ? s.data : ""), s.len, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[2 * sizeof(digest)] = '\0';
}
