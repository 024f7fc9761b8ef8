/*
 * Packs operations into one call of apply_ops, and unpacks the integers that come back.
 *
 * What many operations of a batch have in common (scope, owner, fence) is sent once and named by
 * index. Numbers are big-endian. Must not keep anything of the operations: a batch that is sent
 * again is built again.
 */
#include "ledger/batch.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <string.h>

#include "ledger/known_states.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"
#include "ledger/wire.h"

#define ITEM_MAX 80

static size_t count_keys(struct ledger_op *const *ops, size_t count)
{
    size_t keys = 0;
    for (size_t i = 0; i < count; i++)
        keys += 2U + ops[i]->scope->buckets + (ops[i]->kind == IDENTITY_EVENT_ID) +
                (ops[i]->source == LEDGER_REDRIVE);
    return keys;
}

static size_t count_fields(struct ledger_op *const *ops, size_t count)
{
    size_t fields = 0;
    for (size_t i = 0; i < count; i++)
        fields += ops[i]->scope->buckets;
    return fields;
}

static void add_keys(struct buf *out, struct buf *name, struct name_cache *names,
                     const struct ledger_op *op)
{
    if (op->scope->buckets) {
        buf_reset(name);
        scope_add_bucket_name(name, op->scope, op->key_hash);
        resp_arg(out, name->data, name->len);
    }
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
        wire_put_identity(identity, op);
        buf_reset(name);
        scope_add_event_name(name, op->scope, op, identity);
        resp_arg(out, name->data, name->len);
    }
    if (op->source == LEDGER_REDRIVE) {
        uint8_t source[12];
        wire_put_source(source, names, op);
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
    case LEDGER_BLOCKING:
        return 6;
    case LEDGER_RELEASE:
        break;
    }
    return 5;
}

static uint8_t wire_flags(const struct ledger_op *op)
{
    bool claim = op->verb == LEDGER_CLAIM;
    return (uint8_t)((op->observe ? 1 : 0) | (claim && op->has_ghost ? 2 : 0) |
                     (op->redrive_force ? 4 : 0) | (!claim && op->keep_claim ? 8 : 0) |
                     (known_states_cover(op) ? 16 : 0));
}

static void add_item(struct buf *out, struct buf *field, struct name_cache *names,
                     const struct ledger_op *op, uint8_t scope, uint8_t owner)
{
    uint8_t item[ITEM_MAX], identity[16], source[12], *at = item;
    bool claim = op->verb == LEDGER_CLAIM;
    bool parked = !claim && (op->fact == LEDGER_PARKED || op->fact == LEDGER_BLOCKING);
    wire_put_source(source, names, op);
    wire_put_identity(identity, op);
    *at++ = wire_verb(op);
    *at++ = wire_flags(op);
    *at++ = (uint8_t)op->source;
    *at++ = scope;
    *at++ = owner;
    at = wire_put_bytes(at, source, sizeof(source));
    at = wire_put8(at, (uint64_t)op->origin_offset);
    at = wire_put4(at, (uint32_t)(op->origin_leader_epoch + 1));
    *at++ = (uint8_t)op->kind;
    at = wire_put_bytes(at, identity, sizeof(identity));
    at = wire_put4(at, op->hop);
    at = wire_put4(at, parked ? (uint32_t)op->tier : wire_claim_ms(op));
    if (parked)
        at = wire_put8(at, (uint64_t)op->copy_offset);
    if (claim && op->has_ghost)
        at = wire_put8(wire_put4(at, (uint32_t)op->ghost_tier), (uint64_t)op->ghost_offset);
    resp_arg(out, item, (size_t)(at - item));
    if (!op->scope->buckets)
        return;
    buf_reset(field);
    scope_add_field(field, op->scope, op);
    resp_arg(out, field->data, field->len);
}

