/*
 * Redis Cluster's arithmetic and its answers: which slot a key is in, who serves it, and where an
 * error sends a call. Plain values, no connection.
 *
 * Sources: the cluster specification at redis.io; CRC16 is XMODEM (polynomial 0x1021, start 0).
 */
#ifndef OG_LEDGER_SLOTS_H
#define OG_LEDGER_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define SLOTS_COUNT     16384
#define SLOTS_NODES_MAX 1024
#define SLOTS_HOST_MAX  256
#define SLOTS_NOBODY    UINT16_MAX

struct redisReply; /* hiredis */

uint16_t slots_crc16(struct slice bytes);
/* What stands between the first '{' and the next '}', where there is something; else the whole. */
uint16_t slots_of_key(struct slice key);

struct slots_node {
    char host[SLOTS_HOST_MAX];
    uint16_t port;
};

/* Who serves what; large, so never on the stack. */
struct slots_map {
    uint16_t master_of[SLOTS_COUNT];          /* index into nodes, or SLOTS_NOBODY */
    struct slots_node nodes[SLOTS_NODES_MAX]; /* masters and replicas, each once */
    size_t node_count;
};

/*
 * Reads the answer to CLUSTER SLOTS. asked: the host that was asked, which a node without a name of
 * its own shares. False where it is no such answer; map is then of no use.
 */
bool slots_read(const struct redisReply *reply, const char *asked, struct slots_map *map)
    __attribute__((warn_unused_result));

enum redirect_kind {
    REDIRECT_NONE,
    REDIRECT_MOVED, /* the slot belongs to another node */
    REDIRECT_LATER, /* ASK, TRYAGAIN: it is on its way to another node */
};

struct redirect {
    enum redirect_kind kind;
    uint16_t slot;          /* MOVED */
    struct slots_node node; /* MOVED; host "": the one that answered */
};

/* Reads an error reply's text. */
void redirect_read(struct slice error, struct redirect *redirect);

#endif
