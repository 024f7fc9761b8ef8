/*
 * Plain answers; see http_plain.h. Strict on purpose: a byte that the parser might see with other
 * eyes is a reason to ask it. Must not: give an answer that the parser refuses or reads otherwise
 * (a test and the fuzzer feed both the same bytes).
 */
#include "handler/http_plain.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Far below the parser's limits, so that none of them is met here. */
#define HEAD_MAX   4096
#define LINES_MAX  32
#define LENGTH_MAX 9 /* digits of Content-Length */

/* What a header line is here, beside the known ones. */
enum { LINE_OTHER = HTTP_KNOWN_HEADERS, LINE_LENGTH, LINE_NOT_PLAIN };

/* Where the answer is read. */
struct reading {
    const char *at, *end;
    bool has_length;
    size_t length;
};

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

static bool is_name_char(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || c == '-' || (c >= '0' && c <= '9');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take(struct reading *in, const char *text, size_t len)
{
    if ((size_t)(in->end - in->at) < len || memcmp(in->at, text, len) != 0)
        return false;
    in->at += len;
    return true;
}

/* What is left of the line, without its end. */
static bool take_line(struct reading *in, struct slice *out)
{
    const char *at = in->at;

    while (at < in->end && is_printable(*at))
        at++;
    *out = (struct slice){in->at, (size_t)(at - in->at)};
    in->at = at;
    return take(in, "\r\n", 2);
}

static bool take_status(struct reading *in, int *status)
{
    struct slice reason;

    if (!take(in, "HTTP/1.1 ", 9) || in->end - in->at < 4)
        return false;
    if (in->at[0] < '2' || in->at[0] > '5' || !is_digit(in->at[1]) || !is_digit(in->at[2]) ||
        in->at[3] != ' ')
        return false;
    *status = (in->at[0] - '0') * 100 + (in->at[1] - '0') * 10 + (in->at[2] - '0');
    in->at += 4;
    return take_line(in, &reason);
}

static int kind_of(struct slice name)
{
    static const struct {
        struct slice name;
        int kind;
    } kinds[] = {
        {SLICE_INIT("content-length"), LINE_LENGTH},
        {SLICE_INIT("content-type"), HTTP_HEADER_CONTENT_TYPE},
        {SLICE_INIT("retry-after"), HTTP_HEADER_RETRY_AFTER},
        {SLICE_INIT("oncegate-outcome"), HTTP_HEADER_OUTCOME},
        {SLICE_INIT("oncegate-error-code"), HTTP_HEADER_ERROR_CODE},
        {SLICE_INIT("connection"), LINE_NOT_PLAIN},
        {SLICE_INIT("proxy-connection"), LINE_NOT_PLAIN},
        {SLICE_INIT("transfer-encoding"), LINE_NOT_PLAIN},
        {SLICE_INIT("upgrade"), LINE_NOT_PLAIN},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (name.len == kinds[i].name.len &&
            strncasecmp(name.data, kinds[i].name.data, name.len) == 0)
            return kinds[i].kind;
    }
    return LINE_OTHER;
}

static bool set_length(struct reading *in, struct slice value)
{
    if (in->has_length || value.len == 0 || value.len > LENGTH_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.data[i]))
            return false;
        in->length = in->length * 10 + (size_t)(value.data[i] - '0');
    }
    in->has_length = true;
    return true;
}

static bool take_header(struct reading *in, struct http_plain *out)
{
    struct slice name = {in->at, 0}, value;

    while (in->at < in->end && is_name_char(*in->at))
        in->at++;
    name.len = (size_t)(in->at - name.data);
    if (name.len == 0 || !take(in, ": ", 2) || !take_line(in, &value))
        return false;
    int kind = kind_of(name);
    if (kind == LINE_OTHER)
        return true;
    if (kind == LINE_LENGTH)
        return set_length(in, value);
    if (kind == LINE_NOT_PLAIN || !slice_is_null(out->values[kind]) || value.len == 0 ||
        value.len > HTTP_HEADER_KEPT_MAX)
        return false;
    out->values[kind] = value;
    return true;
}

bool http_plain_read(const char *data, size_t len, struct http_plain *out)
{
    struct reading in = {.at = data, .end = data + (len < HEAD_MAX ? len : HEAD_MAX)};

    memset(out->values, 0, sizeof(out->values));
    if (!take_status(&in, &out->status))
        return false;
    for (int lines = 0; !take(&in, "\r\n", 2); lines++) {
        if (lines == LINES_MAX || !take_header(&in, out))
            return false;
    }
    /* Of a 204 or 304 the length is no body's. */
    if (!in.has_length || out->status == 204 || out->status == 304)
        return false;
    out->body = (struct slice){in.at, in.length};
    return (size_t)(data + len - in.at) == in.length;
}
