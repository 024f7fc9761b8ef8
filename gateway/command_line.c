/*
 * The command line against the table of commands. Options may stand anywhere behind their command,
 * those of all commands anywhere; "--" ends them. An option is taken only where its verb has it:
 * a misspelt or misplaced one must never be taken for an operand, or for nothing.
 */
#include "command_line.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define NEAR 3 /* edits, at most, to a word that was probably meant */

struct reading {
    struct command_line *line;
    struct cli *cli;
    int argc;
    char **argv;
    int at;
};

/* The nearest word so far, of those that are offered one after the other. */
struct nearest {
    const char *word;
    const char *found;
    size_t distance;
};

static void offer(struct nearest *nearest, const char *name)
{
    size_t limit = strlen(name) < 2 * NEAR ? (strlen(name) + 1) / 2 : NEAR;
    size_t distance = str_distance(nearest->word, name, limit);
    if (distance <= limit && (!nearest->found || distance < nearest->distance)) {
        nearest->found = name;
        nearest->distance = distance;
    }
}

static void offer_options(struct nearest *nearest, const struct command_option *options)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        if (it->help)
            offer(nearest, it->name);
    }
}

static void place(const struct command_line *line, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", line->command ? line->command->name : "",
             line->verb && line->verb->name[0] ? " " : "", line->verb ? line->verb->name : "");
}

/* "what: word (did you mean x?)" and where to read on. */
static bool refuse(const struct command_line *line, const char *what, const char *word,
                   const char *meant)
{
    char where[80];
    place(line, where, sizeof(where));
    fprintf(stderr, "oncegate: %s%s%s: %s", where, where[0] ? ": " : "", what, word);
    if (meant)
        fprintf(stderr, " (did you mean %s?)", meant);
    fprintf(stderr, "\nTry `oncegate %s%s--help`.\n", where, where[0] ? " " : "");
    return false;
}

static bool refuse_later(const char *command, const char *verb)
{
    fprintf(stderr, "oncegate: %s%s%s: not in this version\n", command, verb ? " " : "",
            verb ? verb : "");
    return false;
}

/* Where else an option of that name is at home. */
static bool find_home(const char *name, char *out, size_t size)
{
    for (const struct command *command = COMMANDS; command->name; command++) {
        for (const struct command_verb *verb = command->verbs; verb && verb->name; verb++) {
            const struct command_option *option = command_find_option(verb->options, name);
            if (option && option->help && command->help) {
                snprintf(out, size, "oncegate %s%s%s", command->name, verb->name[0] ? " " : "",
                         verb->name);
                return true;
            }
        }
    }
    return false;
}

static bool refuse_option(const struct command_line *line, const char *name)
{
    struct nearest nearest = {.word = name};
    char home[80], what[140];
    if (find_home(name, home, sizeof(home))) {
        snprintf(what, sizeof(what), "an option of another command (`%s`)", home);
        return refuse(line, what, name, NULL);
    }
    offer_options(&nearest, COMMON_OPTIONS);
    if (line->verb)
        offer_options(&nearest, line->verb->options);
    return refuse(line, "unknown option", name, nearest.found);
}

/* Before the verb is known any verb's will do; what is not the verb's is refused at the end. */
static const struct command_option *find_option(const struct command_line *line, const char *name)
{
    const struct command_option *found = command_find_option(COMMON_OPTIONS, name);
    if (found || !line->command)
        return found;
    if (line->verb)
        return command_find_option(line->verb->options, name);
    for (const struct command_verb *verb = line->command->verbs; verb && verb->name && !found;
         verb++)
        found = command_find_option(verb->options, name);
    return found;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (len > 0 && strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    }
    return false;
}

static bool check_value(const struct command_line *line, const struct command_option *option,
                        const char *value)
{
    char what[200];
    uint64_t number;
    if (option->kind == WORD_CHOICE && !is_choice(option->choices, value)) {
        snprintf(what, sizeof(what), "%s takes %s, not", option->name, option->choices);
        return refuse(line, what, value, NULL);
    }
    if (option->kind == WORD_NUMBER && !str_to_u64(slice_of(value), &number)) {
        snprintf(what, sizeof(what), "%s takes a number, not", option->name);
        return refuse(line, what, value, NULL);
    }
    return true;
}

static bool keep_option(struct reading *reading, const struct command_option *option,
                        const char *value)
{
    struct cli *cli = reading->cli;
    for (size_t i = 0; !option->repeatable && i < cli->given_count; i++) {
        if (strcmp(cli->given[i].name, option->name) == 0)
            return refuse(reading->line, "given twice", option->name, NULL);
    }
    cli->given[cli->given_count++] = (struct cli_given){option->name, value, false};
    return !value || check_value(reading->line, option, value);
}

static bool read_option(struct reading *reading)
{
    const char *word = reading->argv[reading->at];
    const char *equals = strchr(word, '=');
    char name[64];
    const struct command_option *option;
    const char *value = equals ? equals + 1 : NULL;
    if (!str_copy(name, sizeof(name),
                  (struct slice){word, equals ? (size_t)(equals - word) : strlen(word)}))
        return refuse(reading->line, "unknown option", word, NULL);
    option = find_option(reading->line, name);
    if (!option)
        return refuse_option(reading->line, name);
    if (option->value && !value) {
        if (reading->at + 1 >= reading->argc)
            return refuse(reading->line, "a value is missing behind", name, NULL);
        value = reading->argv[++reading->at];
    } else if (!option->value && value) {
        return refuse(reading->line, "takes no value", name, NULL);
    }
    return keep_option(reading, option, value);
}

