/* Which letters a redrive takes, and what their copies are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "dlq/dead_copy.h"
#include "dlq/redrive_table.h"

#define UUID "AbCdEfGhIjKlMnOpQrStUv"

struct bench {
    struct dlq_filter filter;
    struct redrive_table *table;
    struct header_list headers;
    struct redrive_list list;
    struct redrive_counts counts;
};

static void set_up(struct bench *b, const char *name, const char *value)
{
    struct err err = {0};
    memset(b, 0, sizeof(*b));
    dlq_filter_init(&b->filter);
    header_list_init(&b->headers);
    if (name)
        assert_true(dlq_filter_set(&b->filter, name, slice_of(value), 1000, &err));
    b->table = redrive_table_new("app", &b->filter, 1000, "job-1", &err);
    assert_non_null(b->table);
}

static void tear_down(struct bench *b)
{
    redrive_table_free(&b->table);
    dlq_filter_deinit(&b->filter);
    header_list_deinit(&b->headers);
    mem_free(b->list.items);
}

static struct copy_info info_of(int64_t origin)
{
    return (struct copy_info){.group = SLICE_LIT("app"),
                              .route = SLICE_LIT("orders"),
                              .origin = {.topic = SLICE_LIT("orders"),
                                         .partition = 0,
                                         .leader_epoch = -1,
                                         .offset = origin,
                                         .timestamp_ms = 5},
                              .attempt = 3,
                              .error_code = SLICE_LIT("http-422"),
                              .error_detail = SLICE_LIT("no such price"),
                              .http_status = 422};
}

static const struct record_header app[] = {{SLICE_INIT("seq"), SLICE_INIT("7")},
                                           {SLICE_INIT("null"), {NULL, 0}}};

static struct record letter(struct bench *b, int64_t offset, const struct copy_info *info)
{
    struct copy_identity identity = {.has_epoch = true, .has_number = true, .number = 7};
    struct record rec = {.topic = SLICE_LIT("dlq.app.orders"),
                         .offset = offset,
                         .timestamp_ms = 500,
                         .key = SLICE_LIT("k"),
                         .value = SLICE_LIT("v\0w"),
                         .headers = app,
                         .header_count = 2};
    headers_write_copy(&b->headers, COPY_DEAD_LETTER, &rec, info, &identity, 4096);
    rec.headers = b->headers.items;
    rec.header_count = b->headers.count;
    return rec;
}

static void add(struct bench *b, int64_t offset, int64_t origin)
{
    struct copy_info info = info_of(origin);
    struct record rec = letter(b, offset, &info);
    redrive_table_add_letter(b->table, UUID, &rec);
}

static enum redrive_told tell(struct bench *b, int64_t offset, enum letter_status status,
                              enum letter_result result, const char *redrive)
{
    struct letter_id id = {SLICE_LIT(UUID), 0, offset};
    struct letter_state state = {.status = status,
                                 .result = result,
                                 .redrive_id = slice_of(redrive),
                                 .redrive_count = 1,
                                 .at_ms = 1};
    struct redrive_entry *entry;
    return redrive_table_add_state(b->table, &id, &state, &entry);
}

static void list(struct bench *b)
{
    redrive_table_list(b->table, &b->list, &b->counts);
}

/* Its letters as the record has them. */
static void assert_skipped(const struct bench *b, const char *letters)
{
    struct redrive_skipped *skipped = redrive_skipped_new();
    struct buf value = {0}, expected = {0};
    redrive_table_add_skipped(b->table, skipped);
    (void)redrive_skipped_write(skipped, &value);
    buf_printf(&expected, "{\"v\":1,\"unlisted\":0,\"topics\":[\"%s\"],\"letters\":[%s]}", UUID,
               letters);
    assert_string_equal(value.data, expected.data);
    redrive_skipped_free(&skipped);
    buf_deinit(&value);
    buf_deinit(&expected);
}

static void test_open_letters_are_listed_by_origin(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, NULL, NULL);
    add(&b, 10, 103);
    add(&b, 11, 101);
    add(&b, 12, 102);
    add(&b, 12, 102); /* told again */
    list(&b);
    assert_int_equal(b.list.count, 3);
    assert_int_equal(b.counts.eligible, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(b.list.items[i]->origin_offset, 101 + i);
    tear_down(&b);
}

