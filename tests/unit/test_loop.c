#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/loop.h"

enum { TRACE_MAX = 64 };

/* What happened, as letters in order. */
struct world {
    struct loop *loop;
    char trace[TRACE_MAX];
    size_t len;
};

static int setup(void **state)
{
    static struct world world;
    struct err err = {0};
    world = (struct world){0};
    world.loop = loop_new(&err);
    *state = &world;
    return world.loop ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *world = *state;
    clock_set_for_test(NULL, NULL);
    loop_free(&world->loop);
    loop_free(&world->loop); /* twice is fine */
    return world->loop ? -1 : 0;
}

static void note(struct world *world, char c)
{
    assert_true(world->len < TRACE_MAX - 1);
    world->trace[world->len++] = c;
    world->trace[world->len] = '\0';
}

/* A task or timer that notes a letter and may do one thing more. */
struct actor {
    struct world *world;
    char letter;
    struct loop_task task;
    struct loop_timer timer;
    struct actor *defers; /* deferred when this one runs */
    struct actor *defers_last;
    struct actor *cancels; /* its task is cancelled when this one runs */
    bool stops;
    bool deinits;
    uint64_t fired_ns;
};

static void act(void *arg)
{
    struct actor *actor = arg;
    actor->fired_ns = clock_mono_ns();
    note(actor->world, actor->letter);
    if (actor->defers)
        loop_defer(actor->world->loop, &actor->defers->task);
    if (actor->defers_last)
        loop_defer_last(actor->world->loop, &actor->defers_last->task);
    if (actor->cancels)
        loop_task_cancel(actor->world->loop, &actor->cancels->task);
    if (actor->deinits)
        loop_timer_deinit(&actor->timer);
    if (actor->stops)
        loop_stop(actor->world->loop);
}

static struct actor actor_new(struct world *world, char letter)
{
    return (struct actor){.world = world, .letter = letter};
}

static void with_task(struct actor *actor)
{
    loop_task_init(&actor->task, act, actor);
}

static void with_timer(struct actor *actor)
{
    loop_timer_init(&actor->timer, actor->world->loop, act, actor);
}

static void test_loop_defer_never_runs_inside_the_call(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    with_task(&a);
    loop_defer(world->loop, &a.task);
    assert_string_equal(world->trace, "");
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "a");
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "a");
}

static void test_loop_defer_of_a_queued_task_does_nothing(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    with_task(&a);
    loop_defer(world->loop, &a.task);
    loop_defer(world->loop, &a.task);
    loop_turn(world->loop, false);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "a");
}

static void test_loop_defer_keeps_the_order(void **state)
{
    struct world *world = *state;
    struct actor actors[5];
    for (int i = 0; i < 5; i++) {
        actors[i] = actor_new(world, (char)('a' + i));
        with_task(&actors[i]);
        loop_defer(world->loop, &actors[i].task);
    }
    loop_turn(world->loop, true);
    assert_string_equal(world->trace, "abcde");
}

/* A chain of tasks must not starve the sockets: what is deferred by a task waits for the next turn.
 */
static void test_loop_defer_inside_a_task_runs_in_the_next_turn(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    struct actor timer = actor_new(world, 't');
    with_task(&a);
    with_timer(&timer);
    a.defers = &a;
    loop_defer(world->loop, &a.task);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "a");
    loop_timer_set_ms(&timer.timer, 0);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "ata");
    loop_timer_deinit(&timer.timer);
}

static void test_loop_defer_last_from_a_task_runs_at_the_end_of_the_same_turn(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    struct actor b = actor_new(world, 'b');
    struct actor last = actor_new(world, 'l');
    with_task(&a);
    with_task(&b);
    with_task(&last);
    a.defers_last = &last;
    loop_defer(world->loop, &a.task);
    loop_defer(world->loop, &b.task);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "abl");
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "abl");
}

static void test_loop_defer_last_from_a_last_task_runs_in_the_next_turn(void **state)
{
    struct world *world = *state;
    struct actor last = actor_new(world, 'l');
    struct actor timer = actor_new(world, 't');
    with_task(&last);
    with_timer(&timer);
    last.defers_last = &last;
    loop_defer_last(world->loop, &last.task);
    loop_turn(world->loop, true); /* would hang: nothing else is watched */
    assert_string_equal(world->trace, "l");
    loop_timer_set_ms(&timer.timer, 0);
    loop_turn(world->loop, true);
    assert_string_equal(world->trace, "ltl");
    loop_timer_deinit(&timer.timer);
}

