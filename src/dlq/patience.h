/*
 * Waits, in a loop of one's own, for as long as something happens now and then: for commands, which
 * must end.
 */
#ifndef OG_DLQ_PATIENCE_H
#define OG_DLQ_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/loop.h"

struct patience {
    struct loop *loop;
    uint64_t moved_ns;
    struct loop_timer timer;
};

void patience_begin(struct patience *patience, struct loop *loop);
/* Something has happened. */
void patience_moved(struct patience *patience);
/* Turns the loop once; false: nothing has happened for 15 s. */
bool patience_turn(struct patience *patience) MUST_CHECK;
void patience_end(struct patience *patience);

#endif
