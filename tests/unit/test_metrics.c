#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/metrics.h"

static struct buf out;
static double main_began_s; /* when main() began, since the Unix epoch */

static const char *render(struct metrics *metrics)
{
    buf_reset(&out);
    metrics_render(metrics, &out);
    return buf_slice(&out).data;
}

static int setup(void **state)
{
    *state = metrics_new();
    return 0;
}

static int teardown(void **state)
{
    struct metrics *metrics = *state;
    metrics_free(&metrics);
    buf_deinit(&out);
    return metrics ? -1 : 0;
}

static void test_metrics_render_of_none_is_empty(void **state)
{
    assert_string_equal(render(*state), "");
}

static void test_metrics_render_writes_help_and_type_once_per_family(void **state)
{
    struct metrics *metrics = *state;
    const struct metric_label a[] = {{"route", "a"}, {"outcome", "success"}};
    const struct metric_label b[] = {{"route", "b"}, {"outcome", "retry"}};
    struct metric *first = metrics_counter(metrics, "deliveries_total", "Deliveries.", a, 2);
    metrics_gauge(metrics, "x", "X.", NULL, 0);
    metric_add(first, 3);
    metric_add(metrics_counter(metrics, "deliveries_total", "Deliveries.", b, 2), UINT64_MAX);
    assert_string_equal(render(metrics),
                        "# HELP oncegate_deliveries_total Deliveries.\n"
                        "# TYPE oncegate_deliveries_total counter\n"
                        "oncegate_deliveries_total{route=\"a\",outcome=\"success\"} 3\n"
                        "oncegate_deliveries_total{route=\"b\",outcome=\"retry\"} "
                        "18446744073709551615\n"
                        "# HELP oncegate_x X.\n"
                        "# TYPE oncegate_x gauge\n"
                        "oncegate_x 0\n");
}

static void test_metrics_counter_registered_twice_is_the_same(void **state)
{
    struct metrics *metrics = *state;
    const struct metric_label a[] = {{"route", "a"}};
    const struct metric_label b[] = {{"route", "b"}};
    struct metric *metric = metrics_counter(metrics, "c_total", "C.", a, 1);
    assert_ptr_equal(metrics_counter(metrics, "c_total", "C.", a, 1), metric);
    assert_ptr_not_equal(metrics_counter(metrics, "c_total", "C.", b, 1), metric);
}

static void test_metrics_render_escapes_labels_and_help(void **state)
{
    struct metrics *metrics = *state;
    const struct metric_label labels[] = {{"v", "a\"b\\c\nd"}};
    metrics_counter(metrics, "c_total", "A \"quoted\" \\ text\nof two lines.", labels, 1);
    assert_string_equal(render(metrics),
                        "# HELP oncegate_c_total A \"quoted\" \\\\ text\\nof two lines.\n"
                        "# TYPE oncegate_c_total counter\n"
                        "oncegate_c_total{v=\"a\\\"b\\\\c\\nd\"} 0\n");
}

static void test_metric_set_of_any_double_reads_back(void **state)
{
    struct metrics *metrics = *state;
    struct metric *metric = metrics_gauge(metrics, "g", "G.", NULL, 0);
    static const double values[] = {
        0, 1, -1.5, 0.1, 1e300, 1767323045.678, 1.0 / 3, 0.1 + 0.2, 9007199254740993.0};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        metric_set(metric, values[i]);
        const char *at = strstr(render(metrics), "\noncegate_g ");
        assert_non_null(at);
        assert_true(strtod(at + strlen("\noncegate_g "), NULL) == values[i]);
        assert_true(metric_value(metric) == values[i]);
    }
    metric_set(metric, 0.1);
    assert_non_null(strstr(render(metrics), "oncegate_g 0.1\n"));
    metric_set(metric, (double)INFINITY);
    assert_non_null(strstr(render(metrics), "oncegate_g +Inf\n"));
    metric_set(metric, -(double)INFINITY);
    assert_non_null(strstr(render(metrics), "oncegate_g -Inf\n"));
    metric_set(metric, (double)NAN);
    assert_non_null(strstr(render(metrics), "oncegate_g NaN\n"));
}

static void test_metric_omit_leaves_it_out_until_set_again(void **state)
{
    struct metrics *metrics = *state;
    const struct metric_label a[] = {{"p", "0"}};
    const struct metric_label b[] = {{"p", "1"}};
    struct metric *first = metrics_gauge(metrics, "lag", "Lag.", a, 1);
    struct metric *second = metrics_gauge(metrics, "lag", "Lag.", b, 1);
    metric_omit(first);
    assert_string_equal(render(metrics), "# HELP oncegate_lag Lag.\n# TYPE oncegate_lag gauge\n"
                                         "oncegate_lag{p=\"1\"} 0\n");
    metric_omit(second);
    assert_string_equal(render(metrics), "");
    metric_set(first, 7);
    metric_gauge_add(second, 2);
    assert_non_null(strstr(render(metrics), "oncegate_lag{p=\"0\"} 7\n"));
    assert_non_null(strstr(render(metrics), "oncegate_lag{p=\"1\"} 2\n"));
}

