/*
 * The spool's thread and its clients; see spool.h.
 *
 *   submit ──► queue ──► [thread: the store; one sync for all that came] ──► client's done list
 *                                                                             └─ posted to its loop
 *
 * Invariants: only the thread touches the store; a put is OK only after the sync; an operation is
 * in the queue, with the thread, or in its client's list. Must not: call back on its own thread.
 */
#include "spool/spool.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/store.h"

#define TIDY_EVERY_S       1
#define UNREADABLE_REST_MS (INT64_C(5) * 60 * 1000)

struct op_list {
    struct spool_op *first, **end;
};

struct spool {
    pthread_t thread;
    bool started;
    char *dir;
    uint64_t max_bytes;
    struct spool_store *store; /* the thread's */
    struct {
        struct metric *records, *bytes, *oldest, *put, *taken, *failed;
    } metrics;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t came, went;
    struct op_list queue;
    bool stopping;
    struct spool_store_stats stats;
    char why[500]; /* the last failure; "" once all that came was kept */
};

struct spool_client {
    struct spool *spool;
    struct loop *loop;
    /* guarded by the spool's lock */
    size_t under_way;
    struct op_list done;
    bool posted;
};

static void list_init(struct op_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_add(struct op_list *list, struct spool_op *op)
{
    op->next = NULL;
    *list->end = op;
    list->end = &op->next;
}

static struct spool_op *list_take_all(struct op_list *list)
{
    struct spool_op *first = list->first;
    list_init(list);
    return first;
}

/* ---- on the thread ---- */

static uint64_t now_ms(void)
{
    return clock_mono_ns() / NS_PER_MS;
}

static void fail(struct spool *spool, struct spool_op *op, const struct err *err)
{
    op->result = err->code == ERR_LIMIT ? SPOOL_FULL : SPOOL_TROUBLE;
    op->err = *err;
    if (spool->metrics.failed)
        metric_add(spool->metrics.failed, 1);
    pthread_mutex_lock(&spool->lock);
    snprintf(spool->why, sizeof(spool->why), "%s", err->text);
    pthread_mutex_unlock(&spool->lock);
}

static void begin_put(struct spool *spool, struct spool_op *op)
{
    struct spool_record rec;
    struct err err = {0};
    op->entry = NULL;
    if (!spool_record_read(buf_slice(&op->body), &rec, &err)) {
        fail(spool, op, &err); /* what could not be read back is not kept */
        return;
    }
    op->entry = store_put(spool->store, &rec, buf_slice(&op->body), &err);
    spool_record_deinit(&rec);
    if (!op->entry)
        fail(spool, op, &err);
}

static void end_put(struct spool *spool, struct spool_op *op)
{
    struct err err = {0};
    if (!op->entry)
        return;
    if (!store_kept(spool->store, op->entry, &err)) {
        fail(spool, op, &err);
        return;
    }
    op->result = SPOOL_OK;
    if (spool->metrics.put)
        metric_add(spool->metrics.put, 1);
}

static void take(struct spool *spool, struct spool_op *op)
{
    struct err err = {0};
    op->entry = store_take(spool->store, now_ms());
    op->result = op->entry ? SPOOL_OK : SPOOL_NONE;
    if (!op->entry || store_read(spool->store, op->entry, &op->taken, &op->memory, &err))
        return;
    log_error("spool_record_unreadable", LOG_STR("error", err.text), LOG_END);
    store_give_back(spool->store, op->entry, now_ms(), UNREADABLE_REST_MS, false);
    op->entry = NULL;
    err.code = ERR_IO;
    fail(spool, op, &err);
}

static void run_one(struct spool *spool, struct spool_op *op)
{
    switch (op->verb) {
    case SPOOL_PUT:
        begin_put(spool, op);
        return;
    case SPOOL_TAKE:
        take(spool, op);
        return;
    case SPOOL_FORGET:
        store_forget(spool->store, op->entry);
        if (spool->metrics.taken)
            metric_add(spool->metrics.taken, 1);
        break;
    case SPOOL_GIVE_BACK:
        store_give_back(spool->store, op->entry, now_ms(), (uint64_t)op->rest_ms, op->whole_topic);
        break;
    }
    op->result = SPOOL_OK;
}

static void set_metrics(struct spool *spool, const struct spool_store_stats *stats)
{
    if (!spool->metrics.records)
        return;
    metric_set(spool->metrics.records, (double)stats->records);
    metric_set(spool->metrics.bytes, (double)stats->bytes);
    if (stats->oldest_ms > 0)
        metric_set(spool->metrics.oldest, (double)stats->oldest_ms / 1000.0);
    else
        metric_omit(spool->metrics.oldest);
}

static void run_all(struct spool *spool, struct spool_op *ops)
{
    struct spool_store_stats stats;
    struct err err = {0};
    bool kept = false, failed = false;
    for (struct spool_op *op = ops; op; op = op->next)
        run_one(spool, op);
    if (!store_sync(spool->store, &err))
        log_error("spool_sync_failed", LOG_STR("error", err.text), LOG_END);
    for (struct spool_op *op = ops; op; op = op->next) {
        if (op->verb == SPOOL_PUT)
            end_put(spool, op);
        kept = kept || (op->verb == SPOOL_PUT && op->result == SPOOL_OK);
        failed = failed || op->result == SPOOL_FULL || op->result == SPOOL_TROUBLE;
    }
    store_tidy(spool->store);
    store_stats(spool->store, &stats);
    set_metrics(spool, &stats);
    pthread_mutex_lock(&spool->lock);
    spool->stats = stats;
    if ((kept || stats.records == 0) && !failed)
        spool->why[0] = '\0';
    pthread_mutex_unlock(&spool->lock);
}

static void deliver(void *arg);

static void give_back(struct spool *spool, struct spool_op *ops)
{
    struct spool_op *next;
    pthread_mutex_lock(&spool->lock);
    for (; ops; ops = next) {
        struct spool_client *client = ops->client;
        next = ops->next;
        list_add(&client->done, ops);
        client->under_way--;
        if (client->posted)
            continue;
        client->posted = true;
        loop_post(client->loop, deliver, client);
    }
    pthread_cond_broadcast(&spool->went);
    pthread_mutex_unlock(&spool->lock);
}

static void *thread_main(void *arg)
{
    struct spool *spool = arg;
    bool stopping;
    do {
        uint64_t until_ns = clock_mono_ns() + TIDY_EVERY_S * NS_PER_S;
        struct spool_op *ops;
        pthread_mutex_lock(&spool->lock);
        while (!spool->queue.first && !spool->stopping &&
               cond_wait_until(&spool->came, &spool->lock, until_ns))
            ;
        ops = list_take_all(&spool->queue);
        stopping = spool->stopping;
        pthread_mutex_unlock(&spool->lock);
        run_all(spool, ops);
        give_back(spool, ops);
    } while (!stopping);
    return NULL;
}

/* ---- on the client's loop ---- */

static void complete(struct spool_client *client)
{
    struct spool *spool = client->spool;
    struct spool_op *op, *next;
    pthread_mutex_lock(&spool->lock);
    op = list_take_all(&client->done);
    client->posted = false;
    pthread_mutex_unlock(&spool->lock);
    for (; op; op = next) {
        next = op->next;
        op->done(op);
    }
}

static void deliver(void *arg)
{
    complete(arg);
}

void spool_submit(struct spool_client *client, struct spool_op *op)
{
    struct spool *spool = client->spool;
    op->client = client;
    op->memory = NULL;
    err_clear(&op->err);
    buf_reset(&op->body);
    if (op->verb == SPOOL_PUT)
        spool_record_write(op->put, &op->body);
    pthread_mutex_lock(&spool->lock);
    client->under_way++;
    list_add(&spool->queue, op);
    pthread_cond_signal(&spool->came);
    pthread_mutex_unlock(&spool->lock);
}

void spool_op_reset(struct spool_op *op)
{
    if (op->verb == SPOOL_TAKE && op->memory)
        spool_record_deinit(&op->taken);
    mem_free(op->memory);
    op->memory = NULL;
    buf_deinit(&op->body);
}

struct spool_client *spool_client_new(struct spool *spool, struct loop *loop)
{
    struct spool_client *client = mem_zalloc(sizeof(*client));
    client->spool = spool;
    client->loop = loop;
    list_init(&client->done);
    return client;
}

void spool_client_stop(struct spool_client *client)
{
    struct spool *spool = client->spool;
    pthread_mutex_lock(&spool->lock);
    while (client->under_way > 0)
        pthread_cond_wait(&spool->went, &spool->lock);
    pthread_mutex_unlock(&spool->lock);
    complete(client);
}

void spool_client_free(struct spool_client **client)
{
    mem_free(*client);
    *client = NULL;
}

/* ---- opening, closing ---- */

static void make_metrics(struct spool *spool, struct metrics *metrics)
{
    if (!metrics)
        return;
    spool->metrics.records = metrics_gauge(metrics, "spool_records",
                                           "Dead letters that wait in the spool.", NULL, 0);
    spool->metrics.bytes = metrics_gauge(metrics, "spool_bytes", "Bytes of the spool's files.",
                                         NULL, 0);
    spool->metrics.oldest = metrics_gauge(metrics, "spool_oldest_timestamp_seconds",
                                          "When the oldest of them was put there.", NULL, 0);
    spool->metrics.put = metrics_counter(metrics, "spooled_records_total",
                                         "Dead letters that were put into the spool.", NULL, 0);
    spool->metrics.taken = metrics_counter(
        metrics, "spool_replayed_records_total",
        "Dead letters of the spool that their topic has taken since.", NULL, 0);
    spool->metrics.failed = metrics_counter(
        metrics, "spool_failures_total",
        "Dead letters that the spool could not take or read, attempts of each counted.", NULL, 0);
}

struct spool *spool_open(const char *dir, uint64_t max_bytes, const struct spool_io *io,
                         struct metrics *metrics, struct err *err)
{
    struct spool_store *store = store_open(dir, max_bytes, io, err);
    struct spool *spool;
    if (!store)
        return NULL;
    spool = mem_zalloc(sizeof(*spool));
    spool->store = store;
    spool->dir = mem_strdup(dir);
    spool->max_bytes = max_bytes;
    list_init(&spool->queue);
    pthread_mutex_init(&spool->lock, NULL);
    cond_init(&spool->came);
    pthread_cond_init(&spool->went, NULL);
    make_metrics(spool, metrics);
    store_stats(store, &spool->stats);
    set_metrics(spool, &spool->stats);
    log_info("spool_opened", LOG_STR("dir", dir), LOG_UINT("records", spool->stats.records),
             LOG_UINT("bytes", spool->stats.bytes), LOG_UINT("torn_bytes", spool->stats.torn_bytes),
             LOG_END);
    spool->started = pthread_create(&spool->thread, NULL, thread_main, spool) == 0;
    if (!spool->started) {
        err_set(err, ERR_INTERNAL, "no thread for the spool");
        spool_close(&spool);
    }
    return spool;
}

void spool_close(struct spool **spool_p)
{
    struct spool *spool = *spool_p;
    if (!spool)
        return;
    *spool_p = NULL;
    pthread_mutex_lock(&spool->lock);
    spool->stopping = true;
    pthread_cond_signal(&spool->came);
    pthread_mutex_unlock(&spool->lock);
    if (spool->started)
        (void)pthread_join(spool->thread, NULL);
    store_close(&spool->store);
    pthread_mutex_destroy(&spool->lock);
    pthread_cond_destroy(&spool->came);
    pthread_cond_destroy(&spool->went);
    mem_free(spool->dir);
    mem_free(spool);
}

void spool_status(struct spool *spool, struct buf *out)
{
    struct spool_store_stats stats;
    char why[sizeof(spool->why)];
    pthread_mutex_lock(&spool->lock);
    stats = spool->stats;
    memcpy(why, spool->why, sizeof(why));
    pthread_mutex_unlock(&spool->lock);
    buf_add_text(out, "{\"dir\":");
    buf_add_json(out, slice_of(spool->dir));
    buf_printf(out, ",\"records\":%llu,\"bytes\":%llu,\"max\":%llu,\"torn_bytes\":%llu,",
               (unsigned long long)stats.records, (unsigned long long)stats.bytes,
               (unsigned long long)spool->max_bytes, (unsigned long long)stats.torn_bytes);
    if (stats.oldest_ms > 0)
        buf_printf(out, "\"oldest_ms\":%lld,", (long long)stats.oldest_ms);
    buf_add_text(out, "\"why\":");
    buf_add_json(out, slice_of(why));
    buf_add_char(out, '}');
}
