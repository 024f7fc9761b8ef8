#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_mem_alloc_of_nothing_gives_a_pointer(void **state)
{
    (void)state;
    void *p = mem_alloc(0);
    assert_non_null(p);
    mem_free(p);
    p = mem_calloc(0, 8);
    assert_non_null(p);
    mem_free(p);
}

static void test_mem_zalloc_gives_zeroes(void **state)
{
    (void)state;
    static const char zeroes[4096];
    /* Dirty a block of that size first, so that the allocator hands out used memory. */
    char *dirty = mem_alloc(sizeof(zeroes));
    memset(dirty, 0xa5, sizeof(zeroes));
    mem_free(dirty);
    char *p = mem_zalloc(sizeof(zeroes));
    assert_memory_equal(p, zeroes, sizeof(zeroes));
    mem_free(p);
}

static void test_mem_realloc_keeps_the_bytes(void **state)
{
    (void)state;
    char *p = mem_strdup("hello");
    p = mem_realloc(p, 100000);
    assert_string_equal(p, "hello");
    mem_free(p);
}

static void test_mem_try_alloc_above_limit_gives_null(void **state)
{
    (void)state;
    assert_null(mem_try_alloc(101, 100));
    assert_null(mem_try_alloc(SIZE_MAX, 100));
    void *p = mem_try_alloc(100, 100);
    assert_non_null(p);
    mem_free(p);
}

static void test_mem_strdup_of_null_gives_null(void **state)
{
    (void)state;
    assert_null(mem_strdup(NULL));
}

static void test_mem_strndup_of_bytes_gives_terminated_copy(void **state)
{
    (void)state;
    char *p = mem_strndup("abcdef", 3);
    assert_string_equal(p, "abc");
    mem_free(p);
    p = mem_strndup(NULL, 0);
    assert_string_equal(p, "");
    mem_free(p);
}

static void test_mem_printf_of_long_text_holds_all_of_it(void **state)
{
    (void)state;
    char *p = mem_printf("%05000d", 7);
    assert_int_equal(strlen(p), 5000);
    assert_int_equal(p[4999], '7');
    mem_free(p);
}

static void test_mem_calloc_overflowing_aborts(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        void *p = mem_calloc(SIZE_MAX / 2, 4);
        mem_free(p);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* A sanitizer's own allocator ends the process by an exit code instead of SIGABRT. */
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* glibc alone would keep the second one of a size that was freed before. */
static void test_mem_large_blocks_go_back_when_they_are_freed(void **state)
{
    (void)state;
    enum { RECORD = 1 << 20, LARGE_FOR_GLIBC = 64 << 20 };
    mem_map_large();
    size_t mapped = mallinfo2().hblks;
    void *p = mem_alloc(LARGE_FOR_GLIBC);
    bool is_glibc = mallinfo2().hblks == mapped + 1; /* no sanitizer's own allocator */
    mem_free(p);
    for (int i = 0; i < 2 && is_glibc; i++) {
        p = mem_alloc(RECORD);
        assert_int_equal(mallinfo2().hblks, mapped + 1);
        mem_free(p);
        assert_int_equal(mallinfo2().hblks, mapped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mem_alloc_of_nothing_gives_a_pointer),
        cmocka_unit_test(test_mem_zalloc_gives_zeroes),
        cmocka_unit_test(test_mem_realloc_keeps_the_bytes),
        cmocka_unit_test(test_mem_try_alloc_above_limit_gives_null),
        cmocka_unit_test(test_mem_strdup_of_null_gives_null),
        cmocka_unit_test(test_mem_strndup_of_bytes_gives_terminated_copy),
        cmocka_unit_test(test_mem_printf_of_long_text_holds_all_of_it),
        cmocka_unit_test(test_mem_calloc_overflowing_aborts),
        cmocka_unit_test(test_mem_large_blocks_go_back_when_they_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
