/*
 * Times as text: RFC 3339 and the three forms of an HTTP date. Declared in base/str.h. Works on the
 * proleptic Gregorian calendar in UTC alone: no locale, no time zone data, no strptime.
 */
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"

struct civil {
    int64_t year;
    int month; /* 1 to 12 */
    int day;
    int hour, minute, second;
};

/*
 * Days since 1970-01-01 of a date, and back. After Howard Hinnant, "chrono-compatible low-level
 * date algorithms": years begin in March, so that the leap day is the last of the year; an era is
 * 400 years.
 */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_days(int64_t days, struct civil *out)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    out->day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    out->month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2 ? 1 : 0);
}

static bool civil_valid(const struct civil *t)
{
    static const int days_in[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (t->month < 1 || t->month > 12 || t->day < 1)
        return false;
    bool leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
    int last = days_in[t->month - 1] + (t->month == 2 && leap ? 1 : 0);
    /* A leap second (:60) is taken as the first second of the next minute, as Unix time has no
     * other. */
    return t->day <= last && t->hour <= 23 && t->minute <= 59 && t->second <= 60;
}

static int64_t civil_to_s(const struct civil *t)
{
    return days_from_civil(t->year, t->month, t->day) * 86400 + t->hour * 3600 + t->minute * 60 +
           t->second;
}

/* Takes text off the front of a slice. */
struct reader {
    struct slice rest;
    bool ok;
};

static char read_char(struct reader *in)
{
    if (!in->ok || in->rest.len == 0) {
        in->ok = false;
        return '\0';
    }
    char c = in->rest.data[0];
    in->rest = (struct slice){in->rest.data + 1, in->rest.len - 1};
    return c;
}

static void read_one_of(struct reader *in, const char *set)
{
    char c = read_char(in);
    if (!c || !strchr(set, c))
        in->ok = false;
}

static void read_text(struct reader *in, const char *text)
{
    for (; *text; text++) {
        if (read_char(in) != *text)
            in->ok = false;
    }
}

static int read_digits(struct reader *in, int count)
{
    int n = 0;
    while (count-- > 0) {
        char c = read_char(in);
        if (c < '0' || c > '9') {
            in->ok = false;
            return 0;
        }
        n = n * 10 + (c - '0');
    }
    return n;
}

static bool next_is(const struct reader *in, char c)
{
    return in->ok && in->rest.len > 0 && in->rest.data[0] == c;
}

/* A fraction of a second: any number of digits, what is beyond nanoseconds is dropped. */
static uint64_t read_fraction_ns(struct reader *in)
{
    uint64_t ns = 0;
    uint64_t digit_ns = NS_PER_S / 10;
    read_one_of(in, ".");
    size_t count = 0;
    while (in->ok && in->rest.len > 0 && in->rest.data[0] >= '0' && in->rest.data[0] <= '9') {
        ns += (uint64_t)(read_char(in) - '0') * digit_ns;
        digit_ns /= 10;
        count++;
    }
    if (count == 0)
        in->ok = false;
    return ns;
}

static int64_t read_offset_s(struct reader *in)
{
    char sign = read_char(in);
    if (sign == 'Z' || sign == 'z')
        return 0;
    if (sign != '+' && sign != '-')
        in->ok = false;
    int hours = read_digits(in, 2);
    read_one_of(in, ":");
    int minutes = read_digits(in, 2);
    if (hours > 23 || minutes > 59)
        in->ok = false;
    int64_t offset = hours * 3600 + minutes * 60;
    return sign == '-' ? -offset : offset;
}

static void read_clock(struct reader *in, struct civil *t)
{
    t->hour = read_digits(in, 2);
    read_one_of(in, ":");
    t->minute = read_digits(in, 2);
    read_one_of(in, ":");
    t->second = read_digits(in, 2);
}

bool str_rfc3339_to_ns(struct slice s, uint64_t *out_ns)
{
    struct reader in = {s, true};
    struct civil t = {0};
    uint64_t fraction_ns = 0;
    t.year = read_digits(&in, 4);
    read_one_of(&in, "-");
    t.month = read_digits(&in, 2);
    read_one_of(&in, "-");
    t.day = read_digits(&in, 2);
    read_one_of(&in, "Tt ");
    read_clock(&in, &t);
    if (next_is(&in, '.'))
        fraction_ns = read_fraction_ns(&in);
    int64_t offset_s = read_offset_s(&in);
    if (!in.ok || in.rest.len > 0 || !civil_valid(&t))
        return false;

    int64_t seconds = civil_to_s(&t) - offset_s;
    if (seconds < 0 || (uint64_t)seconds > (UINT64_MAX - fraction_ns) / NS_PER_S)
        return false;
    *out_ns = (uint64_t)seconds * NS_PER_S + fraction_ns;
    return true;
}

static char *put_digits(char *at, unsigned n, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + n % 10);
        n /= 10;
    }
    return at + width;
}

