/*
 * Error texts as people meet them, of the stacks of a dozen languages, databases and gateways:
 * pairs that are one failure and must be one group, and pairs that are two. A pair that is grouped
 * wrongly is the usual way in which a list of failures becomes useless.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "record/headers.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void signature_of(const char *detail, char out[HEADERS_SIGNATURE_MAX])
{
    headers_signature(SLICE_LIT("orders"), SLICE_LIT("http-500"), slice_of(detail), out);
}

static bool same(const char *a, const char *b)
{
    char sa[HEADERS_SIGNATURE_MAX], sb[HEADERS_SIGNATURE_MAX];
    signature_of(a, sa);
    signature_of(b, sb);
    return strcmp(sa, sb) == 0;
}

static const char *const one_group[][2] = {
    /* Java, Kotlin, Scala */
    {"java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, "
     "request "
     "timed out after 30003ms.",
     "java.sql.SQLTransientConnectionException: HikariPool-2 - Connection is not available, "
     "request "
     "timed out after 30.1s."},
    {"com.fasterxml.jackson.databind.exc.InvalidFormatException: Cannot deserialize value of type "
     "`java.time.Instant` from String \"yesterday\": at [Source: (byte[])\"{\"a\":1}\"; line: 1, "
     "column: 17]",
     "com.fasterxml.jackson.databind.exc.InvalidFormatException: Cannot deserialize value of type "
     "`java.time.Instant` from String \"soon\": at [Source: (byte[])\"{\"a\":1}\"; line: 2, "
     "column: "
     "93]"},
    {"java.lang.IllegalStateException: no stock for cus_NffrFeUfNV2Hib",
     "java.lang.IllegalStateException: no stock for cus_9s6XKzkNRiz8i3"},
    {"org.hibernate.StaleObjectStateException: Row was updated or deleted by another transaction : "
     "[com.acme.Order#550e8400-e29b-41d4-a716-446655440000]",
     "org.hibernate.StaleObjectStateException: Row was updated or deleted by another transaction : "
     "[com.acme.Order#6ba7b810-9dad-11d1-80b4-00c04fd430c8]"},
    {"lock held since Sat Nov 21 22:46:58 UTC 2026",
     "lock held since Mon Mar 02 01:02:03 CET 2026"},
    {"com.acme.Order@1b6d3586 is closed", "com.acme.Order@4554617c is closed"},
    /* Python */
    {"ValidationError: 1 validation error for Order\ncustomer_email\n  value is not a valid email "
     "address: bob@example.com",
     "ValidationError: 1 validation error for Order\ncustomer_email\n  value is not a valid email "
     "address: alice.b+x@mail.example.org"},
    {"ConnectionError: HTTPSConnectionPool(host='a.example', port=443): Max retries exceeded with "
     "url: "
     "/v1/orders?customer=bob&page=2",
     "ConnectionError: HTTPSConnectionPool(host='a.example', port=443): Max retries exceeded with "
     "url: "
     "/v1/orders?customer=eve"},
    {"ValueError: must be one of ['red', 'green']", "ValueError: must be one of ['red']"},
    {"{'error': 'out_of_stock', 'sku': 'A-17'}", "{'error': 'out_of_stock', 'sku': 'B-4711'}"},
    {"<Task pending coro=<handle() at /app/main.py:17>> took 1.234 seconds",
     "<Task pending coro=<handle() at /app/main.py:93>> took 12 seconds"},
    {"failed after 1 attempt", "failed after 3 attempts"},
    /* Go */
    {"rpc error: code = DeadlineExceeded desc = context deadline exceeded after 1m30.5s",
     "rpc error: code = DeadlineExceeded desc = context deadline exceeded after 950ms"},
    {"dial tcp [fe80::1ff:fe23:4567:890a]:443: i/o timeout",
     "dial tcp [2001:db8::17]:443: i/o timeout"},
    {"open /var/spool/orders/7f3a9c.json: no such file or directory",
     "open /var/spool/orders/c01d2e.json: no such file or directory"},
    {"lookup orders-7d9f8b6c5-x2x9k on 10.96.0.10:53: no such host",
     "lookup orders-5f6c7d8b94-hvxzq on 10.96.0.10:53: no such host"},
    {"goroutine 17 [running]: panic at 0xc000012345",
     "goroutine 4711 [running]: panic at 0xc0ffee"},
    {"2026/11/21 22:46:58 order 17 refused", "2025/01/02 03:04:05 order 4711 refused"},
    /* JavaScript */
    {"Request failed with status code 404", "Request failed with status code 404"},
    {"{ error: 'card_declined', id: 17, at: '2026-01-02' }",
     "{ error: 'card_declined', id: 4711, at: '2026-11-21' }"},
    {"TypeError: Cannot read properties of undefined (reading 'total') at /app/orders.js:17:5",
     "TypeError: Cannot read properties of undefined (reading 'total') at /app/orders.js:21:12"},
    {"MongoServerError: E11000 duplicate key error collection: shop.orders index: _id_ dup key: { "
     "_id: "
     "ObjectId('507f1f77bcf86cd799439011') }",
     "MongoServerError: E11000 duplicate key error collection: shop.orders index: _id_ dup key: { "
     "_id: "
     "ObjectId('507f191e810c19729de860ea') }"},
    {"PayloadTooLargeError: request entity too large: 12.4 MB",
     "PayloadTooLargeError: request entity too large: 1.1GB"},
    {"jwt expired at Sat, 21 Nov 2026 22:46:58 GMT", "jwt expired at Tue, 3 Mar 2026 01:02:03 GMT"},
    /* C#, F# */
    {"System.FormatException: The string '17.x' was not recognized as a valid DateTime.",
     "System.FormatException: The string 'soon' was not recognized as a valid DateTime."},
    {"Order 17 was placed on 11/21/2026 10:46:58 PM", "Order 18 was placed on 3/2/2026 1:02:03 AM"},
    {"SqlException: Violation of PRIMARY KEY constraint 'PK_Orders'. The duplicate key value is "
     "(17).",
     "SqlException: Violation of PRIMARY KEY constraint 'PK_Orders'. The duplicate key value is "
     "(4711)."},
    {"Operation 00000017-0001-fe00-b63f-84710c7967bb was cancelled",
     "Operation 0000004a-0003-ae11-b63f-84710c7967bb was cancelled"},
    /* Rust, C, C++ */
    {"called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound, message: \"No "
     "such "
     "file\" } at src/main.rs:17:5",
     "called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound, message: \"No "
     "such "
     "file\" } at src/main.rs:94:9"},
    {"Order { id: 17, total: 3.5 } is stale", "Order { id: 4711, total: 1e3 } is stale"},
    {"error: use of undeclared identifier 'totl'", "error: use of undeclared identifier 'totall'"},
    {"segfault at 7f3a2c001000 ip 00007f3a2c0010a8",
     "segfault at 55d0e1a2b3c4 ip 000055d0e1a2b3d0"},
    /* PHP, Ruby, Perl, Elixir */
    {"PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 "
     "bytes)",
     "PHP Fatal error:  Allowed memory size of 268435456 bytes exhausted (tried to allocate 8192 "
     "bytes)"},
    {"undefined method `total' for nil:NilClass (NoMethodError) in `create'",
     "undefined method `totals' for nil:NilClass (NoMethodError) in `update'"},
    {"Couldn't find Order with 'id'=17", "Couldn't find Order with 'id'=4711"},
    {"#<Order:0x00007f8b1a0a2b40> is frozen", "#<Order:0x000055d0e1a2b3c4> is frozen"},
    {"** (MatchError) no match of right hand side value: {:error, 17}",
     "** (MatchError) no match of right hand side value: {:error, 4711}"},
    /* databases */
    {"ERROR: duplicate key value violates unique constraint \"users_email\" DETAIL: Key "
     "(email)=(bob@example.com) already exists.",
     "ERROR: duplicate key value violates unique constraint \"users_email\" DETAIL: Key "
     "(email)=(not an address) already exists."},
    {"Duplicate entry 'bob' for key 'users.name'",
     "Duplicate entry 'eve (2)' for key 'users.name'"},
    {"ORA-00001: unique constraint (APP.ORDERS_PK) violated on row 17",
     "ORA-00001: unique constraint (APP.ORDERS_PK) violated on row 4711"},
    {"deadlock detected: Process 17 waits for ShareLock on transaction 4711; blocked by process "
     "93.",
     "deadlock detected: Process 21 waits for ShareLock on transaction 5; blocked by process 1."},
    {"WRONGTYPE key user:17:cart", "WRONGTYPE key user:4711:cart"},
    /* gateways and services */
    {"upstream connect error or disconnect/reset before headers. reset reason: connection timeout, "
     "transport failure reason: delayed connect error: 111",
     "upstream connect error or disconnect/reset before headers. reset reason: connection timeout, "
     "transport failure reason: delayed connect error: 113"},
    {"<html><head><title>502 Bad Gateway</title></head><center>nginx/1.18.0</center></html>",
     "<html><head><title>502 Bad Gateway</title></head><center>nginx/1.22.1</center></html>"},
    {"{\"error\":{\"code\":\"card_declined\",\"message\":\"card 4242 was "
     "declined\",\"request_id\":\"req_"
     "abc\"}}",
     "{\"error\":{\"code\":\"card_declined\",\"message\":\"card 1111 was "
     "declined\",\"request_id\":\"req_"
     "xyz\"}}"},
    {"{\"type\":\"about:blank\",\"status\":422,\"invalid\":[\"a\",\"b\",\"c\"],\"trace\":\"17-"
     "ab\"}",
     "{\"type\":\"about:blank\",\"status\":422,\"invalid\":[\"q\"],\"trace\":\"93-cd\"}"},
    {"{\"message\":\"rate limit\",\"ids\":[1,2,3],\"retry\":17,\"cut off here: \\\"who kn",
     "{\"message\":\"rate limit\",\"ids\":[9],\"retry\":4,\"cut off here: \\\"who knows w"},
    {"GET https://api.example/v1/orders/17?token=s3cr3t&x=1 timed out",
     "GET https://api.example/v1/orders/4711?token=other timed out"},
    {"127.0.0.1 - - [21/Nov/2026:22:46:58 +0000] \"GET /\" refused",
     "10.1.2.3 - - [02/Mar/2025:01:02:03 +0100] \"GET /\" refused"},
    {"certificate of 00:1b:44:11:3a:b7 expired", "certificate of a0:2c:99:0d:ff:10 expired"},
    {"this is the 1st refusal", "this is the 22nd refusal"},
    /* other people's languages */
    {"Bestellung 17 vom 3. M\u00e4rz abgelehnt: Kunde \u201eM\u00fcller\u201c gesperrt",
     "Bestellung 4711 vom 21. M\u00e4rz abgelehnt: Kunde \u201eAcme\u201c gesperrt"},
    {"commande n\u00b0 17 refus\u00e9e : solde 1\u00a0234,50 \u20ac",
     "commande n\u00b0 99 refus\u00e9e : "
     "solde 3,00 \u20ac"},
    {"\u8ba2\u5355\uff11\uff17\u4e0d\u5b58\u5728",
     "\u8ba2\u5355\uff14\uff17\uff11\uff11\u4e0d\u5b58\u5728"},
    {"\u0627\u0644\u0637\u0644\u0628 \u0661\u0667 \u0645\u0631\u0641\u0648\u0636",
     "\u0627\u0644\u0637\u0644\u0628 \u0664 \u0645\u0631\u0641\u0648\u0636"},
    {"\u6ce8\u6587\u300c17\u300d\u306f\u5728\u5eab\u5207\u308c",
     "\u6ce8\u6587\u300cA-4\u300d\u306f\u5728\u5eab\u5207\u308c"},
    {"pedido 17 rechazado: el cliente bob@example.com no existe",
     "pedido 4711 rechazado: el cliente eve@example.es no existe"},
};

