/*
 * Dead letters as the commands see them: what the dead-letter and state topics say, read from their
 * beginnings to their present ends, put together under each letter's id. For small jobs, and for
 * where no console is up: everything is read each time. A letter that was redriven and failed again
 * is one row, with what its newest copy says.
 */
#ifndef OG_GATEWAY_DLQ_VIEW_H
#define OG_GATEWAY_DLQ_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd_dlq.h"
#include "dlq/filter.h"
#include "dlq_kafka.h"
#include "record/dead_letter.h"

#define DLQ_VIEW_KEY    256
#define DLQ_VIEW_DETAIL 512

/* Texts are owned by the view; "" where unknown. */
struct letter_row {
    const struct dlq_topic *topic;
    int32_t partition;
    int64_t offset;
    const char *state_key; /* the letter's id in the state topic */
    int32_t latest_partition;
    int64_t latest_offset; /* of its newest copy; its own where it has none */
    enum letter_writer writer;
    char *group, *route, *code, *detail, *redrive_id;
    char signature[HEADERS_SIGNATURE_MAX];
    char *key; /* at most DLQ_VIEW_KEY bytes of it; NULL: a null key */
    size_t key_len, key_size;
    uint64_t key_hash;
    uint64_t value_size;
    bool null_value;
    int32_t http_status;
    uint32_t attempts, redrive_count;
    int64_t written_ms, first_failed_ms, last_failed_ms;
    char *origin_topic;
    int32_t origin_partition;
    int64_t origin_offset;
    unsigned state; /* one DLQ_STATE_* */
    /* the view's */
    bool has_letter, matched;
    uint64_t hash;
};

struct dlq_view {
    struct dlq_topics topics;
    struct letter_row **all; /* every letter, and every state; owned */
    size_t all_count, all_cap;
    size_t *slots; /* of the table of rows by state key: index + 1, or 0 */
    size_t slot_count;
    /* After dlq_view_read: those that the filter takes whatever their state, the newest first. */
    struct letter_row **rows;
    size_t count;
    uint64_t read; /* dead letters that were looked at */
    const struct dlq_filter *filter;
};

/* The filter of the command's options; err->code is ERR_USAGE where one of them is wrong. */
bool dlq_filter_of(struct dlq *dlq, struct dlq_filter *filter, struct err *err) MUST_CHECK;

/* Reads all; says on stderr where that took a while. filter is borrowed. dlq_view_free in any case.
 */
bool dlq_view_read(struct dlq_view *view, struct dlq *dlq, const struct dlq_filter *filter,
                   struct err *err) MUST_CHECK;
void dlq_view_free(struct dlq_view *view);
/* Whether the filter takes its state too. */
bool dlq_view_takes(const struct dlq_view *view, const struct letter_row *row);
/* "topic/partition/offset" of a row. */
void dlq_row_id(const struct letter_row *row, struct buf *out);

#endif
