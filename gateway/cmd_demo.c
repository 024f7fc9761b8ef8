/*
 * oncegate demo: the main job with everything that it needs, traffic and trouble included. This
 * process produces, watches and judges; Kafka's stand-in, Redis, the handler and the gateway are
 * processes of their own, which end with it. See demo_story.h for what happens.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "cli.h"
#include "demo_book.h"
#include "demo_page.h"
#include "demo_parts.h"
#include "demo_probe.h"
#include "demo_report.h"
#include "demo_screen.h"
#include "demo_story.h"
#include "demo_stream.h"
#include "demo_watch.h"
#include "demo_world.h"

#define SECONDS        40
#define SECONDS_LEAST  20
#define SECONDS_MOST   3600
#define EXIT_BY_SIGNAL 130
#define SINCE_MOST_S   86400

struct options {
    const char *program; /* as typed */
    const char *kafka;   /* NULL: the mock cluster */
    const char *dir;
    unsigned seconds;
    bool keep;
    bool no_browser;
    bool own_kafka; /* --kafka-ends: the broker was started for this demo, scripts/demo ends it */
    uint64_t since_ns; /* --since: the first delivery is measured from there */
    bool since_given;
};

static bool read_since(const char *text, struct options *options)
{
    uint64_t s = 0;
    int64_t ago_ms;
    options->since_ns = clock_mono_ns();
    if (!text)
        return true;
    if (!str_to_u64(slice_of(text), &s))
        return false;
    ago_ms = clock_wall_ms() - (int64_t)s * 1000;
    if (ago_ms < 0 || ago_ms > (int64_t)SINCE_MOST_S * 1000)
        return false;
    options->since_ns -= (uint64_t)ago_ms * NS_PER_MS;
    options->since_given = true;
    return true;
}

static int read_options(struct cli *cli, struct options *options)
{
    const char *seconds = cli_option(cli, "--seconds");
    const char *since = cli_option(cli, "--since");
    uint64_t n = SECONDS;
    bool mock = cli_flag(cli, "--mock");
    options->keep = cli_flag(cli, "--keep");
    options->no_browser = cli_flag(cli, "--no-browser");
    options->own_kafka = cli_flag(cli, "--kafka-ends");
    options->kafka = cli_option(cli, "--kafka");
    options->dir = cli_option(cli, "--dir");
    if (cli->argc > 0)
        return cli_usage("demo",
                         "demo takes --kafka BOOTSTRAP, --mock, --seconds N, --keep, "
                         "--no-browser, --dir DIR, not %s",
                         cli->argv[0]);
    if (mock && options->kafka)
        return cli_usage("demo", "--mock and --kafka exclude each other");
    if (seconds && (!str_to_u64(slice_of(seconds), &n) || n < SECONDS_LEAST || n > SECONDS_MOST))
        return cli_usage("demo", "--seconds takes a number from %d to %d", SECONDS_LEAST,
                         SECONDS_MOST);
    if (!read_since(since, options))
        return cli_usage("demo", "--since takes seconds since the Unix epoch, within the last day");
    options->seconds = (unsigned)n;
    return EXIT_OK;
}

/* What the story plays with. */
struct stage {
    struct loop *loop;
    struct loop_signal *intr, *term;
    struct demo_world world;
    struct demo_book *book;
    struct demo_stream *stream;
    struct demo_watch *watch;
    struct demo_probe *probe;
    struct demo_screen *screen;
};

/* For as long as there is anything to end: the second Ctrl-C must not leave it behind. */
static void on_interrupt(int signo, void *arg)
{
    (void)signo;
    loop_stop(arg);
}

static bool take_signals(struct stage *stage, struct err *err)
{
    stage->intr = loop_signal_new(stage->loop, SIGINT, on_interrupt, stage->loop, err);
    stage->term = loop_signal_new(stage->loop, SIGTERM, on_interrupt, stage->loop, err);
    return stage->intr && stage->term;
}

