/*
 * What became of a dead letter, as a record of the compacted topic dlq-state.<group>.
 *
 * Key: "<topic>/<partition>/<offset>" of the dead letter, in text; <topic> is the UUID of its
 * dead-letter topic as Kafka's tools write it (base64 with - and _), and where the brokers tell
 * none, the topic's name: letter_id_topic.
 * A record that fails again after a redrive is a newer copy of the same letter, not another one: it
 * names this first letter in its header oncegate-first-letter (record/headers.h), and the state is
 * the first letter's.
 *
 * Value: a JSON object. A null value: the state is forgotten, the letter is open as if nothing had
 * ever been done to it.
 *
 *   {"v":1,"status":"open","result":"failed","redrive_id":"r-7","redrive_count":2,
 *    "by":"gateway","at_ms":1767323045678,"code":"http-503","reason":"..."}
 *
 * Written by the gateway when a redriven record has come to its end, and by consoles and the
 * command line; the last one counts, see letter_state_replaces.
 */
#ifndef OG_RECORD_LETTER_STATE_H
#define OG_RECORD_LETTER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "record/record.h"

/* The one partition of dlq-state.<group> and of dlq-jobs.<group> that is used, whatever their
 * counts: so their records have one order. Its owner runs the jobs. */
#define LETTER_STATE_PARTITION 0

/* A value above this is nobody's of ours. */
#define LETTER_STATE_MAX 16384

struct letter_id {
    struct slice topic; /* UUID, or name; never empty */
    int32_t partition;
    int64_t offset;
};

enum letter_status {
    LETTER_FORGOTTEN, /* a null value */
    LETTER_OPEN,
    LETTER_REDRIVING,
    LETTER_RESOLVED,
    LETTER_ARCHIVED,
    LETTER_STATUSES,
};

/* How the last redrive ended. An archived letter keeps it. */
enum letter_result {
    LETTER_NO_RESULT,         /* there was none, or it has not ended */
    LETTER_RESULT_RESOLVED,   /* the handler took it: status resolved */
    LETTER_RESULT_SUPERSEDED, /* if-newer, and its key has moved on: status resolved */
    LETTER_RESULT_DROPPED,    /* the handler said `drop`: status resolved */
    LETTER_RESULT_DUPLICATE,  /* its record is being retried elsewhere: status resolved */
    LETTER_RESULT_FAILED,     /* a dead letter again: status open */
    LETTER_RESULTS,
};

struct letter_state {
    enum letter_status status;
    enum letter_result result;
    struct slice redrive_id; /* null: never redriven */
    uint32_t redrive_count;  /* redrives so far, the one under way included */
    struct slice by;         /* a person or a program; null: not told */
    int64_t at_ms;           /* wall clock of the writer */
    struct slice reason;     /* of a person; null: none */
    struct slice code;       /* failed: the error's code; null: none */
    struct slice edited_to;  /* archived: the letter that goes on in its place with other bytes, as
                                "<topic's name>/<partition>/<offset>"; null: none */
};

const char *letter_status_name(enum letter_status status);
const char *letter_result_name(enum letter_result result); /* "" for none */

/* What stands for a dead-letter topic: its UUID in any base64 (the client library writes + and /),
 * or its name where that is "". */
#define LETTER_TOPIC_MAX 250
void letter_id_topic(const char *uuid, const char *name, char out[LETTER_TOPIC_MAX]);

/* Appends the text of a letter's id. */
void letter_id_write(struct buf *out, const struct letter_id *id);
/* Only what letter_id_write writes is read: a letter has one key. Borrows from text. */
bool letter_id_read(struct slice text, struct letter_id *out, struct err *err) MUST_CHECK;

/* Appends the value of a state that is not LETTER_FORGOTTEN. */
void letter_state_write(struct buf *out, const struct letter_state *state);
/*
 * Reads a record of the topic. Slices of *out borrow from rec, or from store, which is reset.
 * Members that this release does not know are passed over; another "v", a member of the wrong kind,
 * a status or result that it does not know: false, and the record is to be left out.
 */
bool letter_state_read(const struct record *rec, struct letter_id *id, struct letter_state *out,
                       struct buf *store, struct err *err) MUST_CHECK;

/*
 * Whether the newer record, which stands behind in the topic, counts. It does, but for a
 * "redriving" that comes behind the end of the very redrive: its writer was late, the redrive is
 * over. (Compaction keeps only the last record, so who sees a late one writes the end again.)
 */
bool letter_state_replaces(const struct letter_state *newer, const struct letter_state *older);

#endif
