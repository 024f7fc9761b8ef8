/*
 * The story; see demo_story.h. One tick reads what happened, shows it, and lets the current phase
 * decide whether it is over: no phase relies on time alone where it can look.
 */
#include "demo_story.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "demo_page.h"

#define TICK_MS       50
#define FIGURES_EVERY 4 /* ticks */
#define ORDERS_PER_S  400
#define JOIN_S        90
#define RESTART_MS    1000
#define STALLED_S     30 /* nothing moved for so long: it will not any more */

/* Moments of the story, in shares of its length. */
#define OUTAGE_AT    0.2
#define OUTAGE_SHARE 0.125
#define SPARE_AT     0.62
#define KILL_AT      0.475
#define END_AT       0.85

enum phase {
    PHASE_JOINING, /* the first gateway; nothing flows yet */
    PHASE_FLOWING,
    PHASE_OUTAGE,
    PHASE_HEALING,
    PHASE_KILLED,
    PHASE_REJOINING,
    PHASE_DRAINING,
    PHASE_OVER,
};

static double s_since(uint64_t ns)
{
    return (double)(clock_mono_ns() - ns) / (double)NS_PER_S;
}

static void enter(struct demo_story *story, enum phase phase)
{
    story->phase = (int)phase;
    story->phase_ns = clock_mono_ns();
}

static const char *gateway_state(const struct demo_story *story, enum demo_tone *tone)
{
    const struct demo_gateway_state *state = demo_probe_state(story->probe);
    *tone = TONE_LOUD;
    if (story->phase == PHASE_KILLED)
        return "killed";
    if (!state->answers)
        return "starting";
    if (strcmp(state->state, "running") == 0)
        *tone = TONE_GOOD;
    return strcmp(state->state, "idle") == 0 ? "waiting for its partitions" : state->state;
}

static void show(struct demo_story *story)
{
    struct demo_figures figures;
    enum demo_tone tone;
    const char *state = gateway_state(story, &tone);
    demo_book_figures(story->book, &figures);
    demo_screen_figures(story->screen, &figures, state, tone);
}

static void end(struct demo_story *story)
{
    show(story);
    enter(story, PHASE_OVER);
    loop_stop(story->loop);
}

static void break_off(struct demo_story *story)
{
    demo_screen_tell(story->screen, TONE_BAD, "%s", story->err.text);
    end(story);
}

static bool reached(const struct demo_story *story, double share)
{
    return s_since(story->begun_ns) >= share * story->seconds;
}

static double outage_length(const struct demo_story *story)
{
    double length = OUTAGE_SHARE * story->seconds;
    return length < 3 ? 3 : length;
}

static void joining(struct demo_story *story)
{
    if (!demo_probe_state(story->probe)->ready) {
        if (s_since(story->phase_ns) > JOIN_S) {
            (void)err_set(&story->err, ERR_TIMEOUT, "the gateway is not ready after %d s", JOIN_S);
            break_off(story);
        }
        return;
    }
    demo_screen_begin(story->screen);
    story->begun_ns = clock_mono_ns();
    demo_screen_tell(story->screen, TONE_GOOD,
                     "The gateway (pid %d) is ready. %d orders a second begin to flow.",
                     (int)story->world->gateway.pid, ORDERS_PER_S);
    demo_stream_start(story->stream, ORDERS_PER_S);
    enter(story, PHASE_FLOWING);
}

static void begin_outage(struct demo_story *story)
{
    child_signal(&story->world->handler, SIGUSR1);
    demo_screen_tell(story->screen, TONE_LOUD,
                     "OUTAGE: for %.0f s the handler answers 503 to everything.",
                     outage_length(story));
    enter(story, PHASE_OUTAGE);
}

