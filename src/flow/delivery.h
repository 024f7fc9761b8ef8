/*
 * One record in this process, from the moment it is taken from Kafka until its offset is settled
 * (and, for a parked follower that is kept in memory, until that is delivered or dropped). Plain
 * data; the transitions are in life.c.
 *
 *   QUEUED ─► READY ─► CLAIMING ─► HANDLING ─┬─► FINISHING ─► settled
 *     ▲                   │           │      └─► PRODUCING ─► FINISHING ─► settled (and maybe TWIN)
 *     └──── WAITING ◄─────┴───────────┘
 */
#ifndef OG_FLOW_DELIVERY_H
#define OG_FLOW_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/loop.h"
#include "kafka/producer.h"
#include "ledger/ledger.h"
#include "record/headers.h"
#include "record/identity.h"
#include "record/record.h"

struct lane;
struct part;
struct route;
struct route_topic;
struct attempt;
struct redriven;

enum delivery_state {
    DELIVERY_QUEUED,     /* in its lane, behind others */
    DELIVERY_CLAIMING,   /* a claim is under way; a slot is held */
    DELIVERY_GATHERED,   /* waits for the others of its batch, or for a request that may go out */
    DELIVERY_HANDLING,   /* the request is under way; a slot is held */
    DELIVERY_WAITING,    /* current in its lane, for a timer; no slot, no claim */
    DELIVERY_RELEASING,  /* gives its claim back before it waits */
    DELIVERY_PRODUCING,  /* a copy is on its way */
    DELIVERY_TELLING,    /* redriven: its letter's state is on its way */
    DELIVERY_FINISHING,  /* the fact is on its way to the ledger */
    DELIVERY_COMMITTING, /* at most once: recorded as done, its commit is awaited */
    DELIVERY_TWIN,       /* settled, parked in a tier, kept in memory to follow its head at once */
};

/* Why a delivery waits; shown by status. */
enum wait_reason {
    WAIT_NONE,
    WAIT_INLINE,      /* backoff before an inline retry */
    WAIT_RETRY_AFTER, /* the handler asked for it */
    WAIT_BUSY,        /* another member holds a claim on the key */
    WAIT_PARK_FULL,   /* the key's parked list is at its cap */
    WAIT_FENCED,      /* ownership is being proven again */
    WAIT_HELD,        /* breaker, pause, flood: the route does not deliver */
    WAIT_PRODUCE,     /* a copy cannot be written at present */
    WAIT_SPOOL,       /* nor can the spool take it */
    WAIT_STATE,       /* its letter's state cannot be written at present */
};

/* What was decided about a record whose copy is being written. */
enum copy_purpose {
    COPY_TO_TIER_FAILED,   /* the handler failed: an attempt was spent */
    COPY_TO_TIER_FOLLOWER, /* BLOCKED or NOT_HEAD: no attempt */
    COPY_TO_TIER_LATER,    /* due before the handler's Retry-After: round again, no attempt */
    COPY_TO_DLQ,
};

TAILQ_HEAD(delivery_list, delivery);

struct delivery {
    struct route *route;
    struct part *part;         /* where it was consumed; referenced */
    struct route_topic *topic; /* of the origin; NULL where a copy could not be read */
    struct lane *lane;
    TAILQ_ENTRY(delivery) in_lane;
    TAILQ_ENTRY(delivery) in_route;
    TAILQ_ENTRY(delivery) in_part; /* while in_row: see once.h */

    struct record rec;
    size_t bytes;  /* counted against limits.bytes */
    uint64_t slot; /* of the partition's watermark */
    bool settled;
    bool counted; /* counts against limits.records and limits.bytes */

    struct origin origin;
    struct identity identity;
    struct buf identity_store;
    enum ledger_source source;
    bool twin;                  /* lives on in memory after its own offset was settled */
    int32_t tier_ms;            /* the tier that its current copy is in; 0: none */
    int64_t copy_offset;        /* the current copy's offset there */
    int64_t due_wall_ms;        /* of a tier copy; 0: at once */
    int64_t not_before_wall_ms; /* what the handler asked for, where it is later than due */

    uint32_t attempt; /* deliveries made so far, whatever the visit */
    uint32_t hop;     /* copies made so far */
    uint32_t inline_retries;
    bool failed_visit; /* an earlier visit ended in a failure: not a follower that only waited */
    int64_t first_failed_at_ms, last_failed_at_ms;
    int64_t retry_after_ms;  /* of the last answer, while it waits for it */
    struct slice redrive_id; /* null: not a redrive */
    bool redrive_force;
    uint32_t redrive_count;

    enum delivery_state state;
    enum wait_reason wait;
    uint64_t begun_ms; /* of the watchdog; 0: not begun */
    bool stuck_told;
    bool in_step; /* counted in route->busy */
    bool holds_claim;
    bool holds_slot;
    bool probe; /* goes out while the breaker is open */
    bool indeterminate;
    bool ambiguous; /* the last attempt's effect is unknown: its claim is left to lapse */
    bool alone; /* the batch that it was in failed as a whole: its next request has no other record
                 */
    bool deliver_outdated;
    bool awaits_copy; /* a twin that is not due: only its copy in the tier may be delivered */
    bool in_row;      /* at most once: not decided upon yet */
    bool once;        /* at most once: recorded as done, and never to be delivered again */
    bool copy_lost; /* a twin whose copy expired in its tier: delivered from memory all the same */
    bool is_resent; /* from source: older than one before it, as a batch that a producer sent twice
                     */
    bool bad_copy;  /* on a retry topic, and not ours to read */
    enum copy_purpose purpose;
    uint64_t lease_deadline_ns;
    bool has_timer;
    struct loop_timer timer;

    struct ledger_op op;
    void (*after_release)(struct delivery *d);
    struct attempt *attempt_now; /* while HANDLING */
    struct copy_job *copy;       /* while PRODUCING, and from a failure until it is settled */
    struct redriven *redriven;   /* of a copy that names a dead letter; see redriven.h */
};

#endif