static void test_loop_task_cancel_of_a_last_task_stops_it(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    struct actor last = actor_new(world, 'l');
    with_task(&a);
    with_task(&last);
    a.cancels = &last;
    loop_defer_last(world->loop, &last.task);
    loop_defer(world->loop, &a.task);
    loop_turn(world->loop, false);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "a");
    assert_false(last.task.queued);
}

static void test_loop_turn_blocking_with_a_queued_task_does_not_wait(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    with_task(&a);
    loop_defer(world->loop, &a.task);
    loop_turn(world->loop, true); /* would hang: nothing else is watched */
    assert_string_equal(world->trace, "a");
}

static void test_loop_task_cancel_before_it_runs_stops_it(void **state)
{
    struct world *world = *state;
    struct actor actors[3];
    for (int i = 0; i < 3; i++) {
        actors[i] = actor_new(world, (char)('a' + i));
        with_task(&actors[i]);
        loop_defer(world->loop, &actors[i].task);
    }
    loop_task_cancel(world->loop, &actors[1].task);
    loop_task_cancel(world->loop, &actors[1].task);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "ac");
    /* The queue's ends are right again: */
    loop_defer(world->loop, &actors[1].task);
    loop_defer(world->loop, &actors[2].task);
    loop_task_cancel(world->loop, &actors[2].task);
    loop_defer(world->loop, &actors[0].task);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "acba");
}

static void test_loop_task_cancel_from_a_task_of_the_same_turn_stops_it(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    struct actor b = actor_new(world, 'b');
    with_task(&a);
    with_task(&b);
    a.cancels = &b;
    loop_defer(world->loop, &a.task);
    loop_defer(world->loop, &b.task);
    loop_turn(world->loop, false);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "a");
    assert_false(b.task.queued);
}

static void test_loop_timer_set_ms_never_fires_early(void **state)
{
    struct world *world = *state;
    for (int ms = 1; ms <= 12; ms++) {
        struct actor t = actor_new(world, 't');
        with_timer(&t);
        uint64_t due_ns = clock_mono_ns() + (uint64_t)ms * NS_PER_MS;
        loop_timer_set_at(&t.timer, due_ns);
        while (loop_timer_armed(&t.timer))
            loop_turn(world->loop, true);
        assert_true(t.fired_ns >= due_ns);
        loop_timer_deinit(&t.timer);
    }
    assert_int_equal(world->len, 12);
}

struct slow {
    struct actor *target;
    uint64_t due_ns;
};

/* Spends time inside the callback, so that libevent's cached time is old when the timer is set. */
static void set_after_work(void *arg)
{
    struct slow *slow = arg;
    uint64_t until_ns = clock_mono_ns() + 20 * NS_PER_MS;
    while (clock_mono_ns() < until_ns)
        continue;
    slow->due_ns = clock_mono_ns() + 10 * NS_PER_MS;
    loop_timer_set_at(&slow->target->timer, slow->due_ns);
}

static void test_loop_timer_set_at_after_long_work_never_fires_early(void **state)
{
    struct world *world = *state;
    struct actor t = actor_new(world, 't');
    struct slow slow = {.target = &t};
    struct loop_timer starter;
    with_timer(&t);
    loop_timer_init(&starter, world->loop, set_after_work, &slow);
    loop_timer_set_ms(&starter, 0);
    while (world->len == 0)
        loop_turn(world->loop, true);
    assert_true(t.fired_ns >= slow.due_ns);
    loop_timer_deinit(&starter);
    loop_timer_deinit(&t.timer);
}

static void test_loop_timer_set_ms_replaces_an_armed_one(void **state)
{
    struct world *world = *state;
    struct actor t = actor_new(world, 't');
    with_timer(&t);
    loop_timer_set_ms(&t.timer, INT64_MAX);
    assert_true(loop_timer_armed(&t.timer));
    loop_timer_set_ms(&t.timer, -5);
    loop_turn(world->loop, true);
    assert_string_equal(world->trace, "t");
    assert_false(loop_timer_armed(&t.timer));
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "t");
    loop_timer_deinit(&t.timer);
}

