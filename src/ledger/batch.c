/*
 * Packs operations into one call of apply_ops, and unpacks the integers that come back.
 *
 * What many operations of a batch have in common (scope, owner, fence) is sent once and named by
 * index. Numbers are big-endian. Must not keep anything of the operations: a batch that is sent
 * again is built again.
 */
#include "ledger/batch.h"

#include <assert.h>
#include <endian.h>
#include <hiredis/hiredis.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"

#define NAME_SLOTS   512
#define WIRE_VERSION 1
#define ITEM_MAX     80

struct name_slot {
    char *name;
    size_t len;
    uint8_t hash[8];
};
struct name_cache {
    struct name_slot slots[NAME_SLOTS];
};

struct owner_line {
    const struct ledger_owner *owner;
    size_t fence;
};

/* What the operations have in common, in the order of first use. */
struct common {
    const struct ledger_scope *scopes[LEDGER_BATCH_MAX];
    const char *fences[LEDGER_BATCH_MAX];
    struct owner_line owners[LEDGER_BATCH_MAX];
    size_t scope_count, fence_count, owner_count;
    uint8_t scope_of[LEDGER_BATCH_MAX], owner_of[LEDGER_BATCH_MAX];
};

struct name_cache *name_cache_new(void)
{
    return mem_zalloc(sizeof(struct name_cache));
}

void name_cache_free(struct name_cache **cache)
{
    if (!*cache)
        return;
    for (size_t i = 0; i < NAME_SLOTS; i++)
        mem_free((*cache)->slots[i].name);
    mem_free(*cache);
    *cache = NULL;
}

