/* Helpers that the commands share; see cli.h. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

struct config *cli_load_config(struct cli *cli, int *code)
{
    struct config_problems problems = {0};
    struct err err = {0};
    const char *file = config_file(cli->config_file);
    struct config *config = config_load(file, &problems, &err);
    struct buf out = {0};
    config_problems_print(&problems, file, &out);
    if (out.len > 0)
        fputs(out.data, stderr);
    buf_deinit(&out);
    config_problems_free(&problems);
    if (!config)
        *code = cli_fail(&err);
    return config;
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "oncegate: %s\n", err->text);
    return err_exit_code(err);
}

int cli_usage(const char *command, const char *fmt, ...)
{
    va_list ap;
    fputs("oncegate: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry `oncegate %s --help`.\n", command);
    return EXIT_USAGE;
}

static void take_out(struct cli *cli, int at, int count)
{
    for (int i = at; i + count < cli->argc; i++)
        cli->argv[i] = cli->argv[i + count];
    cli->argc -= count;
}

bool cli_flag(struct cli *cli, const char *name)
{
    for (int i = 0; i < cli->argc; i++) {
        if (strcmp(cli->argv[i], name) == 0) {
            take_out(cli, i, 1);
            return true;
        }
    }
    return false;
}

const char *cli_option(struct cli *cli, const char *name)
{
    size_t len = strlen(name);
    for (int i = 0; i < cli->argc; i++) {
        const char *value = NULL;
        if (strncmp(cli->argv[i], name, len) != 0)
            continue;
        if (cli->argv[i][len] == '=') {
            value = cli->argv[i] + len + 1;
            take_out(cli, i, 1);
        } else if (cli->argv[i][len] == '\0' && i + 1 < cli->argc) {
            value = cli->argv[i + 1];
            take_out(cli, i, 2);
        }
        if (value)
            return value;
    }
    return NULL;
}

const char *cli_unknown(const struct cli *cli)
{
    for (int i = 0; i < cli->argc; i++) {
        if (cli->argv[i][0] == '-' && cli->argv[i][1] != '\0')
            return cli->argv[i];
    }
    return NULL;
}
