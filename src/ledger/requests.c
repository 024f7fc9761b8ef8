/*
 * Small requests: fences, topics, groups, holds, one key's state. Each is one command that may be
 * sent again when its fate is unknown: the scripts take_fence, mark_built, meet_value,
 * reset_key and release_key, the rest plain.
 *
 * Invariant: sent in the order asked; `done` is called once, from the loop, or by ledger_free with
 * an error.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ledger/parts.h"
#include "ledger/resp.h"
#include "ledger/scope.h"
#include "ledger/scripts.h"
#include "ledger/state.h"

typedef void (*done_fn)(void *arg, const struct err *err);

struct request {
    struct ledger *ledger;
    struct request *next;
    bool is_script;
    enum script script;
    size_t keys, args; /* script: how many of each stand in body */
    struct buf body;   /* a whole command, or a script's keys and arguments */
    bool check_sentinel;
    /* Reads the answer (no error reply), and calls done. */
    void (*read)(struct request *request, const redisReply *reply);
    /* Tells that it failed. */
    void (*fail)(struct request *request, const struct err *err);
    union {
        done_fn plain;
        void (*topic)(void *arg, enum ledger_topic found, const struct err *err);
        void (*known)(void *arg, bool known, const struct err *err);
        void (*count)(void *arg, uint32_t count, const struct err *err);
    } done;
    void *arg;
    struct ledger_owner *owner;
    struct buf *out;
};

static void append(struct request_list *list, struct request *request)
{
    request->next = NULL;
    if (list->last)
        list->last->next = request;
    else
        list->first = request;
    list->last = request;
}

static struct request *shift(struct request_list *list)
{
    struct request *request = list->first;
    if (!request)
        return NULL;
    list->first = request->next;
    if (!list->first)
        list->last = NULL;
    request->next = NULL;
    return request;
}

static void unlink_sent(struct ledger *ledger, struct request *request)
{
    struct request *prev = NULL;
    for (struct request *r = ledger->sent.first; r; prev = r, r = r->next) {
        if (r != request)
            continue;
        if (prev)
            prev->next = r->next;
        else
            ledger->sent.first = r->next;
        if (ledger->sent.last == r)
            ledger->sent.last = prev;
        return;
    }
}

static void free_request(struct request *request)
{
    buf_deinit(&request->body);
    mem_free(request);
}

static bool send_request(struct request *request, bool whole);