static void test_signature_of_one_failure_is_one_group(void **state)
{
    (void)state;
    assert_true(COUNT_OF(one_group) >= 50);
    for (size_t i = 0; i < COUNT_OF(one_group); i++) {
        char a[HEADERS_TITLE_MAX], b[HEADERS_TITLE_MAX];
        if (same(one_group[i][0], one_group[i][1]))
            continue;
        headers_signature_title(SLICE_NULL, slice_of(one_group[i][0]), a);
        headers_signature_title(SLICE_NULL, slice_of(one_group[i][1]), b);
        fail_msg("two groups: %s | %s", a, b);
    }
    /* And no two of them are one. */
    for (size_t i = 0; i < COUNT_OF(one_group); i++) {
        for (size_t j = 0; j < i; j++) {
            if (same(one_group[i][0], one_group[j][0]))
                fail_msg("one group: %s | %s", one_group[i][0], one_group[j][0]);
        }
    }
}

static const char *const two_groups[][2] = {
    {"Request failed with status code 404", "Request failed with status code 500"},
    {"upstream said HTTP/1.1 502", "upstream said HTTP/1.1 503"},
    {"statusCode: 404", "statusCode: 409"},
    {"statusCode:404", "statusCode:409"},
    {"command terminated with exit code 137", "command terminated with exit code 1"},
    {"mysql: error code 1062", "mysql: error code 1213"},
    {"{\"error\":\"card_declined\"}", "{\"error\":\"insufficient_funds\"}"},
    {"{\"error\": {\"code\": 40012, \"id\": 1}}", "{\"error\": {\"code\": 40013, \"id\": 1}}"},
    {"{\"id\":17,\"reason\":\"expired\"}", "{\"id\":17,\"reason\":\"revoked\"}"},
    {"{\"order\":17}", "{\"customer\":17}"},
    {"{\"errors\":[\"name is missing\"]}", "{\"errors\":[\"total is missing\"]}"},
    {"upstream said {\"status\":422,\"detail\":\"no stock\"}, gave up",
     "upstream said {\"status\":422,\"detail\":\"no such article\"}, gave up"},
    {"{'error': 'out_of_stock', 'sku': 'A-17'}", "{'error': 'no_such_sku', 'sku': 'A-17'}"},
    {"{ error: 'card_declined', id: 17 }", "{ error: 'card_expired', id: 17 }"},
    {"{\"error\"=>\"card_declined\"}", "{\"error\"=>\"card_expired\"}"},
    {"Os { code: 2, kind: NotFound }", "Os { code: 13, kind: PermissionDenied }"},
    {"POST /v1/charges failed", "POST /v1/refunds failed"},
    {"OrderV2Handler failed", "OrderV2Listener failed"},
    {"getIPv4Addr failed", "getIPv4Name failed"},
    {"java.net.SocketTimeoutException: Read timed out",
     "java.net.SocketTimeoutException: Connect timed out"},
    {"rpc error: code = Unavailable desc = x", "rpc error: code = Internal desc = x"},
    {"ORA-00001: unique constraint violated", "ORA-01400: cannot insert NULL"},
    {"Key (email)=(bob) already exists.", "Key (name)=(bob) already exists."},
    {"std::bad_alloc", "std::bad_cast"},
    {"due in May or later", "due in June or later"},
    {"mail to bob@example.com bounced", "mail to bob@example.com was refused"},
    {"undefined method `total' for nil", "undefined method `total' for Order"},
    {"in `a' the b' c", "in `a' the d' c"},
    {"Bestellung 17 abgelehnt", "Bestellung 17 storniert"},
    {"\u8ba2\u5355\uff11\uff17\u4e0d\u5b58\u5728", "\u8ba2\u5355\uff11\uff17\u5df2\u53d6\u6d88"},
    {"redirected to https://a.example/x?y=1", "redirected to https://b.example/x?y=1"},
};

