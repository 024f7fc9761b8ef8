/* Waiting with an end; see patience.h. The timer is there so that a turn of the loop ends where
 * nothing at all happens. */
#include "dlq/patience.h"

#include "base/clock.h"

#define QUIET_MS UINT64_C(15000)
#define WAKE_MS  500

static void wake_up(void *arg)
{
    struct patience *patience = arg;
    loop_timer_set_ms(&patience->timer, WAKE_MS);
}

void patience_begin(struct patience *patience, struct loop *loop)
{
    patience->loop = loop;
    patience_moved(patience);
    loop_timer_init(&patience->timer, loop, wake_up, patience);
    loop_timer_set_ms(&patience->timer, WAKE_MS);
}

void patience_moved(struct patience *patience)
{
    patience->moved_ns = clock_mono_ns();
}

bool patience_turn(struct patience *patience)
{
    loop_turn(patience->loop, true);
    return clock_mono_ns() - patience->moved_ns < QUIET_MS * NS_PER_MS;
}

void patience_end(struct patience *patience)
{
    loop_timer_deinit(&patience->timer);
}
