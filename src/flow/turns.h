/*
 * Which of a worker's routes begins records, and how many in a turn of the loop. Where several have
 * some to begin they share a small bound, and each gets a few in a row: what a route needs for a
 * record is then touched for a few of them, not for one, and the answers of those that were begun
 * are looked at before more is begun. A hundred routes that fill all their slots first have every
 * connection and every record go through the processor's caches in turn. Slots stay what they are:
 * while answers are slow a turn of the loop is short, and they fill up. Owning thread: the
 * worker's.
 */
#ifndef OG_FLOW_TURNS_H
#define OG_FLOW_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/loop.h"

struct turn {
    unsigned (*begin)(void *arg, unsigned share); /* at most so many; returns how many it began */
    void *arg;
    bool queued;
    TAILQ_ENTRY(turn) in_turns;
};

struct turns {
    struct loop *loop;
    TAILQ_HEAD(turn_list, turn) waiting; /* in the order of asking */
    size_t count;
    struct loop_task task;
};

void turns_init(struct turns *turns, struct loop *loop);
void turns_deinit(struct turns *turns); /* nobody may be waiting */
/* begin is called once, soon, and never inside the call; from begin, too: then after all others. */
void turns_ask(struct turns *turns, struct turn *turn);
void turns_cancel(struct turns *turns, struct turn *turn);

#endif
