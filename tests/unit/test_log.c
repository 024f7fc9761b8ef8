#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { CAPTURE_MAX = 1 << 20 };

static int real_stderr = -1;
static FILE *capture_file;
static char captured[CAPTURE_MAX];

static int64_t wall_2026(void)
{
    return INT64_C(1767323045678);
}

static void capture_begin(void)
{
    clock_set_for_test(NULL, wall_2026);
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    capture_file = tmpfile();
    assert_non_null(capture_file);
    assert_true(dup2(fileno(capture_file), STDERR_FILENO) >= 0);
}

static const char *capture_end(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
    close(real_stderr);
    rewind(capture_file);
    size_t len = fread(captured, 1, sizeof(captured) - 1, capture_file);
    captured[len] = '\0';
    fclose(capture_file);
    clock_set_for_test(NULL, NULL);
    return captured;
}

static void test_log_event_as_json_writes_one_object_a_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    capture_begin();
    log_info("offset_committed", LOG_STR("route", "orders"), LOG_INT("partition", -3),
             LOG_UINT("offset", UINT64_MAX), LOG_BOOL("last", true), LOG_STR("none", NULL),
             LOG_END);
    assert_string_equal(capture_end(),
                        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\","
                        "\"event\":\"offset_committed\",\"route\":\"orders\",\"partition\":-3,"
                        "\"offset\":18446744073709551615,\"last\":true,\"none\":null}\n");
}

static void test_log_event_as_logfmt_quotes_what_needs_it(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_FORMAT_LOGFMT);
    capture_begin();
    log_warn("redis_away", LOG_STR("plain", "a-b/c"), LOG_STR("blank", "a b"),
             LOG_STR("quote", "a\"b"), LOG_STR("equals", "a=b"), LOG_STR("empty", ""),
             LOG_STR("null", NULL), LOG_BOOL("up", false), LOG_END);
    assert_string_equal(capture_end(),
                        "time=2026-01-02T03:04:05.678Z level=warn event=redis_away plain=a-b/c "
                        "blank=\"a b\" quote=\"a\\\"b\" equals=\"a=b\" empty=\"\" null= "
                        "up=false\n");
}

/* Guards against log forging and terminal escapes: what a record holds must not end or colour a
 * line. */
static void test_log_event_with_control_bytes_escapes_them_in_both_formats(void **state)
{
    (void)state;
    static const enum log_format formats[] = {LOG_FORMAT_JSON, LOG_FORMAT_LOGFMT};
    for (int i = 0; i < 2; i++) {
        log_setup(LOG_INFO, formats[i]);
        capture_begin();
        log_error("x", LOG_SLICE("v", ((struct slice){"a\nb\x1b[31m\0\x7f\xc2\x9b\xff", 13})),
                  LOG_STR("del", "\x7f"), LOG_END);
        const char *line = capture_end();
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        assert_null(strchr(line, 0x7f));
        assert_non_null(strstr(line, "\"a\\nb\\u001b[31m\\u0000\\u007f\\u009b\xef\xbf\xbd\""));
    }
}

static void test_log_event_below_the_level_writes_nothing(void **state)
{
    (void)state;
    log_setup(LOG_WARN, LOG_FORMAT_JSON);
    capture_begin();
    log_info("quiet", LOG_END);
    log_event(LOG_DEBUG, "quiet", (const struct log_field[]){LOG_END});
    log_warn("loud", LOG_END);
    const char *text = capture_end();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "loud"));
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_ERROR));
}

static void test_log_setup_auto_without_terminal_takes_json(void **state)
{
    (void)state;
    capture_begin();
    log_setup(LOG_INFO, LOG_FORMAT_AUTO);
    log_info("x", LOG_END);
    assert_int_equal(capture_end()[0], '{');
}

static void test_log_event_with_a_huge_value_cuts_it(void **state)
{
    (void)state;
    enum { HUGE = 300000 };
    char *text = mem_alloc(HUGE);
    memset(text, 'x', HUGE);
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    capture_begin();
    log_info("x", LOG_SLICE("v", ((struct slice){text, HUGE})), LOG_INT("after", 1), LOG_END);
    const char *line = capture_end();
    mem_free(text);
    assert_true(strlen(line) < 5000);
    assert_non_null(strstr(line, "x\",\"after\":1}\n"));
}

enum { THREADS = 4, LINES = 500 };

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("line", LOG_STR("who", arg), LOG_STR("text", "some words that take a while"),
                 LOG_END);
    return NULL;
}

static void test_log_event_from_many_threads_keeps_lines_whole(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    log_setup(LOG_INFO, LOG_FORMAT_LOGFMT);
    capture_begin();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capture_end();

    int lines = 0;
    char *save = NULL;
    for (char *line = strtok_r(captured, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char who;
        assert_int_equal(
            sscanf(line, "time=2026-01-02T03:04:05.678Z level=info event=line who=%c", &who), 1);
        const char *tail = " text=\"some words that take a while\"";
        assert_string_equal(line + strlen(line) - strlen(tail), tail);
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_event_as_json_writes_one_object_a_line),
        cmocka_unit_test(test_log_event_as_logfmt_quotes_what_needs_it),
        cmocka_unit_test(test_log_event_with_control_bytes_escapes_them_in_both_formats),
        cmocka_unit_test(test_log_event_below_the_level_writes_nothing),
        cmocka_unit_test(test_log_setup_auto_without_terminal_takes_json),
        cmocka_unit_test(test_log_event_with_a_huge_value_cuts_it),
        cmocka_unit_test(test_log_event_from_many_threads_keeps_lines_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
