#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/alloc.h>

#include "ledger/blocks.h"

/* A block that is kept now, and the only one. */
static void *kept_block(size_t size)
{
    free(hi_malloc(1024)); /* what was kept is given out, and goes past hiredis */
    void *block = hi_malloc(size);
    memset(block, 'b', size);
    hi_free(block);
    return block;
}

static void test_blocks_large_one_is_given_out_again(void **state)
{
    (void)state;
    void *block = kept_block(4096), *other;
    void *again = hi_malloc(4000);
    assert_ptr_equal(again, block);
    other = hi_malloc(4000);
    assert_ptr_not_equal(other, block); /* there was one */
    hi_free(other);
    hi_free(again);
}

static void test_blocks_realloc_into_the_kept_one_keeps_the_bytes(void **state)
{
    (void)state;
    char *text = hi_malloc(16);
    memcpy(text, "fifteen letters", 16);
    void *block = kept_block(8192);
    text = hi_realloc(text, 8000);
    assert_ptr_equal(text, block);
    assert_string_equal(text, "fifteen letters");
    text = hi_realloc(text, 32 * 1024); /* nothing is kept: as ever */
    assert_string_equal(text, "fifteen letters");
    hi_free(text);
    text = hi_realloc(NULL, 20 * 1024);
    assert_non_null(text);
    hi_free(text);
}

static void test_blocks_larger_request_does_not_get_the_kept_one(void **state)
{
    (void)state;
    void *block = kept_block(2048);
    void *small = hi_malloc(16);
    assert_ptr_not_equal(small, block);
    hi_free(small);
    char *large = hi_malloc(128 * 1024);
    assert_true(malloc_usable_size(large) >= 128 * 1024);
    memset(large, 'l', 128 * 1024);
    assert_ptr_not_equal(large, block);
    hi_free(large);
}

static void test_blocks_smaller_one_does_not_replace_the_kept_one(void **state)
{
    (void)state;
    void *block = kept_block(8192);
    void *larger = hi_malloc(16 * 1024), *smaller = hi_malloc(6000);
    assert_ptr_equal(smaller, block);
    void *third = hi_malloc(2048);
    hi_free(larger);
    hi_free(third);
    assert_ptr_equal(hi_malloc(1024), larger);
    free(larger);
    hi_free(smaller);
}

static void test_blocks_free_of_nothing_does_nothing(void **state)
{
    (void)state;
    hi_free(NULL);
}

static void *on_thread(void *arg)
{
    *(void **)arg = kept_block(4096);
    return NULL; /* what it kept goes: the sanitizer would tell */
}

static void test_blocks_kept_one_goes_with_its_thread(void **state)
{
    pthread_t thread;
    void *block = NULL;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, on_thread, &block), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_large_one_is_given_out_again),
        cmocka_unit_test(test_blocks_realloc_into_the_kept_one_keeps_the_bytes),
        cmocka_unit_test(test_blocks_larger_request_does_not_get_the_kept_one),
        cmocka_unit_test(test_blocks_smaller_one_does_not_replace_the_kept_one),
        cmocka_unit_test(test_blocks_free_of_nothing_does_nothing),
        cmocka_unit_test(test_blocks_kept_one_goes_with_its_thread),
    };
    blocks_install();
    blocks_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
