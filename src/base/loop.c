/*
 * The event loop. libevent watches; the order of a turn is ours:
 *
 *     loop_turn:  wait (not if a task is queued) -> callbacks of events, timers, posts -> the tasks
 * queued so far -> the last ones
 *
 * A task that is deferred while tasks run waits for the next turn, and that turn polls before it
 * (a last one: while last ones run): no chain of tasks can starve the sockets. The base takes no
 * locks: only loop_post may be called from another thread, and it has its own queue, mutex and
 * eventfd.
 *
 * A timer never fires before its time on clock_mono_ns(): libevent counts from a time it cached at
 * the start of the turn, so a timer that comes early is armed again for the rest.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

struct post {
    void (*run)(void *arg);
    void *arg;
    struct post *next;
};

struct task_list {
    struct loop_task *head;
    struct loop_task *tail;
};

struct loop {
    struct event_base *base;
    bool stopping;
    bool in_turn;
    uint64_t mono_ns; /* as first read since forget_time; 0: not yet */
    int64_t wall_ms;  /* the same */

    struct task_list now;   /* tasks of the turn that runs */
    struct task_list later; /* deferred since */
    struct task_list last;  /* for the end of a turn */

    pthread_mutex_t post_lock; /* guards the two below */
    struct post *post_head;
    struct post *post_tail;
    int post_fd; /* eventfd: readable while posts wait */
    struct event *post_ev;
};

struct loop_watch {
    struct event *ev;
    void (*fire)(void *arg);
    void *arg;
};

struct loop_signal {
    struct event *ev;
    int signo;
    void (*fire)(int signo, void *arg);
    void *arg;
};

/* libevent would print its own lines between ours. */
static void on_libevent_log(int severity, const char *text)
{
    enum log_level level = severity >= EVENT_LOG_ERR    ? LOG_ERROR
                           : severity == EVENT_LOG_WARN ? LOG_WARN
                                                        : LOG_DEBUG;
    if (log_enabled(level))
        log_event(level, "libevent", (const struct log_field[]){LOG_STR("text", text), LOG_END});
}

static void libevent_setup(void)
{
    evthread_use_pthreads();
    event_set_log_callback(on_libevent_log);
}

static void on_posts(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    (void)what;
    uint64_t count;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        assert(!"reading an eventfd fails only when it is not one");

    pthread_mutex_lock(&loop->post_lock);
    struct post *post = loop->post_head;
    loop->post_head = loop->post_tail = NULL;
    pthread_mutex_unlock(&loop->post_lock);

    while (post) {
        struct post *next = post->next;
        post->run(post->arg);
        mem_free(post);
        post = next;
    }
}

static struct event_base *base_new(void)
{
    struct event_config *cfg = event_config_new();
    if (!cfg)
        return NULL;
    struct event_base *base = NULL;
    if (event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NOLOCK) == 0)
        base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

struct loop *loop_new(struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, libevent_setup);

    struct loop *loop = mem_zalloc(sizeof(*loop));
    pthread_mutex_init(&loop->post_lock, NULL);
    loop->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->post_fd < 0) {
        err_set(err, ERR_INTERNAL, "event loop: eventfd: %s", strerror(errno));
        goto failed;
    }
    loop->base = base_new();
    if (!loop->base) {
        err_set(err, ERR_INTERNAL, "event loop: libevent cannot start: %s", strerror(errno));
        goto failed;
    }
    loop->post_ev = event_new(loop->base, loop->post_fd, EV_READ | EV_PERSIST, on_posts, loop);
    if (!loop->post_ev || event_add(loop->post_ev, NULL) < 0) {
        err_set(err, ERR_INTERNAL, "event loop: cannot watch the eventfd");
        goto failed;
    }
    return loop;
failed:
    loop_free(&loop);
    return NULL;
}

