/* The state of a letter that is put away keeps what its last redrive came to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dlq/put_away.h"

static const char KEY[] = "AAAAAAAAAAAAAAAAAAAAAA/3/17";

static struct letter_state written(const struct dlq_row *row, const char *reason,
                                   struct slice edited_to, struct buf *value, struct buf *store)
{
    struct put_away item;
    struct letter_state state = {0};
    struct letter_id id;
    struct record rec = {.key = slice_of(KEY)};
    struct err err = {0};

    put_away_take(&item, NULL, row);
    assert_string_equal(item.state_key, KEY);
    put_away_write(value, &item, "host/1", reason, edited_to);
    put_away_deinit(&item);
    rec.value = buf_slice(value);
    assert_true(letter_state_read(&rec, &id, &state, store, &err));
    assert_int_equal(state.status, LETTER_ARCHIVED);
    assert_true(slice_equal_text(state.by, "host/1"));
    return state;
}

static void test_result_of_the_last_redrive_stays(void **unused)
{
    (void)unused;
    struct buf value = {0}, store = {0};
    struct dlq_row row = {.state_key = KEY,
                          .redrive_id = "r-7",
                          .code = "http-500",
                          .result = LETTER_RESULT_FAILED,
                          .redrive_count = 2};
    struct letter_state state = written(&row, "not needed", slice_of("dlq.g.t/3/40"), &value,
                                        &store);

    assert_int_equal(state.result, LETTER_RESULT_FAILED);
    assert_int_equal(state.redrive_count, 2);
    assert_true(slice_equal_text(state.redrive_id, "r-7"));
    assert_true(slice_equal_text(state.code, "http-500"));
    assert_true(slice_equal_text(state.reason, "not needed"));
    assert_true(slice_equal_text(state.edited_to, "dlq.g.t/3/40"));
    buf_deinit(&value);
    buf_deinit(&store);
}

/* A row's code is why it failed first; without a redrive it is none of a redrive's. */
static void test_never_redriven_has_no_result(void **unused)
{
    (void)unused;
    struct buf value = {0}, store = {0};
    struct dlq_row row = {.state_key = KEY, .redrive_id = "", .code = "http-500"};
    struct letter_state state = written(&row, NULL, SLICE_NULL, &value, &store);

    assert_int_equal(state.result, LETTER_NO_RESULT);
    assert_true(slice_is_null(state.redrive_id));
    assert_true(slice_is_null(state.code));
    assert_true(slice_is_null(state.reason));
    assert_true(slice_is_null(state.edited_to));
    buf_deinit(&value);
    buf_deinit(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_of_the_last_redrive_stays),
        cmocka_unit_test(test_never_redriven_has_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