static void test_loop_timer_set_at_the_end_of_time_stays_armed(void **state)
{
    struct world *world = *state;
    struct actor t = actor_new(world, 't');
    with_timer(&t);
    loop_timer_set_at(&t.timer, UINT64_MAX);
    loop_turn(world->loop, false);
    assert_true(loop_timer_armed(&t.timer));
    assert_string_equal(world->trace, "");
    loop_timer_deinit(&t.timer);
}

static void test_loop_timer_cancel_stops_it(void **state)
{
    struct world *world = *state;
    struct actor t = actor_new(world, 't');
    with_timer(&t);
    loop_timer_set_ms(&t.timer, 0);
    loop_timer_cancel(&t.timer);
    loop_timer_cancel(&t.timer);
    assert_false(loop_timer_armed(&t.timer));
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "");
    loop_timer_deinit(&t.timer);
    loop_timer_deinit(&t.timer);
}

static void test_loop_timer_deinit_inside_its_own_callback_is_safe(void **state)
{
    struct world *world = *state;
    struct actor t = actor_new(world, 't');
    with_timer(&t);
    t.deinits = true;
    loop_timer_set_ms(&t.timer, 0);
    loop_turn(world->loop, true);
    assert_string_equal(world->trace, "t");
    assert_false(loop_timer_armed(&t.timer));
}

static void test_loop_timer_fires_in_the_order_of_due_times(void **state)
{
    struct world *world = *state;
    struct actor timers[3];
    uint64_t now_ns = clock_mono_ns();
    for (int i = 0; i < 3; i++) {
        timers[i] = actor_new(world, (char)('a' + i));
        with_timer(&timers[i]);
        loop_timer_set_at(&timers[i].timer, now_ns + (uint64_t)(3 - i) * 2 * NS_PER_MS);
    }
    while (world->len < 3)
        loop_turn(world->loop, true);
    assert_string_equal(world->trace, "cba");
    for (int i = 0; i < 3; i++)
        loop_timer_deinit(&timers[i].timer);
}

static void test_loop_stop_ends_the_run_after_this_turn(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    struct actor b = actor_new(world, 'b');
    with_task(&a);
    with_task(&b);
    a.stops = true;
    a.defers = &a;
    loop_defer(world->loop, &a.task);
    loop_defer(world->loop, &b.task);
    loop_run(world->loop);
    assert_string_equal(world->trace, "ab");
    /* It can run again. */
    loop_run(world->loop);
    assert_string_equal(world->trace, "aba");
}

static void test_loop_stop_before_the_run_ends_it_at_once(void **state)
{
    struct world *world = *state;
    loop_stop(world->loop);
    loop_run(world->loop);
    assert_string_equal(world->trace, "");
}

struct watched {
    struct world *world;
    int fd;
    struct loop_watch *watch;
    bool frees;
};

static void on_pipe(void *arg)
{
    struct watched *watched = arg;
    char c;
    assert_int_equal(read(watched->fd, &c, 1), 1);
    note(watched->world, c);
    if (watched->frees)
        loop_watch_free(&watched->watch);
}

static void test_loop_watch_new_fires_on_every_readable_turn(void **state)
{
    struct world *world = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct watched watched = {.world = world, .fd = fds[0]};
    struct err err = {0};
    watched.watch = loop_watch_new(world->loop, fds[0], on_pipe, &watched, &err);
    assert_non_null(watched.watch);
    assert_int_equal(write(fds[1], "xyz", 3), 3);
    for (int i = 0; i < 3; i++)
        loop_turn(world->loop, true);
    assert_string_equal(world->trace, "xyz");
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "xyz");
    loop_watch_free(&watched.watch);
    assert_null(watched.watch);
    loop_watch_free(&watched.watch);
    close(fds[0]);
    close(fds[1]);
}

static void test_loop_watch_free_inside_its_own_callback_is_safe(void **state)
{
    struct world *world = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct watched watched = {.world = world, .fd = fds[0], .frees = true};
    struct err err = {0};
    watched.watch = loop_watch_new(world->loop, fds[0], on_pipe, &watched, &err);
    assert_int_equal(write(fds[1], "xy", 2), 2);
    loop_turn(world->loop, true);
    loop_turn(world->loop, false);
    assert_string_equal(world->trace, "x");
    close(fds[0]);
    close(fds[1]);
}

