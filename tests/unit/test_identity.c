#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "record/identity.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static char seq_name[] = "seq";
static char epoch_name[] = "seq-epoch";
static char key_name[] = "k";
static char id_pointer[] = "/id";
static char n_pointer[] = "/n";
static char e_pointer[] = "/e";
static char key_pointer[] = "/key";

static struct buf store;
static struct buf text;

static int teardown(void **state)
{
    (void)state;
    buf_deinit(&store);
    buf_deinit(&text);
    return 0;
}

static const struct identity_rule by_header = {
    .kind = IDENTITY_SEQUENCE,
    .key = {FIELD_KAFKA_KEY, NULL},
    .number = {FIELD_HEADER, seq_name},
};
static const struct identity_rule by_json = {
    .kind = IDENTITY_SEQUENCE,
    .key = {FIELD_JSON, key_pointer},
    .number = {FIELD_JSON, n_pointer},
    .epoch = {FIELD_JSON, e_pointer},
};

static void assert_problem(const struct identity *identity, enum identity_status status,
                           const char *code)
{
    assert_int_equal(identity->status, status);
    assert_string_equal(identity->code, code);
    assert_non_null(identity->problem);
}

static void assert_fine(const struct identity *identity)
{
    assert_int_equal(identity->status, IDENTITY_OK);
    assert_string_equal(identity->code, "");
    assert_null(identity->problem);
}

/* The identity of a record with one header. */
static struct identity read_header(const struct identity_rule *rule, const char *name,
                                   struct slice value)
{
    struct record_header header = {slice_of(name), value};
    struct record rec = {.key = SLICE_LIT("k1"), .headers = &header, .header_count = 1};
    struct identity out;
    identity_read(rule, &rec, &store, &out);
    return out;
}

static struct identity read_value(const struct identity_rule *rule, const char *json)
{
    struct record rec = {.key = SLICE_LIT("k1"), .value = slice_of(json)};
    struct identity out;
    identity_read(rule, &rec, &store, &out);
    return out;
}

static void test_identity_read_sequence_from_header_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t number;
    } cases[] = {{"0", 0},
                 {"1", 1},
                 {"9007199254740993", UINT64_C(9007199254740993)},
                 {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct identity out = read_header(&by_header, "seq", slice_of(cases[i].value));
        assert_fine(&out);
        assert_true(out.number == cases[i].number);
        assert_true(out.epoch == 0);
        assert_true(slice_equal_text(out.key, "k1"));
    }
}

static void test_identity_read_with_an_unreadable_header_keeps_the_key(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "18446744073709551616", "-1", "1.5", "1e3", "abc", " 1", "0x10", "+1", "1 ", "-0",
        "1,000"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct identity out = read_header(&by_header, "seq", slice_of(bad[i]));
        assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
        assert_true(slice_equal_text(out.key, "k1"));
    }
}

static void test_identity_read_without_the_header_is_missing(void **state)
{
    (void)state;
    struct identity out = read_header(&by_header, "Seq", SLICE_LIT("1"));
    assert_problem(&out, IDENTITY_MISSING, "identity-missing");
    assert_true(slice_equal_text(out.key, "k1"));
    out = read_header(&by_header, "seq", SLICE_NULL);
    assert_problem(&out, IDENTITY_MISSING, "identity-missing");
}

static void test_identity_read_with_repeated_headers_takes_the_last(void **state)
{
    (void)state;
    static const struct record_header headers[] = {{SLICE_INIT("seq"), SLICE_INIT("1")},
                                                   {SLICE_INIT("seq"), SLICE_INIT("2")}};
    struct record rec = {.headers = headers, .header_count = 2};
    struct identity out;
    identity_read(&by_header, &rec, &store, &out);
    assert_true(out.number == 2);
}

