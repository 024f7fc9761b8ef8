/* One key of the ledger, as `ledger get` and `dlq show` ask for it. */
#include "ledger_key.h"

#include "redis_task.h"

struct asked {
    struct redis_task task;
    bool found;
};

static void described(void *arg, bool found, const struct err *err)
{
    struct asked *asked = arg;
    asked->found = found;
    redis_task_done(&asked->task, err);
}

bool ledger_key_words(const struct config *config, const struct route_config *route,
                      const char *topic, struct slice key, int64_t timeout_ms, struct buf *words,
                      bool *found, struct err *err)
{
    struct asked asked = {0};
    struct ledger_scope *scope;
    bool ok;
    if (!redis_task_init(&asked.task, config, err))
        return false;
    scope = ledger_scope_of_route(asked.task.ledger, route, topic);
    ledger_describe(asked.task.ledger, scope, key, words, described, &asked);
    ok = redis_task_wait(&asked.task, timeout_ms, err);
    redis_task_deinit(&asked.task);
    ledger_scope_free(&scope);
    *found = ok && asked.found;
    return ok;
}
