/* What is pasted into a shell is what was meant, whatever the record holds: asked of bash itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "../../gateway/curl_text.h"
#include "base/str.h"

/* What bash makes of the script; curl prints its words, a NUL behind each. */
static struct buf run(const struct buf *script)
{
    char name[] = "/tmp/oncegate-curl-XXXXXX", command[64], chunk[4096];
    struct buf out = {0};
    FILE *pipe;
    size_t got;
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, script->data, script->len), (ssize_t)script->len);
    close(fd);
    snprintf(command, sizeof(command), "bash --norc %s", name);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    while ((got = fread(chunk, 1, sizeof(chunk), pipe)) > 0)
        buf_add(&out, chunk, got);
    assert_int_equal(pclose(pipe), 0);
    unlink(name);
    return out;
}

static void expect_word(struct slice text)
{
    struct buf script = {0}, out;
    buf_add_text(&script, "printf '%s' ");
    curl_add_quoted(&script, text);
    for (size_t i = 0; i < script.len; i++)
        assert_true((unsigned char)script.data[i] >= 0x20 && script.data[i] != 0x7f);
    buf_add_char(&script, '\n');
    out = run(&script);
    assert_true(slice_equal(text, (struct slice){out.data ? out.data : "", out.len}));
    buf_deinit(&out);
    buf_deinit(&script);
}

static void test_quoted_is_one_word_of_the_same_bytes(void **state)
{
    char all[255];
    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (char)(i + 1);
    expect_word((struct slice){all, sizeof(all)});
    expect_word(SLICE_LIT(""));
    expect_word(SLICE_LIT("it's; rm -rf / `x` $(y) \"z\" !! \\ *"));
    expect_word(SLICE_LIT("a\nb'c\\'d"));
    expect_word(SLICE_LIT("\x01"
                          "abcdef0\x1f"
                          "9"));
    expect_word(SLICE_LIT("caf\xc3\xa9 \xe2\x80\xae"));
}

static struct route_config route;
static struct record_header headers[] = {
    {SLICE_INIT("oncegate-version"), SLICE_INIT("1")},
    {SLICE_INIT("oncegate-group"), SLICE_INIT("app")},
    {SLICE_INIT("oncegate-route"), SLICE_INIT("orders")},
    {SLICE_INIT("oncegate-origin-topic"), SLICE_INIT("orders")},
    {SLICE_INIT("oncegate-origin-partition"), SLICE_INIT("2")},
    {SLICE_INIT("oncegate-origin-offset"), SLICE_INIT("41")},
    {SLICE_INIT("oncegate-origin-timestamp"), SLICE_INIT("1767323045678")},
    {SLICE_INIT("oncegate-attempt"), SLICE_INIT("5")},
    {SLICE_INIT("ce_'; touch /tmp/x"), SLICE_INIT("\r\nEvil: 1")},
    {SLICE_INIT("ce_subject"), SLICE_INIT("it's $(id)\r\nEvil: 1")},
};

static struct buf delivery(struct slice value)
{
    struct record rec = {.topic = SLICE_LIT("dlq.app.orders"),
                         .partition = 2,
                         .offset = 7,
                         .key = SLICE_LIT("k'; id"),
                         .value = value,
                         .headers = headers,
                         .header_count = sizeof(headers) / sizeof(*headers)};
    static struct request_header configured[2];
    struct buf script = {0}, out;
    struct err err = {0};
    configured[0] = (struct request_header){(char *)(uintptr_t) "Authorization", NULL,
                                            (char *)(uintptr_t) "/dev/null"};
    configured[1] = (struct request_header){(char *)(uintptr_t) "X-Secret",
                                            (char *)(uintptr_t) "hunter2", NULL};
    route = (struct route_config){.name = (char *)(uintptr_t) "orders",
                                  .group = (char *)(uintptr_t) "app",
                                  .handler = {.url = (char *)(uintptr_t) "http://127.0.0.1:9/o",
                                              .timeout_ms = 1000,
                                              .request_headers = configured,
                                              .request_header_count = 2}};
    buf_add_text(&script, "curl() { printf '%s\\0' \"$@\"; }\n");
    if (!curl_add_delivery(&script, &route, &rec, "dlq.app.orders/2/7", &err))
        fail_msg("%s", err.text);
    assert_null(strstr(script.data, "hunter2"));
    out = run(&script);
    buf_deinit(&script);
    return out;
}

static bool has_word(const struct buf *words, const char *word)
{
    for (const char *at = words->data; at < words->data + words->len; at += strlen(at) + 1) {
        if (strcmp(at, word) == 0)
            return true;
    }
    return false;
}

static void test_delivery_has_the_lines_of_the_gateway_and_no_secret(void **state)
{
    struct buf words = delivery(SLICE_LIT("{\"a\":\"it's\"}\n"));
    (void)state;
    assert_true(has_word(&words, "http://127.0.0.1:9/o"));
    assert_true(has_word(&words, "{\"a\":\"it's\"}\n"));
    assert_true(has_word(&words, "Kafka-Topic: orders"));
    assert_true(has_word(&words, "Kafka-Offset: 41"));
    assert_true(has_word(&words, "Oncegate-Attempt: 6"));
    assert_true(has_word(&words, "Authorization: "));
    assert_true(has_word(&words, "X-Secret: ***"));
    for (const char *at = words.data; at < words.data + words.len; at += strlen(at) + 1)
        assert_false(strncmp(at, "Evil", 4) == 0 || strstr(at, "\nEvil") != NULL);
    buf_deinit(&words);
}

static void test_value_that_no_word_can_hold_is_piped(void **state)
{
    struct record rec = {.topic = SLICE_LIT("dlq.app.orders"),
                         .headers = headers,
                         .header_count = sizeof(headers) / sizeof(*headers),
                         .value = SLICE_LIT("a\0b")};
    struct buf out = {0};
    struct err err = {0};
    (void)state;
    assert_true(curl_add_delivery(&out, &route, &rec, "dlq.app.orders/2/7", &err));
    assert_int_equal(strncmp(out.data, "oncegate dlq show 'dlq.app.orders/2/7' --raw | curl", 51),
                     0);
    assert_non_null(strstr(out.data, "--data-binary @-"));
    buf_deinit(&out);
}

static void test_record_of_others_has_no_delivery(void **state)
{
    struct record rec = {.topic = SLICE_LIT("dlq.app.orders"), .value = SLICE_LIT("v")};
    struct buf out = {0};
    struct err err = {0};
    (void)state;
    assert_false(curl_add_delivery(&out, &route, &rec, "x/0/0", &err));
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quoted_is_one_word_of_the_same_bytes),
        cmocka_unit_test(test_delivery_has_the_lines_of_the_gateway_and_no_secret),
        cmocka_unit_test(test_value_that_no_word_can_hold_is_piped),
        cmocka_unit_test(test_record_of_others_has_no_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
