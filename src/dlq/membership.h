/*
 * Which of several programs does what only one may do for a group: the member of
 * "<group>.oncegate-redrive" to which Kafka gives partition 0 of a topic. Owning thread: the
 * loop's.
 */
#ifndef OG_DLQ_MEMBERSHIP_H
#define OG_DLQ_MEMBERSHIP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"

struct membership;

struct membership_config {
    struct loop *loop;
    const struct config *config;
    const char *group; /* the group that it is about */
    const char *topic; /* whose partition 0 decides */
    /* true: this one is it. false: not any more; what it does has to stop in this call. */
    void (*owning)(void *arg, bool owns);
    void (*failed)(void *arg, const struct err *err); /* for good */
    void *arg;
};

struct membership *membership_new(const struct membership_config *config,
                                  struct err *err) MUST_CHECK;
/* Leaves the group. Not from its callbacks. */
void membership_free(struct membership **membership);

#endif
