/* oncegate dlq VERB: which verb, and what they share. The verbs are in dlq_*.c. */
#include "cmd_dlq.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

static const struct {
    const char *name;
    int (*run)(struct dlq *dlq);
} VERBS[] = {
    {"groups", dlq_groups},         {"list", dlq_list},     {"show", dlq_show},
    {"export", dlq_export},         {"import", dlq_import}, {"archive", dlq_archive},
    {"archive-to", dlq_archive_to}, {"purge", dlq_purge},
};

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

int cmd_dlq(struct cli *cli)
{
    struct dlq dlq = {.cli = cli, .output = json_output_of(cli)};
    struct config *config;
    struct err err = {0};
    int code = EXIT_USAGE;
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    log_setup(LOG_ERROR, LOG_FORMAT_AUTO);
    signal(SIGPIPE, SIG_IGN);
    dlq.config = config;
    dlq.loop = loop_new(&err);
    if (!dlq.loop)
        code = cli_fail(&err);
    for (size_t i = 0; dlq.loop && i < sizeof(VERBS) / sizeof(*VERBS); i++) {
        if (strcmp(cli->argv[0], VERBS[i].name) == 0)
            code = VERBS[i].run(&dlq);
    }
    loop_free(&dlq.loop);
    config_free(&config);
    return code;
}
