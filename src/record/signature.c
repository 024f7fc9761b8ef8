/*
 * The signature of a failure: what stays the same when the same thing goes wrong for another
 * record, another user, at another time; and a title by the same rules. Declared in
 * record/headers.h. Its value is written into dead letters and grouped by, so these rules are a
 * format: changing one splits every group that it touches in two.
 *
 * The detail is read once. What varies (vary.h) becomes one '#', quoted text one '$', runs of
 * blanks one blank. A duration is '#s', a size '#B', an ordinal '#th', whatever its unit was. The
 * rest is hashed as it is, by FNV-1a (Fowler, Noll and Vo: 64-bit offset basis and prime).
 *
 * Some things that look as if they varied tell failures apart, and are kept: the status of an HTTP
 * answer and other codes that are called so, the names of members in JSON, and the values of those
 * members that say what went wrong. JSON is looked at as text goes by: error messages bring it
 * whole, cut off, amid prose, and in the dialects of several languages.
 */
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"
#include "record/headers.h"
#include "record/vary.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

enum { JSON_DEPTH_MAX = 32, NAME_MAX_LEN = 40, NESTED_MAX = 4 };

/* Where it goes: into a hash, and for a title into text. */
struct sink {
    uint64_t hash;
    char last;   /* what was put last; 0: nothing */
    char *title; /* NULL: none is wanted */
    size_t len, size;
};

struct norm {
    struct vary in;
    struct sink *out;
    int nested;       /* within how many strings of JSON */
    unsigned depth;   /* of JSON; 0: prose */
    uint32_t objects; /* bit n: what is open at depth n is an object, else an array */
    bool name_next;   /* a member's name may come */
    bool telling;     /* the member's value says what went wrong */
};

static uint64_t hash_bytes(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)data[i]) * FNV_PRIME;
    return hash;
}

static void put_title(struct sink *out, const char *text, size_t len)
{
    if (out->title == NULL || len > out->size - 1 - out->len)
        return;
    memcpy(out->title + out->len, text, len);
    out->len += len;
}

/* Two numbers in a row, and blanks in a row, count once. */
static void put_as(struct sink *out, char c, const char *title)
{
    if ((c == '#' || c == ' ') && out->last == c)
        return;
    out->last = c;
    out->hash = hash_bytes(out->hash, &c, 1);
    put_title(out, title, strlen(title));
}

static void put(struct sink *out, char c)
{
    char text[2] = {c, '\0'};

    put_as(out, c, text);
}

static void put_run(struct sink *out, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        put(out, data[i]);
}

static void put_varying(struct sink *out, enum vary_kind kind)
{
    switch (kind) {
    case VARY_NOTHING:
        break;
    case VARY_NUMBER:
        put_as(out, '#', "<n>");
        break;
    case VARY_ID:
        put_as(out, '#', "<id>");
        break;
    case VARY_TIME:
        put_as(out, '#', "<time>");
        break;
    case VARY_EMAIL:
        put_as(out, '#', "<email>");
        break;
    case VARY_DURATION:
        put_as(out, '#', "<n>");
        put(out, 's');
        break;
    case VARY_SIZE:
        put_as(out, '#', "<n>");
        put_as(out, 'B', " B");
        break;
    case VARY_ORDINAL:
        put_as(out, '#', "<n>");
        put_run(out, "th", 2);
        break;
    case VARY_QUOTED:
        put_as(out, '$', "\"\u2026\"");
        break;
    }
}

/* ---- what is kept ---- */

/* A name without case and separators: "Status_Code", "statusCode". */
static bool is_named(struct slice name, const char *const *names, size_t count)
{
    char plain[NAME_MAX_LEN + 1];
    size_t len = 0;

    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        if (c == '_' || c == '-' || c == ' ')
            continue;
        if (len == NAME_MAX_LEN)
            return false;
        plain[len++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    plain[len] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (strcmp(plain, names[i]) == 0)
            return true;
    }
    return false;
}
#define IS_NAMED(name, names) is_named(name, names, sizeof(names) / sizeof((names)[0]))

