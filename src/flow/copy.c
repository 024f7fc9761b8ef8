/*
 * Copies for tiers and the dead-letter topic; see copy.h.
 * Invariants: key, value and the app's headers go to the byte; a copy carries the time of writing;
 * its partition is the origin's modulo the target's count, so that a key's copies stay in the order
 * of their writing. Must not: decide whether a record is retried or given up (life.c does).
 */
#include "flow/copy.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "flow/part.h"
#include "flow/redriven.h"
#include "flow/route_state.h"
#include "flow/spooling.h"
#include "flow/worker_state.h"

#define SPOOL_AGAIN_MS 5000

struct copy_job *copy_note(struct delivery *d, const char *code, const char *detail,
                           int http_status)
{
    struct copy_job *job = d->copy;
    if (!job) {
        job = d->copy = mem_zalloc(sizeof(*job));
        header_list_init(&job->headers);
    }
    if (code)
        (void)str_copy(job->code, sizeof(job->code), slice_of(code));
    if (detail)
        (void)str_copy(job->detail, sizeof(job->detail), slice_of(detail));
    job->http_status = http_status;
    return job;
}

void copy_set_detail(struct copy_job *job, struct slice detail)
{
    (void)str_copy(job->detail, sizeof(job->detail), detail);
}

void copy_forget(struct delivery *d)
{
    if (!d->copy)
        return;
    header_list_deinit(&d->copy->headers);
    spool_op_reset(&d->copy->spool);
    mem_free(d->copy);
    d->copy = NULL;
}

int32_t copy_tier_for_wait(const struct delivery *d, int64_t wait_ms)
{
    const struct retry_config *retry = &d->route->config->retry;
    for (size_t i = 0; i < retry->tier_count; i++) {
        if (retry->tiers_ms[i] >= wait_ms)
            return (int32_t)retry->tiers_ms[i];
    }
    return retry->tier_count > 0 ? (int32_t)retry->tiers_ms[retry->tier_count - 1] : 0;
}

int32_t copy_next_tier(const struct delivery *d)
{
    if (d->tier_ms <= 0 || !d->failed_visit)
        return copy_tier_for_wait(d, 0);
    return copy_tier_for_wait(d, (int64_t)d->tier_ms + 1);
}

int32_t copy_same_tier(const struct delivery *d, int32_t tier_ms)
{
    return copy_tier_for_wait(d, tier_ms);
}

static void fill_info(const struct delivery *d, const struct copy_job *job, struct copy_info *info)
{
    memset(info, 0, sizeof(*info));
    info->group = slice_of(d->route->config->group);
    info->route = slice_of(d->route->config->name);
    info->origin = d->origin;
    info->attempt = d->attempt;
    info->hop = d->hop + 1;
    info->not_before_ms = job->not_before_ms;
    info->first_failed_at_ms = d->first_failed_at_ms;
    info->last_failed_at_ms = d->last_failed_at_ms;
    info->http_status = job->http_status;
    info->redrive_id = d->redrive_id;
    info->redrive_count = d->redrive_count;
    info->first_letter = redriven_letter(d);
    info->error_code = job->code[0] ? slice_of(job->code) : SLICE_NULL;
    info->error_detail = job->detail[0] ? slice_of(job->detail) : SLICE_NULL;
}

static void write_headers(struct delivery *d, struct copy_job *job)
{
    char signature[HEADERS_SIGNATURE_MAX];
    struct copy_info info;
    struct copy_identity id = {0};
    fill_info(d, job, &info);
    if (info.error_code.data) {
        headers_signature(info.route, info.error_code, info.error_detail, signature);
        info.signature = slice_of(signature);
    }
    if (d->identity.status == IDENTITY_OK &&
        (d->identity.kind == IDENTITY_SEQUENCE || d->identity.kind == IDENTITY_VERSION)) {
        id.has_number = id.has_epoch = true;
        id.number = d->identity.number;
        id.epoch = d->identity.epoch;
    }
    header_list_reset(&job->headers);
    headers_write_copy(&job->headers, job->kind, &d->rec, &info, &id,
                       job->without_detail ? 0
                                           : (size_t)d->route->config->dead_letter.detail_bytes);
}

/* The timer is the next wait's again. */
static void drop_timer(struct delivery *d)
{
    if (d->has_timer)
        loop_timer_deinit(&d->timer);
    d->has_timer = false;
}

static void abandon(void *arg)
{
    struct delivery *d = arg;
    kafka_producer_abandon(d->route->worker->producer, &d->copy->msg);
}

/* A dead letter that may go to the spool does not wait for ever for brokers that are away. */
static void bound_wait(struct delivery *d)
{
    int64_t ms = d->route->worker->config->spool_after_ms;
    drop_timer(d);
    loop_timer_init(&d->timer, d->route->loop, abandon, d);
    d->has_timer = true;
    loop_timer_set_ms(&d->timer,
                      d->copy->spool_failed && ms > SPOOL_AGAIN_MS ? SPOOL_AGAIN_MS : ms);
}

static void send(struct delivery *d)
{
    struct copy_job *job = d->copy;
    if (spooling_wanted(d))
        bound_wait(d);
    write_headers(d, job);
    job->msg.key = d->rec.key;
    job->msg.value = d->rec.value;
    job->msg.headers = job->headers.items;
    job->msg.header_count = job->headers.count;
    kafka_producer_send(d->route->worker->producer, &job->msg);
}

/* The error's detail is the one part of a copy that may be left out: the record itself never is. */
static void produced(struct produce *msg)
{
    struct delivery *d = msg->arg;
    struct copy_job *job = d->copy;
    if (spooling_wanted(d))
        drop_timer(d);
    if (msg->result == PRODUCE_TOO_LARGE && !job->without_detail) {
        job->without_detail = true;
        send(d);
        return;
    }
    job->outgrown = msg->result == PRODUCE_TOO_LARGE;
    job->done(d);
}

static void start(struct delivery *d, const char *topic, int32_t partitions,
                  void (*done)(struct delivery *))
{
    struct copy_job *job = d->copy;
    job->done = done;
    job->msg = (struct produce){.topic = topic, .done = produced, .arg = d};
    job->msg.partition = partitions > 0 ? d->origin.partition % partitions : 0;
    d->state = DELIVERY_PRODUCING;
    send(d);
}

void copy_to_tier(struct delivery *d, int32_t tier_ms, int64_t not_before_ms,
                  void (*done)(struct delivery *))
{
    struct copy_job *job = copy_note(d, NULL, NULL, d->copy ? d->copy->http_status : 0);
    const struct route_tier *tier = route_topic_tier(d->topic, tier_ms);
    job->kind = COPY_RETRY;
    job->tier_ms = tier_ms;
    job->not_before_ms = not_before_ms > 0 ? not_before_ms : clock_wall_ms_after(tier_ms);
    start(d, tier->name, tier->partitions, done);
}

void copy_to_dlq(struct delivery *d, void (*done)(struct delivery *))
{
    struct copy_job *job = d->copy;
    const struct route_topic *topic = d->topic;
    job->kind = COPY_DEAD_LETTER;
    job->not_before_ms = 0;
    start(d, topic->dlq, topic->dlq_partitions, done);
}
