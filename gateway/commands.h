/*
 * The one table of commands: from it come the reading of the command line, `--help`, what is said
 * about a wrong word, shell completion and the manual pages. A command that stands in it without a
 * function is one of a later release.
 */
#ifndef OG_GATEWAY_COMMANDS_H
#define OG_GATEWAY_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "cli.h"

/* What the value of an option is, or an operand: for completion. */
enum word_kind {
    WORD_TEXT,
    WORD_NUMBER,
    WORD_FILE,
    WORD_DIR,
    WORD_CHOICE, /* one of command_option.choices, checked */
    WORD_TIME,
};

struct command_option {
    const char *name;    /* with its dashes; NULL ends a list */
    const char *value;   /* what stands for its value in the help, "N"; NULL: a flag */
    enum word_kind kind; /* of the value */
    const char *choices; /* "a|b|c", or NULL */
    const char *help;    /* NULL: not shown anywhere, and taken all the same */
    bool repeatable;
};

struct command_verb {
    const char *name;     /* "": the command has no verbs; NULL ends a list */
    const char *operands; /* "ROUTE [TOPIC] ID..."; NULL: the command looks for itself */
    const char *help;     /* one line; NULL: not shown anywhere, and taken all the same */
    const struct command_option *options; /* besides those of all commands; NULL: none */
    const char *more;                     /* paragraphs behind the options, or NULL */
    bool later;                           /* not in this version */
};

struct command {
    const char *name; /* NULL ends the list */
    int (*run)(
        struct cli *cli); /* NULL: a command of a later release; argv[0] is the verb, if any */
    const char *help;     /* one line; NULL: not shown anywhere, and taken all the same */
    const struct command_verb *verbs; /* never empty where run is not NULL */
};

extern const struct command COMMANDS[];
extern const struct command_option COMMON_OPTIONS[]; /* those of all commands */

/* NULL: none of that name. */
const struct command *command_find(const char *name);
const struct command_verb *command_find_verb(const struct command *command, const char *name);
const struct command_option *command_find_option(const struct command_option *options,
                                                 const char *name);
/* Whether its first argument is a verb. */
bool command_has_verbs(const struct command *command);

/* Which part of the help is asked for: of the program (command NULL), a command, a verb. */
void command_help(const struct command *command, const struct command_verb *verb, struct buf *out);
/* "oncegate dlq list [options] ..." */
void command_synopsis(const struct command *command, const struct command_verb *verb,
                      struct buf *out);
/* A manual page in roff: of the program (command NULL) or of a command. */
void command_manual(const struct command *command, struct buf *out);

#endif
