/* SipHash-2-4 with 128 bits of result (Aumasson and Bernstein, 2012): a fast hash that nobody who
 * does not know the key can make collide. */
#ifndef OG_BASE_SIPHASH_H
#define OG_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash {
    uint64_t low, high;
};

struct siphash siphash(const unsigned char key[16], const void *data, size_t len);

#endif
