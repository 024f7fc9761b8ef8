/*
 * Threads that ask the index, each with a connection of its own. A filtered page is to be there
 * within 100 ms, but a search for text or a count over a million dead letters is not, and while the
 * loop waited for SQLite nobody else would be answered: so no query runs on the loop.
 */
#ifndef OG_CONSOLE_WORKERS_H
#define OG_CONSOLE_WORKERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/loop.h"
#include "dlq/index.h"

struct workers;

/* Opens the file for reading: its writer must have been there. */
struct workers *workers_new(struct loop *loop, const char *path, size_t count, size_t waiting_max,
                            struct err *err) MUST_CHECK;
/* Waits for what runs. What is still to be told of is told now: every done runs. */
void workers_free(struct workers **workers);
/* run(arg, index) in a thread, then done(arg) on the loop; each once. False: too many wait, and
 * neither will run. */
bool workers_ask(struct workers *workers, void (*run)(void *arg, struct dlq_index *index),
                 void (*done)(void *arg), void *arg) MUST_CHECK;

#endif
