/*
 * The copy of a dead letter that goes round again: key, value and the app's headers to the byte,
 * without the error's headers, with those of the redrive. Owns its bytes.
 */
#ifndef OG_DLQ_DEAD_COPY_H
#define OG_DLQ_DEAD_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "record/headers.h"
#include "record/letter_state.h"
#include "record/record.h"
#include "record/redrive_job.h"

struct dead_copy {
    struct record rec;          /* the letter: key, value, headers */
    struct header_list headers; /* of the copy */
    struct record_header *own;
    struct buf bytes, id;
};

struct dead_copy_order {
    const char *redrive_id;
    enum redrive_mode mode;
    uint32_t count;                       /* redrives so far, this one included */
    const struct letter_id *first_letter; /* whose state is told */
};

/* rec is copied. False where it is no dead letter of ours; dead_copy_deinit in both cases. */
bool dead_copy_make(struct dead_copy *copy, const struct record *rec,
                    const struct dead_copy_order *order, struct err *err) MUST_CHECK;
void dead_copy_deinit(struct dead_copy *copy);

#endif
