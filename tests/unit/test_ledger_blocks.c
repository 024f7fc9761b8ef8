#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/alloc.h>

#include "ledger/blocks.h"

/* Blocks that went back to the allocator beneath. */
static atomic_uint freed;

static void counted_free(void *block)
{
    if (block)
        freed++;
    free(block);
}

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

static void test_blocks_realloc_to_less_copies_no_more_than_that(void **state)
{
    (void)state;
    char *text = hi_malloc(64 * 1024);
    memset(text, 't', 64 * 1024);
    char *block = kept_block(4096);
    unsigned before = freed;
    text = hi_realloc(text, 2048); /* the sanitizer would tell of more */
    assert_ptr_equal(text, block);
    assert_int_equal(text[2047], 't');
    if (malloc_usable_size(block) > 2048)
        assert_int_equal(text[2048], 'b');
    assert_int_equal(freed, before); /* the larger one is kept in its place */
    hi_free(text);
    assert_int_equal(freed, before + 1);
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

static void test_blocks_larger_one_replaces_the_kept_one_which_is_freed(void **state)
{
    (void)state;
    void *block = kept_block(2048), *larger = malloc(16 * 1024);
    unsigned before = freed;
    hi_free(larger);
    assert_int_equal(freed, before + 1);
    void *again = hi_malloc(1024);
    assert_ptr_equal(again, larger);
    assert_ptr_not_equal(again, block);
    hi_free(again);
}

/* What is small costs little, and what is very large is not held on to. */
static void test_blocks_neither_small_nor_very_large_ones_are_kept(void **state)
{
    static const size_t sizes[] = {1, 16, 900, 300 * 1024};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        free(hi_malloc(1024)); /* nothing is kept */
        unsigned before = freed;
        hi_free(hi_malloc(sizes[i]));
        assert_int_equal(freed, before + 1);
    }
}

static void test_blocks_free_of_nothing_does_nothing(void **state)
{
    (void)state;
    hi_free(NULL);
}

static void *on_thread(void *arg)
{
    *(void **)arg = kept_block(4096);
    return NULL; /* what it kept goes */
}

static void test_blocks_kept_one_goes_with_its_thread(void **state)
{
    pthread_t thread;
    void *block = NULL;
    unsigned before = freed;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, on_thread, &block), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(block);
    assert_int_equal(freed, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_large_one_is_given_out_again),
        cmocka_unit_test(test_blocks_realloc_into_the_kept_one_keeps_the_bytes),
        cmocka_unit_test(test_blocks_realloc_to_less_copies_no_more_than_that),
        cmocka_unit_test(test_blocks_larger_request_does_not_get_the_kept_one),
        cmocka_unit_test(test_blocks_smaller_one_does_not_replace_the_kept_one),
        cmocka_unit_test(test_blocks_larger_one_replaces_the_kept_one_which_is_freed),
        cmocka_unit_test(test_blocks_neither_small_nor_very_large_ones_are_kept),
        cmocka_unit_test(test_blocks_free_of_nothing_does_nothing),
        cmocka_unit_test(test_blocks_kept_one_goes_with_its_thread),
    };
    hiredisAllocFuncs counted = hiredisAllocFns;
    counted.freeFn = counted_free;
    (void)hiredisSetAllocators(&counted);
    blocks_install();
    blocks_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
