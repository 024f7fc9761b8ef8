/*
 * Redrive jobs as records; see redrive_job.h. Invariants: one table for writing and reading; a job
 * that was read has an id that is its record's key, a group and a filter. Must not: judge the
 * filter, or who may own what.
 */
#include "record/redrive_job.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"
#include "record/json_members.h"

static const char CANCEL[] = "/cancel", SKIPPED[] = "/skipped";

static const char *const modes[] = {"if-newer", "force", NULL};
static const char *const statuses[] = {"waiting",  "running", "cancelling", "cancelled",
                                       "finished", "failed",  NULL};
static const char *const skips[REDRIVE_SKIPS] = {
    "on_its_way", "resolved", "archived", "gone", "not_found", "no_route", "foreign", "refused",
};

#define MEMBER(name, type, required, member)                                                       \
    {                                                                                              \
        "/" name, JSON_MEMBER_##type, required, offsetof(struct redrive_job, member), NULL         \
    }
#define ENUM(name, names, member)                                                                  \
    {                                                                                              \
        "/" name, JSON_MEMBER_ENUM, true, offsetof(struct redrive_job, member), names              \
    }
#define SKIP(name, skip) MEMBER("skipped_" name, U64, false, counts.skipped[skip])

static const struct json_member members[] = {
    {"/v", JSON_MEMBER_VERSION, true, 0, NULL},
    MEMBER("id", TEXT, true, id),
    MEMBER("group", TEXT, true, group),
    MEMBER("filter", ANY, true, filter),
    ENUM("mode", modes, mode),
    MEMBER("rate", U32, false, rate_per_s),
    MEMBER("limit", U64, false, limit),
    MEMBER("reason", TEXT, false, reason),
    MEMBER("by", TEXT, false, by),
    MEMBER("created_ms", TIME, true, created_ms),
    ENUM("status", statuses, status),
    MEMBER("owner", TEXT, false, owner),
    MEMBER("epoch", U64, false, epoch),
    MEMBER("position", U64, false, position),
    MEMBER("total", U64, false, counts.total),
    MEMBER("eligible", U64, false, counts.eligible),
    MEMBER("sent", U64, false, counts.sent),
    MEMBER("resolved", U64, false, counts.resolved),
    MEMBER("superseded", U64, false, counts.superseded),
    MEMBER("dropped", U64, false, counts.dropped),
    MEMBER("duplicate", U64, false, counts.duplicate),
    MEMBER("failed", U64, false, counts.failed),
    SKIP("on_its_way", SKIP_ON_ITS_WAY),
    SKIP("resolved", SKIP_RESOLVED),
    SKIP("archived", SKIP_ARCHIVED),
    SKIP("gone", SKIP_GONE),
    SKIP("not_found", SKIP_NOT_FOUND),
    SKIP("no_route", SKIP_NO_ROUTE),
    SKIP("foreign", SKIP_FOREIGN),
    SKIP("refused", SKIP_REFUSED),
    MEMBER("skipped_listed", U64, false, skipped_listed),
    MEMBER("note", TEXT, false, note),
    MEMBER("updated_ms", TIME, true, updated_ms),
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static const struct json_member cancel_members[] = {
    {"/v", JSON_MEMBER_VERSION, true, 0, NULL},
    {"/by", JSON_MEMBER_TEXT, false, offsetof(struct redrive_cancel, by), NULL},
    {"/reason", JSON_MEMBER_TEXT, false, offsetof(struct redrive_cancel, reason), NULL},
    {"/at_ms", JSON_MEMBER_TIME, true, offsetof(struct redrive_cancel, at_ms), NULL},
};
enum { CANCEL_MEMBERS = sizeof(cancel_members) / sizeof(cancel_members[0]) };

const char *redrive_mode_name(enum redrive_mode mode)
{
    return modes[mode];
}

const char *redrive_status_name(enum redrive_status status)
{
    return statuses[status];
}

const char *redrive_skip_name(enum redrive_skip skip)
{
    return skips[skip];
}

bool redrive_skip_parse(struct slice text, enum redrive_skip *out)
{
    for (int i = 0; i < REDRIVE_SKIPS; i++) {
        if (!slice_equal_text(text, skips[i]))
            continue;
        *out = (enum redrive_skip)i;
        return true;
    }
    return false;
}

bool redrive_mode_parse(struct slice text, enum redrive_mode *out)
{
    for (int i = 0; modes[i]; i++) {
        if (!slice_equal_text(text, modes[i]))
            continue;
        *out = (enum redrive_mode)i;
        return true;
    }
    return false;
}

bool redrive_status_is_end(enum redrive_status status)
{
    return status == REDRIVE_CANCELLED || status == REDRIVE_FINISHED || status == REDRIVE_FAILED;
}

uint64_t redrive_counts_on_their_way(const struct redrive_counts *counts)
{
    uint64_t ended = counts->resolved + counts->superseded + counts->dropped + counts->duplicate +
                     counts->failed;
    return counts->sent > ended ? counts->sent - ended : 0;
}

uint64_t redrive_counts_skipped(const struct redrive_counts *counts)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < REDRIVE_SKIPS; i++)
        sum += counts->skipped[i];
    return sum;
}