static void add_common(struct buf *out, struct buf *text, struct name_cache *names,
                       const struct wire_common *common)
{
    uint8_t line[24];
    wire_add_header(out, common->fence_count, common->scope_count, common->owner_count);
    for (size_t i = 0; i < common->scope_count; i++) {
        const struct ledger_scope *scope = common->scopes[i];
        uint8_t *at = line;
        *at++ = (uint8_t)((scope->ordered ? 1 : 0) | (scope->buckets ? 2 : 0));
        at = wire_put8(at, (uint64_t)scope->ttl_ms);
        at = wire_put8(at, (uint64_t)scope->ghost_ttl_ms);
        at = wire_put4(at, scope->parked_cap);
        resp_arg(out, line, (size_t)(at - line));
    }
    for (size_t i = 0; i < common->owner_count; i++) {
        const struct ledger_owner *owner = common->owners[i].owner;
        size_t len = strlen(owner->name);
        uint8_t *at = line;
        *at++ = (uint8_t)(common->owners[i].fence + 1);
        at = wire_put_bytes(at, name_cache_hash(names, owner->name, len), 8);
        at = wire_put8(at, owner->token);
        buf_reset(text);
        buf_add(text, line, (size_t)(at - line));
        buf_add(text, owner->name, len);
        resp_arg(out, text->data, text->len);
    }
}

void batch_build(struct buf *out, struct name_cache *names, struct ledger_op *const *ops,
                 size_t count, bool whole)
{
    struct wire_common common;
    struct buf text = {0};
    wire_gather(&common, ops, count);
    size_t keys = common.fence_count + count_keys(ops, count);
    scripts_begin(out, SCRIPT_APPLY_OPS, whole, keys,
                  1 + common.scope_count + common.owner_count + count + count_fields(ops, count));
    for (size_t i = 0; i < common.fence_count; i++)
        resp_text(out, common.fences[i]);
    for (size_t i = 0; i < count; i++)
        add_keys(out, &text, names, ops[i]);
    add_common(out, &text, names, &common);
    for (size_t i = 0; i < count; i++)
        add_item(out, &text, names, ops[i], common.scope_of[i], common.owner_of[i]);
    buf_deinit(&text);
}

void batch_build_empty(struct buf *out, const char *key, bool whole)
{
    scripts_begin(out, SCRIPT_APPLY_OPS, whole, key ? 1 : 0, 1);
    if (key)
        resp_text(out, key);
    wire_add_header(out, key ? 1 : 0, 0, 0);
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

static bool read_one(const redisReply *reply, size_t *at, struct known_states *states,
                     struct ledger_op *op)
{
    uint64_t word, more, offset;
    if (!next(reply, at, &word) || !known_code(op, word & 31))
        return false;
    wire_set_answer(op, (enum ledger_code)(word & 31));
    op->would_code = (enum ledger_code)(word >> 5 & 31);
    op->parked_count = (uint32_t)(word >> 10);
    op->head_expired = (word >> 42 & 1) != 0;
    op->head_blocks = (word >> 46 & 1) != 0;
    op->generation = word >> 47 & 63;
    if (word >> 43 & 1) {
        if (!next(reply, at, &more) || !next(reply, at, &offset))
            return false;
        op->head_tier = (int32_t)more;
        op->head_offset = (int64_t)offset;
    }
    if (word >> 44 & 1) {
        if (!next(reply, at, &more))
            return false;
        *(op->code == LEDGER_DUP ? &op->behind : &op->busy_ms) = more > UINT32_MAX ? UINT32_MAX
                                                                                   : (uint32_t)more;
    }
    if (word >> 45 & 1) {
        if (*at >= reply->elements || reply->element[*at]->type != REDIS_REPLY_STRING)
            return false;
        const redisReply *state = reply->element[(*at)++];
        if (states)
            known_states_learn(states, op, state->str, state->len);
    } else if (states) {
        known_states_answered(states, op);
    }
    return true;
}

bool batch_read(const struct redisReply *reply, struct known_states *states,
                struct ledger_op *const *ops, size_t count, struct err *err)
{
    size_t at = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        return err_set_retriable(err, ERR_UNAVAILABLE, "%.300s", reply->str);
    if (reply->type != REDIS_REPLY_ARRAY)
        return err_set(err, ERR_PROTOCOL, "apply_ops answered no array");
    for (size_t i = 0; i < count; i++) {
        if (!read_one(reply, &at, states, ops[i]))
            return err_set(err, ERR_PROTOCOL, "apply_ops answered something unknown for item %zu",
                           i);
    }
    if (at != reply->elements)
        return err_set(err, ERR_PROTOCOL, "apply_ops answered more than was asked");
    return true;
}
