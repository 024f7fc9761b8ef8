/* A batch as it goes over the wire, the names of its keys, and the reading of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "ledger/batch.h"
#include "ledger/scope.h"
#include "ledger/script_sources.h"
#include "ledger/wire.h"

static struct ledger_scope *new_scope(const char *group, const char *topic, enum identity_kind kind,
                                      bool ordered)
{
    static char ns[] = "og";
    struct redis_config redis = {.ns = ns, .shards = 1};
    struct ledger_scope_config config = {.group = group,
                                         .topic = topic,
                                         .route = "all",
                                         .kind = kind,
                                         .ordered = ordered,
                                         .ttl_ms = 1000,
                                         .ghost_ttl_ms = 500,
                                         .parked_cap = 3};
    return scope_new(&redis, &config);
}

static struct ledger_op op_of(const struct ledger_scope *scope, const struct ledger_owner *owner,
                              struct slice key)
{
    return (struct ledger_op){.scope = scope,
                              .owner = owner,
                              .kind = scope->kind,
                              .key = key,
                              .origin_topic = SLICE_LIT("orders"),
                              .origin_partition = 2,
                              .origin_leader_epoch = -1,
                              .origin_offset = 77,
                              .lease_ms = 5};
}

static void assert_name(const struct ledger_scope *scope, struct ledger_op *op,
                        const char *expected)
{
    struct buf out = {0};
    op->key_hash = scope_hash_key(scope, op->key);
    scope_add_name(&out, scope, op, 'k');
    assert_string_equal(out.data, expected);
    buf_deinit(&out);
}

static void test_name_of_keys_short_long_empty_null(void **state)
{
    struct ledger_owner owner = {.name = "orders/2"};
    struct ledger_scope *scope = new_scope("g:1", "orders", IDENTITY_SEQUENCE, true);
    struct ledger_op op = op_of(scope, &owner, SLICE_LIT("a:b"));
    char text[66];
    (void)state;
    assert_name(scope, &op, "og:{0}:k:g%3A1:orders:=a:b");
    op.key = SLICE_LIT("");
    assert_name(scope, &op, "og:{0}:k:g%3A1:orders:=");
    op.key = SLICE_NULL;
    assert_name(scope, &op, "og:{0}:k:g%3A1:orders:-2");
    memset(text, 'x', sizeof(text));
    op.key = (struct slice){text, 65};
    assert_name(
        scope, &op,
        "og:{0}:k:g%3A1:orders:#9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9");
    ledger_scope_free(&scope);
}

static void test_name_across_topics_keeps_partitions_of_topics_apart(void **state)
{
    struct ledger_owner owner = {.name = "orders/2"};
    struct ledger_scope *scope = new_scope("g", NULL, IDENTITY_OFFSET, false);
    struct ledger_op op = op_of(scope, &owner, SLICE_LIT("ignored"));
    (void)state;
    assert_name(scope, &op, "og:{0}:k:g:*all:-2/orders");
    ledger_scope_free(&scope);
}

static redisReply integer(long long n)
{
    return (redisReply){.type = REDIS_REPLY_INTEGER, .integer = n};
}

static bool read_answers(long long *numbers, size_t count, struct ledger_op *op, size_t ops)
{
    redisReply elements[8], *pointers[8],
        reply = {.type = REDIS_REPLY_ARRAY, .elements = count, .element = pointers};
    struct ledger_op *list[2] = {&op[0], &op[1]};
    struct err err = {0};
    for (size_t i = 0; i < count; i++) {
        elements[i] = integer(numbers[i]);
        pointers[i] = &elements[i];
    }
    return batch_read(&reply, NULL, list, ops, &err);
}

#define HEAD    (1LL << 43)
#define EXPIRED (1LL << 42)
#define BUSY_MS (1LL << 44)

static void test_answers_with_and_without_extras_are_read(void **state)
{
    struct ledger_op ops[2] = {{.verb = LEDGER_CLAIM}, {.verb = LEDGER_CLAIM}};
    long long first[] = {LEDGER_BLOCKED | LEDGER_BLOCKED << 5 | 300000LL << 10 | HEAD | EXPIRED,
                         10000, 123, LEDGER_GO | LEDGER_DUP << 5};
    long long second[] = {LEDGER_BUSY | LEDGER_BUSY << 5 | BUSY_MS, 1500,
                          LEDGER_FENCED | LEDGER_FENCED << 5};
    (void)state;
    assert_true(read_answers(first, 4, ops, 2));
    assert_int_equal(ops[0].code, LEDGER_BLOCKED);
    assert_int_equal(ops[0].parked_count, 300000);
    assert_int_equal(ops[0].head_tier, 10000);
    assert_int_equal(ops[0].head_offset, 123);
    assert_true(ops[0].head_expired);
    assert_int_equal(ops[1].code, LEDGER_GO);
    assert_int_equal(ops[1].would_code, LEDGER_DUP);
    assert_true(read_answers(second, 3, ops, 2));
    assert_int_equal(ops[0].busy_ms, 1500);
    assert_false(ops[0].head_expired);
    assert_int_equal(ops[1].code, LEDGER_FENCED);
}

static void test_answers_that_do_not_fit_are_refused(void **state)
{
    struct ledger_op ops[2] = {{.verb = LEDGER_CLAIM}, {.verb = LEDGER_CLAIM}};
    long long few[] = {LEDGER_GO}, many[] = {LEDGER_GO, LEDGER_GO, 1},
              cut[] = {LEDGER_GO, LEDGER_BUSY | BUSY_MS};
    long long finish[] = {LEDGER_OK, LEDGER_GO}, unknown[] = {LEDGER_GO, 19};
    redisReply text = {.type = REDIS_REPLY_STRING};
    struct ledger_op *list[1] = {&ops[0]};
    struct err err = {0};
    (void)state;
    assert_false(read_answers(few, 1, ops, 2));
    assert_false(read_answers(many, 3, ops, 2));
    assert_false(read_answers(cut, 2, ops, 2));
    assert_false(read_answers(finish, 2, ops, 2));
    assert_false(read_answers(unknown, 2, ops, 2));
    assert_false(batch_read(&text, NULL, list, 1, &err));
    assert_int_equal(err.code, ERR_PROTOCOL);
}

static size_t count_of(const struct buf *text, const char *what)
{
    size_t count = 0;
    for (size_t i = 0; i + strlen(what) <= text->len; i++)
        count += memcmp(text->data + i, what, strlen(what)) == 0;
    return count;
}

static void test_build_names_what_operations_share_once(void **state)
{
    struct ledger_owner owner = {.name = "orders/2", .token = 9},
                        other = {.name = "orders/3", .token = 9};
    struct ledger_scope *scope = new_scope("g", "orders", IDENTITY_SEQUENCE, true);
    struct ledger_op ops[3];
    struct ledger_op *list[3] = {&ops[0], &ops[1], &ops[2]};
    struct name_cache *names = name_cache_new();
    struct buf out = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        ops[i] = op_of(scope, i < 2 ? &owner : &other, SLICE_LIT("k"));
    batch_build(&out, names, list, 3, false);
    /* EVALSHA, the script, the count; a fence and three times three keys; header, scope, two
     * owners, three items with their fields. */
    assert_memory_equal(out.data, "*23\r\n$7\r\nEVALSHA\r\n$40\r\n", 22);
    assert_int_equal(count_of(&out, "og:{fence}:g"), 1);
    assert_int_equal(count_of(&out, "og:{0}:k:g:orders:=k"), 3);
    assert_int_equal(count_of(&out, "og:{0}:p:g:orders:=k"), 3);
    assert_int_equal(count_of(&out, "orders/2"), 1);
    assert_int_equal(count_of(&out, "\r\n$54\r\n"), 3);
    buf_deinit(&out);
    name_cache_free(&names);
    ledger_scope_free(&scope);
}