static void look_at_breaker(struct demo_story *story)
{
    bool open = demo_probe_state(story->probe)->breaker_open;
    if (open && !story->breaker_opened) {
        story->breaker_opened = true;
        story->breaker_ns = clock_mono_ns();
        demo_screen_tell(story->screen, TONE_LOUD,
                         "The breaker opened after %.1f s: the route pauses, the attempts are "
                         "given back, one probe a second goes out.",
                         s_since(story->phase_ns));
    } else if (!open && story->breaker_opened && !story->breaker_closed &&
               story->phase == PHASE_HEALING) {
        struct demo_verdict verdict;
        story->breaker_closed = true;
        story->breaker_s = s_since(story->breaker_ns);
        demo_book_judge(story->book, &verdict);
        demo_screen_tell(story->screen, TONE_GOOD,
                         "The breaker closed by itself, %.1f s after the end of the outage. "
                         "Dead-lettered for the outage: %" PRIu64 ".",
                         s_since(story->phase_ns), verdict.dead_wrongly);
    }
}

static void outage(struct demo_story *story)
{
    look_at_breaker(story);
    if (s_since(story->phase_ns) < outage_length(story))
        return;
    story->outage_s = s_since(story->phase_ns);
    story->outage_done = true;
    child_signal(&story->world->handler, SIGUSR2);
    demo_screen_tell(story->screen, TONE_PLAIN, "The handler is well again.");
    enter(story, PHASE_HEALING);
}

static void healing(struct demo_story *story)
{
    look_at_breaker(story);
    if (story->breaker_closed || (!story->breaker_opened && s_since(story->phase_ns) > 5))
        enter(story, PHASE_FLOWING);
}

static void kill_gateway(struct demo_story *story)
{
    struct demo_verdict verdict;
    uint64_t us = clock_mono_ns() / 1000;
    story->killed_pid = story->world->gateway.pid;
    child_end(&story->world->gateway, SIGKILL, 5000);
    story->killed_ns = clock_mono_ns();
    (void)demo_book_read_log(story->book, story->world->handler_log);
    demo_book_killed(story->book, us);
    demo_book_judge(story->book, &verdict);
    demo_probe_forget(story->probe);
    demo_screen_tell(story->screen, TONE_LOUD,
                     "kill -9 of the gateway (pid %d); open calls at the handler: %" PRIu64
                     ". Orders keep coming.",
                     (int)story->killed_pid, verdict.open_at_kill);
    enter(story, PHASE_KILLED);
}

static void killed(struct demo_story *story)
{
    if (s_since(story->phase_ns) * 1000 < RESTART_MS)
        return;
    if (!demo_world_start_gateway(story->world, &story->err)) {
        break_off(story);
        return;
    }
    story->calls_then = demo_book_calls(story->book);
    demo_screen_tell(story->screen, TONE_PLAIN,
                     "Started again (pid %d). Kafka hands the partitions over when the dead "
                     "member's session of 6 s is over.",
                     (int)story->world->gateway.pid);
    enter(story, PHASE_REJOINING);
}

static void rejoining(struct demo_story *story)
{
    if (demo_book_calls(story->book) == story->calls_then)
        return;
    story->back_s = s_since(story->killed_ns);
    story->kill_done = true;
    demo_screen_tell(story->screen, TONE_GOOD, "Orders are delivered again, %.1f s after the kill.",
                     story->back_s);
    enter(story, PHASE_FLOWING);
}

/* A moment with work under way: a kill between two calls would show nothing. */
static bool time_to_kill(const struct demo_story *story)
{
    struct demo_figures figures;
    if (!reached(story, KILL_AT))
        return false;
    demo_book_figures(story->book, &figures);
    return figures.open_calls > 0 || s_since(story->begun_ns) > KILL_AT * story->seconds + 1;
}

static void flowing(struct demo_story *story)
{
    if (!story->outage_done && reached(story, OUTAGE_AT)) {
        begin_outage(story);
    } else if (story->outage_done && !story->kill_done && time_to_kill(story)) {
        kill_gateway(story);
    } else if (story->kill_done && reached(story, END_AT)) {
        char orders[DEMO_NUMBER_MAX];
        demo_stream_stop(story->stream);
        demo_screen_tell(story->screen, TONE_PLAIN,
                         "The stream ends after %s orders; what is left is worked off.",
                         demo_number(demo_book_orders(story->book), orders));
        enter(story, PHASE_DRAINING);
    }
    /* Such an order takes up to 8 s: none that the end would have to wait for much longer. */
    if (!story->spared && reached(story, SPARE_AT)) {
        story->spared = true;
        demo_stream_spare(story->stream);
    }
}

