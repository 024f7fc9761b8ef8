/*
 * Turns of routes; see turns.h. Invariants: whoever asked first is served first, and nobody twice
 * in a turn of the loop; together they begin no more than its bound. Must not: know what is begun.
 */
#include "flow/turns.h"

/* In a turn of the loop: of a route with no other beside it, and of several. */
#define ALONE    512
#define TOGETHER 16
/* In a row, of each of several. */
#define SHARE 8

static unsigned share_of(unsigned left, size_t waiting)
{
    unsigned fair = left / (unsigned)waiting;
    if (fair >= SHARE)
        return fair;
    return left < SHARE ? left : SHARE;
}

static void run(void *arg)
{
    struct turns *turns = arg;
    unsigned left = turns->count > 1 ? TOGETHER : ALONE;
    for (size_t waiting = turns->count; waiting > 0 && left > 0 && turns->count > 0; waiting--) {
        struct turn *turn = TAILQ_FIRST(&turns->waiting);
        turns_cancel(turns, turn);
        left -= turn->begin(turn->arg, share_of(left, waiting));
    }
    if (turns->count > 0)
        loop_defer(turns->loop, &turns->task);
}

void turns_init(struct turns *turns, struct loop *loop)
{
    turns->loop = loop;
    turns->count = 0;
    TAILQ_INIT(&turns->waiting);
    loop_task_init(&turns->task, run, turns);
}

void turns_deinit(struct turns *turns)
{
    loop_task_cancel(turns->loop, &turns->task);
}

void turns_ask(struct turns *turns, struct turn *turn)
{
    if (turn->queued)
        return;
    turn->queued = true;
    TAILQ_INSERT_TAIL(&turns->waiting, turn, in_turns);
    turns->count++;
    loop_defer(turns->loop, &turns->task);
}

void turns_cancel(struct turns *turns, struct turn *turn)
{
    if (!turn->queued)
        return;
    turn->queued = false;
    TAILQ_REMOVE(&turns->waiting, turn, in_turns);
    turns->count--;
}
