/* The answer to a batch: which result is whose, and that nothing unsaid is taken for success. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "handler/batch_answer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MANY            1000

static struct batch_ids ids;
static struct batch_result results[MANY];
static struct batch_answer answer;
static struct handler_answer whole, one;

static int begin(void **state)
{
    (void)state;
    memset(results, 0xff, sizeof(results));
    answer = (struct batch_answer){.results = results};
    whole = (struct handler_answer){.status = 200, .request_sent = true, .retry_after_ms = -1};
    return 0;
}

static int end(void **state)
{
    (void)state;
    batch_ids_deinit(&ids);
    return 0;
}

static void add_id(const char *id)
{
    buf_add_text(&ids.bytes, id);
    batch_ids_end(&ids);
}

static bool read_text(const char *body)
{
    return batch_answer_read(slice_of(body), false, &ids, &answer);
}

static const struct handler_answer *of(uint32_t i)
{
    memset(&one, 0x5a, sizeof(one));
    batch_answer_of(&answer, i, &whole, INT64_C(1767323045678), &one);
    return &one;
}

static void test_ids_are_kept_apart(void **state)
{
    (void)state;
    add_id("a");
    add_id("");
    add_id("bc");
    assert_true(slice_equal_text(batch_ids_at(&ids, 0), "a"));
    assert_int_equal(batch_ids_at(&ids, 1).len, 0);
    assert_true(slice_equal_text(batch_ids_at(&ids, 2), "bc"));
    batch_ids_reset(&ids);
    add_id("d");
    assert_true(slice_equal_text(batch_ids_at(&ids, 0), "d"));
}

static void test_read_each_result_in_any_order(void **state)
{
    (void)state;
    add_id("a");
    add_id("b/\xc3\xa9");
    add_id("c");
    add_id("d");
    assert_true(
        read_text("{\"more\":1,\"results\":[{\"id\":\"d\",\"outcome\":\"pause\"},"
                  "{\"outcome\":\"retry\",\"retry_after\":7,\"id\":\"b\\/\\u00e9\"},"
                  "{\"id\":\"c\",\"outcome\":\"dead-letter\",\"error_code\":\"no-stock\","
                  "\"detail\":\"n\\u00f6 \\\"way\\\"\"},{\"id\":\"a\",\"outcome\":\"success\"}]}"));
    assert_int_equal(answer.named, 4);
    assert_int_equal(of(0)->outcome, OUTCOME_SUCCESS);
    assert_int_equal(of(1)->outcome, OUTCOME_RETRY);
    assert_int_equal(one.retry_after_ms, 7000);
    assert_int_equal(of(2)->outcome, OUTCOME_DEAD_LETTER);
    assert_string_equal(one.code, "no-stock");
    assert_string_equal(one.detail, "n\xc3\xb6 \"way\"");
    assert_int_equal(of(3)->outcome, OUTCOME_PAUSE);
    assert_int_equal(one.error, HANDLER_OK);
    assert_true(one.has_outcome && one.request_sent && !one.cancelled);
}

static void test_read_missing_is_a_retry(void **state)
{
    (void)state;
    add_id("a");
    add_id("b");
    assert_true(read_text("{\"results\":[{\"id\":\"b\",\"outcome\":\"success\"},{\"id\":\"x\","
                          "\"outcome\":\"success\"}]}"));
    assert_int_equal(answer.named, 1);
    assert_int_equal(answer.unknown, 1);
    assert_int_equal(of(0)->outcome, OUTCOME_RETRY);
    assert_string_equal(one.code, BATCH_MISSING);
    assert_non_null(strstr(one.detail, "1 of ids"));
    whole.has_outcome = true;
    whole.outcome = OUTCOME_SUCCESS;
    assert_int_equal(of(0)->outcome, OUTCOME_SUCCESS);
    assert_string_equal(one.code, "");
}

static void test_read_empty_body_names_nobody(void **state)
{
    (void)state;
    add_id("a");
    assert_true(read_text(""));
    assert_int_equal(answer.named, 0);
    assert_int_equal(of(0)->outcome, OUTCOME_RETRY);
}

static void test_read_result_without_a_known_outcome_is_the_record_s(void **state)
{
    static const char *const bad[] = {
        "{\"results\":[{\"id\":\"a\"},{\"id\":\"b\",\"outcome\":\"success\"}]}",
        "{\"results\":[{\"id\":\"a\",\"outcome\":\"succes\"},{\"id\":\"b\",\"outcome\":\"success\"}"
        "]}",
        "{\"results\":[{\"id\":\"a\",\"outcome\":true},{\"id\":\"b\",\"outcome\":\"success\"}]}",
        /* twice: which of them is meant? */
        "{\"results\":[{\"id\":\"a\",\"outcome\":\"success\"},{\"id\":\"a\",\"outcome\":"
        "\"success\"},"
        "{\"id\":\"b\",\"outcome\":\"success\"}]}",
    };
    (void)state;
    add_id("a");
    add_id("b");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_true(read_text(bad[i]));
        assert_int_equal(of(0)->error, HANDLER_PROTOCOL);
        assert_false(one.has_outcome);
        assert_int_equal(of(1)->outcome, OUTCOME_SUCCESS);
    }
}

