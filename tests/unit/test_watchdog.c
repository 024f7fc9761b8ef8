/*
 * The watchdog's clock: it looks once a second, and stands still while the route does not deliver.
 * Whatever second a record is begun in, and wherever in one the route is held and goes on: it is
 * never called stuck before it had its time, and not much after.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/route_state.h"

#define LIMIT_MS 1000
#define LOOK_MS  1000
#define STEP_MS  100
#define NEVER    INT64_MAX

static int64_t now_ms;

static uint64_t mono_ns(void)
{
    return (uint64_t)now_ms * NS_PER_MS;
}

struct scene {
    struct route_config config;
    struct route route;
    struct lane lane;
    struct delivery d;
    struct metrics *metrics;
};

static void open_scene(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    s->config.name = (char *)(uintptr_t) "r";
    s->config.stuck_after_ms = LIMIT_MS;
    s->metrics = metrics_new();
    s->route.config = &s->config;
    s->route.phase = ROUTE_RUNNING;
    s->route.breaker = breaker_new(5, 3, 1000);
    s->route.metrics.stuck = metrics_gauge(s->metrics, "stuck_partitions", "", NULL, 0);
    s->route.metrics.stuck_keys = metrics_gauge(s->metrics, "stuck_keys", "", NULL, 0);
    TAILQ_INIT(&s->route.parts);
    TAILQ_INIT(&s->route.all);
    s->d.route = &s->route;
    s->d.lane = &s->lane;
    TAILQ_INSERT_TAIL(&s->route.all, &s->d, in_route);
}

static void close_scene(struct scene *s)
{
    breaker_free(&s->route.breaker);
    metrics_free(&s->metrics);
}

/* When a record that is begun at begin_ms, and never ends, is called stuck. */
static int64_t stuck_at(int64_t begin_ms, int64_t held_ms, int64_t goes_on_ms)
{
    struct scene s;
    open_scene(&s);
    for (now_ms = 0; now_ms < 20000 && s.route.watchdog.keys == 0; now_ms += STEP_MS) {
        s.route.holds = now_ms >= held_ms && now_ms < goes_on_ms ? HOLD_PERSON : 0;
        if (now_ms == begin_ms)
            watchdog_begin(&s.d);
        if (now_ms % LOOK_MS == 0)
            watchdog_look(&s.route);
    }
    close_scene(&s);
    return now_ms - STEP_MS;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void check(int64_t begin_ms, int64_t held_ms, int64_t goes_on_ms)
{
    int64_t at_ms = stuck_at(begin_ms, held_ms, goes_on_ms);
    int64_t end_ms = goes_on_ms < at_ms ? goes_on_ms : at_ms;
    int64_t had_ms = at_ms - begin_ms - larger(0, end_ms - larger(held_ms, begin_ms));
    if (had_ms < LIMIT_MS || had_ms > LIMIT_MS + 4 * LOOK_MS)
        print_message("begun at %lld, held from %lld to %lld: stuck at %lld\n", (long long)begin_ms,
                      (long long)held_ms, (long long)goes_on_ms, (long long)at_ms);
    assert_true(had_ms >= LIMIT_MS);
    assert_true(had_ms <= LIMIT_MS + 4 * LOOK_MS);
}

static void test_record_has_its_time_in_whatever_second_it_is_begun(void **state)
{
    (void)state;
    for (int64_t begin_ms = 0; begin_ms < 3 * LOOK_MS; begin_ms += STEP_MS)
        check(begin_ms, NEVER, NEVER);
}

static void test_record_has_its_time_around_a_pause(void **state)
{
    (void)state;
    for (int64_t held_ms = STEP_MS; held_ms < 4 * LOOK_MS; held_ms += STEP_MS) {
        for (int64_t ms = LOOK_MS; ms <= 3 * LOOK_MS; ms += 7 * STEP_MS) {
            for (int64_t begin_ms = 0; begin_ms < 8 * LOOK_MS; begin_ms += STEP_MS) {
                if (begin_ms < held_ms || begin_ms >= held_ms + ms)
                    check(begin_ms, held_ms, held_ms + ms);
            }
        }
    }
}

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    clock_set_for_test(mono_ns, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    clock_set_for_test(NULL, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_has_its_time_in_whatever_second_it_is_begun),
        cmocka_unit_test(test_record_has_its_time_around_a_pause),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
