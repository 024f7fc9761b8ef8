/*
 * What the files of the index share. Nobody else includes this but its tests.
 *
 *   index.c         opening, closing, transactions
 *   index_sql.c     the schema and every statement; binding, stepping, errors
 *   index_place.c   topics, partitions and how far each is read
 *   index_count.c   kinds of failure and their counters
 *   index_add.c     letters and states; which letters make a line
 *   index_text.c    words
 *   index_plan.c    which lines a filter takes, newest first
 *   index_list.c    rows
 *   index_job.c     what a redrive job did
 *   index_groups.c  groups and counts
 *
 * Ids of letters are their time: ms << DLQ_SEQ_BITS | a running number within the ms. So the table,
 * every index that ends with the id, and the text index lie newest last, and a page is a seek.
 */
#ifndef OG_DLQ_INDEX_PARTS_H
#define OG_DLQ_INDEX_PARTS_H

#include <sqlite3.h>

#include "base/buf.h"
#include "dlq/index.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) mem_free(p)
#include <uthash.h>

#include "base/mem.h"

enum {
    DLQ_SCHEMA = 5,
    DLQ_SEQ_BITS = 16,
    DLQ_STATE_SLOTS = 4,    /* counters of a bucket: open, redriving, resolved, archived */
    DLQ_BUCKETS_MAX = 5000, /* kinds of failure with a signature of their own */
    DLQ_KEY_KEPT = 256,
    DLQ_DETAIL_KEPT = 512,
    DLQ_WORDS_MAX = 32, /* of a filter's text */
};
#define DLQ_APPLICATION 0x6f67646c /* "ogdl" */
#define DLQ_ID_MAX      INT64_MAX
#define DLQ_HOUR_MS     INT64_C(3600000)
#define DLQ_DAY_HOURS   24

enum dlq_sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_READ,
    SQL_META_SET,
    SQL_META_GET,
    SQL_TOPIC_GET,
    SQL_TOPIC_ADD,
    SQL_TOPIC_SET,
    SQL_PLACE_GET,
    SQL_PLACE_ADD,
    SQL_PLACE_OF_TOPIC,
    SQL_PLACE_DELETE,
    SQL_PLACE_SET,
    SQL_PLACE_TOPIC,
    SQL_PLACE_TEXT_AGAIN,
    SQL_COVERED,
    SQL_STATE_GET,
    SQL_STATE_SET,
    SQL_STATE_DELETE,
    SQL_STATE_TRIM,
    SQL_STATE_ANY,
    SQL_BUCKET_GET,
    SQL_BUCKET_ADD,
    SQL_BUCKET_COUNT,
    SQL_BUCKET_MOVE,
    SQL_BUCKET_RANGE,
    SQL_BUCKET_PURGE,
    SQL_BUCKETS,
    SQL_BUCKET_TEXTS,
    SQL_BUCKET_EXAMPLE,
    SQL_SPARK_GET,
    SQL_SPARK_SET,
    SQL_SPARK_PURGE,
    SQL_SPARK_DROP,
    SQL_SPARK,
    SQL_LINE_FIRST,
    SQL_LINE_LAST,
    SQL_LINE_IDS,
    SQL_LINE_COUNT,
    SQL_KEY_IDS,
    SQL_KEY_COUNT,
    SQL_KEY_LIVE,
    SQL_LETTER_ADD,
    SQL_LETTER_AT,
    SQL_LETTER_LINE,
    SQL_LETTER_SET,
    SQL_LETTER_DELETE,
    SQL_LETTER_BELOW,
    SQL_LETTER_TOP,
    SQL_LETTER_MEMBER,
    SQL_LETTER_MEMBERS,
    SQL_LETTER_CONTINUED,
    SQL_LETTERS,
    SQL_LETTER_CHECK,
    SQL_LETTER_ROW,
    SQL_GHOST_GET,
    SQL_GHOST_SET,
    SQL_GHOST_ANY,
    SQL_GHOST_COUNT,
    SQL_GHOST_CLEAR,
    SQL_JOB_STATES,
    SQL_JOB_LETTERS,
    SQL_JOB_LETTER,
    SQL_JOB_STATE,
    SQL_TEXT_ADD,
    SQL_TEXT_CLEAR,
    SQL_TEXT_JOIN,
    SQL_TEXT_IDS,
    SQL_TEXT_ONE,
    SQL_COUNT_OF,
};

/* A partition of a topic; cached while the index is open, written with the transaction. */
struct dlq_place {
    char *name; /* "<topic>/<partition>": the hash's key */
    int64_t id;
    int64_t position[2]; /* by enum dlq_reading */
    int64_t begin, end;  /* end -1: nobody said */
    bool changed;
    UT_hash_handle hh;
};

