/* The header lines of a delivery: what stands in them, and that no record can break out of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"
#include "handler/cloudevents.h"
#include "handler/percent.h"
#include "handler/request.h"

static struct route_config route;
static struct record rec;
static struct origin origin;
static struct identity identity;
static struct request_facts facts;
static struct buf out;

#define S(text) SLICE_LIT(text)
/* The same as an initializer of a static. */
#define I(text)                                                                                    \
    {                                                                                              \
        ("" text ""), sizeof(text) - 1                                                             \
    }

static int64_t fixed_wall_ms(void)
{
    return INT64_C(1767323045678); /* 2026-01-02T03:04:05.678Z */
}

static int begin(void **state)
{
    (void)state;
    clock_set_for_test(NULL, fixed_wall_ms);
    route = (struct route_config){.name = (char *)(uintptr_t) "orders",
                                  .group = (char *)(uintptr_t) "orders-app"};
    origin = (struct origin){.topic = S("orders"),
                             .partition = 3,
                             .leader_epoch = 1,
                             .offset = 41,
                             .timestamp_ms = INT64_C(1767323045678)};
    rec = (struct record){.topic = S("retry.orders-app.orders.10s"),
                          .partition = 3,
                          .offset = 7,
                          .key = S("k1"),
                          .value = S("v")};
    identity = (struct identity){.kind = IDENTITY_SEQUENCE,
                                 .status = IDENTITY_OK,
                                 .epoch = 2,
                                 .number = UINT64_MAX,
                                 .key = S("k1")};
    facts = (struct request_facts){.rec = &rec,
                                   .origin = &origin,
                                   .identity = &identity,
                                   .attempt = 1,
                                   .deadline_wall_ms = INT64_C(1767323060000)};
    buf_init(&out);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_deinit(&out);
    clock_set_for_test(NULL, NULL);
    return 0;
}

/* Every line is "token: visible ASCII" with CRLF, whatever the record held. */
static void assert_lines_sound(void)
{
    size_t at = 0;

    while (at < out.len) {
        size_t line = at;
        while (at < out.len && out.data[at] != '\r') {
            char c = out.data[at];
            assert_true((c >= ' ' && c <= '~') || c == '\t');
            at++;
        }
        assert_true(at + 1 < out.len && out.data[at + 1] == '\n');
        const char *colon = memchr(out.data + line, ':', at - line);
        assert_non_null(colon);
        assert_true(
            percent_is_token((struct slice){out.data + line, (size_t)(colon - out.data - line)}));
        at += 2;
    }
}

static void write_with(struct request_template *tpl)
{
    buf_reset(&out);
    request_write(tpl, &facts, &out);
    assert_lines_sound();
}

static void write_request(void)
{
    struct err err = {0};
    struct request_template *tpl = request_template_new(&route, &err);

    if (!tpl)
        print_message("%s\n", err.text);
    assert_non_null(tpl);
    write_with(tpl);
    request_template_free(&tpl);
}

/* The value of the n-th line of that name, or null. */
static struct slice line_value(const char *name, int n)
{
    size_t len = strlen(name);
    const char *at = out.data;

    while (at < out.data + out.len) {
        const char *stop = strstr(at, "\r\n");
        if (strncmp(at, name, len) == 0 && at[len] == ':' && n-- == 0) {
            const char *value = at + len + 2;
            return (struct slice){value, (size_t)(stop - value)};
        }
        at = stop + 2;
    }
    return SLICE_NULL;
}

static void assert_line(const char *name, const char *value)
{
    struct slice got = line_value(name, 0);

    if (value && !slice_equal_text(got, value))
        print_message("%s: '%.*s', not '%s'\n", name, (int)got.len, got.data ? got.data : "",
                      value);
    if (!value)
        assert_true(slice_is_null(got));
    else
        assert_true(slice_equal_text(got, value));
    assert_true(slice_is_null(line_value(name, 1)));
}

static void set_headers(const struct record_header *headers, size_t count)
{
    rec.headers = headers;
    rec.header_count = count;
}

