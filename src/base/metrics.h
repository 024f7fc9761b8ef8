/*
 * Counters, gauges and histograms with labels, written as Prometheus text 0.0.4. Values are relaxed
 * atomics: any thread adds, any thread renders. Registration is mutex-guarded and done once, at
 * set-up; the record's path keeps the returned pointer. Registering the same name and labels again
 * returns the same metric.
 */
#ifndef OG_BASE_METRICS_H
#define OG_BASE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct metrics;
struct metric;

struct metric_label {
    const char *name;
    const char *value;
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics **metrics);

/* name without the "oncegate_" prefix, which is added; labels are copied; count may be 0. */
struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                               const struct metric_label *labels, size_t count);
struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                             const struct metric_label *labels, size_t count);
/* bounds: ascending upper bounds in seconds, +Inf is added; copied. */
struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const double *bounds, size_t bound_count,
                                 const struct metric_label *labels, size_t count);
void metric_add(struct metric *metric, uint64_t n);         /* counter */
void metric_set(struct metric *metric, double value);       /* gauge */
void metric_gauge_add(struct metric *metric, double delta); /* gauge, atomic */
void metric_observe(struct metric *metric, double seconds); /* histogram */
double metric_value(const struct metric *metric); /* counter or gauge, for /status and tests */
/* An omitted gauge is not rendered until it is set again: "unknown" is not 0. */
void metric_omit(struct metric *metric);

/* process_* (memory, processor time, descriptors, start), read from the system at each rendering.
 */
void metrics_add_process(struct metrics *metrics);

void metrics_render(struct metrics *metrics, struct buf *out);

#endif
