/*
 * The inside of a ledger, shared by the files that implement it: ledger.c what users see,
 * calls.c queues and batches, nodes.c servers and their sessions, cluster.c who serves what,
 * requests.c small requests, fences.c tokens, holds.c pauses. Nobody else includes this.
 */
#ifndef OG_LEDGER_PARTS_H
#define OG_LEDGER_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "ledger/batch.h"
#include "ledger/finished.h"
#include "ledger/known_states.h"
#include "ledger/ledger.h"
#include "ledger/session.h"
#include "ledger/swap.h"
#include "ledger/tls.h"
#include "ledger/wire.h"

struct redisReply; /* hiredis */

/* Counts of operations under way, by hash of their key. A collision makes an operation wait for one
 * more answer, no more. */
#define LEDGER_LANES 16384

TAILQ_HEAD(op_list, ledger_op);
TAILQ_HEAD(call_list, batch_call);

TAILQ_HEAD(request_list, request);

struct hold {
    char *route;
    char *by;
    bool held;
    bool read; /* a first time */
    struct hold *next;
};

/* A server that is written to. One alone, one that sentinels name, or one of a cluster's masters.
 */
struct node {
    struct ledger *ledger;
    struct session *session;
    char *host; /* in a cluster; else NULL, and the session is aimed by others */
    uint16_t port;
    bool up;          /* its session is, and its replicas have what they should */
    bool unconfirmed; /* too few replicas have its writes: WAIT is asked again by wait_timer */
    char why[400];    /* not up: why */
    size_t calls;     /* on their way */
    struct loop_timer wait_timer;
    struct node *next;
};

/*
 * What may share a call: everything, or in a cluster the keys of one slot. There is one queue, or
 * in a cluster one for each shard and one for each of the fixed hash tags.
 */
struct queue {
    struct op_list finishes, claims;
    size_t queued;          /* in both */
    struct call_list calls; /* on their way, in the order sent */
    size_t call_count;
    struct node *node;  /* who is asked; NULL: not known */
    uint16_t slot;      /* in a cluster */
    bool paused;        /* its slot is being moved: until the next tick */
    uint64_t moved_ns;  /* when it was sent to another node last */
    uint64_t moving_ns; /* since when its slot is being moved; 0: it is not */
    uint64_t later_ns;  /* when a call was put off for that last */
};

/* One call of apply_ops or swap_states on its way. */
struct batch_call {
    struct queue *queue;
    struct node *node;
    struct ledger_op *ops[LEDGER_BATCH_MAX];
    size_t count;
    bool swap, swapped[LEDGER_BATCH_MAX]; /* of swap_states, and what it replaced */
    uint64_t sent_ns;
    bool wait; /* its answer counts only when WAIT, sent behind it, says that enough replicas have
                  it */
    bool is_short; /* WAIT said too few */
    bool moved;    /* not executed: goes back once WAIT has answered */
    unsigned
        void_waits; /* answers to WAIT still to come that belong to an attempt before this one */
    TAILQ_ENTRY(batch_call) in_list;
};

struct ledger {
    struct loop *loop;
    const struct redis_config *config;
    struct ledger_events events;
    struct tls *tls;           /* NULL: plain connections */
    struct sentinel *sentinel; /* says where the one node is; NULL: the configuration does */
    char place[280];           /* what it said last, for people; "" before */
    struct cluster *cluster;   /* NULL: not one */
    struct node *nodes;
    struct name_cache *names;
    struct known_states *states; /* NULL: all goes to apply_ops */
    struct finished *finished;
    uint64_t shaken_ns; /* when writes may have been lost last; 0: never */
    bool freeing;
    bool up;
    char why[400];

    struct queue *queues;
    size_t queue_count;
    struct queue *meta, *fence; /* those of the fixed hash tags; the one queue where there is one */
    struct call_list spare_calls; /* to be used again */
    struct op_list
        ended; /* to be completed by end_task: cancelled, or refused without asking Redis */
    size_t pending;
    uint16_t lanes[LEDGER_LANES];
    struct loop_task pump_task, end_task;
    struct buf out;

    struct request_list waiting, sent; /* small requests */
    STAILQ_HEAD(, ledger_mark) marks;  /* to be joined: see joins.c */
    struct hold *holds;
    bool polling; /* an answer about holds is on its way */
    struct loop_timer poll_timer;

    struct metrics *metrics; /* NULL: none */
    struct metric *up_gauge, *wipes, *failovers, *short_waits, *reasserted, *call_seconds,
        *swap_seconds, *swap_misses, *unasked;
};

/* ledger.c */
/* Tells whether all can be written, where that changed. */
void ledger_look(struct ledger *ledger);
void ledger_tell_wiped(struct ledger *ledger);
/* An error reply that says "not now" or "not you" rather than "not this". */
bool ledger_is_refusal(const char *error);
void ledger_count_error(struct ledger *ledger, const char *error);

/* calls.c */
void calls_init(struct ledger *ledger);
void calls_open_queues(struct ledger *ledger, size_t count);
struct queue *calls_queue_of(struct ledger *ledger, uint64_t key_hash);
/* Answers it at once, or queues it; done follows from the loop. */
void calls_take(struct ledger *ledger, struct ledger_op *op);
void calls_end(struct ledger *ledger, struct ledger_op *op); /* done follows, from the loop */
void calls_unqueue(struct ledger *ledger, struct ledger_op *op);
void calls_pump(struct ledger *ledger);
void calls_end_all(struct ledger *ledger);
/* What is on its way to the node is sent again, to whoever serves it then. */
void calls_requeue(struct node *node);
/* Enough replicas have what the node was told. */
void calls_confirm(struct node *node);
/* What is queued is cancelled, all is freed; nothing is on its way any more. */
void calls_deinit(struct ledger *ledger);

/* nodes.c */
/* host NULL: it is aimed later. probe_key: a key that is its own (see session_new); NULL outside a
 * cluster. */
struct node *nodes_add(struct ledger *ledger, const char *host, uint16_t port,
                       const char *probe_key, struct err *err);
/* Those that nobody uses and that owe no answer; never from inside a node's callback. */
void nodes_remove_idle(struct ledger *ledger, bool (*is_used)(struct ledger *, struct node *));
void nodes_free(struct ledger *ledger);
void nodes_add_wait(struct buf *out, const struct redis_config *config);
bool nodes_waited_for_enough(const struct node *node, const struct redisReply *reply);
/* WAIT answered so: nothing more is sent to it, and WAIT is asked again, until enough replicas have
 * its writes. */
void nodes_unconfirmed(struct node *node, const struct redisReply *reply);

/* requests.c */
void requests_init(struct ledger *ledger);
void requests_flush(struct ledger *ledger);
void requests_requeue(struct node *node);
void requests_cancel(struct ledger *ledger);

/* joins.c */
void joins_init(struct ledger *ledger);
void joins_flush(struct ledger *ledger);
void joins_cancel(struct ledger *ledger);

/* holds.c */
void holds_init(struct ledger *ledger);
void holds_deinit(struct ledger *ledger);
void holds_connection_lost(struct ledger *ledger);
/* NULL where nobody watches it. */
struct hold *holds_find(struct ledger *ledger, const char *route);
/* This process set it: what is read next is reported, also where somebody lifted it meanwhile. */
void holds_expect(struct hold *hold);

#endif
