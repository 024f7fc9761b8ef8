/*
 * The guard of an end; see exit_guard.h. Every wait of a shutdown has a bound of its own; this is
 * for the disk that does not answer, and for what nobody thought of. Invariant: it holds nothing
 * that what it watches could wait for.
 */
#include "exit_guard.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"

#define SAY_EVERY_NS NS_PER_S

struct exit_guard {
    pthread_t thread;
    uint64_t begun_ns, say_ns, end_ns;
    int code;
    const char *(*waits_for)(void *ctx);
    void *ctx;
    pthread_mutex_t lock; /* guards ended */
    pthread_cond_t changed;
    bool ended;
};

/* Holding the lock. */
static void sleep_until(struct exit_guard *guard, uint64_t mono_ns)
{
    while (!guard->ended && cond_wait_until(&guard->changed, &guard->lock, mono_ns))
        ;
}

static void say(const struct exit_guard *guard, uint64_t now_ns)
{
    log_warn("still_ending", LOG_STR("waits_for", guard->waits_for(guard->ctx)),
             LOG_UINT("seconds", (now_ns - guard->begun_ns) / NS_PER_S),
             LOG_UINT("seconds_left", (guard->end_ns - now_ns) / NS_PER_S), LOG_END);
}

static void *watch(void *arg)
{
    struct exit_guard *guard = arg;
    uint64_t next_ns = guard->say_ns;
    pthread_mutex_lock(&guard->lock);
    for (;;) {
        uint64_t now_ns;
        sleep_until(guard, next_ns < guard->end_ns ? next_ns : guard->end_ns);
        if (guard->ended)
            break;
        now_ns = clock_mono_ns();
        if (now_ns >= guard->end_ns) {
            log_error("ended_late", LOG_STR("waited_for", guard->waits_for(guard->ctx)),
                      LOG_STR("then", "cut off; what is not committed will be consumed again"),
                      LOG_END);
            _exit(guard->code);
        }
        say(guard, now_ns);
        next_ns = now_ns + SAY_EVERY_NS;
    }
    pthread_mutex_unlock(&guard->lock);
    return NULL;
}

static void destroy(struct exit_guard *guard)
{
    pthread_mutex_destroy(&guard->lock);
    pthread_cond_destroy(&guard->changed);
    mem_free(guard);
}

struct exit_guard *exit_guard_new(int64_t drain_ms, int64_t beyond_ms, int code,
                                  const char *(*waits_for)(void *ctx), void *ctx)
{
    struct exit_guard *guard = mem_zalloc(sizeof(*guard));
    guard->begun_ns = clock_mono_ns();
    guard->say_ns = guard->begun_ns + (uint64_t)drain_ms * NS_PER_MS + SAY_EVERY_NS;
    guard->end_ns = guard->begun_ns + (uint64_t)(drain_ms + beyond_ms) * NS_PER_MS;
    guard->code = code;
    guard->waits_for = waits_for;
    guard->ctx = ctx;
    pthread_mutex_init(&guard->lock, NULL);
    cond_init(&guard->changed);
    if (pthread_create(&guard->thread, NULL, watch, guard) == 0)
        return guard;
    destroy(guard);
    return NULL;
}

void exit_guard_free(struct exit_guard **guard_p)
{
    struct exit_guard *guard = *guard_p;
    if (!guard)
        return;
    *guard_p = NULL;
    pthread_mutex_lock(&guard->lock);
    guard->ended = true;
    pthread_cond_signal(&guard->changed);
    pthread_mutex_unlock(&guard->lock);
    (void)pthread_join(guard->thread, NULL);
    destroy(guard);
}
