/*
 * The assignment of a route: what happens when partitions come and go, draining, commits, fences.
 */
#ifndef OG_FLOW_ASSIGN_H
#define OG_FLOW_ASSIGN_H

#include <stdbool.h>

#include "base/err.h"
#include "kafka/consumer.h"

struct part;
struct route;

void assign_init(struct route *route);
void assign_deinit(struct route *route);
/* The consumer's events; ctx is the route. */
void assign_assigned(void *ctx, struct kafka_partition **partitions, size_t count);
void assign_revoked(void *ctx, bool lost);

/* One more record was settled: commits after commit.records of them. */
void assign_settled(struct route *route);
/* A claim was fenced: stops the partition until a commit proves that it is ours, and then takes a
 * new token. */
void assign_prove(struct part *part);
/* Commits what is settled, unless a commit is under way; proves what has to be proven. */
void assign_commit(struct route *route);
/* Marks were written, or could not be: commits what they cover. */
void assign_commit_marked(struct route *route);
/* The ledger lost its data: tells it again which partitions this group has offsets on. */
void assign_remark(struct route *route);
/* A step ended: goes on with a drain that waits for the last one. */
void assign_check_drained(struct route *route);
/* Stops intake and new deliveries, lets the steps under way end within limit_ms, commits, then
 * calls done once. */
void assign_drain(struct route *route, int64_t limit_ms, void (*done)(struct route *route));
/* Every partition is gone: late answers settle nothing any more. */
void assign_forget(struct route *route);

#endif
