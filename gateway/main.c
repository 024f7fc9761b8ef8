/*
 * oncegate <command> ...: finds the command and calls it. Options that every command knows (-c, -o,
 * --yes, --help) may stand anywhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "cli.h"
#include "kafka/client_end.h"

#define LEAVE_MS 2000

struct command {
    const char *name;
    int (*run)(struct cli *cli); /* NULL: a command of a later release */
    const char *usage;
    const char *help;
};

static const struct command COMMANDS[] = {
    {"run", cmd_run, "run [-c FILE]", "the gateway"},
    {"check", cmd_check, "check [--connect] [-c FILE]",
     "the configuration and its effective tables; --connect: brokers, topics, Redis, handler too"},
    {"config", cmd_config, "config schema | show | explain PATH",
     "JSON Schema, effective values, one key's meaning"},
    {"topics", cmd_topics, "topics plan [--detailed-exitcode] | apply [--replication N]",
     "the topics that the routes need, and what differs"},
    {"status", cmd_status, "status [ROUTE] [-o table|json]",
     "routes, partitions, lag, breaker, and why something waits"},
    {"route", cmd_route, "route pause ROUTE [--reason TEXT] | resume ROUTE",
     "a person's hold, kept in Redis, seen by all instances"},
    {"ledger", cmd_ledger, "ledger get|reset|release ROUTE TOPIC KEY | adopt ROUTE TOPIC",
     "one key's state in words; mending"},
    {"demo", cmd_demo, "demo [--kafka BOOTSTRAP | --mock] [--seconds N] [--keep] [--dir DIR]",
     "everything on embedded defaults, with traffic"},
    {"version", cmd_version, "version", "versions of the program and its libraries"},
    {"retry", NULL, NULL, NULL},
    {"offsets", NULL, NULL, NULL},
    {"doctor", NULL, NULL, NULL},
    {"dlq", NULL, NULL, NULL},
    {"redrive", NULL, NULL, NULL},
    {"console", NULL, NULL, NULL},
    {"audit", NULL, NULL, NULL},
    {"completion", NULL, NULL, NULL},
};
#define COMMAND_COUNT (sizeof(COMMANDS) / sizeof(*COMMANDS))

static void print_help(FILE *out)
{
    fprintf(out, "oncegate %s: a consumer gateway for Kafka\n\n", ONCEGATE_VERSION);
    fprintf(out, "Usage: oncegate <command> [options]\n\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (COMMANDS[i].run)
            fprintf(out, "  %-9s %s\n", COMMANDS[i].name, COMMANDS[i].help);
    }
    fprintf(out,
            "\nOptions of all commands:\n"
            "  -c FILE             configuration; else $ONCEGATE_CONFIG, else ./oncegate.yaml\n"
            "  -o table|json|jsonl output\n"
            "  --yes               for what cannot be undone: ledger reset and release\n"
            "  --help              of the command\n");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    }
    return NULL;
}

static bool known_output(const char *output)
{
    return !output || strcmp(output, "table") == 0 || strcmp(output, "json") == 0 ||
           strcmp(output, "jsonl") == 0;
}

/* Leaves behind the clients of brokers that do not answer. */
static int end_clients(int code)
{
    if (kafka_clients_wait(LEAVE_MS))
        return code;
    fflush(stdout);
    _exit(code);
}

int main(int argc, char **argv)
{
    struct cli cli = {.program = argv[0], .argc = argc - 1, .argv = argv + 1};
    const struct command *command;
    bool help;
    cli.config_file = cli_option(&cli, "-c");
    if (!cli.config_file)
        cli.config_file = cli_option(&cli, "--config");
    cli.output = cli_option(&cli, "-o");
    cli.yes = cli_flag(&cli, "--yes");
    help = cli_flag(&cli, "--help") || cli_flag(&cli, "-h");
    cli.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    if (cli.argc > 0 && strcmp(cli.argv[0], "--version") == 0)
        return cmd_version(&cli);
    if (cli.argc == 0 || strcmp(cli.argv[0], "help") == 0) {
        print_help(help || cli.argc > 0 ? stdout : stderr);
        return help || cli.argc > 0 ? EXIT_OK : EXIT_USAGE;
    }
    command = find_command(cli.argv[0]);
    if (!command) {
        fprintf(stderr, "oncegate: no such command: %s\nTry `oncegate --help`.\n", cli.argv[0]);
        return EXIT_USAGE;
    }
    if (!command->run) {
        fprintf(stderr, "oncegate: %s: not in this version\n", command->name);
        return EXIT_USAGE;
    }
    if (help) {
        printf("Usage: oncegate %s\n\n%s\n", command->usage, command->help);
        return EXIT_OK;
    }
    if (!known_output(cli.output))
        return cli_usage(command->name, "-o takes table, json or jsonl, not %s", cli.output);
    cli.argc--;
    cli.argv++;
    return end_clients(command->run(&cli));
}
