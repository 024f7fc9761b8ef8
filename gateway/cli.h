/* The command line: what every command gets, and the table of commands. One file per command, each
 * with one entry. */
#ifndef OG_GATEWAY_CLI_H
#define OG_GATEWAY_CLI_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/config.h"

#define EXIT_OK      0
#define EXIT_FAIL    1
#define EXIT_DIFFERS 2
#define EXIT_USAGE   64
#define EXIT_CONFIG  78

struct cli {
    const char *program;     /* argv[0] of the process */
    const char *config_file; /* -c, or NULL */
    int argc; /* operands and options of the command, the command's own name not among them */
    char **argv;
    const char *output; /* -o: "table", "json", "jsonl"; NULL: not given */
    bool yes;           /* --yes */
    bool color;         /* stdout is a terminal and NO_COLOR is not set */
};

int cmd_run(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_config(struct cli *cli);
int cmd_topics(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_route(struct cli *cli);
int cmd_ledger(struct cli *cli);
int cmd_version(struct cli *cli);
int cmd_demo(struct cli *cli);

/* Loads the configuration; prints its problems to stderr. NULL: the exit code is in *code. */
struct config *cli_load_config(struct cli *cli, int *code);
/* Prints "oncegate: <text>" to stderr and returns the exit code of the error. */
int cli_fail(const struct err *err);
/* Prints a usage error with the command's help line; returns EXIT_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Takes "--name" out of the command's arguments; true if it was there. */
bool cli_flag(struct cli *cli, const char *name);
/* Takes "--name VALUE" or "--name=VALUE" out; NULL if it is not there. */
const char *cli_option(struct cli *cli, const char *name);
/* The first argument that begins with '-', or NULL: what no cli_flag or cli_option took. */
const char *cli_unknown(const struct cli *cli);

#endif
