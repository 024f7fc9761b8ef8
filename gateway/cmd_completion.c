/*
 * oncegate completion bash|zsh|fish: what the shell sources, from the table of commands. Texts of
 * the table are quoted for the shell, never pasted.
 */
#include <stdio.h>
#include <string.h>

#include "commands.h"

/* In single quotes, which end nothing but at a quote. */
static void add_quoted(struct buf *out, const char *text)
{
    buf_add_char(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_add_text(out, "'\\''");
        else
            buf_add_char(out, *text);
    }
    buf_add_char(out, '\'');
}

static void add_choices(struct buf *out, const char *choices)
{
    for (; *choices; choices++)
        buf_add_char(out, *choices == '|' ? ' ' : *choices);
}

static bool is_shown(const struct command *command, const struct command_verb *verb)
{
    return command->run && command->help && verb->help && !verb->later;
}

static void each_verb(struct buf *out, void (*add)(struct buf *out, const struct command *command,
                                                   const struct command_verb *verb))
{
    for (const struct command *it = COMMANDS; it->name; it++) {
        for (const struct command_verb *verb = it->verbs; verb && verb->name; verb++) {
            if (is_shown(it, verb))
                add(out, it, verb);
        }
    }
}

static void add_command_names(struct buf *out)
{
    const char *space = "";
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (!it->run || !it->help)
            continue;
        buf_printf(out, "%s%s", space, it->name);
        space = " ";
    }
}

static void add_verb_names(struct buf *out, const struct command *command)
{
    const char *space = "";
    for (const struct command_verb *it = command->verbs; it->name; it++) {
        if (!is_shown(command, it))
            continue;
        buf_printf(out, "%s%s", space, it->name);
        space = " ";
    }
}

static void add_option_names(struct buf *out, const struct command_option *options)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        if (it->help)
            buf_printf(out, "%s ", it->name);
    }
}

/* ---- bash ---- */

static void bash_value(struct buf *out, const char *where, const struct command_option *options)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        if (!it->value)
            continue;
        buf_printf(out, "        '%s %s') ", where, it->name);
        if (it->kind == WORD_CHOICE) {
            buf_add_text(out, "kind=words words='");
            add_choices(out, it->choices);
            buf_add_text(out, "'");
        } else {
            buf_printf(out, "kind=%s",
                       it->kind == WORD_FILE  ? "file"
                       : it->kind == WORD_DIR ? "dir"
                                              : "text");
        }
        buf_add_text(out, " ;;\n");
    }
}

static void bash_verb_values(struct buf *out, const struct command *command,
                             const struct command_verb *verb)
{
    char where[80];
    snprintf(where, sizeof(where), "%s %s", command->name, verb->name);
    bash_value(out, where, verb->options);
    bash_value(out, where, COMMON_OPTIONS);
}

static void bash_verb_words(struct buf *out, const struct command *command,
                            const struct command_verb *verb)
{
    buf_printf(out, "        '%s %s') words='", command->name, verb->name);
    add_option_names(out, verb->options);
    add_option_names(out, COMMON_OPTIONS);
    buf_printf(out, "' operands=%s ;;\n",
               verb->operands && strstr(verb->operands, "FILE")  ? "file"
               : verb->operands && strstr(verb->operands, "DIR") ? "dir"
                                                                 : "none");
}

static void bash_commands(struct buf *out)
{
    buf_add_text(out, "        ' ') words='");
    add_command_names(out);
    buf_add_char(out, ' ');
    add_option_names(out, COMMON_OPTIONS);
    buf_add_text(out, "' ;;\n");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (!it->run || !it->help || !command_has_verbs(it))
            continue;
        buf_printf(out, "        '%s ') words='", it->name);
        add_verb_names(out, it);
        buf_add_char(out, ' ');
        add_option_names(out, COMMON_OPTIONS);
        buf_add_text(out, "' ;;\n");
    }
}

