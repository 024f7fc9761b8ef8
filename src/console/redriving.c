/*
 * See redriving.h. Of each group first its topics are looked for, since a reader would wait for
 * them in silence; its jobs are made then, and anew after a failure, in a turn of their own. A job
 * that moves is told of at once, and then once in a while: a job of a million letters moves a
 * million times. Must not: free jobs from within their callbacks.
 */
#include "console/redriving.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "kafka/admin.h"

#define AGAIN_MS 5000
#define TELL_MS  250
#define TOPICS   3 /* of a group: jobs, states, audit */

struct followed {
    struct redriving *redriving;
    const char *name; /* the configuration's */
    char *topics[TOPICS];
    struct jobs *jobs;
    bool known, owns, failed;
    struct err err;
    struct loop_timer again; /* makes the jobs (anew) */
    struct loop_timer tell;
    char *moved[8]; /* ids of jobs that are to be told of; full: told at once */
    size_t moved_count;
};

struct redriving {
    struct redriving_options options;
    char *owner;
    struct kafka_admin *admin; /* NULL: not asked yet */
    struct followed *groups;
    size_t count;
};

/* ---- telling ---- */

static void tell_all(void *arg)
{
    struct followed *group = arg;
    const struct redriving_options *options = &group->redriving->options;
    for (size_t i = 0; i < group->moved_count; i++) {
        const struct redrive_job *job = group->jobs ? jobs_find(group->jobs, group->moved[i])
                                                    : NULL;
        if (job)
            options->changed(options->arg, job, jobs_cancel_asked(group->jobs, group->moved[i]));
        mem_free(group->moved[i]);
    }
    group->moved_count = 0;
}

static void on_changed(void *arg, const struct redrive_job *job, bool cancel_asked)
{
    struct followed *group = arg;
    const struct redriving_options *options = &group->redriving->options;
    for (size_t i = 0; i < group->moved_count; i++) {
        if (strcmp(group->moved[i], job->id) == 0)
            return;
    }
    if (redrive_status_is_end(job->status) ||
        group->moved_count == sizeof(group->moved) / sizeof(group->moved[0])) {
        options->changed(options->arg, job, cancel_asked);
        return;
    }
    group->moved[group->moved_count++] = mem_strdup(job->id);
    if (!loop_timer_armed(&group->tell))
        loop_timer_set_ms(&group->tell, TELL_MS);
}

/* ---- following ---- */

static void fail(struct followed *group, const struct err *err)
{
    bool same = group->failed && strcmp(group->err.text, err->text) == 0;
    if (!same)
        log_warn("console_jobs_wait", LOG_STR("group", group->name), LOG_STR("reason", err->text),
                 LOG_END);
    group->failed = true;
    group->known = group->owns = false;
    group->err = *err;
    loop_timer_set_ms(&group->again, AGAIN_MS);
}

static void on_failed(void *arg, const struct err *err)
{
    fail(arg, err);
}

static void on_known(void *arg)
{
    struct followed *group = arg;
    struct err err = {0};
    group->known = true;
    group->failed = false;
    if (group->redriving->options.run && !jobs_join(group->jobs, &err))
        fail(group, &err);
}

static void on_owning(void *arg, bool owns)
{
    struct followed *group = arg;
    group->owns = owns;
    log_info("console_runs_jobs", LOG_STR("group", group->name), LOG_BOOL("owns", owns), LOG_END);
}

static void make_jobs(struct followed *group)
{
    struct redriving *redriving = group->redriving;
    struct jobs_config config = {.loop = redriving->options.loop,
                                 .config = redriving->options.config,
                                 .group = group->name,
                                 .owner = redriving->owner,
                                 .known = on_known,
                                 .changed = on_changed,
                                 .owning = on_owning,
                                 .failed = on_failed,
                                 .arg = group};
    struct err err = {0};
    group->jobs = jobs_new(&config, &err);
    if (!group->jobs)
        fail(group, &err);
}