static bool stage_open(struct stage *stage, const struct options *options, struct err *err)
{
    char prefix[40] = "";
    const struct route_config *route;
    if (options->kafka && !options->own_kafka)
        snprintf(prefix, sizeof(prefix), "oncegate-demo-%d-", (int)getpid());
    stage->loop = loop_new(err);
    stage->book = demo_book_new();
    if (!stage->loop || !take_signals(stage, err) ||
        !demo_world_open(&stage->world, options->dir, options->kafka, prefix, err))
        return false;
    demo_report_opening(stage->screen, &stage->world, options->own_kafka);
    if (!demo_world_make_topics(&stage->world, err) ||
        !demo_world_start_gateway(&stage->world, err) ||
        !demo_world_start_console(&stage->world, err))
        return false;
    route = &stage->world.config->routes[0];
    stage->probe = demo_probe_new(stage->loop, stage->world.config->admin.port, route->topics[0],
                                  stage->book);
    stage->stream = demo_stream_new(stage->loop, stage->world.config, route->topics[0], stage->book,
                                    err);
    stage->watch = stage->stream
                       ? demo_watch_new(stage->loop, stage->world.config, route, stage->book, err)
                       : NULL;
    return stage->watch != NULL;
}

static void stage_close(struct stage *stage)
{
    demo_watch_free(&stage->watch);
    demo_stream_free(&stage->stream);
    demo_probe_free(&stage->probe);
    demo_world_close(&stage->world);
    demo_book_free(&stage->book);
    loop_signal_free(&stage->intr);
    loop_signal_free(&stage->term);
    loop_free(&stage->loop);
    demo_screen_free(&stage->screen);
}

static int tell(struct stage *stage, const struct options *options)
{
    struct demo_story story = {
        .loop = stage->loop,
        .world = &stage->world,
        .book = stage->book,
        .stream = stage->stream,
        .probe = stage->probe,
        .screen = stage->screen,
        .seconds = options->seconds,
        .open_page = !options->no_browser && isatty(STDOUT_FILENO) && demo_page_can_open(),
        .since_ns = options->since_ns,
        .since_what = options->since_given ? ", installing and building included" : "",
    };
    bool told = demo_story_run(&story), good;
    demo_screen_settle(stage->screen);
    if (story.interrupted) {
        demo_screen_print(stage->screen, TONE_PLAIN, "\n  Interrupted: everything is being ended.");
        return EXIT_BY_SIGNAL;
    }
    if (!told)
        demo_world_show_log(&stage->world);
    if (!options->keep) {
        /* Its last word may be one more delivery: the table is of what stands when it is gone. */
        child_end(&stage->world.gateway, SIGTERM, 25000);
        (void)demo_book_read_log(stage->book, stage->world.handler_log);
    }
    good = demo_report_table(stage->screen, stage->book, &story) && told;
    demo_report_next(stage->screen, &stage->world, options->program, options->own_kafka,
                     options->keep && told);
    if (options->keep && told)
        loop_run(stage->loop);
    return good ? EXIT_OK : EXIT_FAIL;
}

static int play(struct cli *cli, const struct options *options)
{
    struct stage stage = {0};
    struct err err = {0};
    const char *terminal = getenv("TERM");
    bool live = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    int code;
    log_setup(LOG_ERROR, LOG_FORMAT_AUTO);
    signal(SIGPIPE, SIG_IGN);
    stage.screen = demo_screen_new(cli->color && live, live);
    if (stage_open(&stage, options, &err))
        code = tell(&stage, options);
    else
        code = cli_fail(&err);
    stage_close(&stage);
    return code;
}

int cmd_demo(struct cli *cli)
{
    struct options options = {.program = cli->program};
    const char *part = cli_option(cli, "--part");
    int code;
    if (part && strcmp(part, "mock") == 0)
        return demo_part_mock(cli);
    if (part && strcmp(part, "handler") == 0)
        return demo_part_handler(cli);
    code = part ? cli_usage("demo", "no part %s", part) : read_options(cli, &options);
    return code == EXIT_OK ? play(cli, &options) : code;
}
