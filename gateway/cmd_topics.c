/* oncegate topics plan|apply */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli.h"
#include "topic_plan.h"

#define TIMEOUT_MS      15000
#define SOURCE_GRACE_MS 3000

static const char *action_name(enum plan_action action)
{
    static const char *const names[] = {"ok", "create", "differs", "source-missing"};
    return names[action];
}

static void print_json(const struct plan *plan)
{
    struct buf out = {0};
    buf_add_char(&out, '[');
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        buf_printf(&out, "%s{\"action\":\"%s\",\"route\":", i > 0 ? "," : "",
                   action_name(item->action));
        buf_add_json(&out, slice_of(item->route));
        buf_add_text(&out, ",\"topic\":");
        buf_add_json(&out, slice_of(item->topic));
        buf_printf(&out, ",\"kind\":\"%s\",\"partitions\":%d,\"replication\":%d,\"settings\":{",
                   item->kind, (int)item->partitions, (int)item->replication);
        for (size_t s = 0; s < item->setting_count; s++)
            buf_printf(&out, "%s\"%s\":\"%s\"", s > 0 ? "," : "", item->settings[s].name,
                       item->settings[s].value);
        buf_add_text(&out, "},\"differs\":");
        buf_add_json(&out, slice_of(item->differs.len > 0 ? item->differs.data : ""));
        buf_add_char(&out, '}');
    }
    buf_add_text(&out, "]\n");
    fwrite(out.data, 1, out.len, stdout);
    buf_deinit(&out);
}

static void print_differs(const struct plan_item *item)
{
    const char *line = item->differs.data;
    while (line && *line) {
        const char *end = strchr(line, '\n');
        printf("      %.*s\n", (int)(end - line), line);
        line = end + 1;
    }
}

static void print_table(const struct plan *plan)
{
    static const char marks[] = {'=', '+', '~', '!'};
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        printf("  %c %-7s %s  (%d partitions, replication %d)%s\n", marks[item->action], item->kind,
               item->topic, (int)item->partitions, (int)item->replication,
               item->action == PLAN_SOURCE_MISSING ? "  source topic does not exist" : "");
        if (item->action == PLAN_CREATE) {
            for (size_t s = 0; s < item->setting_count; s++)
                printf("      %s=%s\n", item->settings[s].name, item->settings[s].value);
        }
        print_differs(item);
    }
    printf("%zu to create, %zu that differ, %zu source topics missing\n", plan->create,
           plan->differ, plan->missing);
}

/* Created is not yet seen: brokers learn of a topic a moment later. */
static bool await_topics(const struct config *config, struct err *err)
{
    uint64_t limit = clock_mono_ns() + TIMEOUT_MS * NS_PER_MS;
    for (;;) {
        struct plan plan;
        bool ok = plan_make(config, 0, TIMEOUT_MS, &plan, err);
        bool all = ok && plan.create == 0;
        plan_free(&plan);
        if (!ok || all)
            return ok;
        if (clock_mono_ns() > limit)
            return err_set_retriable(
                err, ERR_AGAIN, "the topics were created, and the brokers do not show them yet");
    }
}

static int apply(const struct config *config, const struct plan *plan)
{
    struct err err = {0};
    if (plan->create > 0 && !plan_apply(config, plan, TIMEOUT_MS, &err))
        return cli_fail(&err);
    if (plan->create > 0 && !await_topics(config, &err))
        return cli_fail(&err);
    fprintf(stderr, "created %zu topics\n", plan->create);
    if (plan->differ > 0)
        fprintf(stderr,
                "%zu topics differ and were not changed: mend them with kafka-configs.sh, or "
                "recreate them when they are empty\n",
                plan->differ);
    if (plan->missing == 0)
        return EXIT_OK;
    fprintf(stderr, "oncegate: %zu source topics do not exist: create them, they are yours\n",
            plan->missing);
    return EXIT_CONFIG;
}

/* A source topic that was made a moment ago may not be in every broker's metadata yet. */
static bool make_plan(const struct config *config, int32_t replication, struct plan *plan,
                      struct err *err)
{
    uint64_t limit = clock_mono_ns() + SOURCE_GRACE_MS * NS_PER_MS;
    while (plan_make(config, replication, TIMEOUT_MS, plan, err)) {
        if (plan->missing == 0 || clock_mono_ns() > limit)
            return true;
        plan_free(plan);
    }
    return false;
}

int cmd_topics(struct cli *cli)
{
    bool detailed = cli_flag(cli, "--detailed-exitcode");
    const char *replication_text = cli_option(cli, "--replication");
    uint64_t replication = 0;
    struct config *config;
    struct plan plan;
    struct err err = {0};
    int code = EXIT_OK;
    bool applying;
    if (cli->argc != 1 || (strcmp(cli->argv[0], "plan") != 0 && strcmp(cli->argv[0], "apply") != 0))
        return cli_usage("topics", "topics takes plan or apply");
    applying = strcmp(cli->argv[0], "apply") == 0;
    if (replication_text && (!str_to_u64(slice_of(replication_text), &replication) ||
                             replication == 0 || replication > 32))
        return cli_usage("topics", "--replication takes a number from 1 to 32");
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    if (make_plan(config, (int32_t)replication, &plan, &err)) {
        if (cli->output && strcmp(cli->output, "table") != 0)
            print_json(&plan);
        else
            print_table(&plan);
        if (applying)
            code = apply(config, &plan);
        else if (detailed && plan.create + plan.differ + plan.missing > 0)
            code = EXIT_DIFFERS;
    } else {
        code = cli_fail(&err);
    }
    plan_free(&plan);
    config_free(&config);
    return code;
}
