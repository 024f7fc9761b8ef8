/*
 * The index of dead letters: SQLite, a cache of the dead-letter and state topics and nothing more.
 * Deleting the file loses nothing; a file of another schema version, or a damaged one, is thrown
 * away and begun anew by the next writer.
 * With path NULL it lives in memory (commands that read the topics themselves).
 *
 * One writer and any number of readers, each an object (and a connection) of its own, also in
 * different threads (WAL). An object belongs to the thread that uses it; a second writer of a file
 * is refused (ERR_AGAIN), in another process too.
 *
 * Payloads are not kept: key (up to 256 bytes of it; whole keys by hash), origin, error (up to 512
 * bytes of the detail) and times are; value and headers are read from Kafka again where one record
 * is shown. The text index holds words only, without the text.
 *
 * A *line* is what is listed and counted: a dead letter with all that continue it (it was redriven
 * and failed again). Its place in the list and its ids are the first letter's, or the oldest
 * that retention has left; code, status, signature, detail and group are those of its newest
 * letter, attempts the sum. Its state is what the state topic said last, but open where a letter
 * came back from the very redrive that the state speaks of. What is fed may come in any order.
 *
 * Groups beyond the first 5,000 kinds of failure (signature, route, code, status, topic, consumer
 * group) share one signature for each route and code: nobody reads more, and a handler that puts
 * a random word into every answer must not fill the machine.
 *
 * After any error between begin and commit, begin anew: what came since the last commit is undone
 * then, and positions stand where they stood. An error that is `fatal` says that the file can not
 * be used any more; the text says what to do, and closing removes it where it is damaged.
 */
#ifndef OG_DLQ_INDEX_H
#define OG_DLQ_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "dlq/filter.h"
#include "dlq/redrive_skipped.h"
#include "record/dead_letter.h"
#include "record/letter_state.h"
#include "record/record.h"

struct dlq_index;

/* A reader of a path needs the file to be there (a writer made it): else ERR_NO_FILE, retriable.
 * Where a writer made the file anew meanwhile, a reader's calls fail with ERR_AGAIN, fatal: close
 * it and open another. */
struct dlq_index *dlq_index_open(const char *path, bool writer, struct err *err) MUST_CHECK;
void dlq_index_close(struct dlq_index **index);

/* ---- writing: between begin and commit; positions move with the rows, in one transaction ---- */

bool dlq_index_begin(struct dlq_index *index, struct err *err) MUST_CHECK;
bool dlq_index_commit(struct dlq_index *index, struct err *err) MUST_CHECK;

/* Between transactions, when there is nothing else to write: joins a bounded piece of what the
 * words of transactions have left in many places, so that no transaction has to. *more: there is
 * more of it to do. Not necessary; without it searches take longer, and now and then a commit. */
bool dlq_index_tidy(struct dlq_index *index, bool *more, struct err *err) MUST_CHECK;

/* Whether many rows are to come: then the writer keeps more of the file in memory, else next to
 * nothing, and gives back what it had. Not necessary, and allowed at any time. */
void dlq_index_hurry(struct dlq_index *index, bool hurry);

enum dlq_topic_kind { DLQ_LETTERS, DLQ_STATES };
/* The topic as the cluster knows it now; before its records. Another uuid than before (the topic
 * was made again, or is known by a uuid only now): its rows go and its positions are 0 again. uuid
 * "": unknown, kept as it is. uuid in any base64, as kafka_admin gives it. */
bool dlq_index_topic(struct dlq_index *index, enum dlq_topic_kind kind, const char *topic,
                     const char *uuid, int32_t partitions, struct err *err) MUST_CHECK;
/* Where to read on: the offset after the last one added of that partition; 0 before the first.
 * Kinds are read apart: rows, and the words of their text behind. */
enum dlq_reading { DLQ_READ_ROWS, DLQ_READ_TEXT };
bool dlq_index_position(struct dlq_index *index, const char *topic, int32_t partition,
                        enum dlq_reading kind, int64_t *offset, struct err *err) MUST_CHECK;
/* Nothing more is to be read below `offset` (compaction, transaction markers, records that are left
 * out): the position moves up to it, never back. Adding moves it as well, to behind the record. */
