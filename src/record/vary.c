/*
 * What varies; see vary.h. Each rule looks at the text from one place on and gives a length; rules
 * that begin in the middle of a word do not. Every look ahead is bounded, or remembered where it
 * was in vain, so that hostile text ends soon.
 */
#include "record/vary.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Marks of quotation, of languages that people write error messages in. Longer ones first where one
 * begins another. */
struct quotes {
    struct slice open;
    struct slice close;
};
#define QUOTES(a, b)                                                                               \
    {                                                                                              \
        {a, sizeof(a) - 1},                                                                        \
        {                                                                                          \
            b, sizeof(b) - 1                                                                       \
        }                                                                                          \
    }
static const struct quotes quotes[] = {
    QUOTES("\"", "\""),         QUOTES("`", "`"),
    QUOTES("`", "'"), /* Ruby, C compilers, MySQL: whichever of the two closes first */
    QUOTES("'", "'"),           QUOTES("\u201c", "\u201d"), /* English, Chinese */
    QUOTES("\u201e", "\u201c"),                             /* German */
    QUOTES("\u201e", "\u201d"),                             /* Polish */
    QUOTES("\u2018", "\u2019"),                             /* English, single */
    QUOTES("\u201a", "\u2018"),                             /* German, single */
    QUOTES("\u00ab", "\u00bb"),                             /* French, Russian */
    QUOTES("\u2039", "\u203a"),                             /* French, single */
    QUOTES("\u300c", "\u300d"),                             /* Japanese */
    QUOTES("\u300e", "\u300f"),                             /* Japanese, double */
};
enum {
    HEX_ID_MIN = 8,
    HEX_MIXED_MIN = 6,
    MIXED_ID_MIN = 10,
    CASED_ID_MIN = 12,
    LOCAL_MAX = 64, /* RFC 5321 */
    DOMAIN_MAX = 255,
    ADDRESS_MAX = 48,
};

bool vary_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool vary_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool vary_is_alnum(char c)
{
    return vary_is_digit(c) || vary_is_alpha(c);
}

