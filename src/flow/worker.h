/*
 * A worker: one thread with an event loop, a consumer per route, one connection to Redis, one
 * producer. Workers share nothing mutable but counters. The functions here are called on the
 * program's main thread.
 */
#ifndef OG_FLOW_WORKER_H
#define OG_FLOW_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "config/config.h"

struct spool;
struct worker;

/* Called on the worker's thread. */
struct worker_events {
    void *ctx;
    /* A route cannot run as configured (a topic is missing, the brokers refuse ...): the program
     * ends with the error's exit code. */
    void (*failed)(void *ctx, struct worker *worker, const struct err *err);
    /* Everything is drained and closed after worker_stop; the thread is about to end. */
    void (*stopped)(void *ctx, struct worker *worker);
    /* Where worker_free says what it waits for, in words: constants. */
    _Atomic(const char *) *waits_for;
};

/* spool: the process's, or NULL; it must outlive the worker. */
struct worker *worker_new(const struct config *config, uint32_t index, struct metrics *metrics,
                          struct spool *spool, const struct worker_events *events,
                          struct err *err) MUST_CHECK;
bool worker_start(struct worker *worker, struct err *err) MUST_CHECK;
/* Drains every route within its shutdown.drain, commits, leaves the groups. Returns at once;
 * `stopped` follows. */
void worker_stop(struct worker *worker);
/* Joins the thread. */
void worker_free(struct worker **worker);

/*
 * Asks the worker's thread for its part of the status: done(arg, json, ready) runs on that thread;
 * json is borrowed. The text is an array of route objects.
 */
void worker_status(struct worker *worker, void (*done)(void *arg, struct slice json, bool ready),
                   void *arg);
/* A person's pause or resume; written to Redis, seen by all instances. route is borrowed during the
 * call. */
void worker_hold(struct worker *worker, const char *route, bool held, const char *by);

#endif
