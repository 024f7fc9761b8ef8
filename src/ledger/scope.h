/* How the keys in Redis are named: by group, scope and order key, under the hash tag of a fixed
 * shard of the key. */
#ifndef OG_LEDGER_SCOPE_H
#define OG_LEDGER_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "config/config.h"
#include "record/identity.h"

struct ledger_op;
struct ledger_scope_config;

/* Shared with nobody outside this folder. Plain values, set once. */
struct ledger_scope {
    char *ns;
    char *middle;        /* ":<group>:<scope>:", encoded */
    char *fence_key;     /* "<ns>:{fence}:<group>" */
    char **shard_fences; /* in a cluster "<ns>:{<shard>}:f:<group>"; else NULL */
    char *redrive;       /* ":<group>:" */
    uint64_t seed;       /* hash of what stands before the key */
    uint32_t shards;
    uint32_t parked_cap;
    int64_t ttl_ms, ghost_ttl_ms;
    enum identity_kind kind;
    bool ordered;
    bool across_topics; /* scope: route */
    bool buckets;       /* states stand in hashes of many keys (docs/ledger.md, "Buckets") */
    uint32_t buckets_of_shard;
};

struct ledger_scope *scope_new(const struct redis_config *redis,
                               const struct ledger_scope_config *config);
/* Decides the shard; equal for equal keys. */
uint64_t scope_hash_key(const struct ledger_scope *scope, struct slice key);
/* The fence hash that a claim of the key looks at; it is in the key's slot. */
static inline const char *scope_fence_key(const struct ledger_scope *scope, uint64_t key_hash)
{
    return scope->shard_fences ? scope->shard_fences[key_hash % scope->shards] : scope->fence_key;
}
/* "<ns>:{<shard>}:f:<group>" */
void scope_add_shard_fence(struct buf *out, const char *ns, uint32_t shard, const char *group);
/* What an operation's state is kept under: its key, or its source partition. */
bool scope_is_by_partition(const struct ledger_scope *scope, const struct ledger_op *op);

/* Appends the name; family 'k' state, 'p' parked list. */
void scope_add_name(struct buf *out, const struct ledger_scope *scope, const struct ledger_op *op,
                    char family);
/* The name of an order key's state or list without an operation; a null key needs one. */
void scope_add_key_name(struct buf *out, const struct ledger_scope *scope, struct slice key,
                        char family);
/* In a scope with buckets: the hash that has the state, and the state's field there. The latter
 * stands at the end of the state's own name, too. */
void scope_add_bucket_name(struct buf *out, const struct ledger_scope *scope, uint64_t key_hash);
void scope_add_field(struct buf *out, const struct ledger_scope *scope, const struct ledger_op *op);
void scope_add_key_field(struct buf *out, struct slice key);
void scope_add_event_name(struct buf *out, const struct ledger_scope *scope,
                          const struct ledger_op *op, const uint8_t digest[16]);
void scope_add_redrive_name(struct buf *out, const struct ledger_scope *scope,
                            const struct ledger_op *op, const uint8_t source[12]);
/* A part of a name: ':' '{' '}' '%' '*' and control bytes percent-encoded. */
void scope_add_part(struct buf *out, const char *text);

#endif
