/*
 * Makes a request out of bytes. The parser is fed in place; it is paused at the end of a request,
 * so that what follows stays unread until this one is answered. Refused, each with its status: what
 * has a body of unknown length, wants to be asked for it, is longer than the limits, names its host
 * twice or not at all, or asks for another protocol.
 */
#include <string.h>

#include "console/server_conn.h"

static struct conn *conn_of(http_parser *parser)
{
    return parser->data;
}

/* The parser stops where a callback returns what is not 0. */
static int refuse(struct conn *conn, int status, const char *why)
{
    if (conn->refused == 0) {
        conn->refused = status;
        conn->why = why;
    }
    return 1;
}

static int too_long(struct conn *conn, size_t more)
{
    conn->head_bytes += more;
    if (conn->head_bytes > conn->server->options.limits.header_bytes)
        return refuse(conn, 431, "the head of the request is longer than console.limits.header");
    return 0;
}

static void append(struct conn *conn, struct span *span, const char *at, size_t len)
{
    if (span->len == 0)
        span->at = conn->head.len;
    buf_add(&conn->head, at, len);
    span->len += len;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct conn *conn = conn_of(parser);
    append(conn, &conn->target, at, len);
    return too_long(conn, len);
}

static int on_header_field(http_parser *parser, const char *at, size_t len)
{
    struct conn *conn = conn_of(parser);
    size_t more = len;
    if (conn->in_value || conn->header_count == 0) {
        if (conn->header_count == CONN_HEADERS_MAX)
            return refuse(conn, 431, "the request has more than 100 headers");
        conn->names[conn->header_count] = conn->values[conn->header_count] = (struct span){0};
        conn->header_count++;
        conn->in_value = false;
        more += 4; /* ": " and the line end, once however the name arrives in pieces */
    }
    append(conn, &conn->names[conn->header_count - 1], at, len);
    return too_long(conn, more);
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct conn *conn = conn_of(parser);
    conn->in_value = true;
    append(conn, &conn->values[conn->header_count - 1], at, len);
    return too_long(conn, len);
}

static struct slice taken(const struct conn *conn, struct span span)
{
    return (struct slice){span.len ? conn->head.data + span.at : "", span.len};
}

static enum request_method method_of(unsigned method)
{
    switch (method) {
    case HTTP_GET:
        return METHOD_GET;
    case HTTP_HEAD:
        return METHOD_HEAD;
    case HTTP_POST:
        return METHOD_POST;
    case HTTP_DELETE:
        return METHOD_DELETE;
    default:
        return METHOD_OTHER;
    }
}

static void fill_request(struct conn *conn)
{
    struct console_request *req = &conn->call.req;
    struct slice target = taken(conn, conn->target);
    const char *question = memchr(target.data, '?', target.len);
    size_t path_len = question ? (size_t)(question - target.data) : target.len;
    for (size_t i = 0; i < conn->header_count; i++)
        conn->lines[i] = (struct request_header_line){taken(conn, conn->names[i]),
                                                      taken(conn, conn->values[i])};
    *req = (struct console_request){
        .method = method_of(conn->parser.method),
        .path = {target.data, path_len},
        .query = question ? (struct slice){question + 1, target.len - path_len - 1} : SLICE_NULL,
        .headers = conn->lines,
        .header_count = conn->header_count,
        .peer = conn->peer,
        .tls = conn->server->tls != NULL};
}

static int on_headers_complete(http_parser *parser)
{
    struct conn *conn = conn_of(parser);
    const struct console_request *req = &conn->call.req;
    fill_request(conn);
    if (parser->http_major != 1 || parser->http_minor > 1)
        return refuse(conn, 400, "only HTTP/1.1 is spoken here");
    if (req->path.len == 0 || req->path.data[0] != '/')
        return refuse(conn, 400, "the target of a request must be a path");
    if (request_header_times(req, "Host") != 1)
        return refuse(conn, 400, "a request must name its host once");
    if (!slice_is_null(request_header(req, "Transfer-Encoding")))
        return refuse(conn, 411, "a body must tell its length by Content-Length");
    if (!slice_is_null(request_header(req, "Expect")))
        return refuse(conn, 417, "send the body at once, without Expect");
    if (parser->upgrade)
        return refuse(conn, 400, "no other protocol is spoken here");
    if (parser->content_length != UINT64_MAX &&
        parser->content_length > conn->server->options.limits.body_bytes)
        return refuse(conn, 413, "the body is longer than console.limits.body");
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct conn *conn = conn_of(parser);
    if (len > conn->server->options.limits.body_bytes - conn->body.len)
        return refuse(conn, 413, "the body is longer than console.limits.body");
    buf_add(&conn->body, at, len);
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct conn *conn = conn_of(parser);
    conn->whole = true;
    conn->keep_alive = http_should_keep_alive(parser) != 0;
    conn->call.req.body = conn->body.len ? buf_slice(&conn->body) : SLICE_LIT("");
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {.on_url = on_url,
                                              .on_header_field = on_header_field,
                                              .on_header_value = on_header_value,
                                              .on_headers_complete = on_headers_complete,
                                              .on_body = on_body,
                                              .on_message_complete = on_message_complete};

void server_conn_reset(struct conn *conn)
{
    http_parser_init(&conn->parser, HTTP_REQUEST);
    conn->parser.data = conn;
    buf_reset(&conn->head);
    buf_reset(&conn->body);
    conn->target = (struct span){0};
    conn->header_count = conn->head_bytes = 0;
    conn->in_value = conn->whole = conn->keep_alive = false;
    conn->refused = 0;
    conn->why = NULL;
    memset(&conn->call.req, 0, sizeof(conn->call.req));
}

bool server_conn_read(struct conn *conn, const char *data, size_t len, size_t *used)
{
    *used = http_parser_execute(&conn->parser, &settings, data, len);
    if (conn->whole || conn->refused)
        return true;
    enum http_errno why = HTTP_PARSER_ERRNO(&conn->parser);
    if (why == HPE_HEADER_OVERFLOW)
        (void)refuse(conn, 431, "the head of the request is too long");
    else if (why != HPE_OK || conn->parser.upgrade)
        (void)refuse(conn, 400, "this is no HTTP request");
    return conn->refused != 0;
}
