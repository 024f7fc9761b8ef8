/* See workers.h. One lock over two queues: what waits for a thread, and what waits to be told. What
 * is on either when all ends is told then: so each is told once. */
#include "console/workers.h"

#include <pthread.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "console/wakeup.h"

#define THREADS_MAX 8

struct question {
    TAILQ_ENTRY(question) entry;
    void (*run)(void *arg, struct dlq_index *index);
    void (*done)(void *arg);
    void *arg;
};
TAILQ_HEAD(question_list, question);

struct thread {
    struct workers *workers;
    struct dlq_index *index;
    pthread_t id;
    bool started;
};

struct workers {
    struct wakeup wakeup;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct question_list waiting, done;
    size_t waiting_count, waiting_max;
    bool stopping;
    struct thread threads[THREADS_MAX];
    size_t count;
};

/* On the loop. A done may ask anew, which is then of the next turn. */
static void tell_all(struct workers *workers, struct question_list *from)
{
    struct question_list list = TAILQ_HEAD_INITIALIZER(list);
    struct question *question;
    pthread_mutex_lock(&workers->lock);
    TAILQ_CONCAT(&list, from, entry);
    pthread_mutex_unlock(&workers->lock);
    while ((question = TAILQ_FIRST(&list)) != NULL) {
        TAILQ_REMOVE(&list, question, entry);
        question->done(question->arg);
        mem_free(question);
    }
}

static void tell(void *arg)
{
    struct workers *workers = arg;
    tell_all(workers, &workers->done);
}

static void *work(void *arg)
{
    struct thread *thread = arg;
    struct workers *workers = thread->workers;
    struct question *question;
    pthread_mutex_lock(&workers->lock);
    while (!workers->stopping) {
        question = TAILQ_FIRST(&workers->waiting);
        if (!question) {
            pthread_cond_wait(&workers->changed, &workers->lock);
            continue;
        }
        TAILQ_REMOVE(&workers->waiting, question, entry);
        workers->waiting_count--;
        pthread_mutex_unlock(&workers->lock);
        question->run(question->arg, thread->index);
        pthread_mutex_lock(&workers->lock);
        TAILQ_INSERT_TAIL(&workers->done, question, entry);
        wakeup_send(&workers->wakeup);
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static bool start(struct workers *workers, struct thread *thread, const char *path, struct err *err)
{
    thread->workers = workers;
    thread->index = dlq_index_open(path, false, err);
    if (!thread->index)
        return false;
    thread->started = pthread_create(&thread->id, NULL, work, thread) == 0;
    return thread->started || err_set(err, ERR_INTERNAL, "no thread can be started");
}

struct workers *workers_new(struct loop *loop, const char *path, size_t count, size_t waiting_max,
                            struct err *err)
{
    struct workers *workers = mem_zalloc(sizeof(*workers));
    workers->waiting_max = waiting_max;
    workers->count = count < THREADS_MAX ? count : THREADS_MAX;
    TAILQ_INIT(&workers->waiting);
    TAILQ_INIT(&workers->done);
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->changed, NULL);
    if (!wakeup_open(&workers->wakeup, loop, tell, workers, err)) {
        workers_free(&workers);
        return NULL;
    }
    for (size_t i = 0; i < workers->count; i++) {
        if (!start(workers, &workers->threads[i], path, err)) {
            workers_free(&workers);
            return NULL;
        }
    }
    return workers;
}

void workers_free(struct workers **workers_p)
{
    struct workers *workers = *workers_p;
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->count; i++) {
        if (workers->threads[i].started)
            pthread_join(workers->threads[i].id, NULL);
        dlq_index_close(&workers->threads[i].index);
    }
    tell_all(workers, &workers->done);
    tell_all(workers, &workers->waiting);
    wakeup_close(&workers->wakeup);
    pthread_mutex_destroy(&workers->lock);
    pthread_cond_destroy(&workers->changed);
    mem_free(workers);
    *workers_p = NULL;
}

bool workers_ask(struct workers *workers, void (*run)(void *arg, struct dlq_index *index),
                 void (*done)(void *arg), void *arg)
{
    struct question *question;
    bool room;
    pthread_mutex_lock(&workers->lock);
    room = !workers->stopping && workers->waiting_count < workers->waiting_max;
    if (room) {
        question = mem_zalloc(sizeof(*question));
        question->run = run;
        question->done = done;
        question->arg = arg;
        TAILQ_INSERT_TAIL(&workers->waiting, question, entry);
        workers->waiting_count++;
        pthread_cond_signal(&workers->changed);
    }
    pthread_mutex_unlock(&workers->lock);
    return room;
}