static void test_numbers_are_big_endian_and_read_as_written(void **state)
{
    uint8_t bytes[3 + 4 + 6 + 8];
    uint8_t *at = bytes;
    (void)state;
    at = wire_put3(at, 0xf10203);
    at = wire_put4(at, 0xf1020304);
    at = wire_put6(at, UINT64_C(0xf10203040506));
    at = wire_put8(at, UINT64_C(0xf102030405060708));
    assert_ptr_equal(at, bytes + sizeof(bytes));
    assert_memory_equal(bytes,
                        "\xf1\2\3"
                        "\xf1\2\3\4"
                        "\xf1\2\3\4\5\6"
                        "\xf1\2\3\4\5\6\7\x08",
                        sizeof(bytes));
    assert_int_equal(wire_get3(bytes), 0xf10203);
    assert_int_equal(wire_get4(bytes + 3), 0xf1020304);
    assert_true(wire_get6(bytes + 7) == UINT64_C(0xf10203040506));
    assert_true(wire_get8(bytes + 13) == UINT64_C(0xf102030405060708));
}

/* They are looked for by where they stand; that is not what they are. */
static void test_name_cache_hash_is_of_what_stands_there_now(void **state)
{
    enum { NAMES = 5000 };
    static char texts[NAMES][16];
    char moving[16];
    uint8_t first[8];
    struct name_cache *names = name_cache_new();
    (void)state;
    for (int i = 0; i < NAMES; i++) {
        size_t len = (size_t)snprintf(texts[i], sizeof(texts[i]), "orders/%d", i);
        memcpy(moving, texts[i], sizeof(moving));
        memcpy(first, name_cache_hash(names, texts[i], len), sizeof(first));
        assert_memory_equal(name_cache_hash(names, moving, len), first, sizeof(first));
        if (i > 0)
            assert_memory_not_equal(name_cache_hash(names, texts[i - 1], strlen(texts[i - 1])),
                                    first, sizeof(first));
    }
    assert_memory_equal(name_cache_hash(names, "orders/4999", 11), first, sizeof(first));
    /* The first bytes of SHA-256, as other programs take them. */
    assert_memory_equal(name_cache_hash(names, "abc", 3), "\xba\x78\x16\xbf\x8f\x01\xcf\xea", 8);
    name_cache_free(&names);
}

