/*
 * The story of the demo, as a sequence of phases on one loop:
 *
 *   joining -> flowing -> outage -> healing -> flowing -> killed -> rejoining -> flowing ->
 * draining
 *
 * Begins with a gateway that was started, ends when every order is accounted for (or nothing
 * moves any more), when something broke, or when the loop is stopped from outside.
 */
#ifndef OG_GATEWAY_DEMO_STORY_H
#define OG_GATEWAY_DEMO_STORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "demo_book.h"
#include "demo_probe.h"
#include "demo_screen.h"
#include "demo_stream.h"
#include "demo_watch.h"
#include "demo_world.h"

struct demo_story {
    /* set by the caller */
    struct loop *loop;
    struct demo_world *world;
    struct demo_book *book;
    struct demo_stream *stream;
    struct demo_probe *probe;
    struct demo_screen *screen;
    unsigned seconds;       /* the length that is aimed at */
    bool open_page;         /* in the desktop's browser, when there is something to see */
    uint64_t since_ns;      /* the first delivery is measured from here */
    const char *since_what; /* "" or what else that time holds */

    /* told by the story */
    bool breaker_opened, breaker_closed;
    double outage_s, breaker_s; /* how long */
    double back_s;              /* from the kill to the next delivery */
    pid_t killed_pid;
    bool interrupted; /* the loop was stopped from outside */
    struct err err;   /* what broke */

    /* the story's own */
    int phase;
    struct loop_timer tick;
    uint64_t begun_ns, phase_ns, breaker_ns, killed_ns;
    uint64_t calls_then; /* what was seen when something was last waited for */
    int64_t lag_then;
    bool outage_done, kill_done, first_told, dead_told, spared;
    unsigned ticks;
};

/* True: told to its end. */
bool demo_story_run(struct demo_story *story);

#endif
