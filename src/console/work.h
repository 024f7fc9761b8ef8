/*
 * A request that asks more than the index: Kafka, the ledger, gateways. It is answered within its
 * time whatever becomes of what was asked; a change goes on without its client, a question ends
 * with it. Embedded at the beginning of an endpoint's own struct. Owning thread: the loop's.
 */
#ifndef OG_CONSOLE_WORK_H
#define OG_CONSOLE_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "console/guard.h"
#include "console/router.h"
#include "console/server.h"

struct console;
struct work;

struct work_kind {
    size_t size;      /* of the endpoint's struct */
    int64_t time_ms;  /* to answer; 0: a little less than limits.request */
    bool changes;     /* goes on without its client */
    const char *late; /* what is said where that was not enough */
    /* Frees what it holds and what runs for it. What was begun and cannot be ended yet (a write) is
     * not freed here but in its own end. Not called from within what it would free. */
    void (*drop)(struct work *work);
};

struct work {
    TAILQ_ENTRY(work) entry;
    const struct work_kind *kind;
    struct console *console;
    struct call *call; /* NULL: answered, or the client has gone */
    struct guard_pass who;
    bool settled; /* what it changes is done, and it waits to be seen: it may end with its client */
    bool masked;  /* parts of records are hidden from who asks */
    struct loop_timer timer;
    struct loop_task end;
};
TAILQ_HEAD(work_list, work);

/* Zeroed behind *work. NULL: there are too many, and that was answered. */
void *work_new(const struct work_kind *kind, struct console *console, struct call *call,
               const struct route_match *match);
/* The answer has begun and takes the time that it needs; where its client goes, it ends. */
void work_begin(struct work *work);
/* Answers, where there is still somebody to be answered. */
void work_answer(struct work *work, const struct buf *body);
void work_fail(struct work *work, const struct err *err);
void work_problem(struct work *work, int status, const char *detail);
/* It is over: drop, later in this turn. */
void work_end(struct work *work);
/* At the end of the console, after what they asked has told them that it ends. */
void work_drop_all(struct work_list *list);

#endif
