/*
 * Fence tokens of consumed partitions.
 *
 * Alone, a token is taken in one script, and claims look at the same hash. A call in a cluster can
 * see one slot only, so there each shard has a copy of the hash:
 *
 *   take_fence on {fence} --token--> raise_fence on every shard --all answered--> done
 *
 * Invariant: when ledger_fence is done, every shard refuses the claims of older tokens, as it is
 * with one hash; a shard that is without the token refuses all claims. A shard that had a higher
 * token (the hash of {fence} lost the newest) makes the whole begin again above it. Where a shard
 * does not know an owner that had a token before, its sentinel is looked at: are its data lost?
 */
#include <hiredis/hiredis.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ledger/cluster.h"
#include "ledger/requests.h"
#include "ledger/resp.h"
#include "ledger/scope.h"

#define TRIES_MAX 5

/* One ledger_fence, ledger_rebuilt or ledger_release_kept over all shards. */
struct round {
    struct ledger *ledger;
    char *group;
    char *name;                 /* of the owner, which need not live on */
    struct ledger_owner *owner; /* of a fence; else NULL */
    size_t open;                /* requests not answered */
    uint64_t token, highest;
    bool had_token, built;
    int tries;
    struct err err;
    request_done done;
    void (*marked)(void *arg, bool marked, const struct err *err);
    void *arg;
};

static void add_fence_key(struct request *request, const char *group)
{
    struct buf key = {0};
    buf_printf(&key, "%s:{fence}:", request->ledger->config->ns);
    scope_add_part(&key, group);
    resp_arg(&request->body, key.data, key.len);
    buf_deinit(&key);
}

static void add_shard_key(struct request *request, const char *group)
{
    struct buf key = {0};
    scope_add_shard_fence(&key, request->ledger->config->ns, request->shard, group);
    resp_arg(&request->body, key.data, key.len);
    buf_deinit(&key);
}

/* Token and built, as take_fence and raise_fence answer. */
static bool read_token(const redisReply *reply, uint64_t *token, bool *built)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        !str_to_u64((struct slice){reply->element[0]->str, reply->element[0]->len}, token))
        return false;
    *built = reply->element[1]->type == REDIS_REPLY_INTEGER && reply->element[1]->integer == 1;
    return true;
}

/* ---- alone ---- */

static void read_fence(struct request *request, const redisReply *reply)
{
    struct err err = {0};
    bool built;
    if (!read_token(reply, &request->owner->token, &built)) {
        err_set(&err, ERR_PROTOCOL, "take_fence answered no token");
        request->fail(request, &err);
        return;
    }
    request->owner->unbuilt = !built;
    if (request->done.plain)
        request->done.plain(request->arg, NULL);
}

static void mark_built(struct request *request, const char *name, uint64_t token)
{
    resp_text(&request->body, name);
    resp_number(&request->body, token);
    request->read = request_read_known;
    request->fail = request_fail_known;
    request_start(request);
}

/* ---- in a cluster ---- */

static struct round *round_new(struct ledger *ledger, const char *group, const char *name,
                               void *arg)
{
    struct round *round = mem_zalloc(sizeof(*round));
    round->ledger = ledger;
    round->group = mem_strdup(group);
    round->name = mem_strdup(name);
    round->arg = arg;
    return round;
}

static void round_free(struct round *round)
{
    mem_free(round->group);
    mem_free(round->name);
    mem_free(round);
}

static void take(struct round *round, uint64_t above);

static void fence_end(struct round *round)
{
    const struct err *err = round->err.code ? &round->err : NULL;
    if (!err && round->highest > round->token && round->tries < TRIES_MAX) {
        take(round, round->highest + 1);
        return;
    }
    if (!err && round->owner) {
        round->owner->token = round->token;
        round->owner->unbuilt = !round->built;
    }
    if (round->done)
        round->done(round->arg, err);
    round_free(round);
}

static void fail_round(struct request *request, const struct err *err)
{
    struct round *round = request->arg;
    if (!round->err.code)
        round->err = *err;
    if (--round->open == 0)
        fence_end(round);
}

static void read_raised(struct request *request, const redisReply *reply)
{
    struct round *round = request->arg;
    struct err err = {0};
    uint64_t token;
    bool built;
    if (!read_token(reply, &token, &built) || reply->elements != 3) {
        err_set(&err, ERR_PROTOCOL, "raise_fence answered no token");
        fail_round(request, &err);
        return;
    }
    if (token > round->highest)
        round->highest = token;
    round->built = round->built && built;
    bool was_there = reply->element[2]->type == REDIS_REPLY_INTEGER &&
                     reply->element[2]->integer == 1;
    if (round->had_token && !was_there)
        cluster_check_sentinel(round->ledger, request->shard);
    if (--round->open == 0)
        fence_end(round);
}

static void raise_shards(struct round *round)
{
    struct ledger *ledger = round->ledger;
    round->open = ledger->config->shards;
    round->highest = round->token;
    for (uint32_t i = 0; i < ledger->config->shards; i++) {
        struct request *request = request_new(ledger, &ledger->queues[i], NULL, round);
        request_use_script(request, SCRIPT_RAISE_FENCE, 1, 2);
        request->shard = i;
        request->read = read_raised;
        request->fail = fail_round;
        add_shard_key(request, round->group);
        resp_text(&request->body, round->name);
        resp_number(&request->body, round->token);
        request_start(request);
    }
}