static void test_identity_read_from_json_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint64_t epoch, number;
        const char *key;
    } cases[] = {
        {"{\"key\":\"a\",\"e\":1,\"n\":2}", 1, 2, "a"},
        {"{\"n\":18446744073709551615,\"e\":18446744073709551614,\"key\":\"\"}", UINT64_MAX - 1,
         UINT64_MAX, ""},
        {"{\"key\":17,\"e\":\"3\",\"n\":\"9007199254740993\"}", 3, UINT64_C(9007199254740993),
         "17"},
        {"{\"key\":-5,\"e\":0,\"n\":0}", 0, 0, "-5"},
        {"{\"key\":-0,\"e\":0,\"n\":0}", 0, 0, "0"},
        {"{\"key\":123456789012345678901234567890,\"e\":0,\"n\":0}", 0, 0,
         "123456789012345678901234567890"},
        {"{\"key\":\"gr\\u00fcn\\/\",\"e\":\"\\u0031\",\"n\":\"\\u0034\"}", 1, 4, "gr\xc3\xbcn/"},
        {"{\"key\":\"a\",\"e\":1,\"n\":2,\"huge\":1e999,\"x\":99999999999999999999999}", 1, 2, "a"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct identity out = read_value(&by_json, cases[i].json);
        assert_fine(&out);
        assert_true(out.epoch == cases[i].epoch);
        assert_true(out.number == cases[i].number);
        assert_true(slice_equal_text(out.key, cases[i].key));
    }
}

static void test_identity_read_from_json_with_a_bad_number_is_unreadable(void **state)
{
    (void)state;
    static const char *const bad[] = {"18446744073709551616",
                                      "-1",
                                      "1.0",
                                      "1e3",
                                      "-0",
                                      "true",
                                      "[]",
                                      "{}",
                                      "\"\"",
                                      "\"-1\"",
                                      "\"18446744073709551616\"",
                                      "\"1.0\"",
                                      "\"x\"",
                                      "\"\\ud800\""};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char *json = mem_printf("{\"key\":\"a\",\"e\":0,\"n\":%s}", bad[i]);
        struct identity out = read_value(&by_json, json);
        assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
        assert_true(slice_equal_text(out.key, "a"));
        mem_free(json);
    }
}

static void test_identity_read_from_json_without_the_member_is_missing(void **state)
{
    (void)state;
    struct identity out = read_value(&by_json, "{\"key\":\"a\",\"e\":0}");
    assert_problem(&out, IDENTITY_MISSING, "identity-missing");
    out = read_value(&by_json, "{\"key\":\"a\",\"e\":0,\"n\":null}");
    assert_problem(&out, IDENTITY_MISSING, "identity-missing");
    assert_true(slice_equal_text(out.key, "a"));
}

static void test_identity_read_of_a_value_that_is_not_json_is_unreadable(void **state)
{
    (void)state;
    static const struct identity_rule number_only = {.kind = IDENTITY_SEQUENCE,
                                                     .key = {FIELD_KAFKA_KEY, NULL},
                                                     .number = {FIELD_JSON, n_pointer}};
    struct identity out = read_value(&number_only, "not json");
    assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
    assert_true(slice_equal_text(out.key, "k1"));
    out = read_value(&number_only, "");
    assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
    out = read_value(&by_json, "{\"n\":1,\"e\":1,\"key\":\"a\"");
    assert_problem(&out, IDENTITY_UNREADABLE, "key-unreadable");
    assert_true(slice_is_null(out.key));
}

static void test_identity_read_of_a_tombstone_by_json_is_missing(void **state)
{
    (void)state;
    struct identity out = read_value(&by_json, NULL);
    assert_problem(&out, IDENTITY_MISSING, "key-missing");
}

static void test_identity_read_with_key_problem_names_it_first_and_reads_the_rest(void **state)
{
    (void)state;
    struct identity out = read_value(&by_json, "{\"e\":1,\"n\":2}");
    assert_problem(&out, IDENTITY_MISSING, "key-missing");
    assert_true(slice_is_null(out.key));
    assert_true(out.epoch == 1 && out.number == 2);
    out = read_value(&by_json, "{\"key\":1.5,\"e\":-1,\"n\":2}");
    assert_problem(&out, IDENTITY_UNREADABLE, "key-unreadable");
    assert_true(out.number == 2);
    static const char *const bad[] = {"true", "[]", "{}", "1e3", "1.0", "\"\\udc00\""};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char *json = mem_printf("{\"key\":%s,\"e\":0,\"n\":1}", bad[i]);
        out = read_value(&by_json, json);
        assert_problem(&out, IDENTITY_UNREADABLE, "key-unreadable");
        mem_free(json);
    }
}

