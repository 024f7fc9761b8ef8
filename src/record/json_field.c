/*
 * A recursive descent over JSON text that remembers where the wanted members stand.
 *
 * Why not a JSON library: those at hand clamp or round numbers beyond 64 bits, cut member names at
 * U+0000, and build a tree for every record to read two members of it. Here a number keeps its
 * digits and the cost is one pass over the value.
 *
 * Each field carries the rest of its pointer along the descent: "" where the value at hand is the
 * wanted one, NULL where the value is off its path. Depth is bounded, so the recursion is.
 */
#include "record/json_field.h"

#include <assert.h>
#include <stdint.h>

struct scan {
    const char *at;
    const char *end;
    struct json_field *fields;
    size_t count;
    int depth_max;
};

struct path {
    const char *rest[JSON_FIELDS_MAX];
};

static bool scan_value(struct scan *scan, const struct path *path, int depth);

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool take(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static bool take_word(struct scan *scan, struct slice word)
{
    struct slice rest = {scan->at, (size_t)(scan->end - scan->at)};
    if (!slice_starts_with(rest, word))
        return false;
    scan->at += word.len;
    return true;
}

static bool take_digits(struct scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && is_digit(*scan->at))
        scan->at++;
    return scan->at > start;
}

static bool scan_number(struct scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan))
        return false;
    if (take(scan, '.') && !take_digits(scan))
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        return take_digits(scan);
    }
    return true;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* After a backslash. */
static bool scan_escape(struct scan *scan)
{
    if (scan->at == scan->end)
        return false;
    char c = *scan->at++;
    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c);
    for (int i = 0; i < 4; i++) {
        if (scan->at == scan->end || hex_digit(*scan->at++) < 0)
            return false;
    }
    return true;
}

/* From the opening quote; *raw is what stands between the quotes. */
static bool scan_string(struct scan *scan, struct slice *raw)
{
    if (!take(scan, '"'))
        return false;
    const char *start = scan->at;
    while (scan->at < scan->end) {
        char c = *scan->at++;
        if (c == '"') {
            *raw = (struct slice){start, (size_t)(scan->at - 1 - start)};
            return true;
        }
        if ((unsigned char)c < 0x20)
            return false;
        if (c == '\\' && !scan_escape(scan))
            return false;
    }
    return false;
}

static uint32_t four_hex(const char *p)
{
    uint32_t n = 0;
    for (int i = 0; i < 4; i++)
        n = n << 4 | (uint32_t)hex_digit(p[i]);
    return n;
}

static size_t encode_utf8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[len] | code);
    return len;
}

/* After "\u" of a string that was scanned: the code point of one escape or of a pair; false for
 * half a pair. */
