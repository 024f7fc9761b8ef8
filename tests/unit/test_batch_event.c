/* Events of a batch: what stands in them, and that no record can break the array or speak for
 * another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "handler/batch_event.h"
#include "record/json_field.h"

static struct route_config route;
static struct record rec;
static struct origin origin;
static struct identity identity;
static struct request_facts facts;
static struct buf out, ids;

#define S(text) SLICE_LIT(text)
#define H(name, value)                                                                             \
    (struct record_header)                                                                         \
    {                                                                                              \
        S(name), S(value)                                                                          \
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
                                  .group = (char *)(uintptr_t) "app",
                                  .handler = {.batch_max_records = 100}};
    origin = (struct origin){.topic = S("orders"),
                             .partition = 3,
                             .offset = INT64_C(4100000000),
                             .timestamp_ms = INT64_C(1767323045678)};
    rec = (struct record){.topic = S("orders"), .key = S("k1"), .value = S("v")};
    identity = (struct identity){.kind = IDENTITY_SEQUENCE,
                                 .status = IDENTITY_OK,
                                 .epoch = 2,
                                 .number = UINT64_MAX,
                                 .key = S("k1")};
    facts = (struct request_facts){
        .rec = &rec, .origin = &origin, .identity = &identity, .attempt = 1};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_deinit(&out);
    buf_deinit(&ids);
    clock_set_for_test(NULL, NULL);
    return 0;
}

/* Appends the event and sees that it is one JSON object, in UTF-8, with the attributes that every
 * event has; and that what was told as its id is its id. */
static const char *write_event(void)
{
    struct err err = {0};
    struct request_template *tpl = request_template_new(&route, &err);
    struct json_field fields[] = {{.pointer = "/id"},
                                  {.pointer = "/specversion"},
                                  {.pointer = "/source"},
                                  {.pointer = "/type"}};
    struct buf store = {0};
    struct slice id;

    assert_non_null(tpl);
    buf_reset(&out);
    buf_reset(&ids);
    batch_event_write(tpl, &facts, &out, &ids);
    request_template_free(&tpl);
    assert_true(json_find(buf_slice(&out), fields, 4));
    assert_true(str_is_utf8(buf_slice(&out)));
    assert_int_equal(out.data[0], '{');
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fields[i].kind, JSON_STRING);
    buf_reserve(&store, fields[0].raw.len + 1);
    assert_true(json_string_bytes(fields[0].raw, &store, &id));
    assert_true(slice_equal(id, buf_slice(&ids)));
    buf_deinit(&store);
    return out.data;
}

static void set_headers(const struct record_header *headers, size_t count)
{
    rec.headers = headers;
    rec.header_count = count;
}

static void has(const char *part)
{
    if (!strstr(out.data, part))
        fail_msg("no %s in %s", part, out.data);
}

static void has_not(const char *part)
{
    if (strstr(out.data, part))
        fail_msg("%s in %s", part, out.data);
}