static void test_name_cache_tells_a_name_from_its_beginning(void **state)
{
    static const char name[] = "orders";
    struct name_cache *names = name_cache_new();
    uint8_t whole[8], beginning[8];
    (void)state;
    memcpy(whole, name_cache_hash(names, name, 6), sizeof(whole));
    memcpy(beginning, name_cache_hash(names, name, 5), sizeof(beginning));
    assert_memory_not_equal(beginning, whole, sizeof(whole));
    assert_memory_equal(name_cache_hash(names, name, 6), whole, sizeof(whole));
    assert_memory_equal(name_cache_hash(names, "order", 5), beginning, sizeof(beginning));
    name_cache_free(&names);
}

/* Where a hash stands tells whether it was made anew: that is always the first place of a set. */
static void test_name_cache_keeps_two_names_of_a_set(void **state)
{
    enum { NAMES = 20000 };
    static char texts[NAMES][8];
    struct name_cache *names = name_cache_new();
    int other = 0;
    (void)state;
    for (int i = 0; i < NAMES; i++)
        snprintf(texts[i], sizeof(texts[i]), "%05d", i);
    const uint8_t *first = name_cache_hash(names, texts[0], 5), *now;
    do {
        assert_true(++other < NAMES);
        now = name_cache_hash(names, texts[other], 5);
    } while (now != first);
    now = name_cache_hash(names, texts[0], 5);
    assert_ptr_not_equal(now, first);
    assert_ptr_equal(name_cache_hash(names, texts[other], 5), first);
    assert_ptr_equal(name_cache_hash(names, texts[0], 5), now);
    name_cache_free(&names);
}

