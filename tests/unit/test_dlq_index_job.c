/* What a redrive job did, letter by letter, made of states and of letters that came back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "dlq/index_parts.h"

#define T0    INT64_C(1767323045000)
#define TOPIC "dlq.g.orders"
#define UUID  "abc-_abcdefghijklmnopqA"

static struct err err;

static void check(bool ok)
{
    if (!ok)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    struct dlq_index *index = dlq_index_open(NULL, true, &err);
    check(index != NULL);
    check(dlq_index_begin(index, &err));
    check(dlq_index_topic(index, DLQ_LETTERS, TOPIC, UUID, 3, &err));
    check(dlq_index_topic(index, DLQ_STATES, "dlq-state.g", "", 1, &err));
    *state = index;
    return 0;
}

static int tear_down(void **state)
{
    struct dlq_index *index = *state;
    dlq_index_close(&index);
    return 0;
}

/* A letter; of a job: one that came back from it, of the letter at `first`. */
static void add_letter(struct dlq_index *index, int64_t offset, const char *job, int64_t first,
                       const char *code, uint32_t count)
{
    char id[80];
    struct record rec = {.topic = SLICE_LIT(TOPIC),
                         .offset = offset,
                         .timestamp_ms = T0 + offset,
                         .key = SLICE_LIT("k")};
    struct dead_letter letter = {.group = SLICE_LIT("g"),
                                 .route = SLICE_LIT("orders"),
                                 .attempts = 1,
                                 .code = slice_of(code),
                                 .redrive_count = count,
                                 .redrive_id = slice_of(job)};
    snprintf(id, sizeof(id), UUID "/0/%" PRId64, first);
    if (job)
        letter.first_letter = slice_of(id);
    headers_signature(letter.route, letter.code, letter.detail, letter.signature);
    check(dlq_index_add(index, &rec, &letter, &err));
}

static int64_t state_offset;

static void add_state(struct dlq_index *index, int32_t partition, int64_t offset,
                      enum letter_status status, enum letter_result result, const char *job)
{
    struct letter_id id = {SLICE_LIT(UUID), partition, offset};
    struct letter_state state = {.status = status,
                                 .result = result,
                                 .redrive_id = slice_of(job),
                                 .redrive_count = 1,
                                 .at_ms = T0 + 500000 + offset};
    struct record rec = {.topic = SLICE_LIT("dlq-state.g"), .offset = state_offset++};
    if (result == LETTER_RESULT_FAILED)
        state.code = SLICE_LIT("http-500");
    check(dlq_index_add_state(index, &rec, &id, &state, &err));
}

static bool on_row(void *arg, const struct dlq_job_row *row)
{
    assert_memory_equal(row->id, TOPIC "/", sizeof(TOPIC));
    buf_printf(arg, "%s:%s%s%s%s%s ", row->id + sizeof(TOPIC), dlq_job_result_name(row->result),
               row->code[0] ? "=" : "", row->code, row->since[0] ? ">" : "", row->since);
    if (!row->line)
        buf_add_text(arg, "gone ");
    return true;
}

/* All pages of a job. */
static const char *listed(struct dlq_index *index, const char *job, unsigned results, size_t limit,
                          struct buf *out)
{
    char next[DLQ_CURSOR_MAX] = "", cursor[DLQ_CURSOR_MAX];
    struct dlq_covered covered;
    buf_reset(out);
    buf_add_text(out, "");
    do {
        memcpy(cursor, next, sizeof(cursor));
        check(dlq_index_job(index, job, results, cursor, limit, on_row, out, next, &covered, &err));
    } while (next[0]);
    return out->data;
}

static void assert_job(struct dlq_index *index, const char *job, unsigned results,
                       const char *expected)
{
    struct buf out = {0};
    for (size_t limit = 1; limit < 5; limit++)
        assert_string_equal(listed(index, job, results, limit, &out), expected);
    buf_deinit(&out);
}

