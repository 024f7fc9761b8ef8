/*
 * The signature of a failure: what stays the same when the same thing goes wrong for another
 * record, another user, at another time. Declared in record/headers.h. Its value is written into
 * dead letters and grouped by, so these rules are a format: changing one splits every group in two.
 *
 * The detail is read once. What varies becomes one '#': numbers (with separators, a sign, an
 * exponent), UUIDs, ISO 8601 times, hexadecimal runs of 8 or more, ids that mix letters and digits;
 * a quoted string becomes '$'; runs of blanks one blank. The rest is hashed as it is, by FNV-1a
 * (Fowler, Noll and Vo: 64-bit offset basis and prime).
 */
#include <stdint.h>

#include "record/headers.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

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
enum { QUOTE_KINDS = sizeof(quotes) / sizeof(quotes[0]), HEX_ID_MIN = 8, MIXED_ID_MIN = 10 };

struct norm {
    struct slice text;
    size_t at;
    uint64_t hash;
    char last;                      /* what was put last; 0: nothing */
    bool never_closed[QUOTE_KINDS]; /* no closing mark stands ahead, so none is searched again */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
    return is_digit(c) || is_alpha(c);
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char peek(const struct norm *in, size_t ahead)
{
    return ahead < in->text.len - in->at ? in->text.data[in->at + ahead] : '\0';
}

static uint64_t hash_bytes(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)data[i]) * FNV_PRIME;
    return hash;
}

static void put(struct norm *in, char c)
{
    /* Two numbers in a row, and blanks in a row, count once. */
    if ((c == '#' || c == ' ') && in->last == c)
        return;
    in->last = c;
    in->hash = hash_bytes(in->hash, &c, 1);
}

/* Length of what pattern describes, from at+ahead; 0: it is not there. x: hex digit, 9: digit, T:
 * date-time separator. */
static size_t match(const struct norm *in, size_t ahead, const char *pattern)
{
    size_t len = 0;
    for (; pattern[len]; len++) {
        char c = peek(in, ahead + len);
        bool fits = c == pattern[len];
        if (pattern[len] == 'x')
            fits = is_hex(c);
        else if (pattern[len] == '9')
            fits = is_digit(c);
        else if (pattern[len] == 'T')
            fits = c == 'T' || c == 't' || c == ' ';
        if (!fits)
            return 0;
    }
    return len;
}

