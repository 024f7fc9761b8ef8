#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "record/headers.h"

static struct header_list list;

static int setup(void **state)
{
    (void)state;
    header_list_init(&list);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    header_list_deinit(&list);
    return 0;
}

/* The header list as a record, as if it had been produced and consumed again. */
static struct record as_record(void)
{
    return (struct record){.topic = SLICE_LIT("retry.g.orders.10s"),
                           .headers = list.items,
                           .header_count = list.count};
}

static size_t count_of(const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++)
        count += slice_equal_text(list.items[i].name, name);
    return count;
}

static void assert_header(const char *name, const char *value)
{
    struct record rec = as_record();
    const struct record_header *header = record_find_header(&rec, name);
    assert_non_null(header);
    assert_int_equal(count_of(name), 1);
    assert_true(slice_equal_text(header->value, value));
}

static struct copy_info full_info(void)
{
    return (struct copy_info){
        .group = SLICE_LIT("orders-app"),
        .route = SLICE_LIT("orders"),
        .origin = {.topic = SLICE_LIT("orders"),
                   .partition = 3,
                   .leader_epoch = 7,
                   .offset = INT64_C(9007199254740993),
                   .timestamp_ms = INT64_C(1767323045678)},
        .attempt = 4,
        .hop = 2,
        .not_before_ms = INT64_C(1767323055678),
        .first_failed_at_ms = INT64_C(1767323045000),
        .last_failed_at_ms = INT64_C(1767323046000),
        .error_code = SLICE_LIT("http-503"),
        .error_detail = SLICE_LIT("no stock"),
        .signature = SLICE_LIT("0123456789abcdef"),
        .http_status = 503,
        .redrive_id = SLICE_LIT("job-1"),
        .redrive_mode = SLICE_LIT("force"),
        .redrive_count = 1,
        .first_letter = SLICE_LIT("9MJIhuY3RWaGkIv3Wq7n-A/3/17"),
    };
}

static void assert_same_info(const struct copy_info *a, const struct copy_info *b)
{
    assert_true(slice_equal(a->group, b->group));
    assert_true(slice_equal(a->route, b->route));
    assert_true(slice_equal(a->origin.topic, b->origin.topic));
    assert_int_equal(a->origin.partition, b->origin.partition);
    assert_int_equal(a->origin.leader_epoch, b->origin.leader_epoch);
    assert_true(a->origin.offset == b->origin.offset);
    assert_true(a->origin.timestamp_ms == b->origin.timestamp_ms);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->hop, b->hop);
    assert_true(a->not_before_ms == b->not_before_ms);
    assert_true(a->first_failed_at_ms == b->first_failed_at_ms);
    assert_true(a->last_failed_at_ms == b->last_failed_at_ms);
    assert_true(slice_equal(a->error_code, b->error_code));
    assert_true(slice_equal(a->error_detail, b->error_detail));
    assert_true(slice_equal(a->signature, b->signature));
    assert_int_equal(a->http_status, b->http_status);
    assert_true(slice_equal(a->redrive_id, b->redrive_id));
    assert_true(slice_equal(a->redrive_mode, b->redrive_mode));
    assert_int_equal(a->redrive_count, b->redrive_count);
}

static void test_headers_read_copy_of_a_written_copy_gives_the_same(void **state)
{
    (void)state;
    struct record source = {.topic = SLICE_LIT("orders")};
    struct copy_info info = full_info();
    struct copy_info back;
    struct err err = {0};
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 4096);
    struct record copy = as_record();
    assert_true(headers_read_copy(&copy, &back, &err));
    assert_same_info(&info, &back);
}

/* From the redriven copy to the dead letter that it becomes again, and from that to the next copy.
 */
static void test_headers_read_copy_of_a_letter_knows_the_first_one(void **state)
{
    (void)state;
    static const enum copy_kind kinds[] = {COPY_REDRIVE, COPY_DEAD_LETTER};
    for (size_t i = 0; i < 2; i++) {
        struct record source = {0};
        struct copy_info info = full_info();
        struct copy_info back;
        struct err err = {0};
        headers_write_copy(&list, kinds[i], &source, &info, NULL, 4096);
        struct record copy = as_record();
        assert_true(headers_read_copy(&copy, &back, &err));
        assert_true(slice_equal(back.first_letter, info.first_letter));
        assert_int_equal(back.redrive_count, 1);
    }
}

