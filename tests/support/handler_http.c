/* HTTP/1.1 requests out of a connection's bytes: enough for a well-behaved client, strict about
 * what a gateway must never send (a bad head is answered 400 and the connection closed).
 *
 * One request of a connection is worked on at a time. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "handler.h"

static bool span_is(struct span span, const char *text)
{
    return strlen(text) == span.len && strncasecmp(span.data, text, span.len) == 0;
}

struct span http_header(const struct request *req, const char *name)
{
    for (int i = 0; i < req->header_count; i++)
        if (span_is(req->headers[i].name, name))
            return req->headers[i].value;
    return (struct span){NULL, 0};
}

static bool parse_line(struct request *req, struct span line)
{
    const char *first = memchr(line.data, ' ', line.len);
    const char *last = memrchr(line.data, ' ', line.len);

    if (first == NULL || first == last)
        return false;
    req->method = (struct span){line.data, (size_t)(first - line.data)};
    req->path = (struct span){first + 1, (size_t)(last - first - 1)};
    return span_is((struct span){last + 1, (size_t)(line.data + line.len - last - 1)}, "HTTP/1.1");
}

static bool parse_header(struct request *req, struct span line)
{
    const char *colon = memchr(line.data, ':', line.len);
    const char *end = line.data + line.len;
    const char *value = colon + 1;

    if (colon == NULL || colon == line.data || req->header_count == MAX_HEADERS)
        return false;
    for (const char *at = line.data; at < colon; at++)
        if (!isalnum((unsigned char)*at) && strchr("-_.!#$%&'*+^`|~", *at) == NULL)
            return false;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    for (const char *at = value; at < end; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at == 0x7f)
            return false;
    req->headers[req->header_count++] = (struct header){{line.data, (size_t)(colon - line.data)},
                                                        {value, (size_t)(end - value)}};
    return true;
}

static bool parse_head(struct request *req, const char *head, size_t len)
{
    const char *end = head + len;
    bool first = true;

    req->header_count = 0;
    while (head < end) {
        const char *cr = memmem(head, (size_t)(end - head), "\r\n", 2);
        struct span line = {head, (size_t)(cr - head)};

        if (first ? !parse_line(req, line) : !parse_header(req, line))
            return false;
        first = false;
        head = cr + 2;
    }
    return !first;
}

static bool body_length(const struct request *req, size_t *len)
{
    struct span text = http_header(req, "Content-Length");

    *len = 0;
    if (http_header(req, "Transfer-Encoding").data != NULL)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.data[i]) || *len > MAX_BODY_BYTES)
            return false;
        *len = *len * 10 + (size_t)(text.data[i] - '0');
    }
    return *len <= MAX_BODY_BYTES;
}

static void refuse(struct conn *conn)
{
    text_adds(&conn->out, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                          "Connection: close\r\n\r\n");
    conn->close_after = true;
    conn->srv->by_status[400]++;
    conn_send(conn);
}

/* True when one whole request was taken from the input. */
static bool take_request(struct conn *conn)
{
    struct request req;
    const char *start = conn->in.data + conn->in_at;
    size_t have = conn->in.len - conn->in_at;
    const char *end = memmem(start, have, "\r\n\r\n", 4);
    size_t body_len = 0;
    size_t head_len;

    if (end == NULL) {
        if (have > MAX_HEAD_BYTES)
            refuse(conn);
        return false;
    }
    head_len = (size_t)(end - start) + 4;
    if (!parse_head(&req, start, head_len - 2) || !body_length(&req, &body_len)) {
        refuse(conn);
        return false;
    }
    if (have - head_len < body_len)
        return false;
    req.body = (struct span){start + head_len, body_len};
    req.close = span_is(http_header(&req, "Connection"), "close");
    conn->in_at += head_len + body_len;
    if (req.path.len > 1 && req.path.data[1] == '_')
        control_on_request(conn, &req);
    else
        call_begin(conn, &req);
    return true;
}

void http_on_input(struct conn *conn)
{
    while (!conn->dead && conn->call == NULL && !conn->close_after && !conn->reset_after &&
           conn->in_at < conn->in.len && take_request(conn))
        continue;
    if (conn->dead || conn->in_at == 0)
        return;
    memmove(conn->in.data, conn->in.data + conn->in_at, conn->in.len - conn->in_at);
    conn->in.len -= conn->in_at;
    conn->in_at = 0;
}
