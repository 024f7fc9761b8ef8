/*
 * Holds: a person's pause of a route, kept in Redis in one hash (route -> by whom and why), read by
 * every instance every 400 ms; the first reading is reported whatever it says. The same tick looks
 * at the sentinel key. Must not report a hold twice, and not forget one while Redis is away; nor
 * miss that one is lifted which this process set and has not read yet.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ledger/cluster.h"
#include "ledger/parts.h"
#include "ledger/resp.h"

#define POLL_MS 400

static void apply(struct ledger *ledger, struct hold *hold, const char *by)
{
    bool held = by != NULL;
    if (hold->read && held == hold->held && (!held || strcmp(by, hold->by) == 0))
        return;
    hold->read = true;
    mem_free(hold->by);
    hold->by = mem_strdup(by ? by : "");
    hold->held = held;
    if (ledger->events.hold)
        ledger->events.hold(ledger->events.ctx, hold->route, held, hold->by);
}

static void on_holds(void *arg, const redisReply *reply)
{
    struct ledger *ledger = arg;
    ledger->polling = false;
    if (reply->type == REDIS_REPLY_ERROR) {
        struct node *node = ledger->meta->node;
        if (!node || cluster_redirects(ledger->meta, node, reply))
            return;
        ledger_count_error(ledger, reply->str);
        session_refused(node->session, reply->str);
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY)
        return;
    for (struct hold *hold = ledger->holds; hold; hold = hold->next) {
        const char *by = NULL;
        for (size_t i = 0; i + 1 < reply->elements; i += 2) {
            if (reply->element[i]->str && strcmp(reply->element[i]->str, hold->route) == 0)
                by = reply->element[i + 1]->str;
        }
        apply(ledger, hold, by);
    }
}

static void poll(void *arg)
{
    struct ledger *ledger = arg;
    char key[200];
    loop_timer_set_ms(&ledger->poll_timer, POLL_MS);
    struct node *node = ledger->meta->node;
    /* In a cluster this node is enough: a person's word counts while another is away. */
    if (!node || !node->up || !cluster_is_known(ledger) || ledger->polling)
        return;
    if (ledger->cluster)
        cluster_check_sentinels(ledger);
    else
        session_check_sentinel(node->session);
    if (!ledger->holds || !node->up)
        return;
    snprintf(key, sizeof(key), "%s:{meta}:holds", ledger->config->ns);
    buf_reset(&ledger->out);
    resp_command(&ledger->out, "HGETALL", key, NULL);
    ledger->polling = session_send(node->session, ledger->out.data, ledger->out.len, on_holds,
                                   ledger);
}

void holds_connection_lost(struct ledger *ledger)
{
    ledger->polling = false;
}

void holds_init(struct ledger *ledger)
{
    loop_timer_init(&ledger->poll_timer, ledger->loop, poll, ledger);
    loop_timer_set_ms(&ledger->poll_timer, POLL_MS);
}

void holds_deinit(struct ledger *ledger)
{
    loop_timer_deinit(&ledger->poll_timer);
    for (struct hold *hold; (hold = ledger->holds) != NULL;) {
        ledger->holds = hold->next;
        mem_free(hold->route);
        mem_free(hold->by);
        mem_free(hold);
    }
}

struct hold *holds_find(struct ledger *ledger, const char *route)
{
    struct hold *hold = ledger->holds;
    while (hold && strcmp(hold->route, route) != 0)
        hold = hold->next;
    return hold;
}

void holds_expect(struct hold *hold)
{
    if (!hold->held)
        hold->read = false;
}

void ledger_watch_hold(struct ledger *ledger, const char *route)
{
    struct hold *hold = mem_zalloc(sizeof(*hold));
    hold->route = mem_strdup(route);
    hold->by = mem_strdup("");
    hold->next = ledger->holds;
    ledger->holds = hold;
}
