/* One question to the ledger from a command: a loop, a connection, an answer within a time. */
#ifndef OG_GATEWAY_REDIS_TASK_H
#define OG_GATEWAY_REDIS_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "ledger/ledger.h"

struct redis_task {
    struct loop *loop;
    struct ledger *ledger;
    bool done; /* set by the answer's callback */
    struct err err;
};

bool redis_task_init(struct redis_task *task, const struct config *config,
                     struct err *err) MUST_CHECK;
/* Turns the loop until done is set; false with the reason where Redis does not answer in time. */
bool redis_task_wait(struct redis_task *task, int64_t timeout_ms, struct err *err) MUST_CHECK;
void redis_task_deinit(struct redis_task *task);
/* A callback for what answers with nothing but success. arg is the task. */
void redis_task_done(void *arg, const struct err *err);

#endif