static void test_write_plain_record_has_all_lines(void **state)
{
    (void)state;
    write_request();
    assert_line("User-Agent", "oncegate/" ONCEGATE_VERSION);
    assert_line("Content-Type", "application/octet-stream");
    assert_line("ce-specversion", "1.0");
    assert_line("ce-id", "og/orders-app/orders/k1/2/18446744073709551615");
    assert_line("ce-source", "/kafka/orders");
    assert_line("ce-type", "io.oncegate.record");
    assert_line("ce-time", "2026-01-02T03:04:05.678Z");
    assert_line("ce-partitionkey", "k1");
    assert_line("Kafka-Topic", "orders"); /* the origin's, though the record is a copy */
    assert_line("Kafka-Partition", "3");
    assert_line("Kafka-Offset", "41");
    assert_line("Kafka-Key", "k1");
    assert_line("Kafka-Tombstone", NULL);
    assert_line("Idempotency-Key", "\"og/orders-app/orders/k1/2/18446744073709551615\"");
    assert_line("Oncegate-Attempt", "1");
    assert_line("Oncegate-Sequence", "18446744073709551615");
    assert_line("Oncegate-Epoch", "2");
    assert_line("Oncegate-Deadline", "2026-01-02T03:04:20.000Z");
    assert_line("Oncegate-Dedup", NULL);
    assert_line("Oncegate-Redrive", NULL);
    assert_line("webhook-id", NULL);
    assert_line("Host", NULL);
    assert_line("Content-Length", NULL);
}

static void test_write_null_key_and_value(void **state)
{
    (void)state;
    rec.key = SLICE_NULL;
    rec.value = SLICE_NULL;
    identity.key = SLICE_NULL;
    write_request();
    assert_line("Kafka-Key", NULL);
    assert_line("ce-partitionkey", NULL);
    assert_line("Kafka-Tombstone", "true");
}

static void test_write_empty_key_is_not_null(void **state)
{
    (void)state;
    rec.key = S("");
    write_request();
    assert_line("Kafka-Key", "");
    assert_line("ce-partitionkey", NULL); /* an attribute must not be empty */
}

static void test_write_wild_key_is_percent_encoded(void **state)
{
    (void)state;
    rec.key = S("a b\r\nX-Evil: 1%\"\x7f\0\xc3\xa9");
    write_request();
    assert_line("Kafka-Key", "a%20b%0D%0AX-Evil:%201%25%22%7F%00%C3%A9");
    assert_line("ce-partitionkey", "a%20b%0D%0AX-Evil:%201%25%22%7F%00%C3%A9");
    assert_line("X-Evil", NULL);
}

static void test_write_idempotency_text_is_encoded_once(void **state)
{
    (void)state;
    identity.key = S("a b%");
    write_request();
    assert_line("Idempotency-Key", "\"og/orders-app/orders/a%20b%25/2/18446744073709551615\"");
    assert_line("ce-id", "og/orders-app/orders/a%20b%25/2/18446744073709551615");
}

static void test_write_times_of_all_sizes(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {
        {-1, NULL},
        {0, "1970-01-01T00:00:00.000Z"},
        {INT64_C(1767323045999), "2026-01-02T03:04:05.999Z"},
        {INT64_C(1767323046001), "2026-01-02T03:04:06.001Z"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z"},
        {INT64_C(253402300800000), NULL},
        {INT64_MAX, NULL},
    };
    struct err err = {0};
    struct request_template *tpl = request_template_new(&route, &err);
    (void)state;

    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        origin.timestamp_ms = times[i].ms;
        write_with(tpl);
        assert_line("ce-time", times[i].text);
        assert_line("Oncegate-Deadline", "2026-01-02T03:04:20.000Z");
    }
    request_template_free(&tpl);
}

static void test_write_key_that_is_not_utf8_has_no_partitionkey(void **state)
{
    (void)state;
    rec.key = S("\xff\xfe");
    write_request();
    assert_line("Kafka-Key", "%FF%FE");
    assert_line("ce-partitionkey", NULL);
}

