/* See work.h. Must not: touch a call after it was answered or gone, or free a work while what it
 * asked is above it on the stack. */
#include "console/work.h"

#include "base/mem.h"
#include "console/console_parts.h"

#define WORKS_MAX 64

static void drop(void *arg)
{
    struct work *work = arg;
    struct console *console = work->console;
    TAILQ_REMOVE(&console->works, work, entry);
    console->work_count--;
    if (work->call)
        call_on_gone(work->call, NULL, NULL);
    work->call = NULL;
    loop_timer_deinit(&work->timer);
    loop_task_cancel(console->options.loop, &work->end);
    work->kind->drop(work);
    mem_free(work);
}

static void gone(void *arg)
{
    struct work *work = arg;
    work->call = NULL;
    loop_timer_cancel(&work->timer);
    if (!work->kind->changes || work->settled)
        work_end(work);
}

static void too_late(void *arg)
{
    struct work *work = arg;
    work_problem(work, 503, work->kind->late);
    if (!work->kind->changes || work->settled)
        work_end(work);
}

void *work_new(const struct work_kind *kind, struct console *console, struct call *call,
               const struct route_match *match)
{
    int64_t request_ms = console->config->console.limits.request_ms;
    struct work *work;
    if (console->work_count >= WORKS_MAX) {
        reply_problem(call, 503, "too many requests are under way: try again");
        return NULL;
    }
    work = mem_zalloc(kind->size);
    work->kind = kind;
    work->console = console;
    work->call = call;
    work->who = match->who;
    work->masked = payload_is_masked(
        &(struct payload_view){.masking = &console->masking, .role = match->who.role});
    loop_timer_init(&work->timer, console->options.loop, too_late, work);
    loop_task_init(&work->end, drop, work);
    TAILQ_INSERT_TAIL(&console->works, work, entry);
    console->work_count++;
    call_on_gone(call, gone, work);
    if (kind->time_ms)
        call_wait(call, kind->time_ms + request_ms);
    loop_timer_set_ms(&work->timer, kind->time_ms ? kind->time_ms : request_ms * 9 / 10);
    return work;
}

void work_begin(struct work *work)
{
    loop_timer_cancel(&work->timer);
    work->settled = true;
}

static struct call *take_call(struct work *work)
{
    struct call *call = work->call;
    work->call = NULL;
    loop_timer_cancel(&work->timer);
    return call;
}

void work_answer(struct work *work, const struct buf *body)
{
    struct call *call = take_call(work);
    if (call)
        reply_json(call, body);
}

void work_fail(struct work *work, const struct err *err)
{
    struct call *call = take_call(work);
    if (call)
        reply_problem_err(call, err);
}

void work_problem(struct work *work, int status, const char *detail)
{
    struct call *call = take_call(work);
    if (call)
        reply_problem(call, status, detail);
}

void work_end(struct work *work)
{
    loop_defer(work->console->options.loop, &work->end);
}

void work_drop_all(struct work_list *list)
{
    while (!TAILQ_EMPTY(list))
        drop(TAILQ_FIRST(list));
}
