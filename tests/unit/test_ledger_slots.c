/* Slot arithmetic against known values, and answers of a cluster as hiredis hands them over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "ledger/slots.h"

static void test_crc16_known_values(void **state)
{
    (void)state;
    assert_int_equal(slots_crc16(SLICE_LIT("123456789")), 0x31c3); /* the specification's */
    assert_int_equal(slots_crc16(SLICE_LIT("")), 0);
    assert_int_equal(slots_crc16(SLICE_LIT("a")), 0x7c87);
    assert_int_equal(slots_crc16(SLICE_LIT("\xff\xff")), 0x1d0f);
}

/* As CLUSTER KEYSLOT of a server says. */
static void test_slot_is_that_of_the_hash_tag(void **state)
{
    (void)state;
    assert_int_equal(slots_of_key(SLICE_LIT("foo")), 12182);
    assert_int_equal(slots_of_key(SLICE_LIT("og:{foo}:k:g:orders:=x")), 12182);
    assert_int_equal(slots_of_key(SLICE_LIT("foo{}{bar}")),
                     slots_crc16(SLICE_LIT("foo{}{bar}")) % 16384);
    assert_int_equal(slots_of_key(SLICE_LIT("foo{{bar}}zap")), slots_of_key(SLICE_LIT("{bar")));
    assert_int_equal(slots_of_key(SLICE_LIT("foo{bar}{zap}")), slots_of_key(SLICE_LIT("bar")));
    assert_int_equal(slots_of_key(SLICE_LIT("{")), slots_crc16(SLICE_LIT("{")) % 16384);
    assert_int_equal(slots_of_key(SLICE_LIT("a{b")), slots_crc16(SLICE_LIT("a{b")) % 16384);
    assert_int_equal(slots_of_key(SLICE_LIT("")), 0);
}

static redisReply *reply_of(const char *text)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_int_equal(redisReaderFeed(reader, text, strlen(text)), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    redisReaderFree(reader);
    assert_non_null(reply);
    return reply;
}

static bool reads(const char *text, struct slots_map *map)
{
    redisReply *reply = reply_of(text);
    bool ok = slots_read(reply, "10.0.0.9", map);
    freeReplyObject(reply);
    return ok;
}

#define NODE(host, port) "*3\r\n" host ":" #port "\r\n$2\r\nid\r\n"
#define ID               "$2\r\nid\r\n"
#define HOST             "$8\r\n10.0.0.1\r\n"
#define OTHER            "$8\r\n10.0.0.2\r\n"

static void test_slots_are_read(void **state)
{
    struct slots_map *map = mem_zalloc(sizeof(*map));
    (void)state;
    /* Two ranges of one master, one of another with metadata; a replica; a node without a name. */
    assert_true(reads("*3\r\n"
                      "*4\r\n:0\r\n:99\r\n" NODE(HOST, 7000) NODE(
                          OTHER, 7003) "*3\r\n:100\r\n:100\r\n*4\r\n$-1\r\n:7001\r\n" ID "*0\r\n"
                                       "*3\r\n:16383\r\n:16383\r\n" NODE(HOST, 7000),
                      map));
    assert_int_equal(map->node_count, 3);
    assert_int_equal(map->master_of[0], 0);
    assert_int_equal(map->master_of[99], 0);
    assert_string_equal(map->nodes[0].host, "10.0.0.1");
    assert_int_equal(map->nodes[0].port, 7000);
    assert_string_equal(map->nodes[map->master_of[100]].host, "10.0.0.9");
    assert_int_equal(map->nodes[map->master_of[100]].port, 7001);
    assert_int_equal(map->master_of[101], SLOTS_NOBODY);
    assert_int_equal(map->master_of[16383], 0);
    assert_true(reads("*0\r\n", map));
    assert_int_equal(map->master_of[0], SLOTS_NOBODY);
    mem_free(map);
}

static void test_other_answers_are_refused(void **state)
{
    static const char *const bad[] = {
        "-ERR This instance has cluster support disabled\r\n",
        ":1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:5\r\n:4\r\n" NODE(HOST, 7000),
        "*1\r\n*3\r\n:-1\r\n:4\r\n" NODE(HOST, 7000),
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE(HOST, 7000),
        "*1\r\n*3\r\n:0\r\n:4\r\n" NODE(HOST, 0),
        "*1\r\n*3\r\n:0\r\n:4\r\n" NODE(HOST, 65536),
        "*1\r\n*3\r\n:0\r\n:4\r\n" NODE(":1\r\n", 7000),
        "*1\r\n*3\r\n:0\r\n:4\r\n*1\r\n" HOST,
        "*1\r\n*4\r\n:0\r\n:4\r\n" NODE(HOST, 7000) ":1\r\n",
    };
    struct slots_map *map = mem_zalloc(sizeof(*map));
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (reads(bad[i], map))
            fail_msg("%s was taken", bad[i]);
    }
    mem_free(map);
}

static void expect_moved(const char *error, unsigned slot, const char *host, unsigned port)
{
    struct redirect redirect;
    redirect_read(slice_of(error), &redirect);
    assert_int_equal(redirect.kind, REDIRECT_MOVED);
    assert_int_equal(redirect.slot, slot);
    assert_string_equal(redirect.node.host, host);
    assert_int_equal(redirect.node.port, port);
}

static void test_redirects_are_read(void **state)
{
    struct redirect redirect;
    (void)state;
    expect_moved("MOVED 3999 127.0.0.1:6381", 3999, "127.0.0.1", 6381);
    expect_moved("MOVED 0 ::1:6381", 0, "::1", 6381);
    expect_moved("MOVED 16383 :6381", 16383, "", 6381);
    expect_moved("MOVED 1 ?:6381", 1, "", 6381);
    expect_moved("MOVED 1 redis-1.example.com:1", 1, "redis-1.example.com", 1);
    redirect_read(SLICE_LIT("ASK 3999 127.0.0.1:6381"), &redirect);
    assert_int_equal(redirect.kind, REDIRECT_LATER);
    redirect_read(SLICE_LIT("TRYAGAIN Multiple keys request during rehashing of slot"), &redirect);
    assert_int_equal(redirect.kind, REDIRECT_LATER);
}

static void test_other_errors_are_no_redirects(void **state)
{
    static const char *const others[] = {"",
                                         "MOVED",
                                         "MOVED ",
                                         "MOVED 1",
                                         "MOVED 1 ",
                                         "MOVED 1 h",
                                         "MOVED 1 h:",
                                         "MOVED 1 h:0",
                                         "MOVED 1 h:65536",
                                         "MOVED x h:1",
                                         "MOVED -1 h:1",
                                         "MOVED 16384 h:1",
                                         "CLUSTERDOWN Hash slot not served",
                                         "ERR MOVED 1 h:1"};
    struct redirect redirect;
    char text[600];
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        redirect_read(slice_of(others[i]), &redirect);
        if (redirect.kind != REDIRECT_NONE)
            fail_msg("%s was taken", others[i]);
    }
    snprintf(text, sizeof(text), "MOVED 1 %0300d:1", 0);
    redirect_read(slice_of(text), &redirect);
    assert_int_equal(redirect.kind, REDIRECT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc16_known_values),
        cmocka_unit_test(test_slot_is_that_of_the_hash_tag),
        cmocka_unit_test(test_slots_are_read),
        cmocka_unit_test(test_other_answers_are_refused),
        cmocka_unit_test(test_redirects_are_read),
        cmocka_unit_test(test_other_errors_are_no_redirects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
