/*
 * Looking ahead; see redrive_ahead.h. The ledger is asked for what it knows of each key, nothing is
 * changed. Must not: fail a dry run because Redis is away.
 */
#include "redrive_ahead.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ledger_key.h"
#include "record/mark.h"
#include "redis_task.h"

#define TIMEOUT_MS 5000
#define ASKED_MAX  10000

struct looking {
    struct redis_task task;
    struct redrive_ahead *out;
    const struct config *config;
    struct redrive_scan *scan;
    struct {
        uint32_t topic; /* its number in the table */
        struct ledger_scope *scope;
    } * scopes;
    size_t scope_count, left;
    bool all_asked;
};

struct look {
    struct looking *looking;
    const struct redrive_key *key;
    struct ledger_mark mark;
};

static const struct route_config *route_of(const struct looking *looking, const char *topic)
{
    for (size_t i = 0; i < looking->config->route_count; i++) {
        const struct route_config *route = &looking->config->routes[i];
        for (size_t j = 0; j < route->topic_count; j++) {
            if (strcmp(route->topics[j], topic) == 0)
                return route;
        }
    }
    return NULL;
}

/* NULL: the ledger compares no numbers for that topic. */
static struct ledger_scope *scope_of(struct looking *looking, uint32_t number)
{
    const char *topic = redrive_table_name(redrive_scan_table(looking->scan), number);
    const struct route_config *route = route_of(looking, topic);
    const struct dedup_config *dedup = route ? &route->dedup : NULL;
    size_t at = looking->scope_count;
    for (size_t i = 0; i < at; i++) {
        if (looking->scopes[i].topic == number)
            return looking->scopes[i].scope;
    }
    looking->scopes = mem_realloc(looking->scopes, (at + 1) * sizeof(*looking->scopes));
    looking->scopes[at].topic = number;
    looking->scopes[at].scope = NULL;
    if (dedup && (dedup->rule.kind == IDENTITY_SEQUENCE || dedup->rule.kind == IDENTITY_VERSION) &&
        (dedup->rule.key.from == FIELD_KAFKA_KEY || dedup->rule.key.from == FIELD_NONE))
        looking->scopes[at].scope = ledger_key_scope(looking->task.ledger, route, topic);
    looking->scope_count++;
    return looking->scopes[at].scope;
}

static void looked(struct ledger_mark *mark)
{
    struct look *look = mark->arg;
    struct looking *looking = look->looking;
    uint64_t epoch, number;
    if (mark->cancelled || mark->fenced)
        looking->out->unknown++;
    else if (mark_succeeded(mark->told, &epoch, &number) &&
             (epoch > look->key->epoch ||
              (epoch == look->key->epoch && number >= look->key->number)))
        looking->out->overtaken++;
    if (!mark->cancelled)
        looking->out->asked++;
    mem_free(look);
    looking->left--;
    looking->task.done = looking->all_asked && looking->left == 0;
}

static void ask(struct looking *looking, const struct redrive_entry *entry)
{
    struct ledger_scope *scope = entry->key ? scope_of(looking, entry->origin_topic) : NULL;
    struct look *look;
    if (!scope || looking->left >= ASKED_MAX) {
        looking->out->unknown++;
        return;
    }
    look = mem_zalloc(sizeof(*look));
    look->looking = looking;
    look->key = entry->key;
    look->mark = (struct ledger_mark){.scope = scope,
                                      .key = {entry->key->bytes, entry->key->len},
                                      .topic = slice_of(redrive_table_name(
                                          redrive_scan_table(looking->scan), entry->origin_topic)),
                                      .partition = entry->origin_partition,
                                      .done = looked,
                                      .arg = look};
    looking->left++;
    ledger_join(looking->task.ledger, &look->mark);
}

void redrive_ahead_look(const struct config *config, struct redrive_scan *scan,
                        struct redrive_ahead *out)
{
    const struct redrive_list *list = redrive_scan_list(scan);
    struct looking looking = {.out = out, .config = config, .scan = scan};
    struct err err = {0};
    bool ok = redis_task_init(&looking.task, config, &err);
    for (size_t i = 0; ok && i < list->count; i++)
        ask(&looking, list->items[i]);
    looking.all_asked = true;
    looking.task.done = looking.left == 0;
    if (ok && !redis_task_wait(&looking.task, TIMEOUT_MS, &err))
        snprintf(out->why, sizeof(out->why), "%.280s", err.text);
    else if (!ok)
        snprintf(out->why, sizeof(out->why), "%.280s", err.text);
    if (ok)
        redis_task_deinit(&looking.task); /* what is not answered is unknown */
    else
        out->unknown = list->count;
    for (size_t i = 0; i < looking.scope_count; i++) {
        if (looking.scopes[i].scope)
            ledger_scope_free(&looking.scopes[i].scope);
    }
    mem_free(looking.scopes);
}
