#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "record/record.h"

static const struct record_header headers[] = {
    {SLICE_INIT("a"), SLICE_INIT("1")},
    {SLICE_INIT("b"), {NULL, 0}},
    {SLICE_INIT("a"), SLICE_INIT("22")},
    {SLICE_INIT("A"), SLICE_INIT("333")},
};

static void test_record_find_header_with_repeats_gives_the_last(void **state)
{
    (void)state;
    struct record rec = {.headers = headers, .header_count = 4};
    assert_ptr_equal(record_find_header(&rec, "a"), &headers[2]);
    assert_ptr_equal(record_find_header(&rec, "b"), &headers[1]);
}

static void test_record_find_header_of_another_name_gives_null(void **state)
{
    (void)state;
    struct record rec = {.headers = headers, .header_count = 4};
    assert_null(record_find_header(&rec, "aa"));
    assert_null(record_find_header(&rec, ""));
    rec.header_count = 0;
    assert_null(record_find_header(&rec, "a"));
}

static void test_record_size_counts_key_value_and_headers(void **state)
{
    (void)state;
    struct record rec = {.key = SLICE_LIT("key"),
                         .value = SLICE_LIT("value"),
                         .headers = headers,
                         .header_count = 4};
    assert_int_equal(record_size(&rec), 3 + 5 + 2 + 1 + 3 + 4);
    rec = (struct record){0};
    assert_int_equal(record_size(&rec), 0);
}

static int released;

static void count_release(void *backing)
{
    assert_ptr_equal(backing, &released);
    released++;
}

static void test_record_release_releases_once(void **state)
{
    (void)state;
    struct record rec = {.backing = &released, .release = count_release, .offset = 5};
    released = 0;
    record_release(&rec);
    record_release(&rec);
    assert_int_equal(released, 1);
    assert_true(slice_is_null(rec.value));
    rec = (struct record){.backing = &released};
    record_release(&rec);
    assert_int_equal(released, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_find_header_with_repeats_gives_the_last),
        cmocka_unit_test(test_record_find_header_of_another_name_gives_null),
        cmocka_unit_test(test_record_size_counts_key_value_and_headers),
        cmocka_unit_test(test_record_release_releases_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