static void test_headers_read_copy_of_a_follower_that_never_failed_gives_the_same(void **state)
{
    (void)state;
    struct record source = {.topic = SLICE_LIT("orders")};
    struct copy_info info = {
        .group = SLICE_LIT("g"),
        .route = SLICE_LIT("r"),
        .origin = {.topic = SLICE_LIT("orders"), .leader_epoch = -1, .timestamp_ms = -1}};
    struct copy_info back;
    struct err err = {0};
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 4096);
    struct record copy = as_record();
    assert_true(headers_read_copy(&copy, &back, &err));
    assert_same_info(&info, &back);
    assert_int_equal(count_of("oncegate-first-failed-at"), 0);
    assert_int_equal(count_of("oncegate-error-code"), 0);
    assert_header("oncegate-attempt", "0");
}

static void test_headers_write_copy_keeps_app_headers_to_the_byte_in_order(void **state)
{
    (void)state;
    static const struct record_header app[] = {
        {SLICE_INIT("seq"), SLICE_INIT("1")},
        {SLICE_INIT(""), SLICE_INIT("")},
        {SLICE_INIT("seq"), {NULL, 0}},
        {SLICE_INIT("bin"), {"\0\xff", 2}},
        {SLICE_INIT("Oncegate-Group"), SLICE_INIT("the app's own: names are case-sensitive")},
        {SLICE_INIT("oncegate"), SLICE_INIT("no prefix")},
    };
    struct record source = {.headers = app, .header_count = 6};
    struct copy_info info = full_info();
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 4096);
    for (size_t i = 0; i < 6; i++) {
        assert_true(slice_equal(list.items[i].name, app[i].name));
        assert_ptr_equal(list.items[i].value.data, app[i].value.data); /* borrowed, not copied */
        assert_int_equal(list.items[i].value.len, app[i].value.len);
    }
    assert_true(headers_is_own(list.items[6].name));
}

/* Spring's headers grew with every retry until the record was too large. */
static void test_headers_write_copy_of_a_copy_writes_each_own_header_once(void **state)
{
    (void)state;
    struct record source = {.topic = SLICE_LIT("orders")};
    struct copy_info info = full_info();
    struct copy_identity identity = {true, true, 1, 2};
    headers_write_copy(&list, COPY_DEAD_LETTER, &source, &info, &identity, 4096);
    size_t count = list.count;

    struct header_list first = list;
    header_list_init(&list);
    struct record copy = {.headers = first.items, .header_count = first.count};
    info.attempt = 5;
    headers_write_copy(&list, COPY_DEAD_LETTER, &copy, &info, &identity, 4096);
    assert_int_equal(list.count, count);
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(count_of(list.items[i].name.data), 1);
    assert_header("oncegate-attempt", "5");
    header_list_deinit(&first);
}

static void test_headers_write_copy_for_retry_leaves_out_dead_letter_names(void **state)
{
    (void)state;
    struct record source = {0};
    struct copy_info info = full_info();
    struct copy_identity identity = {true, true, 0, UINT64_MAX};
    headers_write_copy(&list, COPY_RETRY, &source, &info, &identity, 4096);
    assert_header("oncegate-version", "1");
    assert_header("oncegate-not-before", "1767323055678");
    assert_header("oncegate-sequence", "18446744073709551615");
    assert_header("oncegate-epoch", "0");
    assert_int_equal(count_of("__dlq.errors.topic"), 0);
    assert_int_equal(count_of("oncegate-first-letter"), 0);
}

static void test_headers_write_copy_for_dead_letter_adds_the_common_names(void **state)
{
    (void)state;
    struct record source = {0};
    struct copy_info info = full_info();
    info.attempt = 40000;
    headers_write_copy(&list, COPY_DEAD_LETTER, &source, &info, NULL, 4096);
    assert_header("__dlq.errors.topic", "orders");
    assert_header("__dlq.errors.partition", "3");
    assert_header("__dlq.errors.offset", "9007199254740993");
    assert_header("__dlq.errors.group", "orders-app");
    assert_header("__dlq.errors.delivery.count", "32767");
    assert_header("__dlq.errors.message", "no stock");
    assert_header("oncegate-attempt", "40000");
    assert_header("oncegate-error-code", "http-503");
    assert_int_equal(count_of("oncegate-not-before"), 0);
    assert_int_equal(count_of("oncegate-sequence"), 0);
}

