/* An eventfd through which librdkafka's queues wake the loop. Owning thread: the loop's. */
#ifndef OG_KAFKA_WAKE_H
#define OG_KAFKA_WAKE_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "base/loop.h"

struct wake {
    int fd;
    struct loop_watch *watch;
    void (*fire)(void *arg);
    void *arg;
};

/* fire(arg) runs on the loop once for any number of signals since the last time. */
bool wake_init(struct wake *wake, struct loop *loop, void (*fire)(void *), void *arg,
               struct err *err) MUST_CHECK;
/* Only when no attached queue is left, or its client instance is gone. */
void wake_deinit(struct wake *wake);

/* From any thread. */
void wake_signal(const struct wake *wake);

/* The queue signals when something comes into it while it is empty: a drain that stops early must
 * call again by itself. What is in it already is signalled here. */
void wake_attach(struct wake *wake, rd_kafka_queue_t *queue);
void wake_detach(rd_kafka_queue_t *queue);

#endif
