/* Addresses and headers of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "console/request.h"

static void decodes(const char *text, bool plus, const char *want, size_t len)
{
    struct buf out = {0};
    assert_true(request_decode(&out, slice_of(text), plus));
    assert_int_equal(out.len, len);
    if (len)
        assert_memory_equal(out.data, want, len);
    buf_deinit(&out);
}

static void refuses(const char *text)
{
    struct buf out = {0};
    assert_false(request_decode(&out, slice_of(text), false));
    buf_deinit(&out);
}

static void test_request_decode_percent_gives_bytes(void **state)
{
    (void)state;
    decodes("a%2Fb%00%ff", false, "a/b\0\xff", 5);
    decodes("a+b%2B", true, "a b+", 4);
    decodes("a+b", false, "a+b", 3);
    decodes("%252F", false, "%2F", 3); /* once, not twice */
    decodes("", false, "", 0);
}

static void test_request_decode_broken_percent_is_refused(void **state)
{
    (void)state;
    refuses("%");
    refuses("a%2");
    refuses("%g0");
    refuses("%0g");
    refuses("%%41");
}

static void test_request_next_pair_takes_all(void **state)
{
    struct slice query = slice_of("a=1&&b&c=x=y&=z"), name, value;
    (void)state;
    assert_true(request_next_pair(&query, &name, &value));
    assert_true(slice_equal_text(name, "a") && slice_equal_text(value, "1"));
    assert_true(request_next_pair(&query, &name, &value));
    assert_true(slice_equal_text(name, "b") && slice_equal_text(value, ""));
    assert_true(request_next_pair(&query, &name, &value));
    assert_true(slice_equal_text(name, "c") && slice_equal_text(value, "x=y"));
    assert_true(request_next_pair(&query, &name, &value));
    assert_true(slice_equal_text(name, "") && slice_equal_text(value, "z"));
    assert_false(request_next_pair(&query, &name, &value));
    query = SLICE_NULL;
    assert_false(request_next_pair(&query, &name, &value));
}

static void test_request_header_any_case(void **state)
{
    struct request_header_line lines[] = {{SLICE_INIT("HOST"), SLICE_INIT("a")},
                                          {SLICE_INIT("host"), SLICE_INIT("b")}};
    struct console_request req = {.headers = lines, .header_count = 2};
    (void)state;
    assert_true(slice_equal_text(request_header(&req, "Host"), "a"));
    assert_int_equal(request_header_times(&req, "Host"), 2);
    assert_true(slice_is_null(request_header(&req, "Hos")));
}

static void test_request_list_has_elements(void **state)
{
    (void)state;
    assert_true(request_list_has(SLICE_LIT("\"a\", \"b\""), "\"b\""));
    assert_false(request_list_has(SLICE_LIT("\"a\", \"bc\""), "\"b\""));
    assert_false(request_list_has(SLICE_NULL, "\"b\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_decode_percent_gives_bytes),
        cmocka_unit_test(test_request_decode_broken_percent_is_refused),
        cmocka_unit_test(test_request_next_pair_takes_all),
        cmocka_unit_test(test_request_header_any_case),
        cmocka_unit_test(test_request_list_has_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
