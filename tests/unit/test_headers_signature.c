#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "record/headers.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void signature_of(const char *detail, char out[HEADERS_SIGNATURE_MAX])
{
    headers_signature(SLICE_LIT("orders"), SLICE_LIT("http-500"), slice_of(detail), out);
}

static bool same(const char *a, const char *b)
{
    char sa[HEADERS_SIGNATURE_MAX];
    char sb[HEADERS_SIGNATURE_MAX];
    signature_of(a, sa);
    signature_of(b, sb);
    return strcmp(sa, sb) == 0;
}

/* Two messages of the same failure for two records, as programs in several languages write them. */
static const char *const same_pairs[][2] = {
    /* numbers */
    {"order 17 not found", "order 4711 not found"},
    {"expected -1, got 3.14", "expected 99, got 1e-07"},
    {"ids [1, 2, 3] rejected", "ids [44, 5] rejected"},
    {"total 1,234.50 EUR over limit", "total 9.99 EUR over limit"},
    {"user12345 is locked", "user7 is locked"},
    {"dial tcp 10.0.0.1:5432: connect: connection refused",
     "dial tcp 192.168.17.254:6543: connect: connection refused"},
    /* ids */
    {"order 550e8400-e29b-41d4-a716-446655440000 gone",
     "order 6BA7B810-9DAD-11D1-80B4-00C04FD430C8 gone"},
    {"trace 4bf92f3577b34da6 failed", "trace 00f067aa0ba902b7 failed"},
    {"commit deadbeef1 unknown", "commit 1234567890abcdef unknown"},
    {"object <Order at 0x7f3a2c> leaked", "object <Order at 0x55d0e1a2b3c4> leaked"},
    {"event 01ARZ3NDEKTSV4RRFFQ69G5FAV refused", "event 01BX5ZZKBKACTAV9WEVGEMMVS0 refused"},
    /* quotes */
    {"no such field \"colour\"", "no such field \"size \\\"XL\\\"\""},
    {"KeyError: 'sku-1'", "KeyError: 'it's odd'"},
    {"relation `orders` missing", "relation `customers` missing"},
    {"unknown customer \u201cM\u00fcller\u201d", "unknown customer \u201cSmith & Co\u201d"},
    {"Kunde \u201eM\u00fcller\u201c unbekannt", "Kunde \u201eAcme\u201c unbekannt"},
    {"le client \u00ab Durand \u00bb est inconnu", "le client \u00ab L\u00e9vy \u00bb est inconnu"},
    {"\u9867\u5ba2\u300c\u7530\u4e2d\u300d\u304c\u898b\u3064\u304b\u308a\u307e\u305b\u3093",
     "\u9867\u5ba2\u300c\u9234\u6728\u300d\u304c\u898b\u3064\u304b\u308a\u307e\u305b\u3093"},
    /* times */
    {"token expired at 2026-01-02T03:04:05.678Z", "token expired at 2025-12-31T23:59:59+01:00"},
    {"due 2026-01-02 03:04:05,678 passed", "due 2026-01-02 passed"},
    {"window 09:30:00 closed", "window 17:05:59 closed"},
    /* Java */
    {"java.lang.IllegalStateException: Order 17 is CLOSED\n\tat c.a.Order.close(Order.java:42)",
     "java.lang.IllegalStateException: Order 18 is CLOSED\n    at c.a.Order.close(Order.java:57)"},
    {"ERROR: duplicate key value violates unique constraint \"orders_pkey\"\n  Detail: Key "
     "(id)=(42) already exists.",
     "ERROR: duplicate key value violates unique constraint \"orders_pkey\" Detail: Key (id)=(7) "
     "already exists."},
    /* Python */
    {"Traceback (most recent call last):\n  File \"/app/main.py\", line 17, in handle\nKeyError: "
     "'sku'",
     "Traceback (most recent call last):\n  File \"/srv/main.py\", line 99, in handle\nKeyError: "
     "'qty'"},
    /* Go */
    {"strconv.ParseInt: parsing \"12a\": invalid syntax",
     "strconv.ParseInt: parsing \"x\": invalid syntax"},
    {"context deadline exceeded (Client.Timeout exceeded while awaiting headers) after 15.002s",
     "context deadline exceeded (Client.Timeout exceeded while awaiting headers) after 15.119s"},
    /* Node */
    {"connect ECONNREFUSED 127.0.0.1:6379", "connect ECONNREFUSED 10.1.2.3:6380"},
    {"Unexpected token } in JSON at position 17", "Unexpected token } in JSON at position 2048"},
    /* Rust, C++ */
    {"thread 'worker-3' panicked at src/main.rs:17:5: index out of bounds: the len is 3 but the "
     "index is 7",
     "thread 'worker-11' panicked at src/main.rs:17:5: index out of bounds: the len is 0 but the "
     "index is 12"},
    /* other languages */
    {"El pedido 17 no existe", "El pedido 99 no existe"},
    {"\u0417\u0430\u043a\u0430\u0437 17 \u043d\u0435 \u043d\u0430\u0439\u0434\u0435\u043d",
     "\u0417\u0430\u043a\u0430\u0437 4711 \u043d\u0435 \u043d\u0430\u0439\u0434\u0435\u043d"},
    {"\u8ba2\u535517\u4e0d\u5b58\u5728", "\u8ba2\u53554711\u4e0d\u5b58\u5728"},
    {"montant 1\u202f234,50 trop grand", "montant 12\u202f345\u202f678,90 trop grand"},
};

