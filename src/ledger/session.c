/*
 * Opens a session step by step, each waiting for the answer of the one before:
 *
 *   login -> role -> database -> version -> memory policy -> shards -> sentinel -> empty
 *   batches -> up                (the role only where sentinels named the server)
 *
 * The empty batch of apply_ops is refused exactly when real ones would be (out of memory,
 * read-only, too few replicas, no permission for scripts ...), writes nothing, and loads the
 * script; so does the one of swap_states. Must not send anything else before all steps are done: a
 * database that could not be selected is not written to.
 */
#include "ledger/session.h"

#include <hiredis/hiredis.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ledger/batch.h"
#include "ledger/conn.h"
#include "ledger/resp.h"
#include "ledger/scripts.h"
#include "ledger/slots.h"
#include "ledger/swap.h"

enum step {
    STEP_LOGIN,
    STEP_ROLE,
    STEP_DATABASE,
    STEP_VERSION,
    STEP_MEMORY,
    STEP_SHARDS,
    STEP_SENTINEL,
    STEP_PROBE,
    STEP_PROBE_SWAPS,
    STEP_UP
};

struct session {
    const struct redis_config *config;
    struct session_events events;
    struct conn *conn;
    enum step step;
    char *probe_key;  /* in a cluster */
    bool probe_whole; /* the probe goes as EVAL: the server did not know the script */
    char random[33];  /* of this object */
    unsigned written; /* how many sentinels it has written, or may have */
    char
        own[45]; /* what it writes next, where there is none: never the same twice, see renew_own */
    char sentinel[65]; /* what stood there; "" before the first time */
    struct buf out;
};

static void next_step(struct session *session, enum step step);

static void fail(struct session *session, const char *doing, const char *why)
{
    char text[400];
    snprintf(text, sizeof(text), "Redis at %s: %s%s%.250s", conn_address(session->conn), doing,
             doing[0] ? ": " : "", why);
    conn_drop(session->conn, text);
}

static bool is_error(struct session *session, const char *doing, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    fail(session, doing, reply->str);
    return true;
}

/* The value of `name:` in the text of INFO; false where it is not there. */
static bool info_field(const redisReply *reply, const char *name, char *out, size_t size)
{
    size_t len = strlen(name);
    if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_VERB)
        return false;
    for (const char *line = reply->str; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ':') {
            snprintf(out, size, "%.*s", (int)strcspn(line + len + 1, "\r\n"), line + len + 1);
            return true;
        }
    }
    return false;
}

/* The sentinels may be behind, or ahead: a server that was demoted is not to be written to. */
static void on_role(struct session *session, const redisReply *reply)
{
    char text[150];
    if (is_error(session, "ROLE", reply))
        return;
    const char *role = reply->type == REDIS_REPLY_ARRAY && reply->elements &&
                               reply->element[0]->type == REDIS_REPLY_STRING
                           ? reply->element[0]->str
                           : "of an unknown role";
    if (strcmp(role, "master") == 0) {
        next_step(session, STEP_DATABASE);
        return;
    }
    snprintf(text, sizeof(text), "it is %.40s, though the sentinels name it the master", role);
    fail(session, "", text);
}

static void on_version(struct session *session, const redisReply *reply)
{
    char version[40];
    if (is_error(session, "INFO server", reply))
        return;
    if (!info_field(reply, "redis_version", version, sizeof(version))) {
        fail(session, "", "INFO server names no version");
        return;
    }
    if (strtoul(version, NULL, 10) < 7) {
        char text[120];
        snprintf(text, sizeof(text),
                 "version %s is too old: Redis or Valkey 7.0 or later is needed", version);
        fail(session, "", text);
        return;
    }
    next_step(session, STEP_MEMORY);
}

static void on_memory(struct session *session, const redisReply *reply)
{
    char policy[40];
    if (is_error(session, "INFO memory", reply))
        return;
    if (!session->config->allow_eviction &&
        info_field(reply, "maxmemory_policy", policy, sizeof(policy)) &&
        strcmp(policy, "noeviction") != 0) {
        char text[250];
        snprintf(text, sizeof(text),
                 "maxmemory-policy is %s: it may evict what is known about records, which would "
                 "then be delivered again; "
                 "set it to noeviction, or accept that with redis.allow_eviction: true",
                 policy);
        fail(session, "", text);
        return;
    }
    next_step(session, STEP_SHARDS);
}

