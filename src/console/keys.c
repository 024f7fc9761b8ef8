/*
 * The ledger's words on one key, for the console. Connects when first asked. Redis that is away is
 * waited for by the ledger, and a person is not: after a time the question is answered so, and what
 * the ledger still says of it goes nowhere.
 */
#include <string.h>

#include "base/mem.h"
#include "console/console_parts.h"
#include "ledger/ledger.h"

#define TIMEOUT_MS 5000
#define OPEN_MAX   64

struct keys {
    struct loop *loop;
    const struct config *config;
    struct ledger *ledger; /* NULL: not asked yet */
    size_t open;
};

struct question {
    struct keys *keys;
    struct ledger_scope *scope;
    struct loop_timer timer;
    struct buf words;
    bool told;
    void (*done)(void *arg, bool found, const struct buf *words, const struct err *err);
    void *arg;
};

static void tell(struct question *question, bool found, const struct err *err)
{
    if (question->told)
        return;
    question->told = true;
    loop_timer_cancel(&question->timer);
    question->done(question->arg, found, &question->words, err);
}

static void described(void *arg, bool found, const struct err *err)
{
    struct question *question = arg;
    tell(question, found, err);
    question->keys->open--;
    loop_timer_deinit(&question->timer);
    ledger_scope_free(&question->scope);
    buf_deinit(&question->words);
    mem_free(question);
}

static void too_late(void *arg)
{
    struct question *question = arg;
    struct err err = {0};
    (void)err_set_retriable(&err, ERR_UNAVAILABLE, "Redis does not answer: %s",
                            ledger_why_down(question->keys->ledger));
    tell(question, false, &err);
}

struct keys *keys_new(struct loop *loop, const struct config *config)
{
    struct keys *keys = mem_zalloc(sizeof(*keys));
    keys->loop = loop;
    keys->config = config;
    return keys;
}

void keys_free(struct keys **keys)
{
    if (!*keys)
        return;
    ledger_free(&(*keys)->ledger); /* every question gets its done */
    mem_free(*keys);
    *keys = NULL;
}

struct ledger *keys_ledger(struct keys *keys, struct err *err)
{
    struct ledger_events events = {0};
    if (!keys->ledger)
        keys->ledger = ledger_new(keys->loop, &keys->config->redis, &events, NULL, err);
    return keys->ledger;
}

void keys_ask(struct keys *keys, const struct route_config *route, const char *topic,
              struct slice key,
              void (*done)(void *arg, bool found, const struct buf *words, const struct err *err),
              void *arg)
{
    struct question *question;
    struct err err = {0};
    if (keys_ledger(keys, &err) && keys->open >= OPEN_MAX)
        (void)err_set_retriable(&err, ERR_AGAIN, "too many keys are being asked for: try again");
    if (err.code) {
        done(arg, false, NULL, &err);
        return;
    }
    question = mem_zalloc(sizeof(*question));
    question->keys = keys;
    question->done = done;
    question->arg = arg;
    question->scope = ledger_scope_of_route(keys->ledger, route, topic);
    keys->open++;
    loop_timer_init(&question->timer, keys->loop, too_late, question);
    loop_timer_set_ms(&question->timer, TIMEOUT_MS);
    ledger_describe(keys->ledger, question->scope, key, &question->words, described, question);
}