static void test_identity_read_with_key_from_header_reads_its_bytes(void **state)
{
    (void)state;
    struct identity_rule rule = by_header;
    rule.kind = IDENTITY_OFFSET;
    rule.key = (struct field_source){FIELD_HEADER, key_name};
    struct identity out = read_header(&rule, "k", (struct slice){"\0\xff", 2});
    assert_fine(&out);
    assert_true(slice_equal(out.key, (struct slice){"\0\xff", 2}));
    out = read_header(&rule, "k", SLICE_LIT(""));
    assert_fine(&out);
    assert_false(slice_is_null(out.key));
    out = read_header(&rule, "other", SLICE_LIT(""));
    assert_problem(&out, IDENTITY_MISSING, "key-missing");
}

static void test_identity_read_with_kafka_key_keeps_null_and_empty_apart(void **state)
{
    (void)state;
    static const struct record_header seq = {SLICE_INIT("seq"), SLICE_INIT("1")};
    struct record rec = {.headers = &seq, .header_count = 1};
    struct identity out;
    identity_read(&by_header, &rec, &store, &out);
    assert_fine(&out);
    assert_true(slice_is_null(out.key));
    rec.key = SLICE_LIT("");
    identity_read(&by_header, &rec, &store, &out);
    assert_false(slice_is_null(out.key));
    assert_int_equal(out.key.len, 0);
}

static void test_identity_read_with_epoch_header_names_its_problems(void **state)
{
    (void)state;
    struct identity_rule rule = by_header;
    rule.epoch = (struct field_source){FIELD_HEADER, epoch_name};
    struct record_header headers[] = {{SLICE_LIT("seq"), SLICE_LIT("5")},
                                      {SLICE_LIT("seq-epoch"), SLICE_LIT("18446744073709551615")}};
    struct record rec = {.headers = headers, .header_count = 2};
    struct identity out;
    identity_read(&rule, &rec, &store, &out);
    assert_fine(&out);
    assert_true(out.epoch == UINT64_MAX);
    headers[1].value = SLICE_LIT("new");
    identity_read(&rule, &rec, &store, &out);
    assert_problem(&out, IDENTITY_UNREADABLE, "epoch-unreadable");
    assert_true(out.number == 5);
    rec.header_count = 1;
    identity_read(&rule, &rec, &store, &out);
    assert_problem(&out, IDENTITY_MISSING, "epoch-missing");
}

static void test_identity_read_version_as_rfc3339_is_nanoseconds(void **state)
{
    (void)state;
    struct identity_rule rule = {.kind = IDENTITY_VERSION,
                                 .key = {FIELD_KAFKA_KEY, NULL},
                                 .number = {FIELD_JSON, n_pointer},
                                 .rfc3339 = true};
    struct identity out = read_value(&rule, "{\"n\":\"2026-01-02T03:04:05.123456789Z\"}");
    assert_fine(&out);
    assert_true(out.number == UINT64_C(1767323045123456789));
    static const char *const bad[] = {
        "\"2026-01-02\"",           "1767323045", "\"\"", "\"1767323045\"",
        "\"1969-12-31T23:59:59Z\"", "true"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char *json = mem_printf("{\"n\":%s}", bad[i]);
        out = read_value(&rule, json);
        assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
        mem_free(json);
    }
}

static void test_identity_read_version_from_timestamp_takes_it(void **state)
{
    (void)state;
    struct identity_rule rule = {.kind = IDENTITY_VERSION, .number = {FIELD_TIMESTAMP, NULL}};
    struct record rec = {.timestamp_ms = INT64_C(1767323045678)};
    struct identity out;
    identity_read(&rule, &rec, &store, &out);
    assert_fine(&out);
    assert_true(out.number == UINT64_C(1767323045678));
    rec.timestamp_ms = -1;
    identity_read(&rule, &rec, &store, &out);
    assert_problem(&out, IDENTITY_MISSING, "identity-missing");
}

static void test_identity_read_event_id_gives_its_bytes(void **state)
{
    (void)state;
    struct identity_rule rule = {.kind = IDENTITY_EVENT_ID, .number = {FIELD_JSON, id_pointer}};
    struct identity out = read_value(&rule, "{\"id\":\"e\\u002d1\"}");
    assert_fine(&out);
    assert_true(slice_equal_text(out.event_id, "e-1"));
    out = read_value(&rule, "{\"id\":42}");
    assert_true(slice_equal_text(out.event_id, "42"));
    out = read_value(&rule, "{\"id\":\"\"}");
    assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
    out = read_value(&rule, "{\"id\":[1]}");
    assert_problem(&out, IDENTITY_UNREADABLE, "identity-unreadable");
    out = read_value(&rule, "{}");
    assert_problem(&out, IDENTITY_MISSING, "identity-missing");
    assert_true(slice_is_null(out.event_id));
}