static void test_metric_observe_fills_cumulative_buckets(void **state)
{
    struct metrics *metrics = *state;
    static const double bounds[] = {0.005, 0.1, 1};
    const struct metric_label a[] = {{"route", "a"}};
    struct metric *metric = metrics_histogram(metrics, "d_seconds", "D.", bounds, 3, a, 1);
    metric_observe(metric, 0.005); /* a bound is inclusive */
    metric_observe(metric, 0.05);
    metric_observe(metric, 0.06);
    metric_observe(metric, 100);
    assert_string_equal(render(metrics), "# HELP oncegate_d_seconds D.\n"
                                         "# TYPE oncegate_d_seconds histogram\n"
                                         "oncegate_d_seconds_bucket{route=\"a\",le=\"0.005\"} 1\n"
                                         "oncegate_d_seconds_bucket{route=\"a\",le=\"0.1\"} 3\n"
                                         "oncegate_d_seconds_bucket{route=\"a\",le=\"1\"} 3\n"
                                         "oncegate_d_seconds_bucket{route=\"a\",le=\"+Inf\"} 4\n"
                                         "oncegate_d_seconds_sum{route=\"a\"} 100.115\n"
                                         "oncegate_d_seconds_count{route=\"a\"} 4\n");
}

static void test_metrics_histogram_without_labels_or_bounds_renders(void **state)
{
    struct metrics *metrics = *state;
    metric_observe(metrics_histogram(metrics, "h", "H.", NULL, 0, NULL, 0), 2);
    assert_string_equal(render(metrics), "# HELP oncegate_h H.\n# TYPE oncegate_h histogram\n"
                                         "oncegate_h_bucket{le=\"+Inf\"} 1\n"
                                         "oncegate_h_sum 2\noncegate_h_count 1\n");
}

enum { THREADS = 4, ADDS = 20000 };

struct shared {
    struct metrics *metrics;
    struct metric *counter, *gauge, *histogram;
};

static void *add_many(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < ADDS; i++) {
        metric_add(shared->counter, 1);
        metric_gauge_add(shared->gauge, 0.5);
        metric_observe(shared->histogram, 1);
    }
    return NULL;
}

static void test_metric_add_from_many_threads_loses_none(void **state)
{
    static const double bounds[] = {2};
    struct shared shared = {.metrics = *state};
    shared.counter = metrics_counter(shared.metrics, "c_total", "C.", NULL, 0);
    shared.gauge = metrics_gauge(shared.metrics, "g", "G.", NULL, 0);
    shared.histogram = metrics_histogram(shared.metrics, "h", "H.", bounds, 1, NULL, 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &shared), 0);
    for (int i = 0; i < 10; i++)
        render(shared.metrics);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(metric_value(shared.counter) == THREADS * ADDS);
    assert_true(metric_value(shared.gauge) == THREADS * ADDS / 2.0);
    assert_non_null(
        strstr(render(shared.metrics), "oncegate_h_sum 80000\noncegate_h_count 80000\n"));
}

static double process_value(const char *text, const char *name)
{
    char line[128] = "\n";
    strncat(line, name, sizeof(line) - 3);
    strncat(line, " ", 2);
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtod(at + strlen(line), NULL);
}

static void test_metrics_add_process_renders_what_the_system_says(void **state)
{
    struct metrics *metrics = *state;
    assert_null(strstr(render(metrics), "process_"));
    metrics_add_process(metrics);
    const char *text = render(metrics);
    assert_true(process_value(text, "process_resident_memory_bytes") > 100000);
    assert_true(process_value(text, "process_virtual_memory_bytes") >=
                process_value(text, "process_resident_memory_bytes"));
    assert_true(process_value(text, "process_cpu_seconds_total") >= 0);
    assert_true(process_value(text, "process_open_fds") >= 3);
    assert_true(process_value(text, "process_max_fds") >= process_value(text, "process_open_fds"));
    /* To a minute: the system counts from a boot time in whole seconds, and the machine may be
     * busy. */
    assert_true(fabs(process_value(text, "process_start_time_seconds") - main_began_s) < 60);
    assert_non_null(strstr(text, "# TYPE process_cpu_seconds_total counter\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    main_began_s = (double)clock_wall_ms() / 1000;
    const struct CMUnitTest tests[] = {
        TEST(test_metrics_render_of_none_is_empty),
        TEST(test_metrics_render_writes_help_and_type_once_per_family),
        TEST(test_metrics_counter_registered_twice_is_the_same),
        TEST(test_metrics_render_escapes_labels_and_help),
        TEST(test_metric_set_of_any_double_reads_back),
        TEST(test_metric_omit_leaves_it_out_until_set_again),
        TEST(test_metric_observe_fills_cumulative_buckets),
        TEST(test_metrics_histogram_without_labels_or_bounds_renders),
        TEST(test_metric_add_from_many_threads_loses_none),
        TEST(test_metrics_add_process_renders_what_the_system_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
