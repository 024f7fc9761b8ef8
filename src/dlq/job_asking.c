/*
 * See job_asking.h. Must not: write to the jobs' topic what the audit log does not have.
 */
#include "dlq/job_asking.h"

#include "base/clock.h"
#include "base/crash_point.h"
#include "base/mem.h"
#include "dlq/dlq_write.h"
#include "record/audit_entry.h"
#include "record/letter_state.h"

static char asked_for[] = "asked"; /* what comes of it stands in the job */

/* The audit log first, then the record itself. */
struct asking {
    struct job_topics topics;
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
    if (err) {
        asked(asking, err);
        return;
    }
    dlq_write(asking->topics.producer, asking->topics.jobs, LETTER_STATE_PARTITION,
              buf_slice(&asking->key), buf_slice(&asking->value), asked, asking);
}

static void ask(struct asking *asking, const struct audit_entry *entry)
{
    struct buf value = {0};
    audit_entry_write(&value, entry);
    dlq_write(asking->topics.producer, asking->topics.audit, 0, slice_of(entry->on),
              buf_slice(&value), audited, asking);
    buf_deinit(&value);
}

static struct asking *asking_new(const struct job_topics *topics,
                                 void (*done)(void *arg, const struct err *err), void *arg)
{
    struct asking *asking = mem_zalloc(sizeof(*asking));
    asking->topics = *topics;
    asking->done = done;
    asking->arg = arg;
    return asking;
}

void job_ask_start(const struct job_topics *topics, const struct redrive_job *job,
                   void (*done)(void *arg, const struct err *err), void *arg)
{
    struct asking *asking = asking_new(topics, done, arg);
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

void job_ask_cancel(const struct job_topics *topics, const char *id, const char *by,
                    const char *reason, void (*done)(void *arg, const struct err *err), void *arg)
{
    struct asking *asking = asking_new(topics, done, arg);
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