static void test_write_long_or_hidden_key_is_a_hash(void **state)
{
    char key[129];
    (void)state;

    memset(key, 'k', sizeof(key));
    rec.key = (struct slice){key, 128};
    write_request();
    assert_int_equal(line_value("Kafka-Key", 0).len, 128);
    rec.key.len = 129;
    write_request();
    assert_int_equal(line_value("Kafka-Key", 0).len, 7 + 64);
    assert_int_equal(line_value("ce-partitionkey", 0).len, 7 + 64);

    rec.key = S("k1");
    route.handler.hide_key = true;
    write_request();
    assert_line("Kafka-Key", "sha256:6ab9f1eb8f7d3388f4f9d586f66e99fd"
                             "54080df2c446f0e58668b09c08a16dd0");
    assert_null(memmem(out.data, out.len, "/k1/", 4));
}

static void test_write_huge_key_stays_small(void **state)
{
    size_t len = 1024 * 1024;
    char *key = mem_alloc(len);
    (void)state;

    memset(key, 0xff, len);
    rec.key = identity.key = (struct slice){key, len};
    write_request();
    assert_true(out.len < 2048);
    assert_true(line_value("Idempotency-Key", 0).len <= 257);
    mem_free(key);
}

static void test_write_bare_idempotency_key(void **state)
{
    (void)state;
    route.handler.idempotency_key_bare = true;
    write_request();
    assert_line("Idempotency-Key", "og/orders-app/orders/k1/2/18446744073709551615");
}

static void test_write_sequence_is_left_out_without_one(void **state)
{
    (void)state;
    identity.status = IDENTITY_MISSING;
    write_request();
    assert_line("Oncegate-Sequence", NULL);
    assert_line("Oncegate-Epoch", NULL);
    identity.status = IDENTITY_OK;
    identity.kind = IDENTITY_OFFSET;
    write_request();
    assert_line("Oncegate-Sequence", NULL);
    assert_line("Idempotency-Key", "\"og/orders-app/orders/3/41@1\"");
    identity.kind = IDENTITY_VERSION;
    write_request();
    assert_line("Oncegate-Sequence", "18446744073709551615");
}

static void test_write_attempt_redrive_and_indeterminate(void **state)
{
    (void)state;
    facts.attempt = 17;
    facts.indeterminate = true;
    facts.redrive_id = S("rd-1 x");
    write_request();
    assert_line("Oncegate-Attempt", "17");
    assert_line("Oncegate-Dedup", "indeterminate");
    assert_line("Oncegate-Redrive", "rd-1%20x");
}

