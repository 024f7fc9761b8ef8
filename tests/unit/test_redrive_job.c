/* Redrive jobs as records of a topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "record/redrive_job.h"

static const char least[] = "{\"v\":1,\"id\":\"j\",\"group\":\"g\",\"filter\":{},\"mode\":"
                            "\"if-newer\",\"created_ms\":5,\"status\":\"waiting\","
                            "\"updated_ms\":6}";

static struct err refused(const char *key, struct slice value)
{
    struct record rec = {.key = slice_of(key), .value = value};
    struct redrive_job job = {0};
    struct redrive_cancel cancel = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    assert_false(redrive_record_read(&rec, &kind, &id, &job, &cancel, &err));
    assert_int_equal(err.code, ERR_INPUT);
    assert_null(job.id);
    assert_null(job.filter);
    assert_null(cancel.by);
    return err;
}

/* A job with every member set to something of its own. */
static struct redrive_job full_job(void)
{
    struct redrive_job job = {.mode = REDRIVE_FORCE,
                              .rate_per_s = 50,
                              .limit = UINT64_C(1) << 40,
                              .created_ms = 1,
                              .status = REDRIVE_CANCELLING,
                              .epoch = 3,
                              .position = 7,
                              .updated_ms = 9};
    job.id = mem_strdup("j");
    job.group = mem_strdup("g");
    job.filter = mem_strdup("{\"text\":\"a } \\\" b\",\"id\":[\"d/0/1\"]}");
    job.reason = mem_strdup("after the \"fix\"\n\x1b[31m");
    job.by = mem_strdup("ann@host");
    job.owner = mem_strdup("host/12");
    job.note = mem_strdup("");
    job.counts = (struct redrive_counts){.total = 100,
                                         .eligible = 90,
                                         .sent = 80,
                                         .resolved = 40,
                                         .superseded = 4,
                                         .dropped = 3,
                                         .duplicate = 2,
                                         .failed = 1};
    for (size_t i = 0; i < REDRIVE_SKIPS; i++)
        job.counts.skipped[i] = i + 1;
    job.skipped_listed = 30;
    return job;
}

static void test_job_written_is_read_back(void **state)
{
    struct redrive_job job = full_job(), again = {0};
    struct redrive_cancel cancel = {0};
    struct buf value = {0}, second = {0};
    struct record rec = {.key = SLICE_LIT("j")};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    (void)state;
    redrive_job_write(&value, &job);
    rec.value = buf_slice(&value);
    assert_true(redrive_record_read(&rec, &kind, &id, &again, &cancel, &err));
    assert_int_equal(kind, REDRIVE_RECORD_JOB);
    assert_true(slice_equal_text(id, "j"));
    assert_string_equal(again.filter, job.filter);
    assert_string_equal(again.reason, job.reason);
    assert_string_equal(again.note, "");
    assert_memory_equal(&again.counts, &job.counts, sizeof(job.counts));
    redrive_job_write(&second, &again);
    assert_string_equal(value.data, second.data);
    assert_int_equal(redrive_counts_on_their_way(&again.counts), 30);
    assert_int_equal(redrive_counts_skipped(&again.counts), 36);
    buf_deinit(&value);
    buf_deinit(&second);
    redrive_job_deinit(&job);
    redrive_job_deinit(&again);
    assert_null(job.note);
}

static void test_job_copied_owns_its_texts(void **state)
{
    struct redrive_job job = full_job(), copy = {0};
    struct buf one = {0}, two = {0};
    (void)state;
    redrive_job_write(&one, &job);
    redrive_job_copy(&copy, &job);
    redrive_job_deinit(&job);
    redrive_job_write(&two, &copy);
    assert_string_equal(one.data, two.data);
    redrive_job_deinit(&copy);
    buf_deinit(&one);
    buf_deinit(&two);
}

static void test_job_of_other_release_is_refused(void **state)
{
    (void)state;
    struct err err = refused("j",
                             SLICE_LIT("{\"v\":2,\"id\":\"j\",\"group\":\"g\",\"filter\":{}}"));
    assert_string_equal(err.text, "a redrive job whose \"v\" is not one of this release");
    refused("j", SLICE_LIT("no json"));
    refused("j", SLICE_LIT("{\"v\":1,\"id\":\"j\"}"));
    refused("k", slice_of(least)); /* under another's key */
    refused("", slice_of(least));
    refused("a/b", slice_of(least));
    refused("j",
            SLICE_LIT("{\"v\":1,\"id\":\"j\",\"group\":\"g\",\"filter\":\"f\",\"mode\":\"force\","
                      "\"created_ms\":5,\"status\":\"waiting\",\"updated_ms\":6}"));
    refused("j",
            SLICE_LIT("{\"v\":1,\"id\":\"j\",\"group\":\"g\",\"filter\":{},\"mode\":\"forced\","
                      "\"created_ms\":5,\"status\":\"waiting\",\"updated_ms\":6}"));
    refused("j", SLICE_LIT("{\"v\":1,\"id\":\"j\",\"group\":\"g\",\"filter\":{},\"mode\":\"force\","
                           "\"created_ms\":-5,\"status\":\"waiting\",\"updated_ms\":6}"));
    refused("j", SLICE_LIT("{\"v\":1,\"id\":\"j\",\"group\":\"g\\u0000\",\"filter\":{},\"mode\":"
                           "\"force\",\"created_ms\":5,\"status\":\"waiting\",\"updated_ms\":6}"));
    refused("j", SLICE_LIT("{\"v\":1,\"id\":\"j\",\"group\":\"g\",\"filter\":{},\"mode\":\"force\","
                           "\"rate\":4294967296,\"created_ms\":5,\"status\":\"waiting\","
                           "\"updated_ms\":6}"));
}

