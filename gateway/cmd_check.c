/*
 * oncegate check [--connect]: the configuration, and what follows from it. Problems go to stderr,
 * exit 78; where there are none, the effective tables go to stdout. With -o json one object with
 * the problems goes to stdout instead.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli.h"
#include "config/problems.h"
#include "kafka/admin.h"

/* check_connect.c; absent in a build without it. */
int check_connect(const struct config *config, struct cli *cli) __attribute__((weak));

static void print_derived(const char *role, char *name)
{
    printf("    %-13s %s\n", role, name);
    mem_free(name);
}

static void print_topics(const struct route_config *route)
{
    char role[STR_DURATION_MAX + 16];
    char delay[STR_DURATION_MAX];

    for (size_t i = 0; i < route->topic_count; i++) {
        const char *topic = route->topics[i];
        printf("  %s\n", topic);
        for (size_t t = 0; t < route->retry.tier_count; t++) {
            str_from_duration_ms(route->retry.tiers_ms[t], delay);
            snprintf(role, sizeof(role), "retry %s", delay);
            print_derived(role, config_tier_topic(route, topic, route->retry.tiers_ms[t]));
        }
        print_derived("redrive", config_redrive_topic(route, topic));
        print_derived("dead letters", config_dlq_topic(route, topic));
        if (route->dedup.rebuild_from == REBUILD_FROM_TOPIC)
            print_derived("marks", config_marks_topic(route, topic));
    }
    puts("  of the group");
    print_derived("letter states", config_dlq_state_topic(route));
    print_derived("redrive jobs", config_dlq_jobs_topic(route));
    print_derived("audit", config_audit_topic(route));
}

static void print_route(const struct route_config *route)
{
    struct buf rules = {0};

    printf("route %s (group %s)\n", route->name, route->group);
    print_topics(route);
    config_show_classify(route, &rules);
    printf("  answers, first match wins:\n%s\n", rules.data ? rules.data : "");
    buf_deinit(&rules);
}

static void print_json(const char *file, const struct config_problems *problems, bool ok)
{
    struct buf out = {0};

    buf_add_text(&out, "{\"file\": ");
    buf_add_json(&out, slice_of(file));
    buf_printf(&out, ", \"ok\": %s, \"problems\": [", ok ? "true" : "false");
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->items[i];
        buf_printf(&out,
                   "%s{\"level\": \"%s\", \"line\": %u, \"column\": %u, \"path\": ", i ? ", " : "",
                   problem->warning ? "warning" : "error", problem->line, problem->column);
        buf_add_json(&out, slice_of(problem->path));
        buf_add_text(&out, ", \"text\": ");
        buf_add_json(&out, slice_of(problem->text));
        buf_add_char(&out, '}');
    }
    buf_add_text(&out, "]}");
    puts(out.data);
    buf_deinit(&out);
}

static void print_problems(const char *file, const struct config_problems *problems)
{
    struct buf out = {0};

    config_problems_print(problems, file, &out);
    if (out.len)
        fputs(out.data, stderr);
    buf_deinit(&out);
}

/* "name: what" */
static void add_kafka_problem(const struct properties *props, const char *path, const char *text,
                              size_t len, struct config_problems *problems)
{
    const struct property *found = NULL;

    for (size_t i = 0; i < props->count; i++) {
        size_t name_len = strlen(props->items[i].name);
        if (len > name_len && text[name_len] == ':' &&
            memcmp(text, props->items[i].name, name_len) == 0)
            found = &props->items[i];
    }
    if (found) {
        size_t skip = strlen(found->name) + 1;
        skip += len > skip && text[skip] == ' ';
        problems_add(problems, false, found->line, found->column,
                     mem_printf("%s.%s", path, found->name), "%.*s", (int)(len - skip),
                     text + skip);
    } else {
        problems_add(problems, false, 0, 0, mem_strdup(path), "%.*s", (int)len, text);
    }
}

/* What librdkafka says about names and values, which the configuration's own table does not know.
 */
static void check_properties(const struct properties *props, const char *path,
                             struct config_problems *problems)
{
    char *text = kafka_check_properties(props, path);

    for (const char *line = text; line && *line;) {
        size_t len = strcspn(line, "\n");
        add_kafka_problem(props, path, line, len, problems);
        line += len + (line[len] == '\n');
    }
    mem_free(text);
}

/* Loads and asks librdkafka too. */
static struct config *load(const char *file, struct config_problems *problems, struct err *err)
{
    struct config *config = config_load(file, problems, err);

    if (!config)
        return NULL;
    check_properties(&config->kafka, "kafka", problems);
    check_properties(&config->kafka_consumer, "kafka.consumer", problems);
    check_properties(&config->kafka_producer, "kafka.producer", problems);
    problems_sort(problems);
    size_t errors = problems_errors(problems);
    if (errors) {
        err_set(err, ERR_CONFIG, "%s: %zu error%s", file, errors, errors == 1 ? "" : "s");
        config_free(&config);
    }
    return config;
}

static int check(struct cli *cli, bool connect)
{
    const char *file = config_file(cli->config_file);
    bool json = cli->output && strcmp(cli->output, "table") != 0;
    struct config_problems problems = {0};
    struct err err = {0};
    struct config *config = load(file, &problems, &err);
    int code = EXIT_OK;

    if (json && (config || problems.count))
        print_json(file, &problems, config != NULL);
    else
        print_problems(file, &problems);
    if (!config)
        code = cli_fail(&err);
    for (size_t i = 0; config && !json && i < config->route_count; i++)
        print_route(&config->routes[i]);
    if (config && !json)
        puts("configuration ok");
    if (config && connect) {
        fflush(stdout);
        code = check_connect(config, cli);
    }
    config_problems_free(&problems);
    config_free(&config);
    return code;
}

int cmd_check(struct cli *cli)
{
    bool connect = cli_flag(cli, "--connect");

    if (cli->argc > 0)
        return cli_usage("check", "nothing is expected behind check (a file is given by -c): %s",
                         cli->argv[0]);
    if (connect && !check_connect)
        return cli_usage("check", "--connect: not in this version");
    return check(cli, connect);
}
