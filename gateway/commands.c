/*
 * The table of commands, and nothing but: what each is called, takes and does. Order is that of the
 * help. See commands.h.
 */
#include "commands.h"

#include <string.h>

#define FILTER_OPTIONS                                                                             \
    {"--route", "NAME", WORD_TEXT, NULL, "of this route", false},                                  \
        {"--topic", "NAME", WORD_TEXT, NULL, "in this dead-letter topic", false},                  \
        {"--code", "CODE", WORD_TEXT, NULL, "with this error code", false},                        \
        {"--status", "N", WORD_TEXT, NULL, "with this HTTP status: 404, or 5xx", false},           \
        {"--signature", "HEX", WORD_TEXT, NULL, "of this failure group (see dlq groups)", false},  \
        {"--key", "KEY", WORD_TEXT, NULL, "of this Kafka key, exactly", false},                    \
        {"--since", "TIME", WORD_TIME, NULL, "written then or later: RFC 3339, or an age: 2h",     \
         false},                                                                                   \
        {"--until", "TIME", WORD_TIME, NULL, "written before then", false},                        \
        {"--text",                                                                                 \
         "WORDS",                                                                                  \
         WORD_TEXT,                                                                                \
         NULL,                                                                                     \
         "every word is in key, value, headers or detail; a trailing * is a prefix",               \
         false},                                                                                   \
        {"--state",                                                                                \
         "STATE",                                                                                  \
         WORD_CHOICE,                                                                              \
         "open|redriving|resolved|archived|any",                                                   \
         "in this state; may be repeated (default: open and redriving)",                           \
         true},                                                                                    \
    {                                                                                              \
        "--id", "ID", WORD_TEXT, NULL, "this dead letter; may be repeated", true                   \
    }

#define CONSOLE_OPTIONS                                                                            \
    {"--console",                                                                                  \
     "URL",                                                                                        \
     WORD_TEXT,                                                                                    \
     NULL,                                                                                         \
     "asks this console instead of reading the topics; else $ONCEGATE_CONSOLE",                    \
     false},                                                                                       \
        {"--token-file",                                                                           \
         "FILE",                                                                                   \
         WORD_FILE,                                                                                \
         NULL,                                                                                     \
         "its first line is the token; else $ONCEGATE_CONSOLE_TOKEN_FILE",                         \
         false},                                                                                   \
    {                                                                                              \
        "--ca-file", "FILE", WORD_FILE, NULL,                                                      \
            "who signed its certificate; else $ONCEGATE_CONSOLE_CA_FILE", false                    \
    }

#define REASON_OPTION                                                                              \
    {                                                                                              \
        "--reason", "TEXT", WORD_TEXT, NULL, "why, for the audit log", false                       \
    }

#define JOB_OPTIONS                                                                                \
    {"--group", "GROUP", WORD_TEXT, NULL, "of this consumer group", false},                        \
    {                                                                                              \
        "--by", "NAME", WORD_TEXT, NULL, "who asks, for the audit log (default: user@host)", false \
    }

const struct command_option COMMON_OPTIONS[] = {
    {"-c", "FILE", WORD_FILE, NULL, "configuration; else $ONCEGATE_CONFIG, else ./oncegate.yaml",
     false},
    {"--config", "FILE", WORD_FILE, NULL, NULL, false},
    {"-o", "FORMAT", WORD_CHOICE, "table|json|jsonl", "output: table, json or jsonl", false},
    {"--yes", NULL, WORD_TEXT, NULL, "for what cannot be undone, where nobody can be asked", false},
    {"--help", NULL, WORD_TEXT, NULL, "of the command", false},
    {"-h", NULL, WORD_TEXT, NULL, NULL, false},
    {0},
};

static const struct command_verb RUN[] = {
    {"", "", "the gateway", NULL,
     "Ends with 0 on SIGTERM, after what is in flight; a second one ends it at once.", false},
    {0},
};

static const struct command_option CHECK_OPTIONS[] = {
    {"--connect", NULL, WORD_TEXT, NULL, "brokers, topics, Redis and handler too", false},
    {0},
};
static const struct command_verb CHECK[] = {
    {"", "", "the configuration and its effective tables", CHECK_OPTIONS, NULL, false},
    {0},
};