static unsigned times(const char *part)
{
    unsigned n = 0;
    for (const char *at = out.data; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

static void test_write_plain_record_is_all_of_this(void **state)
{
    (void)state;
    assert_string_equal(
        write_event(),
        "{\"kafkatopic\":\"orders\",\"specversion\":\"1.0\",\"type\":\"io.oncegate.record\","
        "\"source\":\"/kafka/orders\",\"id\":\"og/app/orders/k1/2/18446744073709551615\","
        "\"kafkapartition\":3,\"kafkaoffset\":\"4100000000\",\"kafkakey\":\"k1\","
        "\"partitionkey\":\"k1\",\"oncegateattempt\":1,"
        "\"oncegatesequence\":\"18446744073709551615\",\"oncegateepoch\":\"2\","
        "\"time\":\"2026-01-02T03:04:05.678Z\",\"datacontenttype\":\"application/octet-stream\","
        "\"data_base64\":\"dg==\"}");
}

static void test_write_null_key_and_value(void **state)
{
    (void)state;
    rec.key = rec.value = SLICE_NULL;
    write_event();
    has(",\"kafkatombstone\":true");
    has_not("kafkakey");
    has_not("partitionkey");
    has_not("\"data");
}

static void test_write_data_by_content_type(void **state)
{
    const struct {
        struct slice type, value;
        const char *data;
    } cases[] = {
        {S("application/json"), S(" {\"a\":[1,null]}\n"), ",\"data\": {\"a\":[1,null]}\n}"},
        {S("Application/Vnd.x+JSON; charset=utf-8"), S("1e400"), ",\"data\":1e400}"},
        {S("application/json"), S("{\"a\":1}}"), ",\"data_base64\":\"eyJhIjoxfX0=\"}"},
        {S("application/json"), S("{},{\"id\":\"x\"}"), ",\"data_base64\":"},
        {S("application/json"), S("\"\xff\""), ",\"data_base64\":\"Iv8i\"}"},
        {S("application/json"), S("\xef\xbb\xbf{}"), ",\"data_base64\":\"77u/e30=\"}"},
        {S("application/json"), S(""), ",\"data_base64\":\"\"}"},
        {S("text/json"), S("[]"), ",\"data\":[]}"},
        {S("text/json"), S("["), ",\"data_base64\":\"Ww==\"}"},
        {S("text/plain"), S("a\"b\\\n\x01"), ",\"data\":\"a\\\"b\\\\\\n\\u0001\"}"},
        {S("text/plain"), S("caf\xc3\xa9"), ",\"data\":\"caf\xc3\xa9\"}"},
        {S("text/plain"), S("caf\xe9"), ",\"data_base64\":\"Y2Fm6Q==\"}"},
        {S("text/"), S("x"), ",\"data_base64\":\"eA==\"}"},
        {S("avro/binary"), S("{}"), ",\"data_base64\":\"e30=\"}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct record_header header = {S("Content-Type"), cases[i].type};
        set_headers(&header, 1);
        rec.value = cases[i].value;
        write_event();
        has(cases[i].data);
        assert_int_equal(times("\"datacontenttype\":"), 1);
    }
}

static void test_write_deep_json_is_not_put_among_others(void **state)
{
    struct record_header header = H("content-type", "application/json");
    char deep[200];
    (void)state;
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    rec.value = (struct slice){deep, 200};
    set_headers(&header, 1);
    write_event();
    has("\"data_base64\":\"W1tb");
}

static void test_write_keys_of_all_kinds(void **state)
{
    static char long_key[300];
    (void)state;
    rec.key = S("k\xff \"");
    write_event();
    has("\"kafkakey\":\"k%FF%20%22\"");
    has_not("partitionkey");
    rec.key = S("caf\xc3\xa9\\");
    write_event();
    has("\"kafkakey\":\"caf%C3%A9\\\\\"");
    has("\"partitionkey\":\"caf\xc3\xa9\\\\\"");
    memset(long_key, 'x', sizeof(long_key));
    rec.key = (struct slice){long_key, sizeof(long_key)};
    write_event();
    has("\"kafkakey\":\"sha256:");
    has("\"partitionkey\":\"sha256:");
    has_not("xxx");
    rec.key = identity.key = S("secret");
    route.handler.hide_key = true;
    write_event();
    has_not("secret");
}

static void test_write_redrive_indeterminate_and_no_number(void **state)
{
    (void)state;
    facts.redrive_id = S("r\"1");
    facts.indeterminate = true;
    facts.attempt = 7;
    identity.kind = IDENTITY_NONE;
    write_event();
    has("\"oncegateredrive\":\"r\\\"1\"");
    has("\"oncegatededup\":\"indeterminate\"");
    has("\"oncegateattempt\":7");
    has_not("oncegatesequence");
    has("\"id\":\"og/app/orders/3/4100000000\"");
}

static void test_write_forwarded_headers_as_attributes(void **state)
{
    char *names[] = {(char *)(uintptr_t) "X-Tenant", (char *)(uintptr_t) "note",
                     (char *)(uintptr_t) "huge"};
    static char huge[5000];
    struct record_header headers[] = {H("X-Tenant", "old"),
                                      H("X-Tenant", "a\"b c"),
                                      H("secret", "no"),
                                      {S("note"), SLICE_NULL},
                                      {S("huge"), {huge, sizeof(huge)}}};
    (void)state;
    memset(huge, 'h', sizeof(huge));
    route.handler.forward_headers = names;
    route.handler.forward_header_count = 3;
    set_headers(headers, 5);
    write_event();
    has(",\"kafkaheaderxtenant\":\"a%22b%20c\"");
    has(",\"kafkaheadernote\":\"\"");
    has(",\"oncegateomitted\":\"huge\"");
    has_not("secret");
    has_not("hhh");
}

static void test_write_trace_is_an_attribute(void **state)
{
    struct record_header headers[] = {H("traceparent", "00-0af7-b7ad-01"), H("tracestate", "a=1")};
    (void)state;
    set_headers(headers, 2);
    write_event();
    has(",\"traceparent\":\"00-0af7-b7ad-01\",\"tracestate\":\"a=1\"");
}

static void test_write_binary_event_keeps_its_own(void **state)
{
    struct record_header headers[] = {
        H("ce_specversion", "1.0"),   H("ce_id", "a\"1"),
        H("ce_id", "second"),         H("ce_source", "/app"),
        H("ce_tenant", "t"),          H("ce_tenant", "again"),
        H("ce_kafkaoffset", "12"),    H("ce_oncegateattempt", "9"),
        H("ce_idempotencykey", "x"),  H("ce_data", "x"),
        H("ce_datacontenttype", "x"), H("ce_bad", "\xff"),
        H("ce_traceparent", "own"),   H("traceparent", "other"),
        H("ce_Upper", "x"),           H("content-type", "text/plain")};
    (void)state;
    set_headers(headers, sizeof(headers) / sizeof(headers[0]));
    write_event();
    has("\"id\":\"a\\\"1\"");
    has("\"source\":\"/app\"");
    has("\"type\":\"io.oncegate.record\"");
    has("\"tenant\":\"t\"");
    has("\"idempotencykey\":\"og/app/orders/k1/2/18446744073709551615\"");
    has("\"kafkaoffset\":\"4100000000\"");
    has("\"oncegateattempt\":1");
    has("\"traceparent\":\"own\"");
    has("\"oncegateomitted\":\"ce_bad\"");
    has("\"datacontenttype\":\"text/plain\",\"data\":\"v\"}");
    has_not("\"time\"");
    has_not("\"x\"");
    has_not("\"9\"");
    has_not("\"12\"");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(times((const char *[]){"\"id\":", "\"tenant\":", "\"traceparent\":"}[i]),
                         1);
}

static void test_write_binary_event_with_endless_attributes(void **state)
{
    static struct record_header headers[201];
    static char names[200][16];
    (void)state;
    headers[0] = H("ce_specversion", "1.0");
    for (size_t i = 0; i < 200; i++) {
        headers[i + 1].name = (struct slice){names[i],
                                             (size_t)snprintf(names[i], 16, "ce_a%zu", i)};
        headers[i + 1].value = S("x");
    }
    set_headers(headers, 201);
    write_event();
    has("\"a63\":\"x\"");
    has_not("\"a64\":");
}

static void test_write_structured_event_goes_in_whole(void **state)
{
    struct record_header header = H("content-type", "application/cloudevents+json; charset=UTF-8");
    (void)state;
    set_headers(&header, 1);
    rec.value = S(
        " { \"specversion\" : \"1.0\", \"id\":\"caf\\u00e9\\n\", \"source\":\"/s\",\"type\":\"t\","
        "\"kafkatopic\":\"forged\",\"oncegateattempt\":99,\"big\":12345678901234567890,"
        "\"data\":{\"x\":[1.50]}} ");
    write_event();
    has(",\"id\":\"caf\\u00e9\\n\"");
    has("\"big\":12345678901234567890,\"data\":{\"x\":[1.50]}}");
    has("\"kafkatopic\":\"orders\"");
    has("\"idempotencykey\":\"og/app/orders/k1/2/18446744073709551615\"");
    has("\"oncegateattempt\":1,");
    has_not("forged");
    has_not("99");
    has_not("datacontenttype");
    assert_memory_equal(ids.data, "caf\xc3\xa9\n", 6);
}

static void test_write_what_only_says_that_it_is_structured(void **state)
{
    const struct slice values[] = {
        S("{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\""),
        S("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}"),
        S("{\"specversion\":\"1.0\",\"id\":7,\"source\":\"/s\",\"type\":\"t\"}"),
        S("{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\"}"),
        S("[{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"t\"}]"),
        S("{\"specversion\":\"1.0\",\"id\":\"\\ud800\",\"source\":\"/s\",\"type\":\"t\"}"),
        S("{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/"
          "s\",\"type\":\"t\",\"\\u0069d\":\"y\"}"),
        S("\xef\xbb\xbf{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"t\"}"),
    };
    struct record_header header = H("content-type", "application/cloudevents+json");
    (void)state;
    set_headers(&header, 1);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        rec.value = values[i];
        write_event();
        has("\"type\":\"io.oncegate.record\"");
        has("\"datacontenttype\":\"application/cloudevents+json\"");
        assert_memory_equal(ids.data, "og/app/", 7);
    }
    header.value = S("application/cloudevents+avro");
    rec.value = S("{}");
    write_event();
    has("\"data_base64\":\"e30=\"");
}

static void test_head_has_what_all_share(void **state)
{
    struct request_header own[] = {
        {.name = (char *)(uintptr_t) "X-Fixed", .value = (char *)(uintptr_t) "yes"},
        {.name = (char *)(uintptr_t) "Content-Type", .value = (char *)(uintptr_t) "text/plain"}};
    struct err err = {0};
    (void)state;
    route.handler.request_headers = own;
    route.handler.request_header_count = 2;
    struct request_template *tpl = request_template_new(&route, &err);
    assert_non_null(tpl);
    buf_reset(&out);
    batch_head_write(tpl, INT64_C(1767323060000), S("[]"), S("ids"), &out);
    request_template_free(&tpl);
    has("X-Fixed: yes\r\n");
    has("Content-Type: application/cloudevents-batch+json\r\n");
    has("Oncegate-Deadline: 2026-01-02T03:04:20.000Z\r\n");
    has_not("text/plain");
    assert_int_equal(times("\r\n"), 4); /* and User-Agent */
    /* What the configuration says is the type of a record that names none. */
    write_event();
    has("\"datacontenttype\":\"text/plain\",\"data\":\"v\"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_plain_record_is_all_of_this),
        TEST(test_write_null_key_and_value),
        TEST(test_write_data_by_content_type),
        TEST(test_write_deep_json_is_not_put_among_others),
        TEST(test_write_keys_of_all_kinds),
        TEST(test_write_redrive_indeterminate_and_no_number),
        TEST(test_write_forwarded_headers_as_attributes),
        TEST(test_write_trace_is_an_attribute),
        TEST(test_write_binary_event_keeps_its_own),
        TEST(test_write_binary_event_with_endless_attributes),
        TEST(test_write_structured_event_goes_in_whole),
        TEST(test_write_what_only_says_that_it_is_structured),
        TEST(test_head_has_what_all_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
