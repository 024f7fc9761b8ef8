/*
 * The ends of redriven records. A copy on the redrive topic that names a dead letter
 * (oncegate-first-letter) has what became of it written to dlq-state.<group>, and acknowledged,
 * before its end is told to the ledger and its offset is settled:
 *
 *   answer ─► (dead letter again, acknowledged) ─► state, acknowledged ─► finish ─► settle ─►
 * commit
 *
 * A crash in between repeats what the ledger absorbs, or else the delivery, and the state is
 * written again. Records that are not redriven have d->redriven NULL and none of this. Owning
 * thread: the worker's.
 */
#ifndef OG_FLOW_REDRIVEN_H
#define OG_FLOW_REDRIVEN_H

#include <stdbool.h>

#include "flow/delivery.h"
#include "record/letter_state.h"

/* Consumed from the redrive topic, its headers are read: remembers its letter, where it names one.
 */
void redriven_taken(struct delivery *d, struct slice first_letter);
void redriven_forget(struct delivery *d);
/* The id of its letter; null: it has none. Borrowed. */
struct slice redriven_letter(const struct delivery *d);

/* It is to be finished with the fact: true: its state is written first, and delivery_finish called
 * again then. Only where d->redriven. */
bool redriven_before_finish(struct delivery *d, enum ledger_fact fact);
/* The ledger will not have it delivered: true: its state is written first, then next(d) is called.
 * Only where d->redriven. */
bool redriven_before_settle(struct delivery *d, enum ledger_code code,
                            void (*next)(struct delivery *d));

#endif