static void read_taken(struct request *request, const redisReply *reply)
{
    struct round *round = request->arg;
    struct err err = {0};
    if (!read_token(reply, &round->token, &round->built)) {
        err_set(&err, ERR_PROTOCOL, "take_fence answered no token");
        fail_round(request, &err);
        return;
    }
    raise_shards(round);
}

/* above: what the token must not be below; 0: Redis' time. */
static void take(struct round *round, uint64_t above)
{
    struct request *request = request_new(round->ledger, round->ledger->fence, NULL, round);
    round->open = 1;
    round->tries++;
    request_use_script(request, SCRIPT_TAKE_FENCE, 1, 2);
    request->read = read_taken;
    request->fail = fail_round;
    add_fence_key(request, round->group);
    resp_text(&request->body, round->name);
    resp_number(&request->body, above);
    request_start(request);
}

static void on_marked(void *arg, bool marked, const struct err *err)
{
    struct round *round = arg;
    if (err && !round->err.code)
        round->err = *err;
    round->built = round->built && marked;
    if (--round->open)
        return;
    err = round->err.code ? &round->err : NULL;
    if (round->marked)
        round->marked(round->arg, !err && round->built, err);
    round_free(round);
}

static void mark_shards(struct round *round, uint64_t token)
{
    struct ledger *ledger = round->ledger;
    round->open = ledger->config->shards + 1;
    round->built = true;
    for (uint32_t i = 0; i <= ledger->config->shards; i++) {
        bool last = i == ledger->config->shards;
        struct request *request = request_new(ledger, last ? ledger->fence : &ledger->queues[i],
                                              NULL, round);
        request_use_script(request, SCRIPT_MARK_BUILT, 1, 2);
        request->shard = i;
        request->done.known = on_marked;
        if (last)
            add_fence_key(request, round->group);
        else
            add_shard_key(request, round->group);
        mark_built(request, round->name, token);
    }
}

static void read_plain_round(struct request *request, const redisReply *reply)
{
    struct round *round = request->arg;
    (void)reply;
    if (--round->open == 0)
        fence_end(round);
}

/* A field by which the scripts know that claims of this token stand in nobody's way. */
static void add_release(struct request *request, const char *group, const char *name,
                        uint64_t token)
{
    char field[9] = {'~'};
    memcpy(field + 1, name_cache_hash(request->ledger->names, name, strlen(name)), 8);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HSET");
    if (request->ledger->cluster)
        add_shard_key(request, group);
    else
        add_fence_key(request, group);
    resp_arg(&request->body, field, sizeof(field));
    resp_number(&request->body, token);
    request_start(request);
}

static void release_shards(struct round *round, uint64_t token)
{
    struct ledger *ledger = round->ledger;
    round->open = ledger->config->shards;
    for (uint32_t i = 0; i < ledger->config->shards; i++) {
        struct request *request = request_new(ledger, &ledger->queues[i], NULL, round);
        request->shard = i;
        request->read = read_plain_round;
        request->fail = fail_round;
        add_release(request, round->group, round->name, token);
    }
}

/* ---- public ---- */

void ledger_fence(struct ledger *ledger, const char *group, struct ledger_owner *owner,
                  void (*done)(void *arg, const struct err *err), void *arg)
{
    if (ledger->cluster) {
        struct round *round = round_new(ledger, group, owner->name, arg);
        round->owner = owner;
        round->had_token = owner->token != 0;
        round->done = done;
        take(round, 0);
        return;
    }
    struct request *request = request_new(ledger, ledger->fence, done, arg);
    request_use_script(request, SCRIPT_TAKE_FENCE, 1, 2);
    request->read = read_fence;
    request->owner = owner;
    request->check_sentinel = true;
    add_fence_key(request, group);
    resp_text(&request->body, owner->name);
    resp_text(&request->body, "0");
    request_start(request);
}

void ledger_rebuilt(struct ledger *ledger, const char *group, const struct ledger_owner *owner,
                    void (*done)(void *arg, bool marked, const struct err *err), void *arg)
{
    if (ledger->cluster) {
        struct round *round = round_new(ledger, group, owner->name, arg);
        round->marked = done;
        mark_shards(round, owner->token);
        return;
    }
    struct request *request = request_new(ledger, ledger->fence, NULL, arg);
    request_use_script(request, SCRIPT_MARK_BUILT, 1, 2);
    request->done.known = done;
    add_fence_key(request, group);
    mark_built(request, owner->name, owner->token);
}

void ledger_release_kept(struct ledger *ledger, const char *group, const struct ledger_owner *owner,
                         void (*done)(void *arg, const struct err *err), void *arg)
{
    if (ledger->cluster) {
        struct round *round = round_new(ledger, group, owner->name, arg);
        round->done = done;
        release_shards(round, owner->token);
        return;
    }
    add_release(request_new(ledger, ledger->fence, done, arg), group, owner->name, owner->token);
}