void loop_free(struct loop **loop_ptr)
{
    struct loop *loop = *loop_ptr;
    if (!loop)
        return;
    *loop_ptr = NULL;
    if (loop->post_ev)
        event_free(loop->post_ev);
    if (loop->base)
        event_base_free(loop->base);
    if (loop->post_fd >= 0)
        close(loop->post_fd);
    while (loop->post_head) {
        struct post *post = loop->post_head;
        loop->post_head = post->next;
        mem_free(post);
    }
    pthread_mutex_destroy(&loop->post_lock);
    mem_free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void list_push(struct task_list *list, struct loop_task *task)
{
    task->next = NULL;
    if (list->tail)
        list->tail->next = task;
    else
        list->head = task;
    list->tail = task;
}

static struct loop_task *list_pop(struct task_list *list)
{
    struct loop_task *task = list->head;
    if (!task)
        return NULL;
    list->head = task->next;
    if (!list->head)
        list->tail = NULL;
    task->next = NULL;
    return task;
}

static bool list_remove(struct task_list *list, struct loop_task *task)
{
    struct loop_task *before = NULL;
    for (struct loop_task *at = list->head; at; before = at, at = at->next) {
        if (at != task)
            continue;
        if (before)
            before->next = task->next;
        else
            list->head = task->next;
        if (list->tail == task)
            list->tail = before;
        return true;
    }
    return false;
}

static void run_tasks(struct loop *loop, struct task_list *list)
{
    loop->now = *list;
    *list = (struct task_list){NULL, NULL};
    struct loop_task *task;
    while ((task = list_pop(&loop->now)) != NULL) {
        /* Unqueued before it runs: it may defer itself again, or free its owner. */
        task->queued = false;
        task->run(task->arg);
    }
}

/* Nobody reads a clock while the loop waits, so those that are read first are of after that. */
static void forget_time(struct loop *loop)
{
    loop->mono_ns = 0;
    loop->wall_ms = 0;
}

uint64_t loop_mono_ns(struct loop *loop)
{
    if (!loop->in_turn)
        return clock_mono_ns();
    if (loop->mono_ns == 0)
        loop->mono_ns = clock_mono_ns();
    return loop->mono_ns;
}

int64_t loop_wall_ms(struct loop *loop)
{
    if (!loop->in_turn)
        return clock_wall_ms();
    if (loop->wall_ms == 0)
        loop->wall_ms = clock_wall_ms();
    return loop->wall_ms;
}

void loop_turn(struct loop *loop, bool block)
{
    assert(!loop->in_turn);
    loop->in_turn = true;
    bool wait = block && !loop->later.head && !loop->last.head;
    forget_time(loop);
    event_base_loop(loop->base, wait ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
    forget_time(loop);
    run_tasks(loop, &loop->later);
    run_tasks(loop, &loop->last);
    loop->in_turn = false;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopping)
        loop_turn(loop, true);
    loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

/* The rest until due, rounded up to what libevent can express. */
static struct timeval time_left(uint64_t due_ns)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t left_us = due_ns > now_ns ? (due_ns - now_ns + 999) / 1000 : 0;
    return (struct timeval){.tv_sec = (time_t)(left_us / 1000000),
                            .tv_usec = (suseconds_t)(left_us % 1000000)};
}

static void arm(struct loop_timer *timer)
{
    struct timeval left = time_left(timer->due_ns);
    if (event_add(timer->ev, &left) < 0)
        assert(!"a timer can always be added: its heap is allocated or the process aborts");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *timer = arg;
    (void)fd;
    (void)what;
    if (clock_mono_ns() < timer->due_ns)
        arm(timer);
    else
        timer->fire(timer->arg);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, void (*fire)(void *), void *arg)
{
    *timer = (struct loop_timer){.loop = loop, .fire = fire, .arg = arg};
    timer->ev = event_new(loop->base, -1, 0, on_timer, timer);
    assert(timer->ev);
}

void loop_timer_deinit(struct loop_timer *timer)
{
    if (timer->ev)
        event_free(timer->ev);
    timer->ev = NULL;
}

/* Ten years: beyond this a timer means never, and nothing overflows on the way to libevent. */
#define FAR_MS (INT64_C(3650) * 24 * 3600 * 1000)

void loop_timer_set_ms(struct loop_timer *timer, int64_t after_ms)
{
    if (after_ms < 0)
        after_ms = 0;
    if (after_ms > FAR_MS)
        after_ms = FAR_MS;
    loop_timer_set_at(timer, clock_mono_ns() + (uint64_t)after_ms * NS_PER_MS);
}

void loop_timer_set_at(struct loop_timer *timer, uint64_t mono_ns)
{
    uint64_t far_ns = clock_mono_ns() + (uint64_t)FAR_MS * NS_PER_MS;
    timer->due_ns = mono_ns < far_ns ? mono_ns : far_ns;
    /* An expired timer that still waits for its callback in this turn must not fire for its old
     * time. */
    event_del(timer->ev);
    arm(timer);
}

void loop_timer_cancel(struct loop_timer *timer)
{
    event_del(timer->ev);
}

bool loop_timer_armed(const struct loop_timer *timer)
{
    return timer->ev && event_pending(timer->ev, EV_TIMEOUT, NULL);
}

void loop_task_init(struct loop_task *task, void (*run)(void *), void *arg)
{
    *task = (struct loop_task){.run = run, .arg = arg};
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    list_push(&loop->later, task);
}

void loop_defer_last(struct loop *loop, struct loop_task *task)
{
    if (task->queued)
        return;
    task->queued = true;
    list_push(&loop->last, task);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    if (!task->queued)
        return;
    if (!list_remove(&loop->now, task) && !list_remove(&loop->later, task) &&
        !list_remove(&loop->last, task))
        assert(!"the task is queued on another loop");
    task->queued = false;
    task->next = NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct loop_watch *watch = arg;
    (void)fd;
    (void)what;
    watch->fire(watch->arg);
}

struct loop_watch *loop_watch_new(struct loop *loop, int fd, void (*fire)(void *), void *arg,
                                  struct err *err)
{
    struct loop_watch *watch = mem_zalloc(sizeof(*watch));
    watch->fire = fire;
    watch->arg = arg;
    watch->ev = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_readable, watch);
    if (!watch->ev || event_add(watch->ev, NULL) < 0) {
        err_set(err, ERR_INTERNAL, "event loop: cannot watch descriptor %d: %s", fd,
                strerror(errno));
        loop_watch_free(&watch);
    }
    return watch;
}

