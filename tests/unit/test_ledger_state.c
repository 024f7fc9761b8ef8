/* The stored state in words. The scripts' own reading of it is compared with a model in tests/lua.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "ledger/state.h"

static const unsigned char in_order[] = {
    1,   1,   128 + 2,                          /* sequence; marks; the last succeeded */
    0,   0,   0,       0,   0,   0,   0,   7,   /* epoch */
    0,   0,   0,       0,   0,   0,   0,   1,   /* floor */
    255, 255, 255,     255, 255, 255, 255, 254, /* mark */
    1,                                          /* one source */
    1,   2,   3,       4,   5,   6,   7,   8,   0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0, 4,
};

static bool describe(const unsigned char *bytes, size_t len, struct buf *out)
{
    struct err err = {0};
    buf_reset(out);
    return state_describe(out, (struct slice){(const char *)bytes, len}, &err);
}

static void test_describe_of_a_sequence_names_its_marks(void **state)
{
    struct buf out = {0};
    (void)state;
    assert_true(describe(in_order, sizeof(in_order), &out));
    assert_string_equal(out.data, "identity: sequence\n"
                                  "current epoch: 7\n"
                                  "  seen without a gap up to: 18446744073709551614\n"
                                  "  unknown at or below: 1\n"
                                  "highest that succeeded: the last seen without a gap\n"
                                  "finished up to: source partition 9 offset 42 leader epoch 3\n");
    buf_deinit(&out);
}

static void test_describe_of_nothing_seen_yet_says_none(void **state)
{
    unsigned char bytes[27] = {1, 1 + 16 + 32, 0};
    struct buf out = {0};
    (void)state;
    memset(bytes + 11, 255, 16);
    assert_true(describe(bytes, sizeof(bytes), &out));
    assert_non_null(
        strstr(out.data, "seen without a gap up to: none\n  unknown at or below: none\n"));
    buf_deinit(&out);
}

static void test_describe_of_a_cut_or_longer_state_is_refused_and_says_nothing(void **state)
{
    struct buf out = {0};
    unsigned char longer[sizeof(in_order) + 1] = {0};
    (void)state;
    buf_add_text(&out, "before");
    for (size_t len = 0; len < sizeof(in_order); len++) {
        struct err err = {0};
        assert_false(state_describe(&out, (struct slice){(const char *)in_order, len}, &err));
        assert_int_equal(err.code, ERR_INPUT);
        assert_string_equal(out.data, "before");
    }
    memcpy(longer, in_order, sizeof(in_order));
    assert_false(describe(longer, sizeof(longer), &out));
    buf_deinit(&out);
}

static void test_describe_of_another_version_or_block_is_refused(void **state)
{
    static const unsigned char version[] = {2, 0, 0}, block[] = {1, 9, 0}, none[] = {1, 0, 0};
    struct buf out = {0};
    (void)state;
    assert_false(describe(version, sizeof(version), &out));
    assert_false(describe(block, sizeof(block), &out));
    assert_true(describe(none, sizeof(none), &out));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describe_of_a_sequence_names_its_marks),
        cmocka_unit_test(test_describe_of_nothing_seen_yet_says_none),
        cmocka_unit_test(test_describe_of_a_cut_or_longer_state_is_refused_and_says_nothing),
        cmocka_unit_test(test_describe_of_another_version_or_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
