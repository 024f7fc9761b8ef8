/*
 * Which letters a redrive job skipped, and why: a record of dlq-jobs.<group>, key "<job>/skipped".
 *
 *   {"v":1,"unlisted":0,"topics":["<uuid>"],"letters":[["gone",0,2,17,3,25,1],...]}
 *
 * Each of `letters` is a reason, a place in `topics`, a partition, and pairs of a first offset and
 * how many follow each other from it; together the ids of letters (record/letter_state.h). So what
 * was skipped in one piece takes next to nothing, and a record is never larger than
 * REDRIVE_SKIPPED_MAX: what does not fit is `unlisted`, those first that the job met where it found
 * them done already. Owning thread: its user's.
 */
#ifndef OG_DLQ_REDRIVE_SKIPPED_H
#define OG_DLQ_REDRIVE_SKIPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "record/letter_state.h"
#include "record/redrive_job.h"

/* More than 10,000 letters of which none follows another. */
#define REDRIVE_SKIPPED_MAX (256u << 10)

struct redrive_skipped;

struct redrive_skipped *redrive_skipped_new(void);
void redrive_skipped_free(struct redrive_skipped **list);

/* Copies the id. Each letter once. */
void redrive_skipped_add(struct redrive_skipped *list, enum redrive_skip why,
                         const struct letter_id *id);
/* Appends the record's value; how many letters it names. Sorts the list. */
uint64_t redrive_skipped_write(struct redrive_skipped *list, struct buf *out);

/* NULL: this release cannot make sense of it. */
struct redrive_skipped *redrive_skipped_read(struct slice value, struct err *err) MUST_CHECK;

/* Of a list that was read: in the order of reasons, topics and offsets. */
uint64_t redrive_skipped_count(const struct redrive_skipped *list);
/* *id borrows from the list. at: below the count. */
void redrive_skipped_get(const struct redrive_skipped *list, uint64_t at, enum redrive_skip *why,
                         struct letter_id *id);

#endif
