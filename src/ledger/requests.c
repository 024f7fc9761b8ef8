/*
 * Small requests: topics, groups, holds, one key's state; tokens are in fences.c. Each is one
 * command that may be sent again when its fate is unknown: read_state, meet_value, reset_key and
 * release_key, the rest plain.
 *
 * Invariant: those of one queue are sent in the order asked; `done` is called once, from the loop,
 * or by ledger_free with an error.
 */
#include "ledger/requests.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ledger/cluster.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/state.h"

static void free_request(struct request *request)
{
    buf_deinit(&request->body);
    mem_free(request);
}

static void put_back(struct request *request)
{
    TAILQ_REMOVE(&request->ledger->sent, request, in_list);
    TAILQ_INSERT_HEAD(&request->ledger->waiting, request, in_list);
}

static bool send_request(struct request *request, bool whole);

static void on_reply(void *arg, const redisReply *reply)
{
    struct request *request = arg;
    struct ledger *ledger = request->ledger;
    bool refused = reply->type == REDIS_REPLY_ERROR;
    if (refused && request->is_script && strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        if (!send_request(request, true))
            session_refused(request->node->session, "cannot send");
        return;
    }
    if (refused && cluster_redirects(request->queue, request->node, reply)) {
        put_back(request);
        loop_defer(ledger->loop, &ledger->pump_task);
        return;
    }
    if (refused && ledger_is_refusal(reply->str)) {
        ledger_count_error(ledger, reply->str);
        session_refused(request->node->session, reply->str);
        return;
    }
    TAILQ_REMOVE(&ledger->sent, request, in_list);
    if (refused) {
        struct err err = {0};
        ledger_count_error(ledger, reply->str);
        err_set(&err, ERR_UNAVAILABLE, "Redis: %.300s", reply->str);
        request->fail(request, &err);
    } else {
        request->read(request, reply);
    }
    free_request(request);
}

static bool send_request(struct request *request, bool whole)
{
    struct buf *out = &request->ledger->out;
    if (request->check_sentinel)
        session_check_sentinel(request->node->session);
    buf_reset(out);
    if (request->is_script)
        scripts_begin(out, request->script, whole, request->keys, request->args);
    buf_add(out, request->body.data, request->body.len);
    return session_send(request->node->session, out->data, out->len, on_reply, request);
}

static bool may_send(const struct request *request)
{
    const struct queue *queue = request->queue;
    return queue->node && queue->node->up && !queue->paused &&
           (request->early || cluster_is_known(request->ledger));
}

void requests_init(struct ledger *ledger)
{
    TAILQ_INIT(&ledger->waiting);
    TAILQ_INIT(&ledger->sent);
}

void requests_flush(struct ledger *ledger)
{
    for (struct request *request = TAILQ_FIRST(&ledger->waiting), *next; request; request = next) {
        next = TAILQ_NEXT(request, in_list);
        if (!may_send(request))
            continue;
        request->node = request->queue->node;
        TAILQ_REMOVE(&ledger->waiting, request, in_list);
        TAILQ_INSERT_TAIL(&ledger->sent, request, in_list);
        if (!send_request(request, false)) {
            session_refused(request->node->session, "cannot send");
            return;
        }
    }
}

void requests_requeue(struct node *node)
{
    struct ledger *ledger = node->ledger;
    struct request *request = TAILQ_LAST(&ledger->sent, request_list), *prev;
    for (; request; request = prev) {
        prev = TAILQ_PREV(request, request_list, in_list);
        if (request->node != node)
            continue;
        put_back(request);
    }
}

void requests_cancel(struct ledger *ledger)
{
    struct err err = {0};
    struct request *request;
    err_set(&err, ERR_CANCELLED, "the ledger is closed");
    while ((request = TAILQ_FIRST(&ledger->waiting)) != NULL) {
        TAILQ_REMOVE(&ledger->waiting, request, in_list);
        request->fail(request, &err);
        free_request(request);
    }
}

void request_start(struct request *request)
{
    TAILQ_INSERT_TAIL(&request->ledger->waiting, request, in_list);
    loop_defer(request->ledger->loop, &request->ledger->pump_task);
}

/* ---- what they ask, and how the answers are read ---- */

static void fail_plain(struct request *request, const struct err *err)
{
    if (request->done.plain)
        request->done.plain(request->arg, err);
}

static void read_plain(struct request *request, const redisReply *reply)
{
    (void)reply;
    if (request->done.plain)
        request->done.plain(request->arg, NULL);
}

struct request *request_new(struct ledger *ledger, struct queue *queue, request_done done,
                            void *arg)
{
    struct request *request = mem_zalloc(sizeof(*request));
    request->ledger = ledger;
    request->queue = queue;
    request->read = read_plain;
    request->fail = fail_plain;
    request->done.plain = done;
    request->arg = arg;
    return request;
}

