/*
 * Both clocks, each behind a pointer that only tests set, before they start threads.
 */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t (*mono_for_test)(void);
static int64_t (*wall_for_test)(void);

uint64_t clock_mono_ns(void)
{
    if (mono_for_test)
        return mono_for_test();
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    if (wall_for_test)
        return wall_for_test();
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + (int64_t)(now.tv_nsec / (long)NS_PER_MS);
}

int64_t clock_wall_ms_after(int64_t ms)
{
    return clock_wall_ms() + ms + 1;
}

void clock_set_for_test(uint64_t (*mono_ns)(void), int64_t (*wall_ms)(void))
{
    mono_for_test = mono_ns;
    wall_for_test = wall_ms;
}
