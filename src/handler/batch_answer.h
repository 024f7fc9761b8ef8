/*
 * The answer to a batch: {"results":[{"id":…,"outcome":…,"error_code":…,"detail":…,
 * "retry_after":…}]}, and which record each result is of. Knows no deliveries.
 */
#ifndef OG_HANDLER_BATCH_ANSWER_H
#define OG_HANDLER_BATCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "handler/classify.h"
#include "handler/client.h"

/* The codes that a batch adds to those of a single answer. */
#define BATCH_MISSING    "batch-missing"    /* the answer does not name the record */
#define BATCH_UNREADABLE "batch-unreadable" /* it says something that cannot be read */

/* The events of a request by their ids, in its order. Zero-initialise. */
struct batch_ids {
    struct buf bytes; /* batch_event_write appends to it */
    size_t *ends;     /* of each id in bytes */
    uint32_t *hashes; /* once an answer came in another order */
    uint32_t count, cap, hashed;
};

/* What was appended to bytes since the last one is an id. */
void batch_ids_end(struct batch_ids *ids);
void batch_ids_reset(struct batch_ids *ids);
void batch_ids_deinit(struct batch_ids *ids);
struct slice batch_ids_at(const struct batch_ids *ids, uint32_t i);

struct batch_result {
    bool named;    /* the answer has a result of it */
    bool readable; /* and says what it means */
    enum outcome outcome;
    struct slice entry; /* the whole object, borrowed from the body */
};

struct batch_answer {
    struct batch_result *results; /* for each id; at least as many as there are */
    uint32_t named;
    uint32_t unknown;    /* results of ids that the request did not have */
    const char *problem; /* why the body cannot be read at all; static text */
};

/*
 * Reads the body of a 2xx; false, with problem, where it is no such answer: then no record is
 * named. An empty body names no record. Where events share an id, results are dealt to them in
 * their order.
 */
bool batch_answer_read(struct slice body, bool cut, struct batch_ids *ids,
                       struct batch_answer *out) MUST_CHECK;

/*
 * What it says of record i, as if it were the answer to a request of its own. whole: the answer to
 * the request; where it has an outcome (Oncegate-Outcome), that is of the records that no result
 * names. Fills *out but for its conn members.
 */
void batch_answer_of(const struct batch_answer *answer, uint32_t i,
                     const struct handler_answer *whole, int64_t wall_ms,
                     struct handler_answer *out);

#endif
