/* From a thread to a loop, and cancellable, which loop_post is not: what waits when it is closed is
 * dropped. Wake-ups that come close together are one. */
#ifndef OG_CONSOLE_WAKEUP_H
#define OG_CONSOLE_WAKEUP_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/loop.h"

struct wakeup {
    struct loop_watch *watch;
    void (*fire)(void *arg);
    void *arg;
    int fd;
};

/* On the loop's thread, both. fire runs on the loop after wakeup_send. */
bool wakeup_open(struct wakeup *wakeup, struct loop *loop, void (*fire)(void *arg), void *arg,
                 struct err *err) MUST_CHECK;
void wakeup_close(struct wakeup *wakeup);
/* From any thread, while it is open. */
void wakeup_send(struct wakeup *wakeup);

#endif