static void test_letters_of_other_states_are_left_out(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, "state", "any");
    for (int i = 0; i < 5; i++)
        add(&b, i, 100 + i);
    tell(&b, 0, LETTER_REDRIVING, LETTER_NO_RESULT, "other");
    tell(&b, 1, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "other");
    tell(&b, 2, LETTER_ARCHIVED, LETTER_NO_RESULT, NULL);
    tell(&b, 3, LETTER_OPEN, LETTER_RESULT_FAILED, "other");
    list(&b);
    assert_int_equal(b.counts.total, 5);
    assert_int_equal(b.counts.eligible, 2);
    assert_int_equal(b.counts.skipped[SKIP_ON_ITS_WAY], 1);
    assert_int_equal(b.counts.skipped[SKIP_RESOLVED], 1);
    assert_int_equal(b.counts.skipped[SKIP_ARCHIVED], 1);
    redrive_skip(b.list.items[0], SKIP_REFUSED, &b.counts);
    assert_skipped(&b, "[\"refused\",0,0,3,1],[\"on_its_way\",0,0,0,1],"
                       "[\"archived\",0,0,2,1],[\"resolved\",0,0,1,1]");
    tear_down(&b);
}

static void test_what_the_job_sent_before_is_not_sent_again(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, NULL, NULL);
    for (int i = 0; i < 4; i++)
        add(&b, i, 100 + i);
    tell(&b, 0, LETTER_REDRIVING, LETTER_NO_RESULT, "job-1");
    tell(&b, 1, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "job-1");
    tell(&b, 2, LETTER_OPEN, LETTER_RESULT_FAILED, "job-1");
    list(&b);
    assert_int_equal(b.counts.sent, 3);
    assert_int_equal(b.counts.resolved, 1);
    assert_int_equal(b.counts.failed, 1);
    assert_int_equal(b.list.count, 1);
    assert_int_equal(b.list.items[0]->offset, 3);
    assert_int_equal(redrive_counts_on_their_way(&b.counts), 1);
    assert_int_equal(tell(&b, 0, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "job-1"), TOLD_END);
    tear_down(&b);
}

static void test_late_redriving_is_told_and_does_not_count(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, NULL, NULL);
    add(&b, 0, 100);
    assert_int_equal(tell(&b, 0, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "job-1"), TOLD_NOTHING);
    assert_int_equal(tell(&b, 0, LETTER_REDRIVING, LETTER_NO_RESULT, "job-1"), TOLD_LATE);
    list(&b);
    assert_int_equal(b.counts.resolved, 1);
    tell(&b, 0, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "job-1"); /* the end again */
    tell(&b, 0, LETTER_REDRIVING, LETTER_NO_RESULT, "job-2");      /* another redrive */
    tear_down(&b);
}

static void test_letter_that_came_back_is_one_with_its_first(void **state)
{
    struct copy_info info = info_of(100);
    struct bench b;
    (void)state;
    set_up(&b, "id", "dlq.app.orders/0/0");
    add(&b, 0, 100);
    add(&b, 1, 101); /* not chosen */
    info.first_letter = SLICE_LIT(UUID "/0/0");
    info.redrive_count = 4;
    struct record rec = letter(&b, 9, &info);
    redrive_table_add_letter(b.table, UUID, &rec);
    list(&b);
    assert_int_equal(b.list.count, 1);
    assert_int_equal(b.list.items[0]->offset, 9);
    assert_int_equal(b.list.items[0]->id_offset, 0);
    assert_int_equal(b.list.items[0]->redrive_count, 4);
    assert_true(redrive_table_has(b.table, &b.filter.ids[0]));
    tear_down(&b);
}

static void test_two_letters_of_one_record_are_sent_once(void **state)
{
    struct bench b;
    (void)state;
    set_up(&b, NULL, NULL);
    add(&b, 0, 100);
    add(&b, 1, 100);
    list(&b);
    assert_int_equal(b.list.count, 1);
    assert_int_equal(b.counts.skipped[SKIP_ON_ITS_WAY], 1);
    assert_skipped(&b, "[\"on_its_way\",0,0,1,1]");
    tear_down(&b);
}

static size_t listed(const char *name, const char *value)
{
    struct bench b;
    set_up(&b, name, value);
    add(&b, 0, 100);
    list(&b);
    size_t count = b.list.count;
    tear_down(&b);
    return count;
}

