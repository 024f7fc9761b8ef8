/*
 * Queue signals over an eventfd: many queues share one, since the reader looks into all of them
 * anyway. The descriptor must outlive the attachment, else librdkafka's threads would write into
 * whatever file gets its number next.
 */
#include "kafka/wake.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(void *arg)
{
    struct wake *wake = arg;
    uint64_t count;

    /* EAGAIN is possible after a spurious wake-up; the count itself is of no interest. */
    if (read(wake->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return;
    wake->fire(wake->arg);
}

bool wake_init(struct wake *wake, struct loop *loop, void (*fire)(void *), void *arg,
               struct err *err)
{
    wake->fire = fire;
    wake->arg = arg;
    wake->watch = NULL;
    wake->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake->fd < 0)
        return err_set(err, ERR_INTERNAL, "eventfd: %s", strerror(errno));
    wake->watch = loop_watch_new(loop, wake->fd, on_readable, wake, err);
    if (wake->watch == NULL) {
        close(wake->fd);
        wake->fd = -1;
        return false;
    }
    return true;
}

void wake_deinit(struct wake *wake)
{
    if (wake->watch == NULL)
        return;
    loop_watch_free(&wake->watch);
    close(wake->fd);
    wake->fd = -1;
}

void wake_signal(const struct wake *wake)
{
    const uint64_t one = 1;

    /* It can only fail by being full, and then the loop is woken anyway. */
    if (write(wake->fd, &one, sizeof(one)) < 0)
        return;
}

void wake_attach(struct wake *wake, rd_kafka_queue_t *queue)
{
    const uint64_t one = 1;

    rd_kafka_queue_io_event_enable(queue, wake->fd, &one, sizeof(one));
    wake_signal(wake); /* for what came before: nothing signals again until the queue was empty */
}

void wake_detach(rd_kafka_queue_t *queue)
{
    rd_kafka_queue_io_event_enable(queue, -1, NULL, 0);
}
