/* SipHash against the vectors of its authors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/siphash.h"

static void expect(size_t len, uint64_t low, uint64_t high)
{
    unsigned char key[16], data[64];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)i;
    memcpy(key, data, sizeof(key));
    struct siphash hash = siphash(key, data, len);
    assert_true(hash.low == low);
    assert_true(hash.high == high);
}

/* Key 00 01 .. 0f, messages 00, 00 01, ...: read as little-endian halves. */
static void test_authors_vectors(void **state)
{
    (void)state;
    expect(0, UINT64_C(0xe6a825ba047f81a3), UINT64_C(0x930255c71472f66d));
    expect(1, UINT64_C(0x44af996bd8c187da), UINT64_C(0x45fc229b11597634));
}

static void test_every_byte_and_the_length_count(void **state)
{
    unsigned char key[16] = {1}, data[40] = {0};
    struct siphash seen[41];
    (void)state;
    for (size_t len = 0; len <= sizeof(data); len++) {
        seen[len] = siphash(key, data, len);
        for (size_t i = 0; i < len; i++)
            assert_false(seen[i].low == seen[len].low && seen[i].high == seen[len].high);
    }
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = 1;
        struct siphash other = siphash(key, data, sizeof(data));
        assert_false(other.low == seen[40].low && other.high == seen[40].high);
        data[i] = 0;
    }
    key[15] = 1;
    struct siphash other = siphash(key, data, sizeof(data));
    assert_false(other.low == seen[40].low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authors_vectors),
        cmocka_unit_test(test_every_byte_and_the_length_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
