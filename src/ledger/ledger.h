/*
 * The ledger: per-key state in Redis, and the two verbs on it. `claim` asks for the right to
 * deliver a record for a lease; `finish` records a fact. Only claim is fenced; finish joins by
 * maximum, so late, repeated and zombie completions are safe. See docs/ledger.md for the protocol:
 * states, scripts, memory.
 *
 * Operations are embedded in their owner, gathered during a turn of the loop and sent as batches
 * (up to LEDGER_BATCH_MAX items a call, several calls in flight; finishes of a batch are applied
 * before its claims). `done` runs exactly once per submit, never inside it. While Redis is away,
 * refuses writes, or an answer's fate is unknown, the operation stays queued here and is sent again
 * when Redis is back (every script is idempotent for the same token): done means "executed", or
 * cancelled. Fail closed. Owning thread: the worker's.
 */
#ifndef OG_LEDGER_LEDGER_H
#define OG_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "base/siphash.h"
#include "base/slice.h"
#include "config/config.h"
#include "record/identity.h"

#define LEDGER_BATCH_MAX 128

struct ledger;

/* Answers; the numbers are the scripts' (lua/include/codes.lua), a test keeps them equal. */
enum ledger_code {
    /* claim */
    LEDGER_GO = 0,            /* deliver it; the claim is held until lease_deadline_ns */
    LEDGER_DUP = 1,           /* proven done: settle */
    LEDGER_DUP_PARKED = 2,    /* a retry copy is pending: settle */
    LEDGER_INDETERMINATE = 3, /* at or below the floor: cannot know; claim held: deliver flagged, or
                                 dead-letter, by policy */
    LEDGER_STALE = 4,   /* an older epoch, not covered; claim held. From source: dead-letter; from
                           retry: deliver */
    LEDGER_BLOCKED = 5, /* ordered, an earlier record of the key is parked: produce to head_tier,
                           finish(PARKED) */
    LEDGER_NOT_HEAD =
        6, /* ordered, a copy that is not the first parked: produce to head_tier, finish(PARKED) */
    LEDGER_BUSY = 7,       /* another live claim; busy_ms until it lapses */
    LEDGER_SUPERSEDED = 8, /* a copy with a lower hop than the parked entry's: settle */
    LEDGER_PARK_FULL = 9,  /* would be BLOCKED or NOT_HEAD, but the key's parked list is at its cap:
                              nothing may be produced */
    LEDGER_FENCED = 10,    /* a newer owner of the consumed partition exists */
    LEDGER_OUTDATED = 11,  /* version: below the highest done, or the same from another origin where
                              proven; claim NOT held */
    LEDGER_MOVED_ON = 12,  /* redrive if-newer: the key has moved on: settle, counted */
    LEDGER_CORRUPT = 13,   /* the state cannot be read (foreign bytes): claim NOT held; alarm,
                              dead-letter by policy on_indeterminate */
    /* finish */
    LEDGER_OK = 20, /* recorded, and the claim was ours (and is gone) */
    LEDGER_LOST =
        21, /* recorded; the claim was not ours any more (it lapsed, or somebody else finished) */
    LEDGER_DONE = 22,    /* finish(PARKED) of a record proven done meanwhile: nothing appended; the
                            copy will be found a duplicate */
    LEDGER_REFUSED = 23, /* finish(PARKED) beyond the cap: nothing written; claim again later */
};

enum ledger_source {
    LEDGER_SOURCE,  /* consumed from a source topic */
    LEDGER_TIER,    /* consumed from a retry tier, or the in-memory twin of such a copy */
    LEDGER_REDRIVE, /* consumed from the redrive topic */
};

enum ledger_verb { LEDGER_CLAIM, LEDGER_FINISH };