static void test_loop_watch_new_of_a_bad_descriptor_fails(void **state)
{
    struct world *world = *state;
    struct err err = {0};
    assert_null(loop_watch_new(world->loop, 1000000, on_pipe, NULL, &err));
    assert_int_equal(err.code, ERR_INTERNAL);
}

static void on_sigusr1(int signo, void *arg)
{
    assert_int_equal(signo, SIGUSR1);
    note(arg, 's');
}

static void test_loop_signal_new_delivers_on_the_loop(void **state)
{
    struct world *world = *state;
    struct err err = {0};
    struct loop_signal *sig = loop_signal_new(world->loop, SIGUSR1, on_sigusr1, world, &err);
    assert_non_null(sig);
    raise(SIGUSR1);
    assert_string_equal(world->trace, "");
    while (world->len == 0)
        loop_turn(world->loop, true);
    assert_string_equal(world->trace, "s");
    loop_signal_free(&sig);
    assert_null(sig);
}

enum { POSTERS = 4, POSTS = 2000 };

struct posting {
    struct loop *loop;
    pthread_t loop_thread;
    int next[POSTERS]; /* the number expected next of each poster */
    int done;
    bool wrong;
};

struct posted {
    struct posting *posting;
    int poster, number;
};

static struct posted posted[POSTERS][POSTS];

static void take_post(void *arg)
{
    struct posted *one = arg;
    struct posting *posting = one->posting;
    if (one->number != posting->next[one->poster] ||
        !pthread_equal(pthread_self(), posting->loop_thread))
        posting->wrong = true;
    posting->next[one->poster]++;
    if (++posting->done == POSTERS * POSTS)
        loop_stop(posting->loop);
}

static void *post_many(void *arg)
{
    struct posted *mine = arg;
    for (int i = 0; i < POSTS; i++)
        loop_post(mine->posting->loop, take_post, &mine[i]);
    return NULL;
}

static void test_loop_post_from_many_threads_runs_each_in_order_on_the_loop(void **state)
{
    struct world *world = *state;
    struct posting posting = {.loop = world->loop, .loop_thread = pthread_self()};
    pthread_t threads[POSTERS];
    for (int p = 0; p < POSTERS; p++) {
        for (int i = 0; i < POSTS; i++)
            posted[p][i] = (struct posted){&posting, p, i};
        assert_int_equal(pthread_create(&threads[p], NULL, post_many, posted[p]), 0);
    }
    loop_run(world->loop);
    for (int p = 0; p < POSTERS; p++)
        pthread_join(threads[p], NULL);
    assert_int_equal(posting.done, POSTERS * POSTS);
    assert_false(posting.wrong);
}

static void test_loop_free_with_waiting_posts_drops_them(void **state)
{
    struct world *world = *state;
    struct actor a = actor_new(world, 'a');
    loop_post(world->loop, act, &a);
    loop_free(&world->loop);
    assert_string_equal(world->trace, "");
}

static uint64_t ticking_mono_ns(void)
{
    static uint64_t now_ns;
    return now_ns += NS_PER_MS;
}

static int64_t ticking_wall_ms(void)
{
    static int64_t now_ms;
    return ++now_ms;
}

struct glance {
    struct loop *loop;
    struct loop_task task;
    uint64_t mono_ns[2];
    int64_t wall_ms[2];
};

static void look_twice(void *arg)
{
    struct glance *glance = arg;
    for (int i = 0; i < 2; i++) {
        glance->mono_ns[i] = loop_mono_ns(glance->loop);
        glance->wall_ms[i] = loop_wall_ms(glance->loop);
    }
}

static void test_loop_mono_ns_is_read_once_a_turn_and_never_before_it(void **state)
{
    struct world *world = *state;
    struct glance glance = {.loop = world->loop};
    loop_task_init(&glance.task, look_twice, &glance);
    clock_set_for_test(ticking_mono_ns, ticking_wall_ms);
    for (int turn = 0; turn < 2; turn++) {
        uint64_t before_ns = clock_mono_ns();
        int64_t before_ms = clock_wall_ms();
        loop_defer(world->loop, &glance.task);
        loop_turn(world->loop, false);
        assert_true(glance.mono_ns[0] > before_ns && glance.wall_ms[0] > before_ms);
        assert_int_equal(glance.mono_ns[1], glance.mono_ns[0]);
        assert_int_equal(glance.wall_ms[1], glance.wall_ms[0]);
    }
    look_twice(&glance); /* outside of a turn nobody would forget it */
    assert_true(glance.mono_ns[1] > glance.mono_ns[0] && glance.wall_ms[1] > glance.wall_ms[0]);
}