static bool is_hex(char c)
{
    return vary_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool vary_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

char vary_peek(const struct vary *in, size_t ahead)
{
    return ahead < in->text.len - in->at ? in->text.data[in->at + ahead] : '\0';
}

bool vary_after_alnum(const struct vary *in)
{
    return in->at > 0 && vary_is_alnum(in->text.data[in->at - 1]);
}

static struct slice rest_of(const struct vary *in, size_t ahead)
{
    return (struct slice){in->text.data + in->at + ahead, in->text.len - in->at - ahead};
}

/* Length of what pattern describes, from at+ahead; 0: it is not there. x: hex digit, 9: digit, T:
 * date-time separator. */
static size_t match(const struct vary *in, size_t ahead, const char *pattern)
{
    size_t len = 0;
    for (; pattern[len]; len++) {
        char c = vary_peek(in, ahead + len);
        bool fits = c == pattern[len];
        if (pattern[len] == 'x')
            fits = is_hex(c);
        else if (pattern[len] == '9')
            fits = vary_is_digit(c);
        else if (pattern[len] == 'T')
            fits = c == 'T' || c == 't' || c == ' ';
        if (!fits)
            return 0;
    }
    return len;
}

static size_t uuid_len(const struct vary *in)
{
    size_t len = match(in, 0, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    return len && !vary_is_alnum(vary_peek(in, len)) ? len : 0;
}

static size_t digits_len(const struct vary *in, size_t ahead)
{
    size_t len = 0;
    while (vary_is_digit(vary_peek(in, ahead + len)))
        len++;
    return len;
}

/* 2026-01-02, 2026-01-02T03:04, with seconds, a fraction and an offset. */
static size_t time_len(const struct vary *in)
{
    size_t len = match(in, 0, "9999-99-99");
    if (len == 0 || match(in, len, "T99:99") == 0)
        return len;
    len += 6;
    len += match(in, len, ":99");
    char c = vary_peek(in, len);
    if ((c == '.' || c == ',') && vary_is_digit(vary_peek(in, len + 1)))
        len += 1 + digits_len(in, len + 1);
    c = vary_peek(in, len);
    if (c == 'Z' || c == 'z')
        return len + 1;
    if (c == '+' || c == '-') {
        size_t colon = match(in, len + 1, "99:99");
        size_t plain = colon ? colon : match(in, len + 1, "9999");
        len += plain ? 1 + plain : 0;
    }
    return len;
}

/* Of the run of letters and digits that begins here. What is no word is told by how often it
 * changes between letters and digits, and between small and capital letters. */
static size_t id_len(const struct vary *in)
{
    size_t len = 0;
    size_t changes = 0; /* between letters and digits */
    size_t rises = 0;   /* from a small letter to a capital one */
    bool all_hex = true, any_digit = false, any_small = false;

    for (; vary_is_alnum(vary_peek(in, len)); len++) {
        char c = vary_peek(in, len);
        char before = len > 0 ? vary_peek(in, len - 1) : c;

        all_hex = all_hex && is_hex(c);
        any_digit = any_digit || vary_is_digit(c);
        any_small = any_small || (c >= 'a' && c <= 'z');
        changes += vary_is_digit(c) != vary_is_digit(before);
        rises += before >= 'a' && before <= 'z' && c >= 'A' && c <= 'Z';
    }
    if (all_hex && any_digit && (len >= HEX_ID_MIN || (len >= HEX_MIXED_MIN && changes >= 2)))
        return len;
    if (changes >= 3 && len >= MIXED_ID_MIN)
        return len;
    /* "NffrFeUfNV2Hib", not "OrderV2Handler": more than a third changes. */
    return any_digit && any_small && len >= CASED_ID_MIN && 20 * (changes + rises) >= 7 * len ? len
                                                                                              : 0;
}

static size_t address_len(const struct vary *in)
{
    if (vary_peek(in, 0) != '0' || (vary_peek(in, 1) != 'x' && vary_peek(in, 1) != 'X') ||
        !is_hex(vary_peek(in, 2)))
        return 0;
    size_t len = 2;
    while (is_hex(vary_peek(in, len)))
        len++;
    return len;
}

/* What may stand between the digits of one number, of a list of numbers, a time of day or an
 * address with its port. */
static size_t separator_len(const struct vary *in, size_t ahead)
{
    static const struct slice separators[] = {{", ", 2}, {".", 1}, {",", 1},      {":", 1},
                                              {"_", 1},  {"'", 1}, {"\u00a0", 2}, {"\u202f", 3}};
    struct slice rest = {in->text.data + in->at + ahead, in->text.len - in->at - ahead};
    for (size_t i = 0; i < sizeof(separators) / sizeof(separators[0]); i++) {
        if (slice_starts_with(rest, separators[i]) &&
            vary_is_digit(vary_peek(in, ahead + separators[i].len)))
            return separators[i].len;
    }
    return 0;
}

static size_t exponent_len(const struct vary *in, size_t ahead)
{
    if (vary_peek(in, ahead) != 'e' && vary_peek(in, ahead) != 'E')
        return 0;
    size_t sign = vary_peek(in, ahead + 1) == '-' || vary_peek(in, ahead + 1) == '+';
    size_t digits = digits_len(in, ahead + 1 + sign);
    return digits && !vary_is_alpha(vary_peek(in, ahead + 1 + sign + digits)) ? 1 + sign + digits
                                                                              : 0;
}

static size_t number_len(const struct vary *in)
{
    size_t len = digits_len(in, 0);
    for (size_t gap = separator_len(in, len); gap; gap = separator_len(in, len))
        len += gap + digits_len(in, len + gap);
    return len + exponent_len(in, len);
}

/* The names of pods: "-7d9f8b6c5-x2x9k", in an alphabet of their own. From the first '-' on,
 * without it. */
static size_t pod_len(const struct vary *in)
{
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz0123456789ae";
    size_t len = 1, first, digits = 0;

    if (vary_peek(in, 0) != '-' || !vary_after_alnum(in))
        return 0;
    for (; len < 12 && vary_peek(in, len) && strchr(alphabet, vary_peek(in, len)); len++)
        digits += vary_is_digit(vary_peek(in, len));
    first = len - 1;
    if (first < 7 || first > 10 || digits < 2 || vary_peek(in, len) != '-')
        return 0;
    len++;
    for (size_t i = 0; i < 5; i++, len++) {
        if (!vary_peek(in, len) || !strchr(alphabet, vary_peek(in, len)))
            return 0;
    }
    return vary_is_alnum(vary_peek(in, len)) ? 0 : len;
}

/* IPv6 and hardware addresses: groups of hexadecimal digits between colons. */
static size_t colons_len(const struct vary *in)
{
    size_t len = 0, group = 0, colons = 0;
    bool digit = false, pair = false, last_colon = false;

    for (; len < ADDRESS_MAX; len++) {
        char c = vary_peek(in, len);

        if (is_hex(c)) {
            if (++group > 4)
                return 0;
            digit = digit || vary_is_digit(c);
            last_colon = false;
        } else if (c == ':' && !(last_colon && pair)) {
            pair = pair || last_colon;
            colons++;
            group = 0;
            last_colon = true;
        } else {
            break;
        }
    }
    if (vary_is_alnum(vary_peek(in, len)) || vary_peek(in, len) == '_' || !digit)
        return 0;
    if (last_colon && !(len >= 2 && vary_peek(in, len - 2) == ':')) {
        len--; /* a colon behind it is the sentence's */
        colons--;
    }
    return colons >= 5 || (pair && colons >= 2) ? len : 0;
}

static bool is_local(char c)
{
    return vary_is_alnum(c) || (c && strchr("._%+-", c));
}

static size_t email_len(const struct vary *in)
{
    size_t len = 0, dot = 0;

    if (in->at > 0 && is_local(in->text.data[in->at - 1]))
        return 0;
    while (len <= LOCAL_MAX && is_local(vary_peek(in, len)))
        len++;
    if (len == 0 || len > LOCAL_MAX || vary_peek(in, len) != '@')
        return 0;
    len++;
    for (size_t begin = len; vary_is_alnum(vary_peek(in, len)) || vary_peek(in, len) == '-' ||
                             (vary_peek(in, len) == '.' && vary_is_alnum(vary_peek(in, len + 1)));
         len++) {
        if (len - begin > DOMAIN_MAX)
            return 0;
        if (vary_peek(in, len) == '.' && len > begin)
            dot = len;
    }
    return dot ? len : 0;
}

/* ---- dates with names ---- */

/* Length of the word that is the name, or its first three letters, of one of several; 0: it is
 * none.
 */
static size_t name_len(const struct vary *in, size_t ahead, const char *const *names, size_t count)
{
    size_t len = 0;

    while (len < 12 && vary_is_alpha(vary_peek(in, ahead + len)))
        len++;
    if (len < 3 || (ahead == 0 && vary_after_alnum(in)))
        return 0;
    for (size_t i = 0; i < count; i++) {
        size_t whole = strlen(names[i]);

        if ((len == 3 || len == whole) &&
            strncasecmp(in->text.data + in->at + ahead, names[i], len) == 0)
            return len;
    }
    return 0;
}

static size_t month_len(const struct vary *in, size_t ahead)
{
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};

    return name_len(in, ahead, months, sizeof(months) / sizeof(months[0]));
}

static size_t weekday_len(const struct vary *in, size_t ahead)
{
    static const char *const days[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

    return name_len(in, ahead, days, sizeof(days) / sizeof(days[0]));
}

static size_t blanks_len(const struct vary *in, size_t ahead)
{
    size_t len = 0;

    while (vary_peek(in, ahead + len) == ' ' || vary_peek(in, ahead + len) == ',')
        len++;
    return len <= 2 ? len : 0;
}

static bool is_date_separator(char c)
{
    return c == ' ' || c == '-' || c == '/';
}

/* "21 Nov", "Nov 21" with what stands between them. */
static size_t day_and_month_len(const struct vary *in, size_t ahead)
{
    size_t digits = digits_len(in, ahead);
    size_t month, day;

    if (digits >= 1 && digits <= 2 && is_date_separator(vary_peek(in, ahead + digits))) {
        month = month_len(in, ahead + digits + 1);
        return month && !vary_is_alnum(vary_peek(in, ahead + digits + 1 + month))
                   ? digits + 1 + month
                   : 0;
    }
    month = month_len(in, ahead);
    if (month == 0 || blanks_len(in, ahead + month) == 0)
        return 0;
    month += blanks_len(in, ahead + month);
    day = digits_len(in, ahead + month);
    return day >= 1 && day <= 2 ? month + day : 0;
}

static size_t clock_len(const struct vary *in, size_t ahead)
{
    size_t len = match(in, ahead, "99:99");
    size_t zone = 0;

    if (len == 0)
        return 0;
    len += match(in, ahead + len, ":99");
    if (vary_peek(in, ahead + len) == '.' && vary_is_digit(vary_peek(in, ahead + len + 1)))
        len += 1 + digits_len(in, ahead + len + 1);
    if (vary_peek(in, ahead + len) != ' ')
        return len;
    while (zone < 5 && vary_peek(in, ahead + len + 1 + zone) >= 'A' &&
           vary_peek(in, ahead + len + 1 + zone) <= 'Z')
        zone++;
    if (zone >= 2 && zone <= 4 && !vary_is_alnum(vary_peek(in, ahead + len + 1 + zone)))
        return len + 1 + zone;
    if (match(in, ahead + len + 1, "+9999") || match(in, ahead + len + 1, "-9999"))
        return len + 6;
    return len;
}

/* "Sat, 21 Nov 2026 22:46:58 GMT", "Sat Nov 21 22:46:58 UTC 2026", "21/Nov/2026:22:46:58 +0000". */
static size_t named_date_len(const struct vary *in)
{
    size_t len = weekday_len(in, 0);
    size_t date, clock;

    len += len ? blanks_len(in, len) : 0;
    date = day_and_month_len(in, len);
    if (date == 0)
        return 0;
    len += date;
    for (int i = 0; i < 3; i++) { /* a time and a year, in either order */
        char c = vary_peek(in, len);
        size_t gap = c == ',' && vary_peek(in, len + 1) == ' ' ? 2
                     : is_date_separator(c) || c == ':'        ? 1
                                                               : 0;

        clock = gap ? clock_len(in, len + gap) : 0;
        if (clock)
            len += gap + clock;
        else if (gap && match(in, len + gap, "9999") &&
                 !vary_is_digit(vary_peek(in, len + gap + 4)))
            len += gap + 4;
    }
    return len;
}

/* ---- numbers and what belongs to them ---- */

/* Digits of other scripts, that people's messages are written in. */
static size_t other_digit_len(const struct vary *in, size_t ahead)
{
    static const struct {
        const char *prefix;
        unsigned char zero;
    } kinds[] = {{"\xef\xbc", 0x90}, {"\xd9", 0xa0},     {"\xdb", 0xb0},
                 {"\xe0\xa5", 0xa6}, {"\xe0\xa7", 0xa6}, {"\xe0\xb9", 0x90}};

    if (!(vary_peek(in, ahead) & 0x80))
        return 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].prefix);
        unsigned char last = (unsigned char)vary_peek(in, ahead + len);

        if (slice_starts_with(rest_of(in, ahead), slice_of(kinds[i].prefix)) &&
            last >= kinds[i].zero && last <= kinds[i].zero + 9)
            return len + 1;
    }
    return 0;
}

