/* Base64: one text for each meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static void test_base64_decode_gives_back_what_was_encoded(void **state)
{
    static const char *const known[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe", "//4="}};
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct buf out = {0}, back = {0};
        base64_encode(&out, slice_of(known[i][0]));
        assert_int_equal(out.len, strlen(known[i][1]));
        if (out.len)
            assert_string_equal(out.data, known[i][1]);
        assert_true(base64_decode(&back, slice_of(known[i][1])));
        assert_int_equal(back.len, strlen(known[i][0]));
        if (back.len)
            assert_string_equal(back.data, known[i][0]);
        buf_deinit(&out);
        buf_deinit(&back);
    }
}

static void test_base64_decode_another_spelling_is_refused(void **state)
{
    static const char *const bad[] = {
        "Z",        "Zg",   "Zg=",  "Zh==", "Zm9=", "=g==", "Z===", "====",
        "Zg==Zg==", "Zm8 ", "Zm-_", "/x==", "AAB=", "A===", "AA=A", "AAA"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf out = {0};
        if (base64_decode(&out, slice_of(bad[i])))
            fail_msg("%s", bad[i]);
        buf_deinit(&out);
    }
}

static void test_base64_decode_a_nul_within_is_refused(void **state)
{
    struct buf out = {0};
    (void)state;
    assert_false(base64_decode(&out, (struct slice){"AA\0A", 4}));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_decode_gives_back_what_was_encoded),
        cmocka_unit_test(test_base64_decode_another_spelling_is_refused),
        cmocka_unit_test(test_base64_decode_a_nul_within_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