static void test_loop_mono_ns_of_a_callback_is_of_after_the_wait(void **state)
{
    struct world *world = *state;
    struct glance glance = {.loop = world->loop};
    struct loop_timer timer;
    uint64_t before_ns = clock_mono_ns();
    loop_timer_init(&timer, world->loop, look_twice, &glance);
    loop_timer_set_ms(&timer, 20);
    while (glance.mono_ns[0] == 0)
        loop_turn(world->loop, true);
    assert_true(glance.mono_ns[0] >= before_ns + 20 * NS_PER_MS);
    loop_timer_deinit(&timer);
}

/* A callback of a turn, and the task that it defers to the turn's end. */
struct glances {
    struct glance callback, task;
};

static void look_and_defer(void *arg)
{
    struct glances *glances = arg;
    look_twice(&glances->callback);
    loop_defer(glances->task.loop, &glances->task.task);
}

static void test_loop_mono_ns_of_a_task_is_of_after_the_callbacks_and_not_kept(void **state)
{
    struct world *world = *state;
    struct glances glances = {{.loop = world->loop}, {.loop = world->loop}};
    loop_task_init(&glances.task.task, look_twice, &glances.task);
    clock_set_for_test(ticking_mono_ns, ticking_wall_ms);
    for (int turn = 0; turn < 2; turn++) {
        uint64_t before_ns = clock_mono_ns();
        int64_t before_ms = clock_wall_ms();
        glances.callback.mono_ns[0] = 0;
        loop_post(world->loop, look_and_defer, &glances);
        while (glances.callback.mono_ns[0] == 0)
            loop_turn(world->loop, true);
        assert_true(glances.callback.mono_ns[0] > before_ns);
        assert_true(glances.callback.wall_ms[0] > before_ms);
        assert_true(glances.task.mono_ns[0] > glances.callback.mono_ns[1]);
        assert_true(glances.task.wall_ms[0] > glances.callback.wall_ms[1]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_loop_defer_never_runs_inside_the_call),
        TEST(test_loop_defer_of_a_queued_task_does_nothing),
        TEST(test_loop_defer_keeps_the_order),
        TEST(test_loop_defer_inside_a_task_runs_in_the_next_turn),
        TEST(test_loop_defer_last_from_a_task_runs_at_the_end_of_the_same_turn),
        TEST(test_loop_defer_last_from_a_last_task_runs_in_the_next_turn),
        TEST(test_loop_task_cancel_of_a_last_task_stops_it),
        TEST(test_loop_mono_ns_is_read_once_a_turn_and_never_before_it),
        TEST(test_loop_mono_ns_of_a_callback_is_of_after_the_wait),
        TEST(test_loop_mono_ns_of_a_task_is_of_after_the_callbacks_and_not_kept),
        TEST(test_loop_turn_blocking_with_a_queued_task_does_not_wait),
        TEST(test_loop_task_cancel_before_it_runs_stops_it),
        TEST(test_loop_task_cancel_from_a_task_of_the_same_turn_stops_it),
        TEST(test_loop_timer_set_ms_never_fires_early),
        TEST(test_loop_timer_set_at_after_long_work_never_fires_early),
        TEST(test_loop_timer_set_ms_replaces_an_armed_one),
        TEST(test_loop_timer_set_at_the_end_of_time_stays_armed),
        TEST(test_loop_timer_cancel_stops_it),
        TEST(test_loop_timer_deinit_inside_its_own_callback_is_safe),
        TEST(test_loop_timer_fires_in_the_order_of_due_times),
        TEST(test_loop_stop_ends_the_run_after_this_turn),
        TEST(test_loop_stop_before_the_run_ends_it_at_once),
        TEST(test_loop_watch_new_fires_on_every_readable_turn),
        TEST(test_loop_watch_free_inside_its_own_callback_is_safe),
        TEST(test_loop_watch_new_of_a_bad_descriptor_fails),
        TEST(test_loop_signal_new_delivers_on_the_loop),
        TEST(test_loop_post_from_many_threads_runs_each_in_order_on_the_loop),
        TEST(test_loop_free_with_waiting_posts_drops_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