void session_describe_shards(const char *found, const struct redis_config *config, char *out,
                             size_t size)
{
    snprintf(out, size,
             "its keys are spread over %.20s shards, the configuration says %u: set redis.shards "
             "to %.20s, or use another redis.namespace",
             found, (unsigned)config->shards, found);
}

static void on_shards(struct session *session, const redisReply *reply)
{
    if (is_error(session, "SET shards", reply))
        return;
    if (reply->type == REDIS_REPLY_STRING &&
        strtoul(reply->str, NULL, 10) != session->config->shards) {
        char text[200];
        session_describe_shards(reply->str, session->config, text, sizeof(text));
        fail(session, "", text);
        return;
    }
    next_step(session, STEP_SENTINEL);
}

/*
 * A sentinel that was written and whose answer was lost with the connection must not be taken for
 * the one from before the loss: each is written once.
 */
static void renew_own(struct session *session)
{
    snprintf(session->own, sizeof(session->own), "%s-%u", session->random, ++session->written);
}

/* Answer of SET NX GET: what stood there, or nothing, then ours stands there now. */
static void take_sentinel(struct session *session, const redisReply *reply)
{
    const char *found = reply->type == REDIS_REPLY_STRING ? reply->str : session->own;
    bool same = strncmp(session->sentinel, found, sizeof(session->sentinel) - 1) == 0 &&
                reply->type == REDIS_REPLY_STRING;
    bool first = session->sentinel[0] == '\0';
    snprintf(session->sentinel, sizeof(session->sentinel), "%s", found);
    if (reply->type != REDIS_REPLY_STRING)
        renew_own(session);
    if (!first && !same)
        session->events.wiped(session->events.ctx);
}

/* The key has moved meanwhile: the server answers for itself, and that is all that was asked. */
static bool is_elsewhere(const struct session *session, const redisReply *reply)
{
    struct redirect redirect = {0};
    if (session->probe_key && reply->type == REDIS_REPLY_ERROR)
        redirect_read((struct slice){reply->str, reply->len}, &redirect);
    return redirect.kind != REDIRECT_NONE;
}

static void on_probe(struct session *session, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0 &&
        !session->probe_whole) {
        session->probe_whole = true;
        next_step(session, session->step);
        return;
    }
    if (!is_elsewhere(session, reply) && is_error(session, "", reply))
        return;
    session->probe_whole = false;
    if (session->step == STEP_PROBE) {
        next_step(session, STEP_PROBE_SWAPS);
        return;
    }
    session->step = STEP_UP;
    session->events.up(session->events.ctx);
}

static void on_step(void *arg, const redisReply *reply)
{
    struct session *session = arg;
    switch (session->step) {
    case STEP_LOGIN:
        if (!is_error(session, "login", reply))
            next_step(session, STEP_ROLE);
        return;
    case STEP_ROLE:
        on_role(session, reply);
        return;
    case STEP_DATABASE:
        if (!is_error(session, "SELECT", reply))
            next_step(session, STEP_VERSION);
        return;
    case STEP_VERSION:
        on_version(session, reply);
        return;
    case STEP_MEMORY:
        on_memory(session, reply);
        return;
    case STEP_SHARDS:
        on_shards(session, reply);
        return;
    case STEP_SENTINEL:
        if (is_error(session, "SET sentinel", reply))
            return;
        take_sentinel(session, reply);
        next_step(session, STEP_PROBE);
        return;
    case STEP_PROBE:
    case STEP_PROBE_SWAPS:
        on_probe(session, reply);
        return;
    case STEP_UP:
        return;
    }
}

static void add_set_if_new(struct session *session, const char *key, const char *value)
{
    char name[200];
    snprintf(name, sizeof(name), "%s:{meta}:%s", session->config->ns, key);
    resp_command(&session->out, "SET", name, value, "NX", "GET", NULL);
}

static enum step skip(const struct session *session, enum step step)
{
    if (step == STEP_LOGIN && !session->config->password && !session->config->username)
        step = STEP_ROLE;
    if (step == STEP_ROLE && session->config->kind != REDIS_SENTINEL)
        step = STEP_DATABASE;
    if (step == STEP_DATABASE && session->config->db == 0)
        step = STEP_VERSION;
    if (step == STEP_SHARDS && session->probe_key)
        step = STEP_PROBE;
    return step;
}