static void test_write_passes_content_type_and_trace_on(void **state)
{
    static const struct record_header headers[] = {
        {I("Content-Type"), I("application/json; charset=utf-8")},
        {I("traceparent"), I("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")},
        {I("tracestate"), I("a=1, b=2")},
    };
    (void)state;
    set_headers(headers, 3);
    write_request();
    assert_line("Content-Type", "application/json; charset=utf-8");
    assert_line("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_line("tracestate", "a=1, b=2");
}

static void test_write_wild_content_type_and_trace_are_not_passed_on(void **state)
{
    static const struct record_header headers[] = {
        {I("content-type"), I("text/plain\r\nX-Evil: 1")},
        {I("traceparent"), I("00\n")},
        {I("tracestate"), I("a=1")},
    };
    (void)state;
    set_headers(headers, 3);
    write_request();
    assert_line("Content-Type", "application/octet-stream");
    assert_line("traceparent", NULL);
    assert_line("tracestate", NULL); /* means nothing without the other */
    assert_line("X-Evil", NULL);
}

static void test_write_forwards_listed_headers_only(void **state)
{
    static char *names[] = {(char *)(uintptr_t) "tenant",
                            (char *)(uintptr_t) "odd name:", (char *)(uintptr_t) "nothing"};
    static const struct record_header headers[] = {
        {I("tenant"), I("a\r\nb")}, {I("secret"), I("s")},     {I("tenant"), I("c")},
        {I("odd name:"), I("x")},   {I("nothing"), {NULL, 0}},
    };
    (void)state;
    route.handler.forward_headers = names;
    route.handler.forward_header_count = 3;
    set_headers(headers, 5);
    write_request();
    assert_true(slice_equal_text(line_value("Kafka-Header-tenant", 0), "a%0D%0Ab"));
    assert_true(slice_equal_text(line_value("Kafka-Header-tenant", 1), "c"));
    assert_line("Kafka-Header-secret", NULL);
    assert_line("Kafka-Header-odd%20name%3A", "x");
    assert_line("Kafka-Header-nothing", "");
}

static void test_write_leaves_huge_headers_out_and_says_so(void **state)
{
    static char *names[] = {(char *)(uintptr_t) "big", (char *)(uintptr_t) "small"};
    size_t len = 1024 * 1024;
    char *big = mem_alloc(len);
    (void)state;

    memset(big, 'b', len);
    struct record_header headers[20] = {{S("big"), {big, len}}, {S("small"), S("s")}};
    route.handler.forward_headers = names;
    route.handler.forward_header_count = 2;
    set_headers(headers, 2);
    write_request();
    assert_line("Kafka-Header-big", NULL);
    assert_line("Kafka-Header-small", "s");
    assert_line("Oncegate-Omitted", "big");

    headers[0].value.len = 5000; /* one value too large, though all would fit */
    write_request();
    assert_line("Kafka-Header-big", NULL);
    assert_line("Oncegate-Omitted", "big");

    /* Many middling ones are bounded together. */
    for (int i = 0; i < 20; i++)
        headers[i] = (struct record_header){S("big"), {big, 3000}};
    set_headers(headers, 20);
    write_request();
    assert_true(out.len < 18 * 1024);
    assert_false(slice_is_null(line_value("Kafka-Header-big", 4)));
    assert_false(slice_is_null(line_value("Oncegate-Omitted", 0)));
    mem_free(big);
}

static void test_write_cloudevent_keeps_its_own_attributes(void **state)
{
    static const struct record_header headers[] = {
        {I("ce_specversion"), I("1.0")},
        {I("ce_id"), I("evt 7")},
        {I("ce_source"), I("/shop/\xc3\xa9")},
        {I("ce_type"), I("shop.order")},
        {I("ce_tenant"), I("t1")},
        {I("ce_Bad-Name"), I("x")},
        {I("ce_id"), I("evt 8")},
        {I("content-type"), I("application/json")},
    };
    (void)state;
    set_headers(headers, 8);
    write_request();
    assert_line("ce-specversion", "1.0");
    assert_line("ce-id", "evt%207");
    assert_line("ce-source", "/shop/%C3%A9");
    assert_line("ce-type", "shop.order");
    assert_line("ce-tenant", "t1");
    assert_line("ce-Bad-Name", NULL);
    assert_line("ce-time", NULL); /* the event has none */
    assert_line("ce-partitionkey", "k1");
    assert_line("Content-Type", "application/json");
    assert_line("Idempotency-Key", "\"og/orders-app/orders/k1/2/18446744073709551615\"");
}

static void test_write_cloudevent_with_amqp_names(void **state)
{
    static const struct record_header headers[] = {
        {I("cloudEvents:specversion"), I("1.0")},
        {I("cloudEvents:id"), I("7")},
        {I("cloudEvents_type"), I("t")},
    };
    (void)state;
    set_headers(headers, 3);
    write_request();
    assert_line("ce-specversion", "1.0");
    assert_line("ce-id", "7");
    assert_line("ce-type", "t");
    assert_line("ce-source", "/kafka/orders"); /* a required one that is missing */
}

static void test_write_ce_headers_without_specversion_are_no_event(void **state)
{
    static const struct record_header headers[] = {{I("ce_id"), I("7")}};
    (void)state;
    set_headers(headers, 1);
    write_request();
    assert_line("ce-id", "og/orders-app/orders/k1/2/18446744073709551615");
}

static void test_write_structured_event_passes_as_it_is(void **state)
{
    static const struct record_header headers[] = {
        {I("content-type"), I("application/cloudevents+json; charset=utf-8")}};
    (void)state;
    set_headers(headers, 1);
    write_request();
    assert_line("Content-Type", "application/cloudevents+json; charset=utf-8");
    assert_line("ce-id", NULL);
    assert_line("ce-specversion", NULL);
    assert_line("Kafka-Topic", "orders");
    assert_false(slice_is_null(line_value("Idempotency-Key", 0)));
}

static void write_file(char path[64], const char *text)
{
    snprintf(path, 64, "/tmp/oncegate-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* What a topic's requests share is built once and kept for some topics: each has its own all the
 * same. */
static void test_write_topics_in_turn_as_alone(void **state)
{
    static const struct record_header headers[] = {
        {I("content-type"), I("text/plain")},
        {I("ce_specversion"), I("1.0")},
    };
    struct err err = {0};
    struct request_template *lasting = request_template_new(&route, &err);
    struct buf alone = {0};
    char topic[32];
    (void)state;
    assert_non_null(lasting);
    for (int turn = 0; turn < 200; turn++) {
        snprintf(topic, sizeof(topic), "%s-%d", turn % 3 ? "orders" : "o%", turn % 40);
        origin.topic = (struct slice){topic, strlen(topic)};
        set_headers(headers + turn % 2, (size_t)turn % 4 / 2);
        write_request();
        buf_reset(&alone);
        buf_add_slice(&alone, buf_slice(&out));
        write_with(lasting);
        assert_string_equal(out.data, alone.data);
        snprintf(topic, sizeof(topic), "gone"); /* it is not the slice that is kept */
    }
    buf_deinit(&alone);
    request_template_free(&lasting);
}

static void test_template_configured_headers(void **state)
{
    char path[64];
    (void)state;

    write_file(path, "Bearer abc\n");
    struct request_header headers[] = {
        {(char *)(uintptr_t) "Authorization", NULL, path},
        {(char *)(uintptr_t) "X-Env", (char *)(uintptr_t) "test", NULL},
        {(char *)(uintptr_t) "User-Agent", (char *)(uintptr_t) "mine", NULL},
        {(char *)(uintptr_t) "content-type", (char *)(uintptr_t) "application/json", NULL},
    };
    route.handler.request_headers = headers;
    route.handler.request_header_count = 4;
    write_request();
    assert_line("Authorization", "Bearer abc");
    assert_line("X-Env", "test");
    assert_line("User-Agent", "mine");
    assert_line("Content-Type", "application/json"); /* instead of octet-stream */
    unlink(path);
}

static void test_template_refuses_bad_configured_headers(void **state)
{
    static const struct {
        const char *name, *value, *file;
    } cases[] = {
        {"X Y", "v", NULL},
        {"X", "a\r\nb", NULL},
        {"X", "\xc3\xa9", NULL},
        {"Host", "v", NULL},
        {"content-length", "1", NULL},
        {"ce-id", "v", NULL},
        {"Oncegate-Foo", "v", NULL},
        {"Kafka-Key", "v", NULL},
        {"Transfer-Encoding", "v", NULL},
        {"X", NULL, "/nonexistent"},
        {"", "v", NULL},
        {"Idempotency-Key", "v", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request_header header = {(char *)(uintptr_t)cases[i].name,
                                        (char *)(uintptr_t)cases[i].value,
                                        (char *)(uintptr_t)cases[i].file};
        struct err err = {0};
        route.handler.request_headers = &header;
        route.handler.request_header_count = 1;
        struct request_template *tpl = request_template_new(&route, &err);
        assert_null(tpl);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, "request_headers"));
    }
}

static void hmac_base64(const char *secret, size_t secret_len, const char *text, size_t len,
                        char out_text[64])
{
    unsigned char mac[32];
    unsigned mac_len = sizeof(mac);

    assert_non_null(HMAC(EVP_sha256(), secret, (int)secret_len, (const unsigned char *)text, len,
                         mac, &mac_len));
    EVP_EncodeBlock((unsigned char *)out_text, mac, (int)mac_len);
}

static void test_sign_two_secrets_and_stable_id(void **state)
{
    char raw[64], encoded[64], id[128];
    struct err err = {0};
    struct buf expected = {0}, signed_text = {0};
    char one[64], two[64];
    (void)state;

    write_file(raw, "plain secret\n");
    write_file(encoded, "whsec_AAECAwQFBgc=\n");
    char *files[] = {raw, encoded};
    route.handler.sign_secret_files = files;
    route.handler.sign_secret_file_count = 2;
    rec.value = S("{\"a\":1}");
    struct request_template *tpl = request_template_new(&route, &err);
    assert_non_null(tpl);

    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        facts.attempt = attempt;
        write_with(tpl);
        struct slice got = line_value("webhook-id", 0);
        if (attempt == 1)
            snprintf(id, sizeof(id), "%.*s", (int)got.len, got.data);
        assert_true(slice_equal_text(got, id)); /* the same on every try */
        assert_null(strchr(id, '.'));
        assert_line("webhook-timestamp", "1767323045");
        buf_reset(&signed_text);
        buf_printf(&signed_text, "%s.1767323045.{\"a\":1}", id);
        hmac_base64("plain secret", 12, signed_text.data, signed_text.len, one);
        hmac_base64("\0\1\2\3\4\5\6\7", 8, signed_text.data, signed_text.len, two);
        buf_reset(&expected);
        buf_printf(&expected, "v1,%s v1,%s", one, two);
        assert_line("webhook-signature", expected.data);
    }
    identity.number = 5;
    write_with(tpl);
    assert_false(slice_equal_text(line_value("webhook-id", 0), id));
    rec.value = SLICE_NULL;
    write_with(tpl);
    assert_false(slice_is_null(line_value("webhook-signature", 0)));
    request_template_free(&tpl);
    buf_deinit(&expected);
    buf_deinit(&signed_text);
    unlink(raw);
    unlink(encoded);
}

static void test_sign_refuses_bad_secret_files(void **state)
{
    static const char *const texts[] = {"", "\n", "whsec_", "whsec_???", "whsec_AAA"};
    char path[64];
    (void)state;

    for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
        bool missing = i == sizeof(texts) / sizeof(texts[0]);
        struct err err = {0};
        write_file(path, missing ? "" : texts[i]);
        if (missing)
            unlink(path);
        char *files[] = {path};
        route.handler.sign_secret_files = files;
        route.handler.sign_secret_file_count = 1;
        struct request_template *tpl = request_template_new(&route, &err);
        assert_null(tpl);
        assert_int_equal(err.code, ERR_CONFIG);
        unlink(path);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_plain_record_has_all_lines),
        TEST(test_write_null_key_and_value),
        TEST(test_write_empty_key_is_not_null),
        TEST(test_write_wild_key_is_percent_encoded),
        TEST(test_write_idempotency_text_is_encoded_once),
        TEST(test_write_times_of_all_sizes),
        TEST(test_write_key_that_is_not_utf8_has_no_partitionkey),
        TEST(test_write_long_or_hidden_key_is_a_hash),
        TEST(test_write_huge_key_stays_small),
        TEST(test_write_bare_idempotency_key),
        TEST(test_write_sequence_is_left_out_without_one),
        TEST(test_write_attempt_redrive_and_indeterminate),
        TEST(test_write_passes_content_type_and_trace_on),
        TEST(test_write_wild_content_type_and_trace_are_not_passed_on),
        TEST(test_write_forwards_listed_headers_only),
        TEST(test_write_leaves_huge_headers_out_and_says_so),
        TEST(test_write_cloudevent_keeps_its_own_attributes),
        TEST(test_write_cloudevent_with_amqp_names),
        TEST(test_write_ce_headers_without_specversion_are_no_event),
        TEST(test_write_structured_event_passes_as_it_is),
        TEST(test_write_topics_in_turn_as_alone),
        TEST(test_template_configured_headers),
        TEST(test_template_refuses_bad_configured_headers),
        TEST(test_sign_two_secrets_and_stable_id),
        TEST(test_sign_refuses_bad_secret_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