static size_t uuid_len(const struct norm *in)
{
    size_t len = match(in, 0, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
    return len && !is_alnum(peek(in, len)) ? len : 0;
}

static size_t digits_len(const struct norm *in, size_t ahead)
{
    size_t len = 0;
    while (is_digit(peek(in, ahead + len)))
        len++;
    return len;
}

/* 2026-01-02, 2026-01-02T03:04, with seconds, a fraction and an offset. */
static size_t time_len(const struct norm *in)
{
    size_t len = match(in, 0, "9999-99-99");
    if (len == 0 || match(in, len, "T99:99") == 0)
        return len;
    len += 6;
    len += match(in, len, ":99");
    char c = peek(in, len);
    if ((c == '.' || c == ',') && is_digit(peek(in, len + 1)))
        len += 1 + digits_len(in, len + 1);
    c = peek(in, len);
    if (c == 'Z' || c == 'z')
        return len + 1;
    if (c == '+' || c == '-') {
        size_t colon = match(in, len + 1, "99:99");
        size_t plain = colon ? colon : match(in, len + 1, "9999");
        len += plain ? 1 + plain : 0;
    }
    return len;
}

/* Of the run of letters and digits that begins here. */
static size_t id_len(const struct norm *in)
{
    size_t len = 0;
    size_t changes = 0; /* between letters and digits */
    bool all_hex = true;
    bool any_digit = false;
    for (; is_alnum(peek(in, len)); len++) {
        char c = peek(in, len);
        all_hex = all_hex && is_hex(c);
        any_digit = any_digit || is_digit(c);
        if (len > 0 && is_digit(c) != is_digit(peek(in, len - 1)))
            changes++;
    }
    if (all_hex && any_digit && len >= HEX_ID_MIN)
        return len;
    return changes >= 3 && len >= MIXED_ID_MIN ? len : 0;
}

static size_t address_len(const struct norm *in)
{
    if (peek(in, 0) != '0' || (peek(in, 1) != 'x' && peek(in, 1) != 'X') || !is_hex(peek(in, 2)))
        return 0;
    size_t len = 2;
    while (is_hex(peek(in, len)))
        len++;
    return len;
}

/* What may stand between the digits of one number, of a list of numbers, a time of day or an
 * address with its port. */
static size_t separator_len(const struct norm *in, size_t ahead)
{
    static const struct slice separators[] = {{", ", 2}, {".", 1}, {",", 1},      {":", 1},
                                              {"_", 1},  {"'", 1}, {"\u00a0", 2}, {"\u202f", 3}};
    struct slice rest = {in->text.data + in->at + ahead, in->text.len - in->at - ahead};
    for (size_t i = 0; i < sizeof(separators) / sizeof(separators[0]); i++) {
        if (slice_starts_with(rest, separators[i]) && is_digit(peek(in, ahead + separators[i].len)))
            return separators[i].len;
    }
    return 0;
}

static size_t exponent_len(const struct norm *in, size_t ahead)
{
    if (peek(in, ahead) != 'e' && peek(in, ahead) != 'E')
        return 0;
    size_t sign = peek(in, ahead + 1) == '-' || peek(in, ahead + 1) == '+';
    size_t digits = digits_len(in, ahead + 1 + sign);
    return digits && !is_alpha(peek(in, ahead + 1 + sign + digits)) ? 1 + sign + digits : 0;
}

static size_t number_len(const struct norm *in)
{
    size_t len = digits_len(in, 0);
    for (size_t gap = separator_len(in, len); gap; gap = separator_len(in, len))
        len += gap + digits_len(in, len + gap);
    return len + exponent_len(in, len);
}

static bool after_alnum(const struct norm *in)
{
    return in->at > 0 && is_alnum(in->text.data[in->at - 1]);
}

/* Length of the varying thing that begins here; 0: none does. */
static size_t varying_len(const struct norm *in)
{
    size_t len = 0;
    if (!after_alnum(in)) {
        char c = peek(in, 0);
        if ((c == '-' || c == '+') && is_digit(peek(in, 1)))
            return 1; /* the sign; the number follows and takes its '#' */
        len = uuid_len(in);
        len = len ? len : time_len(in);
        len = len ? len : address_len(in);
        len = len ? len : id_len(in);
    }
    return len ? len : number_len(in);
}

/* An apostrophe is no quote: a single quote opens and closes at the edge of a word only. */
static bool closes_here(const struct norm *in, size_t kind, size_t ahead)
{
    struct slice close = quotes[kind].close;
    struct slice rest = {in->text.data + in->at + ahead, in->text.len - in->at - ahead};
    if (!slice_starts_with(rest, close))
        return false;
    if (in->text.data[in->at + ahead - 1] == '\\')
        return false;
    return close.data[0] != '\'' || !is_alnum(peek(in, ahead + 1));
}

static size_t quoted_len(struct norm *in, size_t kind)
{
    struct slice open = quotes[kind].open;
    struct slice rest = {in->text.data + in->at, in->text.len - in->at};
    if (in->never_closed[kind] || !slice_starts_with(rest, open))
        return 0;
    if (open.data[0] == '\'' && after_alnum(in))
        return 0;
    for (size_t ahead = open.len; ahead < rest.len; ahead++) {
        if (closes_here(in, kind, ahead))
            return ahead + quotes[kind].close.len;
    }
    in->never_closed[kind] = true;
    return 0;
}

static size_t any_quoted_len(struct norm *in)
{
    char c = peek(in, 0);
    if ((unsigned char)c < 0x80 && c != '"' && c != '\'' && c != '`')
        return 0;
    for (size_t kind = 0; kind < QUOTE_KINDS; kind++) {
        size_t len = quoted_len(in, kind);
        if (len)
            return len;
    }
    return 0;
}

static void normalise(struct norm *in)
{
    while (in->at < in->text.len) {
        size_t len;
        if (is_blank(peek(in, 0))) {
            put(in, ' ');
            len = 1;
        } else if ((len = any_quoted_len(in)) > 0) {
            put(in, '$');
        } else if ((len = varying_len(in)) > 0) {
            put(in, '#');
        } else {
            put(in, peek(in, 0));
            len = 1;
        }
        in->at += len;
    }
}

void headers_signature(struct slice route, struct slice code, struct slice detail,
                       char out[HEADERS_SIGNATURE_MAX])
{
    static const char hex[] = "0123456789abcdef";
    uint64_t hash = FNV_BASIS;
    /* Each part ends with a NUL, so that no two triples run together to the same bytes. */
    hash = hash_bytes(hash, route.data, route.len);
    hash = hash_bytes(hash, "", 1);
    hash = hash_bytes(hash, code.data, code.len);
    hash = hash_bytes(hash, "", 1);
    struct norm in = {.text = detail, .hash = hash};
    normalise(&in);
    for (int i = 15; i >= 0; i--) {
        out[i] = hex[in.hash & 15];
        in.hash >>= 4;
    }
    out[16] = '\0';
}