static bool is_telling(struct slice name)
{
    static const char *const names[] = {"error",
                                        "errors",
                                        "err",
                                        "code",
                                        "errorcode",
                                        "errcode",
                                        "type",
                                        "errortype",
                                        "status",
                                        "statuscode",
                                        "title",
                                        "reason",
                                        "message",
                                        "errormessage",
                                        "msg",
                                        "detail",
                                        "details",
                                        "description",
                                        "exception",
                                        "class",
                                        "kind",
                                        "category",
                                        "cause",
                                        "fault",
                                        "faultcode",
                                        "faultstring",
                                        "sqlstate",
                                        "declinecode",
                                        "errordescription",
                                        "field",
                                        "param",
                                        "parameter",
                                        "property",
                                        "reasoncode",
                                        "errno",
                                        "resultcode",
                                        "severity",
                                        "constraint"};

    return IS_NAMED(name, names);
}

/* The word before the number at in->at: of letters, '_' and '-', behind which at most a few marks
 * stand. *begin: where it begins. */
static struct slice word_before(const struct vary *in, size_t end, size_t *begin)
{
    const char *text = in->text.data;
    size_t stop = end > 4 ? end - 4 : 0;

    while (end > stop && strchr(" :=([#", text[end - 1]))
        end--;
    *begin = end;
    while (*begin > 0 && end - *begin < NAME_MAX_LEN &&
           (vary_is_alpha(text[*begin - 1]) || text[*begin - 1] == '_' || text[*begin - 1] == '-'))
        (*begin)--;
    return (struct slice){text + *begin, end - *begin};
}

/* "HTTP/1.1 502" */
static bool is_after_http_version(const struct vary *in)
{
    size_t at = in->at;
    const char *text = in->text.data;

    if (at == 0 || text[at - 1] != ' ')
        return false;
    at--;
    while (at > 0 && in->at - at < 6 && (vary_is_digit(text[at - 1]) || text[at - 1] == '.'))
        at--;
    return at >= 5 && strncasecmp(text + at - 5, "HTTP/", 5) == 0;
}

/* Whether the plain number of len digits that comes is a code that tells failures apart. */
static bool is_code(const struct vary *in, size_t len)
{
    static const char *const status[] = {"status",         "statuscode", "httpstatus",
                                         "httpstatuscode", "http",       "httpcode"};
    static const char *const codes[] = {"errorcode",    "errcode",    "exitcode",   "exitstatus",
                                        "responsecode", "resultcode", "returncode", "reasoncode"};
    static const char *const first[] = {"error",  "exit",   "response", "result",
                                        "return", "reason", "status",   "http"};
    size_t begin, before;
    struct slice word, word_before_it;
    bool like_status = len == 3 && vary_peek(in, 0) >= '1' && vary_peek(in, 0) <= '5';

    for (size_t i = 0; i < len; i++) {
        if (!vary_is_digit(vary_peek(in, i)))
            return false;
    }
    if (len == 0 || len > 6 || vary_peek(in, len) == '%')
        return false;
    if (like_status && is_after_http_version(in))
        return true;
    word = word_before(in, in->at, &begin);
    if (begin == in->at)
        return false;
    if ((like_status && IS_NAMED(word, status)) || IS_NAMED(word, codes))
        return true;
    if (!slice_equal_text(word, "code") && !slice_equal_text(word, "status"))
        return false;
    word_before_it = word_before(in, begin, &before);
    return before < begin && IS_NAMED(word_before_it, first);
}

/* "1 error", "2 errors": *len grows by what is read; the plural is put. */
static void put_counted(struct norm *norm, size_t len)
{
    static const char *const nouns[] = {"attempt", "error",     "record",   "row",       "item",
                                        "byte",    "second",    "minute",   "hour",      "day",
                                        "time",    "character", "argument", "parameter", "element",
                                        "problem", "failure",   "message"};
    struct vary *in = &norm->in;
    struct slice noun = {in->text.data + in->at + 2, 0};

    if (len != 1 || vary_peek(in, 0) != '1' || vary_peek(in, 1) != ' ')
        return;
    while (noun.len < NAME_MAX_LEN && vary_is_alpha(vary_peek(in, 2 + noun.len)))
        noun.len++;
    if (noun.len == 0 || !IS_NAMED(noun, nouns))
        return;
    put(norm->out, ' ');
    put_run(norm->out, noun.data, noun.len);
    put(norm->out, 's');
    in->at += 1 + noun.len;
}

