/*
 * A small request inside the ledger: one command that may be sent again when its fate is unknown.
 * For the files that make some (requests.c, fences.c, cluster.c). Nobody else includes this.
 */
#ifndef OG_LEDGER_REQUESTS_H
#define OG_LEDGER_REQUESTS_H

#include "ledger/parts.h"
#include "ledger/scripts.h"

typedef void (*request_done)(void *arg, const struct err *err);

struct request {
    struct ledger *ledger;
    struct queue *queue; /* whose server is asked */
    struct node *node;   /* sent: to whom */
    TAILQ_ENTRY(request) in_list;
    bool is_script;
    enum script script;
    size_t keys, args; /* script: how many of each stand in body */
    struct buf body;   /* a whole command, or a script's keys and arguments */
    bool check_sentinel;
    bool early; /* sent before the number of shards is known to be right */
    /* Reads the answer (no error reply), and calls done. */
    void (*read)(struct request *request, const struct redisReply *reply);
    /* Tells that it failed. */
    void (*fail)(struct request *request, const struct err *err);
    union {
        request_done plain;
        void (*topic)(void *arg, enum ledger_topic found, const struct err *err);
        void (*known)(void *arg, bool known, const struct err *err);
        void (*count)(void *arg, uint32_t count, const struct err *err);
    } done;
    void *arg;
    struct ledger_owner *owner;
    struct buf *out;
    uint32_t shard;
    struct hold *hold; /* what it sets, where it is watched */
    char value[48];    /* what it writes, for read */
};

/* done may be NULL. It is read by calling done without a look at the answer, until read is set. */
struct request *request_new(struct ledger *ledger, struct queue *queue, request_done done,
                            void *arg);
void request_use_script(struct request *request, enum script script, size_t keys, size_t args);
/* Sent in a later turn, in the order started; it is freed after read or fail. */
void request_start(struct request *request);
/* For done.known: an answer of 1 is true. */
void request_read_known(struct request *request, const struct redisReply *reply);
void request_fail_known(struct request *request, const struct err *err);

#endif
