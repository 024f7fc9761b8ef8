/* oncegate ledger get|reset|release|adopt: one key's state in words, and mending. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli.h"
#include "ledger_key.h"
#include "redis_task.h"
#include "topic_plan.h"

#define TIMEOUT_MS 5000

struct request {
    struct redis_task task;
    struct buf text;
    bool found;
    uint32_t released;
    int32_t partitions;
    enum ledger_topic topic;
};

static void described(void *arg, bool found, const struct err *err)
{
    struct request *request = arg;
    request->found = found;
    redis_task_done(&request->task, err);
}

static void released(void *arg, uint32_t count, const struct err *err)
{
    struct request *request = arg;
    request->released = count;
    redis_task_done(&request->task, err);
}

enum key_verb { KEY_GET, KEY_RESET, KEY_RELEASE };

static void say(const struct request *request, enum key_verb verb)
{
    if (verb == KEY_GET)
        fputs(request->found ? request->text.data : "nothing is known of this key\n", stdout);
    else if (verb == KEY_RESET)
        fputs("forgotten: what is consumed of this key from now on counts as new\n", stderr);
    else if (request->released == 0)
        fputs("no dead letter blocks this key\n", stderr);
    else
        fprintf(stderr,
                "released: %u dead letters blocked this key; what waits behind them goes on\n",
                (unsigned)request->released);
}

static int on_key(const struct config *config, const struct route_config *route, const char *topic,
                  const char *key, enum key_verb verb)
{
    struct request request = {0};
    struct ledger_scope *scope;
    struct err err = {0};
    bool ok;
    if (!redis_task_init(&request.task, config, &err))
        return cli_fail(&err);
    scope = ledger_scope_of_route(request.task.ledger, route, topic);
    if (verb == KEY_RESET)
        ledger_reset(request.task.ledger, scope, slice_of(key), redis_task_done, &request.task);
    else if (verb == KEY_RELEASE)
        ledger_release_key(request.task.ledger, scope, slice_of(key), released, &request);
    else
        ledger_describe(request.task.ledger, scope, slice_of(key), &request.text, described,
                        &request);
    ok = redis_task_wait(&request.task, TIMEOUT_MS, &err);
    redis_task_deinit(&request.task);
    ledger_scope_free(&scope);
    if (ok)
        say(&request, verb);
    buf_deinit(&request.text);
    return ok ? EXIT_OK : cli_fail(&err);
}

static void adopt_one(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct request *request = arg;
    request->task.done = true;
    if (err)
        request->task.err = *err;
    else if (count == 1 && topics[0].exists)
        buf_add_text(&request->text, topics[0].uuid);
    if (!err && count == 1)
        request->partitions = topics[0].partitions;
}

static void topic_met(void *arg, enum ledger_topic found, const struct err *err)
{
    struct request *request = arg;
    request->topic = found;
    redis_task_done(&request->task, err);
}

/* The identifier last: gateways that wait for it find the rest done. */
static bool adopt_in_ledger(struct request *request, const char *group, const char *topic,
                            struct err *err)
{
    struct ledger *ledger = request->task.ledger;
    const char *uuid = request->text.data;
    request->task.done = false;
    ledger_meet_topic(ledger, group, topic, uuid, topic_met, request);
    if (!redis_task_wait(&request->task, TIMEOUT_MS, err))
        return false;
    request->task.done = false;
    if (request->topic == LEDGER_TOPIC_OTHER)
        ledger_add_adoption(ledger, group, topic, NULL, NULL);
    ledger_forget_partitions(ledger, group, topic, request->partitions, NULL, NULL);
    ledger_adopt_topic(ledger, group, topic, uuid, redis_task_done, &request->task);
    return redis_task_wait(&request->task, TIMEOUT_MS, err);
}

static int adopt(const struct config *config, const struct route_config *route, const char *topic)
{
    struct request request = {0};
    struct err err = {0};
    struct kafka_admin *admin;
    bool ok;
    if (!redis_task_init(&request.task, config, &err))
        return cli_fail(&err);
    admin = kafka_admin_new(request.task.loop, config, &err);
    ok = admin != NULL;
    if (ok) {
        kafka_admin_describe(admin, &topic, 1, false, adopt_one, &request);
        ok = redis_task_wait(&request.task, 3 * TIMEOUT_MS, &err);
        kafka_admin_free(&admin);
    }
    if (ok && request.text.len == 0)
        ok = err_set(&err, ERR_CONFIG, "no such topic: %s", topic);
    ok = ok && adopt_in_ledger(&request, route->group, topic, &err);
    redis_task_deinit(&request.task);
    buf_deinit(&request.text);
    if (!ok)
        return cli_fail(&err);
    fprintf(
        stderr,
        "%s is taken as it is now: where the group has no offset in it, it begins at the earliest; "
        "gateways that wait for this go on within seconds\n",
        topic);
    return EXIT_OK;
}

static int with_route(struct cli *cli, const struct config *config)
{
    const struct route_config *route = config_find_route(config, cli->argv[1]);
    const char *verb = cli->argv[0];
    if (!route)
        return cli_usage("ledger", "no such route: %s", cli->argv[1]);
    if (strcmp(verb, "get") == 0 && cli->argc == 4)
        return on_key(config, route, cli->argv[2], cli->argv[3], KEY_GET);
    if (strcmp(verb, "reset") == 0 && cli->argc == 4) {
        if (!cli->yes)
            return cli_usage("ledger",
                             "ledger reset forgets what is done and parked of the key; say --yes");
        return on_key(config, route, cli->argv[2], cli->argv[3], KEY_RESET);
    }
    if (strcmp(verb, "release") == 0 && cli->argc == 4) {
        if (!cli->yes)
            return cli_usage("ledger", "ledger release lets the key go on without the dead letter "
                                       "that blocks it; say --yes");
        return on_key(config, route, cli->argv[2], cli->argv[3], KEY_RELEASE);
    }
    if (strcmp(verb, "adopt") == 0 && cli->argc == 3)
        return adopt(config, route, cli->argv[2]);
    return cli_usage("ledger",
                     "ledger takes get|reset|release ROUTE TOPIC KEY or adopt ROUTE TOPIC");
}

int cmd_ledger(struct cli *cli)
{
    struct config *config;
    int code = EXIT_OK;
    if (cli->argc < 2)
        return cli_usage("ledger", "ledger takes get, reset, release or adopt");
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    code = with_route(cli, config);
    config_free(&config);
    return code;
}
