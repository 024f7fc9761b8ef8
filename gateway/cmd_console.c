/*
 * oncegate console: the index of dead letters and its API. Ends on SIGTERM or SIGINT with 0, and
 * with the error's code where the feed cannot go on. A second signal ends it at once.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "cli.h"
#include "console/console.h"
#include "curl_text.h"
#include "kafka/client_end.h"

#define LEAVE_MS 2000

struct serving {
    struct loop *loop;
    int code;
    bool ending;
};

static void on_signal(int signo, void *arg)
{
    struct serving *serving = arg;
    if (serving->ending)
        _exit(128 + signo);
    serving->ending = true;
    loop_stop(serving->loop);
}

static void on_failed(void *arg, const struct err *err)
{
    struct serving *serving = arg;
    serving->code = cli_fail(err);
    loop_stop(serving->loop);
}

static int print_openapi(void)
{
    struct buf out = {0};
    console_openapi(&out);
    fputs(out.data, stdout);
    buf_deinit(&out);
    return EXIT_OK;
}

static int serve(struct serving *serving, const struct config *config, struct metrics *metrics)
{
    struct console_options options = {.loop = serving->loop,
                                      .config = config,
                                      .metrics = metrics,
                                      .curl = curl_add_delivery,
                                      .failed = on_failed,
                                      .arg = serving};
    struct err err = {0};
    struct loop_signal *term = loop_signal_new(serving->loop, SIGTERM, on_signal, serving, &err);
    struct loop_signal *intr = loop_signal_new(serving->loop, SIGINT, on_signal, serving, &err);
    struct console *console = term && intr ? console_new(&options, &err) : NULL;
    if (console) {
        log_info("console_started", LOG_STR("version", ONCEGATE_VERSION),
                 LOG_STR("host", config->console.listen.host),
                 LOG_UINT("port", console_port(console)), LOG_STR("index", console_index(console)),
                 LOG_BOOL("allow_changes", config->console.allow_changes), LOG_END);
        loop_run(serving->loop);
        console_free(&console);
    } else {
        serving->code = cli_fail(&err);
    }
    loop_signal_free(&term);
    loop_signal_free(&intr);
    return serving->code;
}

static struct metrics *make_metrics(void)
{
    struct metric_label labels[] = {{"version", ONCEGATE_VERSION}};
    struct metrics *metrics = metrics_new();
    metric_set(metrics_gauge(metrics, "build_info", "1; the version is a label.", labels, 1), 1);
    metrics_add_process(metrics);
    return metrics;
}

int cmd_console(struct cli *cli)
{
    struct serving serving = {.code = EXIT_OK};
    struct metrics *metrics;
    struct config *config;
    struct err err = {0};
    int code = EXIT_OK;
    if (cli_flag(cli, "--print-openapi"))
        return print_openapi();
    if (cli->argc > 0)
        return cli_usage("console", "console takes no argument %s", cli->argv[0]);
    config = cli_load_config(cli, &code);
    if (!config)
        return code;
    signal(SIGPIPE, SIG_IGN);
    log_setup(config->log_level, config->log_format);
    metrics = make_metrics();
    serving.loop = loop_new(&err);
    code = serving.loop ? serve(&serving, config, metrics) : cli_fail(&err);
    loop_free(&serving.loop);
    metrics_free(&metrics);
    config_free(&config);
    if (!kafka_clients_wait(LEAVE_MS))
        _exit(code);
    if (code == EXIT_OK)
        log_info("stopped", LOG_END);
    return code;
}
