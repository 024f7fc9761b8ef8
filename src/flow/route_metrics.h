/* The metrics of one route, looked up once. Counters are shared by the workers (relaxed atomics).
 */
#ifndef OG_FLOW_ROUTE_METRICS_H
#define OG_FLOW_ROUTE_METRICS_H

#include "base/metrics.h"
#include "config/config.h"
#include "ledger/ledger.h"

#define ROUTE_VERDICTS 14 /* LEDGER_GO .. LEDGER_CORRUPT */
#define ROUTE_OUTCOMES 5  /* enum outcome */

struct route_metrics {
    struct metrics *registry;
    const char *route;
    struct metric *consumed[3]; /* by enum part_kind */
    struct metric *deliveries[ROUTE_OUTCOMES];
    struct metric *verdicts[ROUTE_VERDICTS];
    struct metric *would[ROUTE_VERDICTS]; /* mode observe */
    struct metric *unchecked;
    struct metric *handler_seconds, *handler_in_flight;
    struct metric *lateness;
    struct metric *breaker_open;
    struct metric *lanes, *in_flight_records, *in_flight_bytes;
    struct metric *partitions, *stuck, *stuck_keys, *blocked_keys, *aging;
    struct metric *commits_ok, *commits_failed;
    struct metric *rebalances[3]; /* assigned, revoked, lost */
    struct metric *fenced, *offset_resets;
    struct metric *rebuilt, *rebuilding;
    struct metric *marks_written, *marks_rebuilt;
    struct metric *undelivered;
    struct metric *restarts; /* suspected */
    struct metric *oldest_unsettled;
    struct metric *twins, *twin_deliveries;
    struct metric *foreign_copies;
    struct metric *state[8]; /* by enum route_phase */
    unsigned dead_letter_codes;
};

void route_metrics_init(struct route_metrics *m, struct metrics *registry, const char *route);
/* By label value; looked up in the registry, so not for the fast path. Codes are capped in number:
 * the rest counts as "other". */
void route_metrics_dead_letter(struct route_metrics *m, const char *code);
void route_metrics_retry(struct route_metrics *m, const char *tier);
void route_metrics_redriven(struct route_metrics *m, const char *result);
void route_metrics_lag(struct route_metrics *m, const char *topic, int partition, double lag,
                       bool known);
void route_metrics_waiting(struct route_metrics *m, const char *tier, double records);

#endif