void request_use_script(struct request *request, enum script script, size_t keys, size_t args)
{
    request->is_script = true;
    request->script = script;
    request->keys = keys;
    request->args = args;
}

void request_fail_known(struct request *request, const struct err *err)
{
    if (request->done.known)
        request->done.known(request->arg, false, err);
}

void request_read_known(struct request *request, const redisReply *reply)
{
    if (request->done.known)
        request->done.known(request->arg, reply->type == REDIS_REPLY_INTEGER && reply->integer == 1,
                            NULL);
}

static void add_topics_key(struct request *request, const char *group)
{
    struct buf key = {0};
    buf_printf(&key, "%s:{meta}:topics:", request->ledger->config->ns);
    scope_add_part(&key, group);
    resp_arg(&request->body, key.data, key.len);
    buf_deinit(&key);
}

static void fail_topic(struct request *request, const struct err *err)
{
    request->done.topic(request->arg, LEDGER_TOPIC_NEW, err);
}

static void read_topic(struct request *request, const redisReply *reply)
{
    struct err err = {0};
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 0 || reply->integer > 2) {
        err_set(&err, ERR_PROTOCOL, "meet_value answered something unknown");
        fail_topic(request, &err);
        return;
    }
    static const enum ledger_topic found[] = {LEDGER_TOPIC_NEW, LEDGER_TOPIC_SAME,
                                              LEDGER_TOPIC_OTHER};
    request->done.topic(request->arg, found[reply->integer], NULL);
}

void ledger_meet_topic(struct ledger *ledger, const char *group, const char *topic,
                       const char *uuid,
                       void (*done)(void *arg, enum ledger_topic found, const struct err *err),
                       void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, NULL, arg);
    request_use_script(request, SCRIPT_MEET_VALUE, 1, 2);
    request->read = read_topic;
    request->fail = fail_topic;
    request->done.topic = done;
    add_topics_key(request, group);
    resp_text(&request->body, topic);
    resp_text(&request->body, uuid);
    request_start(request);
}

void ledger_adopt_topic(struct ledger *ledger, const char *group, const char *topic,
                        const char *uuid, void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, done, arg);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HSET");
    add_topics_key(request, group);
    resp_text(&request->body, topic);
    resp_text(&request->body, uuid);
    request_start(request);
}

static void add_meta_key(struct request *request, const char *name)
{
    char key[200];
    snprintf(key, sizeof(key), "%s:{meta}:%s", request->ledger->config->ns, name);
    resp_text(&request->body, key);
}

/* A group's name may hold '/', a topic's cannot: so the topic stands first. */
static void add_group_field(struct request *request, const char *group, const char *topic)
{
    char *field = mem_printf("%s/%s", topic, group);
    resp_text(&request->body, field);
    mem_free(field);
}

void ledger_meet_group(struct ledger *ledger, const char *group, const char *topic,
                       void (*done)(void *arg, bool known, const struct err *err), void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, NULL, arg);
    request->read = request_read_known;
    request->fail = request_fail_known;
    request->done.known = done;
    resp_begin(&request->body, 3);
    resp_text(&request->body, "HEXISTS");
    add_meta_key(request, "groups");
    add_group_field(request, group, topic);
    request_start(request);
}

void ledger_mark_group(struct ledger *ledger, const char *group, const char *topic,
                       void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, done, arg);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HSET");
    add_meta_key(request, "groups");
    add_group_field(request, group, topic);
    resp_text(&request->body, "1");
    request_start(request);
}

/* A topic's name cannot hold '!'. */
static void add_adoptions_field(struct request *request, const char *topic)
{
    char *field = mem_printf("%s!", topic);
    resp_text(&request->body, field);
    mem_free(field);
}

void ledger_add_adoption(struct ledger *ledger, const char *group, const char *topic,
                         void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, done, arg);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HINCRBY");
    add_topics_key(request, group);
    add_adoptions_field(request, topic);
    resp_text(&request->body, "1");
    request_start(request);
}

static void fail_count(struct request *request, const struct err *err)
{
    request->done.count(request->arg, 0, err);
}

static void read_count(struct request *request, const redisReply *reply)
{
    struct err err = {0};
    uint64_t count = 0;
    if (reply->type == REDIS_REPLY_STRING &&
        !str_to_u64((struct slice){reply->str, reply->len}, &count)) {
        err_set(&err, ERR_PROTOCOL, "the count of adoptions is no number");
        fail_count(request, &err);
        return;
    }
    request->done.count(request->arg, (uint32_t)count, NULL);
}

