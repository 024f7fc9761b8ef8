/*
 * oncegate <command> ...: reads the line by the table of commands and calls the command. Options
 * that every command knows (-c, -o, --yes, --help) may stand anywhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli.h"
#include "command_line.h"
#include "kafka/client_end.h"

#define LEAVE_MS 2000

/* Leaves behind the clients of brokers that do not answer. */
static int end_clients(int code)
{
    if (kafka_clients_wait(LEAVE_MS))
        return code;
    fflush(stdout);
    _exit(code);
}

static int print_help(const struct command_line *line, FILE *to)
{
    struct buf out = {0};
    command_help(line->command, line->verb, &out);
    fputs(out.data, to);
    buf_deinit(&out);
    return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static int run(struct cli *cli, const struct command_line *line)
{
    if (line->version)
        return cmd_version(cli);
    if (line->help && line->command && !line->command->run) {
        fprintf(stderr, "oncegate: %s: not in this version\n", line->command->name);
        return EXIT_USAGE;
    }
    if (!line->command || line->help)
        return print_help(line, line->help ? stdout : stderr);
    cli->config_file = cli_option(cli, "-c");
    if (!cli->config_file)
        cli->config_file = cli_option(cli, "--config");
    cli->output = cli_option(cli, "-o");
    cli->yes = cli_flag(cli, "--yes");
    cli->color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    return end_clients(line->command->run(cli));
}

int main(int argc, char **argv)
{
    struct cli cli = {.program = argv[0]};
    struct command_line line;
    int code = EXIT_USAGE;
    mem_map_large();
    if (command_line_read(&line, &cli, argc - 1, argv + 1))
        code = run(&cli, &line);
    command_line_free(&cli);
    return code;
}