void loop_watch_free(struct loop_watch **watch_ptr)
{
    struct loop_watch *watch = *watch_ptr;
    if (!watch)
        return;
    *watch_ptr = NULL;
    if (watch->ev)
        event_free(watch->ev);
    mem_free(watch);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct loop_signal *signal = arg;
    (void)fd;
    (void)what;
    signal->fire(signal->signo, signal->arg);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signo,
                                    void (*fire)(int signo, void *arg), void *arg, struct err *err)
{
    struct loop_signal *signal = mem_zalloc(sizeof(*signal));
    signal->signo = signo;
    signal->fire = fire;
    signal->arg = arg;
    signal->ev = event_new(loop->base, signo, EV_SIGNAL | EV_PERSIST, on_signal, signal);
    if (!signal->ev || event_add(signal->ev, NULL) < 0) {
        err_set(err, ERR_INTERNAL, "event loop: cannot watch signal %d: %s", signo,
                strerror(errno));
        loop_signal_free(&signal);
    }
    return signal;
}

void loop_signal_free(struct loop_signal **signal_ptr)
{
    struct loop_signal *signal = *signal_ptr;
    if (!signal)
        return;
    *signal_ptr = NULL;
    if (signal->ev)
        event_free(signal->ev);
    mem_free(signal);
}

void loop_post(struct loop *loop, void (*run)(void *), void *arg)
{
    struct post *post = mem_alloc(sizeof(*post));
    *post = (struct post){.run = run, .arg = arg};

    pthread_mutex_lock(&loop->post_lock);
    bool was_empty = !loop->post_head;
    if (loop->post_tail)
        loop->post_tail->next = post;
    else
        loop->post_head = post;
    loop->post_tail = post;
    /* Under the lock: a loop that ends after running this post may be freed as soon as it is
     * released. */
    if (was_empty) {
        uint64_t one = 1;
        if (write(loop->post_fd, &one, sizeof(one)) < 0)
            assert(errno == EAGAIN); /* the counter is full: it is readable all the same */
    }
    pthread_mutex_unlock(&loop->post_lock);
}
