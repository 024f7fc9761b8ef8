/*
 * Suspects a producer that counts from the beginning again without a new epoch: what it sends is
 * taken for duplicates, rightly by the numbers, and is not delivered. Told of every source record
 * whose number was used again (see struct ledger_op, `behind`), it says which of them do not look
 * like a producer's ordinary doubles. Bounded; what it forgets is suspected later. Pure: times are
 * monotonic ms passed in.
 */
#ifndef OG_FLOW_RESTARTS_H
#define OG_FLOW_RESTARTS_H

#include <stdbool.h>
#include <stdint.h>

#define RESTARTS_FAR    64 /* below the last number by this: beyond what doubles do */
#define RESTARTS_RUN    8  /* numbers in a row that were used again, and no new one of the key */
#define RESTARTS_TELL   (60 * INT64_C(1000))  /* a line in the log at most so often, ms */
#define RESTARTS_RECENT (600 * INT64_C(1000)) /* for so long after the last one it is said, ms */

struct restarts;

struct used_number {
    uint64_t key; /* a hash of the key, its topic and its epoch */
    uint64_t number;
    uint32_t behind; /* how many numbers there are from it to the last; above 0 */
    bool is_resent;  /* its timestamp is below that of an earlier record of the partition */
};

struct restarts *restarts_new(void);
void restarts_free(struct restarts **restarts);
/* Is it suspect? */
bool restarts_suspect(struct restarts *restarts, const struct used_number *used, uint64_t now_ms);
/* How many suspects there were since this was last asked with an answer above 0, the newest
 * included; 0: it was told of lately. */
uint64_t restarts_to_tell(struct restarts *restarts, uint64_t now_ms);
/* Was there a suspect in the last RESTARTS_RECENT ms? */
bool restarts_recent(const struct restarts *restarts, uint64_t now_ms);

#endif