enum ledger_fact {
    LEDGER_SUCCEEDED, /* the handler took it */
    LEDGER_GIVEN_UP,  /* dead-lettered, or dropped by outcome or policy: durable elsewhere or
                         explicit */
    LEDGER_PARKED,    /* a retry copy is acknowledged at (tier, copy_offset) with `hop` */
    LEDGER_RELEASE,   /* only the claim goes */
    LEDGER_BLOCKING, /* given up as a dead letter at copy_offset of its topic, and its key waits for
                        a person or a redrive; ordered scopes. `tier` is told with BLOCKED */
};

/* What a route's records of one topic have in common. Made once (ledger_scope_new), borrowed by
 * every operation. */
struct ledger_scope;
struct ledger_scope_config {
    const char *group;
    const char *topic; /* the source topic; NULL with scope: route */
    const char *route; /* used in the key where scope is route */
    enum identity_kind kind;
    bool ordered; /* ordering: key */
    int64_t ttl_ms;
    int64_t ghost_ttl_ms;
    uint32_t parked_cap; /* parked.per_key */
};
struct ledger_scope *ledger_scope_new(struct ledger *ledger,
                                      const struct ledger_scope_config *config);
/* That of a route and one of its source topics, for whoever asks about single keys. */
struct ledger_scope *ledger_scope_of_route(struct ledger *ledger, const struct route_config *route,
                                           const char *topic);
void ledger_scope_free(struct ledger_scope **scope);

/* A consumed topic-partition and its fence token: who claims. Owned by the flow, borrowed by
 * operations. */
struct ledger_owner {
    char name[300]; /* "<topic>/<partition>", NUL-terminated */
    uint64_t token; /* 0 until ledger_fence is done */
    bool unbuilt;   /* set by ledger_fence: the ledger cannot be trusted to know what is parked for
                       this partition (it is new here, or the   data were lost); true for every taker
                       until one calls ledger_rebuilt */
};

struct ledger_op {
    /* in */
    enum ledger_verb verb;
    const struct ledger_scope *scope;
    const struct ledger_owner *owner;
    enum ledger_source source;
    enum identity_kind
        kind;         /* the scope's, or IDENTITY_NONE where the identity could not be read */
    struct slice key; /* the order key; null: one key per origin partition. Borrowed until done */
    struct slice event_id; /* event-id; borrowed until done */
    uint64_t epoch, number;
    struct slice origin_topic; /* rank: the origin, from our headers on copies */
    int32_t origin_partition;
    int32_t origin_leader_epoch;
    int64_t origin_offset;
    uint32_t hop; /* claim: of the consumed copy; finish(PARKED): of the new copy */
    int32_t tier; /* finish(PARKED): the tier that the new copy is in, named by its delay in ms (an
                     index would change its meaning) */
    int64_t copy_offset; /* finish(PARKED): its offset there */
    uint32_t lease_ms;   /* claim */
    uint32_t keep_ms; /* finish(SUCCEEDED): 0, or for how long the claim may stay for the key's next
                         record, so that its claim need not ask Redis */
    uint32_t
        cover_ms; /* claim: what a claim that was kept must still cover to be used; 0: always ask */
    bool observe; /* claim: count what would have stopped, but answer GO (would_code says what it
                     was) */
    bool has_ghost; /* claim: evidence that the head's copy is gone: that tier partition's settled
                       watermark is beyond it */
    int32_t ghost_tier; /* ms */
    int64_t ghost_offset;
    struct slice redrive_id; /* source REDRIVE */
    bool redrive_force;
    enum ledger_fact fact; /* finish */
    bool keep_claim; /* finish(PARKED): the handler may still be running (timeout): the claim stays
                        until its lease lapses */
    void (*done)(struct ledger_op *op);
    void *arg;

