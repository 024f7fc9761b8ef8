/* Reads the command line by the table of commands (commands.h). */
#ifndef OG_GATEWAY_COMMAND_LINE_H
#define OG_GATEWAY_COMMAND_LINE_H

#include <stdbool.h>

#include "commands.h"

struct command_line {
    const struct command *command;   /* NULL: none was given */
    const struct command_verb *verb; /* NULL: none was given, or wrong with help asked for */
    bool help;                       /* --help: nothing else was looked at */
    bool version;                    /* --version */
};

/*
 * Fills line and cli (argv: operands alone, the verb first where the command has verbs; given: the
 * options). False where the line is wrong: that was said on stderr, with what was probably meant;
 * the exit code is EXIT_USAGE. command_line_free(cli) in both cases; texts are argv's own.
 */
bool command_line_read(struct command_line *line, struct cli *cli, int argc,
                       char **argv) MUST_CHECK;
void command_line_free(struct cli *cli);

#endif