static void test_headers_signature_of_the_same_failure_is_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(same_pairs); i++) {
        if (!same(same_pairs[i][0], same_pairs[i][1]))
            fail_msg("differ: %s | %s", same_pairs[i][0], same_pairs[i][1]);
    }
}

static const char *const different_pairs[][2] = {
    {"order not found", "customer not found"},
    {"order 17 not found", "order 17 not paid"},
    {"KeyError: 'sku'", "ValueError: 'sku'"},
    {"connect ECONNREFUSED 10.0.0.1:1", "connect ETIMEDOUT 10.0.0.1:1"},
    {"can't read the order, it isn't there", "can't read the customer, it isn't there"},
    {"l'ordre n'existe pas, d'accord", "l'article n'existe pas, d'accord"},
    {"an unclosed \"quote and words", "an unclosed \"quote and other words"},
    {"the buyers' orders and sellers' items", "the buyers' debts and sellers' items"},
    {"value is null", "value is NULL"},
    {"cafe closed", "facade closed"},
    {"", " x"},
    {"Kunde unbekannt", "Kunde gesperrt"},
    {"\u8ba2\u5355\u4e0d\u5b58\u5728", "\u5ba2\u6237\u4e0d\u5b58\u5728"},
};

static void test_headers_signature_of_different_failures_differs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(different_pairs); i++) {
        if (same(different_pairs[i][0], different_pairs[i][1]))
            fail_msg("same: %s | %s", different_pairs[i][0], different_pairs[i][1]);
    }
    /* And no two of the failures above share one. */
    for (size_t i = 0; i < COUNT_OF(same_pairs); i++) {
        for (size_t j = 0; j < i; j++) {
            if (same(same_pairs[i][0], same_pairs[j][0]))
                fail_msg("same: %s | %s", same_pairs[i][0], same_pairs[j][0]);
        }
    }
}

static void test_headers_signature_keeps_route_and_code_apart(void **state)
{
    (void)state;
    char all[4][HEADERS_SIGNATURE_MAX];
    headers_signature(SLICE_LIT("a"), SLICE_LIT("bc"), SLICE_LIT("d"), all[0]);
    headers_signature(SLICE_LIT("ab"), SLICE_LIT("c"), SLICE_LIT("d"), all[1]);
    headers_signature(SLICE_LIT("a"), SLICE_LIT("bcd"), SLICE_LIT(""), all[2]);
    headers_signature(SLICE_LIT("a"), SLICE_LIT("http-500"), SLICE_LIT("d"), all[3]);
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(all[i], all[j]);
    }
}

/* Dead letters of one release are grouped with those of the next: these values must never change.
 */
static void test_headers_signature_is_stable_between_releases(void **state)
{
    (void)state;
    char out[HEADERS_SIGNATURE_MAX];
    headers_signature(SLICE_NULL, SLICE_NULL, SLICE_NULL, out);
    assert_string_equal(out, "08328807b4eb6fed"); /* FNV-1a of two NUL bytes */
    signature_of("order 17 of 'x' at 2026-01-02T03:04:05Z: 550e8400-e29b-41d4-a716-446655440000",
                 out);
    assert_string_equal(out, "9ab7af353610d3e7");
}

static void test_headers_signature_of_hostile_text_ends_soon(void **state)
{
    (void)state;
    enum { LEN = 64 * 1024 };
    static const char *const units[] = {"'",  " '", "\"",       "`",      "0",   "0.",
                                        "a1", "-",  "\xe2\x80", "\u201e", "\\\""};
    char *text = mem_alloc(LEN); /* not terminated: a sanitizer sees what reads on */
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        size_t unit = strlen(units[i]);
        for (size_t at = 0; at < LEN; at++)
            text[at] = units[i][at % unit];
        char out[HEADERS_SIGNATURE_MAX];
        headers_signature(SLICE_NULL, SLICE_NULL, (struct slice){text, LEN}, out);
        assert_int_equal(strlen(out), 16);
    }
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_signature_of_the_same_failure_is_the_same),
        cmocka_unit_test(test_headers_signature_of_different_failures_differs),
        cmocka_unit_test(test_headers_signature_keeps_route_and_code_apart),
        cmocka_unit_test(test_headers_signature_is_stable_between_releases),
        cmocka_unit_test(test_headers_signature_of_hostile_text_ends_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