static void test_headers_write_copy_for_dead_letter_without_detail_names_the_code(void **state)
{
    (void)state;
    struct record source = {0};
    struct copy_info info = full_info();
    headers_write_copy(&list, COPY_DEAD_LETTER, &source, &info, NULL, 0);
    assert_int_equal(count_of("oncegate-error-detail"), 0);
    assert_header("__dlq.errors.message", "http-503");
}

static void test_headers_write_copy_for_redrive_strips_the_errors(void **state)
{
    (void)state;
    static const char *const gone[] = {
        "oncegate-error-code", "oncegate-error-detail",    "oncegate-http-status",
        "oncegate-signature",  "oncegate-first-failed-at", "oncegate-last-failed-at",
        "oncegate-not-before", "__dlq.errors.topic",       "__dlq.errors.message"};
    struct record source = {0};
    struct copy_info info = full_info();
    headers_write_copy(&list, COPY_DEAD_LETTER, &source, &info, NULL, 4096);
    struct header_list dead = list;
    header_list_init(&list);
    struct record letter = {.headers = dead.items, .header_count = dead.count};
    headers_write_copy(&list, COPY_REDRIVE, &letter, &info, NULL, 4096);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        assert_int_equal(count_of(gone[i]), 0);
    assert_header("oncegate-redrive-id", "job-1");
    assert_header("oncegate-redrive-mode", "force");
    assert_header("oncegate-redrive-count", "1");
    assert_header("oncegate-first-letter", "9MJIhuY3RWaGkIv3Wq7n-A/3/17");
    assert_header("oncegate-origin-offset", "9007199254740993");
    header_list_deinit(&dead);
}

static void test_headers_write_copy_cuts_the_detail_at_a_character(void **state)
{
    (void)state;
    struct record source = {0};
    struct copy_info info = full_info();
    info.error_detail = SLICE_LIT("abc\xe2\x82\xac");
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 5);
    assert_header("oncegate-error-detail", "abc");
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 6);
    assert_header("oncegate-error-detail", "abc\xe2\x82\xac");
}

/* Values stand in one buffer; it must not move while the list grows. */
static void test_headers_write_copy_with_large_texts_keeps_all_values(void **state)
{
    (void)state;
    struct record source = {0};
    struct copy_info info = full_info();
    char *detail = mem_alloc(70000);
    memset(detail, 'd', 70000);
    info.error_detail = (struct slice){detail, 70000};
    info.error_code = (struct slice){detail, 60000};
    info.group = (struct slice){detail, 50000};
    headers_write_copy(&list, COPY_DEAD_LETTER, &source, &info, NULL, 65536);
    struct record rec = as_record();
    assert_int_equal(record_find_header(&rec, "oncegate-error-detail")->value.len, 65536);
    assert_int_equal(record_find_header(&rec, "__dlq.errors.message")->value.len, 65536);
    assert_header("oncegate-route", "orders");
    assert_header("oncegate-version", "1");
    mem_free(detail);
}

static void test_headers_is_own_knows_both_prefixes(void **state)
{
    (void)state;
    assert_true(headers_is_own(SLICE_LIT("oncegate-")));
    assert_true(headers_is_own(SLICE_LIT("oncegate-anything")));
    assert_true(headers_is_own(SLICE_LIT("__dlq.errors.message")));
    assert_false(headers_is_own(SLICE_LIT("oncegate")));
    assert_false(headers_is_own(SLICE_LIT("ONCEGATE-group")));
    assert_false(headers_is_own(SLICE_LIT("")));
    assert_false(headers_is_own(SLICE_LIT("__dlq.other")));
}

/* Writes a good copy, replaces or removes one header of it, and reads it. */
static bool read_with(const char *name, struct slice value, bool remove, struct copy_info *out,
                      struct err *err)
{
    struct record source = {0};
    static struct copy_info info;
    info = full_info();
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 4096);
    for (size_t i = 0; i < list.count; i++) {
        if (!slice_equal_text(list.items[i].name, name))
            continue;
        list.items[i].value = value;
        if (remove)
            list.items[i].name = SLICE_LIT("gone");
    }
    struct record copy = as_record();
    return headers_read_copy(&copy, out, err);
}