static bool decode_unicode(const char **at, const char *end, uint32_t *code)
{
    *code = four_hex(*at);
    *at += 4;
    if (*code < 0xd800 || *code > 0xdfff)
        return true;
    if (*code > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return false;
    uint32_t low = four_hex(*at + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return false;
    *at += 6;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* Takes the next character, or byte, off the inside of a string that was scanned. Returns its
 * bytes' count; 0: half a pair. */
static size_t decode_next(const char **at, const char *end, char out[4])
{
    static const char letters[] = "bfnrt";
    static const char controls[] = "\b\f\n\r\t";
    char c = *(*at)++;
    if (c != '\\') {
        out[0] = c;
        return 1;
    }
    c = *(*at)++;
    if (c == 'u') {
        uint32_t code;
        return decode_unicode(at, end, &code) ? encode_utf8(code, out) : 0;
    }
    const char *letter = strchr(letters, c);
    out[0] = letter ? controls[letter - letters] : c;
    return 1;
}

bool json_string_bytes(struct slice raw, struct buf *store, struct slice *out)
{
    if (raw.len == 0 || !memchr(raw.data, '\\', raw.len)) {
        *out = raw;
        return true;
    }
    assert(store->cap - store->len > raw.len); /* a string never grows by decoding */
    size_t start = store->len;
    for (const char *at = raw.data, *end = raw.data + raw.len; at < end;) {
        char bytes[4];
        size_t len = decode_next(&at, end, bytes);
        if (len == 0)
            return false;
        buf_add(store, bytes, len);
    }
    *out = (struct slice){store->data + start, store->len - start};
    return true;
}

/* The next byte of a pointer's segment, with ~0 and ~1 taken back; '\0' at the segment's end. */
static char segment_next(const char **rest)
{
    char c = **rest;
    if (c == '\0' || c == '/')
        return '\0';
    ++*rest;
    if (c == '~' && (**rest == '0' || **rest == '1'))
        return *(*rest)++ == '0' ? '~' : '/';
    return c;
}

static bool segment_ended(const char *rest)
{
    return *rest == '\0' || *rest == '/';
}

/* The pointer behind its first segment if that segment is the member's name, else NULL. */
static const char *match_name(const char *rest, struct slice raw)
{
    if (!rest || *rest != '/')
        return NULL;
    rest++;
    for (const char *at = raw.data, *end = raw.data + raw.len; at < end;) {
        char bytes[4];
        size_t len = decode_next(&at, end, bytes);
        if (len == 0)
            return NULL;
        for (size_t i = 0; i < len; i++) {
            if (segment_ended(rest) || segment_next(&rest) != bytes[i])
                return NULL;
        }
    }
    return segment_ended(rest) ? rest : NULL;
}

/* The same for an array's index: decimal, no leading zero. */
static const char *match_index(const char *rest, size_t index)
{
    if (!rest || *rest != '/')
        return NULL;
    rest++;
    if (!is_digit(*rest) || (*rest == '0' && is_digit(rest[1])))
        return NULL;
    size_t n = 0;
    for (; is_digit(*rest); rest++) {
        if (n > (SIZE_MAX - 9) / 10)
            return NULL;
        n = n * 10 + (size_t)(*rest - '0');
    }
    return segment_ended(rest) && n == index ? rest : NULL;
}

/* A member of this name comes: it replaces an earlier one, with all that was found inside. */
static void forget_earlier(struct scan *scan, const struct path *path)
{
    for (size_t i = 0; i < scan->count; i++) {
        if (path->rest[i])
            scan->fields[i].kind = JSON_ABSENT;
    }
}

static bool scan_object(struct scan *scan, const struct path *path, int depth)
{
    if (depth == scan->depth_max || !take(scan, '{'))
        return false;
    skip_blanks(scan);
    if (take(scan, '}'))
        return true;
    do {
        struct slice name;
        struct path inner = {{NULL}};
        skip_blanks(scan);
        if (!scan_string(scan, &name))
            return false;
        for (size_t i = 0; i < scan->count; i++)
            inner.rest[i] = match_name(path->rest[i], name);
        forget_earlier(scan, &inner);
        skip_blanks(scan);
        if (!take(scan, ':') || !scan_value(scan, &inner, depth + 1))
            return false;
        skip_blanks(scan);
    } while (take(scan, ','));
    return take(scan, '}');
}

static bool scan_array(struct scan *scan, const struct path *path, int depth)
{
    if (depth == scan->depth_max || !take(scan, '['))
        return false;
    skip_blanks(scan);
    if (take(scan, ']'))
        return true;
    size_t index = 0;
    do {
        struct path inner = {{NULL}};
        for (size_t i = 0; i < scan->count; i++)
            inner.rest[i] = match_index(path->rest[i], index);
        if (!scan_value(scan, &inner, depth + 1))
            return false;
        skip_blanks(scan);
        index++;
    } while (take(scan, ','));
    return take(scan, ']');
}

static bool scan_any(struct scan *scan, const struct path *path, int depth, enum json_kind *kind,
                     struct slice *raw)
{
    switch (scan->at < scan->end ? *scan->at : '\0') {
    case '{':
        *kind = JSON_OBJECT;
        return scan_object(scan, path, depth);
    case '[':
        *kind = JSON_ARRAY;
        return scan_array(scan, path, depth);
    case '"':
        *kind = JSON_STRING;
        return scan_string(scan, raw);
    case 't':
        *kind = JSON_BOOL;
        return take_word(scan, SLICE_LIT("true"));
    case 'f':
        *kind = JSON_BOOL;
        return take_word(scan, SLICE_LIT("false"));
    case 'n':
        *kind = JSON_NULL;
        return take_word(scan, SLICE_LIT("null"));
    default:
        *kind = JSON_NUMBER;
        return scan_number(scan);
    }
}

static bool scan_value(struct scan *scan, const struct path *path, int depth)
{
    skip_blanks(scan);
    const char *start = scan->at;
    enum json_kind kind;
    struct slice raw = SLICE_NULL;
    if (!scan_any(scan, path, depth, &kind, &raw))
        return false;
    if (kind != JSON_STRING)
        raw = (struct slice){start, (size_t)(scan->at - start)};
    for (size_t i = 0; i < scan->count; i++) {
        if (path->rest[i] && *path->rest[i] == '\0') {
            scan->fields[i].kind = kind;
            scan->fields[i].raw = raw;
        }
    }
    return true;
}

bool json_find(struct slice text, struct json_field *fields, size_t count)
{
    assert(count <= JSON_FIELDS_MAX);
    struct path path = {{NULL}};
    for (size_t i = 0; i < count; i++) {
        fields[i].kind = JSON_ABSENT;
        fields[i].raw = SLICE_NULL;
        path.rest[i] = fields[i].pointer;
    }
    if (slice_is_null(text))
        return false;

    struct scan scan = {text.data, text.data + text.len, fields, count, JSON_DEPTH_MAX};
    take_word(&scan, SLICE_LIT("\xef\xbb\xbf"));
    bool ok = scan_value(&scan, &path, 0);
    skip_blanks(&scan);
    if (ok && scan.at == scan.end)
        return true;
    for (size_t i = 0; i < count; i++)
        fields[i].kind = JSON_ABSENT;
    return false;
}

bool json_check(struct slice text, int depth_max, size_t *at)
{
    static const struct path nothing;
    struct scan scan = {text.data, text.data + text.len, NULL, 0, depth_max};
    bool ok = scan_value(&scan, &nothing, 0);
    skip_blanks(&scan);
    *at = (size_t)(scan.at - text.data);
    return ok && scan.at == scan.end;
}

void json_walk_begin(struct json_walk *walk, struct slice text)
{
    struct scan scan = {text.data, text.data + text.len, NULL, 0, JSON_DEPTH_MAX};
    skip_blanks(&scan);
    walk->begun = false;
    walk->is_object = take(&scan, '{');
    walk->at = walk->is_object || take(&scan, '[') ? scan.at : scan.end;
    walk->end = scan.end;
}

bool json_walk_next(struct json_walk *walk, struct slice *name, struct slice *value)
{
    static const struct path nothing;
    struct scan scan = {walk->at, walk->end, NULL, 0, JSON_DEPTH_MAX};
    walk->at = walk->end; /* unless there is one more */
    *name = SLICE_NULL;
    skip_blanks(&scan);
    if (walk->begun && !take(&scan, ','))
        return false;
    skip_blanks(&scan);
    if (walk->is_object) {
        if (!scan_string(&scan, name))
            return false;
        skip_blanks(&scan);
        if (!take(&scan, ':'))
            return false;
        skip_blanks(&scan);
    }
    const char *start = scan.at;
    if (!scan_value(&scan, &nothing, 1))
        return false;
    *value = (struct slice){start, (size_t)(scan.at - start)};
    walk->at = scan.at;
    walk->begun = true;
    return true;
}
