/* Opening, table and commands; see demo_report.h. Judges nothing but what the book says. */
#include "demo_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "demo_order.h"

void demo_report_opening(struct demo_screen *screen, const struct demo_world *world, bool own)
{
    const char *line = world->text.data;
    demo_screen_print(screen, TONE_GOOD, "oncegate demo");
    if (world->mock) {
        demo_screen_gap(screen);
        demo_screen_print(screen, TONE_LOUD,
                          "  DEMO ONLY: the Kafka of this run is librdkafka's mock cluster. It");
        demo_screen_print(screen, TONE_LOUD,
                          "  keeps records in memory only. With a real one: ./scripts/demo, or");
        demo_screen_print(screen, TONE_LOUD, "  oncegate demo --kafka BOOTSTRAP");
        demo_screen_gap(screen);
    }
    demo_screen_print(screen, TONE_PLAIN, "  Kafka    %s  (%s)", world->bootstrap,
                      world->mock ? "mock cluster, a process of this demo"
                      : own       ? "a real broker of this demo"
                                  : "yours");
    demo_screen_print(screen, TONE_PLAIN, "  Redis    a redis-server of this demo, pid %d",
                      (int)world->redis.pid);
    demo_screen_print(screen, TONE_PLAIN, "  handler  %s  (takes 2 to 7 ms, fails at times)",
                      world->config->routes[0].handler.url);
    if (!world->mock)
        demo_screen_print(screen, TONE_PLAIN,
                          "  console  http://127.0.0.1:%u  (dead letters, live)",
                          (unsigned)world->config->console.listen.port);
    demo_screen_print(screen, TONE_PLAIN, "  config   %s", world->config_file);
    demo_screen_gap(screen);
    while (*line) {
        size_t len = strcspn(line, "\n");
        demo_screen_print(screen, TONE_DIM, "    %.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    demo_screen_gap(screen);
}

static void row(struct demo_screen *screen, const char *what, uint64_t n, const char *remark)
{
    char number[DEMO_NUMBER_MAX];
    demo_screen_print(screen, TONE_PLAIN, "  %-28s %8s   %s", what, demo_number(n, number), remark);
}

/* What must be zero. */
static bool check(struct demo_screen *screen, const char *what, uint64_t n)
{
    char number[DEMO_NUMBER_MAX];
    demo_screen_print(screen, n == 0 ? TONE_GOOD : TONE_BAD, "  %-28s %8s   %s", what,
                      demo_number(n, number), n == 0 ? "ok" : "WRONG");
    return n == 0;
}

static void rule(struct demo_screen *screen)
{
    demo_screen_print(
        screen, TONE_DIM,
        "  --------------------------------------------------------------------------");
}

bool demo_report_table(struct demo_screen *screen, const struct demo_book *book,
                       const struct demo_story *story)
{
    struct demo_figures f;
    struct demo_verdict v;
    char text[128], a[DEMO_NUMBER_MAX];
    bool good = true;
    demo_book_figures(book, &f);
    demo_book_judge(book, &v);
    demo_screen_gap(screen);
    demo_screen_print(screen, TONE_PLAIN,
                      "  What was produced, against what the handler and the "
                      "topics saw:");
    rule(screen);
    row(screen, "orders produced", f.acked, "numbered per customer");
    row(screen, "  delivered", f.delivered, "");
    snprintf(text, sizeof(text), "of %s poison", demo_number(v.poison, a));
    row(screen, "  dead letters", f.dead, text);
    snprintf(text, sizeof(text), "of %s sent", demo_number(f.resends_acked, a));
    row(screen, "duplicates stopped", f.resends_stopped, text);
    row(screen, "failed calls of the handler", f.failed_calls, "");
    snprintf(text, sizeof(text), "and %s in tier 5s", demo_number(f.parked[1], a));
    row(screen, "copies in tier 2s", f.parked[0], text);
    if (story->breaker_closed) {
        snprintf(text, sizeof(text), "breaker open %.1f s, closed by itself", story->breaker_s);
        snprintf(a, sizeof(a), "outage of %.0f s", story->outage_s);
        demo_screen_print(screen, TONE_PLAIN, "  %-28s %8s   %s", a, "", text);
    }
    rule(screen);
    good = check(screen, "lost", v.lost) && good;
    good = check(screen, "out of order", v.out_of_order) && good;
    good = check(screen, "dead-lettered and no poison", v.dead_wrongly) && good;
    snprintf(text, sizeof(text), "by the kill -9 (open calls: %s)", demo_number(v.open_at_kill, a));
    row(screen, "delivered twice", v.twice_at_kill, text);
    good = check(screen, "delivered twice otherwise", v.twice) && good;
    rule(screen);
    if (v.twice_at_kill > 0) {
        demo_screen_print(
            screen, TONE_DIM,
            "  The window: the handler had done its work, and the gateway died before");
        demo_screen_print(screen, TONE_DIM,
                          "  the mark was in Redis. A handler that keeps the Idempotency-Key (the");
        demo_screen_print(screen, TONE_DIM, "  same on both calls) closes it: docs/handler.md.");
    }
    return good;
}

static void report_ended(struct demo_screen *screen, const struct demo_world *world, bool own)
{
    if (world->mock || own) {
        demo_screen_print(screen, TONE_PLAIN,
                          "  Broker, Redis and gateway of the demo have ended.");
    } else {
        demo_screen_print(screen, TONE_PLAIN,
                          "  Redis and gateway of the demo have ended. Your broker "
                          "goes on, and keeps");
        demo_screen_print(screen, TONE_PLAIN, "  the topics *%s.",
                          world->config->routes[0].topics[0]);
    }
    demo_screen_print(screen, TONE_PLAIN,
                      "  With --keep all goes on until Ctrl-C, for these in another terminal:");
}

void demo_report_next(struct demo_screen *screen, const struct demo_world *world,
                      const char *program, bool own, bool kept)
{
    char key[ORDER_KEY_MAX];
    demo_order_key(7, key);
    demo_screen_gap(screen);
    if (kept)
        demo_screen_print(screen, TONE_LOUD,
                          "  Everything still runs, until Ctrl-C. In another terminal:");
    else
        report_ended(screen, world, own);
    demo_screen_gap(screen);
    demo_screen_print(screen, TONE_PLAIN, "    export ONCEGATE_CONFIG=%s", world->config_file);
    demo_screen_print(screen, TONE_PLAIN, "    %s status", program);
    if (!world->mock) {
        demo_screen_print(screen, TONE_PLAIN, "    %s dlq groups", program);
        if (kept)
            demo_screen_print(screen, TONE_PLAIN, "  and in a browser: http://127.0.0.1:%u",
                              (unsigned)world->config->console.listen.port);
    }
    demo_screen_print(screen, TONE_PLAIN, "    %s ledger get orders %s %s", program,
                      world->config->routes[0].topics[0], key);
    if (!world->mock)
        demo_screen_print(screen, TONE_PLAIN, "    %s topics plan", program);
    demo_screen_print(screen, TONE_PLAIN, "    %s check   (needs nothing that runs)", program);
    demo_screen_print(screen, TONE_PLAIN, "  Logs: %s", world->dir);
}