static void test_headers_read_copy_without_a_required_header_names_it(void **state)
{
    (void)state;
    static const char *const required[] = {"oncegate-version",       "oncegate-group",
                                           "oncegate-origin-topic",  "oncegate-origin-partition",
                                           "oncegate-origin-offset", "oncegate-attempt"};
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        struct copy_info out;
        struct err err = {0};
        assert_false(read_with(required[i], SLICE_NULL, true, &out, &err));
        assert_int_equal(err.code, ERR_INPUT);
        assert_non_null(strstr(err.text, required[i]));
        assert_non_null(strstr(err.text, "missing"));
        assert_true(slice_equal_text(out.signature, "0123456789abcdef")); /* the rest is read */
    }
}

static void test_headers_read_copy_with_an_unreadable_header_names_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct slice value;
    } cases[] = {
        {"oncegate-version", SLICE_INIT("2")},
        {"oncegate-version", SLICE_INIT("")},
        {"oncegate-group", {NULL, 0}},
        {"oncegate-origin-partition", SLICE_INIT("2147483648")},
        {"oncegate-origin-partition", SLICE_INIT("4294967299")},
        {"oncegate-origin-partition", SLICE_INIT("-1")},
        {"oncegate-origin-partition", SLICE_INIT("3 ")},
        {"oncegate-origin-offset", SLICE_INIT("9223372036854775808")},
        {"oncegate-origin-offset", SLICE_INIT("-1")},
        {"oncegate-origin-offset", {NULL, 0}},
        {"oncegate-attempt", SLICE_INIT("-1")},
        {"oncegate-attempt", SLICE_INIT("4294967296")},
        {"oncegate-hop", SLICE_INIT("1.5")},
        {"oncegate-not-before", SLICE_INIT("soon")},
        {"oncegate-not-before", SLICE_INIT("-2")},
        {"oncegate-http-status", SLICE_INIT("5xx")},
        {"oncegate-first-failed-at", {"17\0", 3}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct copy_info out;
        struct err err = {0};
        assert_false(read_with(cases[i].name, cases[i].value, false, &out, &err));
        assert_int_equal(err.code, ERR_INPUT);
        assert_true(slice_equal_text(out.origin.topic, "orders"));
        if (strstr(cases[i].name, "origin-partition") == NULL)
            assert_non_null(strstr(err.text, cases[i].name));
    }
}

static void test_headers_read_copy_without_any_headers_fails(void **state)
{
    (void)state;
    struct record rec = {0};
    struct copy_info out;
    struct err err = {0};
    assert_false(headers_read_copy(&rec, &out, &err));
    assert_int_equal(out.origin.offset, -1);
    assert_int_equal(out.origin.partition, -1);
    assert_false(headers_read_copy(&rec, &out, NULL));
}

static void test_headers_read_copy_with_repeats_takes_the_last(void **state)
{
    (void)state;
    struct record source = {0};
    struct copy_info info = full_info();
    struct copy_info out;
    struct err err = {0};
    headers_write_copy(&list, COPY_RETRY, &source, &info, NULL, 4096);
    header_list_add(&list, SLICE_LIT("oncegate-attempt"), SLICE_LIT("9"));
    header_list_add(&list, SLICE_LIT("oncegate-of-a-later-release"), SLICE_LIT("?"));
    struct record copy = as_record();
    assert_true(headers_read_copy(&copy, &out, &err));
    assert_int_equal(out.attempt, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_headers_read_copy_of_a_written_copy_gives_the_same),
        TEST(test_headers_read_copy_of_a_letter_knows_the_first_one),
        TEST(test_headers_read_copy_of_a_follower_that_never_failed_gives_the_same),
        TEST(test_headers_write_copy_keeps_app_headers_to_the_byte_in_order),
        TEST(test_headers_write_copy_of_a_copy_writes_each_own_header_once),
        TEST(test_headers_write_copy_for_retry_leaves_out_dead_letter_names),
        TEST(test_headers_write_copy_for_dead_letter_adds_the_common_names),
        TEST(test_headers_write_copy_for_dead_letter_without_detail_names_the_code),
        TEST(test_headers_write_copy_for_redrive_strips_the_errors),
        TEST(test_headers_write_copy_cuts_the_detail_at_a_character),
        TEST(test_headers_write_copy_with_large_texts_keeps_all_values),
        TEST(test_headers_is_own_knows_both_prefixes),
        TEST(test_headers_read_copy_without_a_required_header_names_it),
        TEST(test_headers_read_copy_with_an_unreadable_header_names_it),
        TEST(test_headers_read_copy_without_any_headers_fails),
        TEST(test_headers_read_copy_with_repeats_takes_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
