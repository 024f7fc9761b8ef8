/*
 * Counters, gauges and histograms, rendered as Prometheus text 0.0.4.
 *
 * A family is a name with its help and type; under it one metric for each set of labels. Both are
 * only ever appended, and only under the lock, and never freed before the whole: a metric's pointer
 * stays good, and adding to it takes no lock. A histogram keeps plain counts per bucket; they are
 * made cumulative when rendered, so its count is always the sum of its buckets even while other
 * threads add.
 */
#include "base/metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/metrics_process.h"

#define NAME_PREFIX "oncegate_"

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

static const char *const type_names[] = {
    [TYPE_COUNTER] = "counter",
    [TYPE_GAUGE] = "gauge",
    [TYPE_HISTOGRAM] = "histogram",
};

struct metric {
    struct metric *next;
    enum type type;
    char *labels; /* a="1",b="2", escaped; "" for none: its identity within the family */

    _Atomic uint64_t count; /* counter */
    _Atomic double value;   /* gauge; histogram: sum of what was observed */
    atomic_bool omitted;

    size_t bound_count;
    double *bounds;
    _Atomic uint64_t *buckets; /* bound_count + 1, the last for +Inf */
};

struct family {
    struct family *next;
    char *name;
    char *help;
    enum type type;
    struct metric *metrics;
    struct metric **metrics_end;
};

struct metrics {
    pthread_mutex_t lock; /* guards the lists, not the values */
    struct family *families;
    struct family **families_end;
    bool with_process;
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = mem_zalloc(sizeof(*metrics));
    pthread_mutex_init(&metrics->lock, NULL);
    metrics->families_end = &metrics->families;
    return metrics;
}

static void family_free(struct family *family)
{
    while (family->metrics) {
        struct metric *metric = family->metrics;
        family->metrics = metric->next;
        mem_free(metric->labels);
        mem_free(metric->bounds);
        mem_free(metric->buckets);
        mem_free(metric);
    }
    mem_free(family->name);
    mem_free(family->help);
    mem_free(family);
}

void metrics_free(struct metrics **metrics_ptr)
{
    struct metrics *metrics = *metrics_ptr;
    if (!metrics)
        return;
    *metrics_ptr = NULL;
    while (metrics->families) {
        struct family *family = metrics->families;
        metrics->families = family->next;
        family_free(family);
    }
    pthread_mutex_destroy(&metrics->lock);
    mem_free(metrics);
}

/* The format's escapes: backslash and line feed everywhere, the quote in label values. */
static void add_escaped(struct buf *out, const char *text, bool in_quotes)
{
    for (; *text; text++) {
        if (*text == '\\')
            buf_add_text(out, "\\\\");
        else if (*text == '\n')
            buf_add_text(out, "\\n");
        else if (*text == '"' && in_quotes)
            buf_add_text(out, "\\\"");
        else
            buf_add_char(out, *text);
    }
}

static char *labels_text(const struct metric_label *labels, size_t count)
{
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s%s=\"", i ? "," : "", labels[i].name);
        add_escaped(&text, labels[i].value, true);
        buf_add_char(&text, '"');
    }
    char *copy = mem_strndup(buf_slice(&text).data, text.len);
    buf_deinit(&text);
    return copy;
}

static struct family *family_get(struct metrics *metrics, enum type type, const char *name,
                                 const char *help)
{
    for (struct family *family = metrics->families; family; family = family->next) {
        if (strcmp(family->name + strlen(NAME_PREFIX), name) != 0)
            continue;
        assert(family->type == type);
        return family;
    }
    struct family *family = mem_zalloc(sizeof(*family));
    family->name = mem_printf(NAME_PREFIX "%s", name);
    family->help = mem_strdup(help);
    family->type = type;
    family->metrics_end = &family->metrics;
    *metrics->families_end = family;
    metrics->families_end = &family->next;
    return family;
}

static struct metric *metric_new(struct family *family, char *labels)
{
    struct metric *metric = mem_zalloc(sizeof(*metric));
    metric->type = family->type;
    metric->labels = labels;
    *family->metrics_end = metric;
    family->metrics_end = &metric->next;
    return metric;
}

static struct metric *family_find(struct family *family, const char *labels)
{
    for (struct metric *metric = family->metrics; metric; metric = metric->next) {
        if (strcmp(metric->labels, labels) == 0)
            return metric;
    }
    return NULL;
}

static void histogram_init(struct metric *metric, const double *bounds, size_t bound_count)
{
    metric->bound_count = bound_count;
    metric->bounds = mem_calloc(bound_count, sizeof(*bounds));
    if (bound_count)
        memcpy(metric->bounds, bounds, bound_count * sizeof(*bounds));
    metric->buckets = mem_calloc(bound_count + 1, sizeof(*metric->buckets));
    for (size_t i = 1; i < bound_count; i++)
        assert(bounds[i - 1] < bounds[i]);
}

static struct metric *metric_get(struct metrics *metrics, enum type type, const char *name,
                                 const char *help, const double *bounds, size_t bound_count,
                                 const struct metric_label *labels, size_t count)
{
    char *text = labels_text(labels, count);
    pthread_mutex_lock(&metrics->lock);
    struct family *family = family_get(metrics, type, name, help);
    struct metric *metric = family_find(family, text);
    if (metric) {
        mem_free(text);
    } else {
        metric = metric_new(family, text);
        if (type == TYPE_HISTOGRAM)
            histogram_init(metric, bounds, bound_count);
    }
    pthread_mutex_unlock(&metrics->lock);
    return metric;
}