void redrive_job_id(int64_t now_ms, char out[REDRIVE_ID_MAX])
{
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm parts;
    uint32_t random = 0;
    char day[20] = "";
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (uint32_t)now_ms * UINT32_C(2654435761);
    gmtime_r(&seconds, &parts);
    strftime(day, sizeof(day), "%Y%m%d-%H%M%S", &parts);
    snprintf(out, REDRIVE_ID_MAX, "%s-%03u-%08x", day, (unsigned)(now_ms % 1000), (unsigned)random);
}

bool redrive_job_id_is_valid(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_' && c != '.')
            return false;
    }
    return id.len > 0 && id.len <= 64;
}

void redrive_job_deinit(struct redrive_job *job)
{
    json_members_deinit(members, MEMBERS, job);
    memset(job, 0, sizeof(*job));
}

void redrive_job_copy(struct redrive_job *to, const struct redrive_job *from)
{
    *to = *from;
    to->id = mem_strdup(from->id);
    to->group = mem_strdup(from->group);
    to->filter = mem_strdup(from->filter);
    to->reason = mem_strdup(from->reason);
    to->by = mem_strdup(from->by);
    to->owner = mem_strdup(from->owner);
    to->note = mem_strdup(from->note);
}

void redrive_job_write(struct buf *out, const struct redrive_job *job)
{
    json_members_write(out, members, MEMBERS, job);
}

void redrive_cancel_deinit(struct redrive_cancel *cancel)
{
    json_members_deinit(cancel_members, CANCEL_MEMBERS, cancel);
    memset(cancel, 0, sizeof(*cancel));
}

void redrive_cancel_write_key(struct buf *out, const char *id)
{
    buf_add_text(out, id);
    buf_add_text(out, CANCEL);
}

void redrive_cancel_write(struct buf *out, const struct redrive_cancel *cancel)
{
    json_members_write(out, cancel_members, CANCEL_MEMBERS, cancel);
}

void redrive_skipped_write_key(struct buf *out, const char *id)
{
    buf_add_text(out, id);
    buf_add_text(out, SKIPPED);
}

static bool cut_tail(struct slice *text, const char *tail)
{
    size_t len = strlen(tail);
    if (text->len <= len || memcmp(text->data + text->len - len, tail, len) != 0)
        return false;
    text->len -= len;
    return true;
}

/* What a key says: the job, and which of its records it is. */
static bool read_key(struct slice key, struct slice *id, enum redrive_record *kind, struct err *err)
{
    *id = key;
    *kind = REDRIVE_RECORD_JOB;
    if (cut_tail(id, CANCEL))
        *kind = REDRIVE_RECORD_CANCEL;
    else if (cut_tail(id, SKIPPED))
        *kind = REDRIVE_RECORD_SKIPPED;
    if (slice_is_null(key) || !redrive_job_id_is_valid(*id))
        return err_set(err, ERR_INPUT, "no id of a redrive job");
    return true;
}

bool redrive_record_read(const struct record *rec, enum redrive_record *kind, struct slice *id,
                         struct redrive_job *job, struct redrive_cancel *cancel, struct err *err)
{
    if (!read_key(rec->key, id, kind, err))
        return false;
    if (*kind == REDRIVE_RECORD_SKIPPED)
        return true;
    if (rec->value.len > REDRIVE_JOB_MAX)
        return err_set(err, ERR_INPUT, "a redrive job of %zu bytes", rec->value.len);
    if (slice_is_null(rec->value)) {
        /* A cancel that is forgotten says nothing of its job. */
        bool of_job = *kind == REDRIVE_RECORD_JOB;
        *kind = REDRIVE_RECORD_GONE;
        return of_job || err_set(err, ERR_INPUT, "no cancel of a redrive job any more");
    }
    if (*kind == REDRIVE_RECORD_CANCEL) {
        if (json_members_read(rec->value, cancel_members, CANCEL_MEMBERS, cancel,
                              "a cancel of a redrive job", err))
            return true;
        redrive_cancel_deinit(cancel);
        return false;
    }
    if (json_members_read(rec->value, members, MEMBERS, job, "a redrive job", err) &&
        (slice_equal_text(*id, job->id) ||
         err_set(err, ERR_INPUT, "a redrive job under another's key")))
        return true;
    redrive_job_deinit(job);
    return false;
}
