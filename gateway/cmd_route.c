/* oncegate route pause|resume: a person's hold, kept in Redis. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "redis_task.h"

#define TIMEOUT_MS 5000

static int set_hold(const struct config *config, const char *route, bool held, const char *by)
{
    struct redis_task task;
    struct err err = {0};
    bool ok;
    if (!redis_task_init(&task, config, &err))
        return cli_fail(&err);
    ledger_set_hold(task.ledger, route, held, by, redis_task_done, &task);
    ok = redis_task_wait(&task, TIMEOUT_MS, &err);
    redis_task_deinit(&task);
    if (!ok)
        return cli_fail(&err);
    fprintf(stderr, "%s %s; every instance sees it within a second\n", route,
            held ? "is paused" : "goes on");
    return EXIT_OK;
}

int cmd_route(struct cli *cli)
{
    const char *reason = cli_option(cli, "--reason");
    struct config *config;
    char by[160];
    int code = EXIT_OK;
    bool held;
    if (cli->argc > 0 && strcmp(cli->argv[0], "skip") == 0)
        return cli_usage("route", "route skip: not in this version");
    if (cli->argc != 2 ||
        (strcmp(cli->argv[0], "pause") != 0 && strcmp(cli->argv[0], "resume") != 0))
        return cli_usage("route", "route takes pause ROUTE or resume ROUTE");
    held = strcmp(cli->argv[0], "pause") == 0;
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    if (!config_find_route(config, cli->argv[1])) {
        config_free(&config);
        return cli_usage("route", "no such route: %s", cli->argv[1]);
    }
    snprintf(by, sizeof(by), "paused by uid %u%s%s", (unsigned)getuid(), reason ? ": " : "",
             reason ? reason : "");
    code = set_hold(config, cli->argv[1], held, by);
    config_free(&config);
    return code;
}