static void test_signature_of_two_failures_is_two_groups(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(two_groups); i++) {
        char title[HEADERS_TITLE_MAX];
        if (!same(two_groups[i][0], two_groups[i][1]))
            continue;
        headers_signature_title(SLICE_NULL, slice_of(two_groups[i][0]), title);
        fail_msg("one group: %s | %s: %s", two_groups[i][0], two_groups[i][1], title);
    }
}

/* What earlier releases wrote is grouped with what this one writes, wherever they were right. */
static void test_signature_of_earlier_releases_still_holds(void **state)
{
    static const char *const written[][2] = {
        {"order 17 not found", "e1aaf636a2532106"},
        {"expected -1, got 3.14", "77693f3ab6412822"},
        {"ids [1, 2, 3] rejected", "87b1f0cbfaa47429"},
        {"user12345 is locked", "96c1080c45d66154"},
        {"dial tcp 10.0.0.1:5432: connect: connection refused", "7c14080f172d9c94"},
        {"order 550e8400-e29b-41d4-a716-446655440000 gone", "9528cd2e031114a2"},
        {"trace 4bf92f3577b34da6 failed", "5da8fdc464e692eb"},
        {"object <Order at 0x7f3a2c> leaked", "01e8cb640c4c8fe9"},
        {"event 01ARZ3NDEKTSV4RRFFQ69G5FAV refused", "8b74d74ca1a9ac53"},
        {"no such field \"colour\"", "105de462bf1c3610"},
        {"KeyError: 'sku-1'", "6313bcb339b10615"},
        {"relation `orders` missing", "4cd2fddb91304cfa"},
        {"Kunde \u201eM\u00fcller\u201c unbekannt", "6ad80e0591bc4621"},
        {"token expired at 2026-01-02T03:04:05.678Z", "2287b43ea89d26ba"},
        {"window 09:30:00 closed", "a101ddbbefb11bbd"},
        {"java.lang.IllegalStateException: Order 17 is CLOSED\n\tat c.a.Order.close(Order.java:42)",
         "a8811ec418901228"},
        {"context deadline exceeded (Client.Timeout exceeded while awaiting headers) after 15.002s",
         "6ff724d2048ed18b"},
        {"Unexpected token } in JSON at position 17", "8ebe6bd4b6ee7c61"},
        {"thread 'worker-3' panicked at src/main.rs:17:5: index out of bounds: the len is 3 but "
         "the index is 7",
         "ab87978a20b45b44"},
        {"can't read the order, it isn't there", "e8e5a30a10e03358"},
        {"ERROR: duplicate key value violates unique constraint \"orders_pkey\"\n  Detail: Key "
         "(id)=(42) already exists.",
         "ab5552a1d677b567"},
        {"\u8ba2\u535517\u4e0d\u5b58\u5728", "0a0834901ebf4ebe"},
        {"montant 1\u202f234,50 trop grand", "8953b28852a7bf97"},
        {"Order { id: 17 } is stale", "ae24008f4ae919ed"},
        {"POST /v1/orders/17 failed", "47b70040f0cf5b71"},
        {"std::bad_alloc", "8ababac976025304"},
        {"12% of 17 rows, 4th page", "ee16fe15c0c46c93"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(written); i++) {
        char out[HEADERS_SIGNATURE_MAX];
        signature_of(written[i][0], out);
        if (strcmp(out, written[i][1]) != 0)
            fail_msg("%s is not %s: %s", out, written[i][1], written[i][0]);
    }
}

static void test_signature_title_reads_well(void **state)
{
    static const char *const titles[][3] = {
        {"http-422", "card 17 of customer cus_NffrFeUfNV2Hib was declined",
         "http-422: card <n> of customer cus_<id> was declined"},
        {"http-422", "card 4242 of customer 550e8400-e29b-41d4-a716-446655440000 was declined",
         "http-422: card <n> of customer <id> was declined"},
        {"timeout", "", "timeout"},
        {"http-500", "no such field \"colour\"\n\tat line 17",
         "http-500: no such field \"\u2026\" at line <n>"},
        {"", "expired at 2026-01-02T03:04:05Z for bob@example.com after 17.5ms",
         "expired at <time> for <email> after <n>s"},
        {"e", "{\"error\":\"no stock\",\"id\":\"x\",\"n\":17}",
         "e: {\"error\":\"no stock\",\"id\":\"\u2026\",\"n\":<n>}"},
        {"e", "bad \x1b[31mred\x7f \xff \xc2\x9b", "e: bad ?[<n>mred? ? ??"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(titles); i++) {
        char out[HEADERS_TITLE_MAX];
        headers_signature_title(slice_of(titles[i][0]), slice_of(titles[i][1]), out);
        assert_string_equal(out, titles[i][2]);
    }
}

static void test_signature_title_is_cut_between_characters(void **state)
{
    char text[2000], out[HEADERS_TITLE_MAX];
    (void)state;
    for (size_t pad = 0; pad < 8; pad++) {
        size_t len = pad;
        memset(text, 'x', pad);
        while (len + 3 < sizeof(text)) {
            memcpy(text + len, "\u8ba2", 3);
            len += 3;
        }
        headers_signature_title(SLICE_LIT("code"), (struct slice){text, len}, out);
        assert_true(strlen(out) < HEADERS_TITLE_MAX && strlen(out) > HEADERS_TITLE_MAX - 8);
        assert_true(str_is_utf8(slice_of(out)));
        assert_string_equal(out + strlen(out) - 3, "\u2026");
    }
}

static void test_signature_of_hostile_text_ends_soon(void **state)
{
    enum { LEN = 64 * 1024 };
    static const char *const units[] = {"1h",
                                        "a1:",
                                        "a@",
                                        "x.",
                                        "`",
                                        "` ",
                                        "``'",
                                        "{\"",
                                        "{a:",
                                        "{'a':",
                                        "[",
                                        "{\"a\":[",
                                        "{\"error\":\"{'error':'",
                                        "\\",
                                        "?a=",
                                        ")=(",
                                        "Nov 1 ",
                                        "1 Nov ",
                                        "1 error ",
                                        "-7d9f8b6c5-x",
                                        "::",
                                        "status ",
                                        "code 1",
                                        "\xef\xbc\x91",
                                        "aB1",
                                        "['a',",
                                        "HTTP/1 "};
    char *text = mem_alloc(LEN); /* not terminated: a sanitizer sees what reads on */
    (void)state;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        size_t unit = strlen(units[i]);
        char out[HEADERS_SIGNATURE_MAX], title[HEADERS_TITLE_MAX];
        for (size_t at = 0; at < LEN; at++)
            text[at] = units[i][at % unit];
        headers_signature(SLICE_NULL, SLICE_NULL, (struct slice){text, LEN}, out);
        headers_signature_title(SLICE_NULL, (struct slice){text, LEN}, title);
        assert_int_equal(strlen(out), 16);
        assert_true(str_is_utf8(slice_of(title)));
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature_of_one_failure_is_one_group),
        cmocka_unit_test(test_signature_of_two_failures_is_two_groups),
        cmocka_unit_test(test_signature_of_earlier_releases_still_holds),
        cmocka_unit_test(test_signature_title_reads_well),
        cmocka_unit_test(test_signature_title_is_cut_between_characters),
        cmocka_unit_test(test_signature_of_hostile_text_ends_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
