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
#include "dlq/job_asking.h"
#include "dlq/known_jobs.h"
#include "dlq/membership.h"
#include "dlq/redrive.h"
#include "dlq/redrive_scan.h"
#include "kafka/producer.h"
#include "kafka/reader.h"
#include "record/letter_state.h"

#define TAKEN_PER_TURN 500
#define PROGRESS_MS    1000
#define AGAIN_MS       3000
#define PATIENCE_MS    300000
#define LISTS_KEPT     100 /* jobs whose skipped letters are listed */

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
    bool read_back;     /* the record that claims it */
    bool lists_skipped; /* written once, at least */
    uint64_t listed_of; /* so many were skipped when the list of them was written */
    uint64_t number;    /* tells an answer to an earlier run */
};

struct jobs {
    struct jobs_config config;
    char *group, *owner, *topic, *audit_topic, *state_topic;
    struct kafka_producer *producer;
    struct kafka_reader *reader;
    struct membership *membership;
    struct known_jobs known;
    struct loop_timer timer;
    struct loop_task task;
    struct run run;
    bool all_known, owns;
    uint64_t runs;
};

static void consider(struct jobs *jobs);
static void write_run(struct jobs *jobs);

/* ---- what is known ---- */

static void tell(struct jobs *jobs, const struct redrive_job *job)
{
    const struct known_job *known = known_jobs_find(&jobs->known, slice_of(job->id));
    jobs->config.changed(jobs->config.arg, job, known && known->cancel);
}

int64_t jobs_skipped_at(const struct jobs *jobs, const char *id)
{
    const struct known_job *known = known_jobs_find(&jobs->known, slice_of(id));
    return known ? known->skipped_at : -1;
}

const char *jobs_topic(const struct jobs *jobs)
{
    return jobs->topic;
}

const struct redrive_job *jobs_find(const struct jobs *jobs, const char *id)
{
    const struct known_job *known = known_jobs_find(&jobs->known, slice_of(id));
    return known && known_job_is_job(known) ? &known->job : NULL;
}

bool jobs_cancel_asked(const struct jobs *jobs, const char *id)
{
    const struct known_job *known = known_jobs_find(&jobs->known, slice_of(id));
    return known && known->cancel;
}

size_t jobs_count(const struct jobs *jobs)
{
    return jobs->known.count;
}