static size_t word_len(const struct vary *in, size_t ahead, const char *word)
{
    size_t len = strlen(word);

    return slice_starts_with(rest_of(in, ahead), slice_of(word)) &&
                   !vary_is_alnum(vary_peek(in, ahead + len))
               ? len
               : 0;
}

static size_t one_of_len(const struct vary *in, size_t ahead, const char *const *words,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = word_len(in, ahead, words[i]);
        if (len)
            return len;
    }
    return 0;
}
#define ONE_OF(in, ahead, words) one_of_len(in, ahead, words, sizeof(words) / sizeof((words)[0]))

/* "1m30.5s": of the whole, where it begins with a number of len bytes; 0: no unit follows. */
static size_t duration_len(const struct vary *in, size_t len)
{
    static const char *const units[] = {"ns", "us", "\u00b5s", "\u03bcs", "ms", "s", "m", "h"};
    static const char *const inner[] = {"h", "m", "s", "ms"};

    for (int parts = 0; parts < 5; parts++) {
        size_t unit = ONE_OF(in, len, units);

        if (unit)
            return len + unit;
        for (size_t i = 0; unit == 0 && i < sizeof(inner) / sizeof(inner[0]); i++) {
            if (slice_starts_with(rest_of(in, len), slice_of(inner[i])) &&
                vary_is_digit(vary_peek(in, len + strlen(inner[i]))))
                unit = strlen(inner[i]);
        }
        if (unit == 0)
            return 0;
        len += unit;
        len += digits_len(in, len);
        if (vary_peek(in, len) == '.' && vary_is_digit(vary_peek(in, len + 1)))
            len += 1 + digits_len(in, len + 1);
    }
    return 0;
}

