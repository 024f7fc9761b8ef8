/*
 * Looking ahead; see redrive_ahead.h. The ledger cannot be told to forget a question: what is asked
 * lives until it is answered, whoever still wants to know. Must not: fail because Redis is away.
 */
#include "dlq/redrive_ahead.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "record/mark.h"

#define ASKED_MAX 10000

struct topic_scope {
    uint32_t topic;             /* its number in the table */
    struct ledger_scope *scope; /* NULL: the ledger compares no numbers for it */
};

struct redrive_ahead_ask {
    struct loop *loop;
    struct ledger *ledger;
    const struct config *config;
    struct redrive_ahead out;
    struct topic_scope *scopes;
    size_t scope_count;
    size_t left; /* questions that are not answered */
    bool told;
    struct loop_timer timer;
    struct loop_task task; /* tells, and frees */
    void (*done)(void *arg, const struct redrive_ahead *ahead);
    void *arg;
};

struct look {
    struct redrive_ahead_ask *ask;
    struct ledger_mark mark;
    uint64_t epoch, number;
    char *topic;
    char key[];
};

static const struct route_config *route_of(const struct config *config, const char *topic)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct route_config *route = &config->routes[i];
        for (size_t j = 0; j < route->topic_count; j++) {
            if (strcmp(route->topics[j], topic) == 0)
                return route;
        }
    }
    return NULL;
}

static struct ledger_scope *scope_of(struct redrive_ahead_ask *ask, uint32_t number,
                                     const char *topic)
{
    const struct route_config *route = route_of(ask->config, topic);
    const struct dedup_config *dedup = route ? &route->dedup : NULL;
    struct topic_scope *scope;
    for (size_t i = 0; i < ask->scope_count; i++) {
        if (ask->scopes[i].topic == number)
            return ask->scopes[i].scope;
    }
    ask->scopes = mem_realloc(ask->scopes, (ask->scope_count + 1) * sizeof(*ask->scopes));
    scope = &ask->scopes[ask->scope_count++];
    *scope = (struct topic_scope){.topic = number};
    if (dedup && (dedup->rule.kind == IDENTITY_SEQUENCE || dedup->rule.kind == IDENTITY_VERSION) &&
        (dedup->rule.key.from == FIELD_KAFKA_KEY || dedup->rule.key.from == FIELD_NONE))
        scope->scope = ledger_scope_of_route(ask->ledger, route, topic);
    return scope->scope;
}

/* ---- the end ---- */

static void free_ask(struct redrive_ahead_ask *ask)
{
    for (size_t i = 0; i < ask->scope_count; i++) {
        if (ask->scopes[i].scope)
            ledger_scope_free(&ask->scopes[i].scope);
    }
    mem_free(ask->scopes);
    loop_timer_deinit(&ask->timer);
    loop_task_cancel(ask->loop, &ask->task);
    mem_free(ask);
}

static void tell(void *arg)
{
    struct redrive_ahead_ask *ask = arg;
    bool told = ask->told;
    ask->told = true;
    loop_timer_cancel(&ask->timer);
    if (!told)
        ask->done(ask->arg, &ask->out);
    if (ask->left == 0)
        free_ask(ask);
}

static void too_late(void *arg)
{
    struct redrive_ahead_ask *ask = arg;
    const char *why = ledger_why_down(ask->ledger);
    ask->out.unknown += ask->left;
    snprintf(ask->out.why, sizeof(ask->out.why), "Redis did not answer in time%s%.200s",
             why[0] ? ": " : "", why);
    loop_defer(ask->loop, &ask->task);
}

/* Told already: then nobody waits, and the loop may not turn again. */
static void settle(struct redrive_ahead_ask *ask)
{
    if (ask->left > 0)
        return;
    if (ask->told)
        free_ask(ask);
    else
        loop_defer(ask->loop, &ask->task);
}

void redrive_ahead_cancel(struct redrive_ahead_ask *ask)
{
    ask->told = true;
    loop_timer_cancel(&ask->timer);
    loop_task_cancel(ask->loop, &ask->task);
    settle(ask);
}

/* ---- asking ---- */

static void looked(struct ledger_mark *mark)
{
    struct look *look = mark->arg;
    struct redrive_ahead_ask *ask = look->ask;
    uint64_t epoch, number;
    if (mark->cancelled || mark->fenced)
        ask->out.unknown++;
    else if (mark_succeeded(mark->told, &epoch, &number) &&
             (epoch > look->epoch || (epoch == look->epoch && number >= look->number)))
        ask->out.overtaken++;
    if (!mark->cancelled)
        ask->out.asked++;
    mem_free(look->topic);
    mem_free(look);
    ask->left--;
    settle(ask);
}

static void look_for(struct redrive_ahead_ask *ask, const char *topic,
                     const struct redrive_entry *entry)
{
    struct ledger_scope *scope = entry->key ? scope_of(ask, entry->origin_topic, topic) : NULL;
    struct look *look;
    if (!scope || ask->left >= ASKED_MAX) {
        ask->out.unknown++;
        return;
    }
    look = mem_zalloc(sizeof(*look) + entry->key->len + 1);
    look->ask = ask;
    look->epoch = entry->key->epoch;
    look->number = entry->key->number;
    look->topic = mem_strdup(topic);
    memcpy(look->key, entry->key->bytes, entry->key->len);
    look->mark = (struct ledger_mark){.scope = scope,
                                      .key = {look->key, entry->key->len},
                                      .topic = slice_of(look->topic),
                                      .partition = entry->origin_partition,
                                      .done = looked,
                                      .arg = look};
    ask->left++;
    ledger_join(ask->ledger, &look->mark);
}

struct redrive_ahead_ask *
redrive_ahead_ask(struct loop *loop, struct ledger *ledger, const struct config *config,
                  struct redrive_scan *scan, int64_t timeout_ms,
                  void (*done)(void *arg, const struct redrive_ahead *ahead), void *arg)
{
    const struct redrive_list *list = redrive_scan_list(scan);
    struct redrive_ahead_ask *ask = mem_zalloc(sizeof(*ask));
    ask->loop = loop;
    ask->ledger = ledger;
    ask->config = config;
    ask->done = done;
    ask->arg = arg;
    loop_timer_init(&ask->timer, loop, too_late, ask);
    loop_task_init(&ask->task, tell, ask);
    for (size_t i = 0; i < list->count; i++)
        look_for(ask, redrive_table_name(redrive_scan_table(scan), list->items[i]->origin_topic),
                 list->items[i]);
    loop_timer_set_ms(&ask->timer, timeout_ms);
    settle(ask);
    return ask;
}