static bool read_command(struct reading *reading, const char *word)
{
    struct command_line *line = reading->line;
    struct nearest nearest = {.word = word};
    line->command = command_find(word);
    if (!line->command) {
        for (const struct command *it = COMMANDS; it->name; it++) {
            if (it->help)
                offer(&nearest, it->name);
        }
        return refuse(line, "no such command", word, nearest.found);
    }
    if (!line->command->run && !line->help)
        return refuse_later(word, NULL);
    if (!command_has_verbs(line->command))
        line->verb = line->command->verbs;
    return true;
}

static bool read_verb(struct reading *reading, const char *word)
{
    struct command_line *line = reading->line;
    struct nearest nearest = {.word = word};
    line->verb = command_find_verb(line->command, word);
    if (!line->verb) {
        for (const struct command_verb *it = line->command->verbs; it && it->name; it++) {
            if (it->help)
                offer(&nearest, it->name);
        }
        return refuse(line, "no such verb", word, nearest.found);
    }
    if (line->verb->later && !line->help)
        return refuse_later(line->command->name, word);
    return true;
}

static bool read_word(struct reading *reading, char *word)
{
    struct command_line *line = reading->line;
    if (!line->command)
        return read_command(reading, word);
    reading->cli->argv[reading->cli->argc++] = word;
    return line->verb || read_verb(reading, word);
}

/* Help is given whatever else is wrong with the line. */
static bool read_for_help(struct reading *reading)
{
    struct command_line *line = reading->line;
    for (int i = 0; i < reading->argc; i++) {
        const char *word = reading->argv[i];
        const struct command_option *option = find_option(line, word);
        if (word[0] == '-' && word[1] != '\0') {
            i += option && option->value;
            continue;
        }
        if (!line->command && strcmp(word, "help") != 0 && !read_command(reading, word))
            return false;
        else if (line->command && strcmp(word, line->command->name) != 0 && !line->verb)
            return read_verb(reading, word);
    }
    return true;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return argc > 0 && strcmp(argv[0], "help") == 0;
}

static bool check_operands(const struct command_line *line, const struct cli *cli)
{
    const char *spec = line->verb->operands;
    int given = cli->argc - command_has_verbs(line->command);
    int least = 0, most = 0;
    char what[120];
    for (const char *word = spec; word && *word; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        least += *word != '[';
        most = len > 3 && memchr(word, '.', len) ? 10000 : most + 1;
        word += len;
    }
    if (!spec || (given >= least && given <= most))
        return true;
    if (most == 0)
        return refuse(line, "nothing is expected behind it, and there is", cli->argv[cli->argc - 1],
                      NULL);
    snprintf(what, sizeof(what), "takes %s, and %d %s given", spec, given,
             given == 1 ? "word is" : "words are");
    return refuse(line, what, given > 0 ? cli->argv[cli->argc - 1] : "none", NULL);
}

/* Options that stood before their verb may be another verb's. */
static bool check_given(const struct command_line *line, const struct cli *cli)
{
    for (size_t i = 0; i < cli->given_count; i++) {
        if (!find_option(line, cli->given[i].name))
            return refuse_option(line, cli->given[i].name);
    }
    return true;
}

static bool refuse_without_verb(const struct command_line *line)
{
    fprintf(stderr, "oncegate: %s takes", line->command->name);
    for (const struct command_verb *it = line->command->verbs; it->name; it++) {
        if (it->help)
            fprintf(stderr, "%s %s", it == line->command->verbs ? "" : " |", it->name);
    }
    fprintf(stderr, "\nTry `oncegate %s --help`.\n", line->command->name);
    return false;
}

bool command_line_read(struct command_line *line, struct cli *cli, int argc, char **argv)
{
    struct reading reading = {line, cli, argc, argv, 0};
    bool words_only = false;
    memset(line, 0, sizeof(*line));
    cli->given = mem_calloc((size_t)argc + 1, sizeof(*cli->given));
    cli->argv = mem_calloc((size_t)argc + 1, sizeof(*cli->argv));
    if (argc > 0 && strcmp(argv[0], "--version") == 0) {
        line->version = true;
        return true;
    }
    line->help = wants_help(argc, argv);
    if (line->help)
        return read_for_help(&reading);
    for (; reading.at < argc; reading.at++) {
        char *word = argv[reading.at];
        bool is_option = !words_only && word[0] == '-' && word[1] != '\0';
        if (is_option && strcmp(word, "--") == 0)
            words_only = true;
        else if (!(is_option ? read_option(&reading) : read_word(&reading, word)))
            return false;
    }
    if (!line->command)
        return true;
    if (!line->verb)
        return refuse_without_verb(line);
    return check_given(line, cli) && check_operands(line, cli);
}

void command_line_free(struct cli *cli)
{
    mem_free(cli->given);
    mem_free(cli->argv);
    cli->given = NULL;
    cli->argv = NULL;
}