const struct redrive_job *jobs_at(const struct jobs *jobs, size_t at)
{
    return known_job_is_job(jobs->known.items[at]) ? &jobs->known.items[at]->job : NULL;
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
    struct known_job *known = known_jobs_find(&jobs->known, slice_of(jobs->run.job.id));
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
    struct known_job *known = known_jobs_find(&jobs->known, slice_of(run->job.id));
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

static void write_null(struct jobs *jobs, struct slice key)
{
    dlq_write(jobs->producer, jobs->topic, LETTER_STATE_PARTITION, key, SLICE_NULL, NULL, NULL);
}

/* The topic keeps jobs for ever; their lists, which are larger, of the newest ones only. */
static void drop_old_lists(struct jobs *jobs)
{
    size_t kept = 0;
    for (size_t i = jobs->known.count; i > 0; i--) {
        const struct known_job *known = jobs->known.items[i - 1];
        struct buf key = {0};
        kept += known->skipped_at >= 0;
        if (known->skipped_at < 0 || kept <= LISTS_KEPT)
            continue;
        redrive_skipped_write_key(&key, known->job.id);
        write_null(jobs, buf_slice(&key));
        buf_deinit(&key);
    }
}

static void finish_run(struct jobs *jobs)
{
    bool again = jobs->run.stopping;
    drop_old_lists(jobs);
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

/* NULL: the run that wrote is gone. */
static struct jobs *write_answered(struct run_write *write, const struct err *err)
{
    struct jobs *jobs = write->jobs;
    bool mine = write->number == jobs->run.number && jobs->run.state != RUN_NONE;
    mem_free(write);
    return mine && !(err && err->code == ERR_CANCELLED) ? jobs : NULL;
}

static void run_written(void *arg, const struct err *err)
{
    struct jobs *jobs = write_answered(arg, err);
    struct run *run;
    if (!jobs)
        return;
    run = &jobs->run;
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

static struct run_write *run_write_new(struct jobs *jobs)
{
    struct run_write *write = mem_zalloc(sizeof(*write));
    *write = (struct run_write){jobs, jobs->run.number};
    return write;
}

static void write_job(struct jobs *jobs)
{
    struct run *run = &jobs->run;
    struct buf value = {0};
    run->dirty = false;
    run->job.updated_ms = clock_wall_ms();
    redrive_job_write(&value, &run->job);
    dlq_write(jobs->producer, jobs->topic, LETTER_STATE_PARTITION, slice_of(run->job.id),
              buf_slice(&value), run_written, run_write_new(jobs));
    buf_deinit(&value);
}

/* A list that is not had is no reason not to do the job. */
static void skipped_written(void *arg, const struct err *err)
{
    struct jobs *jobs = write_answered(arg, err);
    struct run *run;
    if (!jobs)
        return;
    run = &jobs->run;
    if (err) {
        log_warn("redrive_skipped_not_kept", LOG_STR("job", run->job.id),
                 LOG_STR("error", err->text), LOG_END);
        run->job.skipped_listed = 0;
    }
    CRASH_POINT("redrive_skipped");
    write_job(jobs);
}

/* When the work begins, again where another runner had begun it, and at the end where there were
 * more meanwhile. */
static bool lists_skipped(const struct jobs *jobs)
{
    const struct run *run = &jobs->run;
    uint64_t skipped = redrive_counts_skipped(&run->job.counts);
    if (!run->redrive || !redrive_has_begun(run->redrive))
        return false;
    if (!run->lists_skipped)
        return skipped > 0 || jobs_skipped_at(jobs, run->job.id) >= 0;
    return run->state == RUN_ENDING && skipped != run->listed_of;
}

static void write_skipped(struct jobs *jobs)
{
    struct run *run = &jobs->run;
    struct redrive_skipped *list = redrive_list_skipped(run->redrive);
    struct buf key = {0}, value = {0};
    run->lists_skipped = true;
    run->listed_of = redrive_counts_skipped(&run->job.counts);
    run->job.skipped_listed = redrive_skipped_write(list, &value);
    redrive_skipped_write_key(&key, run->job.id);
    dlq_write(jobs->producer, jobs->topic, LETTER_STATE_PARTITION, buf_slice(&key),
              buf_slice(&value), skipped_written, run_write_new(jobs));
    redrive_skipped_free(&list);
    buf_deinit(&key);
    buf_deinit(&value);
}

/* One after the other: a job that says what it has listed has listed it. */
static void write_run(struct jobs *jobs)
{
    jobs->run.writing = true;
    if (lists_skipped(jobs))
        write_skipped(jobs);
    else
        write_job(jobs);
}

static void on_timer(void *arg)
{
    struct jobs *jobs = arg;
    if (jobs->run.state == RUN_NONE)
        consider(jobs);
    else if (jobs->run.state == RUN_WORKING && jobs->run.dirty && !jobs->run.writing)
        write_run(jobs);
}

static void claim(struct jobs *jobs, const struct known_job *known)
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
    const struct known_job *next = NULL;
    if (!jobs->owns || !jobs->all_known || jobs->run.state != RUN_NONE)
        return;
    for (size_t i = 0; i < jobs->known.count; i++) {
        const struct known_job *known = jobs->known.items[i];
        if (known_job_is_job(known) && !redrive_status_is_end(known->job.status) &&
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
    struct known_job *known = known_jobs_find_or_add(&jobs->known, slice_of(job->id));
    bool running = jobs->run.state != RUN_NONE && strcmp(jobs->run.job.id, job->id) == 0;
    if (known_job_is_job(known) && is_late(&known->job, job)) {
        redrive_job_deinit(job);
        return;
    }
    redrive_job_deinit(&known->job);
    known->job = *job;
    if (known->skipped_at < 0)
        known->job.skipped_listed = 0; /* the list stood before the job that speaks of it */
    if (running)
        meet_run(jobs, &known->job);
    else if (jobs->all_known)
        tell(jobs, &known->job);
}

static void take_cancel(struct jobs *jobs, struct slice id)
{
    struct known_job *known = known_jobs_find_or_add(&jobs->known, id);
    struct run *run = &jobs->run;
    known->cancel = true;
    if (run->state == RUN_WORKING && slice_equal_text(id, run->job.id)) {
        run->job.status = REDRIVE_CANCELLING;
        redrive_cancel(run->redrive);
        run_changed(jobs);
    }
}

/* Read when somebody asks: there may be many, and they are long. */
static void take_skipped(struct jobs *jobs, const struct record *rec, struct slice id)
{
    struct known_job *known = known_jobs_find_or_add(&jobs->known, id);
    known->skipped_at = slice_is_null(rec->value) ? -1 : rec->offset;
    if (known->skipped_at < 0)
        known->job.skipped_listed = 0;
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
    else if (kind == REDRIVE_RECORD_SKIPPED)
        take_skipped(jobs, rec, id);
    else if (jobs->run.state == RUN_NONE || !slice_equal_text(id, jobs->run.job.id))
        known_jobs_forget(&jobs->known, id);
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

static struct job_topics topics_of(const struct jobs *jobs)
{
    return (struct job_topics){jobs->producer, jobs->topic, jobs->audit_topic};
}

void jobs_start(struct jobs *jobs, const struct redrive_job *job,
                void (*done)(void *arg, const struct err *err), void *arg)
{
    struct job_topics topics = topics_of(jobs);
    job_ask_start(&topics, job, done, arg);
}

void jobs_cancel(struct jobs *jobs, const char *id, const char *by, const char *reason,
                 void (*done)(void *arg, const struct err *err), void *arg)
{
    struct job_topics topics = topics_of(jobs);
    job_ask_cancel(&topics, id, by, reason, done, arg);
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
    known_jobs_deinit(&jobs->known);
    mem_free(jobs->group);
    mem_free(jobs->owner);
    mem_free(jobs->topic);
    mem_free(jobs->state_topic);
    mem_free(jobs->audit_topic);
    mem_free(jobs);
}