/* What a transaction does to the counters of a bucket. */
struct dlq_delta {
    int64_t id;
    int64_t count[DLQ_STATE_SLOTS], keys, attempts, letters;
    int64_t low, high; /* ids of lines that came; 0: none */
    bool stale;        /* a line left: first and last are to be looked up */
    UT_hash_handle hh;
};

/* Lines that came and went, by the hour they were written in. */
struct dlq_day {
    struct dlq_day_key {
        int64_t bucket, day;
    } key;
    int64_t count[DLQ_DAY_HOURS];
    UT_hash_handle hh;
};

/* The id of a kind of failure by its texts. */
struct dlq_kind {
    char *name;
    size_t name_len;
    int64_t id;
    UT_hash_handle hh;
};

struct dlq_words_item {
    int64_t id;
    size_t at, len; /* in the text that waits */
};

struct dlq_index {
    sqlite3 *db;
    char *path;     /* NULL: in memory */
    uint64_t inode; /* of a reader's file */
    int lock;       /* fd of the writer's lock file, or -1 */
    bool writer, in_transaction;
    bool broken;  /* a call failed since begin: nothing but begin or close */
    bool damaged; /* the file is torn: close removes it */
    sqlite3_stmt *stmts[SQL_COUNT_OF];

    struct dlq_place *places;
    struct dlq_delta *deltas;
    struct dlq_day *days;
    struct dlq_kind *kinds;
    int64_t kind_count;
    bool any_states, any_continued, any_ghosts; /* whether to ask at all */
    bool untidy; /* words came since their runs were joined as far as it goes */
    struct buf words_text;
    struct dlq_words_item *words;
    size_t words_count, words_cap;
    struct buf scratch;
};

/* ---- index_sql.c ---- */

extern const char dlq_schema[];
const char *dlq_sql_text(enum dlq_sql sql);
/* Of the failed call on the index's connection; marks what is broken or damaged. Returns false. */
bool dlq_sql_failed(struct dlq_index *index, int code, const char *doing, struct err *err);
/*
 * The statement, reset, with its parameters bound in order: i int64_t, t const char * (NULL is
 * null), s struct slice as text, b struct slice as a blob (null slices are null). NULL: failed, err
 * is set. Bound bytes are borrowed until it is stepped.
 */
sqlite3_stmt *dlq_sql(struct dlq_index *index, struct err *err, enum dlq_sql sql, const char *types,
                      ...);
/* 1: a row, 0: no more (and reset), -1: failed, err is set. stmt may be NULL: failed. */
int dlq_step(struct dlq_index *index, sqlite3_stmt *stmt, struct err *err);
/* Steps to the end. */
bool dlq_run(struct dlq_index *index, sqlite3_stmt *stmt, struct err *err) MUST_CHECK;
/* The first column of the first row; *found false: no row, *out is left. */
bool dlq_one(struct dlq_index *index, sqlite3_stmt *stmt, int64_t *out, bool *found,
             struct err *err) MUST_CHECK;
/* "" where null; borrowed until the next step. */
const char *dlq_text(sqlite3_stmt *stmt, int column);
/* A snapshot for the calls until dlq_read_end; nothing to do within a transaction. */
bool dlq_read_begin(struct dlq_index *index, struct err *err) MUST_CHECK;
void dlq_read_end(struct dlq_index *index);

/* ---- index_place.c ---- */

/* Known and made if need be. */
bool dlq_place_of(struct dlq_index *index, struct slice topic, int32_t partition,
                  struct dlq_place **out, struct err *err) MUST_CHECK;
/* The place of a topic by its uuid (or name), whether or not it is known yet. */
bool dlq_place_ref(struct dlq_index *index, struct slice ref, int32_t partition, int64_t *id,
                   struct err *err) MUST_CHECK;
bool dlq_places_flush(struct dlq_index *index, struct err *err) MUST_CHECK;
void dlq_places_forget(struct dlq_index *index);
bool dlq_covered_by(struct dlq_index *index, const struct dlq_filter *filter,
                    struct dlq_covered *covered, struct err *err) MUST_CHECK;
bool dlq_need_transaction(struct dlq_index *index, struct err *err) MUST_CHECK;

/* ---- index_count.c ---- */

int dlq_state_slot(unsigned state); /* 0 to 3 */
/* The bucket of a letter; made if need be. */
bool dlq_bucket_of(struct dlq_index *index, const struct record *rec,
                   const struct dead_letter *letter, int64_t *id, struct err *err) MUST_CHECK;
/* A letter (line or not) came or went: by = 1 or -1. */
void dlq_count_letter(struct dlq_index *index, int64_t bucket, int by);
struct dlq_line {
    int64_t id, bucket;
    unsigned state;
    bool has_key;
    int64_t key_hash;
    int64_t attempts;
};
/* Before the line is written so, and after it is written otherwise. */
bool dlq_count_enter(struct dlq_index *index, const struct dlq_line *line,
                     struct err *err) MUST_CHECK;
