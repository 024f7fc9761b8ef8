/* oncegate dlq VERB: which verb, and what they share. The verbs are in dlq_*.c. */
#include "cmd_dlq.h"

#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "console_ask.h"
#include "dlq/snapshot.h"
#include "filter_options.h"
#include "progress.h"
#include "table.h"
#include "text_out.h"

#define SLOW_MS 3000

static const struct verb {
    const char *name;
    int (*run)(struct dlq *dlq);
    bool by_console; /* a console can be asked for it */
} VERBS[] = {
    {"groups", dlq_groups, true},
    {"list", dlq_list, true},
    {"show", dlq_show, true},
    {"export", dlq_export, true},
    {"import", dlq_import, true},
    {"archive", dlq_archive, true},
    {"archive-to", dlq_archive_to, false},
    {"purge", dlq_purge, true},
};

bool dlq_filter_of(struct dlq *dlq, struct dlq_filter *filter, int *code)
{
    char name[32];
    struct err err = {0};
    dlq_filter_init(filter);
    if (filter_options_read(dlq->cli, filter, &err))
        return true;
    snprintf(name, sizeof(name), "dlq %s", dlq->cli->argv[0]);
    *code = cli_usage(name, "%s", err.text);
    return false;
}

struct reading {
    struct progress bar;
    uint64_t records;
};

static void show_progress(void *arg, uint64_t records)
{
    struct reading *reading = arg;
    reading->records = records;
    progress_show(&reading->bar, records, 0);
}

struct dlq_index *dlq_read_letters(struct dlq *dlq, const struct dlq_filter *filter,
                                   struct err *err)
{
    struct reading reading = {.records = 0};
    struct dlq_snapshot ask = {.loop = dlq->loop,
                               .config = dlq->config,
                               .filter = filter,
                               .progress = show_progress,
                               .arg = &reading};
    uint64_t began = clock_mono_ns(), ms;
    struct dlq_index *index;
    progress_begin(&reading.bar, "reading dead letters");
    index = dlq_snapshot_take(&ask, err);
    progress_end(&reading.bar);
    ms = (clock_mono_ns() - began) / NS_PER_MS;
    if (index && ms > SLOW_MS)
        fprintf(stderr,
                "oncegate: %" PRIu64 " dead letters and states were read from Kafka for this, in "
                "%" PRIu64 ".%" PRIu64 " s; --route or --topic reads fewer%s\n",
                reading.records, ms / 1000, ms % 1000 / 100,
                dlq->by_console ? ", and --console asks one that has read them" : "");
    return index;
}

void dlq_say_covered(const struct dlq_covered *covered)
{
    if (!covered->complete)
        fprintf(stderr, "oncegate: not complete: scanned %" PRIu64 " of %" PRIu64 " dead letters\n",
                covered->rows_read, covered->rows_total);
}

int dlq_print_table(const struct dlq *dlq, const struct table *table)
{
    struct buf out = {0};
    bool ok;
    if (table_rows(table) == 0)
        fputs("no dead letters\n", stderr);
    table_write(table, text_columns(), dlq->cli->color, &out);
    ok = fwrite(out.data ? out.data : "", 1, out.len, stdout) == out.len;
    buf_deinit(&out);
    return ok ? EXIT_OK : EXIT_FAIL;
}

void dlq_row_id(const struct dlq_row *row, struct buf *out)
{
    buf_printf(out, "%s/%" PRId32 "/%" PRId64, row->topic, row->partition, row->offset);
}

void dlq_row_latest(const struct dlq_row *row, int32_t *partition, int64_t *offset)
{
    struct dlq_id latest;
    struct err err = {0};
    *partition = row->partition;
    *offset = row->offset;
    if (!dlq_id_parse(slice_of(row->latest), &latest, &err))
        return;
    *partition = latest.partition;
    *offset = latest.offset;
    dlq_id_deinit(&latest);
}

bool dlq_number(struct dlq *dlq, const char *option, uint64_t fallback, uint64_t most,
                uint64_t *out)
{
    const char *text = cli_option(dlq->cli, option);
    *out = fallback;
    if (!text || (str_to_u64(slice_of(text), out) && *out <= most))
        return true;
    (void)cli_usage("dlq", "%s takes a number of at most %llu", option, (unsigned long long)most);
    return false;
}

bool dlq_may(struct dlq *dlq, const char *question, int *code)
{
    char answer[16] = "";
    if (dlq->cli->yes)
        return true;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        fprintf(stderr, "oncegate: %s Nobody can be asked: say --yes\n", question);
        *code = EXIT_USAGE;
        return false;
    }
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(answer, sizeof(answer), stdin) &&
        (strcmp(answer, "y\n") == 0 || strcmp(answer, "yes\n") == 0))
        return true;
    fputs("nothing was done\n", stderr);
    *code = EXIT_FAIL;
    return false;
}

void dlq_by(char out[DLQ_BY_MAX])
{
    const struct passwd *user = getpwuid(getuid());
    char host[100] = "";
    (void)gethostname(host, sizeof(host) - 1);
    if (user && user->pw_name[0])
        snprintf(out, DLQ_BY_MAX, "%.90s@%s", user->pw_name, host);
    else
        snprintf(out, DLQ_BY_MAX, "uid %u@%s", (unsigned)getuid(), host);
}

/* By the topics themselves. */
static int run_here(struct dlq *dlq, const struct verb *verb)
{
    struct err err = {0};
    int code = EXIT_USAGE;
    struct config *config = cli_load_config(dlq->cli, &code);
    if (!config)
        return code;
    log_setup(LOG_ERROR, LOG_FORMAT_AUTO);
    dlq->config = config;
    dlq->loop = loop_new(&err);
    code = dlq->loop ? verb->run(dlq) : cli_fail(&err);
    loop_free(&dlq->loop);
    config_free(&config);
    return code;
}

int cmd_dlq(struct cli *cli)
{
    struct dlq dlq = {.cli = cli, .output = json_output_of(cli)};
    const struct verb *verb = VERBS;
    struct err err = {0};
    int code;
    while (strcmp(cli->argv[0], verb->name) != 0)
        verb++; /* it is one of them: the table of commands has looked */
    dlq.by_console = verb->by_console;
    signal(SIGPIPE, SIG_IGN);
    if (verb->by_console && !console_ask_open(cli, &dlq.console, &err))
        return cli_fail(&err);
    if (!verb->by_console && cli_option(cli, "--console"))
        return cli_usage("dlq archive-to",
                         "archive-to keeps every record of the topics as it stands, and a console "
                         "gives letters: run it with a configuration where Kafka can be reached, "
                         "or keep letters with `oncegate dlq export --console URL`");
    code = dlq.console ? verb->run(&dlq) : run_here(&dlq, verb);
    console_client_free(&dlq.console);
    return code;
}
