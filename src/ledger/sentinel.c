/*
 * Follows a master by its name.
 *
 * A connection to each sentinel is kept and asked, rather than +switch-master listened to: a
 * message can be missed without a trace, an answer that does not come is noticed, and the answers
 * of several can be weighed. Sentinels may disagree (one of them was cut off while the others
 * failed over): the one with the highest configuration epoch among those that answer now is right,
 * since each fail-over has an epoch of its own. An answer serves until its sentinel is lost, so
 * sentinels that were set up anew, whose epochs start again, are believed as well.
 *
 * Must not decide that a master is usable: whoever connects to it looks at its ROLE.
 */
#include "ledger/sentinel.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "ledger/peer.h"
#include "ledger/resp.h"

#define HOST_MAX 256

struct named {
    bool known;
    char host[HOST_MAX];
    uint16_t port;
    uint64_t epoch; /* 0: it does not tell */
};

struct watcher {
    struct sentinel *sentinel;
    struct peer *peer;
    struct named now, next; /* what it says; what this round's answers say so far */
    bool tried;             /* it has answered, or could not, since the start */
    char why[300];          /* why it names none */
};

struct sentinel {
    const struct redis_config *config;
    struct sentinel_events events;
    struct watcher *watchers;
    struct named master; /* what was told last */
    bool unknown_told;
};

/* ---- answers ---- */

static bool read_port(const redisReply *reply, uint16_t *port)
{
    uint64_t n;
    if (reply->type != REDIS_REPLY_STRING ||
        !str_to_u64((struct slice){reply->str, reply->len}, &n) || n < 1 || n > 65535)
        return false;
    *port = (uint16_t)n;
    return true;
}

/* get-master-addr-by-name: host and port, or nothing. During a fail-over it names the new one first
 * of all. */
static void read_address(struct watcher *watcher, const redisReply *reply)
{
    struct named *next = &watcher->next;
    memset(next, 0, sizeof(*next));
    if (reply->type == REDIS_REPLY_NIL) {
        snprintf(watcher->why, sizeof(watcher->why), "sentinel %.100s knows no master named %.100s",
                 peer_address(watcher->peer), watcher->sentinel->config->master);
        return;
    }
    bool pair = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2;
    const redisReply *host = pair ? reply->element[0] : NULL;
    if (!pair || host->type != REDIS_REPLY_STRING || host->len == 0 || host->len >= HOST_MAX ||
        strlen(host->str) != host->len || !read_port(reply->element[1], &next->port)) {
        snprintf(watcher->why, sizeof(watcher->why), "sentinel %.100s: %.150s",
                 peer_address(watcher->peer),
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "an unknown answer");
        return;
    }
    memcpy(next->host, host->str, host->len + 1);
    next->known = true;
}

static uint64_t number_of(const redisReply *reply)
{
    uint64_t n = 0;
    return str_to_u64((struct slice){reply->str, reply->len}, &n) ? n : 0;
}

/* SENTINEL MASTER: names and values in turn. Only the epoch is taken; who may not ask has none. */
static void read_epoch(struct watcher *watcher, const redisReply *reply)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        const redisReply *name = reply->element[i], *value = reply->element[i + 1];
        if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
            strcmp(name->str, "config-epoch") == 0)
            watcher->next.epoch = number_of(value);
    }
}

/* ---- the choice ---- */

static void tell_unknown(struct sentinel *sentinel)
{
    char why[1000];
    size_t len = 0;
    for (size_t i = 0; i < sentinel->config->place_count; i++)
        if (!sentinel->watchers[i].tried)
            return;
    if (sentinel->unknown_told)
        return;
    sentinel->unknown_told = true;
    for (size_t i = 0; i < sentinel->config->place_count && len < sizeof(why) - 1; i++) {
        int n = snprintf(why + len, sizeof(why) - len, "%s%s", i ? "; " : "",
                         sentinel->watchers[i].why);
        len += n > 0 ? (size_t)n : 0;
    }
    sentinel->events.unknown(sentinel->events.ctx, why);
}

static void choose(struct sentinel *sentinel)
{
    const struct named *best = NULL;
    for (size_t i = 0; i < sentinel->config->place_count; i++) {
        const struct named *now = &sentinel->watchers[i].now;
        if (now->known && (!best || now->epoch > best->epoch))
            best = now;
    }
    if (!best) {
        tell_unknown(sentinel);
        return;
    }
    sentinel->unknown_told = false;
    bool same = sentinel->master.known && sentinel->master.port == best->port &&
                strcmp(sentinel->master.host, best->host) == 0;
    sentinel->master = *best;
    if (!same)
        sentinel->events.master(sentinel->events.ctx, best->host, best->port);
}

static void on_answer(void *ctx, size_t index, const redisReply *reply)
{
    struct watcher *watcher = ctx;
    if (index == 0) {
        read_address(watcher, reply);
        return;
    }
    read_epoch(watcher, reply);
    watcher->now = watcher->next;
    watcher->tried = true;
    choose(watcher->sentinel);
}

static void on_lost(void *ctx, const char *why)
{
    struct watcher *watcher = ctx;
    watcher->now.known = false;
    watcher->tried = true;
    snprintf(watcher->why, sizeof(watcher->why), "sentinel: %.250s", why);
    choose(watcher->sentinel);
}

/* ---- public ---- */

struct sentinel *sentinel_new(struct loop *loop, const struct redis_config *config, struct tls *tls,
                              const struct sentinel_events *events)
{
    struct sentinel *sentinel = mem_zalloc(sizeof(*sentinel));
    struct buf address = {0}, master = {0};
    resp_command(&address, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", config->master, NULL);
    resp_command(&master, "SENTINEL", "MASTER", config->master, NULL);
    sentinel->config = config;
    sentinel->events = *events;
    sentinel->watchers = mem_calloc(config->place_count, sizeof(*sentinel->watchers));
    for (size_t i = 0; i < config->place_count; i++) {
        struct watcher *watcher = &sentinel->watchers[i];
        struct peer_config peer = {.redis = config,
                                   .tls = tls,
                                   .username = config->sentinel_username,
                                   .password = config->sentinel_password,
                                   .questions = {buf_slice(&address), buf_slice(&master)},
                                   .question_count = 2,
                                   .every_ms = SENTINEL_EVERY_MS,
                                   .answer = on_answer,
                                   .lost = on_lost,
                                   .ctx = watcher};
        watcher->sentinel = sentinel;
        watcher->peer = peer_new(loop, &peer);
        peer_aim(watcher->peer, NULL, config->places[i].host, config->places[i].port, "");
    }
    buf_deinit(&address);
    buf_deinit(&master);
    return sentinel;
}

void sentinel_free(struct sentinel **sentinel_ptr)
{
    struct sentinel *sentinel = *sentinel_ptr;
    if (!sentinel)
        return;
    *sentinel_ptr = NULL;
    for (size_t i = 0; i < sentinel->config->place_count; i++)
        peer_free(&sentinel->watchers[i].peer);
    mem_free(sentinel->watchers);
    mem_free(sentinel);
}

void sentinel_ask(struct sentinel *sentinel)
{
    for (size_t i = 0; i < sentinel->config->place_count; i++)
        peer_ask(sentinel->watchers[i].peer);
}
