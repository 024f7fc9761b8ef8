/*
 * A redrive job as a record of the compacted topic dlq-jobs.<group>: which dead letters are sent
 * round again, on whose word, and how far that is.
 *
 * Key: the job's id; value: a flat JSON object, the struct below. Whoever asks for a job writes it
 * as `waiting`; from then on only the program that runs it writes it (`owner`, and an `epoch` that
 * grows by one with each owner, so that a late word of an old owner is known as such). Who wants it
 * cancelled writes another record, key "<id>/cancel": so neither overwrites the other. Which
 * letters it skipped is a third one, key "<id>/skipped", of the runner (dlq/redrive_skipped.h).
 */
#ifndef OG_RECORD_REDRIVE_JOB_H
#define OG_RECORD_REDRIVE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "record/record.h"

/* A value above this is nobody's of ours; a selection must fit in it. */
#define REDRIVE_JOB_MAX (768u << 10)

enum redrive_mode { REDRIVE_IF_NEWER, REDRIVE_FORCE };

enum redrive_status {
    REDRIVE_WAITING,
    REDRIVE_RUNNING,
    REDRIVE_CANCELLING,
    REDRIVE_CANCELLED,
    REDRIVE_FINISHED,
    REDRIVE_FAILED, /* it could not be done; `note` says why */
};

/* Why a letter that was asked for is not sent. */
enum redrive_skip {
    SKIP_ON_ITS_WAY, /* another job sent it, and it has not ended */
    SKIP_RESOLVED,
    SKIP_ARCHIVED,
    SKIP_GONE,      /* retention has taken it */
    SKIP_NOT_FOUND, /* no dead letter stands there */
    SKIP_NO_ROUTE,  /* its origin topic is no route's, or has no redrive topic */
    SKIP_FOREIGN,   /* another program wrote it: where it came from is not known */
    SKIP_REFUSED,   /* Kafka does not take the copy */
    REDRIVE_SKIPS,
};

struct redrive_counts {
    uint64_t total;    /* letters that the filter or the selection names */
    uint64_t eligible; /* of these, what is to be sent */
    uint64_t sent;     /* acknowledged and recorded */
    uint64_t resolved, superseded, dropped, duplicate, failed; /* how what was sent ended */
    uint64_t skipped[REDRIVE_SKIPS];
};

struct redrive_job {
    char *id, *group; /* texts are owned */
    char *filter;     /* JSON object */
    enum redrive_mode mode;
    uint32_t rate_per_s; /* 0: none */
    uint64_t limit;      /* at most so many are sent; 0: all */
    char *reason, *by;
    int64_t created_ms; /* letters written later are not its own */
    enum redrive_status status;
    char *owner; /* who runs it; NULL: nobody yet */
    uint64_t epoch;
    uint64_t position; /* so many of those to be sent are done with, in their order */
    struct redrive_counts counts;
    uint64_t skipped_listed; /* of counts.skipped: so many are named in "<id>/skipped" */
    char *note;              /* why it waits or failed; NULL: nothing to say */
    int64_t updated_ms;
};

const char *redrive_mode_name(enum redrive_mode mode);
const char *redrive_status_name(enum redrive_status status);
const char *redrive_skip_name(enum redrive_skip skip); /* "on_its_way" */
bool redrive_skip_parse(struct slice text, enum redrive_skip *out) MUST_CHECK;
bool redrive_mode_parse(struct slice text, enum redrive_mode *out) MUST_CHECK;
/* cancelled, finished or failed: nobody will write it again. */
bool redrive_status_is_end(enum redrive_status status);
/* How many of those that were sent have not ended. */
uint64_t redrive_counts_on_their_way(const struct redrive_counts *counts);
uint64_t redrive_counts_skipped(const struct redrive_counts *counts);

/* A new id, sortable by time: 20260102-030405-678-1f2e3d4c. */
#define REDRIVE_ID_MAX 48
void redrive_job_id(int64_t now_ms, char out[REDRIVE_ID_MAX]);
bool redrive_job_id_is_valid(struct slice id); /* letters, digits, - _ . up to 64 */

void redrive_job_deinit(struct redrive_job *job);
void redrive_job_copy(struct redrive_job *to, const struct redrive_job *from); /* `to` is empty */
/* Appends the record's value. */
void redrive_job_write(struct buf *out, const struct redrive_job *job);

enum redrive_record {
    REDRIVE_RECORD_JOB,
    REDRIVE_RECORD_CANCEL,  /* of the job *id; *cancel says by whom */
    REDRIVE_RECORD_SKIPPED, /* of the job *id: the value, or null, is not looked at here */
    REDRIVE_RECORD_GONE,    /* a null value: the job *id is forgotten */
};
/* Who wants it cancelled. */
struct redrive_cancel {
    char *by, *reason; /* owned */
    int64_t at_ms;
};
void redrive_cancel_deinit(struct redrive_cancel *cancel);
void redrive_cancel_write_key(struct buf *out, const char *id);
void redrive_cancel_write(struct buf *out, const struct redrive_cancel *cancel);
void redrive_skipped_write_key(struct buf *out, const char *id);

/*
 * Reads a record of the topic; *id borrows from it. job and cancel are empty before; on failure
 * (this release cannot make sense of the record: it is to be left out) they are empty again.
 */
bool redrive_record_read(const struct record *rec, enum redrive_record *kind, struct slice *id,
                         struct redrive_job *job, struct redrive_cancel *cancel,
                         struct err *err) MUST_CHECK;

#endif
