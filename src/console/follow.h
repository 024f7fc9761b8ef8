/*
 * The feed of the index in a thread and on a loop of its own: rebuilding a million rows must not
 * keep a person waiting. The thread owns the writing index and the feed; what it has to say is told
 * on the console's loop.
 */
#ifndef OG_CONSOLE_FOLLOW_H
#define OG_CONSOLE_FOLLOW_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct follow;

struct follow_options {
    struct loop *loop; /* where the rest is called */
    const struct config *config;
    const char *path; /* of the index */
    /* Something was read; not more often than every 200 ms, and always after the last. */
    void (*moved)(void *arg, bool caught_up);
    /* As the feed's: unless err->retriable it has ended. */
    void (*failed)(void *arg, const struct err *err);
    void *arg;
};

/* Opens the index as its writer: an error where another process is. */
struct follow *follow_new(const struct follow_options *options, struct err *err) MUST_CHECK;
/* Waits for the thread. Nothing is told after that. */
void follow_free(struct follow **follow);

#endif
