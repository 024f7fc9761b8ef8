/* What a worker's routes share on its thread. Not for other folders. */
#ifndef OG_FLOW_WORKER_STATE_H
#define OG_FLOW_WORKER_STATE_H

#include <pthread.h>

#include "base/loop.h"
#include "base/metrics.h"
#include "config/config.h"
#include "flow/delivery.h"
#include "flow/turns.h"
#include "flow/worker.h"
#include "handler/pools.h"
#include "kafka/admin.h"
#include "kafka/producer.h"
#include "ledger/ledger.h"
#include "spool/spool.h"

struct replay;
struct route;

struct worker {
    const struct config *config;
    struct metrics *metrics;
    uint32_t index;
    struct worker_events events;

    pthread_t thread;
    bool thread_started;
    struct loop *loop;
    struct turns turns;
    size_t open_routes; /* that have records in memory which are not settled */
    struct ledger *ledger;
    struct kafka_producer *producer;
    struct kafka_admin *admin;
    struct spool_client *spool;     /* NULL: there is none */
    struct replay *replay;          /* of the first worker, where there is a spool */
    struct handler_pools *handlers; /* the connections that its routes share */
    /* What its routes use again: of all of them, so that it is what was used a moment ago. */
    SLIST_HEAD(attempt_list, attempt) spare_attempts;
    struct delivery_list spare_deliveries;
    size_t spare_delivery_count;
    struct route **routes;
    size_t route_count;
    size_t routes_stopped;
    bool stopping;
    struct metric *ledger_wipes;
};

/* A route has drained and left. */
void worker_route_stopped(struct worker *worker);

#endif