static size_t size_len(const struct vary *in, size_t len)
{
    static const char *const units[] = {"B",  "KB",  "MB",  "GB",  "TB",
                                        "kB", "KiB", "MiB", "GiB", "TiB"};
    size_t gap = vary_peek(in, len) == ' ';
    size_t unit = ONE_OF(in, len + gap, units);

    return unit ? len + gap + unit : 0;
}

static size_t half_day_len(const struct vary *in, size_t len)
{
    static const char *const halves[] = {"AM", "PM", "am", "pm", "a.m.", "p.m."};
    size_t gap = vary_peek(in, len) == ' ';

    if (memchr(in->text.data + in->at, ':', len) == NULL)
        return 0;
    gap = ONE_OF(in, len + gap, halves) ? gap + ONE_OF(in, len + gap, halves) : 0;
    return gap ? len + gap : 0;
}

/* A separator before a number is taken with it, unless what follows is more than a number. */
static bool is_before_id(const struct vary *in)
{
    struct vary next = *in;

    while (next.at < in->text.len && !vary_is_digit(vary_peek(&next, 0)))
        next.at++;
    return uuid_len(&next) > 0 || id_len(&next) > 0;
}

static size_t number_and_unit_len(const struct vary *in, enum vary_kind *kind)
{
    static const char *const ordinals[] = {"st", "nd", "rd", "th"};
    size_t len = number_len(in);
    size_t whole;

    *kind = VARY_NUMBER;
    if (len > 0 && !vary_is_digit(vary_peek(in, 0)) && is_before_id(in))
        return 0;
    if (len == 0) {
        while ((whole = other_digit_len(in, len)) > 0)
            len += whole;
        return len;
    }
    whole = half_day_len(in, len);
    if (whole) {
        *kind = VARY_TIME;
        return whole;
    }
    whole = duration_len(in, len);
    if (whole) {
        *kind = VARY_DURATION;
        return whole;
    }
    whole = size_len(in, len);
    if (whole) {
        *kind = VARY_SIZE;
        return whole;
    }
    whole = ONE_OF(in, len, ordinals);
    if (whole)
        *kind = VARY_ORDINAL;
    return len + whole;
}

