/*
 * A group's redrive jobs; see jobs.h.
 *
 *   owner? -> choose -> claim (write owner and epoch, read it back) -> redrive -> write the end ->
 * ...
 *
 * Invariants: a job is worked on only while this member owns the partition and the newest epoch of
 * the job's record is its own; one write of the record is under way at a time; a job that has ended
 * is never begun again. Must not: write the record of a job that it does not run.
 */
#include "dlq/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "dlq/dlq_write.h"
#include "dlq/membership.h"
#include "dlq/redrive.h"
#include "dlq/redrive_scan.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "record/audit_entry.h"
#include "record/letter_state.h"

#define TAKEN_PER_TURN 500
#define PROGRESS_MS    1000
#define AGAIN_MS       3000
#define PATIENCE_MS    300000

struct known {
    struct redrive_job job;
    bool cancel;
};

enum run_state {
    RUN_NONE,
    RUN_CLAIMING, /* its record is being written */
    RUN_READING,  /* and is to be read back */
    RUN_WORKING,
    RUN_ENDING, /* the end is being written */
};

/* The job that is being worked on. */
struct run {
    enum run_state state;
    struct redrive_job job;
    struct redrive *redrive;
    bool dirty, writing, stopping;
    bool read_back;  /* the record that claims it */
    uint64_t number; /* tells an answer to an earlier run */
};

struct jobs {
    struct jobs_config config;
    char *group, *owner, *topic, *audit_topic, *state_topic;
    struct kafka_producer *producer;
    struct kafka_reader *reader;
    struct membership *membership;
    struct known **items; /* sorted by id */
    size_t count;
    struct loop_timer timer;
    struct loop_task task;
    struct run run;
    bool all_known, owns;
    uint64_t runs;
};

static void consider(struct jobs *jobs);
static void write_run(struct jobs *jobs);

/* ---- what is known ---- */

