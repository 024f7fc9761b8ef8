/* The breaker: what is an outage, what is poison, and how it heals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "handler/breaker.h"

#define FAILURES 20
#define KEYS     5
#define EVERY    5000

static struct breaker *breaker;

static int make(void **state)
{
    (void)state;
    breaker = breaker_new(FAILURES, KEYS, EVERY);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    breaker_free(&breaker);
    return 0;
}

/* Opens it at time now by `FAILURES` failures over KEYS keys 0..KEYS-1. */
static void open_at(uint64_t now)
{
    for (uint64_t i = 0; i < FAILURES - 1; i++)
        assert_false(breaker_failure(breaker, i % KEYS, now));
    assert_true(breaker_failure(breaker, (FAILURES - 1) % KEYS, now));
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
}

static void test_failure_run_over_enough_keys_opens(void **state)
{
    (void)state;
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    assert_int_equal(breaker_next_probe_ms(breaker, 0), -1);
    open_at(1000);
}

static void test_failure_run_over_fewer_keys_never_opens(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 10000; i++)
        assert_false(breaker_failure(breaker, i % (KEYS - 1), i));
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    /* One more key and the run is an outage. */
    assert_true(breaker_failure(breaker, 99, 10000));
}

static void test_failure_short_run_over_many_keys_does_not_open(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < FAILURES - 1; i++)
        assert_false(breaker_failure(breaker, i, i));
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
}

static void test_failure_poison_among_healthy_traffic_does_not_open(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        assert_false(breaker_failure(breaker, i % 100, i));
        if (i % 10 == 9)
            assert_false(breaker_success(breaker));
    }
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
}

static void test_success_ends_the_run(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < FAILURES - 1; i++)
        breaker_failure(breaker, i, i);
    assert_false(breaker_success(breaker));
    open_at(21); /* as many failures as ever */
}

static void test_probe_waits_and_goes_one_at_a_time(void **state)
{
    (void)state;
    assert_false(breaker_try_probe(breaker, 1, 0)); /* closed: nothing to probe */
    open_at(1000);
    assert_int_equal(breaker_next_probe_ms(breaker, 1000), EVERY);
    assert_false(breaker_try_probe(breaker, 1, 1000 + EVERY - 1));
    assert_int_equal(breaker_next_probe_ms(breaker, 1000 + EVERY), 0);
    assert_true(breaker_try_probe(breaker, 1, 1000 + EVERY));
    assert_false(breaker_try_probe(breaker, 2, 1000 + EVERY));
    assert_false(breaker_try_probe(breaker, 2, 1000 + 10 * EVERY));
    assert_true(breaker_next_probe_ms(breaker, 1000 + EVERY) > 0);
}

static void test_probe_success_closes(void **state)
{
    (void)state;
    open_at(1000);
    assert_true(breaker_try_probe(breaker, 1, 7000));
    assert_true(breaker_success(breaker));
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    open_at(8000); /* the run has ended with it */
}

static void test_success_of_an_older_request_closes(void **state)
{
    (void)state;
    open_at(1000);
    assert_true(breaker_success(breaker));
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
}

static void test_probe_failure_lets_another_key_go(void **state)
{
    (void)state;
    open_at(0);
    assert_true(breaker_try_probe(breaker, 1, EVERY));
    assert_false(breaker_failure(breaker, 1, EVERY + 10));
    assert_false(breaker_try_probe(breaker, 2, EVERY + 20)); /* not yet */
    assert_false(breaker_try_probe(breaker, 1, 2 * EVERY));  /* not the same */
    assert_true(breaker_try_probe(breaker, 2, 2 * EVERY));
}

static void test_probe_slow_failure_lets_the_next_go_at_once(void **state)
{
    (void)state;
    open_at(0);
    assert_true(breaker_try_probe(breaker, 1, EVERY));
    breaker_failure(breaker, 1, 4 * EVERY);
    assert_int_equal(breaker_next_probe_ms(breaker, 4 * EVERY), 0);
    assert_true(breaker_try_probe(breaker, 2, 4 * EVERY));
}

