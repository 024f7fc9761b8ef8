/*
 * Numbers, durations, sizes and text: configuration units, header values. Every reader takes the
 * whole slice or nothing, and refuses what does not fit its type instead of clamping it. Times are
 * in time_text.c.
 */
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/utf8.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Ascending, so that the last one that divides a value is the canonical one. */
static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
};
static const struct unit size_units[] = {
    {"B", 1},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
};
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_to_u64(struct slice s, uint64_t *out)
{
    uint64_t n = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_digit(s.data[i]))
            return false;
        uint64_t digit = (uint64_t)(s.data[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

bool str_to_i64(struct slice s, int64_t *out)
{
    bool negative = s.len > 0 && s.data[0] == '-';
    if (negative)
        s = (struct slice){s.data + 1, s.len - 1};
    uint64_t n;
    if (!str_to_u64(s, &n))
        return false;
    if (n > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    if (negative)
        *out = n == (uint64_t)INT64_MAX + 1 ? INT64_MIN : -(int64_t)n;
    else
        *out = (int64_t)n;
    return true;
}

/* Splits "10MiB" into the number and the unit's text. */
static bool split_unit(struct slice s, uint64_t *number, struct slice *unit)
{
    size_t digits = 0;
    while (digits < s.len && is_digit(s.data[digits]))
        digits++;
    *unit = (struct slice){s.data ? s.data + digits : "", s.len - digits};
    return str_to_u64((struct slice){s.data, digits}, number);
}

static bool scale(uint64_t number, struct slice name, const struct unit *units, size_t count,
                  uint64_t max, uint64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal_text(name, units[i].name))
            continue;
        if (number > max / units[i].factor)
            return false;
        *out = number * units[i].factor;
        return true;
    }
    return false;
}

bool str_to_duration_ms(struct slice s, int64_t *out_ms)
{
    uint64_t number;
    uint64_t ms;
    struct slice unit;
    if (!split_unit(s, &number, &unit) ||
        !scale(number, unit, duration_units, COUNT_OF(duration_units), INT64_MAX, &ms))
        return false;
    *out_ms = (int64_t)ms;
    return true;
}

bool str_to_size(struct slice s, uint64_t *out_bytes)
{
    uint64_t number;
    struct slice unit;
    if (!split_unit(s, &number, &unit))
        return false;
    if (unit.len == 0)
        unit = SLICE_LIT("B");
    return scale(number, unit, size_units, COUNT_OF(size_units), UINT64_MAX, out_bytes);
}

static const struct unit *largest_divisor(uint64_t n, const struct unit *units, size_t count)
{
    while (count > 1 && n % units[count - 1].factor != 0)
        count--;
    return &units[count - 1];
}

void str_from_duration_ms(int64_t ms, char out[STR_DURATION_MAX])
{
    uint64_t n = ms < 0 ? UINT64_C(0) - (uint64_t)ms : (uint64_t)ms;
    const struct unit *unit = &duration_units[1];
    if (n != 0)
        unit = largest_divisor(n, duration_units, COUNT_OF(duration_units));
    snprintf(out, STR_DURATION_MAX, "%s%" PRIu64 "%s", ms < 0 ? "-" : "", n / unit->factor,
             unit->name);
}

void str_from_size(uint64_t bytes, char out[STR_SIZE_MAX])
{
    const struct unit *unit = &size_units[0];
    if (bytes != 0)
        unit = largest_divisor(bytes, size_units, COUNT_OF(size_units));
    snprintf(out, STR_SIZE_MAX, "%" PRIu64 "%s", bytes / unit->factor, unit->name);
}

bool str_is_utf8(struct slice s)
{
    for (size_t i = 0; i < s.len;) {
        size_t len = (unsigned char)s.data[i] < 0x80 ? 1 : utf8_char_len(s.data + i, s.len - i);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

enum { DISTANCE_MAX_LEN = 127 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time (Wagner and Fischer 1974). */
size_t str_distance(const char *a, const char *b, size_t limit)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    size_t gap = a_len > b_len ? a_len - b_len : b_len - a_len;
    if (gap > limit || b_len > DISTANCE_MAX_LEN)
        return limit + 1;

    size_t row[DISTANCE_MAX_LEN + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        size_t least = row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
            if (row[j] < least)
                least = row[j];
        }
        if (least > limit)
            return limit + 1;
    }
    return row[b_len] > limit ? limit + 1 : row[b_len];
}

bool str_copy(char *out, size_t size, struct slice s)
{
    if (size == 0)
        return false;
    size_t len = s.len < size ? s.len : size - 1;
    if (len)
        memcpy(out, s.data, len);
    out[len] = '\0';
    return len == s.len;
}