static void test_each_letter_of_a_job_has_its_result(void **state)
{
    struct dlq_index *index = *state;
    for (int64_t i = 0; i < 6; i++)
        add_letter(index, i, NULL, 0, "x", 0);
    add_state(index, 0, 0, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "a");
    add_state(index, 0, 1, LETTER_RESOLVED, LETTER_RESULT_SUPERSEDED, "a");
    add_state(index, 0, 2, LETTER_REDRIVING, LETTER_NO_RESULT, "a");
    add_state(index, 0, 3, LETTER_OPEN, LETTER_RESULT_FAILED, "a");
    add_state(index, 0, 4, LETTER_REDRIVING, LETTER_NO_RESULT, "b");
    add_state(index, 1, 9, LETTER_RESOLVED, LETTER_RESULT_DUPLICATE, "a"); /* its letter is gone */
    assert_job(
        index, "a", 0,
        "0/0:resolved 0/1:superseded 0/2:on_its_way 0/3:failed=http-500 1/9:duplicate gone ");
    assert_job(index, "a", 1u << LETTER_RESULT_FAILED, "0/3:failed=http-500 ");
    assert_job(index, "a", 1u << LETTER_NO_RESULT | 1u << LETTER_RESULT_RESOLVED,
               "0/0:resolved 0/2:on_its_way ");
    assert_job(index, "a", 1u << LETTER_RESULT_DROPPED, "");
    assert_job(index, "b", 0, "0/4:on_its_way ");
    assert_job(index, "c", 0, "");
}

static void test_failure_stays_with_its_job_when_another_sends_it(void **state)
{
    struct dlq_index *index = *state;
    add_letter(index, 0, NULL, 0, "x", 0);
    add_letter(index, 1, NULL, 0, "x", 0);
    add_letter(index, 2, "a", 0, "y", 1);
    add_state(index, 0, 0, LETTER_OPEN, LETTER_RESULT_FAILED, "a");
    assert_job(index, "a", 0, "0/0:failed=http-500 ");
    add_letter(index, 3, "a", 0, "z", 1); /* the copy was produced twice, and failed twice */
    add_state(index, 0, 0, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "b");
    add_state(index, 0, 1, LETTER_RESOLVED, LETTER_RESULT_RESOLVED, "a");
    assert_job(index, "a", 0, "0/0:failed=z>b 0/1:resolved ");
    assert_job(index, "a", 1u << LETTER_RESULT_FAILED, "0/0:failed=z>b ");
    assert_job(index, "b", 0, "0/0:resolved ");
}

static void test_archived_letter_keeps_its_result_where_that_was_kept(void **state)
{
    struct dlq_index *index = *state;
    add_letter(index, 0, NULL, 0, "x", 0);
    add_letter(index, 1, NULL, 0, "x", 0);
    add_state(index, 0, 0, LETTER_ARCHIVED, LETTER_RESULT_RESOLVED, "a");
    add_state(index, 0, 1, LETTER_ARCHIVED, LETTER_NO_RESULT, "a");
    assert_job(index, "a", 0, "0/0:resolved 0/1:unknown ");
    add_state(index, 0, 1, LETTER_FORGOTTEN, LETTER_NO_RESULT, NULL);
    assert_job(index, "a", 0, "0/0:resolved ");
}

/* Many came back, nearly all with a state of the same job: a page looks at a part of them. */
static void test_pages_that_stop_short_lose_nothing(void **state)
{
    enum { MANY = 7000 };
    struct dlq_index *index = *state;
    struct buf out = {0}, expected = {0};
    for (int64_t i = 0; i < MANY; i++) {
        add_letter(index, i, NULL, 0, "x", 0);
        add_letter(index, MANY + i, "a", i, "y", 1);
        add_state(index, 0, i, LETTER_OPEN, LETTER_RESULT_FAILED, i % 1999 == 5 ? "b" : "a");
    }
    for (int64_t i = 0; i < MANY; i++)
        buf_printf(&expected,
                   i % 1999 == 5 ? "0/%" PRId64 ":failed=y>b " : "0/%" PRId64 ":failed=http-500 ",
                   i);
    assert_string_equal(listed(index, "a", 0, 500, &out), expected.data);
    assert_string_equal(listed(index, "a", 0, 3000, &out), expected.data);
    assert_string_equal(listed(index, "b", 0, 1, &out),
                        "0/5:failed=http-500 0/2004:failed=http-500 0/4003:failed=http-500 "
                        "0/6002:failed=http-500 ");
    buf_deinit(&out);
    buf_deinit(&expected);
}