bool dlq_index_skip(struct dlq_index *index, const char *topic, int32_t partition,
                    enum dlq_reading kind, int64_t offset, struct err *err) MUST_CHECK;
/* One dead letter. Adding one that is there already changes nothing. A letter that continues
 * another (letter->first_letter) is counted with it and opens it again; it has no line of its own.
 */
bool dlq_index_add(struct dlq_index *index, const struct record *rec,
                   const struct dead_letter *letter, struct err *err) MUST_CHECK;
/* The words of one dead letter's key, value, headers and detail. */
bool dlq_index_add_text(struct dlq_index *index, const struct record *rec,
                        struct err *err) MUST_CHECK;
/* One record of the state topic, before or after its dead letter; id and state as letter_state_read
 * gave them. Where it does not replace what stands (letter_state_replaces) only the position moves.
 */
bool dlq_index_add_state(struct dlq_index *index, const struct record *rec,
                         const struct letter_id *id, const struct letter_state *state,
                         struct err *err) MUST_CHECK;
/* The log of that partition begins at `begin` now: what lies below is gone by retention. *gone:
 * rows. */
bool dlq_index_trim(struct dlq_index *index, const char *topic, int32_t partition, int64_t begin,
                    uint64_t *gone, struct err *err) MUST_CHECK;
/* How far the topic's log reaches, for "scanned 41,200 of 300,000". */
bool dlq_index_set_end(struct dlq_index *index, const char *topic, int32_t partition, int64_t end,
                       struct err *err) MUST_CHECK;
/* All topics and ends that there are have been told, even if that is none. Until then an index
 * without a topic says that it is not complete, instead of that nothing has failed. */
bool dlq_index_looked(struct dlq_index *index, struct err *err) MUST_CHECK;

/* ---- reading ---- */

/* How much of what there is the answer covers, in records (offsets) of the dead-letter topics; of
 * one topic where the filter names one. complete: all rows and states are read, where text was
 * asked for all words, and the answer itself did not stop half-way (see each call). */
struct dlq_covered {
    uint64_t rows_read, rows_total;
    uint64_t text_read;
    bool complete;
};

#define DLQ_SPARK 48 /* buckets of a sparkline, the newest last */

struct dlq_group {
    /* route and code "" where unknown. Title: code and the detail without what varies. */
    const char *signature, *route, *code, *title;
    uint64_t open, redriving, resolved, archived; /* lines; by all parts of the filter but state */
    /* Distinct keys of open and redriving lines, each once for each topic and status; null keys are
     * none. Not narrowed by key, since, until, text and id. */
    uint64_t keys;
    uint64_t attempts, letters; /* all attempts of all lines, for the mean; narrowed as keys is */
    int64_t first_ms, last_ms;  /* the oldest and the newest line; narrowed as keys is */
    /* Lines of any state by the time they were written. Units are whole hours since the epoch, as
     * many together as it takes from `since` (48 hours before now without one) to `until` (now). */
    uint32_t spark[DLQ_SPARK];
    int64_t spark_unit_ms, spark_end_ms; /* the end of the last one, exclusive */
    const char *example;                 /* id of a recent one: topic/partition/offset */
    const char *example_detail;          /* the handler's answer there, "" none */
    int32_t http_status;                 /* there; 0 none */
};

struct dlq_row {
    const char *topic;
    int32_t partition;
    int64_t offset;
    const char *state_key; /* letter_id_write's text of the line's first letter */
    const char *route, *group, *code, *signature, *detail; /* "" where unknown */
    enum letter_writer writer;
    struct slice key;  /* at most 256 bytes of it */
    uint64_t key_size; /* its whole size; a null key: key is null */
    int32_t http_status;
    uint32_t attempts, redrive_count, value_size;
    int64_t written_ms, first_failed_ms, last_failed_ms;
    const char *origin_topic; /* "" unknown, then the numbers are -1 */
    int32_t origin_partition;
    int64_t origin_offset;
    bool has_number, has_epoch;
    uint64_t epoch, number;
    unsigned state;            /* one DLQ_STATE_* */
    const char *redrive_id;    /* last job that sent it, or "" */
    enum letter_result result; /* how that ended, as far as the state topic says */
    const char *edited_to;     /* id of the letter that goes on in its place, or "" */
    const char *latest; /* id of the newest letter of its history; its own where it has none */
};

