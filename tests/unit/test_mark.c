/* Marks as records of a topic, and runs of numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "record/mark.h"

static const char in_order[] = "1 010180" /* sequence; the last succeeded */
                               "0000000000000007"
                               "0000000000000001"
                               "fffffffffffffffe";

struct read {
    bool ok;
    struct slice key;
    int32_t partition;
    struct buf state;
    struct err err;
};

static struct read read_mark(const char *key, const char *value)
{
    struct record rec = {.key = slice_of(key), .value = slice_of(value)};
    struct read r = {0};
    r.ok = mark_read(&rec, &r.key, &r.partition, &r.state, &r.err);
    return r;
}

static void assert_refused(const char *key, const char *value)
{
    struct read r = read_mark(key, value);
    assert_false(r.ok);
    assert_int_equal(r.err.code, ERR_INPUT);
    assert_int_equal(r.state.len, 0);
    buf_deinit(&r.state);
}

static void test_mark_written_is_read_back(void **state)
{
    struct buf key = {0}, value = {0};
    struct read r = read_mark("=k", in_order);
    (void)state;
    assert_true(r.ok);
    assert_int_equal(r.state.len, 27);
    assert_memory_equal(r.key.data, "k", 1);
    assert_int_equal(r.key.len, 1);
    mark_write_key(&key, r.key, 4);
    mark_write(&value, buf_slice(&r.state));
    assert_string_equal(key.data, "=k");
    assert_string_equal(value.data, in_order);
    buf_deinit(&key);
    buf_deinit(&value);
    buf_deinit(&r.state);
}

static void assert_succeeded(const char *value, uint64_t epoch, uint64_t number)
{
    struct read r = read_mark("=k", value);
    uint64_t e = 1, n = 1;
    assert_true(r.ok);
    assert_true(mark_succeeded(buf_slice(&r.state), &e, &n));
    assert_int_equal(e, epoch);
    assert_int_equal(n, number);
    buf_deinit(&r.state);
}

static void test_highest_that_succeeded_is_found_in_every_form(void **state)
{
    uint64_t epoch, number;
    (void)state;
    assert_succeeded(in_order, 7, UINT64_MAX - 1); /* the same as the mark */
    assert_succeeded("1 010150"                    /* a window, and one that succeeded elsewhere */
                     "000000000000000700000000000000010000000000000004"
                     "0000000000000002"
                     "00000000000000060000000000000009",
                     6, 9);
    assert_succeeded("1 010240" /* version: it alone */
                     "0000000000000009",
                     0, 9);
    assert_false(mark_succeeded(SLICE_NULL, &epoch, &number));
    assert_false(mark_succeeded(SLICE_LIT("x"), &epoch, &number));
}

static void test_mark_of_null_key_names_its_partition(void **state)
{
    struct buf key = {0};
    (void)state;
    mark_write_key(&key, SLICE_NULL, 12);
    assert_string_equal(key.data, "-12");
    struct read r = read_mark(key.data, in_order);
    assert_true(r.ok && slice_is_null(r.key));
    assert_int_equal(r.partition, 12);
    buf_deinit(&r.state);
    r = read_mark("=", in_order); /* an empty key is no null */
    assert_true(r.ok && !slice_is_null(r.key) && r.key.len == 0);
    buf_deinit(&r.state);
    buf_deinit(&key);
}

static void test_mark_with_foreign_key_is_refused(void **state)
{
    (void)state;
    assert_refused("", in_order);
    assert_refused("k", in_order);
    assert_refused("-", in_order);
    assert_refused("--1", in_order);
    assert_refused("-4294967296", in_order);
}

static void test_mark_cut_or_longer_is_refused(void **state)
{
    char text[sizeof(in_order) + 2];
    (void)state;
    for (size_t len = 0; len < sizeof(in_order) - 1; len++) {
        memcpy(text, in_order, len);
        text[len] = '\0';
        assert_refused("=k", text);
    }
    memcpy(text, in_order, sizeof(in_order));
    memcpy(text + sizeof(in_order) - 1, "00", 3);
    assert_refused("=k", text);
}

