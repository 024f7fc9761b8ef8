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

static struct cli_given *take(struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->given_count; i++) {
        struct cli_given *given = &cli->given[i];
        if (given->taken || strcmp(given->name, name) != 0)
            continue;
        given->taken = true;
        return given;
    }
    return NULL;
}

bool cli_flag(struct cli *cli, const char *name)
{
    return take(cli, name) != NULL;
}

const char *cli_option(struct cli *cli, const char *name)
{
    const struct cli_given *given = take(cli, name);
    return given ? given->value : NULL;
}