/* ---- */

static size_t word_start_len(struct vary *in, enum vary_kind *kind)
{
    size_t len;

    *kind = VARY_ID;
    if ((len = uuid_len(in)) > 0)
        return len;
    *kind = VARY_TIME;
    if ((len = time_len(in)) > 0 || (len = named_date_len(in)) > 0)
        return len;
    *kind = VARY_EMAIL;
    if ((len = email_len(in)) > 0)
        return len;
    *kind = VARY_ID;
    if ((len = address_len(in)) > 0 || (len = colons_len(in)) > 0)
        return len;
    return id_len(in);
}

size_t vary_len(struct vary *in, enum vary_kind *kind)
{
    size_t len;

    if (!vary_after_alnum(in)) {
        char c = vary_peek(in, 0);

        *kind = VARY_NUMBER;
        if ((c == '-' || c == '+') && vary_is_digit(vary_peek(in, 1)))
            return 1; /* the sign; the number follows and takes its place */
        len = word_start_len(in, kind);
        if (len)
            return len;
    }
    *kind = VARY_ID;
    len = pod_len(in);
    return len ? len : number_and_unit_len(in, kind);
}

/* An apostrophe is no quote: a single quote opens and closes at the edge of a word only. */
static bool closes_here(const struct vary *in, size_t kind, size_t ahead)
{
    struct slice close = quotes[kind].close;

    if (!slice_starts_with(rest_of(in, ahead), close))
        return false;
    if (in->text.data[in->at + ahead - 1] == '\\')
        return false;
    return close.data[0] != '\'' || !vary_is_alnum(vary_peek(in, ahead + 1));
}

/* limit: it must close before that; only what had none may be remembered as never closed. */
static size_t quoted_len(struct vary *in, size_t kind, size_t limit)
{
    struct slice open = quotes[kind].open;
    struct slice rest = rest_of(in, 0);

    if (in->never_closed[kind] || !slice_starts_with(rest, open))
        return 0;
    if (open.data[0] == '\'' && vary_after_alnum(in))
        return 0;
    for (size_t ahead = open.len; ahead < rest.len && ahead < limit; ahead++) {
        if (closes_here(in, kind, ahead))
            return ahead + quotes[kind].close.len;
    }
    in->never_closed[kind] = limit >= rest.len;
    return 0;
}

size_t vary_quoted_len(struct vary *in, struct slice *content)
{
    char c = vary_peek(in, 0);
    size_t best = 0;

    if (!(c & 0x80) && c != '"' && c != '\'' && c != '`')
        return 0;
    for (size_t kind = 0; kind < VARY_QUOTES; kind++) {
        size_t len = quoted_len(in, kind, best ? best : SIZE_MAX);

        /* Of those that open with one mark the first in the table counts, but for the back quote.
         */
        if (len == 0 || (best && len >= best))
            continue;
        best = len;
        *content = (struct slice){in->text.data + in->at + quotes[kind].open.len,
                                  len - quotes[kind].open.len - quotes[kind].close.len};
        if (c != '`')
            break;
    }
    return best;
}