static void described(void *arg, const struct kafka_topic *topics, size_t count,
                      const struct err *err)
{
    struct followed *group = arg;
    struct err failure = {0};
    if (err) {
        if (err->code != ERR_CANCELLED)
            fail(group, err);
        return;
    }
    for (size_t i = 0; i < count && !failure.code; i++) {
        if (!topics[i].exists)
            (void)err_set_retriable(&failure, ERR_UNAVAILABLE,
                                    "there is no topic %s: `oncegate topics apply` makes it",
                                    group->topics[i]);
    }
    if (failure.code)
        fail(group, &failure);
    else
        make_jobs(group);
}

static void make(void *arg)
{
    struct followed *group = arg;
    struct redriving *redriving = group->redriving;
    struct err err = {0};
    jobs_free(&group->jobs);
    group->known = group->owns = false;
    if (!redriving->admin)
        redriving->admin = kafka_admin_new(redriving->options.loop, redriving->options.config,
                                           &err);
    if (redriving->admin)
        kafka_admin_describe(redriving->admin, (const char *const *)group->topics, TOPICS, false,
                             described, group);
    else
        fail(group, &err);
}

/* ---- making ---- */

static void add_group(struct redriving *redriving, const struct route_config *route)
{
    const char *name = route->group;
    struct followed *group = &redriving->groups[redriving->count];
    struct loop *loop = redriving->options.loop;
    for (size_t i = 0; i < redriving->count; i++) {
        if (strcmp(redriving->groups[i].name, name) == 0)
            return;
    }
    redriving->count++;
    group->redriving = redriving;
    group->name = name;
    group->topics[0] = config_dlq_jobs_topic(route);
    group->topics[1] = config_dlq_state_topic(route);
    group->topics[2] = config_audit_topic(route);
    loop_timer_init(&group->again, loop, make, group);
    loop_timer_init(&group->tell, loop, tell_all, group);
    loop_timer_set_ms(&group->again, 0);
}

struct redriving *redriving_new(const struct redriving_options *options)
{
    const struct config *config = options->config;
    struct redriving *redriving = mem_zalloc(sizeof(*redriving));
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof(host) - 1) != 0)
        host[0] = '\0';
    redriving->options = *options;
    redriving->owner = mem_printf("%s/%ld", host, (long)getpid());
    redriving->groups = mem_calloc(config->route_count, sizeof(*redriving->groups));
    for (size_t i = 0; i < config->route_count; i++)
        add_group(redriving, &config->routes[i]);
    return redriving;
}

void redriving_free(struct redriving **redriving_p)
{
    struct redriving *redriving = *redriving_p;
    if (!redriving)
        return;
    *redriving_p = NULL;
    kafka_admin_free(&redriving->admin);
    for (size_t i = 0; i < redriving->count; i++) {
        struct followed *group = &redriving->groups[i];
        jobs_free(&group->jobs);
        loop_timer_deinit(&group->again);
        loop_timer_deinit(&group->tell);
        for (size_t t = 0; t < TOPICS; t++)
            mem_free(group->topics[t]);
        while (group->moved_count > 0)
            mem_free(group->moved[--group->moved_count]);
    }
    mem_free(redriving->groups);
    mem_free(redriving->owner);
    mem_free(redriving);
}

/* ---- asking ---- */

size_t redriving_count(const struct redriving *redriving)
{
    return redriving->count;
}

struct redriving_group redriving_at(const struct redriving *redriving, size_t at)
{
    const struct followed *group = &redriving->groups[at];
    return (struct redriving_group){group->name, group->jobs, group->known, group->owns,
                                    group->failed ? group->err.text : ""};
}

bool redriving_find(const struct redriving *redriving, const char *name,
                    struct redriving_group *group)
{
    for (size_t i = 0; i < redriving->count; i++) {
        if (strcmp(redriving->groups[i].name, name) != 0)
            continue;
        *group = redriving_at(redriving, i);
        return true;
    }
    return false;
}

struct jobs *redriving_jobs(const struct redriving *redriving, const char *name, struct err *err)
{
    struct redriving_group group;
    if (!redriving_find(redriving, name, &group)) {
        (void)err_set(err, ERR_USAGE, "no route has the group %.200s", name);
        return NULL;
    }
    if (group.known)
        return group.jobs;
    (void)err_set_retriable(err, ERR_UNAVAILABLE, "the jobs of %.100s are not known%s%.350s", name,
                            group.trouble[0] ? ": " : " yet", group.trouble);
    return NULL;
}