/* Two decoded strings share the store: the second must not move the first. */
static void test_identity_read_with_two_escaped_strings_keeps_both(void **state)
{
    (void)state;
    struct identity_rule rule = {.kind = IDENTITY_EVENT_ID,
                                 .key = {FIELD_JSON, key_pointer},
                                 .number = {FIELD_JSON, id_pointer}};
    char *fill = mem_printf("%030000d", 0);
    char *json = mem_printf("{\"key\":\"k\\n\",\"id\":\"\\t%s\"}", fill);
    struct identity out = read_value(&rule, json);
    assert_fine(&out);
    assert_true(slice_equal_text(out.key, "k\n"));
    assert_int_equal(out.event_id.len, 30001);
    assert_int_equal(out.event_id.data[0], '\t');
    mem_free(json);
    mem_free(fill);
}

static void test_identity_read_by_offset_or_none_needs_nothing(void **state)
{
    (void)state;
    static const enum identity_kind kinds[] = {IDENTITY_OFFSET, IDENTITY_NONE};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct identity_rule rule = by_header;
        rule.kind = kinds[i];
        struct identity out = read_value(&rule, "not json");
        assert_fine(&out);
        assert_int_equal(out.kind, kinds[i]);
        assert_true(slice_equal_text(out.key, "k1"));
    }
}

static struct origin an_origin(void)
{
    return (struct origin){.topic = SLICE_LIT("orders"), .partition = 3, .offset = 42};
}

static void write_text(const struct identity *identity, const struct origin *origin,
                       struct slice group, bool hide_key)
{
    struct buf beginning = {0};
    identity_text_beginning(group, origin->topic, &beginning);
    identity_text(identity, origin, buf_slice(&beginning), hide_key, &text);
    buf_deinit(&beginning);
}

static const char *text_of(const struct identity *identity, bool hide_key)
{
    struct origin origin = an_origin();
    write_text(identity, &origin, SLICE_LIT("orders-app"), hide_key);
    return text.data;
}

static void test_identity_text_of_each_kind_has_its_form(void **state)
{
    (void)state;
    struct identity id = {
        .kind = IDENTITY_SEQUENCE, .key = SLICE_LIT("k1"), .epoch = 1, .number = 7};
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/k1/1/7");
    id.kind = IDENTITY_VERSION;
    id.number = UINT64_MAX;
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/k1/1/18446744073709551615");
    id.kind = IDENTITY_EVENT_ID;
    id.event_id = SLICE_LIT("e/1");
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/k1/id/e%2F1");
    id.kind = IDENTITY_OFFSET;
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/3/42");
    id.kind = IDENTITY_NONE;
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/3/42");
    struct origin elected = an_origin();
    elected.leader_epoch = 5;
    write_text(&id, &elected, SLICE_LIT("orders-app"), false);
    assert_string_equal(text.data, "og/orders-app/orders/3/42@5");
    id.kind = IDENTITY_SEQUENCE;
    id.status = IDENTITY_MISSING;
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/3/42");
}

static void test_identity_text_tells_null_empty_and_odd_keys_apart(void **state)
{
    (void)state;
    struct identity id = {.kind = IDENTITY_SEQUENCE, .number = 7};
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/null:3/0/7");
    assert_string_equal(text_of(&id, true), "og/orders-app/orders/null:3/0/7");
    id.key = SLICE_LIT("");
    assert_string_equal(text_of(&id, false), "og/orders-app/orders//0/7");
    id.key = SLICE_LIT("null:3");
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/null%3A3/0/7");
    id.key = (struct slice){"a/\0\"\\\n\xff", 7};
    assert_string_equal(text_of(&id, false), "og/orders-app/orders/a%2F%00%22%5C%0A%FF/0/7");
}