static void draining(struct demo_story *story)
{
    struct demo_figures figures;
    demo_book_figures(story->book, &figures);
    if (demo_stream_pending(story->stream) == 0 && figures.lag == 0 &&
        demo_book_complete(story->book)) {
        demo_screen_tell(story->screen, TONE_GOOD, "Every order is accounted for.");
        end(story);
        return;
    }
    if (figures.calls != story->calls_then || figures.lag != story->lag_then) {
        story->calls_then = figures.calls;
        story->lag_then = figures.lag;
        story->phase_ns = clock_mono_ns();
    } else if (s_since(story->phase_ns) > STALLED_S) {
        demo_screen_tell(story->screen, TONE_BAD,
                         "Not everything is accounted for, and nothing moved for %d s.", STALLED_S);
        end(story);
    }
}

static bool child_is_fine(struct demo_story *story, struct child *child)
{
    if (child->pid == 0 || child_running(child))
        return true;
    (void)err_set(&story->err, ERR_UNAVAILABLE, "%s ended (status %d): this was not planned",
                  child->name,
                  WIFEXITED(child->status) ? WEXITSTATUS(child->status) : -child->status);
    break_off(story);
    return false;
}

static bool all_is_fine(struct demo_story *story)
{
    struct demo_world *world = story->world;
    if (!child_is_fine(story, &world->kafka) || !child_is_fine(story, &world->redis) ||
        !child_is_fine(story, &world->handler) || !child_is_fine(story, &world->gateway))
        return false;
    if (!demo_stream_failed(story->stream, &story->err))
        return true;
    (void)err_prefix(&story->err, "an order could not be produced");
    break_off(story);
    return false;
}

static void tell_first(struct demo_story *story, const struct demo_figures *figures)
{
    if (story->first_told || figures->delivered == 0)
        return;
    story->first_told = true;
    demo_screen_tell(story->screen, TONE_GOOD, "first record delivered after %.1f s%s",
                     s_since(story->since_ns), story->since_what);
}

/* The page is empty before, so it is opened no sooner. */
static void tell_first_dead(struct demo_story *story, const struct demo_figures *figures)
{
    char address[DEMO_PAGE_MAX];
    if (story->dead_told || figures->dead == 0 || story->world->mock)
        return;
    story->dead_told = true;
    demo_page_address(story->world, address);
    if (story->open_page && demo_page_open(story->world))
        demo_screen_tell(story->screen, TONE_GOOD,
                         "The first order is a dead letter: your browser opens %s, until the demo "
                         "ends (--keep: until Ctrl-C).",
                         address);
    else
        demo_screen_tell(story->screen, TONE_GOOD, "The first order is a dead letter: see %s",
                         address);
}

static void observe(struct demo_story *story)
{
    struct demo_figures figures;
    (void)demo_book_read_log(story->book, story->world->handler_log);
    if (story->phase != PHASE_KILLED)
        demo_probe_ask(story->probe);
    demo_book_figures(story->book, &figures);
    tell_first(story, &figures);
    tell_first_dead(story, &figures);
    if (story->phase != PHASE_JOINING && story->ticks++ % FIGURES_EVERY == 0)
        show(story);
}

static void on_tick(void *arg)
{
    static void (*const phases[])(struct demo_story *) = {
        joining, flowing, outage, healing, killed, rejoining, draining,
    };
    struct demo_story *story = arg;
    observe(story);
    if (all_is_fine(story))
        phases[story->phase](story);
    if (story->phase != PHASE_OVER)
        loop_timer_set_ms(&story->tick, TICK_MS);
}

bool demo_story_run(struct demo_story *story)
{
    loop_timer_init(&story->tick, story->loop, on_tick, story);
    enter(story, PHASE_JOINING);
    loop_timer_set_ms(&story->tick, 0);
    loop_run(story->loop);
    loop_timer_deinit(&story->tick);
    story->interrupted = story->phase != PHASE_OVER;
    return !story->interrupted && !story->err.code;
}
