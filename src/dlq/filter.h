/*
 * Which dead letters: one filter for the index, the commands, the URL of a page and a redrive job.
 * All parts that are set must hold. Open struct of owned texts; parsed from and written as
 * "name=value" pairs (the same names everywhere).
 *
 *   route topic code status signature key since until text state id
 *
 * state: open | redriving | resolved | archived | any (repeatable; none given: open and redriving).
 * status: an HTTP status, 404 or 5xx. since/until: RFC 3339, ms since the epoch, or an age such as
 * 2h (before now), by the time the dead letter was written. text: every word must occur in key,
 * value, headers or detail (words as the text index cuts them; a trailing * is a prefix).
 * id: <topic>/<partition>/<offset>, repeatable: a selection. key: the bytes as they are; key_hex
 * takes the place of key where they are no UTF-8.
 * Any other part that is given twice takes the later value.
 */
#ifndef OG_DLQ_FILTER_H
#define OG_DLQ_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "record/dead_letter.h"
#include "record/record.h"

#define DLQ_STATE_OPEN      1u
#define DLQ_STATE_REDRIVING 2u
#define DLQ_STATE_RESOLVED  4u
#define DLQ_STATE_ARCHIVED  8u
#define DLQ_STATE_LIVE      (DLQ_STATE_OPEN | DLQ_STATE_REDRIVING)
#define DLQ_STATE_ANY       15u

struct dlq_id {
    char *topic;
    int32_t partition;
    int64_t offset;
};

struct dlq_filter {
    char *route, *topic, *code, *signature, *text; /* NULL: any */
    char *key; /* bytes of the Kafka key, exact; key_len; NULL: any */
    size_t key_len;
    int32_t status_min, status_max; /* 0: any */
    int64_t since_ms, until_ms;     /* 0: any; until is exclusive */
    unsigned states;                /* bits; 0: open and redriving */
    struct dlq_id *ids;             /* owned */
    size_t id_count;
};

void dlq_filter_init(struct dlq_filter *filter);
void dlq_filter_deinit(struct dlq_filter *filter);
/* Sets one part; the error names the part, what is wrong with the value and what would be right. */
bool dlq_filter_set(struct dlq_filter *filter, const char *name, struct slice value, int64_t now_ms,
                    struct err *err) MUST_CHECK;
/* "topic/partition/offset"; a topic's name holds no slash. *out owns its topic. */
bool dlq_id_parse(struct slice text, struct dlq_id *out, struct err *err) MUST_CHECK;
void dlq_id_deinit(struct dlq_id *id);
/* Appends "topic/partition/offset". */
void dlq_id_write(const struct dlq_id *id, struct buf *out);
/* As a JSON object with the names above, ages resolved to times; for jobs and audit. What repeats
 * (state, id) is an array there. */
void dlq_filter_to_json(const struct dlq_filter *filter, struct buf *out);
/* Into an initialised, empty filter. A name that is not above is refused: a filter that lost a part
 * would take more than was asked for. */
bool dlq_filter_from_json(struct dlq_filter *filter, struct slice json, struct err *err) MUST_CHECK;
/* The bits of states, with those that stand for none given. */
unsigned dlq_filter_states(const struct dlq_filter *filter);
/* "open" ... of one DLQ_STATE_* bit; NULL of anything else. */
const char *dlq_state_name(unsigned state);

/* Whether the parts that one record can answer take it: not text, states and the selection. */
bool dlq_filter_takes(const struct dlq_filter *filter, const struct record *rec,
                      const struct dead_letter *letter);

#endif