static void test_identity_text_with_hidden_or_long_key_digests_it(void **state)
{
    (void)state;
    struct identity id = {.kind = IDENTITY_SEQUENCE, .key = SLICE_LIT("abc"), .number = 7};
    assert_string_equal(text_of(&id, true),
                        "og/orders-app/orders/sha256:"
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad/0/7");
    char *key = mem_printf("%0129d", 0);
    id.key = (struct slice){key, 128};
    assert_null(strstr(text_of(&id, false), "sha256:"));
    id.key.len = 129;
    assert_non_null(strstr(text_of(&id, false), "sha256:"));
    mem_free(key);
}

static void test_identity_text_is_never_longer_than_255(void **state)
{
    (void)state;
    char *long_text = mem_alloc(1 << 20);
    memset(long_text, '/', 1 << 20);
    struct identity id = {.kind = IDENTITY_SEQUENCE,
                          .key = {long_text, 100},
                          .number = UINT64_MAX,
                          .epoch = UINT64_MAX};
    assert_non_null(strstr(text_of(&id, false), "/sha256:")); /* 100 bytes are 300 encoded */
    assert_true(text.len <= 255);
    id.key.len = 1 << 20;
    text_of(&id, false);
    assert_true(text.len <= 255);

    id.kind = IDENTITY_EVENT_ID;
    id.event_id = (struct slice){long_text, 1 << 20};
    assert_non_null(strstr(text_of(&id, false), "/id/sha256:"));
    assert_true(text.len <= 255);

    struct origin origin = {.topic = {long_text, 249}};
    write_text(&id, &origin, (struct slice){long_text, 249}, false);
    assert_true(text.len <= 255);
    assert_memory_equal(text.data, "og/sha256:", 10);
    mem_free(long_text);
}

/* Whatever makes the text too long, two identities must not become one. */
static void test_identity_text_of_long_parts_still_differs(void **state)
{
    (void)state;
    char *long_text = mem_printf("%0999d", 0);
    struct origin origin = {.topic = {long_text, 240}};
    struct identity id = {.kind = IDENTITY_SEQUENCE, .key = SLICE_LIT("a"), .number = 1};
    char first[256];
    write_text(&id, &origin, (struct slice){long_text, 240}, false);
    memcpy(first, text.data, text.len + 1);
    id.key = SLICE_LIT("b");
    write_text(&id, &origin, (struct slice){long_text, 240}, false);
    assert_string_not_equal(first, text.data);
    mem_free(long_text);
}

static void test_identity_kind_name_is_the_configured_word(void **state)
{
    (void)state;
    assert_string_equal(identity_kind_name(IDENTITY_SEQUENCE), "sequence");
    assert_string_equal(identity_kind_name(IDENTITY_VERSION), "version");
    assert_string_equal(identity_kind_name(IDENTITY_EVENT_ID), "event-id");
    assert_string_equal(identity_kind_name(IDENTITY_OFFSET), "offset");
    assert_string_equal(identity_kind_name(IDENTITY_NONE), "none");
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identity_read_sequence_from_header_is_exact),
        TEST(test_identity_read_with_an_unreadable_header_keeps_the_key),
        TEST(test_identity_read_without_the_header_is_missing),
        TEST(test_identity_read_with_repeated_headers_takes_the_last),
        TEST(test_identity_read_from_json_is_exact),
        TEST(test_identity_read_from_json_with_a_bad_number_is_unreadable),
        TEST(test_identity_read_from_json_without_the_member_is_missing),
        TEST(test_identity_read_of_a_value_that_is_not_json_is_unreadable),
        TEST(test_identity_read_of_a_tombstone_by_json_is_missing),
        TEST(test_identity_read_with_key_problem_names_it_first_and_reads_the_rest),
        TEST(test_identity_read_with_key_from_header_reads_its_bytes),
        TEST(test_identity_read_with_kafka_key_keeps_null_and_empty_apart),
        TEST(test_identity_read_with_epoch_header_names_its_problems),
        TEST(test_identity_read_version_as_rfc3339_is_nanoseconds),
        TEST(test_identity_read_version_from_timestamp_takes_it),
        TEST(test_identity_read_event_id_gives_its_bytes),
        TEST(test_identity_read_with_two_escaped_strings_keeps_both),
        TEST(test_identity_read_by_offset_or_none_needs_nothing),
        TEST(test_identity_text_of_each_kind_has_its_form),
        TEST(test_identity_text_tells_null_empty_and_odd_keys_apart),
        TEST(test_identity_text_with_hidden_or_long_key_digests_it),
        TEST(test_identity_text_is_never_longer_than_255),
        TEST(test_identity_text_of_long_parts_still_differs),
        TEST(test_identity_kind_name_is_the_configured_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
