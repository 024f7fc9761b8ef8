/*
 * Single records from Kafka, one after the other, for the console (kafka/fetch.h). Brokers that do
 * not answer are waited for by it without end, and a person is not: so each question has its time,
 * and the client that did not answer is made anew.
 */
#include <string.h>
#include <sys/queue.h>

#include "base/mem.h"
#include "console/console_parts.h"
#include "kafka/fetch.h"

#define TIMEOUT_MS  5000
#define WAITING_MAX 64

struct wanted {
    TAILQ_ENTRY(wanted) entry;
    struct dlq_id id;
    void (*done)(void *arg, struct record *rec, const struct err *err);
    void *arg;
};
TAILQ_HEAD(wanted_list, wanted);

struct letters_reader {
    struct loop *loop;
    const struct config *config;
    struct kafka_fetch *kafka; /* NULL: not asked yet, or it did not answer */
    struct wanted_list list;   /* the first one is being asked for, where `asked` */
    size_t count;
    bool asked;
    struct loop_timer timer;
    struct loop_task next;
};

static void tell_first(struct letters_reader *reader, struct record *rec, const struct err *err)
{
    struct wanted *wanted = TAILQ_FIRST(&reader->list);
    TAILQ_REMOVE(&reader->list, wanted, entry);
    reader->count--;
    reader->asked = false;
    loop_timer_cancel(&reader->timer);
    wanted->done(wanted->arg, rec, err);
    dlq_id_deinit(&wanted->id);
    mem_free(wanted);
    loop_defer(reader->loop, &reader->next);
}

static void fetched(void *arg, enum kafka_fetched result, struct record *rec, const struct err *err)
{
    struct letters_reader *reader = arg;
    tell_first(reader, result == KAFKA_FETCHED ? rec : NULL,
               result == KAFKA_FETCH_FAILED ? err : NULL);
}

static void too_late(void *arg)
{
    struct letters_reader *reader = arg;
    struct err err = {0};
    (void)err_set_retriable(&err, ERR_UNAVAILABLE,
                            "the brokers did not give this record within %d s", TIMEOUT_MS / 1000);
    kafka_fetch_free(&reader->kafka);
    tell_first(reader, NULL, &err);
}

static void ask_next(void *arg)
{
    struct letters_reader *reader = arg;
    struct wanted *wanted = TAILQ_FIRST(&reader->list);
    struct err err = {0};
    if (reader->asked || !wanted)
        return;
    if (!reader->kafka)
        reader->kafka = kafka_fetch_new(reader->loop, reader->config,
                                        reader->config->routes[0].group, &err);
    if (!reader->kafka) {
        tell_first(reader, NULL, &err);
        return;
    }
    reader->asked = true;
    loop_timer_set_ms(&reader->timer, TIMEOUT_MS);
    kafka_fetch_get(reader->kafka, wanted->id.topic, wanted->id.partition, wanted->id.offset,
                    fetched, reader);
}

struct letters_reader *letters_reader_new(struct loop *loop, const struct config *config)
{
    struct letters_reader *reader = mem_zalloc(sizeof(*reader));
    reader->loop = loop;
    reader->config = config;
    TAILQ_INIT(&reader->list);
    loop_timer_init(&reader->timer, loop, too_late, reader);
    loop_task_init(&reader->next, ask_next, reader);
    return reader;
}

void letters_reader_free(struct letters_reader **reader_p)
{
    struct letters_reader *reader = *reader_p;
    struct err err = {0};
    if (!reader)
        return;
    (void)err_set(&err, ERR_CANCELLED, "the console ends");
    kafka_fetch_free(&reader->kafka);
    while (!TAILQ_EMPTY(&reader->list))
        tell_first(reader, NULL, &err);
    loop_task_cancel(reader->loop, &reader->next);
    loop_timer_deinit(&reader->timer);
    mem_free(reader);
    *reader_p = NULL;
}

void letters_reader_get(struct letters_reader *reader, const struct dlq_id *id,
                        void (*done)(void *arg, struct record *rec, const struct err *err),
                        void *arg)
{
    struct wanted *wanted;
    struct err err = {0};
    if (reader->count >= WAITING_MAX) {
        (void)err_set_retriable(&err, ERR_AGAIN, "too many records are being read: try again");
        done(arg, NULL, &err);
        return;
    }
    wanted = mem_zalloc(sizeof(*wanted));
    wanted->id = *id;
    wanted->id.topic = mem_strdup(id->topic);
    wanted->done = done;
    wanted->arg = arg;
    TAILQ_INSERT_TAIL(&reader->list, wanted, entry);
    reader->count++;
    loop_defer(reader->loop, &reader->next);
}
