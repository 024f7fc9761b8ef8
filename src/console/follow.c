/*
 * See follow.h. The thread's side: index, feed, loop and timer. What the console's side looks at is
 * copied under the lock.
 */
#include "console/follow.h"

#include <pthread.h>

#include "base/mem.h"
#include "console/wakeup.h"
#include "dlq/feed.h"
#include "dlq/index.h"

#define TELL_MS 200

struct follow {
    struct follow_options options;
    struct wakeup wakeup; /* of the console's loop */
    pthread_mutex_t lock;
    bool caught_up, has_err;
    struct err err;
    /* The thread's. */
    struct loop *loop;
    struct dlq_index *index;
    struct dlq_feed *feed;
    struct loop_timer timer;
    pthread_t thread;
    bool started;
};

/* On the console's loop. */
static void tell(void *arg)
{
    struct follow *follow = arg;
    struct err err = {0};
    bool caught_up, has_err;
    pthread_mutex_lock(&follow->lock);
    caught_up = follow->caught_up;
    has_err = follow->has_err;
    if (has_err)
        err = follow->err;
    follow->has_err = false;
    pthread_mutex_unlock(&follow->lock);
    if (has_err)
        follow->options.failed(follow->options.arg, &err);
    else
        follow->options.moved(follow->options.arg, caught_up);
}

/* On the thread. */
static void post(void *arg)
{
    wakeup_send(&((struct follow *)arg)->wakeup);
}

static void on_moved(void *arg, bool caught_up)
{
    struct follow *follow = arg;
    pthread_mutex_lock(&follow->lock);
    follow->caught_up = caught_up;
    pthread_mutex_unlock(&follow->lock);
    if (!loop_timer_armed(&follow->timer))
        loop_timer_set_ms(&follow->timer, TELL_MS);
}

static void on_failed(void *arg, const struct err *err)
{
    struct follow *follow = arg;
    pthread_mutex_lock(&follow->lock);
    follow->err = *err;
    follow->has_err = true;
    pthread_mutex_unlock(&follow->lock);
    post(follow);
}

static void *run(void *arg)
{
    struct follow *follow = arg;
    loop_run(follow->loop);
    return NULL;
}

static void stop(void *arg)
{
    loop_stop(((struct follow *)arg)->loop);
}

/* All of it is made before the thread begins and freed after it has ended. */
static bool start(struct follow *follow, struct err *err)
{
    const struct follow_options *options = &follow->options;
    struct dlq_feed_options feed = {
        .follow = true, .with_text = true, .moved = on_moved, .failed = on_failed, .arg = follow};
    if (!wakeup_open(&follow->wakeup, options->loop, tell, follow, err))
        return false;
    follow->loop = loop_new(err);
    if (!follow->loop)
        return false;
    loop_timer_init(&follow->timer, follow->loop, post, follow);
    follow->index = dlq_index_open(options->path, true, err);
    if (!follow->index)
        return false;
    follow->feed = dlq_feed_new(follow->loop, options->config, follow->index, &feed, err);
    if (!follow->feed)
        return false;
    follow->started = pthread_create(&follow->thread, NULL, run, follow) == 0;
    return follow->started || err_set(err, ERR_INTERNAL, "no thread can be started");
}

struct follow *follow_new(const struct follow_options *options, struct err *err)
{
    struct follow *follow = mem_zalloc(sizeof(*follow));
    follow->options = *options;
    pthread_mutex_init(&follow->lock, NULL);
    if (!start(follow, err))
        follow_free(&follow);
    return follow;
}

void follow_free(struct follow **follow_p)
{
    struct follow *follow = *follow_p;
    if (!follow)
        return;
    if (follow->started) {
        loop_post(follow->loop, stop, follow);
        pthread_join(follow->thread, NULL);
    }
    dlq_feed_free(&follow->feed);
    dlq_index_close(&follow->index);
    if (follow->loop)
        loop_timer_deinit(&follow->timer);
    loop_free(&follow->loop);
    wakeup_close(&follow->wakeup);
    pthread_mutex_destroy(&follow->lock);
    mem_free(follow);
    *follow_p = NULL;
}
