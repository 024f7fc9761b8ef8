/*
 * Marks that are joined into the states of their keys (lua/join_marks.lua), up to JOIN_MAX
 * in a call: those of one owner, scope and queue, as they stand in a row.
 *
 * Invariant: a mark is in the list, or in exactly one call, until its done ran. Must not: keep what
 * a mark points to beyond that.
 */
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/mem.h"
#include "ledger/requests.h"
#include "ledger/resp.h"
#include "ledger/scope.h"

#define JOIN_MAX 64

struct join {
    struct ledger_mark *marks[JOIN_MAX];
    size_t count;
};

static void end_mark(struct ledger_mark *mark, bool cancelled, bool fenced, struct slice told)
{
    mark->cancelled = cancelled;
    mark->fenced = fenced;
    mark->told = told;
    mark->done(mark);
}

/* Refused for good (no script of ours can be), or the ledger is closed. */
static void fail_join(struct request *request, const struct err *err)
{
    struct join *join = request->arg;
    (void)err;
    for (size_t i = 0; i < join->count; i++)
        end_mark(join->marks[i], true, false, SLICE_NULL);
    mem_free(join);
}

static void read_join(struct request *request, const redisReply *reply)
{
    struct join *join = request->arg;
    bool fenced = reply->type == REDIS_REPLY_INTEGER;
    bool told = reply->type == REDIS_REPLY_ARRAY && reply->elements == join->count;
    for (size_t i = 0; i < join->count; i++) {
        const redisReply *one = told ? reply->element[i] : NULL;
        bool text = one && one->type == REDIS_REPLY_STRING;
        end_mark(join->marks[i], !fenced && !text, fenced,
                 text ? (struct slice){one->str, one->len} : SLICE_NULL);
    }
    mem_free(join);
}

/* What names a key's state; only what scope.h looks at. */
static struct ledger_op op_of(const struct ledger_mark *mark)
{
    return (struct ledger_op){.scope = mark->scope,
                              .key = mark->key,
                              .origin_topic = mark->topic,
                              .origin_partition = mark->partition,
                              .key_hash = scope_hash_key(mark->scope, mark->key)};
}

static struct queue *queue_of(struct ledger *ledger, const struct ledger_mark *mark)
{
    return calls_queue_of(ledger, scope_hash_key(mark->scope, mark->key));
}

static void add_keys(struct request *request, const struct join *join)
{
    struct buf name = {0};
    const struct ledger_scope *scope = join->marks[0]->scope;
    resp_text(&request->body, scope_fence_key(scope, scope_hash_key(scope, join->marks[0]->key)));
    for (size_t i = 0; i < join->count; i++) {
        struct ledger_op op = op_of(join->marks[i]);
        buf_reset(&name);
        scope_add_bucket_name(&name, scope, op.key_hash);
        resp_arg(&request->body, name.data, name.len);
        for (const char *family = "kp"; *family; family++) {
            buf_reset(&name);
            scope_add_name(&name, scope, &op, *family);
            resp_arg(&request->body, name.data, name.len);
        }
    }
    buf_deinit(&name);
}

static void add_args(struct request *request, const struct join *join)
{
    const struct ledger_mark *first = join->marks[0];
    struct buf item = {0};
    resp_text(&request->body, first->owner ? first->owner->name : "");
    resp_number(&request->body, first->owner ? first->owner->token : 0);
    resp_number(&request->body, (uint64_t)first->scope->ttl_ms);
    for (size_t i = 0; i < join->count; i++) {
        const struct ledger_mark *mark = join->marks[i];
        struct ledger_op op = op_of(mark);
        buf_reset(&item);
        if (mark->scope->buckets)
            scope_add_field(&item, mark->scope, &op);
        resp_arg(&request->body, item.data ? item.data : "", item.len);
        buf_reset(&item);
        buf_add_char(&item, mark->own);
        buf_add_char(&item, (char)mark->generation);
        buf_add_slice(&item, mark->state);
        resp_arg(&request->body, item.data, item.len);
    }
    buf_deinit(&item);
}

/* Sends the first in the list and those behind it that may share its call. */
static void send_some(struct ledger *ledger)
{
    struct ledger_mark *first = STAILQ_FIRST(&ledger->marks), *mark = first;
    struct queue *queue = queue_of(ledger, first);
    struct join *join = mem_zalloc(sizeof(*join));
    struct request *request = request_new(ledger, queue, NULL, join);
    while (mark && join->count < JOIN_MAX && mark->owner == first->owner &&
           mark->scope == first->scope && queue_of(ledger, mark) == queue) {
        STAILQ_REMOVE_HEAD(&ledger->marks, in_marks);
        join->marks[join->count++] = mark;
        mark = STAILQ_FIRST(&ledger->marks);
    }
    request_use_script(request, SCRIPT_JOIN_MARKS, 1 + 3 * join->count, 3 + 2 * join->count);
    request->read = read_join;
    request->fail = fail_join;
    add_keys(request, join);
    add_args(request, join);
    request_start(request);
}

void joins_init(struct ledger *ledger)
{
    STAILQ_INIT(&ledger->marks);
}

void joins_flush(struct ledger *ledger)
{
    while (!STAILQ_EMPTY(&ledger->marks))
        send_some(ledger);
}

void joins_cancel(struct ledger *ledger)
{
    struct ledger_mark *mark;
    while ((mark = STAILQ_FIRST(&ledger->marks)) != NULL) {
        STAILQ_REMOVE_HEAD(&ledger->marks, in_marks);
        end_mark(mark, true, false, SLICE_NULL);
    }
}

void ledger_join(struct ledger *ledger, struct ledger_mark *mark)
{
    STAILQ_INSERT_TAIL(&ledger->marks, mark, in_marks);
    loop_defer(ledger->loop, &ledger->pump_task);
}
