/* Several redis-servers that belong together: a master with a replica and three sentinels, or a
 * cluster of three masters with a replica each. All on 127.0.0.1, all end with the test. */
#ifndef OG_TESTS_REDIS_TOPOLOGY_H
#define OG_TESTS_REDIS_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "redis_peer.h"

#define TOPOLOGY_SENTINELS 3
#define TOPOLOGY_MASTERS   3

#define TOPOLOGY_NODES (2 * TOPOLOGY_MASTERS)

/* A server, its port, and the words of its command line. */
struct topology_node {
    struct redis_peer peer;
    uint16_t port;
    char words[32][80];
    char id[41]; /* cluster */
};

/* Servers speak TLS only, among themselves too; files in PEM. */
struct topology_tls {
    const char *cert_file, *key_file, *ca_file;
};

struct sentinel_topology {
    struct topology_node data[2]; /* 0 is the master at first */
    struct topology_node sentinels[TOPOLOGY_SENTINELS];
    char config[2000]; /* of the sentinels */
    const struct topology_tls *tls;
    struct redis_place places[TOPOLOGY_SENTINELS];
    char host[16];
};

/* password: of the sentinels' user "watcher", who may ask only what the ledger asks; NULL: all may.
 * tls: NULL for none. Returns when every sentinel knows the replica and the other sentinels. */
void sentinel_topology_start(struct sentinel_topology *topology, const char *password,
                             const struct topology_tls *tls);
/* Starts sentinel i alone, from the configuration that stands there. */
void sentinel_topology_add(struct sentinel_topology *topology, size_t i);
void sentinel_topology_stop(struct sentinel_topology *topology);
/* What the ledger needs to know; borrowed from the topology. */
void sentinel_topology_configure(struct sentinel_topology *topology, struct redis_config *config);
/* Which of data the sentinels name, or -1 while they disagree. */
int sentinel_topology_master(struct sentinel_topology *topology);

struct cluster_topology {
    struct topology_node nodes[TOPOLOGY_NODES]; /* the masters at first, then a replica of each */
    struct redis_place places[TOPOLOGY_MASTERS];
    char host[16];
};

/* Returns when the cluster is well and every replica takes writes. */
void cluster_topology_start(struct cluster_topology *topology, const struct topology_tls *tls);
void cluster_topology_stop(struct cluster_topology *topology);
void cluster_topology_configure(struct cluster_topology *topology, struct redis_config *config);
/* The node that serves a slot, as the first living node sees it; -1: none. */
int cluster_topology_owner(struct cluster_topology *topology, uint16_t slot);
/* Moves a slot as an operator's tool does, in steps: begin (both nodes know), some keys, all. */
void cluster_topology_begin_move(struct cluster_topology *topology, uint16_t slot, int to);
/* Moves at most so many keys; returns how many there were. */
int cluster_topology_move_keys(struct cluster_topology *topology, uint16_t slot, int to, int most);
void cluster_topology_end_move(struct cluster_topology *topology, uint16_t slot, int to);
/* Kills a node, or starts it again. */
void cluster_topology_kill(struct cluster_topology *topology, int node);
void cluster_topology_resume(struct cluster_topology *topology, int node);

#endif
