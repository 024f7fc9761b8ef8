/*
 * The parts of a call that its scripts have in common; see wire.h.
 * Must not keep anything of the operations.
 */
#include "ledger/wire.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "ledger/resp.h"
#include "ledger/scope.h"

#define NAME_SET_BITS 10
#define NAME_SETS     (1U << NAME_SET_BITS)
#define NAME_WAYS     2

struct name_slot {
    char *name;
    size_t len;
    uint8_t hash[8];
};
struct name_cache {
    struct name_slot sets[NAME_SETS][NAME_WAYS];
};

struct name_cache *name_cache_new(void)
{
    return mem_zalloc(sizeof(struct name_cache));
}

void name_cache_free(struct name_cache **cache)
{
    if (!*cache)
        return;
    for (size_t i = 0; i < NAME_SETS; i++) {
        for (size_t way = 0; way < NAME_WAYS; way++)
            mem_free((*cache)->sets[i][way].name);
    }
    mem_free(*cache);
    *cache = NULL;
}

static void digest(const char *data, size_t len, uint8_t *out, size_t want)
{
    unsigned char full[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(data ? data : "", data ? len : 0, full, NULL, EVP_sha256(), NULL);
    memcpy(out, full, want);
}

/* By its address, since a topic's or an owner's name stays where it is: what stands there now is
 * compared. */
static struct name_slot *set_of(struct name_cache *cache, const char *name)
{
    uint64_t spread = (uintptr_t)name * UINT64_C(0x9e3779b97f4a7c15);
    return cache->sets[spread >> (64 - NAME_SET_BITS)];
}

static bool is_name(const struct name_slot *slot, const char *name, size_t len)
{
    return slot->name && slot->len == len && (len == 0 || memcmp(slot->name, name, len) == 0);
}

/* The first one moves up; the last one goes. */
static void make_room(struct name_slot *set)
{
    mem_free(set[NAME_WAYS - 1].name);
    memmove(set + 1, set, (NAME_WAYS - 1) * sizeof(*set));
}

const uint8_t *name_cache_hash(struct name_cache *cache, const char *name, size_t len)
{
    struct name_slot *set = set_of(cache, name);
    for (size_t way = 0; way < NAME_WAYS; way++) {
        if (is_name(&set[way], name, len))
            return set[way].hash;
    }
    make_room(set);
    set->name = mem_strndup(name ? name : "", len);
    set->len = len;
    digest(name, len, set->hash, sizeof(set->hash));
    return set->hash;
}

static size_t scope_index(struct wire_common *common, const struct ledger_scope *scope)
{
    for (size_t i = 0; i < common->scope_count; i++) {
        if (common->scopes[i] == scope)
            return i;
    }
    common->scopes[common->scope_count] = scope;
    return common->scope_count++;
}

static size_t owner_index(struct wire_common *common, const struct ledger_op *op)
{
    const char *fence = scope_fence_key(op->scope, op->key_hash);
    size_t f = 0;
    while (f < common->fence_count && common->fences[f] != fence &&
           strcmp(common->fences[f], fence) != 0)
        f++;
    if (f == common->fence_count)
        common->fences[common->fence_count++] = fence;
    for (size_t i = 0; i < common->owner_count; i++) {
        if (common->owners[i].owner == op->owner && common->owners[i].fence == f)
            return i;
    }
    common->owners[common->owner_count] = (struct wire_owner){op->owner, f};
    return common->owner_count++;
}

void wire_gather(struct wire_common *common, struct ledger_op *const *ops, size_t count)
{
    assert(count > 0 && count <= LEDGER_BATCH_MAX);
    common->scope_count = common->fence_count = common->owner_count = 0;
    for (size_t i = 0; i < count; i++) {
        common->scope_of[i] = (uint8_t)(scope_index(common, ops[i]->scope) + 1);
        common->owner_of[i] = (uint8_t)(owner_index(common, ops[i]) + 1);
    }
}

void wire_put_identity(uint8_t identity[16], const struct ledger_op *op)
{
    uint64_t epoch = 0, number = 0;
    switch (op->kind) {
    case IDENTITY_EVENT_ID:
        digest(op->event_id.data, op->event_id.len, identity, 16);
        return;
    case IDENTITY_SEQUENCE:
        epoch = op->epoch;
        number = op->number;
        break;
    case IDENTITY_VERSION:
        number = op->number;
        break;
    case IDENTITY_OFFSET:
    case IDENTITY_NONE:
        break;
    }
    wire_put8(wire_put8(identity, epoch), number);
}

void wire_put_source(uint8_t source[12], struct name_cache *names, const struct ledger_op *op)
{
    const uint8_t *topic = name_cache_hash(names, op->origin_topic.data, op->origin_topic.len);
    wire_put4(wire_put_bytes(source, topic, 8), (uint32_t)op->origin_partition);
}

uint32_t wire_claim_ms(const struct ledger_op *op)
{
    if (op->verb == LEDGER_CLAIM)
        return op->lease_ms;
    return op->fact == LEDGER_SUCCEEDED ? op->keep_ms : 0;
}

void wire_add_header(struct buf *out, size_t fences, size_t scopes, size_t owners)
{
    uint8_t header[12] = {WIRE_VERSION, (uint8_t)fences, (uint8_t)scopes, (uint8_t)owners};
    resp_arg(out, header, sizeof(header)); /* time 0: Redis' own */
}

void wire_set_answer(struct ledger_op *op, enum ledger_code code)
{
    op->code = op->would_code = code;
    op->busy_ms = op->behind = 0;
    op->head_tier = 0;
    op->head_offset = -1;
    op->head_expired = op->head_blocks = false;
    op->parked_count = 0;
    op->generation = 0;
}