static void on_reply(void *arg, const redisReply *reply)
{
    struct request *request = arg;
    struct ledger *ledger = request->ledger;
    if (reply->type == REDIS_REPLY_ERROR && request->is_script &&
        strncmp(reply->str, "NOSCRIPT", 8) == 0) {
        if (!send_request(request, true))
            session_refused(ledger->session, "cannot send");
        return;
    }
    if (reply->type == REDIS_REPLY_ERROR && ledger_is_refusal(reply->str)) {
        ledger_count_error(ledger, reply->str);
        session_refused(ledger->session, reply->str);
        return;
    }
    unlink_sent(ledger, request);
    if (reply->type == REDIS_REPLY_ERROR) {
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
    struct ledger *ledger = request->ledger;
    struct buf *out = &ledger->out;
    if (request->check_sentinel)
        session_check_sentinel(ledger->session);
    buf_reset(out);
    if (request->is_script)
        scripts_begin(out, request->script, whole, request->keys, request->args);
    buf_add(out, request->body.data, request->body.len);
    return session_send(ledger->session, out->data, out->len, on_reply, request);
}

void requests_flush(struct ledger *ledger)
{
    struct request *request;
    while (ledger->up && (request = shift(&ledger->waiting)) != NULL) {
        append(&ledger->sent, request);
        if (!send_request(request, false)) {
            session_refused(ledger->session, "cannot send");
            return;
        }
    }
}

void requests_requeue(struct ledger *ledger)
{
    if (!ledger->sent.first)
        return;
    ledger->sent.last->next = ledger->waiting.first;
    if (!ledger->waiting.first)
        ledger->waiting.last = ledger->sent.last;
    ledger->waiting.first = ledger->sent.first;
    ledger->sent.first = ledger->sent.last = NULL;
}

void requests_cancel(struct ledger *ledger)
{
    struct err err = {0};
    struct request *request;
    err_set(&err, ERR_CANCELLED, "the ledger is closed");
    while ((request = shift(&ledger->waiting)) != NULL) {
        request->fail(request, &err);
        free_request(request);
    }
}

static void start(struct request *request)
{
    append(&request->ledger->waiting, request);
    if (request->ledger->up)
        requests_flush(request->ledger);
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

static struct request *new_plain(struct ledger *ledger, done_fn done, void *arg)
{
    struct request *request = mem_zalloc(sizeof(*request));
    request->ledger = ledger;
    request->read = read_plain;
    request->fail = fail_plain;
    request->done.plain = done;
    request->arg = arg;
    return request;
}

static void use_script(struct request *request, enum script script, size_t keys, size_t args)
{
    request->is_script = true;
    request->script = script;
    request->keys = keys;
    request->args = args;
}

static void fail_known(struct request *request, const struct err *err)
{
    if (request->done.known)
        request->done.known(request->arg, false, err);
}

static void read_known(struct request *request, const redisReply *reply)
{
    if (request->done.known)
        request->done.known(request->arg, reply->type == REDIS_REPLY_INTEGER && reply->integer == 1,
                            NULL);
}

static void read_fence(struct request *request, const redisReply *reply)
{
    struct err err = {0};
    uint64_t token = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        !str_to_u64((struct slice){reply->element[0]->str, reply->element[0]->len}, &token)) {
        err_set(&err, ERR_PROTOCOL, "take_fence answered no token");
        request->fail(request, &err);
        return;
    }
    request->owner->token = token;
    request->owner->unbuilt = reply->element[1]->integer != 1;
    read_plain(request, reply);
}

static void add_fence_key(struct request *request, const char *group)
{
    struct buf key = {0};
    buf_printf(&key, "%s:{fence}:", request->ledger->config->ns);
    scope_add_part(&key, group);
    resp_arg(&request->body, key.data, key.len);
    buf_deinit(&key);
}

void ledger_fence(struct ledger *ledger, const char *group, struct ledger_owner *owner,
                  void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    use_script(request, SCRIPT_TAKE_FENCE, 1, 2);
    request->read = read_fence;
    request->owner = owner;
    request->check_sentinel = true;
    add_fence_key(request, group);
    resp_text(&request->body, owner->name);
    resp_text(&request->body, "0");
    start(request);
}

void ledger_rebuilt(struct ledger *ledger, const char *group, const struct ledger_owner *owner,
                    void (*done)(void *arg, bool marked, const struct err *err), void *arg)
{
    struct request *request = new_plain(ledger, NULL, arg);
    use_script(request, SCRIPT_MARK_BUILT, 1, 2);
    request->read = read_known;
    request->fail = fail_known;
    request->done.known = done;
    add_fence_key(request, group);
    resp_text(&request->body, owner->name);
    resp_number(&request->body, owner->token);
    start(request);
}

void ledger_release_kept(struct ledger *ledger, const char *group, const struct ledger_owner *owner,
                         done_fn done, void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    char field[9] = {'~'};
    memcpy(field + 1, name_cache_hash(ledger->names, owner->name, strlen(owner->name)), 8);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HSET");
    add_fence_key(request, group);
    resp_arg(&request->body, field, sizeof(field));
    resp_number(&request->body, owner->token);
    start(request);
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
    struct request *request = new_plain(ledger, NULL, arg);
    use_script(request, SCRIPT_MEET_VALUE, 1, 2);
    request->read = read_topic;
    request->fail = fail_topic;
    request->done.topic = done;
    add_topics_key(request, group);
    resp_text(&request->body, topic);
    resp_text(&request->body, uuid);
    start(request);
}

void ledger_adopt_topic(struct ledger *ledger, const char *group, const char *topic,
                        const char *uuid, void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HSET");
    add_topics_key(request, group);
    resp_text(&request->body, topic);
    resp_text(&request->body, uuid);
    start(request);
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
    struct request *request = new_plain(ledger, NULL, arg);
    request->read = read_known;
    request->fail = fail_known;
    request->done.known = done;
    resp_begin(&request->body, 3);
    resp_text(&request->body, "HEXISTS");
    add_meta_key(request, "groups");
    add_group_field(request, group, topic);
    start(request);
}

void ledger_mark_group(struct ledger *ledger, const char *group, const char *topic,
                       void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HSET");
    add_meta_key(request, "groups");
    add_group_field(request, group, topic);
    resp_text(&request->body, "1");
    start(request);
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
    struct request *request = new_plain(ledger, done, arg);
    resp_begin(&request->body, 4);
    resp_text(&request->body, "HINCRBY");
    add_topics_key(request, group);
    add_adoptions_field(request, topic);
    resp_text(&request->body, "1");
    start(request);
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
    struct request *request = new_plain(ledger, NULL, arg);
    request->read = read_count;
    request->fail = fail_count;
    request->done.count = done;
    resp_begin(&request->body, 3);
    resp_text(&request->body, "HGET");
    add_topics_key(request, group);
    add_adoptions_field(request, topic);
    start(request);
}

void ledger_forget_partitions(struct ledger *ledger, const char *group, const char *topic,
                              int32_t partitions, void (*done)(void *arg, const struct err *err),
                              void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    resp_begin(&request->body, 2 + (size_t)partitions);
    resp_text(&request->body, "HDEL");
    add_meta_key(request, "groups");
    for (int32_t p = 0; p < partitions; p++) {
        char *name = mem_printf("%s/%d", topic, (int)p);
        add_group_field(request, group, name);
        mem_free(name);
    }
    start(request);
}

void ledger_set_hold(struct ledger *ledger, const char *route, bool held, const char *by,
                     void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    resp_begin(&request->body, held ? 4 : 3);
    resp_text(&request->body, held ? "HSET" : "HDEL");
    add_meta_key(request, "holds");
    resp_text(&request->body, route);
    if (held)
        resp_text(&request->body, by ? by : "");
    start(request);
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

void ledger_describe(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                     struct buf *out, void (*done)(void *arg, bool found, const struct err *err),
                     void *arg)
{
    struct request *request = new_plain(ledger, NULL, arg);
    struct buf name = {0};
    request->read = read_description;
    request->fail = fail_known;
    request->done.known = done;
    request->out = out;
    scope_add_key_name(&name, scope, key, 'k');
    resp_begin(&request->body, 2);
    resp_text(&request->body, "GET");
    resp_arg(&request->body, name.data, name.len);
    buf_deinit(&name);
    start(request);
}

/* What the scripts about one key take. */
static void add_state_and_list(struct request *request, const struct ledger_scope *scope,
                               struct slice key)
{
    struct buf name = {0};
    scope_add_key_name(&name, scope, key, 'k');
    resp_arg(&request->body, name.data, name.len);
    buf_reset(&name);
    scope_add_key_name(&name, scope, key, 'p');
    resp_arg(&request->body, name.data, name.len);
    resp_number(&request->body, (uint64_t)scope->ttl_ms);
    buf_deinit(&name);
}

void ledger_reset(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                  void (*done)(void *arg, const struct err *err), void *arg)
{
    struct request *request = new_plain(ledger, done, arg);
    use_script(request, SCRIPT_RESET_KEY, 2, 1);
    add_state_and_list(request, scope, key);
    start(request);
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
    struct request *request = new_plain(ledger, NULL, arg);
    request->read = read_released;
    request->fail = fail_count;
    request->done.count = done;
    use_script(request, SCRIPT_RELEASE_KEY, 2, 1);
    add_state_and_list(request, scope, key);
    start(request);
}