static const char BASH_HEAD[] =
    "# completion for bash; source <(oncegate completion bash)\n"
    "_oncegate() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} command='' verb='' pending='' kind='' words=''\n"
    "    local operands=none i word\n"
    "    COMPREPLY=()\n"
    "    # An = is a word of its own here: --name=value is three.\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == = ]]; then continue; fi\n"
    "        if [[ -n $pending ]]; then pending=''; continue; fi\n"
    "        _oncegate_value \"$command $verb $word\"\n"
    "        if [[ -n $kind ]]; then pending=$word; kind=''; continue; fi\n"
    "        if [[ $word == -* ]]; then continue; fi\n"
    "        if [[ -z $command ]]; then command=$word\n"
    "        elif [[ -z $verb ]]; then verb=$word; fi\n"
    "    done\n"
    "    if [[ $cur == = ]]; then cur=''; fi\n"
    "    if [[ -n $pending ]]; then _oncegate_value \"$command $verb $pending\"\n"
    "    else _oncegate_words \"$command $verb\"; fi\n"
    "    if [[ $kind == file || ( -z $kind && $operands == file && $cur != -* ) ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "    elif [[ $kind == dir || ( -z $kind && $operands == dir && $cur != -* ) ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")\n"
    "    elif [[ $kind != text ]]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
    "    fi\n"
    "}\n";

/* A command without verbs is found with whatever operand stands where a verb would. */
static void bash_without_verbs(struct buf *out)
{
    buf_add_text(out, "    local where=$1\n    case ${where%% *} in\n        ");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (it->run && it->help && !command_has_verbs(it))
            buf_printf(out, "%s|", it->name);
    }
    out->len--;
    buf_add_text(out, ") where=\"${where%% *} ${2-}\" ;;\n    esac\n    case $where in\n");
}

static void add_bash(struct buf *out)
{
    buf_add_text(out, BASH_HEAD);
    buf_add_text(out, "_oncegate_value() {\n    case $1 in\n");
    bash_value(out, " ", COMMON_OPTIONS);
    for (const struct command *it = COMMANDS; it->name; it++) {
        char where[80];
        snprintf(where, sizeof(where), "%s ", it->name);
        if (it->run && it->help && command_has_verbs(it))
            bash_value(out, where, COMMON_OPTIONS);
    }
    each_verb(out, bash_verb_values);
    buf_add_text(out, "        *) kind='' ;;\n    esac\n}\n_oncegate_words() {\n");
    bash_without_verbs(out);
    bash_commands(out);
    each_verb(out, bash_verb_words);
    buf_add_text(out, "    esac\n}\ncomplete -F _oncegate oncegate\n");
}

/* ---- zsh ---- */

/* Within '...:...' and [...] of _arguments and _describe. */
static void zsh_text(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("[]:\\", *text))
            buf_add_char(out, '\\');
        if (*text == '\'')
            buf_add_text(out, "'\\''");
        else
            buf_add_char(out, *text);
    }
}

static void zsh_options(struct buf *out, const struct command_option *options)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        if (!it->help)
            continue;
        buf_printf(out, " '%s%s%s[", it->repeatable ? "*" : "", it->name,
                   it->value && it->name[1] == '-' ? "=" : "");
        zsh_text(out, it->help);
        buf_add_char(out, ']');
        if (it->value) {
            buf_add_char(out, ':');
            zsh_text(out, it->value);
            buf_add_char(out, ':');
        }
        if (it->kind == WORD_CHOICE) {
            buf_add_char(out, '(');
            add_choices(out, it->choices);
            buf_add_char(out, ')');
        } else if (it->kind == WORD_FILE || it->kind == WORD_DIR) {
            buf_add_text(out, it->kind == WORD_FILE ? "_files" : "_files -/");
        }
        buf_add_char(out, '\'');
    }
}

static void zsh_verb(struct buf *out, const struct command *command,
                     const struct command_verb *verb)
{
    const char *files = verb->operands && strstr(verb->operands, "FILE")  ? "_files"
                        : verb->operands && strstr(verb->operands, "DIR") ? "_files -/"
                                                                          : "";
    buf_printf(out, "    '%s %s') _arguments", command->name, verb->name);
    zsh_options(out, verb->options);
    zsh_options(out, COMMON_OPTIONS);
    buf_printf(out, " '*:%s:%s' ;;\n", verb->operands && verb->operands[0] ? "operand" : "", files);
}