static void test_probe_lone_key_may_try_again(void **state)
{
    (void)state;
    open_at(0);
    assert_true(breaker_try_probe(breaker, 1, EVERY));
    breaker_failure(breaker, 1, EVERY);
    assert_false(breaker_try_probe(breaker, 1, 2 * EVERY));
    assert_true(breaker_try_probe(breaker, 1, 3 * EVERY));
}

static void test_probe_void_lets_another_go_at_once(void **state)
{
    (void)state;
    open_at(0);
    assert_true(breaker_try_probe(breaker, 1, EVERY));
    breaker_probe_void(breaker);
    assert_true(breaker_try_probe(breaker, 1, EVERY));
    breaker_probe_void(breaker);
    assert_true(breaker_try_probe(breaker, 2, EVERY));
}

static void test_failure_of_an_older_request_is_no_probe(void **state)
{
    (void)state;
    open_at(0);
    for (uint64_t key = 0; key < 100; key++)
        assert_false(breaker_failure(breaker, key, 10));
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_true(breaker_try_probe(breaker, 1, EVERY));
    assert_false(breaker_failure(breaker, 2, EVERY));       /* another's */
    assert_false(breaker_try_probe(breaker, 3, 3 * EVERY)); /* the probe is still out */
}

/* Fails probes of keys first..first+count-1; the time goes on from *now. */
static bool fail_probes(uint64_t first, uint64_t count, uint64_t *now)
{
    bool changed = false;
    for (uint64_t key = first; key < first + count; key++) {
        *now += EVERY;
        assert_true(breaker_try_probe(breaker, key, *now));
        changed = breaker_failure(breaker, key, *now);
    }
    return changed;
}

static void test_probe_twenty_keys_failing_is_suspect_poison(void **state)
{
    uint64_t now = 0;
    (void)state;

    open_at(0);
    assert_false(fail_probes(100, 19, &now));
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
    assert_true(fail_probes(200, 1, &now));
    assert_int_equal(breaker_state(breaker), BREAKER_SUSPECT_POISON);
    /* It heals by itself all the same. */
    assert_false(fail_probes(300, 5, &now));
    now += EVERY;
    assert_true(breaker_try_probe(breaker, 400, now));
    assert_true(breaker_success(breaker));
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
}

static void test_probe_one_key_failing_often_is_not_suspect_poison(void **state)
{
    uint64_t now = 0;
    (void)state;

    open_at(0);
    for (int i = 0; i < 100; i++) {
        now += 2 * EVERY;
        assert_true(breaker_try_probe(breaker, 1, now));
        assert_false(breaker_failure(breaker, 1, now));
    }
    assert_int_equal(breaker_state(breaker), BREAKER_OPEN);
}

static void test_reset_closes_and_forgets(void **state)
{
    uint64_t now = 0;
    (void)state;

    open_at(0);
    fail_probes(100, 20, &now);
    breaker_reset(breaker);
    assert_int_equal(breaker_state(breaker), BREAKER_CLOSED);
    open_at(now);
    assert_true(
        breaker_try_probe(breaker, 100, now + EVERY)); /* its earlier failure is forgotten */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_failure_run_over_enough_keys_opens),
        TEST(test_failure_run_over_fewer_keys_never_opens),
        TEST(test_failure_short_run_over_many_keys_does_not_open),
        TEST(test_failure_poison_among_healthy_traffic_does_not_open),
        TEST(test_success_ends_the_run),
        TEST(test_probe_waits_and_goes_one_at_a_time),
        TEST(test_probe_success_closes),
        TEST(test_success_of_an_older_request_closes),
        TEST(test_probe_failure_lets_another_key_go),
        TEST(test_probe_slow_failure_lets_the_next_go_at_once),
        TEST(test_probe_lone_key_may_try_again),
        TEST(test_probe_void_lets_another_go_at_once),
        TEST(test_failure_of_an_older_request_is_no_probe),
        TEST(test_probe_twenty_keys_failing_is_suspect_poison),
        TEST(test_probe_one_key_failing_often_is_not_suspect_poison),
        TEST(test_reset_closes_and_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
