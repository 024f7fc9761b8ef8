/*
 * Crash points; see crash_point.h.
 * Invariant: the process dies by SIGKILL at the point itself; nothing is flushed, closed or told.
 * Must not: be there in a build that is shipped.
 */
#include "base/crash_point.h"

#ifdef ONCEGATE_CRASH_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *plant;
static const char *crash_at;
static size_t crash_at_len;
static atomic_long left;

static void read_environment(void)
{
    const char *colon;
    plant = getenv("ONCEGATE_PLANT");
    crash_at = getenv("ONCEGATE_CRASH_AT");
    colon = crash_at ? strchr(crash_at, ':') : NULL;
    crash_at_len = colon ? (size_t)(colon - crash_at) : 0;
    atomic_store(&left, colon ? strtol(colon + 1, NULL, 10) : 0);
}

void crash_point_pass(const char *point)
{
    pthread_once(&once, read_environment);
    if (crash_at_len == 0 || strlen(point) != crash_at_len ||
        memcmp(point, crash_at, crash_at_len) != 0)
        return;
    if (atomic_fetch_sub(&left, 1) == 1)
        raise(SIGKILL);
}

bool crash_point_planted(const char *name)
{
    pthread_once(&once, read_environment);
    return plant && strcmp(plant, name) == 0;
}

#else

/* A translation unit holds at least one declaration. */
typedef int crash_points_are_not_built;

#endif