static void test_filter_takes_what_fits_all_its_parts(void **state)
{
    (void)state;
    assert_int_equal(listed("code", "http-422"), 1);
    assert_int_equal(listed("code", "http-42"), 0);
    assert_int_equal(listed("status", "4xx"), 1);
    assert_int_equal(listed("status", "404"), 0);
    assert_int_equal(listed("route", "orders"), 1);
    assert_int_equal(listed("key", "k"), 1);
    assert_int_equal(listed("key", "K"), 0);
    assert_int_equal(listed("topic", "dlq.app.other"), 0);
    assert_int_equal(listed("text", "PRICE such"), 1);
    assert_int_equal(listed("text", "pric"), 0);
    assert_int_equal(listed("text", "pric*"), 1);
    assert_int_equal(listed("until", "1970-01-01T00:00:00.500Z"), 0);
}

static void test_letters_written_after_the_job_are_not_its_own(void **state)
{
    struct copy_info info = info_of(100);
    struct bench b;
    (void)state;
    set_up(&b, NULL, NULL);
    struct record rec = letter(&b, 0, &info);
    rec.timestamp_ms = 1001;
    redrive_table_add_letter(b.table, UUID, &rec);
    list(&b);
    assert_int_equal(b.counts.total, 0);
    tear_down(&b);
}

static struct slice header(const struct dead_copy *copy, const char *name)
{
    struct record rec = {.headers = copy->headers.items, .header_count = copy->headers.count};
    const struct record_header *found = record_find_header(&rec, name);
    return found ? found->value : SLICE_NULL;
}

static void test_copy_keeps_the_app_and_drops_the_error(void **state)
{
    struct letter_id first = {SLICE_LIT(UUID), 0, 4};
    struct dead_copy_order order = {"job-1", REDRIVE_FORCE, 5, &first};
    struct copy_info info = info_of(100);
    struct dead_copy copy = {0};
    struct bench b;
    struct err err = {0};
    (void)state;
    set_up(&b, NULL, NULL);
    struct record rec = letter(&b, 4, &info);
    assert_true(dead_copy_make(&copy, &rec, &order, &err));
    header_list_reset(&b.headers); /* nothing of it is borrowed */
    assert_int_equal(copy.rec.value.len, 3);
    assert_memory_equal(copy.rec.value.data, "v\0w", 3);
    assert_true(slice_equal_text(header(&copy, "seq"), "7"));
    assert_true(slice_is_null(header(&copy, "null")));
    assert_true(slice_is_null(header(&copy, "oncegate-error-code")));
    assert_true(slice_is_null(header(&copy, "__dlq.errors.message")));
    assert_true(slice_equal_text(header(&copy, "oncegate-redrive-id"), "job-1"));
    assert_true(slice_equal_text(header(&copy, "oncegate-redrive-mode"), "force"));
    assert_true(slice_equal_text(header(&copy, "oncegate-redrive-count"), "5"));
    assert_true(slice_equal_text(header(&copy, "oncegate-first-letter"), UUID "/0/4"));
    assert_true(slice_equal_text(header(&copy, "oncegate-origin-offset"), "100"));
    assert_true(slice_equal_text(header(&copy, "oncegate-sequence"), "7"));
    dead_copy_deinit(&copy);
    tear_down(&b);
}

static void test_record_of_another_program_has_no_copy(void **state)
{
    struct record rec = {.topic = SLICE_LIT("dlq.app.orders"), .key = SLICE_LIT("k")};
    struct letter_id first = {SLICE_LIT(UUID), 0, 4};
    struct dead_copy_order order = {"job-1", REDRIVE_IF_NEWER, 1, &first};
    struct dead_copy copy = {0};
    struct err err = {0};
    (void)state;
    assert_false(dead_copy_make(&copy, &rec, &order, &err));
    dead_copy_deinit(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_letters_are_listed_by_origin),
        cmocka_unit_test(test_letters_of_other_states_are_left_out),
        cmocka_unit_test(test_what_the_job_sent_before_is_not_sent_again),
        cmocka_unit_test(test_late_redriving_is_told_and_does_not_count),
        cmocka_unit_test(test_letter_that_came_back_is_one_with_its_first),
        cmocka_unit_test(test_two_letters_of_one_record_are_sent_once),
        cmocka_unit_test(test_filter_takes_what_fits_all_its_parts),
        cmocka_unit_test(test_letters_written_after_the_job_are_not_its_own),
        cmocka_unit_test(test_copy_keeps_the_app_and_drops_the_error),
        cmocka_unit_test(test_record_of_another_program_has_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
