/* Reading and writing numbers, durations, sizes, times and text of configuration and headers. */
#ifndef OG_BASE_STR_H
#define OG_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

/* Whole of s is decimal digits only (no sign, no blank, no leading '+'), at most 2^64-1. */
bool str_to_u64(struct slice s, uint64_t *out) MUST_CHECK;
/* An optional '-', then digits; within int64. */
bool str_to_i64(struct slice s, int64_t *out) MUST_CHECK;
/* 500ms 10s 5m 1h 7d: a whole number and a unit, in ms. */
bool str_to_duration_ms(struct slice s, int64_t *out_ms) MUST_CHECK;
/* 64KiB 10MiB 1GiB or plain bytes ("512B", "512"). */
bool str_to_size(struct slice s, uint64_t *out_bytes) MUST_CHECK;

/* The canonical form: the largest unit that divides it (60000 -> "1m", 90000 -> "90s"). Writes a
 * NUL. */
#define STR_DURATION_MAX 24
void str_from_duration_ms(int64_t ms, char out[STR_DURATION_MAX]);
#define STR_SIZE_MAX 24
void str_from_size(uint64_t bytes, char out[STR_SIZE_MAX]);

/* RFC 3339 with any fraction and offset -> ns since the Unix epoch; false where it does not parse
 * or fit. */
bool str_rfc3339_to_ns(struct slice s, uint64_t *out_ns) MUST_CHECK;
/* ms since the Unix epoch -> 2026-01-02T03:04:05.678Z */
#define STR_RFC3339_MAX 32
void str_rfc3339_from_ms(int64_t ms, char out[STR_RFC3339_MAX]);
/* The three forms of an HTTP date (RFC 9110 5.6.7) -> s since the Unix epoch. */
bool str_http_date_to_s(struct slice s, int64_t *out_s) MUST_CHECK;

bool str_is_utf8(struct slice s);
/* Edit distance with early stop, for "did you mean". */
size_t str_distance(const char *a, const char *b, size_t limit);
/* Copies as much as fits, always NUL-terminated; returns false where it was cut. */
bool str_copy(char *out, size_t size, struct slice s);

#endif