static void test_read_what_is_no_answer_names_nobody(void **state)
{
    static const char *const bad[] = {
        "ok",
        "[]",
        "{}",
        "{\"results\":{}}",
        "{\"results\":\"a\"}",
        "{\"results\":[\"a\"]}",
        "{\"results\":[{\"outcome\":\"success\"}]}",
        "{\"results\":[{\"id\":7,\"outcome\":\"success\"}]}",
        "{\"results\":[{\"id\":\"\\ud800\",\"outcome\":\"success\"}]}",
        "{\"results\":[{\"id\":\"a\",\"outcome\":\"success\"}",
        "{\"results\":[null]}",
        "{\"results\":[{\"id\":\"a\",\"outcome\":\"success\"}]}x",
        "{\"results\":[{\"id\":\"a\",\"outcome\":\"success\"},7]}",
    };
    (void)state;
    add_id("a");
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (read_text(bad[i]))
            fail_msg("read: %s", bad[i]);
        assert_non_null(answer.problem);
        assert_int_equal(answer.named, 0);
        assert_false(results[0].named);
    }
    assert_false(batch_answer_read(SLICE_LIT("{\"results\":[{\"id\":"), true, &ids, &answer));
    assert_non_null(strstr(answer.problem, "max_response"));
}

static void test_read_flood_of_results_is_no_answer(void **state)
{
    struct buf body = {0};
    (void)state;
    add_id("a");
    buf_add_text(&body, "{\"results\":[{\"id\":\"a\",\"outcome\":\"success\"}");
    for (int i = 0; i < 2; i++)
        buf_add_text(&body, ",{\"id\":\"x\",\"outcome\":\"success\"}");
    buf_add_text(&body, "]}");
    assert_false(batch_answer_read(buf_slice(&body), false, &ids, &answer));
    buf_deinit(&body);
}

/* Events of different sources may have the same id. */
static void test_read_results_of_one_id_are_dealt_in_order(void **state)
{
    (void)state;
    add_id("a");
    add_id("b");
    add_id("a");
    assert_true(read_text(
        "{\"results\":[{\"id\":\"b\",\"outcome\":\"success\"},{\"id\":\"a\",\"outcome\":\"drop\"},"
        "{\"id\":\"a\",\"outcome\":\"success\"}]}"));
    assert_int_equal(of(0)->outcome, OUTCOME_DROP);
    assert_int_equal(of(2)->outcome, OUTCOME_SUCCESS);
    assert_true(read_text("{\"results\":[{\"id\":\"b\",\"outcome\":\"success\"},{\"id\":\"a\","
                          "\"outcome\":\"success\"}]}"));
    assert_int_equal(of(0)->outcome, OUTCOME_SUCCESS);
    assert_int_equal(of(2)->outcome, OUTCOME_RETRY);
    batch_ids_reset(&ids);
    add_id("a");
    add_id("b");
    add_id("b");
    assert_true(
        read_text("{\"results\":[{\"id\":\"b\",\"outcome\":\"success\"},{\"id\":\"a\",\"outcome\":"
                  "\"success\"},{\"id\":\"b\",\"outcome\":\"drop\"}]}"));
    assert_int_equal(of(1)->outcome, OUTCOME_SUCCESS);
    assert_int_equal(of(2)->outcome, OUTCOME_DROP);
}

static void test_read_codes_and_times_that_are_none_are_passed_over(void **state)
{
    (void)state;
    add_id("a");
    assert_true(
        read_text("{\"results\":[{\"id\":\"a\",\"outcome\":\"retry\",\"error_code\":\"No Stock\","
                  "\"detail\":7,\"retry_after\":\"soon\"}]}"));
    assert_int_equal(of(0)->outcome, OUTCOME_RETRY);
    assert_string_equal(one.code, "");
    assert_string_equal(one.detail, "");
    assert_int_equal(one.retry_after_ms, -1);
}

static void test_read_a_thousand_backwards(void **state)
{
    struct buf body = {0};
    char id[32];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "og/app/orders/key-%d", i);
        add_id(id);
    }
    buf_add_text(&body, "{\"results\":[");
    for (int i = MANY; i > 0; i--)
        buf_printf(&body, "%s{\"id\":\"og/app/orders/key-%d\",\"outcome\":\"%s\"}",
                   i < MANY ? "," : "", i - 1, i % 2 ? "success" : "drop");
    buf_add_text(&body, "]}");
    assert_true(batch_answer_read(buf_slice(&body), false, &ids, &answer));
    assert_int_equal(answer.named, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(of(i)->outcome, i % 2 ? OUTCOME_DROP : OUTCOME_SUCCESS);
    buf_deinit(&body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ids_are_kept_apart),
        TEST(test_read_each_result_in_any_order),
        TEST(test_read_missing_is_a_retry),
        TEST(test_read_empty_body_names_nobody),
        TEST(test_read_result_without_a_known_outcome_is_the_record_s),
        TEST(test_read_what_is_no_answer_names_nobody),
        TEST(test_read_flood_of_results_is_no_answer),
        TEST(test_read_results_of_one_id_are_dealt_in_order),
        TEST(test_read_codes_and_times_that_are_none_are_passed_over),
        TEST(test_read_a_thousand_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
