/*
 * The inside of a ledger, shared by the files that implement it (ledger.c queues and batches,
 * requests.c small requests, holds.c). Nobody else includes this.
 */
#ifndef OG_LEDGER_PARTS_H
#define OG_LEDGER_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "ledger/batch.h"
#include "ledger/ledger.h"
#include "ledger/session.h"
#include "ledger/swap.h"
#include "ledger/tls.h"
#include "ledger/wire.h"

/* Counts of operations under way, by hash of their key. A collision makes an operation wait for one
 * more answer, no more. */
#define LEDGER_LANES 16384

struct op_list {
    struct ledger_op *first, *last;
    size_t count;
};

struct request;
struct request_list {
    struct request *first, *last;
};

struct hold {
    char *route;
    char *by;
    bool held;
    bool read; /* a first time */
    struct hold *next;
};

/* One call of apply_ops or swap_states on its way. */
struct batch_call {
    struct ledger *ledger;
    struct ledger_op *ops[LEDGER_BATCH_MAX];
    size_t count;
    bool swap, swapped[LEDGER_BATCH_MAX]; /* of swap_states, and what it replaced */
    uint64_t sent_ns;
    bool wait; /* its answer counts only when WAIT, sent behind it, says that enough replicas have
                  it */
    unsigned
        void_waits; /* answers to WAIT still to come that belong to an attempt before this one */
    struct batch_call *next, *prev;
};

struct ledger {
    struct loop *loop;
    const struct redis_config *config;
    struct ledger_events events;
    struct tls *tls; /* NULL: plain connections */
    struct session *session;
    struct sentinel
        *sentinel;   /* says where the session's server is; NULL: the configuration does */
    char place[280]; /* what it said last, for people; "" before */
    struct name_cache *names;
    struct swaps *swaps; /* NULL: all goes to apply_ops */
    bool freeing;
    bool up;
    char why[400];

    struct op_list finishes, claims; /* queued */
    struct op_list
        ended; /* to be completed by end_task: cancelled, or refused without asking Redis */
    size_t pending;
    struct batch_call *first_call, *last_call; /* in the order sent */
    size_t calls;
    uint16_t lanes[LEDGER_LANES];
    struct loop_task pump_task, end_task;
    struct buf out;

    struct request_list waiting, sent; /* small requests */
    struct hold *holds;
    bool polling; /* an answer about holds is on its way */
    struct loop_timer poll_timer;

    struct metrics *metrics; /* NULL: none */
    struct metric *up_gauge, *wipes, *failovers, *call_seconds, *swap_seconds, *swap_misses,
        *unasked;
};

/* requests.c */
void requests_flush(struct ledger *ledger);
void requests_requeue(struct ledger *ledger);
void requests_cancel(struct ledger *ledger);

/* holds.c */
void holds_init(struct ledger *ledger);
void holds_deinit(struct ledger *ledger);
void holds_connection_lost(struct ledger *ledger);

/* An error reply that says "not now" or "not you" rather than "not this". */
bool ledger_is_refusal(const char *error);
void ledger_count_error(struct ledger *ledger, const char *error);

#endif