bool dlq_count_leave(struct dlq_index *index, const struct dlq_line *line,
                     struct err *err) MUST_CHECK;
bool dlq_counts_flush(struct dlq_index *index, struct err *err) MUST_CHECK;
void dlq_counts_forget(struct dlq_index *index);
/* Lines of each hour of a day, from a column of a row of spark. */
void dlq_day_read(sqlite3_stmt *stmt, int column, uint32_t count[DLQ_DAY_HOURS]);

/* ---- index_add.c ---- */

int64_t dlq_key_hash(struct slice key);
/* Takes all letters of a place with an offset below `begin` out. */
bool dlq_letters_drop(struct dlq_index *index, int64_t place, int64_t begin, uint64_t *gone,
                      struct err *err) MUST_CHECK;

/* ---- index_text.c ---- */

bool dlq_text_flush(struct dlq_index *index, struct err *err) MUST_CHECK;
void dlq_text_forget(struct dlq_index *index);
/* Frees what words wait in, where none do. */
void dlq_text_release(struct dlq_index *index);
/* Where more words are of rows that are gone than of rows that are there: all are read again. */
bool dlq_text_tidy(struct dlq_index *index, struct err *err) MUST_CHECK;
bool dlq_text_again(struct dlq_index *index, struct err *err) MUST_CHECK;

/* ---- index_plan.c ---- */

struct dlq_candidate { /* a bucket that the filter may take lines of */
    int64_t id, last;
    int64_t count[DLQ_STATE_SLOTS]; /* of its lines */
};

struct dlq_plan {
    struct dlq_index *index;
    struct dlq_candidate *buckets; /* the newest line's first */
    size_t bucket_count;
    int64_t *by_id; /* ids of buckets, ascending */
    unsigned states;
    int64_t low, high; /* ids from low, below high */
    bool has_key;
    int64_t key_hash;
    struct buf match; /* the text as the text index wants it; empty: none */
    size_t terms;     /* words that it names; 0: more than can be named */
    int64_t *ids;     /* the selection's lines, descending, each once; NULL: none was asked for */
    size_t id_count;
    uint64_t lines; /* that the buckets and states hold: as many at most are taken */
};

bool dlq_plan_make(struct dlq_index *index, const struct dlq_filter *filter, struct dlq_plan *plan,
                   struct err *err) MUST_CHECK;
void dlq_plan_deinit(struct dlq_plan *plan);
/* The line that a letter belongs to. */
bool dlq_plan_line_of(struct dlq_index *index, const struct dlq_id *id, int64_t *line, bool *found,
                      struct err *err) MUST_CHECK;
/* The id of the line whose first letter is, or was, at (place, offset). */
bool dlq_plan_line_at(struct dlq_index *index, int64_t place, int64_t offset, int64_t *line,
                      bool *found, struct err *err) MUST_CHECK;
bool dlq_plan_has(const struct dlq_plan *plan, int64_t bucket);

struct dlq_page {
    int64_t *ids; /* descending */
    size_t count;
    bool more;     /* there are, or may be, further ones below `next` */
    int64_t next;  /* exclusive */
    bool stopped;  /* short because enough was looked at */
    size_t looked; /* of the budget */
    int64_t begun; /* the first match */
};
/* At most limit lines below plan->high. budget: text matches to look at; a line that is looked up
 * among the words counts for many. */
bool dlq_plan_page(struct dlq_plan *plan, size_t limit, size_t budget, struct dlq_page *page,
                   struct err *err) MUST_CHECK;
void dlq_page_deinit(struct dlq_page *page);
/* The line at id, if the filter takes it; its text is not asked. */
bool dlq_plan_takes(struct dlq_plan *plan, int64_t id, bool *takes, struct dlq_line *line,
                    struct err *err) MUST_CHECK;
bool dlq_plan_text_has(struct dlq_plan *plan, int64_t id, bool *has, struct err *err) MUST_CHECK;

/* ---- index_list.c ---- */

/* Texts that are put together for a row. */
struct dlq_row_texts {
    struct buf state_key, latest;
};
/* The row of a line; borrows from texts and from *stmt, which is to be reset. */
bool dlq_row_read(struct dlq_index *index, int64_t id, struct dlq_row_texts *texts,
                  struct dlq_row *row, sqlite3_stmt **stmt, struct err *err) MUST_CHECK;
void dlq_row_texts_deinit(struct dlq_row_texts *texts);
/* `numbers` 16 hex digits each behind a b; "" leaves them as they are. */
bool dlq_cursor_read(const char *cursor, uint64_t *numbers, size_t count,
                     struct err *err) MUST_CHECK;

#endif