    /* out */
    enum ledger_code code;
    enum ledger_code would_code; /* observe; else equal to code */
    bool cancelled;              /* not known to be executed; code means nothing */
    uint32_t busy_ms;            /* BUSY */
    uint32_t behind;   /* DUP of a source record of an ordered sequence that was not read again, so
                          that its number was used again: how many numbers there are from it to the
                          last of its epoch (1: it is the last). Else 0 */
    int32_t head_tier; /* BLOCKED, NOT_HEAD, PARK_FULL: tier (ms) of the head's current copy */
    int64_t head_offset; /* and its offset there */
    bool head_expired;   /* the head's ghost time passed: claim again with the evidence, if there is
                            such */
    bool head_blocks; /* the head is a dead letter (LEDGER_BLOCKING): it goes by ledger_release_key
                         or a redrive only */
    uint32_t parked_count;      /* of the key, after the operation */
    uint8_t generation;         /* of the key's state, modulo 64: how often it was reset */
    uint64_t lease_deadline_ns; /* GO, INDETERMINATE, STALE: monotonic, measured from before the
                                   (last) send */

    /* the ledger's */
    TAILQ_ENTRY(ledger_op) in_list;
    uint64_t key_hash;
    struct siphash finished_as; /* finish: finished.h */
    uint64_t sent_ns;
    uint8_t state;
    bool no_swap; /* its state was not the expected one */
    bool looks;   /* a claim of what is done, if its state is the expected one */
    bool renews;  /* the expiry of its state, if that is the expected one */
};

struct ledger_events {
    /* Redis answers and takes writes, or not (text says why, borrowed). Called on changes, from the
     * loop. */
    void (*availability)(void *ctx, bool up, const char *why);
    /* The sentinel key is gone or another: Redis lost its data (or is another Redis). */
    void (*wiped)(void *ctx);
    /* A route's hold changed (a person's pause): see ledger_watch_hold. */
    void (*hold)(void *ctx, const char *route, bool held, const char *by);
    void *ctx;
};

/* Connects in the background and keeps reconnecting; never fails for an absent server. metrics may
 * be NULL. */
struct ledger *ledger_new(struct loop *loop, const struct redis_config *config,
                          const struct ledger_events *events, struct metrics *metrics,
                          struct err *err) MUST_CHECK;
/* Completes what is queued as cancelled. */
void ledger_free(struct ledger **ledger);
bool ledger_is_up(const struct ledger *ledger);
const char *ledger_why_down(const struct ledger *ledger); /* "" while up */

void ledger_submit(struct ledger *ledger, struct ledger_op *op);
/* A queued op completes as cancelled, one that is under way when its answer comes (done then has
 * cancelled set, whatever happened). */
void ledger_cancel(struct ledger *ledger, struct ledger_op *op);
/* Operations submitted and not done. */
size_t ledger_pending(const struct ledger *ledger);
/*
 * Redis granted this claim, but lost writes lately, and this process has finished the very record
 * (or its sequence, or its event id) before: with which fact. It is to be finished so again, not
 * delivered. To be asked in done of a claim that was answered GO or INDETERMINATE.
 */
bool ledger_knows_done(struct ledger *ledger, const struct ledger_op *op, enum ledger_fact *fact);

/* Small requests. done runs once, also on cancel by ledger_free (then with err set). All wait while
 * Redis is away. */

/* Takes a new fence token for owner->name: max(stored + 1, Redis time in ms); stores it in
 * owner->token before done. */
void ledger_fence(struct ledger *ledger, const char *group, struct ledger_owner *owner,
                  void (*done)(void *arg, const struct err *err), void *arg);

/* The owner gives its partition up, and nothing of it is under way: what it kept for next records
 * stands in nobody's way any more. done may be NULL. */
void ledger_release_kept(struct ledger *ledger, const char *group, const struct ledger_owner *owner,
                         void (*done)(void *arg, const struct err *err), void *arg);

/* All that is parked for the owner's partition is in the ledger (read from the tiers). done: false
 * where the token is not the newest any more, or the data were lost again meanwhile: then nothing
 * is marked. done may be NULL. */
void ledger_rebuilt(struct ledger *ledger, const char *group, const struct ledger_owner *owner,
                    void (*done)(void *arg, bool marked, const struct err *err), void *arg);

