/*
 * Who serves which queue in a Redis Cluster. Asks one node after another for CLUSTER SLOTS, follows
 * MOVED, and holds a queue whose slot is on its way. Outside a cluster all of this does nothing.
 * Owning thread: the loop's.
 */
#ifndef OG_LEDGER_CLUSTER_H
#define OG_LEDGER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct cluster;
struct ledger;
struct node;
struct queue;
struct redisReply; /* hiredis */

struct cluster *cluster_new(struct ledger *ledger, struct err *err) MUST_CHECK;
void cluster_free(struct cluster **cluster);

/* The number of shards is the one that the cluster's keys are spread over: nothing may be written
 * before. */
bool cluster_is_known(const struct ledger *ledger);
/* Every queue has a server that is up; else why, "" where that is not known yet. */
bool cluster_is_up(struct ledger *ledger, char *why, size_t size);
/* An error reply that means another node, or later: the call was not executed, and its queue knows
 * now. */
bool cluster_redirects(struct queue *queue, struct node *node, const struct redisReply *reply);
/* A node was lost or speaks of another: asks soon who serves what. */
void cluster_hurry(struct ledger *ledger);
/* Looks at the sentinels of some shards; those of all in turn. */
void cluster_check_sentinels(struct ledger *ledger);
void cluster_check_sentinel(struct ledger *ledger, uint32_t shard);

#endif
