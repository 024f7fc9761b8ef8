/* Single records by their place, on a real broker: every question is answered, and none but once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "kafka/fetch.h"
#include "test_kafka_support.h"

struct told {
    int calls;
    enum kafka_fetched result;
    int64_t offset;
    char value[32];
    struct err err;
};

static struct kafka_fetch *fetch;

static int set_up(void **state)
{
    struct err err;

    rig_set_up(state);
    struct rig *rig = *state;
    rig->topic = support_name("fetch");
    support_topic(rig->loop, rig->config, rig->topic, 1, NULL, 0);
    fetch = kafka_fetch_new(rig->loop, rig->config, "looker", &err);
    return fetch == NULL ? -1 : 0;
}

/* Here, as a test that fails does not come to its end. */
static int tear_down(void **state)
{
    kafka_fetch_free(&fetch);
    return rig_tear_down(state);
}

static void on_fetched(void *arg, enum kafka_fetched result, struct record *rec,
                       const struct err *err)
{
    struct told *told = arg;

    told->calls++;
    told->result = result;
    if (rec != NULL) {
        told->offset = rec->offset;
        str_copy(told->value, sizeof(told->value), rec->value);
    }
    if (err != NULL)
        told->err = *err;
}

static bool is_told(void *arg)
{
    return ((struct told *)arg)->calls > 0;
}

static struct told get(struct rig *rig, int64_t offset)
{
    static struct told told; /* outlives a wait in vain */

    told = (struct told){.offset = -1};
    kafka_fetch_get(fetch, rig->topic, 0, offset, on_fetched, &told);
    assert_int_equal(told.calls, 0);
    support_wait(rig->loop, is_told, &told, 20, "the fetch is answered");
    assert_int_equal(told.calls, 1);
    assert_string_equal(told.err.text, "");
    return told;
}

static void expect_record(struct rig *rig, int64_t offset, const char *value)
{
    struct told told = get(rig, offset);

    assert_int_equal(told.result, KAFKA_FETCHED);
    assert_int_equal(told.offset, offset);
    assert_string_equal(told.value, value);
}

static void expect_none(struct rig *rig, int64_t offset)
{
    assert_int_equal(get(rig, offset).result, KAFKA_FETCH_NONE);
}

static void test_fetch_records_in_any_order(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 10);
    expect_record(rig, 3, "v3");
    expect_record(rig, 4, "v4");
    expect_record(rig, 9, "v9");
    expect_record(rig, 9, "v9");
    expect_record(rig, 0, "v0");
}

static void test_fetch_below_the_beginning_is_none(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 10);
    support_delete_records(rig->bootstrap, rig->topic, 0, 7);
    expect_none(rig, 3);
    expect_none(rig, 4);
    expect_record(rig, 7, "v7");
}

static void test_fetch_of_an_emptied_log_is_none(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 10);
    support_delete_records(rig->bootstrap, rig->topic, 0, 10);
    expect_none(rig, 3);
    expect_none(rig, 4);
    support_produce(rig->bootstrap, rig->topic, 0, 1);
    expect_record(rig, 10, "v0");
}

/* The position is at what is asked for already. */
static void test_fetch_of_a_log_that_is_emptied_meanwhile_is_none(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 3);
    expect_record(rig, 2, "v2");
    support_produce(rig->bootstrap, rig->topic, 0, 5);
    support_delete_records(rig->bootstrap, rig->topic, 0, 8);
    expect_none(rig, 1);
    expect_none(rig, 2);
}

static void test_fetch_of_markers_at_the_end_is_none(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 2);
    support_abort(rig->bootstrap, rig->topic, 0); /* 2 to 4, and the marker */
    expect_none(rig, 3);
    expect_record(rig, 1, "v1");
    expect_none(rig, 2); /* read on to */
    expect_none(rig, 5);
}

static void test_fetch_beyond_the_end_is_none_each_time(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 5);
    expect_record(rig, 4, "v4");
    expect_none(rig, 5);
    expect_none(rig, 5);
    expect_none(rig, 6);
    expect_none(rig, 100000);
    support_produce(rig->bootstrap, rig->topic, 0, 1);
    expect_record(rig, 5, "v0");
}

static void test_fetch_from_a_topic_that_is_made_again(void **state)
{
    struct rig *rig = *state;

    support_produce(rig->bootstrap, rig->topic, 0, 10);
    expect_record(rig, 4, "v4");
    support_delete_topic(rig->bootstrap, rig->topic);
    support_topic(rig->loop, rig->config, rig->topic, 1, NULL, 0);
    support_produce(rig->bootstrap, rig->topic, 0, 3);
    expect_none(rig, 12);
    expect_record(rig, 1, "v1");
    expect_none(rig, 4);
}

/* Not a record of a place that was asked for before. */
static void test_fetch_from_topics_in_turn(void **state)
{
    struct rig *rig = *state;
    const char *const first = rig->topic;
    const char *second = support_name("fetch");

    support_topic(rig->loop, rig->config, second, 1, NULL, 0);
    support_produce(rig->bootstrap, first, 0, 4);
    support_abort(rig->bootstrap, second, 0); /* so that a value stands elsewhere there */
    support_produce(rig->bootstrap, second, 0, 4);
    for (int64_t i = 0; i < 4; i++) {
        char value[8];

        snprintf(value, sizeof(value), "v%d", (int)i);
        rig->topic = first;
        expect_record(rig, i, value);
        rig->topic = second;
        expect_record(rig, i + 4, value);
    }
    rig->topic = first;
}

#define FETCHING(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FETCHING(test_fetch_records_in_any_order),
        FETCHING(test_fetch_below_the_beginning_is_none),
        FETCHING(test_fetch_of_an_emptied_log_is_none),
        FETCHING(test_fetch_of_a_log_that_is_emptied_meanwhile_is_none),
        FETCHING(test_fetch_of_markers_at_the_end_is_none),
        FETCHING(test_fetch_beyond_the_end_is_none_each_time),
        FETCHING(test_fetch_from_a_topic_that_is_made_again),
        FETCHING(test_fetch_from_topics_in_turn),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    support_stop();
    return failed;
}
