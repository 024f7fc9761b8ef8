/* Records of the topics of redrive jobs and of the audit log, where anybody may have written
 * anything. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "record/audit_entry.h"
#include "record/redrive_job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void job_is_read_again(struct slice key, const struct redrive_job *job)
{
    struct redrive_job again = {0};
    struct redrive_cancel cancel = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    struct buf first = {0}, second = {0};
    redrive_job_write(&first, job);
    struct record rec = {.key = key, .value = buf_slice(&first)};
    if (first.len <= REDRIVE_JOB_MAX) {
        /* Bytes that are not UTF-8 become others: so only what was written once is the same. */
        check(redrive_record_read(&rec, &kind, &id, &again, &cancel, &err));
        check(memcmp(&again.counts, &job->counts, sizeof(again.counts)) == 0);
        redrive_job_write(&second, &again);
        check(slice_equal(buf_slice(&first), buf_slice(&second)));
    }
    redrive_job_deinit(&again);
    buf_deinit(&first);
    buf_deinit(&second);
}

static void read_entry(const struct record *rec)
{
    struct audit_entry entry = {0}, again = {0};
    struct err err = {0};
    struct buf value = {0};
    if (!audit_entry_read(rec, &entry, &err)) {
        check(err.code == ERR_INPUT && !entry.by && !entry.details);
        return;
    }
    audit_entry_write(&value, &entry);
    struct record copy = {.value = buf_slice(&value)};
    check(value.len > AUDIT_ENTRY_MAX || audit_entry_read(&copy, &again, &err));
    audit_entry_deinit(&entry);
    audit_entry_deinit(&again);
    buf_deinit(&value);
}

/* The first byte says how much of the rest is the key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redrive_job job = {0};
    struct redrive_cancel cancel = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    size_t key_len;
    if (size < 1)
        return 0;
    key_len = data[0] < size - 1 ? data[0] : size - 1;
    struct record rec = {.key = {(const char *)data + 1, key_len},
                         .value = {(const char *)data + 1 + key_len, size - 1 - key_len}};
    read_entry(&rec);
    if (!redrive_record_read(&rec, &kind, &id, &job, &cancel, &err)) {
        check(err.code == ERR_INPUT && !job.id && !job.filter && !cancel.by);
        return 0;
    }
    if (kind == REDRIVE_RECORD_JOB)
        job_is_read_again(rec.key, &job);
    redrive_job_deinit(&job);
    redrive_cancel_deinit(&cancel);
    return 0;
}
