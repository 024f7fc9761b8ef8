/*
 * Ending clients; see client_end.h. What librdkafka waits for in rd_kafka_destroy has no bound of
 * ours: the answer to a commit of a broker that stands still (a minute, and again when there is a
 * coordinator), a name server, a rebalance that nobody answers. So each client ends on a thread of
 * its own, and who ends it waits for a while, or not.
 *
 * Invariant: from client_end on the client is the thread's alone, and none of its callbacks runs
 * any more, since its queues are read as events only. Must not: touch anything of its former owner.
 */
#include "kafka/client_end.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"

#define POLL_MS      100
#define SAY_EVERY_NS NS_PER_S

struct ending {
    uint64_t number;
    char client[128];
    rd_kafka_t *rk;
    rd_kafka_queue_t *events;
    void (*before)(void *arg);
    void *arg;
    bool in_use;  /* guarded by the lock, as the next one */
    bool pending; /* there was no thread to be had: it ends on that of client_end_unused */
    LIST_ENTRY(ending) in_all;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t one_ended;                         /* or one is not in use any more */
static LIST_HEAD(, ending) all = LIST_HEAD_INITIALIZER(all);
static uint64_t last_number;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    cond_init(&one_ended);
}

/* Without a limit: a rebalance that nobody answers would hold up the client's end for ever. */
static void leave_group(struct ending *ending)
{
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(ending->rk, ending->events);

    if (error != NULL) {
        rd_kafka_error_destroy(error);
        return;
    }
    while (!rd_kafka_consumer_closed(ending->rk)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(ending->events, POLL_MS);

        if (event == NULL)
            continue;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            rd_kafka_assign(ending->rk, NULL);
        rd_kafka_event_destroy(event);
    }
}

static void *run(void *arg)
{
    struct ending *ending = arg;

    if (ending->before != NULL)
        ending->before(ending->arg);
    if (ending->events != NULL) {
        leave_group(ending);
        rd_kafka_queue_destroy(ending->events);
    }
    pthread_mutex_lock(&lock);
    while (ending->in_use)
        pthread_cond_wait(&one_ended, &lock);
    pthread_mutex_unlock(&lock);
    rd_kafka_destroy_flags(ending->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_lock(&lock);
    LIST_REMOVE(ending, in_all);
    pthread_cond_broadcast(&one_ended);
    pthread_mutex_unlock(&lock);
    mem_free(ending);
    return NULL;
}

/* number 0: any of them. */
static const struct ending *find(uint64_t number)
{
    const struct ending *ending;

    LIST_FOREACH(ending, &all, in_all)
    {
        if (number == 0 || ending->number == number)
            return ending;
    }
    return NULL;
}

/* Holding the lock. True: what was waited for has ended. */
static bool wait_for(uint64_t number, int64_t limit_ms)
{
    uint64_t now_ns = clock_mono_ns();
    uint64_t limit_ns = now_ns + (uint64_t)limit_ms * NS_PER_MS;
    uint64_t say_ns = now_ns + SAY_EVERY_NS;
    const struct ending *ending;

    while ((ending = find(number)) != NULL && now_ns < limit_ns) {
        if (now_ns >= say_ns) {
            say_ns = now_ns + SAY_EVERY_NS;
            log_info("kafka_client_ending", LOG_STR("client", ending->client),
                     LOG_UINT("ms_left", (limit_ns - now_ns) / NS_PER_MS), LOG_END);
        }
        (void)cond_wait_until(&one_ended, &lock, say_ns < limit_ns ? say_ns : limit_ns);
        now_ns = clock_mono_ns();
    }
    return ending == NULL;
}

static struct ending *ending_new(rd_kafka_t *rk, rd_kafka_queue_t *events,
                                 void (*before)(void *arg), void *arg)
{
    struct ending *ending = mem_zalloc(sizeof(*ending));

    pthread_once(&once, init);
    *ending = (struct ending){.rk = rk, .events = events, .before = before, .arg = arg};
    snprintf(ending->client, sizeof(ending->client), "%s", rd_kafka_name(rk));
    return ending;
}

/* Holding the lock. */
static bool start(struct ending *ending)
{
    pthread_attr_t attr;
    pthread_t thread;
    bool started;

    ending->number = ++last_number;
    LIST_INSERT_HEAD(&all, ending, in_all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&thread, &attr, run, ending) == 0;
    pthread_attr_destroy(&attr);
    return started;
}

void client_end(rd_kafka_t *rk, rd_kafka_queue_t *events, void (*before)(void *arg), void *arg,
                int64_t limit_ms)
{
    struct ending *ending = ending_new(rk, events, before, arg);
    bool started;

    pthread_mutex_lock(&lock);
    started = start(ending);
    if (started)
        (void)wait_for(ending->number, limit_ms);
    pthread_mutex_unlock(&lock);
    if (!started)
        run(ending);
}

struct ending *client_end_in_use(rd_kafka_t *rk, rd_kafka_queue_t *events,
                                 void (*before)(void *arg), void *arg)
{
    struct ending *ending = ending_new(rk, events, before, arg);

    ending->in_use = true;
    pthread_mutex_lock(&lock);
    ending->pending = !start(ending);
    pthread_mutex_unlock(&lock);
    return ending;
}

void client_end_unused(struct ending *ending)
{
    bool pending;

    pthread_mutex_lock(&lock);
    ending->in_use = false;
    pending = ending->pending;
    pthread_cond_broadcast(&one_ended);
    pthread_mutex_unlock(&lock);
    if (pending)
        run(ending);
}

bool kafka_clients_wait(int64_t limit_ms)
{
    const struct ending *ending;
    bool ended;

    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
    ended = wait_for(0, limit_ms);
    LIST_FOREACH(ending, &all, in_all)
    log_warn("kafka_client_left", LOG_STR("client", ending->client),
             LOG_STR("why", "what it asked of a broker was not answered in time"),
             LOG_STR("then", "a member that could not leave its group is missed after its session "
                             "timeout"),
             LOG_END);
    pthread_mutex_unlock(&lock);
    return ended;
}
