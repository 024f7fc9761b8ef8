/*
 * Dead letters to the local spool and back; see spooling.h.
 * Invariants: a dead letter counts as written only once the spool says that it is durable; one of
 * the spool is forgotten only after its topic's acknowledgement, so a crash in between writes it
 * once more, and nothing loses it. Must not: decide what is a dead letter.
 */
#include "flow/spooling.h"

#include <sys/queue.h>

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "flow/copy.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"

#define LOOK_EVERY_MS     1000
#define TOPIC_REST_MS     5000 /* its topic is not there, or not for us */
#define RECORD_REST_MS    1000 /* the topic refuses this one: it is too large, or of no partition */
#define COMPLAIN_EVERY_MS 10000

bool spooling_wanted(const struct delivery *d)
{
    return d->copy->kind == COPY_DEAD_LETTER && d->route->worker->spool &&
           d->route->config->dead_letter.on_write_failure == POLICY_SPOOL;
}

static void spooled(struct spool_op *op)
{
    struct delivery *d = op->arg;
    spool_op_reset(op);
    d->copy->spooled(d);
}

void spooling_put(struct delivery *d, void (*done)(struct delivery *))
{
    struct copy_job *job = d->copy;
    struct spool_record rec = {.partition = job->msg.partition,
                               .time_ms = clock_wall_ms(),
                               .key = job->msg.key,
                               .value = job->msg.value,
                               .headers = job->msg.headers,
                               .header_count = job->msg.header_count};
    (void)str_copy(rec.topic, sizeof(rec.topic), slice_of(job->msg.topic));
    job->spooled = done;
    job->spool = (struct spool_op){.verb = SPOOL_PUT, .put = &rec, .done = spooled, .arg = d};
    spool_submit(d->route->worker->spool, &job->spool);
}

/* ---- back to their topics ---- */

/* One record on its way. */
struct trial {
    struct replay *replay;
    struct spool_op op;
    struct produce msg;
    LIST_ENTRY(trial) in_replay;
};

struct replay {
    struct worker *worker;
    struct loop_timer timer;
    LIST_HEAD(, trial) trials;
    bool asking; /* whether there is another one */
    bool stopped;
    uint64_t complained_ms;
};

static void look(struct replay *replay);

static void trial_free(struct trial *trial)
{
    spool_op_reset(&trial->op);
    LIST_REMOVE(trial, in_replay);
    mem_free(trial);
}

static void told(struct spool_op *op)
{
    struct trial *trial = op->arg;
    struct replay *replay = trial->replay;
    trial_free(trial);
    look(replay);
}

/* The spool hears how it went; the record's bytes are of no use any more. */
static void tell(struct trial *trial, enum spool_verb verb, int64_t rest_ms, bool whole_topic)
{
    spool_op_reset(&trial->op);
    trial->op.verb = verb;
    trial->op.rest_ms = rest_ms;
    trial->op.whole_topic = whole_topic;
    trial->op.done = told;
    spool_submit(trial->replay->worker->spool, &trial->op);
}

static void complain(struct replay *replay, const struct produce *msg)
{
    uint64_t now_ms = clock_mono_ns() / NS_PER_MS;
    if (replay->complained_ms && now_ms < replay->complained_ms + COMPLAIN_EVERY_MS)
        return;
    replay->complained_ms = now_ms;
    log_warn("spool_not_replayed", LOG_STR("topic", msg->topic), LOG_STR("error", msg->err.text),
             LOG_STR("then", "it is tried again now and then"), LOG_END);
}

static void produced(struct produce *msg)
{
    struct trial *trial = msg->arg;
    bool of_topic = (msg->result == PRODUCE_NO_TOPIC && !msg->no_partition) ||
                    msg->result == PRODUCE_DENIED;
    if (trial->replay->stopped) {
        trial_free(trial); /* it stays in the spool, on the disk */
        return;
    }
    if (msg->result == PRODUCE_ACKED) {
        CRASH_POINT("replayed");
        log_info("dead_letter_replayed", LOG_STR("dlq", msg->topic),
                 LOG_INT("partition", msg->partition), LOG_INT("dlq_offset", msg->offset), LOG_END);
        tell(trial, SPOOL_FORGET, 0, false);
        return;
    }
    complain(trial->replay, msg);
    tell(trial, SPOOL_GIVE_BACK, of_topic ? TOPIC_REST_MS : RECORD_REST_MS, of_topic);
}

static void taken(struct spool_op *op)
{
    struct trial *trial = op->arg;
    struct replay *replay = trial->replay;
    const struct spool_record *rec = &op->taken;
    replay->asking = false;
    if (op->result != SPOOL_OK || replay->stopped) {
        trial_free(trial);
        return;
    }
    trial->msg = (struct produce){.topic = rec->topic,
                                  .partition = rec->partition,
                                  .key = rec->key,
                                  .value = rec->value,
                                  .headers = rec->headers,
                                  .header_count = rec->header_count,
                                  .done = produced,
                                  .arg = trial};
    kafka_producer_send(replay->worker->producer, &trial->msg);
    look(replay);
}

/* Asks for one at a time; the spool bounds how many of a topic are out. */
static void look(struct replay *replay)
{
    struct trial *trial;
    if (replay->asking || replay->stopped)
        return;
    replay->asking = true;
    trial = mem_zalloc(sizeof(*trial));
    trial->replay = replay;
    trial->op.verb = SPOOL_TAKE;
    trial->op.done = taken;
    trial->op.arg = trial;
    LIST_INSERT_HEAD(&replay->trials, trial, in_replay);
    spool_submit(replay->worker->spool, &trial->op);
}

static void look_again(void *arg)
{
    struct replay *replay = arg;
    loop_timer_set_ms(&replay->timer, LOOK_EVERY_MS);
    look(replay);
}

struct replay *replay_new(struct worker *worker)
{
    struct replay *replay = mem_zalloc(sizeof(*replay));
    replay->worker = worker;
    LIST_INIT(&replay->trials);
    loop_timer_init(&replay->timer, worker->loop, look_again, replay);
    loop_timer_set_ms(&replay->timer, 0);
    return replay;
}

void replay_stop(struct replay *replay)
{
    if (!replay || replay->stopped)
        return;
    replay->stopped = true;
    loop_timer_cancel(&replay->timer);
}

void replay_free(struct replay **replay_p)
{
    struct replay *replay = *replay_p;
    struct trial *trial;
    if (!replay)
        return;
    *replay_p = NULL;
    while ((trial = LIST_FIRST(&replay->trials)) != NULL)
        trial_free(trial);
    loop_timer_deinit(&replay->timer);
    mem_free(replay);
}
