/*
 * Asks the questions in one go, waits for all answers, and only then for the next time: so there
 * are never two rounds at once, and a server that does not answer is dropped by its connection's
 * timeout. Must not judge an answer.
 */
#include "ledger/peer.h"

#include <hiredis/hiredis.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ledger/conn.h"
#include "ledger/resp.h"

struct peer {
    struct peer_config config;
    struct buf questions; /* what config.questions point into */
    struct conn *conn;
    struct loop_timer timer;
    bool ready;   /* connected and logged in */
    size_t asked; /* questions of this round that are sent */
    size_t heard; /* and those that are answered */
};

static void fail(struct peer *peer, const char *why)
{
    char text[400];
    snprintf(text, sizeof(text), "%s: %.250s", conn_address(peer->conn), why);
    conn_drop(peer->conn, text);
}

static void on_answer(void *arg, const redisReply *reply)
{
    struct peer *peer = arg;
    size_t index = peer->heard++;
    if (peer->heard == peer->asked) {
        peer->asked = peer->heard = 0;
        conn_is_healthy(peer->conn);
        loop_timer_set_ms(&peer->timer, peer->config.every_ms);
    }
    peer->config.answer(peer->config.ctx, index, reply);
}

void peer_ask(struct peer *peer)
{
    if (!peer->ready || peer->asked)
        return;
    loop_timer_cancel(&peer->timer);
    for (size_t i = 0; i < peer->config.question_count; i++) {
        struct slice question = peer->config.questions[i];
        peer->asked++;
        if (!conn_send(peer->conn, question.data, question.len, on_answer, peer)) {
            fail(peer, "cannot send");
            return;
        }
    }
}

static void ask(void *arg)
{
    peer_ask(arg);
}

static void on_login(void *arg, const redisReply *reply)
{
    struct peer *peer = arg;
    if (reply->type == REDIS_REPLY_ERROR) {
        fail(peer, reply->str);
        return;
    }
    peer->ready = true;
    peer_ask(peer);
}

static void on_connected(void *ctx)
{
    struct peer *peer = ctx;
    struct buf out = {0};
    if (!peer->config.username && !peer->config.password) {
        peer->ready = true;
        peer_ask(peer);
        return;
    }
    resp_login(&out, peer->config.username, peer->config.password);
    if (!conn_send(peer->conn, out.data, out.len, on_login, peer))
        fail(peer, "cannot send");
    buf_deinit(&out);
}

static void on_lost(void *ctx, const char *why)
{
    struct peer *peer = ctx;
    peer->ready = false;
    peer->asked = peer->heard = 0;
    loop_timer_cancel(&peer->timer);
    peer->config.lost(peer->config.ctx, why);
}

struct peer *peer_new(struct loop *loop, const struct peer_config *config)
{
    struct peer *peer = mem_zalloc(sizeof(*peer));
    struct conn_events events = {.connected = on_connected, .lost = on_lost, .ctx = peer};
    size_t at = 0;
    peer->config = *config;
    for (size_t i = 0; i < config->question_count; i++)
        buf_add_slice(&peer->questions, config->questions[i]);
    for (size_t i = 0; i < config->question_count; i++) {
        peer->config.questions[i].data = peer->questions.data + at;
        at += config->questions[i].len;
    }
    peer->conn = conn_new(loop, config->redis, config->tls, &events);
    loop_timer_init(&peer->timer, loop, ask, peer);
    return peer;
}

void peer_free(struct peer **peer_ptr)
{
    struct peer *peer = *peer_ptr;
    if (!peer)
        return;
    *peer_ptr = NULL;
    conn_free(&peer->conn);
    loop_timer_deinit(&peer->timer);
    buf_deinit(&peer->questions);
    mem_free(peer);
}

void peer_aim(struct peer *peer, const char *unix_path, const char *host, uint16_t port,
              const char *why)
{
    conn_aim(peer->conn, unix_path, host, port, why);
}

void peer_drop(struct peer *peer, const char *why)
{
    fail(peer, why);
}

const char *peer_address(const struct peer *peer)
{
    return conn_address(peer->conn);
}
