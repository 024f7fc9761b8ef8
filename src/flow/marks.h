/*
 * Marks (dedup.rebuild_from: topic): what the ledger knows of each key, written to a compacted
 * topic before the offsets that it covers are committed, and told to the ledger again after it lost
 * its data.
 *
 * A record that is settled makes its key dirty. When offsets are to be committed, the ledger is
 * asked for what it knows of the dirty keys (and told, in the same call, what this process finished
 * of them), and that is produced, one record a key. Only offsets that were settled before this
 * began are committed after it. Without the option nothing of this is there (route->marks is NULL).
 *
 *   settled ─► dirty ─► asked of the ledger ─► produced, acknowledged ─► its offset may be
 * committed ▲──────── not written: the commit waits ◄──┘
 *
 * Owning thread: the worker's.
 */
#ifndef OG_FLOW_MARKS_H
#define OG_FLOW_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/delivery.h"

struct marks;
struct part;
struct route;

void marks_init(struct route *route);
void marks_deinit(struct route *route);
/* The assignment is over: what was dirty is the next owner's to settle again. */
void marks_forget(struct route *route);

/* The delivery is settled: what is known of its key changed. Only where route->marks. */
void marks_touch(const struct delivery *d);
/*
 * A commit is wanted. True: marks have to be written first, and assign_commit_marked is called when
 * that has ended, whether it was done or not. False: commit now, what is marked.
 */
bool marks_begin(struct route *route);
bool marks_writing(const struct route *route);
/* The offset of the partition that may be committed. */
int64_t marks_covered(const struct part *part);
/* Why commits wait for marks; returns text, or NULL where they do not. */
const char *marks_why(const struct route *route, char *text, size_t size);

/*
 * A record of a marks topic, read for the source partition `part`: tells the ledger. done(arg) once
 * it has answered. False: it is no mark, or older than dedup.ttl, and done is not called.
 */
bool marks_tell(struct part *part, const struct record *rec, void (*done)(void *arg), void *arg);

#endif
