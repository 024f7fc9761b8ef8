/*
 * What the group has committed. librdkafka's asynchronous call for it (an admin call) remembers the
 * coordinator for as long as one goes on asking: once the group has moved to another broker it
 * answers NOT_COORDINATOR for ever. The call that follows the group's coordinator blocks; so each
 * question has a thread of its own, and the loop is woken for the answer.
 *
 * Invariants: such a thread touches its question and the client, nothing else; all of them have
 * ended before the client goes, but may outlive the consumer. Must not: decide anything.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "kafka/consumer_state.h"

/* How long a thread may block, and with it the end of the client; start.c asks again. */
#define ANSWER_TIMEOUT_MS 3000

struct committed {
    struct committed *next;
    rd_kafka_t *rk;
    struct wake control; /* of the consumer, with a descriptor of its own */
    uint64_t number;
    rd_kafka_topic_partition_list_t *list; /* asked for, then answered */
    rd_kafka_resp_err_t code;
    bool has_thread;
    pthread_t thread;
    atomic_bool done;
};

static void *ask(void *arg)
{
    struct committed *question = arg;

    question->code = rd_kafka_committed(question->rk, question->list, ANSWER_TIMEOUT_MS);
    atomic_store(&question->done, true);
    wake_signal(&question->control);
    return NULL;
}

static void question_free(struct committed *question)
{
    if (question->has_thread)
        pthread_join(question->thread, NULL);
    if (question->control.fd >= 0)
        close(question->control.fd);
    rd_kafka_topic_partition_list_destroy(question->list);
    mem_free(question);
}

void committed_send(struct kafka_consumer *consumer, uint64_t number,
                    const rd_kafka_topic_partition_list_t *list)
{
    struct committed *question = mem_zalloc(sizeof(*question));

    question->rk = consumer->rk;
    question->control.fd = fcntl(consumer->control.fd, F_DUPFD_CLOEXEC, 0);
    question->number = number;
    question->list = rd_kafka_topic_partition_list_copy(list);
    question->next = consumer->committed;
    consumer->committed = question;
    question->has_thread = question->control.fd >= 0 &&
                           pthread_create(&question->thread, NULL, ask, question) == 0;
    if (question->has_thread)
        return;
    question->code = RD_KAFKA_RESP_ERR__FAIL;
    atomic_store(&question->done, true);
    wake_signal(&consumer->control);
}

static struct committed *take_answered(struct kafka_consumer *consumer)
{
    struct committed **link = &consumer->committed;

    while (*link != NULL && !atomic_load(&(*link)->done))
        link = &(*link)->next;
    struct committed *found = *link;
    if (found != NULL)
        *link = found->next;
    return found;
}

void committed_collect(struct kafka_consumer *consumer)
{
    struct committed *question;

    while ((question = take_answered(consumer)) != NULL) {
        start_on_committed(consumer, question->number, question->list, question->code);
        question_free(question);
    }
}

void *committed_take(struct kafka_consumer *consumer)
{
    struct committed *questions = consumer->committed;

    consumer->committed = NULL;
    return questions;
}

void committed_end(void *questions)
{
    struct committed *question = questions, *next;

    for (; question != NULL; question = next) {
        next = question->next;
        question_free(question);
    }
}
