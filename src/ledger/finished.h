/*
 * What this process finished lately, as Redis confirmed it: so that a record whose end Redis has
 * lost (a fail-over, a restart without its last writes) is not delivered a second time while the
 * one who knows lives. Bounded; forgetting costs a second delivery at worst. Owning thread: the
 * loop's.
 */
#ifndef OG_LEDGER_FINISHED_H
#define OG_LEDGER_FINISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ledger/ledger.h"

#define FINISHED_LIFE_NS (UINT64_C(3600) * 1000000000)

struct finished;

struct finished *finished_new(struct err *err) MUST_CHECK;
void finished_free(struct finished **finished);
/* A finish is sent: its place is fetched into the caches meanwhile. */
void finished_expect(const struct finished *finished, struct ledger_op *op);
/* A finish that was expected is answered; only ends are kept, and not those of redriven records. */
void finished_add(struct finished *finished, const struct ledger_op *op, uint64_t now_ns);
/* How the record of a claim was finished; false where that is not known. Of the same generation of
 * the key's state only: what a person reset is not known any more. */
bool finished_find(const struct finished *finished, const struct ledger_op *op, uint64_t now_ns,
                   enum ledger_fact *fact);

#endif
