/* What the calls of different scripts have in common: big-endian numbers, hashed names, identities,
 * and what many operations of a batch share (scope, owner, fence), which is sent once and named by
 * index. docs/ledger.md has the layouts. */
#ifndef OG_LEDGER_WIRE_H
#define OG_LEDGER_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "ledger/ledger.h"

#define WIRE_VERSION 1
#define WIRE_SOURCE  12 /* bytes of a source partition: 8 of SHA-256(topic), its number */

/* Hashes of names of topics and owners, since the same few come again and again. */
struct name_cache;
struct name_cache *name_cache_new(void);
void name_cache_free(struct name_cache **cache);
/* The first 8 bytes of SHA-256(name); valid until the next call. */
const uint8_t *name_cache_hash(struct name_cache *cache, const char *name, size_t len);

/* Each writes at `at` and returns the end. Inline, since an item is made of a dozen of them: of
 * constant length, each is a move or two. */
static inline uint8_t *wire_put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}
static inline uint8_t *wire_put3(uint8_t *at, uint32_t value)
{
    *at++ = (uint8_t)(value >> 16);
    *at++ = (uint8_t)(value >> 8);
    *at++ = (uint8_t)value;
    return at;
}
static inline uint8_t *wire_put4(uint8_t *at, uint32_t value)
{
    uint32_t big = htobe32(value);
    return wire_put_bytes(at, &big, sizeof(big));
}
static inline uint8_t *wire_put6(uint8_t *at, uint64_t value)
{
    *at++ = (uint8_t)(value >> 40);
    *at++ = (uint8_t)(value >> 32);
    return wire_put4(at, (uint32_t)value);
}
static inline uint8_t *wire_put8(uint8_t *at, uint64_t value)
{
    uint64_t big = htobe64(value);
    return wire_put_bytes(at, &big, sizeof(big));
}
/* What they wrote. */
static inline uint32_t wire_get3(const uint8_t *at)
{
    return (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}
static inline uint32_t wire_get4(const uint8_t *at)
{
    uint32_t big;
    memcpy(&big, at, sizeof(big));
    return be32toh(big);
}
static inline uint64_t wire_get6(const uint8_t *at)
{
    return (uint64_t)at[0] << 40 | (uint64_t)at[1] << 32 | wire_get4(at + 2);
}
static inline uint64_t wire_get8(const uint8_t *at)
{
    uint64_t big;
    memcpy(&big, at, sizeof(big));
    return be64toh(big);
}

void wire_put_identity(uint8_t identity[16], const struct ledger_op *op);
void wire_put_source(uint8_t source[WIRE_SOURCE], struct name_cache *names,
                     const struct ledger_op *op);

/* The first argument of a call: wire version, how many of each follow, and Redis' own time. */
void wire_add_header(struct buf *out, size_t fences, size_t scopes, size_t owners);
/* Sets everything that an operation is answered, as where nothing is parked and nobody waits. */
void wire_set_answer(struct ledger_op *op, enum ledger_code code);

/* How long the claim lasts that the operation leaves behind; 0: none. */
uint32_t wire_claim_ms(const struct ledger_op *op);

struct wire_owner {
    const struct ledger_owner *owner;
    size_t fence; /* index into fences */
};

/* What the operations have in common, in the order of first use; *_of counts from 1. */
struct wire_common {
    const struct ledger_scope *scopes[LEDGER_BATCH_MAX];
    const char *fences[LEDGER_BATCH_MAX];
    struct wire_owner owners[LEDGER_BATCH_MAX];
    size_t scope_count, fence_count, owner_count;
    uint8_t scope_of[LEDGER_BATCH_MAX], owner_of[LEDGER_BATCH_MAX];
};
void wire_gather(struct wire_common *common, struct ledger_op *const *ops, size_t count);

#endif
