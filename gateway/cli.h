/* What every command gets, and what the commands share. One file per command, each with one entry;
 * the table of them is in commands.h. */
#ifndef OG_GATEWAY_CLI_H
#define OG_GATEWAY_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/config.h"

#define EXIT_OK      0
#define EXIT_FAIL    1
#define EXIT_DIFFERS 2
#define EXIT_PARTLY  3 /* finished with failures */
#define EXIT_USAGE   64
#define EXIT_INPUT   65
#define EXIT_IO      74
#define EXIT_CONFIG  78

/* An option of the command line. */
struct cli_given {
    const char *name;  /* with its dashes */
    const char *value; /* NULL: a flag */
    bool taken;
};

struct cli {
    const char *program;     /* argv[0] of the process */
    const char *config_file; /* -c, or NULL */
    int argc;                /* the command's verb, where it has verbs, and its operands */
    char **argv;
    struct cli_given *given; /* its options, by the table of commands */
    size_t given_count;
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
int cmd_console(struct cli *cli);
int cmd_version(struct cli *cli);
int cmd_demo(struct cli *cli);
int cmd_dlq(struct cli *cli);
int cmd_redrive(struct cli *cli);
int cmd_audit(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_manual(struct cli *cli);

/* Loads the configuration; prints its problems to stderr. NULL: the exit code is in *code. */
struct config *cli_load_config(struct cli *cli, int *code);
/* Prints "oncegate: <text>" to stderr and returns the exit code of the error. */
int cli_fail(const struct err *err);
/* Prints a usage error with the command's help line; returns EXIT_USAGE. */
int cli_usage(const char *command, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Takes "--name" out of the command's options; true if it was there. */
bool cli_flag(struct cli *cli, const char *name);
/* Takes the value of "--name VALUE" or "--name=VALUE" out; NULL if it is not there. Of one that may
 * be repeated the next. */
const char *cli_option(struct cli *cli, const char *name);

#endif
