/*
 * One route on one worker, as the files of this folder share it. Not for other folders (those use
 * route.h). Owning thread: the worker's.
 */
#ifndef OG_FLOW_ROUTE_STATE_H
#define OG_FLOW_ROUTE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/loop.h"
#include "config/config.h"
#include "flow/delivery.h"
#include "flow/flood.h"
#include "flow/lane.h"
#include "flow/part.h"
#include "flow/restarts.h"
#include "flow/route_metrics.h"
#include "flow/stops.h"
#include "flow/turns.h"
#include "handler/breaker.h"
#include "handler/client.h"
#include "handler/request.h"
#include "kafka/consumer.h"
#include "ledger/ledger.h"

struct worker;

struct route_tier {
    char *name;
    int32_t ms;
    int32_t partitions;
    int64_t retention_ms; /* -1: for ever; 0: not known */
    bool retiring;        /* not in the configuration any more */
    char label[24];       /* "10s", for metrics */
};

/* A source topic and the topics that belong to it. */
struct route_topic {
    const char *name;    /* the configuration's */
    uint32_t lane_scope; /* its index, or 0 for all with scope: route */
    int32_t partitions;
    struct route_tier *tiers; /* ascending by ms; retiring ones too */
    size_t tier_count;
    char *redrive;
    char *dlq;
    int32_t dlq_partitions;
    char *marks; /* NULL: dedup.rebuild_from is none */
    int32_t marks_partitions;
    struct ledger_scope *scope;
    uint32_t incarnation; /* how often it was adopted: what is consumed now is of this one */
    struct rank_name {
        uint32_t incarnation;
        char *name;
    } * rank_names; /* "<name>~<incarnation>", as far as such were met */
    size_t rank_name_count;
};

enum route_phase {
    ROUTE_STARTING, /* waits for Kafka, Redis, its topics */
    ROUTE_JOINING,
    ROUTE_RUNNING,
    ROUTE_REVOKING, /* drains for a rebalance */
    ROUTE_DRAINING, /* drains for the shutdown */
    ROUTE_STOPPED,
    ROUTE_FAILED, /* needs a person */
    ROUTE_PHASES,
};

/* Why a route that runs does not deliver; bits. */
enum route_hold {
    HOLD_PERSON = 1 << 0,
    HOLD_FLOOD = 1 << 1,
    HOLD_HANDLER = 1 << 2, /* outcome `pause` */
    HOLD_TOPIC = 1 << 3,   /* a topic was recreated */
    HOLD_LEDGER = 1 << 4,  /* Redis is away or refuses */
    HOLD_MEETING = 1 << 7, /* the topics of the assignment are being met: see meet.h */
    HOLD_UNREAD = 1 << 6,  /* the holds have not been read from Redis yet */
    HOLD_OFFSETS = 1 << 5, /* committed offsets are gone, and the policy is stop */
    HOLD_MARKS = 1 << 8,   /* too many keys wait for their marks to be written */
};
#define HOLD_KINDS 9

struct route {
    struct worker *worker;
    struct loop *loop;
    const struct route_config *config;
    struct route_metrics metrics;

    enum route_phase phase;
    unsigned holds;
    char hold_why[HOLD_KINDS][200]; /* each hold's reason, by its bit */
    char trouble[300]; /* what keeps it from starting, or the last trouble of the consumer */

    struct route_topic *topics;
    size_t topic_count;
    char *letter_states; /* the topic dlq-state.<group> */

    struct kafka_consumer *consumer;
    unsigned lag_ticks;
    struct handler_client *client;
    struct request_template *template;
    struct breaker *breaker;
    struct flood flood;
    struct stops stops;
    struct restarts *restarts; /* NULL: its identity or its ordering has none */
    uint32_t keep_ms;          /* see claim_keep_ms */
    bool uses_ledger;          /* false: ordering none and identity none */

    struct part_list parts;
    size_t part_count;
    struct lane_table *lanes;
    struct delivery_list all; /* every delivery in memory */
    size_t delivery_count;

    size_t open_records; /* taken and not settled: against limits */
    uint64_t open_bytes;
    size_t twin_records;
    uint64_t twin_bytes;
    size_t twins_telling;    /* of them, those that are being parked again */
    struct rebuild *rebuild; /* see rebuild.h */
    struct marks *marks;     /* see marks.h; NULL: there are none */
    uint32_t slots_used;     /* claiming, handling, or done and not yet recorded by the ledger */
    uint32_t slots;
    size_t busy;             /* deliveries with a step under way: a drain waits for them */
    struct batches *batches; /* see batch.h; NULL: one record a request */

    struct turn turn; /* to give free slots to ready lanes */
    struct loop_task intake_task, drain_task;
    struct loop_timer probe_timer, commit_timer, drain_timer, retry_timer, lag_timer, start_timer;
    bool intake_blocked; /* it stopped for want of room */
    uint32_t settled_since_commit;
    bool committing;
    void (*drained)(struct route *route); /* a drain is under way */
    bool drain_late;                      /* its deadline passed */
    bool drain_committed;                 /* its last commit was sent */
    struct missing_set *missing;          /* the question for start offsets that is open, or NULL */
    struct loop_timer missing_timer;
    struct meeting *meeting; /* under way, or NULL */
    struct loop_timer meet_timer;
    struct lift *lift;                             /* see lift.h */
    struct delivery_list once_waiting, once_ready; /* for their commit; for a slot: see once.h */
    struct loop_task once_task;
    struct loop_timer once_timer;

    struct watchdog watchdog;
    size_t aging;    /* tier partitions, see aging.h */
    bool aging_asks; /* a question is open */
    uint64_t aging_ask_ms;
    uint64_t started_ms; /* monotonic */
};

/* ---- route_state.c ---- */

/* The tier of that delay, configured or retiring; never NULL for a delay that copy_* returned. */
const struct route_tier *route_topic_tier(const struct route_topic *topic, int32_t ms);
const char *route_phase_name(enum route_phase phase);
bool route_delivers(const struct route *route);   /* running, not held */
uint64_t route_now_ms(const struct route *route); /* monotonic ms */

/* ---- route.c ---- */

/* Sets a hold, logs it once, and (for flood and handler) tells all instances. */
void route_hold(struct route *route, enum route_hold hold, const char *why);
void route_unhold(struct route *route, unsigned holds);
/* The breaker opened or closed: says so, refunds the attempts of the run, starts or stops probing.
 */
void route_breaker_changed(struct route *route);
/* It begins or ends to stand still by its own decision: that time does not count to give_up_after.
 */
void route_note_stops(struct route *route);
/* Lanes whose source is held for a full parked list are tried again in a while. */
void route_unhold_sources_later(struct route *route);
void route_pump(struct route *route); /* soon: gives free slots to ready lanes */

#endif