/* Written out, for every request has two of these. */
void str_rfc3339_from_ms(int64_t ms, char out[STR_RFC3339_MAX])
{
    int64_t seconds = ms / 1000;
    int64_t milli = ms % 1000;
    if (milli < 0) {
        milli += 1000;
        seconds--;
    }
    int64_t days = seconds / 86400;
    int64_t of_day = seconds % 86400;
    if (of_day < 0) {
        of_day += 86400;
        days--;
    }
    struct civil t = {0};
    civil_from_days(days, &t);
    char *at = out;
    if (t.year >= 0 && t.year <= 9999)
        at = put_digits(at, (unsigned)t.year, 4);
    else
        at += snprintf(at, 12, "%04" PRId64, t.year); /* in ms, no year has more than 9 digits */
    *at++ = '-';
    at = put_digits(at, (unsigned)t.month, 2);
    *at++ = '-';
    at = put_digits(at, (unsigned)t.day, 2);
    *at++ = 'T';
    at = put_digits(at, (unsigned)(of_day / 3600), 2);
    *at++ = ':';
    at = put_digits(at, (unsigned)(of_day / 60 % 60), 2);
    *at++ = ':';
    at = put_digits(at, (unsigned)(of_day % 60), 2);
    *at++ = '.';
    at = put_digits(at, (unsigned)milli, 3);
    *at++ = 'Z';
    *at = '\0';
}

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";
static const char *const long_day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday"};

/* A three-letter name out of `names`; its index from 0. */
static int read_name(struct reader *in, const char *names)
{
    char got[4] = {0};
    for (int i = 0; i < 3; i++)
        got[i] = read_char(in);
    for (int i = 0; names[i * 3]; i++) {
        if (memcmp(got, names + i * 3, 3) == 0)
            return i;
    }
    in->ok = false;
    return 0;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool read_imf_date(struct slice s, struct civil *t)
{
    struct reader in = {s, true};
    read_name(&in, day_names);
    read_text(&in, ", ");
    t->day = read_digits(&in, 2);
    read_text(&in, " ");
    t->month = read_name(&in, month_names) + 1;
    read_text(&in, " ");
    t->year = read_digits(&in, 4);
    read_text(&in, " ");
    read_clock(&in, t);
    read_text(&in, " GMT");
    return in.ok && in.rest.len == 0;
}

static struct civil now_civil(void)
{
    struct civil now = {0};
    civil_from_days(clock_wall_ms() / 86400000, &now);
    return now;
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool read_rfc850_date(struct slice s, struct civil *t)
{
    struct reader in = {s, false};
    for (size_t i = 0; i < sizeof(long_day_names) / sizeof(long_day_names[0]); i++) {
        struct slice name = slice_of(long_day_names[i]);
        if (slice_starts_with(s, name))
            in = (struct reader){{s.data + name.len, s.len - name.len}, true};
    }
    read_text(&in, ", ");
    t->day = read_digits(&in, 2);
    read_text(&in, "-");
    t->month = read_name(&in, month_names) + 1;
    read_text(&in, "-");
    int short_year = read_digits(&in, 2);
    read_text(&in, " ");
    read_clock(&in, t);
    read_text(&in, " GMT");

    /* RFC 9110: more than 50 years ahead means the last year in the past with these digits. */
    int64_t this_year = now_civil().year;
    t->year = this_year - this_year % 100 + short_year;
    if (t->year > this_year + 50)
        t->year -= 100;
    return in.ok && in.rest.len == 0;
}

/* Sun Nov  6 08:49:37 1994 */
static bool read_asctime_date(struct slice s, struct civil *t)
{
    struct reader in = {s, true};
    read_name(&in, day_names);
    read_text(&in, " ");
    t->month = read_name(&in, month_names) + 1;
    read_text(&in, " ");
    if (next_is(&in, ' ')) {
        read_text(&in, " ");
        t->day = read_digits(&in, 1);
    } else {
        t->day = read_digits(&in, 2);
    }
    read_text(&in, " ");
    read_clock(&in, t);
    read_text(&in, " ");
    t->year = read_digits(&in, 4);
    return in.ok && in.rest.len == 0;
}

bool str_http_date_to_s(struct slice s, int64_t *out_s)
{
    struct civil t = {0};
    if (!read_imf_date(s, &t) && !read_rfc850_date(s, &t) && !read_asctime_date(s, &t))
        return false;
    if (!civil_valid(&t))
        return false;
    *out_s = civil_to_s(&t);
    return true;
}
