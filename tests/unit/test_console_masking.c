/* What is hidden of a record, and that nothing of it gets out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "console/payload.h"

static char email[] = "/customer/email", numbers[] = "/cards/*/number", slash[] = "/a~1b",
            element[] = "/list/1", below[] = "/any/*/deep/x", secret[] = "X-Secret";
static char *pointers[] = {email, numbers, slash, element, below};
static char *hidden_headers[] = {secret};
static const struct console_config config = {
    .mask = {
        .pointers = pointers, .pointer_count = 5, .headers = hidden_headers, .header_count = 1}};
static const struct masking masking = {&config};

static void masked(const char *value, const char *want, const char *places)
{
    struct buf out = {0}, where = {0};
    assert_int_equal(masking_value(&masking, slice_of(value), &out, &where), MASKING_DONE);
    assert_string_equal(out.data, want);
    assert_string_equal(where.data ? where.data : "", places);
    buf_deinit(&out);
    buf_deinit(&where);
}

static void test_masking_value_pointers_are_hidden(void **state)
{
    (void)state;
    masked("{\"customer\":{\"email\":\"s@x\",\"id\":1}}",
           "{\"customer\":{\"email\":\"***\",\"id\":1}}", "\"/customer/email\"");
    masked("{\"customer\":{\"email\":{\"all\":[1]}}}", "{\"customer\":{\"email\":\"***\"}}",
           "\"/customer/email\"");
    masked("{\"customer\":{\"email\":null}}", "{\"customer\":{\"email\":\"***\"}}",
           "\"/customer/email\"");
    masked("{\"cards\":[{\"number\":\"4111\"},{\"number\":42}]}",
           "{\"cards\":[{\"number\":\"***\"},{\"number\":\"***\"}]}",
           "\"/cards/0/number\",\"/cards/1/number\"");
    masked("{\"cards\":{\"x\":{\"number\":1}}}", "{\"cards\":{\"x\":{\"number\":\"***\"}}}",
           "\"/cards/x/number\"");
    masked("{\"a/b\":1}", "{\"a/b\":\"***\"}", "\"/a~1b\"");
    masked("{\"list\":[1,2,3]}", "{\"list\":[1,\"***\",3]}", "\"/list/1\"");
    masked("{\"other\":1}", "{\"other\":1}", "");
    masked("[1]", "[1]", "");
    masked("7", "7", "");
}

/* Spellings that mean the same member to whoever reads the value. */
static void test_masking_value_no_spelling_slips_through(void **state)
{
    static const char *const values[] = {
        "{\"customer\":{\"\\u0065mail\":\"SECRET\"}}",
        "{\"customer\":{\"email\":\"x\",\"email\":\"SECRET\"}}",
        "{\"customer\":{\"email\":\"SECRET\",\"email\":\"x\"}}",
        "{\"customer\":{\"email\":\"SECRET\"},\"customer\":{\"email\":\"SECRET\"}}",
        " {\"customer\" : {\"email\" : \"SECRET\"}} ",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct buf out = {0}, where = {0};
        assert_int_equal(masking_value(&masking, slice_of(values[i]), &out, &where), MASKING_DONE);
        if (strstr(out.data, "SECRET"))
            fail_msg("%s: %s", values[i], out.data);
        buf_deinit(&out);
        buf_deinit(&where);
    }
}

static void is_no_json(struct slice value)
{
    struct buf out = {0}, where = {0};
    if (masking_value(&masking, value, &out, &where) != MASKING_NO_JSON)
        fail_msg("%.40s", value.data);
    assert_int_equal(out.len, 0);
    buf_deinit(&out);
    buf_deinit(&where);
}