static void zsh_describe(struct buf *out, const char *name, const char *help)
{
    buf_add_text(out, " '");
    zsh_text(out, name);
    buf_add_char(out, ':');
    zsh_text(out, help);
    buf_add_char(out, '\'');
}

static void add_zsh(struct buf *out)
{
    buf_add_text(out, "#compdef oncegate\n_oncegate() {\n"
                      "    local -a list\n    local where=\"${words[2]-} \"\n"
                      "    if (( CURRENT == 2 )); then\n        list=(");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (it->run && it->help)
            zsh_describe(out, it->name, it->help);
    }
    buf_add_text(out, ")\n        _describe command list\n        return\n    fi\n"
                      "    case ${words[2]} in\n");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (!it->run || !it->help || !command_has_verbs(it))
            continue;
        buf_printf(out, "    %s)\n        list=(", it->name);
        for (const struct command_verb *verb = it->verbs; verb->name; verb++) {
            if (is_shown(it, verb))
                zsh_describe(out, verb->name, verb->help);
        }
        buf_add_text(out, ")\n        if (( CURRENT == 3 )); then _describe verb list; return; fi\n"
                          "        where=\"${words[2]} ${words[3]}\" ;;\n");
    }
    buf_add_text(out, "    esac\n    case $where in\n");
    each_verb(out, zsh_verb);
    buf_add_text(out, "    esac\n}\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then _oncegate "
                      "\"$@\"; else compdef _oncegate oncegate; fi\n");
}

/* ---- fish ---- */

static void fish_options(struct buf *out, const char *condition,
                         const struct command_option *options)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        bool is_short = it->name[1] != '-';
        if (!it->help)
            continue;
        buf_printf(out, "complete -c oncegate%s%s%s -%c %s", condition[0] ? " -n '" : "", condition,
                   condition[0] ? "'" : "", is_short ? 's' : 'l', it->name + (is_short ? 1 : 2));
        if (it->value)
            buf_add_text(out, it->kind == WORD_FILE || it->kind == WORD_DIR ? " -r -F" : " -x");
        if (it->kind == WORD_CHOICE) {
            buf_add_text(out, " -a '");
            add_choices(out, it->choices);
            buf_add_char(out, '\'');
        }
        buf_add_text(out, " -d ");
        add_quoted(out, it->help);
        buf_add_char(out, '\n');
    }
}

static void fish_verb(struct buf *out, const struct command *command,
                      const struct command_verb *verb)
{
    char condition[160];
    snprintf(condition, sizeof(condition), "__fish_seen_subcommand_from %s%s%s", command->name,
             verb->name[0] ? "; and __fish_seen_subcommand_from " : "", verb->name);
    fish_options(out, condition, verb->options);
    if (verb->operands && (strstr(verb->operands, "FILE") || strstr(verb->operands, "DIR")))
        buf_printf(out, "complete -c oncegate -n '%s' -F\n", condition);
    if (!verb->name[0])
        return;
    buf_printf(out,
               "complete -c oncegate -n '__fish_seen_subcommand_from %s; and not "
               "__fish_seen_subcommand_from ",
               command->name);
    add_verb_names(out, command);
    buf_printf(out, "' -a %s -d ", verb->name);
    add_quoted(out, verb->help);
    buf_add_char(out, '\n');
}

static void add_fish(struct buf *out)
{
    buf_add_text(out, "# completion for fish; oncegate completion fish | source\n"
                      "complete -c oncegate -f\n");
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (!it->run || !it->help)
            continue;
        buf_printf(out, "complete -c oncegate -n __fish_use_subcommand -a %s -d ", it->name);
        add_quoted(out, it->help);
        buf_add_char(out, '\n');
    }
    fish_options(out, "", COMMON_OPTIONS);
    each_verb(out, fish_verb);
}

int cmd_completion(struct cli *cli)
{
    struct buf out = {0};
    int code;
    if (strcmp(cli->argv[0], "bash") == 0)
        add_bash(&out);
    else if (strcmp(cli->argv[0], "zsh") == 0)
        add_zsh(&out);
    else
        add_fish(&out);
    code = fwrite(out.data, 1, out.len, stdout) == out.len ? EXIT_OK : EXIT_FAIL;
    buf_deinit(&out);
    return code;
}