/* Callbacks return false to stop; they must not call the index. What they are given is valid during
 * the call only. A writer's own object is asked between its transactions. */

/* Groups that have a line in the filter's states; most open and redriving ones first, then the
 * newest. With text it may stop after some 50,000 matches: covered->complete is false then. */
bool dlq_index_groups(struct dlq_index *index, const struct dlq_filter *filter, int64_t now_ms,
                      bool (*each)(void *arg, const struct dlq_group *group), void *arg,
                      struct dlq_covered *covered, struct err *err) MUST_CHECK;

/* Newest first. cursor: from the page before ("" the first); *next gets the one for the page after,
 * "" at the end. A cursor that nobody gave is ERR_USAGE. Where text is asked for, a page may stop
 * short (also with no row) after some thousands of matches that the rest of the filter refused; its
 * cursor goes on from there. */
#define DLQ_CURSOR_MAX 64
bool dlq_index_list(struct dlq_index *index, const struct dlq_filter *filter, const char *cursor,
                    size_t limit, bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                    char next[DLQ_CURSOR_MAX], struct dlq_covered *covered,
                    struct err *err) MUST_CHECK;
/* Counts what the filter takes, up to `most` (0: all). With text as dlq_index_groups. */
bool dlq_index_count(struct dlq_index *index, const struct dlq_filter *filter, uint64_t most,
                     uint64_t *count, struct dlq_covered *covered, struct err *err) MUST_CHECK;
/* The line that the letter belongs to, first or continued one; *found false: not there. */
bool dlq_index_get(struct dlq_index *index, const struct dlq_id *id,
                   void (*each)(void *arg, const struct dlq_row *row), void *arg, bool *found,
                   struct err *err) MUST_CHECK;

/* ---- what a redrive job did ---- */

/* What became of a letter that a job sent: an enum letter_result, LETTER_NO_RESULT where it is on
 * its way still, or DLQ_JOB_UNKNOWN: it has ended, and how is not kept (it was put away by a
 * program that did not keep it). DLQ_JOB_SKIPPED: it was not sent. */
enum { DLQ_JOB_UNKNOWN = LETTER_RESULTS, DLQ_JOB_SKIPPED, DLQ_JOB_RESULTS };
const char *dlq_job_result_name(unsigned result); /* "on_its_way", "resolved", ... */
bool dlq_job_result_parse(struct slice text, unsigned *result) MUST_CHECK;

struct dlq_job_row {
    const char *id; /* topic/partition/offset of the line's first letter; where its topic is not
                     * known (it was made again), the topic's UUID stands for it */
    unsigned result;
    const char *skipped; /* DLQ_JOB_SKIPPED: why (redrive_skip_name); else "" */
    const char *code;    /* LETTER_RESULT_FAILED: the error's code; else, and where unknown, "" */
    int64_t at_ms;  /* on its way: when it was recorded as sent; else when it ended; skipped: 0 */
    uint32_t count; /* of its redrives, this one included; skipped: 0 */
    const char *since;          /* the job that sent it again since, or "" */
    const struct dlq_row *line; /* as it stands now; NULL: retention has taken the letter */
};

/*
 * The letters that a job sent, each once, in the order of their partitions and offsets (of
 * partitions: as this file came to know them). Made of what the topics keep: the last word on each
 * letter, and the letters that came back from this job. So a job's failures stay with it when
 * another job sends them again, as long as their letters are there.
 * results: 1 << result of each that is wanted; 0: all. cursor, next, limit: as dlq_index_list; a
 * page may stop short.
 */
bool dlq_index_job(struct dlq_index *index, const char *job, unsigned results, const char *cursor,
                   size_t limit, bool (*each)(void *arg, const struct dlq_job_row *row), void *arg,
                   char next[DLQ_CURSOR_MAX], struct dlq_covered *covered,
                   struct err *err) MUST_CHECK;
/* The letters that a job skipped: those of the list from `at` on, up to limit of them, as rows. */
bool dlq_index_job_skipped(struct dlq_index *index, const struct redrive_skipped *list, uint64_t at,
                           size_t limit, bool (*each)(void *arg, const struct dlq_job_row *row),
                           void *arg, struct dlq_covered *covered, struct err *err) MUST_CHECK;

#endif
