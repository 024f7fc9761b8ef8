/* The list of what a redrive job skipped, as it is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>

#include "base/mem.h"
#include "dlq/redrive_skipped.h"

static struct err err;

static void add(struct redrive_skipped *list, enum redrive_skip why, const char *topic,
                int32_t partition, int64_t offset)
{
    struct letter_id id = {slice_of(topic), partition, offset};
    redrive_skipped_add(list, why, &id);
}

/* What is read of what was written, a word for each letter. */
static void assert_kept(struct redrive_skipped *list, const char *expected)
{
    struct buf value = {0}, words = {0};
    struct redrive_skipped *kept;
    uint64_t listed = redrive_skipped_write(list, &value);
    kept = redrive_skipped_read(buf_slice(&value), &err);
    assert_non_null(kept);
    assert_int_equal(redrive_skipped_count(kept), listed);
    buf_add_text(&words, "");
    for (uint64_t at = 0; at < listed; at++) {
        enum redrive_skip why;
        struct letter_id id;
        redrive_skipped_get(kept, at, &why, &id);
        buf_printf(&words, "%s:%.*s/%" PRId32 "/%" PRId64 " ", redrive_skip_name(why),
                   (int)id.topic.len, id.topic.data, id.partition, id.offset);
    }
    assert_string_equal(words.data, expected);
    redrive_skipped_free(&kept);
    buf_deinit(&value);
    buf_deinit(&words);
}

static void test_letters_are_kept_with_their_reason_the_worst_first(void **state)
{
    struct redrive_skipped *list = redrive_skipped_new();
    (void)state;
    add(list, SKIP_RESOLVED, "b", 1, 7);
    add(list, SKIP_GONE, "a", 2, INT64_MAX - 2);
    add(list, SKIP_RESOLVED, "b", 1, 5);
    add(list, SKIP_RESOLVED, "a", 1, 6);
    add(list, SKIP_REFUSED, "b", 0, 0);
    add(list, SKIP_RESOLVED, "b", 1, 6);
    assert_kept(list, "refused:b/0/0 gone:a/2/9223372036854775805 resolved:b/1/5 resolved:b/1/6 "
                      "resolved:b/1/7 resolved:a/1/6 ");
    redrive_skipped_free(&list);
}

static void test_empty_list_is_a_list(void **state)
{
    struct redrive_skipped *list = redrive_skipped_new();
    (void)state;
    assert_kept(list, "");
    redrive_skipped_free(&list);
}

static void test_letters_in_one_piece_take_next_to_nothing(void **state)
{
    struct redrive_skipped *list = redrive_skipped_new(), *kept;
    struct buf value = {0};
    (void)state;
    for (int64_t i = 0; i < 300000; i++)
        add(list, SKIP_RESOLVED, "dlq.app.orders", (int32_t)(i % 3), i / 3);
    assert_int_equal(redrive_skipped_write(list, &value), 300000);
    assert_true(value.len < 200);
    kept = redrive_skipped_read(buf_slice(&value), &err);
    assert_int_equal(redrive_skipped_count(kept), 300000);
    redrive_skipped_free(&kept);
    redrive_skipped_free(&list);
    buf_deinit(&value);
}

/* Of too many, those are left out that were done already; how many these are is said. */
static void test_list_is_never_larger_than_its_bound(void **state)
{
    struct redrive_skipped *list = redrive_skipped_new(), *kept;
    struct buf value = {0}, said = {0};
    enum redrive_skip why;
    struct letter_id id;
    uint64_t listed;
    (void)state;
    for (int64_t i = 0; i < 60000; i++)
        add(list, SKIP_RESOLVED, "dlq.app.orders", 0, INT64_C(1000000000000) + 2 * i);
    add(list, SKIP_FOREIGN, "dlq.app.orders", 0, 3);
    listed = redrive_skipped_write(list, &value);
    assert_true(value.len <= REDRIVE_SKIPPED_MAX);
    assert_true(value.len > REDRIVE_SKIPPED_MAX - 64);
    assert_true(listed > 10000 && listed < 60000);
    buf_printf(&said, "\"unlisted\":%" PRIu64 ",", 60001 - listed);
    assert_non_null(strstr(value.data, said.data));
    kept = redrive_skipped_read(buf_slice(&value), &err);
    assert_int_equal(redrive_skipped_count(kept), listed);
    redrive_skipped_get(kept, 0, &why, &id);
    assert_int_equal(why, SKIP_FOREIGN);
    redrive_skipped_get(kept, listed - 1, &why, &id);
    assert_int_equal(id.offset, INT64_C(1000000000000) + 2 * (int64_t)(listed - 2));
    redrive_skipped_free(&kept);
    redrive_skipped_free(&list);
    buf_deinit(&value);
    buf_deinit(&said);
}

static void test_what_is_no_list_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"v\":2,\"topics\":[],\"letters\":[]}",
        "{\"v\":1,\"topics\":{},\"letters\":[]}",
        "{\"v\":1,\"topics\":[]}",
        "{\"v\":1,\"topics\":[\"\"],\"letters\":[]}",
        "{\"v\":1,\"topics\":[\"a\\u0000b\"],\"letters\":[]}",
        "{\"v\":1,\"topics\":[],\"letters\":[[\"gone\",0,0,1,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"lost\",0,0,1,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",1,0,1,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,-1,1,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,2147483648,1,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,1,0]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,-1,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,1.5,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,9223372036854775807,1]]}",
        "{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,5,9223372036854775806]]}",
        ("{\"v\":1,\"topics\":[\"a\"],\"letters\":[[\"gone\",0,0,0,9223372036854775806,0,"
         "9223372036854775806]]}"),
        "{\"v\":1,\"topics\":[[[[[[]]]]]],\"letters\":[]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        err = (struct err){0};
        if (redrive_skipped_read(slice_of(wrong[i]), &err))
            fail_msg("%s", wrong[i]);
        assert_int_equal(err.code, ERR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters_are_kept_with_their_reason_the_worst_first),
        cmocka_unit_test(test_empty_list_is_a_list),
        cmocka_unit_test(test_letters_in_one_piece_take_next_to_nothing),
        cmocka_unit_test(test_list_is_never_larger_than_its_bound),
        cmocka_unit_test(test_what_is_no_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
