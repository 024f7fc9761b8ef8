/*
 * After the reference description; words are little-endian. Must not be used where a digest that
 * others compute is wanted: the key is this process's own.
 */
#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct lanes {
    uint64_t v0, v1, v2, v3;
};

/* Inline, the words of the state stay in registers: a third of the instructions. */
static inline uint64_t rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static inline uint64_t read8(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return le64toh(word);
}

static inline void two_rounds(struct lanes *l)
{
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        l->v0 += l->v1;
        l->v1 = rotate(l->v1, 13) ^ l->v0;
        l->v0 = rotate(l->v0, 32);
        l->v2 += l->v3;
        l->v3 = rotate(l->v3, 16) ^ l->v2;
        l->v0 += l->v3;
        l->v3 = rotate(l->v3, 21) ^ l->v0;
        l->v2 += l->v1;
        l->v1 = rotate(l->v1, 17) ^ l->v2;
        l->v2 = rotate(l->v2, 32);
    }
}

static inline void take(struct lanes *l, uint64_t word)
{
    l->v3 ^= word;
    two_rounds(l);
    l->v0 ^= word;
}

static inline uint64_t folded(const struct lanes *l)
{
    return l->v0 ^ l->v1 ^ l->v2 ^ l->v3;
}

struct siphash siphash(const unsigned char key[16], const void *data, size_t len)
{
    const unsigned char *at = data;
    uint64_t k0 = read8(key), k1 = read8(key + 8);
    struct lanes l = {k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
                      k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    unsigned char last[8] = {0};
    struct siphash out;
    for (size_t whole = len / 8; whole > 0; whole--, at += 8)
        take(&l, read8(at));
    if (len % 8)
        memcpy(last, at, len % 8);
    last[7] = (unsigned char)len;
    take(&l, read8(last));
    l.v2 ^= 0xee;
    two_rounds(&l);
    two_rounds(&l);
    out.low = folded(&l);
    l.v1 ^= 0xdd;
    two_rounds(&l);
    two_rounds(&l);
    out.high = folded(&l);
    return out;
}
