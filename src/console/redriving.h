/*
 * The redrive jobs of all consumer groups of a configuration (dlq/jobs.h): known to every console,
 * done by the one that owns the group's part. What cannot be followed (a topic that is not there,
 * access that is denied) is said and tried again. Owning thread: the loop's.
 */
#ifndef OG_CONSOLE_REDRIVING_H
#define OG_CONSOLE_REDRIVING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "dlq/jobs.h"

struct redriving;

struct redriving_options {
    struct loop *loop;
    const struct config *config; /* borrowed */
    bool run;                    /* joins as a runner; else it only looks */
    /* A job is new or has moved; at most a few times a second for each. */
    void (*changed)(void *arg, const struct redrive_job *job, bool cancel_asked);
    void *arg;
};

struct redriving_group {
    const char *name;
    struct jobs *jobs;   /* NULL: see trouble */
    bool known;          /* the jobs that there are were read */
    bool owns;           /* this console does them */
    const char *trouble; /* "": none */
};

struct redriving *redriving_new(const struct redriving_options *options);
void redriving_free(struct redriving **redriving);

size_t redriving_count(const struct redriving *redriving);
struct redriving_group redriving_at(const struct redriving *redriving, size_t at);
/* False: no route has that group. */
bool redriving_find(const struct redriving *redriving, const char *name,
                    struct redriving_group *group);
/* The group's jobs, if they are known; else err says why not. */
struct jobs *redriving_jobs(const struct redriving *redriving, const char *name, struct err *err);

#endif