static void test_cursor_that_nobody_gave_is_refused(void **state)
{
    static const char *const wrong[] = {"x", "b", "b0000000000000001",
                                        "b00000000000000010000000000000zz1",
                                        "bffffffffffffffffffffffffffffffff"};
    char next[DLQ_CURSOR_MAX];
    struct dlq_covered covered;
    struct buf out = {0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(
            dlq_index_job(*state, "a", 0, wrong[i], 5, on_row, &out, next, &covered, &err));
        assert_int_equal(err.code, ERR_USAGE);
    }
}

/* With the row that each has now, where there is one. */
static bool on_skipped(void *arg, const struct dlq_job_row *row)
{
    assert_int_equal(row->result, DLQ_JOB_SKIPPED);
    buf_printf(arg, "%s=%s,%s ", row->id, row->skipped,
               row->line ? dlq_state_name(row->line->state) : "gone");
    return true;
}

static void test_skipped_letters_are_told_as_they_stand_now(void **state)
{
    struct dlq_index *index = *state;
    static const char other[] = "zzzz-_abcdefghijklmnopqA";
    struct redrive_skipped *list = redrive_skipped_new(), *kept;
    struct letter_id ids[] = {{SLICE_LIT(UUID), 0, 0}, {SLICE_LIT(UUID), 0, 1},
                              {SLICE_LIT(UUID), 2, 5}, {SLICE_LIT(UUID), 77, 5},
                              {slice_of(other), 0, 0}, {SLICE_LIT("dlq.g.none"), 0, 0}};
    struct dlq_covered covered;
    struct buf value = {0}, out = {0};
    add_letter(index, 0, NULL, 0, "x", 0);
    add_letter(index, 1, NULL, 0, "x", 0);
    add_state(index, 0, 1, LETTER_ARCHIVED, LETTER_NO_RESULT, NULL);
    check(dlq_index_commit(index, &err));
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        redrive_skipped_add(list, i < 2 ? SKIP_ARCHIVED : SKIP_GONE, &ids[i]);
    (void)redrive_skipped_write(list, &value);
    kept = redrive_skipped_read(buf_slice(&value), &err);
    for (size_t limit = 1; limit < 8; limit++) {
        buf_reset(&out);
        for (uint64_t at = 0; at < redrive_skipped_count(kept); at += limit)
            check(dlq_index_job_skipped(index, kept, at, limit, on_skipped, &out, &covered, &err));
        assert_string_equal(out.data, TOPIC "/2/5=gone,gone " TOPIC "/77/5=gone,gone "
                                            "zzzz-_abcdefghijklmnopqA/0/0=gone,gone "
                                            "dlq.g.none/0/0=gone,gone " TOPIC
                                            "/0/0=archived,open " TOPIC "/0/1=archived,archived ");
    }
    check(dlq_index_job_skipped(index, kept, 99, 5, on_skipped, &out, &covered, &err));
    check(dlq_index_begin(index, &err));
    redrive_skipped_free(&kept);
    redrive_skipped_free(&list);
    buf_deinit(&value);
    buf_deinit(&out);
}

static void test_result_names_are_read_back(void **state)
{
    unsigned result;
    (void)state;
    for (unsigned i = 0; i < DLQ_JOB_RESULTS; i++) {
        assert_true(dlq_job_result_parse(slice_of(dlq_job_result_name(i)), &result));
        assert_int_equal(result, i);
    }
    assert_false(dlq_job_result_parse(SLICE_LIT("lost"), &result));
    assert_false(dlq_job_result_parse(SLICE_LIT(""), &result));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_each_letter_of_a_job_has_its_result),
        TEST(test_failure_stays_with_its_job_when_another_sends_it),
        TEST(test_archived_letter_keeps_its_result_where_that_was_kept),
        TEST(test_pages_that_stop_short_lose_nothing),
        TEST(test_cursor_that_nobody_gave_is_refused),
        TEST(test_skipped_letters_are_told_as_they_stand_now),
        TEST(test_result_names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
