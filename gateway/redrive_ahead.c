/* dlq/redrive_ahead.h for a command, which waits for it. Must not: fail a dry run because Redis is
 * away. */
#include "redrive_ahead.h"

#include <stdio.h>

#include "redis_task.h"

#define TIMEOUT_MS 5000

struct looking {
    struct redis_task task;
    struct redrive_ahead *out;
};

static void looked(void *arg, const struct redrive_ahead *ahead)
{
    struct looking *looking = arg;
    *looking->out = *ahead;
    looking->task.done = true;
}

void redrive_ahead_look(const struct config *config, struct redrive_scan *scan,
                        struct redrive_ahead *out)
{
    struct looking looking = {.out = out};
    struct redrive_ahead_ask *ask;
    struct err err = {0};
    if (redis_task_init(&looking.task, config, &err)) {
        ask = redrive_ahead_ask(looking.task.loop, looking.task.ledger, config, scan, TIMEOUT_MS,
                                looked, &looking);
        if (!redis_task_wait(&looking.task, 2 * TIMEOUT_MS, &err))
            redrive_ahead_cancel(ask);
        redis_task_deinit(&looking.task); /* what is not answered ends now */
    }
    if (err.code) {
        out->unknown = redrive_scan_list(scan)->count;
        snprintf(out->why, sizeof(out->why), "%.280s", err.text);
    }
}
