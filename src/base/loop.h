/*
 * The event loop of one thread, on libevent. Everything here but loop_post is called on the loop's
 * own thread (or before loop_run). A callback casts, makes one transition and returns.
 *
 * Timers run on the monotonic clock. A task (loop_defer) runs once, later in the same turn or in
 * the next one, never inside loop_defer: completion callbacks are delivered through it.
 */
#ifndef OG_BASE_LOOP_H
#define OG_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct loop;
struct event_base; /* libevent */
struct event;      /* libevent */

struct loop *loop_new(struct err *err) MUST_CHECK;
void loop_free(struct loop **loop);
void loop_run(struct loop *loop);  /* until loop_stop */
void loop_stop(struct loop *loop); /* loop_run returns after this turn */
/* Runs what is ready and returns; block: waits for at least one event first. For tests and
 * commands. */
void loop_turn(struct loop *loop, bool block);
struct event_base *loop_base(struct loop *loop); /* borrowed, for libevent's own users */
/* The clocks (base/clock.h), read once for the callbacks of a turn and once for its tasks: behind
 * by no more than these take. For what is asked for each record and need not be exact. */
uint64_t loop_mono_ns(struct loop *loop);
int64_t loop_wall_ms(struct loop *loop);

/* A timer, embedded in its owner. One shot. */
struct loop_timer {
    struct loop *loop;
    void (*fire)(void *arg);
    void *arg;
    struct event *ev;
    uint64_t due_ns; /* on clock_mono_ns(); private to loop.c */
};
void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fire)(void *), void *arg);
void loop_timer_deinit(struct loop_timer *timer);
void loop_timer_set_ms(struct loop_timer *timer,
                       int64_t after_ms); /* replaces an armed one; <= 0: next turn */
void loop_timer_set_at(struct loop_timer *timer, uint64_t mono_ns); /* replaces an armed one */
void loop_timer_cancel(struct loop_timer *timer);
bool loop_timer_armed(const struct loop_timer *timer);

/* A deferred call, embedded in its owner. Deferring one that is queued already does nothing. */
struct loop_task {
    void (*run)(void *arg);
    void *arg;
    struct loop_task *next;
    bool queued;
};
void loop_task_init(struct loop_task *task, void (*run)(void *), void *arg);
void loop_defer(struct loop *loop, struct loop_task *task);
/* The same, but after the turn's tasks, and in the same turn where one of them calls it: for what a
 * turn gathers and its end sends. */
void loop_defer_last(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop *loop, struct loop_task *task);

/* Watches fd for reading until loop_watch_free; fire runs on every wake-up. fd stays the caller's.
 */
struct loop_watch;
struct loop_watch *loop_watch_new(struct loop *loop, int fd, void (*fire)(void *), void *arg,
                                  struct err *err) MUST_CHECK;
void loop_watch_free(struct loop_watch **watch);

/* Calls fire(signo, arg) on the loop for a signal, until loop_signal_free. */
struct loop_signal;
struct loop_signal *loop_signal_new(struct loop *loop, int signo,
                                    void (*fire)(int signo, void *arg), void *arg,
                                    struct err *err) MUST_CHECK;
void loop_signal_free(struct loop_signal **signal);

/* From any thread: run(arg) on the loop's thread, in order of posting. What waits when the loop is
 * freed is dropped. */
void loop_post(struct loop *loop, void (*run)(void *), void *arg);

#endif