static const struct command_verb CONFIG[] = {
    {"schema", "", "the JSON Schema of the configuration", NULL, NULL, false},
    {"show", "", "effective values, secrets masked", NULL, NULL, false},
    {"explain", "PATH", "one key's meaning, e.g. routes.handler.timeout", NULL, NULL, false},
    {"reference", "", NULL, NULL, NULL, false},
    {0},
};

static const struct command_option PLAN_OPTIONS[] = {
    {"--detailed-exitcode", NULL, WORD_TEXT, NULL, "exit with 2 where something differs", false},
    {"--replication", "N", WORD_NUMBER, NULL, "of topics to create; else the source topic's",
     false},
    {0},
};
static const struct command_verb TOPICS[] = {
    {"plan", "", "what the routes need, and what differs", PLAN_OPTIONS, NULL, false},
    {"apply", "", "creates what is missing, and says what it does not change", PLAN_OPTIONS, NULL,
     false},
    {0},
};

static const struct command_verb STATUS[] = {
    {"", "[ROUTE]", "routes, partitions, lag, breaker, and why something waits", NULL,
     "Asks the running gateway at admin.listen.", false},
    {0},
};

static const struct command_option PAUSE_OPTIONS[] = {
    {"--reason", "TEXT", WORD_TEXT, NULL, "shown by status, of all instances", false},
    {0},
};
static const struct command_verb ROUTE[] = {
    {"pause", "ROUTE", "holds a route, in all instances, until it is resumed", PAUSE_OPTIONS, NULL,
     false},
    {"resume", "ROUTE", "lets it go on", PAUSE_OPTIONS, NULL, false},
    {"skip", NULL, "passes over one record", NULL, NULL, true},
    {0},
};

static const struct command_verb LEDGER[] = {
    {"get", "ROUTE TOPIC KEY", "one key's state in words", NULL, NULL, false},
    {"release", "ROUTE TOPIC KEY",
     "lets a key go on without the dead letters that block it; wants --yes", NULL, NULL, false},
    {"reset", "ROUTE TOPIC KEY", "forgets what is done and parked of a key; wants --yes", NULL,
     NULL, false},
    {"adopt", "ROUTE TOPIC", "takes a topic as it is now, after it was made again", NULL, NULL,
     false},
    {0},
};