static void test_job_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct buf value = {0};
    buf_add_text(&value, least);
    while (value.len <= REDRIVE_JOB_MAX)
        buf_add_char(&value, ' ');
    refused("j", buf_slice(&value));
    buf_deinit(&value);
}

static void test_cancel_has_a_record_of_its_own(void **state)
{
    struct redrive_cancel cancel = {.by = mem_strdup("bob"), .at_ms = 12}, again = {0};
    struct redrive_job job = {0};
    struct buf key = {0}, value = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    (void)state;
    redrive_cancel_write_key(&key, "j-1");
    redrive_cancel_write(&value, &cancel);
    struct record rec = {.key = buf_slice(&key), .value = buf_slice(&value)};
    assert_true(redrive_record_read(&rec, &kind, &id, &job, &again, &err));
    assert_int_equal(kind, REDRIVE_RECORD_CANCEL);
    assert_true(slice_equal_text(id, "j-1"));
    assert_string_equal(again.by, "bob");
    assert_null(again.reason);
    assert_int_equal(again.at_ms, 12);
    refused("/cancel", buf_slice(&value));
    refused("j/cancel", SLICE_NULL);
    redrive_cancel_deinit(&cancel);
    redrive_cancel_deinit(&again);
    buf_deinit(&key);
    buf_deinit(&value);
}

static void test_list_of_what_it_skipped_is_a_record_of_its_own(void **state)
{
    struct redrive_job job = {0};
    struct redrive_cancel cancel = {0};
    struct buf key = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    (void)state;
    redrive_skipped_write_key(&key, "j-1");
    struct record rec = {.key = buf_slice(&key)};
    assert_true(redrive_record_read(&rec, &kind, &id, &job, &cancel, &err));
    assert_int_equal(kind, REDRIVE_RECORD_SKIPPED);
    assert_true(slice_equal_text(id, "j-1"));
    refused("/skipped", SLICE_NULL);
    buf_deinit(&key);
}

static void test_null_value_forgets_the_job(void **state)
{
    struct record rec = {.key = SLICE_LIT("j")};
    struct redrive_job job = {0};
    struct redrive_cancel cancel = {0};
    enum redrive_record kind;
    struct slice id;
    struct err err = {0};
    (void)state;
    assert_true(redrive_record_read(&rec, &kind, &id, &job, &cancel, &err));
    assert_int_equal(kind, REDRIVE_RECORD_GONE);
}

static void test_ids_are_sortable_by_time(void **state)
{
    char early[REDRIVE_ID_MAX], late[REDRIVE_ID_MAX], other[REDRIVE_ID_MAX];
    (void)state;
    redrive_job_id(1767323045678, early);
    redrive_job_id(1767323045679, late);
    redrive_job_id(1767323045679, other);
    assert_memory_equal(early, "20260102-030405-678-", 20);
    assert_true(strcmp(early, late) < 0);
    assert_string_not_equal(late, other);
    assert_true(redrive_job_id_is_valid(slice_of(early)));
    assert_false(redrive_job_id_is_valid(SLICE_LIT("")));
    assert_false(redrive_job_id_is_valid(SLICE_LIT("a b")));
}

static void test_names_are_known_both_ways(void **state)
{
    enum redrive_mode mode = REDRIVE_IF_NEWER;
    (void)state;
    assert_true(redrive_mode_parse(slice_of(redrive_mode_name(REDRIVE_FORCE)), &mode));
    assert_int_equal(mode, REDRIVE_FORCE);
    assert_false(redrive_mode_parse(SLICE_LIT("forced"), &mode));
    assert_string_equal(redrive_skip_name(SKIP_REFUSED), "refused");
    assert_string_equal(redrive_status_name(REDRIVE_FAILED), "failed");
    assert_true(redrive_status_is_end(REDRIVE_CANCELLED));
    assert_false(redrive_status_is_end(REDRIVE_CANCELLING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_written_is_read_back),
        cmocka_unit_test(test_job_copied_owns_its_texts),
        cmocka_unit_test(test_job_of_other_release_is_refused),
        cmocka_unit_test(test_job_beyond_the_limit_is_refused),
        cmocka_unit_test(test_cancel_has_a_record_of_its_own),
        cmocka_unit_test(test_list_of_what_it_skipped_is_a_record_of_its_own),
        cmocka_unit_test(test_null_value_forgets_the_job),
        cmocka_unit_test(test_ids_are_sortable_by_time),
        cmocka_unit_test(test_names_are_known_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