static void test_masking_value_what_cannot_be_read_is_told(void **state)
{
    struct buf deep = {0};
    (void)state;
    is_no_json(SLICE_LIT(""));
    is_no_json(SLICE_LIT("email=s@x"));
    is_no_json(SLICE_LIT("{\"customer\":{\"email\":\"s@x\"}"));
    is_no_json(SLICE_LIT("{\"a\":1} {\"customer\":{\"email\":\"s@x\"}}"));
    is_no_json(SLICE_LIT("{\"a\":1}\0{\"customer\":{\"email\":\"s@x\"}}"));
    is_no_json(SLICE_LIT("\xff\xfe{\0\"\0"));
    is_no_json(SLICE_LIT("{'customer':{'email':'s@x'}}"));
    is_no_json(SLICE_LIT("{\"customer\":{\"email\":\"\xff\"}}"));
    for (int i = 0; i < 100000; i++)
        buf_add_char(&deep, '[');
    is_no_json(buf_slice(&deep));
    buf_deinit(&deep);
}

static char *value_json(enum role role, struct slice value, size_t limit)
{
    struct payload_view view = {&masking, role, limit};
    struct buf out = {0};
    payload_add_value(&out, &view, value);
    return out.data;
}

static void test_payload_value_without_the_right_nothing_gets_out(void **state)
{
    static const char *const values[] = {"SECRET", "{\"customer\":{\"email\":\"SECRET\"}",
                                         "{\"customer\":{\"email\":\"SECRET\"}}"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (enum role role = ROLE_NONE; role <= ROLE_ADMIN; role++) {
            char *json = value_json(role, slice_of(values[i]), 1000);
            assert_true((strstr(json, "SECRET") != NULL) == (role == ROLE_ADMIN));
            mem_free(json);
        }
    }
    /* Too long to look: hidden, not cut. */
    char *json = value_json(ROLE_VIEWER, SLICE_LIT("{\"a\":\"SECRET SECRET SECRET\"}"), 10);
    assert_null(strstr(json, "SECRET"));
    assert_non_null(strstr(json, "\"hidden\""));
    mem_free(json);
}

static void says(struct slice value, size_t limit, const char *want)
{
    char *json = value_json(ROLE_ADMIN, value, limit);
    assert_string_equal(json, want);
    mem_free(json);
}

static void test_payload_value_says_what_it_is(void **state)
{
    (void)state;
    says(SLICE_NULL, 10, "{\"encoding\":\"null\",\"size\":0,\"cut\":false,\"text\":\"\"}");
    says(SLICE_LIT(""), 10, "{\"encoding\":\"text\",\"size\":0,\"cut\":false,\"text\":\"\"}");
    says(SLICE_LIT(" [1]"), 10,
         "{\"encoding\":\"json\",\"size\":4,\"cut\":false,\"text\":\" [1]\"}");
    says(SLICE_LIT("\xff\x00"), 10,
         "{\"encoding\":\"base64\",\"size\":2,\"cut\":false,\"text\":\"/wA=\"}");
    says(SLICE_LIT("abcdef"), 3,
         "{\"encoding\":\"text\",\"size\":6,\"cut\":true,\"text\":\"abc\"}");
    says(SLICE_LIT("a\xc3\xa4x"), 2,
         "{\"encoding\":\"text\",\"size\":4,\"cut\":true,\"text\":\"a\"}");
    /* As it is: a number that JSON libraries cannot hold. */
    says(SLICE_LIT("{\"n\":123456789012345678901234567890}"), 100,
         "{\"encoding\":\"json\",\"size\":36,\"cut\":false,"
         "\"text\":\"{\\\"n\\\":123456789012345678901234567890}\"}");
}

static void test_payload_headers_ours_apart_and_hidden_by_name(void **state)
{
    struct record_header headers[] = {{SLICE_INIT("x-SECRET"), SLICE_INIT("SECRET")},
                                      {SLICE_INIT("oncegate-route"), SLICE_INIT("orders")},
                                      {SLICE_INIT("trace"), {NULL, 0}}};
    struct record rec = {.headers = headers, .header_count = 3};
    struct payload_view view = {&masking, ROLE_OPERATOR, 100};
    struct buf out = {0};
    (void)state;
    payload_add_headers(&out, &view, &rec, false);
    assert_null(strstr(out.data, "\"SECRET\""));
    assert_non_null(strstr(out.data, "\"encoding\":\"hidden\",\"size\":6"));
    assert_non_null(strstr(out.data, "{\"name\":\"trace\",\"encoding\":\"null\""));
    assert_null(strstr(out.data, "oncegate-route"));
    buf_reset(&out);
    payload_add_headers(&out, &view, &rec, true);
    assert_string_equal(out.data, "[{\"name\":\"oncegate-route\",\"encoding\":\"text\",\"size\":6,"
                                  "\"cut\":false,\"text\":\"orders\"}]");
    view.role = ROLE_ADMIN;
    buf_reset(&out);
    payload_add_headers(&out, &view, &rec, false);
    assert_non_null(strstr(out.data, "\"text\":\"SECRET\""));
    buf_deinit(&out);
}

