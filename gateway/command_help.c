/*
 * `--help` and manual pages, from the table of commands. What has no help text is shown nowhere.
 */
#include "commands.h"

#include <string.h>

#include "base/version.h"

#define COLUMN 24

static const char EXIT_CODES[] =
    "0 ok, 1 failure, 2 the plan differs, 3 finished with failures, 64 usage, 65 bad input data, "
    "66 no such file, 69 unavailable, 70 internal, 74 spool or disk, 75 try again, 77 denied, 78 "
    "bad configuration.";

static void add_row(struct buf *out, const char *name, const char *value, const char *help)
{
    size_t start = out->len;
    buf_printf(out, "  %s%s%s", name, value && *value ? " " : "", value ? value : "");
    if (out->len - start >= COLUMN) {
        buf_add_char(out, '\n');
        start = out->len;
    }
    buf_printf(out, "%*s%s\n", (int)(COLUMN - (out->len - start)), "", help);
}

static void add_options(struct buf *out, const char *title, const struct command_option *options)
{
    bool any = false;
    for (const struct command_option *it = options; it && it->name; it++) {
        if (!it->help)
            continue;
        if (!any)
            buf_printf(out, "\n%s\n", title);
        any = true;
        add_row(out, it->name, it->value, it->help);
    }
}

void command_synopsis(const struct command *command, const struct command_verb *verb,
                      struct buf *out)
{
    buf_printf(out, "oncegate %s", command->name);
    if (!verb) {
        buf_add_text(out, " VERB [options]");
        return;
    }
    if (verb->name[0])
        buf_printf(out, " %s", verb->name);
    if (verb->operands && verb->operands[0])
        buf_printf(out, " %s", verb->operands);
    buf_add_text(out, " [options]");
}

static void add_program(struct buf *out)
{
    buf_printf(out, "oncegate %s: a consumer gateway for Kafka\n\n", ONCEGATE_VERSION);
    buf_add_text(out, "Usage: oncegate COMMAND [options]\n\n");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (it->run && it->help)
            buf_printf(out, "  %-10s %s\n", it->name, it->help);
    }
    add_options(out, "Options of all commands:", COMMON_OPTIONS);
    buf_printf(out, "\nExit codes: %s\n", EXIT_CODES);
}

void command_help(const struct command *command, const struct command_verb *verb, struct buf *out)
{
    if (!command) {
        add_program(out);
        return;
    }
    buf_add_text(out, "Usage: ");
    command_synopsis(command, verb, out);
    buf_printf(out, "\n\n%s\n", verb && verb->help ? verb->help : command->help);
    if (!verb) {
        buf_add_text(out, "\nVerbs:\n");
        for (const struct command_verb *it = command->verbs; it->name; it++) {
            if (it->help && !it->later)
                add_row(out, it->name, it->operands, it->help);
        }
        buf_printf(out, "\n`oncegate %s VERB --help` has the options of a verb.\n", command->name);
    } else {
        add_options(out, "Options:", verb->options);
        if (verb->more)
            buf_printf(out, "\n%s\n", verb->more);
    }
    add_options(out, "Options of all commands:", COMMON_OPTIONS);
}

/* Text in roff: nothing of it is taken for a request or an escape. */
static void add_roff(struct buf *out, const char *text)
{
    bool first = true;
    for (; *text; text++) {
        if (first && (*text == '.' || *text == '\''))
            buf_add_text(out, "\\&");
        if (*text == '\\')
            buf_add_text(out, "\\e");
        else if (*text == '-')
            buf_add_text(out, "\\-");
        else
            buf_add_char(out, *text);
        first = *text == '\n';
    }
}

static void add_roff_options(struct buf *out, const struct command_option *options)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        if (!it->help)
            continue;
        buf_add_text(out, ".TP\n\\fB");
        add_roff(out, it->name);
        buf_add_text(out, "\\fR");
        if (it->value) {
            buf_add_text(out, " \\fI");
            add_roff(out, it->value);
            buf_add_text(out, "\\fR");
        }
        buf_add_char(out, '\n');
        add_roff(out, it->help);
        buf_add_char(out, '\n');
    }
}

static void add_roff_verb(struct buf *out, const struct command *command,
                          const struct command_verb *verb)
{
    struct buf synopsis = {0};
    command_synopsis(command, verb, &synopsis);
    buf_add_text(out, ".SS ");
    add_roff(out, synopsis.data);
    buf_add_char(out, '\n');
    add_roff(out, verb->help);
    buf_add_text(out, ".\n");
    add_roff_options(out, verb->options);
    if (verb->more) {
        buf_add_text(out, ".PP\n");
        add_roff(out, verb->more);
        buf_add_char(out, '\n');
    }
    buf_deinit(&synopsis);
}

static void add_roff_title(struct buf *out, const char *name, const char *help)
{
    buf_add_text(out, ".TH ONCEGATE");
    if (name[0])
        buf_add_text(out, "\\-");
    for (const char *at = name; *at; at++)
        buf_add_char(out, *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at);
    buf_printf(out, " 1 \"\" \"oncegate %s\" \"oncegate\"\n.SH NAME\noncegate%s%s \\- ",
               ONCEGATE_VERSION, name[0] ? "\\-" : "", name);
    add_roff(out, help);
    buf_add_text(out, "\n.SH SYNOPSIS\n");
}

static void add_roff_end(struct buf *out)
{
    buf_add_text(out, ".SH OPTIONS OF ALL COMMANDS\n");
    add_roff_options(out, COMMON_OPTIONS);
    buf_add_text(out, ".SH EXIT STATUS\n");
    add_roff(out, EXIT_CODES);
    buf_add_char(out, '\n');
}

static void add_roff_program(struct buf *out)
{
    add_roff_title(out, "", "a consumer gateway for Kafka");
    buf_add_text(out, "\\fBoncegate\\fR \\fICOMMAND\\fR [options]\n.SH COMMANDS\n");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (!it->run || !it->help)
            continue;
        buf_printf(out, ".TP\n\\fBoncegate\\-%s\\fR(1)\n", it->name);
        add_roff(out, it->help);
        buf_add_char(out, '\n');
    }
    add_roff_end(out);
}

void command_manual(const struct command *command, struct buf *out)
{
    if (!command) {
        add_roff_program(out);
        return;
    }
    add_roff_title(out, command->name, command->help);
    buf_printf(out, "\\fBoncegate %s\\fR%s\n.SH %s\n", command->name,
               command_has_verbs(command) ? " \\fIVERB\\fR [options]" : " [options]",
               command_has_verbs(command) ? "VERBS" : "DESCRIPTION");
    for (const struct command_verb *it = command->verbs; it->name; it++) {
        if (it->help && !it->later)
            add_roff_verb(out, command, it);
    }
    add_roff_end(out);
    buf_add_text(out, ".SH SEE ALSO\n.BR oncegate (1)\n");
}
