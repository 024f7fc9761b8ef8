/*
 * What the programs of the benchmark share: the value of a record, clocks, numbers from the command
 * line. They use none of the program's own modules, so that nothing is measured with itself.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "k=00000042 s=0000000007 t=1700000000000000 " and dots up to the size asked for. */
#define VALUE_HEAD 43

struct value {
    uint32_t key;
    uint32_t seq;    /* of the key, from 1 */
    int64_t sent_us; /* wall clock */
};

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void *allocate(size_t size); /* zeroed; never NULL */
uint64_t number(const char *text, const char *what);
/* The next of a row of numbers that is the same in every run: xorshift64* (Vigna 2016). */
#define DRAW_FIRST UINT64_C(88172645463325252)
uint64_t draw_from(uint64_t *row);
int64_t mono_us(void);
int64_t wall_us(void);

/* Writes VALUE_HEAD bytes. */
void value_write(const struct value *value, char *out);
/* False where these bytes are no such value, whole. */
bool value_read(const char *data, size_t len, struct value *value);

#endif
