/*
 * Names of keys.
 *
 *   <ns>:{<shard>}:k:<group>:<scope>:=<key>        '#' and SHA-256 for a long key, '-' and the
 * partition for a null one
 *   <ns>:{<shard>}:b:<group>:<scope>:<number>      a bucket: states of many keys
 *
 * Invariant: different (group, scope, key) have different names: the parts before the key are
 * encoded so that they hold no ':', and the key is last, or followed by parts of fixed length only.
 */
#include "ledger/scope.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/sha256.h"
#include "ledger/ledger.h"

#define KEY_RAW_MAX 64
/* Of a scope. Some 40 keys in each of them where there are ten millions, and a packed hash takes
 * 512: beyond 130 millions a key costs more, but nothing breaks. */
#define BUCKETS (1U << 18)

static uint64_t fnv(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

void scope_add_part(struct buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p <= ' ' || *p == 0x7f || strchr(":{}%*", *p))
            buf_printf(out, "%%%02X", *p);
        else
            buf_add_char(out, (char)*p);
    }
}

void scope_add_shard_fence(struct buf *out, const char *ns, uint32_t shard, const char *group)
{
    buf_printf(out, "%s:{%u}:f:", ns, (unsigned)shard);
    scope_add_part(out, group);
}

static char **shard_fences(const struct redis_config *redis, uint32_t shards, const char *group)
{
    char **fences = mem_calloc(shards, sizeof(*fences));
    struct buf name = {0};
    for (uint32_t i = 0; i < shards; i++) {
        buf_reset(&name);
        scope_add_shard_fence(&name, redis->ns, i, group);
        fences[i] = mem_strdup(name.data);
    }
    buf_deinit(&name);
    return fences;
}

struct ledger_scope *scope_new(const struct redis_config *redis,
                               const struct ledger_scope_config *config)
{
    struct ledger_scope *scope = mem_zalloc(sizeof(*scope));
    struct buf group = {0}, name = {0};
    scope_add_part(&group, config->group);
    if (!config->topic)
        buf_add_char(&name, '*');
    scope_add_part(&name, config->topic ? config->topic : config->route);
    scope->ns = mem_strdup(redis->ns);
    scope->middle = mem_printf(":%s:%s:", group.data, name.data);
    scope->fence_key = mem_printf("%s:{fence}:%s", redis->ns, group.data);
    scope->redrive = mem_printf(":%s:", group.data);
    scope->seed = fnv(UINT64_C(0xcbf29ce484222325), scope->middle, strlen(scope->middle));
    scope->shards = redis->shards ? redis->shards : 1;
    if (redis->kind == REDIS_CLUSTER)
        scope->shard_fences = shard_fences(redis, scope->shards, config->group);
    scope->parked_cap = config->parked_cap;
    scope->ttl_ms = config->ttl_ms;
    scope->ghost_ttl_ms = config->ghost_ttl_ms;
    scope->kind = config->kind;
    scope->ordered = config->ordered;
    scope->across_topics = !config->topic;
    scope->buckets = config->ordered && config->kind == IDENTITY_SEQUENCE;
    scope->buckets_of_shard = scope->shards < BUCKETS ? BUCKETS / scope->shards : 1;
    buf_deinit(&group);
    buf_deinit(&name);
    return scope;
}

void ledger_scope_free(struct ledger_scope **scope_ptr)
{
    struct ledger_scope *scope = *scope_ptr;
    if (!scope)
        return;
    *scope_ptr = NULL;
    mem_free(scope->ns);
    mem_free(scope->middle);
    mem_free(scope->fence_key);
    for (uint32_t i = 0; scope->shard_fences && i < scope->shards; i++)
        mem_free(scope->shard_fences[i]);
    mem_free(scope->shard_fences);
    mem_free(scope->redrive);
    mem_free(scope);
}

uint64_t scope_hash_key(const struct ledger_scope *scope, struct slice key)
{
    uint64_t hash = fnv(scope->seed, key.data, key.data ? key.len : 0);
    /* FNV's low bits alone are poor; this is the finaliser of MurmurHash3. */
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ (hash >> 33);
}

bool scope_is_by_partition(const struct ledger_scope *scope, const struct ledger_op *op)
{
    return slice_is_null(op->key) || (scope->kind == IDENTITY_OFFSET && !scope->ordered);
}

static void add_head(struct buf *out, const struct ledger_scope *scope, uint64_t hash, char family)
{
    buf_add_text(out, scope->ns);
    buf_add(out, ":{", 2);
    buf_add_u64(out, hash % scope->shards);
    buf_add(out, "}:", 2);
    buf_add_char(out, family);
}

void scope_add_bucket_name(struct buf *out, const struct ledger_scope *scope, uint64_t key_hash)
{
    add_head(out, scope, key_hash, 'b');
    buf_add_text(out, scope->middle);
    buf_add_u64(out, key_hash / scope->shards % scope->buckets_of_shard);
}

void scope_add_key_field(struct buf *out, struct slice key)
{
    if (key.len <= KEY_RAW_MAX) {
        buf_add_char(out, '=');
        buf_add_slice(out, key);
        return;
    }
    char hex[SHA256_HEX_MAX];
    sha256_hex(key, hex);
    buf_add_char(out, '#');
    buf_add_text(out, hex);
}

void scope_add_key_name(struct buf *out, const struct ledger_scope *scope, struct slice key,
                        char family)
{
    add_head(out, scope, scope_hash_key(scope, key), family);
    buf_add_text(out, scope->middle);
    scope_add_key_field(out, key);
}

void scope_add_field(struct buf *out, const struct ledger_scope *scope, const struct ledger_op *op)
{
    if (!scope_is_by_partition(scope, op)) {
        scope_add_key_field(out, op->key);
        return;
    }
    buf_add_char(out, '-');
    buf_add_i64(out, op->origin_partition);
    if (scope->across_topics) {
        buf_add_char(out, '/');
        buf_add_slice(out, op->origin_topic);
    }
}

void scope_add_name(struct buf *out, const struct ledger_scope *scope, const struct ledger_op *op,
                    char family)
{
    add_head(out, scope, op->key_hash, family);
    buf_add_text(out, scope->middle);
    scope_add_field(out, scope, op);
}

static void add_hex(struct buf *out, const uint8_t *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        buf_add_char(out, hex[bytes[i] >> 4]);
        buf_add_char(out, hex[bytes[i] & 15]);
    }
}

void scope_add_event_name(struct buf *out, const struct ledger_scope *scope,
                          const struct ledger_op *op, const uint8_t digest[16])
{
    scope_add_name(out, scope, op, 'i');
    buf_add_char(out, ':');
    add_hex(out, digest, 16);
}

void scope_add_redrive_name(struct buf *out, const struct ledger_scope *scope,
                            const struct ledger_op *op, const uint8_t source[12])
{
    add_head(out, scope, op->key_hash, 'r');
    buf_add_text(out, scope->redrive);
    buf_add_percent(out, op->redrive_id, "");
    buf_add_char(out, ':');
    add_hex(out, source, 12);
    buf_add_char(out, ':');
    buf_add_i64(out, op->origin_offset);
}