/* Meets a topic by its UUID text: first sight is stored. */
enum ledger_topic { LEDGER_TOPIC_NEW, LEDGER_TOPIC_SAME, LEDGER_TOPIC_OTHER };
void ledger_meet_topic(struct ledger *ledger, const char *group, const char *topic,
                       const char *uuid,
                       void (*done)(void *arg, enum ledger_topic found, const struct err *err),
                       void *arg);
/* Does the ledger know that this group has committed on that topic before? Then marks it known. */
void ledger_meet_group(struct ledger *ledger, const char *group, const char *topic,
                       void (*done)(void *arg, bool known, const struct err *err), void *arg);
void ledger_mark_group(struct ledger *ledger, const char *group, const char *topic,
                       void (*done)(void *arg, const struct err *err), void *arg);

/* Polls the holds of all routes (every 400 ms) and reports changes through events.hold. */
void ledger_watch_hold(struct ledger *ledger, const char *route);
/* by: who and why, shown by status. */
void ledger_set_hold(struct ledger *ledger, const char *route, bool held, const char *by,
                     void (*done)(void *arg, const struct err *err), void *arg);

/* The state of one key in words, for `ledger get` (text appended to out before done). */
void ledger_describe(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                     struct buf *out, void (*done)(void *arg, bool found, const struct err *err),
                     void *arg);
/* Forgets one key's state (writes a higher generation). */
void ledger_reset(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                  void (*done)(void *arg, const struct err *err), void *arg);
/* Lets a key go on that dead letters block: how many did. */
void ledger_release_key(struct ledger *ledger, const struct ledger_scope *scope, struct slice key,
                        void (*done)(void *arg, uint32_t released, const struct err *err),
                        void *arg);
/* Stores uuid for topic, whatever stood there. */
void ledger_adopt_topic(struct ledger *ledger, const char *group, const char *topic,
                        const char *uuid, void (*done)(void *arg, const struct err *err),
                        void *arg);

/* Once more a topic of that name was made again and adopted: its offsets count anew. */
void ledger_add_adoption(struct ledger *ledger, const char *group, const char *topic,
                         void (*done)(void *arg, const struct err *err), void *arg);
void ledger_count_adoptions(struct ledger *ledger, const char *group, const char *topic,
                            void (*done)(void *arg, uint32_t count, const struct err *err),
                            void *arg);
/* The group counts as one that never was on these partitions (ledger_meet_group). */
void ledger_forget_partitions(struct ledger *ledger, const char *group, const char *topic,
                              int32_t partitions, void (*done)(void *arg, const struct err *err),
                              void *arg);

/*
 * What is known of a key from elsewhere (record/mark.h), joined into its state by maximum, and what
 * is known then. Nothing but a newer token of the owner (or that it is gone: the data are) refuses
 * it. Sent again until it is answered; done runs once, from the loop, or by ledger_free.
 */
struct ledger_mark {
    /* in */
    const struct ledger_scope *scope;
    const struct ledger_owner *owner; /* NULL: nobody is fenced */
    struct slice key;                 /* borrowed until done; null: that of the partition */
    struct slice topic;               /* of the origin, where the key is null; as key */
    int32_t partition;                /* as topic */
    struct slice state; /* what is to be joined, borrowed until done; empty: only told */
    bool own;           /* it is what this process settled, when the key's state was of ... */
    uint8_t generation; /* ... this generation, as an answer said it */
    void (*done)(struct ledger_mark *mark);
    void *arg;

    /* out */
    bool cancelled;    /* not known to be executed */
    bool fenced;       /* nothing was done, nothing is told */
    struct slice told; /* valid in done; empty: nothing is known, or the state is not readable */

    /* the ledger's */
    STAILQ_ENTRY(ledger_mark) in_marks;
};
void ledger_join(struct ledger *ledger, struct ledger_mark *mark);

const char *ledger_code_name(enum ledger_code code);

#endif
