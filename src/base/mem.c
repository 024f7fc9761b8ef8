/*
 * The only file that calls malloc. A small allocation that fails leaves nothing sensible to do: the
 * process says so and aborts, rather than carry an untested failure path through every caller.
 */
#include "base/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGE (256 * 1024)

static void die(size_t size) NO_RETURN;

static void die(size_t size)
{
    /* No allocation and no stdio here: both may need the memory that is gone. */
    char text[80];
    int len = snprintf(text, sizeof(text), "oncegate: out of memory (%zu bytes)\n", size);
    if (len > 0 && write(STDERR_FILENO, text, (size_t)len) < 0)
        abort();
    abort();
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        die(size);
    return p;
}

void *mem_zalloc(size_t size)
{
    return mem_calloc(1, size);
}

void *mem_calloc(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        count = size = 1;
    void *p = calloc(count, size);
    if (!p)
        die(count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *grown = realloc(p, size ? size : 1);
    if (!grown)
        die(size);
    return grown;
}

void *mem_try_alloc(size_t size, size_t limit)
{
    if (size > limit)
        return NULL;
    return malloc(size ? size : 1);
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *text)
{
    return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_strndup(const char *data, size_t len)
{
    if (len == SIZE_MAX)
        die(len);
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    va_list args;
    va_list again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len < 0)
        abort(); /* a broken format string */
    char *text = mem_alloc((size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

void mem_map_large(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
#endif
}

void mem_trim(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
