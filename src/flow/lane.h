/*
 * Lanes: the in-process queue of one order key (ordering: key), of one partition (ordering:
 * partition), or of one record (none). A lane has at most one current delivery, so a key's records
 * go one after the other whatever topic they come from.
 *
 *   retry  copies that came due (tiers, redrive)        first by rank among retry and twins,
 *   twins  followers parked in a tier, kept in memory   twins only while `drain` is set,
 *   source records of the source topics                 last, unless source_held
 *
 * Owning thread: the worker's. Knows nothing of ledger, handler or Kafka.
 */
#ifndef OG_FLOW_LANE_H
#define OG_FLOW_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "flow/delivery.h"

struct lane_table;

struct lane {
    struct delivery *current;
    struct delivery_list source, retry, twins;
    uint32_t source_count, twin_count;
    bool drain;       /* the head is finished: twins may be claimed from memory */
    bool blocked;     /* as last heard: a dead letter is the head, and twins wait for a person */
    bool source_held; /* the parked list is full: only retry and twins go on */
    bool turn_held;   /* its next record waits for earlier ones of its partition: see once.h */
    bool ready;       /* stands in the table's ready queue */
    bool hashed;
    uint64_t hash; /* of the key, for the breaker's distinct keys */
    TAILQ_ENTRY(lane) in_ready;
    struct lane_node *node; /* the hash table's own */
};

struct lane_table *lane_table_new(void);
void lane_table_free(struct lane_table **table);
size_t lane_table_count(const struct lane_table *table);

/* The lane of a key, made where it is not there yet. scope tells topics apart (scope: topic); kind
 * tells real keys from null ones. */
struct lane *lane_get(struct lane_table *table, uint32_t scope, char kind, struct slice key);
/* A lane for one record alone. */
struct lane *lane_single(struct lane_table *table, uint64_t hash);
void lane_push(struct lane_table *table, struct lane *lane, struct delivery *d);
/* Puts the current one back as the first of its queue. */
void lane_push_back(struct lane_table *table, struct lane *lane, struct delivery *d);
void lane_add_twin(struct lane_table *table, struct lane *lane, struct delivery *d);
/* Takes d out of whatever queue of the lane it stands in (not current). */
void lane_remove(struct lane *lane, struct delivery *d);
/* The twin of that origin offset, or NULL. */
struct delivery *lane_find_twin(struct lane *lane, int32_t partition, int64_t offset);
/* The next delivery that may go, made current; NULL if none. */
struct delivery *lane_next(struct lane *lane);
/* The current one is done with: the lane is freed when it is empty, or made ready when it has more.
 */
void lane_done(struct lane_table *table, struct lane *lane);
/* Makes the lane ready if it has work and no current. */
void lane_wake(struct lane_table *table, struct lane *lane);
/* The lane that has been ready for longest, taken out of the queue; NULL if none. */
struct lane *lane_pop_ready(struct lane_table *table);
/* Calls visit for every lane of a key; visit may free the lane that it is given, no other. */
void lane_each(struct lane_table *table, void (*visit)(struct lane *lane, void *arg), void *arg);
/* Lets the twins of blocked lanes be claimed once, to see whether they still are; how many lanes
 * there are. */
size_t lane_table_try_blocked(struct lane_table *table);
/* Ends source_held in every lane. */
void lane_table_unhold_sources(struct lane_table *table);
size_t lane_ready_count(const struct lane_table *table);
/* Calls visit for each delivery that is queued or a twin (not current); visit may remove it from
 * its lane. Then frees empty lanes. */
void lane_each_queued(struct lane_table *table, void (*visit)(struct delivery *d, void *arg),
                      void *arg);

#endif