static const struct command_option GROUPS_OPTIONS[] = {
    FILTER_OPTIONS,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option LIST_OPTIONS[] = {
    FILTER_OPTIONS,
    {"--limit", "N", WORD_NUMBER, NULL, "at most so many (default 50; 0: all)", false},
    {"--after", "CURSOR", WORD_TEXT, NULL, "goes on where the page before said", false},
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option SHOW_OPTIONS[] = {
    {"--raw", NULL, WORD_TEXT, NULL, "the value's bytes, and nothing else, to stdout", false},
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option EXPORT_OPTIONS[] = {
    FILTER_OPTIONS,
    {"--limit", "N", WORD_NUMBER, NULL, "at most so many (default: all)", false},
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option IMPORT_OPTIONS[] = {
    {"--dry-run", NULL, WORD_TEXT, NULL, "reads and checks every line, and produces nothing",
     false},
    {"--skip-bad", NULL, WORD_TEXT, NULL, "leaves out lines that are bad, with what is wrong",
     false},
    REASON_OPTION,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option ARCHIVE_OPTIONS[] = {
    FILTER_OPTIONS,
    REASON_OPTION,
    {"--dry-run", NULL, WORD_TEXT, NULL, "says how many, and changes nothing", false},
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option ARCHIVE_TO_OPTIONS[] = {
    {"--route", "NAME", WORD_TEXT, NULL, "of this route", false},
    {"--topic", "NAME", WORD_TEXT, NULL, "of this dead-letter topic", false},
    {"--console", "URL", WORD_TEXT, NULL, NULL, false}, /* refused with what to do */
    {0},
};
static const struct command_option PURGE_OPTIONS[] = {
    {"--partition", "N", WORD_NUMBER, NULL, "of the topic", false},
    {"--before", "OFFSET", WORD_NUMBER, NULL, "deletes what lies below this offset", false},
    {"--confirm", "TOPIC", WORD_TEXT, NULL, "the topic's name once more, where nobody can be asked",
     false},
    {"--dry-run", NULL, WORD_TEXT, NULL, "says how many records it would delete", false},
    REASON_OPTION,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_verb DLQ[] = {
    {"groups", "", "what fails: dead letters by failure group", GROUPS_OPTIONS, NULL, false},
    {"list", "", "dead letters, the newest first", LIST_OPTIONS, NULL, false},
    {"show", "ID", "one dead letter; an ID is TOPIC/PARTITION/OFFSET", SHOW_OPTIONS, NULL, false},
    {"export", "", "dead letters as JSON lines, to stdout", EXPORT_OPTIONS, NULL, false},
    {"import", "FILE", "produces exported lines to their dead-letter topics", IMPORT_OPTIONS, NULL,
     false},
    {"archive", "", "puts away what nobody will redrive", ARCHIVE_OPTIONS, NULL, false},
    {"archive-to", "DIR", "keeps dead letters in files, before retention takes them",
     ARCHIVE_TO_OPTIONS, NULL, false},
    {"purge", "TOPIC", "deletes the oldest dead letters of a partition for ever", PURGE_OPTIONS,
     NULL, false},
    {0},
};

static const struct command_option REDRIVE_OPTIONS[] = {
    FILTER_OPTIONS,
    {"--limit", "N", WORD_NUMBER, NULL, "at most so many", false},
    {"--rate", "N", WORD_NUMBER, NULL, "records per second", false},
    {"--mode", "MODE", WORD_CHOICE, "if-newer|force",
     "if-newer leaves out what a later record overtook; force does not look", false},
    {"--confirm", "TEXT", WORD_TEXT, NULL, "what --mode force asks for, where nobody can be asked",
     false},
    {"--dry-run", NULL, WORD_TEXT, NULL, "says what would happen, and sends nothing", false},
    REASON_OPTION,
    JOB_OPTIONS,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option JOB_LIST_OPTIONS[] = {
    {"--route", "NAME", WORD_TEXT, NULL, "of this route's group", false},
    JOB_OPTIONS,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option JOB_STATUS_OPTIONS[] = {
    {"--route", "NAME", WORD_TEXT, NULL, "of this route's group", false},
    {"--watch", NULL, WORD_TEXT, NULL, "stays until it has ended", false},
    {"--records", NULL, WORD_TEXT, NULL, "each record of it and what became of it", false},
    {"--result", "RESULT", WORD_CHOICE,
     "on_its_way|resolved|superseded|dropped|duplicate|failed|unknown|skipped",
     "of its records those that ended so", true},
    JOB_OPTIONS,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_option JOB_CANCEL_OPTIONS[] = {
    {"--route", "NAME", WORD_TEXT, NULL, "of this route's group", false},
    REASON_OPTION,
    JOB_OPTIONS,
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_verb REDRIVE[] = {
    {"start", "", "sends dead letters round again, as a job", REDRIVE_OPTIONS,
     "Where no runner is at work the command runs the job and stays until it has ended.\n"
     "Interrupted, it asks for the job's end; once more, and it leaves at once: the job then goes\n"
     "on with `oncegate redrive resume`.\n"
     "Ends with 3 where some failed again, are on their way, or the job was cancelled; with 1\n"
     "where the job failed.",
     false},
    {"list", "", "jobs, the newest first", JOB_LIST_OPTIONS, NULL, false},
    {"status", "JOB", "one job and its results", JOB_STATUS_OPTIONS, NULL, false},
    {"cancel", "JOB", "ends a job; what it has sent is sent", JOB_CANCEL_OPTIONS, NULL, false},
    {"resume", "", "runs the jobs that wait, or whose runner is gone", JOB_LIST_OPTIONS, NULL,
     false},
    {0},
};

static const struct command_option AUDIT_OPTIONS[] = {
    {"--since", "TIME", WORD_TIME, NULL, "then or later: RFC 3339, or an age: 2h", false},
    {"--route", "NAME", WORD_TEXT, NULL, "of this route's group", false},
    {"--group", "GROUP", WORD_TEXT, NULL, "of this consumer group", false},
    CONSOLE_OPTIONS,
    {0},
};
static const struct command_verb AUDIT[] = {
    {"list", "", "who changed what, when and why; the oldest first", AUDIT_OPTIONS, NULL, false},
    {0},
};

static const struct command_option DEMO_OPTIONS[] = {
    {"--kafka", "BOOTSTRAP", WORD_TEXT, NULL, "these brokers", false},
    {"--mock", NULL, WORD_TEXT, NULL, "brokers that live in this process", false},
    {"--seconds", "N", WORD_NUMBER, NULL, "how long it produces, 20 to 3600 (default 40)", false},
    {"--keep", NULL, WORD_TEXT, NULL, "goes on after the end, to look around", false},
    {"--no-browser", NULL, WORD_TEXT, NULL, "the desktop's browser is left alone", false},
    {"--dir", "DIR", WORD_DIR, NULL, "where it keeps its files", false},
    {"--since", "SECONDS", WORD_NUMBER, NULL, NULL, false},
    {"--kafka-ends", NULL, WORD_TEXT, NULL, NULL, false},
    {"--part", "PART", WORD_TEXT, NULL, NULL, false},
    {0},
};
static const struct command_verb DEMO[] = {
    {"", NULL, "everything on embedded defaults, with traffic", DEMO_OPTIONS, NULL, false},
    {0},
};

static const struct command_option SERVE_OPTIONS[] = {
    {"--print-openapi", NULL, WORD_TEXT, NULL, "prints the OpenAPI document and ends", false},
    {0},
};
static const struct command_verb CONSOLE[] = {
    {"", "", "follows the dead-letter topics and serves what is in them", SERVE_OPTIONS,
     "Listens on console.listen (127.0.0.1:9465). The index is a file (console.index) that is\n"
     "made from the topics: it can be deleted at any time. Ends on SIGTERM.",
     false},
    {0},
};

static const struct command_verb COMPLETION[] = {
    {"bash", "", "for bash: source <(oncegate completion bash)", NULL, NULL, false},
    {"zsh", "", "for zsh: oncegate completion zsh > \"${fpath[1]}/_oncegate\"", NULL, NULL, false},
    {"fish", "", "for fish: oncegate completion fish | source", NULL, NULL, false},
    {0},
};

static const struct command_verb MANUAL[] = {
    {"", "DIR", "writes the manual pages into a directory", NULL, NULL, false},
    {0},
};

static const struct command_verb VERSION[] = {
    {"", "", "versions of the program and its libraries", NULL, NULL, false},
    {0},
};

const struct command COMMANDS[] = {
    {"run", cmd_run, "the gateway", RUN},
    {"check", cmd_check, "the configuration; --connect: brokers, topics, Redis, handler too",
     CHECK},
    {"config", cmd_config, "JSON Schema, effective values, one key's meaning", CONFIG},
    {"topics", cmd_topics, "the topics that the routes need, and what differs", TOPICS},
    {"status", cmd_status, "routes, partitions, lag, breaker, and why something waits", STATUS},
    {"route", cmd_route, "a person's hold, kept in Redis, seen by all instances", ROUTE},
    {"ledger", cmd_ledger, "one key's state in words; mending", LEDGER},
    {"dlq", cmd_dlq, "dead letters: what fails, since when, how many", DLQ},
    {"redrive", cmd_redrive, "dead letters sent round again, as jobs", REDRIVE},
    {"audit", cmd_audit, "who changed what", AUDIT},
    {"console", cmd_console, "the API for dead letters, and its page", CONSOLE},
    {"demo", cmd_demo, "everything on embedded defaults, with traffic", DEMO},
    {"completion", cmd_completion, "completion for bash, zsh and fish", COMPLETION},
    {"version", cmd_version, "versions of the program and its libraries", VERSION},
    {"manual", cmd_manual, NULL, MANUAL},
    {"retry", NULL, NULL, NULL},
    {"offsets", NULL, NULL, NULL},
    {"doctor", NULL, NULL, NULL},
    {0},
};

const struct command *command_find(const char *name)
{
    for (const struct command *it = COMMANDS; it->name; it++) {
        if (strcmp(it->name, name) == 0)
            return it;
    }
    return NULL;
}

const struct command_verb *command_find_verb(const struct command *command, const char *name)
{
    for (const struct command_verb *it = command->verbs; it && it->name; it++) {
        if (strcmp(it->name, name) == 0)
            return it;
    }
    return NULL;
}

const struct command_option *command_find_option(const struct command_option *options,
                                                 const char *name)
{
    for (const struct command_option *it = options; it && it->name; it++) {
        if (strcmp(it->name, name) == 0)
            return it;
    }
    return NULL;
}

bool command_has_verbs(const struct command *command)
{
    return command->verbs && command->verbs[0].name && command->verbs[0].name[0];
}