static void test_mark_that_is_no_plain_block_is_refused(void **state)
{
    static const char *const heads[] = {
        "2 010180", "1 020180", "1 010280", /* version; state's version; another block */
        "1 010182",                         /* marks of sources */
        "1 010188",                         /* parked */
        "1 0101c0",                         /* both ways to say what succeeded */
        "1 012180",                         /* a floor where nothing was seen */
        "1 014180",                         /* flags of a previous epoch that is not there */
    };
    char text[sizeof(in_order)];
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        memcpy(text, in_order, sizeof(in_order));
        memcpy(text, heads[i], 8);
        assert_refused("=k", text);
    }
    assert_refused("=k", "1 010000");
    assert_refused("=k", "1 0101zz");
}

static void assert_run(const struct mark_run *run, uint64_t first, uint64_t last, uint64_t window)
{
    assert_int_equal(run->first, first);
    assert_int_equal(run->last, last);
    assert_int_equal(run->window, window);
}

static void test_run_closes_its_gaps(void **state)
{
    struct mark_run run = mark_run_of(1, 10);
    (void)state;
    mark_run_add(&run, 1, 11);
    mark_run_add(&run, 1, 13);
    assert_run(&run, 10, 11, 2);
    mark_run_add(&run, 1, 12);
    assert_run(&run, 10, 13, 0);
    mark_run_add(&run, 1, 77); /* the last that fits */
    assert_run(&run, 10, 13, UINT64_C(1) << 63);
}

static void test_run_claims_nothing_that_was_not_added(void **state)
{
    struct mark_run run = mark_run_of(1, 10);
    (void)state;
    mark_run_add(&run, 1, 9);
    mark_run_add(&run, 0, 11);
    assert_run(&run, 10, 10, 0);
    mark_run_add(&run, 1, 75);
    assert_run(&run, 75, 75, 0);
    mark_run_add(&run, 2, 3);
    assert_run(&run, 3, 3, 0);
    assert_int_equal(run.epoch, 2);
    run = mark_run_of(1, UINT64_MAX - 1);
    mark_run_add(&run, 1, UINT64_MAX);
    assert_run(&run, UINT64_MAX - 1, UINT64_MAX, 0);
    mark_run_add(&run, 1, 0);
    assert_run(&run, UINT64_MAX - 1, UINT64_MAX, 0);
}

static void test_run_is_written_as_a_mark_that_can_be_read(void **state)
{
    static const uint64_t firsts[] = {0, 1, UINT64_MAX - 5};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct mark_run run = mark_run_of(3, firsts[i]);
        struct buf bytes = {0}, value = {0};
        mark_run_add(&run, 3, firsts[i] + 2);
        mark_run_write(&bytes, &run);
        mark_write(&value, buf_slice(&bytes));
        struct read r = read_mark("=k", value.data);
        assert_true(r.ok);
        assert_int_equal(r.state.len, bytes.len);
        assert_memory_equal(r.state.data, bytes.data, bytes.len);
        buf_deinit(&r.state);
        buf_deinit(&bytes);
        buf_deinit(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark_written_is_read_back),
        cmocka_unit_test(test_highest_that_succeeded_is_found_in_every_form),
        cmocka_unit_test(test_mark_of_null_key_names_its_partition),
        cmocka_unit_test(test_mark_with_foreign_key_is_refused),
        cmocka_unit_test(test_mark_cut_or_longer_is_refused),
        cmocka_unit_test(test_mark_that_is_no_plain_block_is_refused),
        cmocka_unit_test(test_run_closes_its_gaps),
        cmocka_unit_test(test_run_claims_nothing_that_was_not_added),
        cmocka_unit_test(test_run_is_written_as_a_mark_that_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
