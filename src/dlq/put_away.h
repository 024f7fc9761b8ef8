/*
 * A dead letter that a person puts away: its state becomes `archived`, in the state topic. What its
 * last redrive came to stays with it, for that redrive's job.
 */
#ifndef OG_DLQ_PUT_AWAY_H
#define OG_DLQ_PUT_AWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "config/config.h"
#include "dlq/index.h"
#include "record/letter_state.h"

struct put_away {
    const struct route_config *route; /* borrowed: it wrote the letter */
    char *state_key, *redrive_id, *code;
    enum letter_result result; /* of that redrive */
    uint32_t redrive_count;
};

/* A line that a person asked for: whether it may be put away, which it is where a route wrote it
 * and it is open or resolved. What is on its way round is left alone. True: *out is to be freed. */
bool put_away_choose(struct put_away *out, const struct config *config, const struct dlq_row *row);
/* The same whatever its state and route. Copies what it needs of the row. */
void put_away_take(struct put_away *out, const struct route_config *route,
                   const struct dlq_row *row);
void put_away_deinit(struct put_away *item);

/* Appends the value of the state. reason may be NULL: none; edited_to: see letter_state.h. */
void put_away_write(struct buf *out, const struct put_away *item, const char *by,
                    const char *reason, struct slice edited_to);

#endif