struct metric *metrics_counter(struct metrics *metrics, const char *name, const char *help,
                               const struct metric_label *labels, size_t count)
{
    return metric_get(metrics, TYPE_COUNTER, name, help, NULL, 0, labels, count);
}

struct metric *metrics_gauge(struct metrics *metrics, const char *name, const char *help,
                             const struct metric_label *labels, size_t count)
{
    return metric_get(metrics, TYPE_GAUGE, name, help, NULL, 0, labels, count);
}

struct metric *metrics_histogram(struct metrics *metrics, const char *name, const char *help,
                                 const double *bounds, size_t bound_count,
                                 const struct metric_label *labels, size_t count)
{
    return metric_get(metrics, TYPE_HISTOGRAM, name, help, bounds, bound_count, labels, count);
}

void metrics_add_process(struct metrics *metrics)
{
    pthread_mutex_lock(&metrics->lock);
    metrics->with_process = true;
    pthread_mutex_unlock(&metrics->lock);
}

static void atomic_add_double(_Atomic double *value, double delta)
{
    double old = atomic_load_explicit(value, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(value, &old, old + delta, memory_order_relaxed,
                                                  memory_order_relaxed))
        continue;
}

void metric_add(struct metric *metric, uint64_t n)
{
    assert(metric->type == TYPE_COUNTER);
    atomic_fetch_add_explicit(&metric->count, n, memory_order_relaxed);
}

void metric_set(struct metric *metric, double value)
{
    assert(metric->type == TYPE_GAUGE);
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
    atomic_store_explicit(&metric->omitted, false, memory_order_relaxed);
}

void metric_gauge_add(struct metric *metric, double delta)
{
    assert(metric->type == TYPE_GAUGE);
    atomic_add_double(&metric->value, delta);
    atomic_store_explicit(&metric->omitted, false, memory_order_relaxed);
}

void metric_observe(struct metric *metric, double seconds)
{
    assert(metric->type == TYPE_HISTOGRAM);
    size_t bucket = 0;
    while (bucket < metric->bound_count && seconds > metric->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    atomic_add_double(&metric->value, seconds);
}

double metric_value(const struct metric *metric)
{
    if (metric->type == TYPE_COUNTER)
        return (double)atomic_load_explicit(&metric->count, memory_order_relaxed);
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

void metric_omit(struct metric *metric)
{
    assert(metric->type == TYPE_GAUGE);
    atomic_store_explicit(&metric->omitted, true, memory_order_relaxed);
}

static void add_double(struct buf *out, double value)
{
    if (isnan(value)) {
        buf_add_text(out, "NaN");
    } else if (isinf(value)) {
        buf_add_text(out, value > 0 ? "+Inf" : "-Inf");
    } else {
        /* As short as reads back to the same value. */
        char text[32];
        snprintf(text, sizeof(text), "%.15g", value);
        if (strtod(text, NULL) < value || strtod(text, NULL) > value)
            snprintf(text, sizeof(text), "%.17g", value);
        buf_add_text(out, text);
    }
}

static void add_name(struct buf *out, const struct family *family, const char *suffix,
                     const struct metric *metric)
{
    buf_printf(out, "%s%s", family->name, suffix);
    if (metric->labels[0])
        buf_printf(out, "{%s}", metric->labels);
    buf_add_char(out, ' ');
}

static void add_bucket(struct buf *out, const struct family *family, const struct metric *metric,
                       double bound, uint64_t count)
{
    buf_printf(out, "%s_bucket{%s%sle=\"", family->name, metric->labels,
               metric->labels[0] ? "," : "");
    add_double(out, bound);
    buf_add_text(out, "\"} ");
    buf_add_u64(out, count);
    buf_add_char(out, '\n');
}

static void add_histogram(struct buf *out, const struct family *family, const struct metric *metric)
{
    double sum = atomic_load_explicit(&metric->value, memory_order_relaxed);
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        double bound = i < metric->bound_count ? metric->bounds[i] : (double)INFINITY;
        add_bucket(out, family, metric, bound, count);
    }
    add_name(out, family, "_sum", metric);
    add_double(out, sum);
    buf_add_char(out, '\n');
    add_name(out, family, "_count", metric);
    buf_add_u64(out, count);
    buf_add_char(out, '\n');
}

static void add_metric(struct buf *out, const struct family *family, const struct metric *metric)
{
    if (family->type == TYPE_HISTOGRAM) {
        add_histogram(out, family, metric);
        return;
    }
    add_name(out, family, "", metric);
    if (family->type == TYPE_COUNTER)
        buf_add_u64(out, atomic_load_explicit(&metric->count, memory_order_relaxed));
    else
        add_double(out, atomic_load_explicit(&metric->value, memory_order_relaxed));
    buf_add_char(out, '\n');
}

static void add_family(struct buf *out, const struct family *family)
{
    bool has_head = false;
    for (const struct metric *metric = family->metrics; metric; metric = metric->next) {
        if (atomic_load_explicit(&metric->omitted, memory_order_relaxed))
            continue;
        if (!has_head) {
            buf_printf(out, "# HELP %s ", family->name);
            add_escaped(out, family->help, false);
            buf_printf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
            has_head = true;
        }
        add_metric(out, family, metric);
    }
}

void metrics_render(struct metrics *metrics, struct buf *out)
{
    pthread_mutex_lock(&metrics->lock);
    for (const struct family *family = metrics->families; family; family = family->next)
        add_family(out, family);
    if (metrics->with_process)
        metrics_process_render(out);
    pthread_mutex_unlock(&metrics->lock);
}