/* "A = 1," in a table, or "local A, B = 0, 1" gives the number of B; -1 where the name is not
 * there. */
static int number_of(const char *lua, const char *name)
{
    char entry[40];
    int value = -1;
    snprintf(entry, sizeof(entry), "\n    %s = ", name);
    const char *in_table = strstr(lua, entry);
    if (in_table)
        return sscanf(in_table + strlen(entry), "%d", &value) == 1 ? value : -1;
    for (const char *line = lua; (line = strstr(line, "local ")) != NULL; line++) {
        char names[200], numbers[100];
        if (sscanf(line, "local %199[A-Z_, ]= %99[0-9, ]", names, numbers) != 2)
            continue;
        char *name_rest = NULL, *number_rest = NULL;
        char *n = strtok_r(names, ", ", &name_rest), *v = strtok_r(numbers, ", ", &number_rest);
        for (; n && v;
             n = strtok_r(NULL, ", ", &name_rest), v = strtok_r(NULL, ", ", &number_rest)) {
            if (strcmp(n, name) == 0 && sscanf(v, "%d", &value) == 1)
                return value;
        }
    }
    return -1;
}

static const char *script(const char *name)
{
    for (size_t i = 0; i < ledger_script_source_count; i++) {
        if (strcmp(ledger_script_sources[i].name, name) == 0)
            return ledger_script_sources[i].text;
    }
    fail_msg("no script %s", name);
    return NULL;
}

static void test_codes_of_the_scripts_are_those_of_the_enum(void **state)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {
        {"GO", LEDGER_GO},
        {"DUP", LEDGER_DUP},
        {"DUP_PARKED", LEDGER_DUP_PARKED},
        {"INDETERMINATE", LEDGER_INDETERMINATE},
        {"STALE", LEDGER_STALE},
        {"BLOCKED", LEDGER_BLOCKED},
        {"NOT_HEAD", LEDGER_NOT_HEAD},
        {"BUSY", LEDGER_BUSY},
        {"SUPERSEDED", LEDGER_SUPERSEDED},
        {"PARK_FULL", LEDGER_PARK_FULL},
        {"FENCED", LEDGER_FENCED},
        {"OUTDATED", LEDGER_OUTDATED},
        {"MOVED_ON", LEDGER_MOVED_ON},
        {"CORRUPT", LEDGER_CORRUPT},
        {"OK", LEDGER_OK},
        {"LOST", LEDGER_LOST},
        {"DONE", LEDGER_DONE},
        {"REFUSED", LEDGER_REFUSED},
        {"SOURCE", LEDGER_SOURCE},
        {"TIER", LEDGER_TIER},
        {"REDRIVE", LEDGER_REDRIVE},
        {"SEQUENCE", IDENTITY_SEQUENCE},
        {"VERSION", IDENTITY_VERSION},
        {"EVENT_ID", IDENTITY_EVENT_ID},
        {"OFFSET", IDENTITY_OFFSET},
        {"NONE", IDENTITY_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (number_of(script("apply_ops"), codes[i].name) != codes[i].code)
            fail_msg("%s is another number in lua", codes[i].name);
    }
    assert_string_equal(ledger_code_name(LEDGER_PARK_FULL), "parked-full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_of_keys_short_long_empty_null),
        cmocka_unit_test(test_name_across_topics_keeps_partitions_of_topics_apart),
        cmocka_unit_test(test_answers_with_and_without_extras_are_read),
        cmocka_unit_test(test_answers_that_do_not_fit_are_refused),
        cmocka_unit_test(test_build_names_what_operations_share_once),
        cmocka_unit_test(test_numbers_are_big_endian_and_read_as_written),
        cmocka_unit_test(test_name_cache_hash_is_of_what_stands_there_now),
        cmocka_unit_test(test_name_cache_tells_a_name_from_its_beginning),
        cmocka_unit_test(test_name_cache_keeps_two_names_of_a_set),
        cmocka_unit_test(test_codes_of_the_scripts_are_those_of_the_enum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
