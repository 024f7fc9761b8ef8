/* Metrics of a route; see route_metrics.h. */
#include "flow/route_metrics.h"

#include <stdio.h>
#include <string.h>

#include "flow/route_state.h"

#define DEAD_LETTER_CODES_MAX 100

static const double HANDLER_BOUNDS[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                        0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
static const double LATENESS_BOUNDS[] = {0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5, 30};

static struct metric *counter2(struct route_metrics *m, const char *name, const char *help,
                               const char *label, const char *value)
{
    struct metric_label labels[] = {{"route", m->route}, {label, value}};
    return metrics_counter(m->registry, name, help, labels, label ? 2 : 1);
}

static struct metric *counter(struct route_metrics *m, const char *name, const char *help)
{
    return counter2(m, name, help, NULL, NULL);
}

static struct metric *gauge(struct route_metrics *m, const char *name, const char *help)
{
    struct metric_label labels[] = {{"route", m->route}};
    return metrics_gauge(m->registry, name, help, labels, 1);
}

static void init_counters(struct route_metrics *m)
{
    static const char *const kinds[] = {"source", "tier", "redrive"};
    static const char *const rebalances[] = {"assigned", "revoked", "lost"};
    for (int i = 0; i < 3; i++) {
        m->consumed[i] = counter2(m, "records_consumed_total", "Records taken from Kafka.",
                                  "source", kinds[i]);
        m->rebalances[i] = counter2(m, "rebalances_total", "Changes of the assignment.", "kind",
                                    rebalances[i]);
    }
    for (int i = 0; i < ROUTE_OUTCOMES; i++)
        m->deliveries[i] = counter2(m, "deliveries_total", "Handler calls by outcome.", "outcome",
                                    outcome_name((enum outcome)i));
    for (int i = 0; i < ROUTE_VERDICTS; i++) {
        m->verdicts[i] = counter2(m, "dedup_verdicts_total", "Answers of the ledger to a claim.",
                                  "verdict", ledger_code_name((enum ledger_code)i));
        m->would[i] = counter2(m, "dedup_observed_total",
                               "What the ledger would have answered, in mode observe.", "verdict",
                               ledger_code_name((enum ledger_code)i));
    }
    m->unchecked = counter(m, "unchecked_deliveries_total",
                           "Deliveries without a check of the ledger.");
    m->commits_ok = counter2(m, "offset_commits_total", "Offset commits.", "result", "ok");
    m->commits_failed = counter2(m, "offset_commits_total", "Offset commits.", "result", "failed");
    m->fenced = counter(m, "fenced_claims_total", "Claims refused because a newer owner exists.");
    m->restarts = counter(m, "sequence_restarts_suspected_total",
                          "Records taken for duplicates whose producer seems to count from the "
                          "beginning again without a new epoch.");
    m->undelivered = counter(m, "undelivered_total",
                             "Records of an at-most-once route that were called done and are known "
                             "not to have been delivered.");
    m->rebuilt = counter(m, "parked_rebuilt_total",
                         "Copies read from tier topics to tell the ledger what is parked.");
    m->marks_written = counter(m, "marks_written_total",
                               "Marks of keys written to marks topics before a commit.");
    m->marks_rebuilt = counter(m, "marks_rebuilt_total",
                               "Marks read from marks topics to tell the ledger what was done.");
    m->offset_resets = counter(
        m, "offset_resets_total",
        "Partitions that had to start where no offset was committed or held.");
    m->foreign_copies = counter(m, "foreign_copies_total",
                                "Copies on a retry topic that this group did not write.");
    m->twin_deliveries = counter(m, "followers_from_memory_total",
                                 "Parked followers delivered from memory.");
}

void route_metrics_init(struct route_metrics *m, struct metrics *registry, const char *route)
{
    struct metric_label labels[] = {{"route", route}};
    memset(m, 0, sizeof(*m));
    m->registry = registry;
    m->route = route;
    init_counters(m);
    m->handler_seconds = metrics_histogram(
        registry, "handler_duration_seconds", "Time of a handler call.", HANDLER_BOUNDS,
        sizeof(HANDLER_BOUNDS) / sizeof(*HANDLER_BOUNDS), labels, 1);
    m->lateness = metrics_histogram(registry, "retry_lateness_seconds",
                                    "Time between due and ready to be claimed.", LATENESS_BOUNDS,
                                    sizeof(LATENESS_BOUNDS) / sizeof(*LATENESS_BOUNDS), labels, 1);
    m->handler_in_flight = gauge(m, "handler_in_flight", "Open handler calls.");
    m->breaker_open = gauge(m, "breaker_open", "1 while the breaker is open.");
    m->lanes = gauge(m, "lanes_active", "Keys with work in memory.");
    m->in_flight_records = gauge(m, "in_flight_records", "Records taken and not settled.");
    m->in_flight_bytes = gauge(m, "in_flight_bytes", "Their bytes.");
    m->partitions = gauge(m, "partitions_assigned", "Assigned partitions, retry topics included.");
    m->stuck = gauge(m, "stuck_partitions",
                     "Partitions that make no progress, or cannot go on by themselves.");
    m->stuck_keys = gauge(m, "stuck_keys", "Records that were begun and do not end.");
    m->aging = gauge(m, "retry_partitions_aging",
                     "Retry partitions with a record as old as half of the topic's retention.");
    m->blocked_keys = gauge(m, "blocked_keys",
                            "Keys that wait behind a dead letter, of those with work in memory.");
    m->oldest_unsettled = gauge(m, "oldest_unsettled_timestamp_seconds",
                                "Timestamp of the oldest record not settled.");
    m->rebuilding = gauge(m, "rebuilding",
                          "1 while the ledger is told from the tier topics what is parked.");
    m->twins = gauge(m, "followers_in_memory", "Parked followers kept in memory.");
    for (int i = 0; i < ROUTE_PHASES; i++) {
        struct metric_label state[] = {{"route", route},
                                       {"state", route_phase_name((enum route_phase)i)}};
        m->state[i] = metrics_gauge(registry, "route_state",
                                    "1 for the state that the route is in.", state, 2);
    }
}

void route_metrics_dead_letter(struct route_metrics *m, const char *code)
{
    struct metric *metric;
    if (m->dead_letter_codes >= DEAD_LETTER_CODES_MAX)
        code = "other";
    metric = counter2(m, "dead_letters_total", "Records given up, by error code.", "code", code);
    if (metric_value(metric) == 0)
        m->dead_letter_codes++;
    metric_add(metric, 1);
}

void route_metrics_retry(struct route_metrics *m, const char *tier)
{
    metric_add(
        counter2(m, "retry_scheduled_total", "Copies written to a retry tier.", "tier", tier), 1);
}

void route_metrics_redriven(struct route_metrics *m, const char *result)
{
    metric_add(counter2(m, "redriven_total",
                        "Redriven dead letters that came to an end, by what is written of them.",
                        "result", result),
               1);
}

void route_metrics_lag(struct route_metrics *m, const char *topic, int partition, double lag,
                       bool known)
{
    char number[16];
    struct metric *metric;
    snprintf(number, sizeof(number), "%d", partition);
    struct metric_label labels[] = {{"route", m->route}, {"topic", topic}, {"partition", number}};
    metric = metrics_gauge(m->registry, "consumer_lag_records",
                           "Records behind the end of the log; left out where unknown.", labels, 3);
    if (known)
        metric_set(metric, lag);
    else
        metric_omit(metric);
}

void route_metrics_waiting(struct route_metrics *m, const char *tier, double records)
{
    struct metric_label labels[] = {{"route", m->route}, {"tier", tier}};
    metric_set(metrics_gauge(m->registry, "retry_waiting_records",
                             "Records waiting in a retry tier.", labels, 2),
               records);
}
