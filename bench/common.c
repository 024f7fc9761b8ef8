/* What the programs of the benchmark share; see common.h. Must not use the program's own modules.
 */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void *allocate(size_t size)
{
    void *p = calloc(1, size);
    if (!p)
        die("no memory for %zu bytes", size);
    return p;
}

uint64_t number(const char *text, const char *what)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text ? text : "", &end, 10);
    if (errno || !text || end == text || *end != '\0' || text[0] == '-')
        die("%s: a whole number is wanted, not \"%s\"", what, text ? text : "");
    return n;
}

static int64_t clock_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t draw_from(uint64_t *row)
{
    *row ^= *row >> 12;
    *row ^= *row << 25;
    *row ^= *row >> 27;
    return *row * UINT64_C(2685821657736338717);
}

int64_t mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

static void digits_write(char *out, size_t width, uint64_t n)
{
    for (size_t i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
}

static bool digits_read(const char *in, size_t width, uint64_t *n)
{
    *n = 0;
    for (size_t i = 0; i < width; i++) {
        if (in[i] < '0' || in[i] > '9')
            return false;
        *n = *n * 10 + (uint64_t)(in[i] - '0');
    }
    return true;
}

void value_write(const struct value *value, char *out)
{
    memcpy(out, "k=00000000 s=0000000000 t=0000000000000000 ", VALUE_HEAD);
    digits_write(out + 2, 8, value->key);
    digits_write(out + 13, 10, value->seq);
    digits_write(out + 26, 16, (uint64_t)value->sent_us);
}

bool value_read(const char *data, size_t len, struct value *value)
{
    uint64_t key, seq, sent;
    if (len < VALUE_HEAD || memcmp(data, "k=", 2) != 0 || memcmp(data + 10, " s=", 3) != 0 ||
        memcmp(data + 23, " t=", 3) != 0 || data[VALUE_HEAD - 1] != ' ')
        return false;
    if (!digits_read(data + 2, 8, &key) || !digits_read(data + 13, 10, &seq) ||
        !digits_read(data + 26, 16, &sent) || seq > UINT32_MAX)
        return false;
    for (size_t i = VALUE_HEAD; i < len; i++)
        if (data[i] != '.')
            return false;
    *value = (struct value){.key = (uint32_t)key, .seq = (uint32_t)seq, .sent_us = (int64_t)sent};
    return true;
}