static size_t place_of(const struct jobs *jobs, struct slice id, bool *found)
{
    size_t low = 0, high = jobs->count;
    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *at = jobs->items[middle]->job.id;
        size_t len = strlen(at), common = len < id.len ? len : id.len;
        int order = memcmp(at, id.data, common);
        if (order == 0)
            order = (len > id.len) - (len < id.len);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct known *find(const struct jobs *jobs, struct slice id)
{
    bool found;
    size_t at = place_of(jobs, id, &found);
    return found ? jobs->items[at] : NULL;
}

static struct known *find_or_add(struct jobs *jobs, struct slice id)
{
    bool found;
    size_t at = place_of(jobs, id, &found);
    if (found)
        return jobs->items[at];
    jobs->items = mem_realloc(jobs->items, (jobs->count + 1) * sizeof(struct known *));
    memmove(jobs->items + at + 1, jobs->items + at, (jobs->count - at) * sizeof(struct known *));
    jobs->items[at] = mem_zalloc(sizeof(struct known));
    jobs->items[at]->job.id = mem_strndup(id.data, id.len);
    jobs->count++;
    return jobs->items[at];
}

/* A cancel alone makes no job. */
static bool is_job(const struct known *known)
{
    return known->job.group != NULL;
}

static void forget(struct jobs *jobs, struct slice id)
{
    bool found;
    size_t at = place_of(jobs, id, &found);
    if (!found)
        return;
    redrive_job_deinit(&jobs->items[at]->job);
    mem_free(jobs->items[at]);
    jobs->count--;
    memmove(jobs->items + at, jobs->items + at + 1, (jobs->count - at) * sizeof(struct known *));
}

static void tell(struct jobs *jobs, const struct redrive_job *job)
{
    const struct known *known = find(jobs, slice_of(job->id));
    jobs->config.changed(jobs->config.arg, job, known && known->cancel);
}

const struct redrive_job *jobs_find(const struct jobs *jobs, const char *id)
{
    const struct known *known = find(jobs, slice_of(id));
    return known && is_job(known) ? &known->job : NULL;
}

bool jobs_cancel_asked(const struct jobs *jobs, const char *id)
{
    const struct known *known = find(jobs, slice_of(id));
    return known && known->cancel;
}

size_t jobs_count(const struct jobs *jobs)
{
    return jobs->count;
}

const struct redrive_job *jobs_at(const struct jobs *jobs, size_t at)
{
    return is_job(jobs->items[at]) ? &jobs->items[at]->job : NULL;
}

bool jobs_owns(const struct jobs *jobs)
{
    return jobs->owns;
}

/* ---- the run ---- */

static void drop_run(struct jobs *jobs)
{
    redrive_free(&jobs->run.redrive);
    redrive_job_deinit(&jobs->run.job);
    jobs->run = (struct run){.number = ++jobs->runs};
    loop_timer_cancel(&jobs->timer);
}

static void keep_run(struct jobs *jobs)
{
    struct known *known = find(jobs, slice_of(jobs->run.job.id));
    if (!known)
        return;
    redrive_job_deinit(&known->job);
    redrive_job_copy(&known->job, &jobs->run.job);
}

/* An owner's word for another one's, or this one's partition is gone. */
static void lose_run(struct jobs *jobs, const char *why)
{
    if (jobs->run.state == RUN_NONE)
        return;
    log_info("redrive_left", LOG_STR("group", jobs->group), LOG_STR("job", jobs->run.job.id),
             LOG_STR("why", why), LOG_END);
    drop_run(jobs);
}

static void run_changed(void *arg)
{
    struct jobs *jobs = arg;
    jobs->run.dirty = true;
    if (!jobs->run.writing && !loop_timer_armed(&jobs->timer))
        loop_timer_set_ms(&jobs->timer, PROGRESS_MS);
    tell(jobs, &jobs->run.job);
}

static void set_note(struct redrive_job *job, const char *note)
{
    char *copy = mem_strdup(note);
    mem_free(job->note);
    job->note = copy;
}

static void run_ended(void *arg, enum redrive_status status, const char *note)
{
    struct jobs *jobs = arg;
    struct run *run = &jobs->run;
    CRASH_POINT("redrive_ending");
    run->job.status = status == REDRIVE_WAITING ? REDRIVE_RUNNING : status;
    set_note(&run->job, note);
    run->stopping = status == REDRIVE_WAITING; /* begun again in a while */
    run->state = RUN_ENDING;
    run->dirty = true;
    if (!run->writing)
        write_run(jobs);
}

static void begin_work(struct jobs *jobs)
{
    struct run *run = &jobs->run;
    struct known *known = find(jobs, slice_of(run->job.id));
    struct redrive_config config = {.loop = jobs->config.loop,
                                    .config = jobs->config.config,
                                    .producer = jobs->producer,
                                    .job = &run->job,
                                    .changed = run_changed,
                                    .ended = run_ended,
                                    .arg = jobs,
                                    .patience_ms = jobs->config.patience_ms};
    struct err err = {0};
    run->state = RUN_WORKING;
    run->redrive = redrive_new(&config, &err);
    if (!run->redrive)
        run_ended(jobs, REDRIVE_FAILED, err.text);
    else if (known && known->cancel)
        redrive_cancel(run->redrive);
}

static void finish_run(struct jobs *jobs)
{
    bool again = jobs->run.stopping;
    keep_run(jobs);
    tell(jobs, &jobs->run.job);
    drop_run(jobs);
    if (again)
        loop_timer_set_ms(&jobs->timer, AGAIN_MS);
    else
        consider(jobs);
}

struct run_write {
    struct jobs *jobs;
    uint64_t number;
};

static void run_written(void *arg, const struct err *err)
{
    struct run_write *write = arg;
    struct jobs *jobs = write->jobs;
    struct run *run = &jobs->run;
    bool mine = write->number == run->number && run->state != RUN_NONE;
    mem_free(write);
    if (!mine || (err && err->code == ERR_CANCELLED))
        return;
    run->writing = false;
    if (err) {
        jobs->config.failed(jobs->config.arg, err);
        return;
    }
    CRASH_POINT("redrive_progress");
    if (run->state == RUN_CLAIMING && run->read_back)
        begin_work(jobs); /* it was read before the producer was told */
    else if (run->state == RUN_CLAIMING)
        run->state = RUN_READING;
    else if (run->state == RUN_ENDING && !run->dirty)
        finish_run(jobs);
    else if (run->state == RUN_ENDING)
        write_run(jobs);
    else if (run->dirty && !loop_timer_armed(&jobs->timer))
        loop_timer_set_ms(&jobs->timer, PROGRESS_MS);
}

static void write_run(struct jobs *jobs)
{
    struct run *run = &jobs->run;
    struct run_write *write = mem_zalloc(sizeof(*write));
    struct buf value = {0};
    *write = (struct run_write){jobs, run->number};
    run->dirty = false;
    run->writing = true;
    run->job.updated_ms = clock_wall_ms();
    redrive_job_write(&value, &run->job);
    dlq_write(jobs->producer, jobs->topic, LETTER_STATE_PARTITION, slice_of(run->job.id),
              buf_slice(&value), run_written, write);
    buf_deinit(&value);
}

static void on_timer(void *arg)
{
    struct jobs *jobs = arg;
    if (jobs->run.state == RUN_NONE)
        consider(jobs);
    else if (jobs->run.state == RUN_WORKING && jobs->run.dirty && !jobs->run.writing)
        write_run(jobs);
}

static void claim(struct jobs *jobs, const struct known *known)
{
    struct run *run = &jobs->run;
    redrive_job_copy(&run->job, &known->job);
    mem_free(run->job.owner);
    run->job.owner = mem_strdup(jobs->owner);
    run->job.epoch++;
    run->job.status = known->cancel ? REDRIVE_CANCELLING : REDRIVE_RUNNING;
    set_note(&run->job, NULL);
    run->state = RUN_CLAIMING;
    write_run(jobs);
}

/* What somebody wants ended first; else the oldest. */
static void consider(struct jobs *jobs)
{
    const struct known *next = NULL;
    if (!jobs->owns || !jobs->all_known || jobs->run.state != RUN_NONE)
        return;
    for (size_t i = 0; i < jobs->count; i++) {
        const struct known *known = jobs->items[i];
        if (is_job(known) && !redrive_status_is_end(known->job.status) &&
            (!next || (known->cancel && !next->cancel)))
            next = known;
    }
    if (next)
        claim(jobs, next);
}

/* ---- following the topic ---- */

/* A record of the job that is worked on: an echo, or another owner's. */
static void meet_run(struct jobs *jobs, const struct redrive_job *job)
{
    struct run *run = &jobs->run;
    bool own = job->owner && strcmp(job->owner, jobs->owner) == 0 && job->epoch == run->job.epoch;
    run->read_back = run->read_back || own;
    if (own && run->state == RUN_READING)
        begin_work(jobs);
    else if (!own && job->epoch >= run->job.epoch)
        lose_run(jobs, "another runner has taken it");
}

/* The word of an owner that was, or one's own from before the end. */
static bool is_late(const struct redrive_job *known, const struct redrive_job *job)
{
    return job->epoch < known->epoch ||
           (job->epoch == known->epoch && redrive_status_is_end(known->status) &&
            !redrive_status_is_end(job->status));
}

static void take_job(struct jobs *jobs, struct redrive_job *job)
{
    struct known *known = find_or_add(jobs, slice_of(job->id));
    bool running = jobs->run.state != RUN_NONE && strcmp(jobs->run.job.id, job->id) == 0;
    if (is_job(known) && is_late(&known->job, job)) {
        redrive_job_deinit(job);
        return;
    }
    redrive_job_deinit(&known->job);
    known->job = *job;
    if (running)
        meet_run(jobs, &known->job);
    else if (jobs->all_known)
        tell(jobs, &known->job);
}

static void take_cancel(struct jobs *jobs, struct slice id)
{
    struct known *known = find_or_add(jobs, id);
    struct run *run = &jobs->run;
    known->cancel = true;
    if (run->state == RUN_WORKING && slice_equal_text(id, run->job.id)) {
        run->job.status = REDRIVE_CANCELLING;
        redrive_cancel(run->redrive);
        run_changed(jobs);
    }
}

static void take(struct jobs *jobs, const struct record *rec)
{
    struct redrive_job job = {0};
    struct redrive_cancel cancel = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    if (!redrive_record_read(rec, &kind, &id, &job, &cancel, &err)) {
        log_debug("redrive_record_left_out", LOG_STR("topic", jobs->topic),
                  LOG_INT("offset", rec->offset), LOG_STR("error", err.text), LOG_END);
        return;
    }
    if (kind == REDRIVE_RECORD_JOB)
        take_job(jobs, &job);
    else if (kind == REDRIVE_RECORD_CANCEL)
        take_cancel(jobs, id);
    else if (jobs->run.state == RUN_NONE || !slice_equal_text(id, jobs->run.job.id))
        forget(jobs, id);
    redrive_cancel_deinit(&cancel);
}

static void readable(void *arg)
{
    struct jobs *jobs = arg;
    struct record rec;
    struct err err = {0};
    size_t range;
    for (int i = 0; i < TAKEN_PER_TURN; i++) {
        switch (kafka_reader_take(jobs->reader, &rec, &range, &err)) {
        case KAFKA_READ_RECORD:
            take(jobs, &rec);
            break;
        case KAFKA_READ_EMPTY:
            consider(jobs);
            return;
        case KAFKA_READ_END:
            jobs->all_known = true;
            jobs->config.known(jobs->config.arg);
            break;
        case KAFKA_READ_FAILED:
            jobs->config.failed(jobs->config.arg, &err);
            return;
        }
    }
    loop_defer(jobs->config.loop, &jobs->task);
}

/* ---- membership ---- */

static void on_owning(void *arg, bool owns)
{
    struct jobs *jobs = arg;
    if (jobs->owns == owns)
        return;
    jobs->owns = owns;
    if (!owns)
        lose_run(jobs, "the runner's part was given to another");
    jobs->config.owning(jobs->config.arg, owns);
    consider(jobs);
}

static void on_member_failed(void *arg, const struct err *err)
{
    struct jobs *jobs = arg;
    jobs->config.failed(jobs->config.arg, err);
}

bool jobs_join(struct jobs *jobs, struct err *err)
{
    struct membership_config config = {.loop = jobs->config.loop,
                                       .config = jobs->config.config,
                                       .group = jobs->group,
                                       .topic = jobs->state_topic,
                                       .owning = on_owning,
                                       .failed = on_member_failed,
                                       .arg = jobs};
    jobs->membership = membership_new(&config, err);
    return jobs->membership != NULL;
}

/* ---- asking ---- */

static char asked_for[] = "asked"; /* what comes of it stands in the job */

/* The audit log first, then the record itself. */
struct asking {
    struct jobs *jobs;
    struct buf key, value;
    void (*done)(void *arg, const struct err *err);
    void *arg;
};

static void asked(void *arg, const struct err *err)
{
    struct asking *asking = arg;
    CRASH_POINT("redrive_asked");
    asking->done(asking->arg, err);
    buf_deinit(&asking->key);
    buf_deinit(&asking->value);
    mem_free(asking);
}

static void audited(void *arg, const struct err *err)
{
    struct asking *asking = arg;
    struct jobs *jobs = asking->jobs;
    if (err) {
        asked(asking, err);
        return;
    }
    dlq_write(jobs->producer, jobs->topic, LETTER_STATE_PARTITION, buf_slice(&asking->key),
              buf_slice(&asking->value), asked, asking);
}

static void ask(struct asking *asking, const struct audit_entry *entry)
{
    struct jobs *jobs = asking->jobs;
    struct buf value = {0};
    audit_entry_write(&value, entry);
    dlq_write(jobs->producer, jobs->audit_topic, 0, slice_of(entry->on), buf_slice(&value), audited,
              asking);
    buf_deinit(&value);
}

static struct asking *asking_new(struct jobs *jobs, void (*done)(void *arg, const struct err *err),
                                 void *arg)
{
    struct asking *asking = mem_zalloc(sizeof(*asking));
    asking->jobs = jobs;
    asking->done = done;
    asking->arg = arg;
    return asking;
}

void jobs_start(struct jobs *jobs, const struct redrive_job *job,
                void (*done)(void *arg, const struct err *err), void *arg)
{
    struct asking *asking = asking_new(jobs, done, arg);
    static char begun[] = "redrive.start", forced[] = "redrive.force";
    struct buf details = {0};
    struct audit_entry entry = {.at_ms = job->created_ms,
                                .by = job->by,
                                .action = job->mode == REDRIVE_FORCE ? forced : begun,
                                .on = job->id,
                                .reason = job->reason,
                                .result = asked_for};
    buf_printf(&details, "{\"mode\":\"%s\",\"rate\":%u,\"limit\":%llu,\"filter\":%s}",
               redrive_mode_name(job->mode), (unsigned)job->rate_per_s,
               (unsigned long long)job->limit, job->filter);
    entry.details = details.data;
    buf_add_text(&asking->key, job->id);
    redrive_job_write(&asking->value, job);
    ask(asking, &entry);
    buf_deinit(&details);
}

void jobs_cancel(struct jobs *jobs, const char *id, const char *by, const char *reason,
                 void (*done)(void *arg, const struct err *err), void *arg)
{
    struct asking *asking = asking_new(jobs, done, arg);
    static char action[] = "redrive.cancel";
    char *who = mem_strdup(by), *why = mem_strdup(reason), *on = mem_strdup(id);
    struct redrive_cancel cancel = {.by = who, .reason = why, .at_ms = clock_wall_ms()};
    struct audit_entry entry = {.at_ms = cancel.at_ms,
                                .by = who,
                                .action = action,
                                .on = on,
                                .reason = why,
                                .result = asked_for};
    redrive_cancel_write_key(&asking->key, id);
    redrive_cancel_write(&asking->value, &cancel);
    ask(asking, &entry);
    mem_free(who);
    mem_free(why);
    mem_free(on);
}

/* ---- making ---- */

static bool connect_clients(struct jobs *jobs, struct err *err)
{
    struct kafka_reader_range range = {.topic = jobs->topic, .partition = LETTER_STATE_PARTITION};
    jobs->producer = kafka_producer_new(jobs->config.loop, jobs->config.config, NULL, err);
    if (!jobs->producer)
        return false;
    jobs->reader = kafka_reader_follow(jobs->config.loop, jobs->config.config, jobs->group, &range,
                                       1, readable, jobs, err);
    return jobs->reader != NULL;
}

struct jobs *jobs_new(const struct jobs_config *config, struct err *err)
{
    const struct route_config *route = redrive_group_route(config->config, config->group);
    struct jobs *jobs = mem_zalloc(sizeof(*jobs));
    jobs->config = *config;
    if (jobs->config.patience_ms == 0)
        jobs->config.patience_ms = PATIENCE_MS;
    jobs->group = mem_strdup(config->group);
    jobs->owner = mem_strdup(config->owner);
    loop_timer_init(&jobs->timer, config->loop, on_timer, jobs);
    loop_task_init(&jobs->task, readable, jobs);
    if (!route) {
        err_set(err, ERR_USAGE, "no route has the group %s", config->group);
    } else {
        jobs->topic = config_dlq_jobs_topic(route);
        jobs->state_topic = config_dlq_state_topic(route);
        jobs->audit_topic = config_audit_topic(route);
    }
    if (route && connect_clients(jobs, err))
        return jobs;
    jobs_free(&jobs);
    return NULL;
}

void jobs_free(struct jobs **pointer)
{
    struct jobs *jobs = *pointer;
    if (!jobs)
        return;
    *pointer = NULL;
    drop_run(jobs);
    membership_free(&jobs->membership);
    kafka_reader_free(&jobs->reader);
    kafka_producer_free(&jobs->producer);
    loop_timer_deinit(&jobs->timer);
    loop_task_cancel(jobs->config.loop, &jobs->task);
    while (jobs->count > 0)
        forget(jobs, slice_of(jobs->items[0]->job.id));
    mem_free(jobs->items);
    mem_free(jobs->group);
    mem_free(jobs->owner);
    mem_free(jobs->topic);
    mem_free(jobs->state_topic);
    mem_free(jobs->audit_topic);
    mem_free(jobs);
}