/* ---- JSON, and what looks like it ---- */

static void normalise(struct slice text, struct sink *out, int nested);

static size_t blanks(const struct vary *in, size_t ahead)
{
    size_t len = 0;

    while (len < 200 && vary_is_blank(vary_peek(in, ahead + len)))
        len++;
    return len;
}

/* The end of the string that begins at ahead, behind its closing mark; the text's end where it is
 * cut off. */
static size_t string_end(const struct vary *in, size_t ahead, size_t limit)
{
    char mark = vary_peek(in, ahead);
    size_t rest = in->text.len - in->at;

    for (size_t i = ahead + 1; i < rest && i - ahead < limit; i++) {
        if (vary_peek(in, i) == '\\')
            i++;
        else if (vary_peek(in, i) == mark)
            return i + 1;
    }
    return rest;
}

/* A name with its colon (or =>) from ahead on, quoted or bare: its length without what follows; 0:
 * none is there. */
static size_t member_len(const struct vary *in, size_t ahead, struct slice *name)
{
    char c = vary_peek(in, ahead);
    size_t len = 0, colon;

    if (c == '"' || c == '\'') {
        len = string_end(in, ahead, NAME_MAX_LEN + 2) - ahead;
        if (len < 2 || len > NAME_MAX_LEN + 2 || vary_peek(in, ahead + len - 1) != c)
            return 0;
        *name = (struct slice){in->text.data + in->at + ahead + 1, len - 2};
    } else {
        while (len < NAME_MAX_LEN &&
               (vary_is_alnum(vary_peek(in, ahead + len)) || vary_peek(in, ahead + len) == '_'))
            len++;
        if (len == 0 || vary_is_digit(c))
            return 0;
        *name = (struct slice){in->text.data + in->at + ahead, len};
    }
    colon = ahead + len + blanks(in, ahead + len);
    if (vary_peek(in, colon) == ':' && vary_peek(in, colon + 1) != ':')
        return len;
    return vary_peek(in, colon) == '=' && vary_peek(in, colon + 1) == '>' ? len : 0;
}

static bool opens_object(const struct vary *in)
{
    struct slice name;

    return vary_peek(in, 0) == '{' && member_len(in, 1 + blanks(in, 1), &name) > 0;
}

static void json_open(struct norm *norm, bool object)
{
    norm->depth++;
    norm->objects = object ? norm->objects | UINT32_C(1) << (norm->depth - 1)
                           : norm->objects & ~(UINT32_C(1) << (norm->depth - 1));
    norm->name_next = object;
}

static bool in_object(const struct norm *norm)
{
    return norm->objects >> (norm->depth - 1) & 1;
}

/* Values of an array are so many today and so many tomorrow: a run of one kind counts once. */
static bool json_comma(struct norm *norm)
{
    const struct vary *in = &norm->in;
    char next = vary_peek(in, 1 + blanks(in, 1));

    if (in_object(norm)) {
        norm->name_next = true;
        return false;
    }
    return (norm->out->last == '$' && (next == '"' || next == '\'')) ||
           (norm->out->last == '#' && (vary_is_digit(next) || next == '-'));
}

/* A name, or a string as a value. */
static size_t json_string(struct norm *norm)
{
    struct vary *in = &norm->in;
    size_t end = string_end(in, 0, SIZE_MAX);
    struct slice content = {in->text.data + in->at + 1, end - 1};
    char mark = vary_peek(in, 0);

    if (content.len > 0 && in->text.data[in->at + end - 1] == mark)
        content.len--;
    if (norm->telling && norm->nested < NESTED_MAX) {
        put(norm->out, mark);
        normalise(content, norm->out, norm->nested + 1);
        put(norm->out, mark);
    } else if (norm->out->last != '$') {
        put_varying(norm->out, VARY_QUOTED);
    }
    return end;
}

static size_t json_name(struct norm *norm)
{
    struct slice name;
    size_t len = member_len(&norm->in, 0, &name);
    char mark = vary_peek(&norm->in, 0);

    if (len == 0)
        return 0;
    norm->name_next = false;
    norm->telling = is_telling(name);
    if (len > name.len)
        put(norm->out, mark);
    normalise(name, norm->out, NESTED_MAX);
    if (len > name.len)
        put(norm->out, mark);
    return len;
}

