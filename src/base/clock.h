/*
 * Time. Deadlines and delays run on the monotonic clock; wall time is only written into headers and
 * logs. Tests may replace both (clock_set_for_test); production never does.
 */
#ifndef OG_BASE_CLOCK_H
#define OG_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

uint64_t clock_mono_ns(void);
int64_t clock_wall_ms(void);
/* The first millisecond by which that many have passed from now. The present one has begun already,
 * so it is one more than their sum: what is due then is never early. */
int64_t clock_wall_ms_after(int64_t ms);

/* A function for each clock, or NULL for the real one. */
void clock_set_for_test(uint64_t (*mono_ns)(void), int64_t (*wall_ms)(void));

#endif