static void digest(const char *data, size_t len, uint8_t *out, size_t want)
{
    unsigned char full[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(data ? data : "", data ? len : 0, full, NULL, EVP_sha256(), NULL);
    memcpy(out, full, want);
}

static const uint8_t *hash_name(struct name_cache *cache, const char *name, size_t len)
{
    uint32_t at = 2166136261U;
    for (size_t i = 0; i < len; i++)
        at = (at ^ (unsigned char)name[i]) * 16777619U;
    struct name_slot *slot = &cache->slots[(at ^ (at >> 15)) % NAME_SLOTS];
    if (!slot->name || slot->len != len || memcmp(slot->name, name, len) != 0) {
        mem_free(slot->name);
        slot->name = mem_strndup(name ? name : "", len);
        slot->len = len;
        digest(name, len, slot->hash, sizeof(slot->hash));
    }
    return slot->hash;
}

static uint8_t *put4(uint8_t *at, uint32_t value)
{
    uint32_t big = htobe32(value);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

static uint8_t *put8(uint8_t *at, uint64_t value)
{
    uint64_t big = htobe64(value);
    memcpy(at, &big, sizeof(big));
    return at + sizeof(big);
}

static uint8_t *put_bytes(uint8_t *at, const uint8_t *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static size_t scope_index(struct common *common, const struct ledger_scope *scope)
{
    for (size_t i = 0; i < common->scope_count; i++) {
        if (common->scopes[i] == scope)
            return i;
    }
    common->scopes[common->scope_count] = scope;
    return common->scope_count++;
}

static size_t owner_index(struct common *common, const struct ledger_op *op)
{
    const char *fence = op->scope->fence_key;
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
    common->owners[common->owner_count] = (struct owner_line){op->owner, f};
    return common->owner_count++;
}

static size_t gather(struct common *common, struct ledger_op *const *ops, size_t count)
{
    size_t keys = 0;
    common->scope_count = common->fence_count = common->owner_count = 0;
    for (size_t i = 0; i < count; i++) {
        common->scope_of[i] = (uint8_t)(scope_index(common, ops[i]->scope) + 1);
        common->owner_of[i] = (uint8_t)(owner_index(common, ops[i]) + 1);
        keys += 2U + (ops[i]->kind == IDENTITY_EVENT_ID) + (ops[i]->source == LEDGER_REDRIVE);
    }
    return keys + common->fence_count;
}

static void put_identity(uint8_t identity[16], const struct ledger_op *op)
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
    put8(put8(identity, epoch), number);
}

static void put_source(uint8_t source[12], struct name_cache *names, const struct ledger_op *op)
{
    const uint8_t *topic = hash_name(names, op->origin_topic.data, op->origin_topic.len);
    put4(put_bytes(source, topic, 8), (uint32_t)op->origin_partition);
}

static void add_keys(struct buf *out, struct buf *name, struct name_cache *names,
                     const struct ledger_op *op)
{
    buf_reset(name);
    scope_add_name(name, op->scope, op, 'k');
    resp_arg(out, name->data, name->len);
    /* The list's name differs from the state's in one letter, the one after the hash tag. */
    char *tag_end = strchr(name->data + strlen(op->scope->ns), '}');
    assert(tag_end && tag_end[2] == 'k');
    tag_end[2] = 'p';
    resp_arg(out, name->data, name->len);
    if (op->kind == IDENTITY_EVENT_ID) {
        uint8_t identity[16];
        put_identity(identity, op);
        buf_reset(name);
        scope_add_event_name(name, op->scope, op, identity);
        resp_arg(out, name->data, name->len);
    }
    if (op->source == LEDGER_REDRIVE) {
        uint8_t source[12];
        put_source(source, names, op);
        buf_reset(name);
        scope_add_redrive_name(name, op->scope, op, source);
        resp_arg(out, name->data, name->len);
    }
}

static uint8_t wire_verb(const struct ledger_op *op)
{
    if (op->verb == LEDGER_CLAIM)
        return 1;
    switch (op->fact) {
    case LEDGER_SUCCEEDED:
        return 2;
    case LEDGER_GIVEN_UP:
        return 3;
    case LEDGER_PARKED:
        return 4;
    case LEDGER_RELEASE:
        break;
    }
    return 5;
}

static uint8_t wire_flags(const struct ledger_op *op)
{
    bool claim = op->verb == LEDGER_CLAIM;
    return (uint8_t)((op->observe ? 1 : 0) | (claim && op->has_ghost ? 2 : 0) |
                     (op->redrive_force ? 4 : 0) | (!claim && op->keep_claim ? 8 : 0));
}

static void add_item(struct buf *out, struct name_cache *names, const struct ledger_op *op,
                     uint8_t scope, uint8_t owner)
{
    uint8_t item[ITEM_MAX], identity[16], source[12], *at = item;
    bool claim = op->verb == LEDGER_CLAIM, parked = !claim && op->fact == LEDGER_PARKED;
    put_source(source, names, op);
    put_identity(identity, op);
    *at++ = wire_verb(op);
    *at++ = wire_flags(op);
    *at++ = (uint8_t)op->source;
    *at++ = scope;
    *at++ = owner;
    at = put_bytes(at, source, sizeof(source));
    at = put8(at, (uint64_t)op->origin_offset);
    at = put4(at, (uint32_t)(op->origin_leader_epoch + 1));
    *at++ = (uint8_t)op->kind;
    at = put_bytes(at, identity, sizeof(identity));
    at = put4(at, op->hop);
    at = put4(at, claim ? op->lease_ms : parked ? (uint32_t)op->tier : 0);
    if (parked)
        at = put8(at, (uint64_t)op->copy_offset);
    if (claim && op->has_ghost)
        at = put8(put4(at, (uint32_t)op->ghost_tier), (uint64_t)op->ghost_offset);
    resp_arg(out, item, (size_t)(at - item));
}

static void add_header(struct buf *out, size_t fences, size_t scopes, size_t owners)
{
    uint8_t header[12] = {WIRE_VERSION, (uint8_t)fences, (uint8_t)scopes, (uint8_t)owners};
    resp_arg(out, header, sizeof(header)); /* time 0: Redis' own */
}

static void add_common(struct buf *out, struct buf *text, struct name_cache *names,
                       const struct common *common)
{
    uint8_t line[24];
    add_header(out, common->fence_count, common->scope_count, common->owner_count);
    for (size_t i = 0; i < common->scope_count; i++) {
        const struct ledger_scope *scope = common->scopes[i];
        uint8_t *at = line;
        *at++ = scope->ordered ? 1 : 0;
        at = put8(at, (uint64_t)scope->ttl_ms);
        at = put8(at, (uint64_t)scope->ghost_ttl_ms);
        at = put4(at, scope->parked_cap);
        resp_arg(out, line, (size_t)(at - line));
    }
    for (size_t i = 0; i < common->owner_count; i++) {
        const struct ledger_owner *owner = common->owners[i].owner;
        size_t len = strlen(owner->name);
        uint8_t *at = line;
        *at++ = (uint8_t)(common->owners[i].fence + 1);
        at = put_bytes(at, hash_name(names, owner->name, len), 8);
        at = put8(at, owner->token);
        buf_reset(text);
        buf_add(text, line, (size_t)(at - line));
        buf_add(text, owner->name, len);
        resp_arg(out, text->data, text->len);
    }
}

void batch_build(struct buf *out, struct name_cache *names, struct ledger_op *const *ops,
                 size_t count, bool whole)
{
    struct common common;
    struct buf text = {0};
    assert(count > 0 && count <= LEDGER_BATCH_MAX);
    size_t keys = gather(&common, ops, count);
    scripts_begin(out, SCRIPT_APPLY_OPS, whole, keys,
                  1 + common.scope_count + common.owner_count + count);
    for (size_t i = 0; i < common.fence_count; i++)
        resp_text(out, common.fences[i]);
    for (size_t i = 0; i < count; i++)
        add_keys(out, &text, names, ops[i]);
    add_common(out, &text, names, &common);
    for (size_t i = 0; i < count; i++)
        add_item(out, names, ops[i], common.scope_of[i], common.owner_of[i]);
    buf_deinit(&text);
}

void batch_build_empty(struct buf *out, bool whole)
{
    scripts_begin(out, SCRIPT_APPLY_OPS, whole, 0, 1);
    add_header(out, 0, 0, 0);
}

static bool known_code(const struct ledger_op *op, unsigned code)
{
    if (code == LEDGER_CORRUPT)
        return true;
    return op->verb == LEDGER_CLAIM ? code <= LEDGER_MOVED_ON
                                    : code >= LEDGER_OK && code <= LEDGER_REFUSED;
}

/* Takes the next integer; false at the end, or where it is none. */
static bool next(const redisReply *reply, size_t *at, uint64_t *out)
{
    if (*at >= reply->elements || reply->element[*at]->type != REDIS_REPLY_INTEGER)
        return false;
    *out = (uint64_t)reply->element[(*at)++]->integer;
    return true;
}

static bool read_one(const redisReply *reply, size_t *at, struct ledger_op *op)
{
    uint64_t word, more, offset;
    if (!next(reply, at, &word) || !known_code(op, word & 31))
        return false;
    op->code = (enum ledger_code)(word & 31);
    op->would_code = (enum ledger_code)(word >> 5 & 31);
    op->parked_count = (uint32_t)(word >> 10);
    op->head_expired = (word >> 42 & 1) != 0;
    op->busy_ms = 0;
    op->head_tier = 0;
    op->head_offset = -1;
    if (word >> 43 & 1) {
        if (!next(reply, at, &more) || !next(reply, at, &offset))
            return false;
        op->head_tier = (int32_t)more;
        op->head_offset = (int64_t)offset;
    }
    if (word >> 44 & 1) {
        if (!next(reply, at, &more))
            return false;
        op->busy_ms = more > UINT32_MAX ? UINT32_MAX : (uint32_t)more;
    }
    return true;
}

bool batch_read(const struct redisReply *reply, struct ledger_op *const *ops, size_t count,
                struct err *err)
{
    size_t at = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        return err_set_retriable(err, ERR_UNAVAILABLE, "%.300s", reply->str);
    if (reply->type != REDIS_REPLY_ARRAY)
        return err_set(err, ERR_PROTOCOL, "apply_ops answered no array");
    for (size_t i = 0; i < count; i++) {
        if (!read_one(reply, &at, ops[i]))
            return err_set(err, ERR_PROTOCOL, "apply_ops answered something unknown for item %zu",
                           i);
    }
    if (at != reply->elements)
        return err_set(err, ERR_PROTOCOL, "apply_ops answered more than was asked");
    return true;
}
