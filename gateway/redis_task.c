/* One question to the ledger; see redis_task.h. */
#include "redis_task.h"

#include <string.h>

static void late(void *arg)
{
    *(bool *)arg = true;
}

bool redis_task_init(struct redis_task *task, const struct config *config, struct err *err)
{
    struct ledger_events events = {0};
    memset(task, 0, sizeof(*task));
    task->loop = loop_new(err);
    if (!task->loop)
        return false;
    task->ledger = ledger_new(task->loop, &config->redis, &events, NULL, err);
    if (task->ledger)
        return true;
    loop_free(&task->loop);
    return false;
}

bool redis_task_wait(struct redis_task *task, int64_t timeout_ms, struct err *err)
{
    struct loop_timer timer;
    bool is_late = false;
    loop_timer_init(&timer, task->loop, late, &is_late);
    loop_timer_set_ms(&timer, timeout_ms);
    while (!task->done && !is_late)
        loop_turn(task->loop, true);
    loop_timer_deinit(&timer);
    if (task->done && task->err.code) {
        *err = task->err;
        return false;
    }
    if (!task->done)
        return err_set_retriable(err, ERR_UNAVAILABLE, "Redis does not answer: %s",
                                 ledger_why_down(task->ledger));
    return true;
}

void redis_task_deinit(struct redis_task *task)
{
    ledger_free(&task->ledger);
    loop_free(&task->loop);
}

void redis_task_done(void *arg, const struct err *err)
{
    struct redis_task *task = arg;
    task->done = true;
    if (err)
        task->err = *err;
}