/* What JSON has its own way with; 0: it is read as prose is. */
static size_t json_len(struct norm *norm)
{
    struct vary *in = &norm->in;
    char c = vary_peek(in, 0);
    size_t len;

    if (norm->depth == 0 ? opens_object(in) : c == '{' && norm->depth < JSON_DEPTH_MAX) {
        put(norm->out, c);
        json_open(norm, true);
        return 1;
    }
    if (norm->depth == 0)
        return 0;
    if (norm->name_next && (len = json_name(norm)) > 0)
        return len;
    if (c == '[' && norm->depth < JSON_DEPTH_MAX) {
        put(norm->out, c);
        json_open(norm, false);
        return 1;
    }
    if (c == '}' || c == ']') {
        put(norm->out, c);
        norm->depth--;
        return 1;
    }
    if (c == ',' && json_comma(norm))
        return 1 + blanks(in, 1);
    return c == '"' || c == '\'' ? json_string(norm) : 0;
}

/* ---- prose ---- */

/* "['a', 'b']" and "['a']": quoted text of a list in brackets counts once. From in->at on, behind
 * the first one. */
static size_t more_quoted_len(const struct norm *norm, size_t first)
{
    struct vary ahead = norm->in;
    struct slice content;
    size_t len = first;

    if (norm->out->last != '[' && norm->out->last != '(' && norm->out->last != '{')
        return first;
    for (int i = 0; i < 100; i++) {
        size_t next;

        ahead.at = norm->in.at + len;
        if (vary_peek(&ahead, 0) != ',')
            break;
        next = 1 + blanks(&ahead, 1);
        ahead.at += next;
        next = ahead.at < ahead.text.len ? vary_quoted_len(&ahead, &content) : 0;
        if (next == 0)
            break;
        len = ahead.at + next - norm->in.at;
    }
    return len;
}

/* PostgreSQL's "Key (email)=(bob) already exists": from the second bracket on. */
static size_t key_value_len(const struct vary *in)
{
    const char *close;
    size_t rest = in->text.len - in->at;

    if (vary_peek(in, 0) != '(' || in->at < 2 || in->text.data[in->at - 1] != '=' ||
        in->text.data[in->at - 2] != ')')
        return 0;
    close = memmem(in->text.data + in->at, rest < 1000 ? rest : 1000, ") ", 2);
    if (close == NULL && rest > 1 && rest < 1000 && in->text.data[in->text.len - 1] == ')')
        close = in->text.data + in->text.len - 1;
    return close ? (size_t)(close - (in->text.data + in->at)) + 1 : 0;
}

/* The query of a URL, with its question mark. */
static size_t query_len(const struct vary *in)
{
    size_t len = 1;

    if (vary_peek(in, 0) != '?')
        return 0;
    while (len < NAME_MAX_LEN && (vary_is_alnum(vary_peek(in, len)) ||
                                  (vary_peek(in, len) && strchr("_.%[]-", vary_peek(in, len)))))
        len++;
    if (len == 1 || vary_peek(in, len) != '=')
        return 0;
    while (vary_peek(in, len) && !vary_is_blank(vary_peek(in, len)) &&
           !strchr("\"'`)>]", vary_peek(in, len)))
        len++;
    while (len > 1 && strchr(":,.;", vary_peek(in, len - 1)))
        len--;
    return len;
}

static size_t prose_quoted(struct norm *norm)
{
    struct slice content;
    size_t len = vary_quoted_len(&norm->in, &content);

    if (len == 0)
        return 0;
    len = more_quoted_len(norm, len);
    put_varying(norm->out, VARY_QUOTED);
    return len;
}