void ledger_count_adoptions(struct ledger *ledger, const char *group, const char *topic,
                            void (*done)(void *arg, uint32_t count, const struct err *err),
                            void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, NULL, arg);
    request->read = read_count;
    request->fail = fail_count;
    request->done.count = done;
    resp_begin(&request->body, 3);
    resp_text(&request->body, "HGET");
    add_topics_key(request, group);
    add_adoptions_field(request, topic);
    request_start(request);
}

void ledger_forget_partitions(struct ledger *ledger, const char *group, const char *topic,
                              int32_t partitions, void (*done)(void *arg, const struct err *err),
                              void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, done, arg);
    resp_begin(&request->body, 2 + (size_t)partitions);
    resp_text(&request->body, "HDEL");
    add_meta_key(request, "groups");
    for (int32_t p = 0; p < partitions; p++) {
        char *name = mem_printf("%s/%d", topic, (int)p);
        add_group_field(request, group, name);
        mem_free(name);
    }
    request_start(request);
}

static void read_held(struct request *request, const redisReply *reply)
{
    if (request->hold)
        holds_expect(request->hold);
    read_plain(request, reply);
}

void ledger_set_hold(struct ledger *ledger, const char *route, bool held, const char *by,
                     void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = request_new(ledger, ledger->meta, done, arg);
    request->hold = held ? holds_find(ledger, route) : NULL;
    request->read = read_held;
    resp_begin(&request->body, held ? 4 : 3);
    resp_text(&request->body, held ? "HSET" : "HDEL");
    add_meta_key(request, "holds");
    resp_text(&request->body, route);
    if (held)
        resp_text(&request->body, by ? by : "");
    request_start(request);
}

static void read_description(struct request *request, const redisReply *reply)
{
    struct err err = {0};
    bool found = reply->type == REDIS_REPLY_STRING;
    if (found && !state_describe(request->out, (struct slice){reply->str, reply->len}, &err)) {
        request->done.known(request->arg, true, &err);
        return;
    }
    request->done.known(request->arg, found, NULL);
}

static void add_state(struct request *request, const struct ledger_scope *scope, struct slice key)
{
    struct buf name = {0};
    scope_add_bucket_name(&name, scope, scope_hash_key(scope, key));
    resp_arg(&request->body, name.data, name.len);
    buf_reset(&name);
    scope_add_key_name(&name, scope, key, 'k');
    resp_arg(&request->body, name.data, name.len);
    buf_deinit(&name);
}

static void add_field(struct request *request, const struct ledger_scope *scope, struct slice key)
{
    struct buf field = {0};
    if (scope->buckets)
        scope_add_key_field(&field, key);
    resp_arg(&request->body, field.data ? field.data : "", field.len);
    buf_deinit(&field);
}

void ledger_describe(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                     struct buf *out, void (*done)(void *arg, bool found, const struct err *err),
                     void *arg)
{
    struct queue *queue = calls_queue_of(ledger, scope_hash_key(scope, key));
    struct request *request = request_new(ledger, queue, NULL, arg);
    request->read = read_description;
    request->fail = request_fail_known;
    request->done.known = done;
    request->out = out;
    request_use_script(request, SCRIPT_READ_STATE, 2, 1);
    add_state(request, scope, key);
    add_field(request, scope, key);
    request_start(request);
}

/* What the scripts take that change one key. */
static void add_state_and_list(struct request *request, const struct ledger_scope *scope,
                               struct slice key)
{
    struct buf name = {0};
    add_state(request, scope, key);
    scope_add_key_name(&name, scope, key, 'p');
    resp_arg(&request->body, name.data, name.len);
    add_field(request, scope, key);
    resp_number(&request->body, (uint64_t)scope->ttl_ms);
    buf_deinit(&name);
}

void ledger_reset(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                  void (*done)(void *arg, const struct err *err), void *arg)
{
    struct queue *queue = calls_queue_of(ledger, scope_hash_key(scope, key));
    struct request *request = request_new(ledger, queue, done, arg);
    request_use_script(request, SCRIPT_RESET_KEY, 3, 2);
    add_state_and_list(request, scope, key);
    request_start(request);
}

static void read_released(struct request *request, const redisReply *reply)
{
    struct err err = {0};
    if (reply->type == REDIS_REPLY_INTEGER) {
        request->done.count(request->arg, (uint32_t)reply->integer, NULL);
        return;
    }
    err_set(&err, ERR_PROTOCOL, "release_key answered no number");
    fail_count(request, &err);
}

void ledger_release_key(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                        void (*done)(void *arg, uint32_t released, const struct err *err),
                        void *arg)
{
    struct queue *queue = calls_queue_of(ledger, scope_hash_key(scope, key));
    struct request *request = request_new(ledger, queue, NULL, arg);
    request->read = read_released;
    request->fail = fail_count;
    request->done.count = done;
    request_use_script(request, SCRIPT_RELEASE_KEY, 3, 2);
    add_state_and_list(request, scope, key);
    request_start(request);
}
