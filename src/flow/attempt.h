/* One delivery to the handler, and what follows from its answer. */
#ifndef OG_FLOW_ATTEMPT_H
#define OG_FLOW_ATTEMPT_H

#include "flow/delivery.h"
#include "handler/classify.h"
#include "handler/request.h"

struct route;
struct worker;

/* The delivery holds a slot, and (where the route uses the ledger) a claim whose lease covers one
 * attempt. With batches it is sent with others, see batch.h. */
void attempt_start(struct delivery *d);
/* Frees the pool of attempts. */
void attempt_free_spares(struct worker *worker);
/* The handler calls under way are given up: their effect is unknown. */
void attempt_cancel_all(struct route *route);

/* ---- the pieces of an attempt, for batch.c ---- */

/* Its claim lasts for as long as an attempt that begins now may take. */
bool attempt_is_covered(const struct delivery *d, uint64_t now_ns);
/* What the request says of the attempt that would begin now; nothing has begun. */
void attempt_describe(const struct delivery *d, int64_t deadline_wall_ms,
                      struct request_facts *facts);
/* It is at the handler from now on. */
void attempt_begin(struct delivery *d);

struct attempt_end {
    const struct verdict *verdict;
    const struct handler_answer *answer;
    uint64_t ended_ns;
    bool lonely_probe; /* see attempt_is_lonely_probe, asked before the breaker was told */
};

/* It is the breaker's probe, and there is no other record that could be the next one. */
bool attempt_is_lonely_probe(const struct delivery *d);
void attempt_tell_breaker(struct delivery *d, const struct verdict *verdict);
/* What follows from the answer, of which the breaker has been told. */
void attempt_ended(struct delivery *d, const struct attempt_end *end);

#endif
