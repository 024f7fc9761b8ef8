/* Reading of requests; see request.h. Pure functions on foreign bytes: must not trust a length, and
 * must not decode twice. */
#include "console/request.h"

#include <string.h>
#include <strings.h>

const char *request_method_name(enum request_method method)
{
    static const char *const names[] = {[METHOD_GET] = "GET",
                                        [METHOD_HEAD] = "HEAD",
                                        [METHOD_POST] = "POST",
                                        [METHOD_DELETE] = "DELETE",
                                        [METHOD_OTHER] = "OTHER"};
    return names[method];
}

static bool is_name(struct slice s, const char *name)
{
    return s.len == strlen(name) && strncasecmp(s.data, name, s.len) == 0;
}

struct slice request_header(const struct console_request *req, const char *name)
{
    for (size_t i = 0; i < req->header_count; i++) {
        if (is_name(req->headers[i].name, name))
            return req->headers[i].value;
    }
    return SLICE_NULL;
}

size_t request_header_times(const struct console_request *req, const char *name)
{
    size_t times = 0;
    for (size_t i = 0; i < req->header_count; i++)
        times += is_name(req->headers[i].name, name);
    return times;
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Takes what stands before the separator off *rest; false at the end. */
static bool next_part(struct slice *rest, char separator, struct slice *part)
{
    const char *at;
    if (slice_is_null(*rest))
        return false;
    at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
    if (!at) {
        *part = *rest;
        *rest = SLICE_NULL;
        return true;
    }
    *part = (struct slice){rest->data, (size_t)(at - rest->data)};
    rest->len -= part->len + 1;
    rest->data = at + 1;
    return true;
}

bool request_list_has(struct slice list, const char *element)
{
    struct slice part;
    while (next_part(&list, ',', &part)) {
        if (slice_equal_text(trim(part), element))
            return true;
    }
    return false;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool request_decode(struct buf *out, struct slice s, bool plus_is_blank)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '+' && plus_is_blank) {
            buf_add_char(out, ' ');
        } else if (s.data[i] == '%') {
            int high = s.len - i > 2 ? hex(s.data[i + 1]) : -1;
            int low = s.len - i > 2 ? hex(s.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            buf_add_char(out, (char)(high * 16 + low));
            i += 2;
        } else {
            buf_add_char(out, s.data[i]);
        }
    }
    return true;
}

bool request_next_pair(struct slice *query, struct slice *name, struct slice *value)
{
    struct slice pair;
    do {
        if (!next_part(query, '&', &pair))
            return false;
    } while (pair.len == 0);
    *value = pair;
    (void)next_part(value, '=', name);
    if (slice_is_null(*value))
        *value = SLICE_LIT("");
    return true;
}

bool request_next_segment(struct slice *path, struct slice *segment)
{
    if (path->len == 0 || path->data[0] != '/')
        return false;
    path->data++;
    path->len--;
    const char *at = path->len ? memchr(path->data, '/', path->len) : NULL;
    *segment = (struct slice){path->data, at ? (size_t)(at - path->data) : path->len};
    path->data += segment->len;
    path->len -= segment->len;
    return true;
}