/* A separator before a number is taken with it, and shown. */
static void put_number(struct norm *norm, size_t len)
{
    struct vary in = norm->in;
    char title[8] = "";
    size_t lead = 0;

    while (lead < len && lead < 4 &&
           (vary_peek(&in, lead) & 0x80 ||
            (vary_peek(&in, lead) && strchr(".,:_' ", vary_peek(&in, lead)))))
        lead++;
    if (vary_peek(&in, 0) & 0x80)
        lead = 0; /* digits of another script */
    in.at += lead;
    if (is_code(&in, len - lead) ||
        (norm->depth > 0 && norm->telling && len - lead <= 6 && lead < len)) {
        put_run(norm->out, norm->in.text.data + norm->in.at, len);
        return;
    }
    memcpy(title, norm->in.text.data + norm->in.at, lead);
    memcpy(title + lead, "<n>", 4);
    put_as(norm->out, '#', title);
    put_counted(norm, len);
}

static size_t prose_varying(struct norm *norm)
{
    enum vary_kind kind;
    size_t len = vary_len(&norm->in, &kind);

    if (len == 0)
        return 0;
    if (kind == VARY_NUMBER)
        put_number(norm, len);
    else
        put_varying(norm->out, kind);
    return len;
}

static size_t special_len(struct norm *norm)
{
    size_t len = key_value_len(&norm->in);

    if (len > 0) {
        put(norm->out, '(');
        put_varying(norm->out, VARY_NUMBER);
        put(norm->out, ')');
        return len;
    }
    len = query_len(&norm->in);
    if (len > 0) {
        put(norm->out, '?');
        put_varying(norm->out, VARY_ID);
    }
    return len;
}

static void normalise(struct slice text, struct sink *out, int nested)
{
    struct norm norm = {.in = {.text = text}, .out = out, .nested = nested};

    while (norm.in.at < text.len) {
        size_t len;

        if (vary_is_blank(vary_peek(&norm.in, 0))) {
            put(out, ' ');
            len = 1;
        } else if ((len = nested < NESTED_MAX ? json_len(&norm) : 0) == 0 &&
                   (len = prose_quoted(&norm)) == 0 && (len = special_len(&norm)) == 0 &&
                   (len = prose_varying(&norm)) == 0) {
            put(out, vary_peek(&norm.in, 0));
            len = 1;
        }
        norm.in.at += len;
    }
}

void headers_signature(struct slice route, struct slice code, struct slice detail,
                       char out[HEADERS_SIGNATURE_MAX])
{
    static const char hex[] = "0123456789abcdef";
    struct sink sink = {.hash = FNV_BASIS};

    /* Each part ends with a NUL, so that no two triples run together to the same bytes. */
    sink.hash = hash_bytes(sink.hash, route.data, route.len);
    sink.hash = hash_bytes(sink.hash, "", 1);
    sink.hash = hash_bytes(sink.hash, code.data, code.len);
    sink.hash = hash_bytes(sink.hash, "", 1);
    normalise(detail, &sink, 0);
    for (int i = 15; i >= 0; i--) {
        out[i] = hex[sink.hash & 15];
        sink.hash >>= 4;
    }
    out[16] = '\0';
}

/* What a terminal or a page must not be given as it is. */
static void clean(char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t whole = utf8_char_len(text + i, len - i);

        if (whole == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f ||
            (whole == 2 && (unsigned char)text[i] == 0xc2 && (unsigned char)text[i + 1] < 0xa0))
            text[i] = '?';
        if (whole == 2 && text[i] == '?')
            text[i + 1] = '?';
        i += whole ? whole : 1;
    }
}

void headers_signature_title(struct slice code, struct slice detail, char out[HEADERS_TITLE_MAX])
{
    static const char more[] = "\u2026";
    /* Room for one piece too much tells that there is more. */
    char text[HEADERS_TITLE_MAX + 16];
    struct sink sink = {.title = text, .size = sizeof(text)};
    size_t len = HEADERS_TITLE_MAX - sizeof(more);

    put_title(&sink, code.data ? code.data : "", code.len < len ? code.len : len);
    if (code.len > 0 && detail.len > 0)
        put_title(&sink, ": ", 2);
    normalise(detail, &sink, 0);
    while (sink.len > 0 && text[sink.len - 1] == ' ')
        sink.len--;
    if (sink.len <= len)
        len = sink.len;
    else
        len = utf8_cut(text, sink.len, len);
    memcpy(out, text, len);
    clean(out, len);
    if (len < sink.len) {
        memcpy(out + len, more, sizeof(more) - 1);
        len += sizeof(more) - 1;
    }
    out[len] = '\0';
}
