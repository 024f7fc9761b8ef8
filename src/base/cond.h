/*
 * Condition variables whose waits end at a time of the monotonic clock: a wall clock that is set
 * neither cuts a wait short nor makes it longer. Locks and signals are pthread's own.
 */
#ifndef OG_BASE_COND_H
#define OG_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* To be destroyed by pthread_cond_destroy. */
void cond_init(pthread_cond_t *cond);
/* Holding the lock. False: the time has come. True says nothing: look at what was waited for. The
 * time is CLOCK_MONOTONIC's, whatever a test has made of clock_mono_ns. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t mono_ns);

#endif
