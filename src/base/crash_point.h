/*
 * Places at which the fault tests kill the process, and faults that they plant. Both exist only in
 * builds with -DONCEGATE_CRASH_POINTS=ON (the default of Debug builds); in any other they are
 * nothing, and the variables below are not looked at.
 *
 *   ONCEGATE_CRASH_AT=point:count   SIGKILL to itself when the point is passed for the count-th
 * time ONCEGATE_PLANT=name             the planted fault of that name is on
 *
 * Thread-safe.
 */
#ifndef OG_BASE_CRASH_POINT_H
#define OG_BASE_CRASH_POINT_H

#include <stdbool.h>

#ifdef ONCEGATE_CRASH_POINTS
void crash_point_pass(const char *point);
bool crash_point_planted(const char *name);
#define CRASH_POINT(point) crash_point_pass(point)
#define PLANTED(name)      crash_point_planted(name)
#else
#define CRASH_POINT(point) ((void)0)
#define PLANTED(name)      false
#endif

#endif
