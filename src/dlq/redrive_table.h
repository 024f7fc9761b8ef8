/*
 * Dead letters as a redrive sees them: what the dead-letter topics and the state topic said of
 * each, put together under the letter's id, and which of them a job takes. Filled from the topics
 * in any order; told again what it knows already, nothing changes. Owning thread: its user's.
 */
#ifndef OG_DLQ_REDRIVE_TABLE_H
#define OG_DLQ_REDRIVE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "dlq/filter.h"
#include "dlq/redrive_skipped.h"
#include "record/dead_letter.h"
#include "record/letter_state.h"
#include "record/record.h"
#include "record/redrive_job.h"

struct redrive_table;

/* One letter with all that continue it. Names are numbers of redrive_table_name. */
struct redrive_entry {
    uint32_t id_topic; /* UUID or name; with the next two the letter's id */
    int32_t id_partition;
    int64_t id_offset;
    uint32_t topic; /* where its newest bytes are */
    int32_t partition;
    int64_t offset;
    uint32_t origin_topic;
    int32_t origin_partition;
    int64_t origin_offset;
    uint32_t redrive;       /* the last one that the state tells of; 0: none */
    uint32_t redrive_count; /* so far */
    uint32_t code;          /* the state's */
    uint8_t status,
        result; /* enum letter_status, letter_result; LETTER_FORGOTTEN: nothing is told */
    bool has_letter;
    bool matched;            /* the filter takes it, its state not asked */
    bool foreign;            /* no copy of ours can be made of it */
    bool mine;               /* this job sent it */
    bool ended;              /* and its end is counted */
    uint8_t skipped;         /* enum redrive_skip + 1; 0: it is not */
    bool late;               /* a `redriving` stands behind the end of its redrive */
    struct redrive_key *key; /* where keys are kept, and the letter has a number; else NULL */
};

/* What the ledger is asked for: the letter's Kafka key and number. */
struct redrive_key {
    uint64_t epoch, number;
    size_t len;
    char bytes[];
};

/* filter: borrowed; before_ms: letters that were written later are not looked at, but for those of
 * the redrive `id`. Fails where the filter's text has no word. */
struct redrive_table *redrive_table_new(const char *group, const struct dlq_filter *filter,
                                        int64_t before_ms, const char *id,
                                        struct err *err) MUST_CHECK;
/* From now on the keys of letters are kept, for a dry run. */
void redrive_table_keep_keys(struct redrive_table *table);
void redrive_table_free(struct redrive_table **table);

/* uuid: of the dead-letter topic as letters' ids have it, or its name. */
void redrive_table_add_letter(struct redrive_table *table, const char *uuid,
                              const struct record *rec);

/* What a record of the state topic says. */
enum redrive_told {
    TOLD_NOTHING,
    TOLD_END,  /* an end of this redrive that was not known */
    TOLD_LATE, /* a `redriving` behind the end of that redrive: the end is to be written again */
};
enum redrive_told redrive_table_add_state(struct redrive_table *table, const struct letter_id *id,
                                          const struct letter_state *state,
                                          struct redrive_entry **entry);

/*
 * The letters of the job: which are to be sent, in the order of their origins; those that it sent
 * before a restart are `mine`, with their ends. Fills counts but for what of a selection is not
 * there (SKIP_GONE, SKIP_NOT_FOUND: the scan knows), the limit left aside. Once; later states
 * change the entries in place.
 */
struct redrive_list {
    struct redrive_entry **items;
    size_t count;
};
void redrive_table_list(struct redrive_table *table, struct redrive_list *list,
                        struct redrive_counts *counts);
/* The job does not send it, for that reason; once. */
void redrive_skip(struct redrive_entry *entry, enum redrive_skip why,
                  struct redrive_counts *counts);
/* Adds every entry that is skipped. */
void redrive_table_add_skipped(const struct redrive_table *table, struct redrive_skipped *list);
/* Counts an end of an entry that is `mine`, once. */
void redrive_count_end(struct redrive_entry *entry, struct redrive_counts *counts);

const char *redrive_table_name(const struct redrive_table *table, uint32_t number);
struct letter_id redrive_entry_id(const struct redrive_table *table,
                                  const struct redrive_entry *entry);
/* Whether a letter of that place was added (by the topic's name). */
bool redrive_table_has(const struct redrive_table *table, const struct dlq_id *id);

#endif
