/* What the files of the feed share: feed.c (what there is to read), feed_rows.c, feed_text.c. For
 * these files only. */
#ifndef OG_DLQ_FEED_STATE_H
#define OG_DLQ_FEED_STATE_H

#include "base/buf.h"
#include "dlq/feed.h"
#include "dlq/words.h"
#include "kafka/admin.h"
#include "kafka/follower.h"

struct feed_topic {
    char *name;
    enum dlq_topic_kind kind;
    bool exists;
    int32_t partitions;
    char uuid[KAFKA_UUID_MAX];
};

struct feed_part {
    const struct feed_topic *topic;
    int32_t partition;
    int64_t rows;    /* the offset that is read next */
    int64_t text;    /* the same of the words; letters only */
    int64_t end;     /* that there was when it was set up */
    bool rows_ended; /* read to an end at least once */
    bool joined;     /* its words are at its rows: they are added together from now on */
};

struct dlq_feed {
    struct loop *loop;
    const struct config *config;
    struct dlq_index *index;
    struct dlq_feed_options options;
    struct kafka_admin *admin;

    struct feed_topic *topics;
    const char **names; /* of the topics, for the admin client */
    size_t topic_count;
    struct feed_part *parts; /* of the topics that are there: indices are the followers' ranges */
    size_t part_count;
    struct kafka_bounds *bounds; /* asked for; NULL: nothing is */

    struct kafka_follower *rows;
    struct kafka_follower *text;
    size_t *text_parts;      /* range of text: index in parts */
    struct dlq_words *words; /* of letters without any of them no words are kept; NULL: of all */
    struct buf store;        /* of a state that is being read */

    struct loop_timer look_timer;
    struct loop_task rows_task;
    struct loop_task text_task;
    struct loop_task tidy_task;

    bool looking;     /* an answer of the admin client is awaited */
    bool reopen;      /* what is read must be set up anew */
    bool rows_ready;  /* there may be rows to take: words wait */
    bool rows_caught; /* all parts have ended since they were set up */
    bool caught_up;   /* told */
    bool in_trouble;  /* told */
    bool over;        /* nothing is read any more */
    bool freeing;
    uint64_t records;

    bool open; /* a transaction is; what follows is of it */
    uint64_t open_records;
    uint64_t opened_ns;
};

/* feed.c */

/* Opens a transaction where none is open. */
bool feed_begin(struct dlq_feed *feed, struct err *err) MUST_CHECK;
/* Ends it where one is open, and tells. */
bool feed_commit(struct dlq_feed *feed, struct err *err) MUST_CHECK;
/* Whether it is large or old enough to be ended though there is more. */
bool feed_is_due(const struct dlq_feed *feed);
/* Something is not as it was: look at the cluster soon. */
void feed_look_soon(struct dlq_feed *feed);
/* The index or the cluster refuses: tells, and tries again where that may help. */
void feed_trouble(struct dlq_feed *feed, const struct err *err);

/* The task of what the index has to tidy; it waits for whatever is to be read. */
void feed_tidy_run(void *arg);

/* feed_rows.c */

bool feed_rows_open(struct dlq_feed *feed, struct err *err) MUST_CHECK;
void feed_rows_close(struct dlq_feed *feed);
void feed_rows_run(void *arg); /* the task */

/* feed_text.c */

/* The words of a letter whose row is there. */
bool feed_add_text(struct dlq_feed *feed, struct feed_part *part, const struct record *rec,
                   struct err *err) MUST_CHECK;

/* Follows what is missing of the words; where nothing is, the feed has caught up. */
bool feed_text_open(struct dlq_feed *feed, struct err *err) MUST_CHECK;
void feed_text_close(struct dlq_feed *feed);
void feed_text_run(void *arg); /* the task */

#endif