static void next_step(struct session *session, enum step step)
{
    char number[16];
    session->step = skip(session, step);
    buf_reset(&session->out);
    switch (session->step) {
    case STEP_LOGIN:
        resp_login(&session->out, session->config->username, session->config->password);
        break;
    case STEP_ROLE:
        resp_command(&session->out, "ROLE", NULL);
        break;
    case STEP_DATABASE:
        snprintf(number, sizeof(number), "%d", session->config->db);
        resp_command(&session->out, "SELECT", number, NULL);
        break;
    case STEP_VERSION:
        resp_command(&session->out, "INFO", "server", NULL);
        break;
    case STEP_MEMORY:
        resp_command(&session->out, "INFO", "memory", NULL);
        break;
    case STEP_SHARDS:
        snprintf(number, sizeof(number), "%u", (unsigned)session->config->shards);
        add_set_if_new(session, "shards", number);
        break;
    case STEP_SENTINEL:
        add_set_if_new(session, "sentinel", session->own);
        break;
    case STEP_PROBE:
        batch_build_empty(&session->out, session->probe_key, session->probe_whole);
        break;
    default:
        swaps_build_empty(&session->out, session->probe_whole);
        break;
    }
    if (!conn_send(session->conn, session->out.data, session->out.len, on_step, session))
        fail(session, "", "cannot send");
}

static void on_connected(void *ctx)
{
    struct session *session = ctx;
    session->probe_whole = false;
    next_step(session, STEP_LOGIN);
}

static void on_lost(void *ctx, const char *why)
{
    struct session *session = ctx;
    session->step = STEP_LOGIN;
    renew_own(session);
    session->events.down(session->events.ctx, why);
}

struct session *session_new(struct loop *loop, const struct redis_config *config, struct tls *tls,
                            const char *probe_key, const struct session_events *events,
                            struct err *err)
{
    struct conn_events conn_events = {.connected = on_connected, .lost = on_lost};
    unsigned char random[16];
    if (RAND_bytes(random, sizeof(random)) != 1) {
        err_set(err, ERR_INTERNAL, "no random numbers");
        return NULL;
    }
    struct session *session = mem_zalloc(sizeof(*session));
    conn_events.ctx = session;
    session->config = config;
    session->events = *events;
    session->probe_key = probe_key ? mem_strdup(probe_key) : NULL;
    session->conn = conn_new(loop, config, tls, &conn_events);
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(session->random + 2 * i, 3, "%02x", random[i]);
    renew_own(session);
    return session;
}

void session_aim(struct session *session, const char *unix_path, const char *host, uint16_t port,
                 const char *why)
{
    conn_aim(session->conn, unix_path, host, port, why);
}

void session_free(struct session **session_ptr)
{
    struct session *session = *session_ptr;
    if (!session)
        return;
    *session_ptr = NULL;
    conn_free(&session->conn);
    buf_deinit(&session->out);
    mem_free(session->probe_key);
    mem_free(session);
}

const char *session_address(const struct session *session)
{
    return conn_address(session->conn);
}

bool session_is_up(const struct session *session)
{
    return session->step == STEP_UP;
}

bool session_send(struct session *session, const void *command, size_t len,
                  void (*reply)(void *arg, const struct redisReply *reply), void *arg)
{
    return session->step == STEP_UP && conn_send(session->conn, command, len, reply, arg);
}

void session_refused(struct session *session, const char *error)
{
    fail(session, "", error);
}

void session_is_healthy(struct session *session)
{
    conn_is_healthy(session->conn);
}

static void on_shards_set(void *arg, const redisReply *reply)
{
    (void)is_error(arg, "SET shards", reply);
}

static void on_sentinel_set(void *arg, const redisReply *reply)
{
    struct session *session = arg;
    char number[16];
    if (is_error(session, "SET sentinel", reply))
        return;
    take_sentinel(session, reply);
    if (reply->type == REDIS_REPLY_STRING)
        return;
    /* The data went under an open session: what was written at its start is written again. */
    snprintf(number, sizeof(number), "%u", (unsigned)session->config->shards);
    buf_reset(&session->out);
    add_set_if_new(session, "shards", number);
    if (!conn_send(session->conn, session->out.data, session->out.len, on_shards_set, session))
        fail(session, "", "cannot send");
}

void session_check_sentinel(struct session *session)
{
    if (session->step != STEP_UP)
        return;
    buf_reset(&session->out);
    add_set_if_new(session, "sentinel", session->own);
    if (!conn_send(session->conn, session->out.data, session->out.len, on_sentinel_set, session))
        fail(session, "", "cannot send");
}
