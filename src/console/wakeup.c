/* See wakeup.h. An eventfd: writing to it is safe from any thread and adds up. */
#include "console/wakeup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void on_readable(void *arg)
{
    struct wakeup *wakeup = arg;
    uint64_t count;
    if (read(wakeup->fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
        wakeup->fire(wakeup->arg);
}

bool wakeup_open(struct wakeup *wakeup, struct loop *loop, void (*fire)(void *arg), void *arg,
                 struct err *err)
{
    *wakeup = (struct wakeup){.fire = fire, .arg = arg};
    wakeup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wakeup->fd < 0)
        return err_set(err, ERR_INTERNAL, "eventfd: %s", strerror(errno));
    wakeup->watch = loop_watch_new(loop, wakeup->fd, on_readable, wakeup, err);
    if (wakeup->watch)
        return true;
    close(wakeup->fd);
    return false;
}

void wakeup_close(struct wakeup *wakeup)
{
    if (!wakeup->watch)
        return;
    loop_watch_free(&wakeup->watch);
    close(wakeup->fd);
}

void wakeup_send(struct wakeup *wakeup)
{
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(wakeup->fd, &one, sizeof(one)); /* EAGAIN: the counter is full, it is readable */
    } while (n < 0 && errno == EINTR);
}