static void expect_line(enum role role, const char *value, const char *line)
{
    struct record_header headers[] = {{SLICE_LIT("trace"), SLICE_LIT("t")},
                                      {SLICE_LIT("x-secret"), SLICE_LIT("SECRET")}};
    struct record rec = {.topic = SLICE_LIT("t"),
                         .timestamp_ms = 3,
                         .key = SLICE_LIT("k"),
                         .value = slice_of(value),
                         .headers = headers,
                         .header_count = strstr(line, "x-secret") ? 2 : 1};
    struct payload_view view = {&masking, role, 100};
    struct buf out = {0};
    payload_add_line(&out, &view, &rec);
    assert_string_equal(out.data, line);
    buf_deinit(&out);
}

#define PLACE "\"topic\":\"t\",\"partition\":0,\"offset\":0,\"tstype\":\"create\",\"ts\":3,"

static void test_payload_line_is_whole_or_says_what_is_not(void **state)
{
    static char long_one[200];
    (void)state;
    memset(long_one, '1', sizeof(long_one) - 1);
    expect_line(ROLE_ADMIN, "SECRET",
                "{" PLACE "\"headers\":[\"trace\",\"t\",\"x-secret\",\"SECRET\"],\"key\":\"k\","
                "\"payload\":\"SECRET\"}\n");
    expect_line(
        ROLE_OPERATOR, "SECRET",
        "{\"masked\":{\"payload\":[\"\"],\"headers\":[3]}," PLACE
        "\"headers\":[\"trace\",\"t\",\"x-secret\",null],\"key\":\"k\",\"payload\":null}\n");
    expect_line(ROLE_VIEWER, "{\"a/b\":\"SECRET\",\"n\":1}",
                "{\"masked\":{\"payload\":[\"/a~1b\"]}," PLACE
                "\"headers\":[\"trace\",\"t\"],\"key\":\"k\","
                "\"payload\":\"{\\\"a/b\\\":\\\"***\\\",\\\"n\\\":1}\"}\n");
    expect_line(ROLE_VIEWER, long_one,
                "{\"masked\":{\"payload\":[\"\"]}," PLACE
                "\"headers\":[\"trace\",\"t\"],\"key\":\"k\",\"payload\":null}\n");
    /* Nothing is hidden in it, so it may be imported; of the second what was there twice is gone.
     */
    expect_line(ROLE_VIEWER, "{\"n\":1}",
                "{" PLACE "\"headers\":[\"trace\",\"t\"],\"key\":\"k\","
                "\"payload\":\"{\\\"n\\\":1}\"}\n");
    expect_line(
        ROLE_VIEWER, "{\"customer\":{\"email\":\"SECRET\"},\"customer\":{}}",
        "{\"masked\":{\"payload\":[]}," PLACE
        "\"headers\":[\"trace\",\"t\"],\"key\":\"k\",\"payload\":\"{\\\"customer\\\":{}}\"}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masking_value_pointers_are_hidden),
        cmocka_unit_test(test_masking_value_no_spelling_slips_through),
        cmocka_unit_test(test_masking_value_what_cannot_be_read_is_told),
        cmocka_unit_test(test_payload_value_without_the_right_nothing_gets_out),
        cmocka_unit_test(test_payload_value_says_what_it_is),
        cmocka_unit_test(test_payload_headers_ours_apart_and_hidden_by_name),
        cmocka_unit_test(test_payload_line_is_whole_or_says_what_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
