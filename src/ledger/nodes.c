/*
 * The servers that are written to, each with a session of its own.
 *
 * While fewer replicas than wanted have a server's last writes, finishes that it has answered are
 * not confirmed: they stay in flight, the server counts as not up, and WAIT alone is asked again.
 * Nothing is sent twice for that. Must not lose a server's calls: when its session ends, they go
 * back to their queues before anybody is told.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/cluster.h"
#include "ledger/parts.h"
#include "ledger/resp.h"
#include "ledger/sentinel.h"

#define WAIT_AGAIN_MS 50

void nodes_add_wait(struct buf *out, const struct redis_config *config)
{
    resp_begin(out, 3);
    resp_text(out, "WAIT");
    resp_number(out, config->wait_replicas);
    resp_number(out, (uint64_t)config->wait_timeout_ms);
}

bool nodes_waited_for_enough(const struct node *node, const redisReply *reply)
{
    return reply->type == REDIS_REPLY_INTEGER &&
           reply->integer >= (long long)node->ledger->config->wait_replicas;
}

static void became_up(struct node *node)
{
    struct ledger *ledger = node->ledger;
    node->up = true;
    node->why[0] = '\0';
    ledger_look(ledger);
    requests_flush(ledger);
    calls_pump(ledger);
}

static void on_waited_again(void *arg, const redisReply *reply)
{
    struct node *node = arg;
    if (!nodes_waited_for_enough(node, reply)) {
        nodes_unconfirmed(node, reply);
        return;
    }
    log_info("redis_replicas_back", LOG_END);
    node->unconfirmed = false;
    calls_confirm(node);
    became_up(node);
}

static void wait_again(void *arg)
{
    struct node *node = arg;
    struct buf *out = &node->ledger->out;
    buf_reset(out);
    nodes_add_wait(out, node->ledger->config);
    if (!session_send(node->session, out->data, out->len, on_waited_again, node))
        session_refused(node->session, "cannot send");
}

void nodes_unconfirmed(struct node *node, const redisReply *reply)
{
    struct ledger *ledger = node->ledger;
    if (reply->type != REDIS_REPLY_INTEGER) {
        char why[200];
        snprintf(why, sizeof(why), "WAIT: %.150s", reply->str ? reply->str : "an unknown answer");
        ledger_count_error(ledger, why);
        session_refused(node->session, why);
        return;
    }
    if (ledger->short_waits)
        metric_add(ledger->short_waits, 1);
    snprintf(node->why, sizeof(node->why),
             "Redis at %s: NOREPLICAS: %lld of %u replicas have the last writes; what was finished "
             "is not confirmed until they do",
             session_address(node->session), reply->integer,
             (unsigned)ledger->config->wait_replicas);
    node->unconfirmed = true;
    node->up = false;
    if (!loop_timer_armed(&node->wait_timer))
        loop_timer_set_ms(&node->wait_timer, WAIT_AGAIN_MS);
    ledger_look(ledger);
}

/* ---- the session's events ---- */

static void on_up(void *ctx)
{
    became_up(ctx);
}

static void on_down(void *ctx, const char *why)
{
    struct node *node = ctx;
    struct ledger *ledger = node->ledger;
    /* It may be another server next time, or one that lost writes. */
    if (node->up && ledger->states)
        known_states_forget_all(ledger->states);
    ledger->shaken_ns = clock_mono_ns();
    node->up = node->unconfirmed = false;
    loop_timer_cancel(&node->wait_timer);
    snprintf(node->why, sizeof(node->why), "%s", why);
    calls_requeue(node);
    requests_requeue(node);
    if (ledger->meta->node == node)
        holds_connection_lost(ledger);
    if (ledger->sentinel)
        sentinel_ask(ledger->sentinel);
    if (ledger->cluster)
        cluster_hurry(ledger);
    ledger_look(ledger);
}

static void on_wiped(void *ctx)
{
    ledger_tell_wiped(((struct node *)ctx)->ledger);
}

/* ---- their lives ---- */

struct node *nodes_add(struct ledger *ledger, const char *host, uint16_t port,
                       const char *probe_key, struct err *err)
{
    struct node *node = mem_zalloc(sizeof(*node));
    struct session_events events = {.up = on_up, .down = on_down, .wiped = on_wiped, .ctx = node};
    node->ledger = ledger;
    node->session = session_new(ledger->loop, ledger->config, ledger->tls, probe_key, &events, err);
    if (!node->session) {
        mem_free(node);
        return NULL;
    }
    loop_timer_init(&node->wait_timer, ledger->loop, wait_again, node);
    node->port = port;
    node->next = ledger->nodes;
    ledger->nodes = node;
    if (host) {
        node->host = mem_strdup(host);
        session_aim(node->session, NULL, host, port, "");
    }
    return node;
}

static void free_node(struct node *node)
{
    session_free(&node->session);
    loop_timer_deinit(&node->wait_timer);
    calls_requeue(node);
    requests_requeue(node);
    mem_free(node->host);
    mem_free(node);
}

void nodes_remove_idle(struct ledger *ledger, bool (*is_used)(struct ledger *, struct node *))
{
    for (struct node **at = &ledger->nodes, *node; (node = *at) != NULL;) {
        if (node->calls || is_used(ledger, node)) {
            at = &node->next;
            continue;
        }
        *at = node->next;
        free_node(node);
    }
}

void nodes_free(struct ledger *ledger)
{
    struct node *node;
    while ((node = ledger->nodes) != NULL) {
        ledger->nodes = node->next;
        free_node(node);
    }
}
