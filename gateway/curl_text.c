/*
 * A delivery as a curl command; see curl_text.h. The header lines are those that the gateway itself
 * writes (handler/request.h); this file only quotes them.
 */
#include "curl_text.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "handler/request.h"
#include "record/headers.h"
#include "record/identity.h"
#include "text_out.h"

#define BODY_MOST (16u << 10) /* a longer one is piped */
#define NEXT_LINE " \\\n  "

static bool is_plain(struct slice text)
{
    struct buf safe = {0};
    bool plain;
    text_add_safe(&safe, text, false);
    plain = slice_equal(text, buf_slice(&safe)) || text.len == 0;
    buf_deinit(&safe);
    return plain;
}

static void add_single_quoted(struct buf *out, struct slice text)
{
    buf_add_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'')
            buf_add_text(out, "'\\''");
        else
            buf_add_char(out, text.data[i]);
    }
    buf_add_char(out, '\'');
}

void curl_add_quoted(struct buf *out, struct slice text)
{
    if (is_plain(text)) {
        add_single_quoted(out, text);
        return;
    }
    buf_add_text(out, "$'");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '\n')
            buf_add_text(out, "\\n");
        else if (c == '\t')
            buf_add_text(out, "\\t");
        else if (c == '\'' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "\\x%02x", (unsigned)c);
    }
    buf_add_char(out, '\'');
}

static void add_option(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(out, NEXT_LINE "%s ", name);
    curl_add_quoted(out, slice_of(value));
}

/* Lines that end with CRLF, each a header. */
static void add_lines(struct buf *out, const struct buf *head)
{
    const char *at = head->data;
    const char *end = head->data + head->len;
    while (at && at < end) {
        const char *stop = memmem(at, (size_t)(end - at), "\r\n", 2);
        if (!stop)
            return;
        buf_add_text(out, NEXT_LINE "-H ");
        curl_add_quoted(out, (struct slice){at, (size_t)(stop - at)});
        at = stop + 2;
    }
}

static void add_configured(struct buf *out, const struct handler_config *handler)
{
    for (size_t i = 0; i < handler->request_header_count; i++) {
        const struct request_header *header = &handler->request_headers[i];
        struct buf word = {0};
        buf_printf(&word, "%s: %s", header->name, header->file ? "" : "***");
        buf_add_text(out, NEXT_LINE "-H ");
        curl_add_quoted(out, buf_slice(&word));
        if (header->file) {
            buf_add_text(out, "\"$(cat ");
            curl_add_quoted(out, slice_of(header->file));
            buf_add_text(out, ")\"");
        }
        buf_deinit(&word);
    }
}

static void add_body(struct buf *out, const struct record *rec, bool piped)
{
    buf_add_text(out, NEXT_LINE);
    if (slice_is_null(rec->value) || rec->value.len == 0) {
        buf_add_text(out, "--data-raw ''");
    } else if (piped) {
        buf_add_text(out, "--data-binary @-");
    } else {
        buf_add_text(out, "--data-raw ");
        curl_add_quoted(out, rec->value);
    }
}

/* The lines that the record makes; none of those that hold secrets. */
static bool write_head(const struct route_config *route, const struct record *rec, struct buf *head,
                       struct err *err)
{
    struct route_config plain = *route;
    struct request_template *tpl;
    struct copy_info info;
    struct identity identity;
    struct buf store = {0};
    struct request_facts facts = {.rec = rec, .origin = &info.origin, .identity = &identity};
    plain.handler.request_header_count = plain.handler.sign_secret_file_count = 0;
    if (!headers_read_copy(rec, &info, err))
        return err_prefix(err, "its headers do not tell what was delivered");
    tpl = request_template_new(&plain, err);
    if (!tpl)
        return false;
    identity_read(&route->dedup.rule, rec, &store, &identity);
    facts.attempt = info.attempt + 1;
    facts.deadline_wall_ms = clock_wall_ms() + route->handler.timeout_ms;
    request_write(tpl, &facts, head);
    request_template_free(&tpl);
    buf_deinit(&store);
    return true;
}

bool curl_add_delivery(struct buf *out, const struct route_config *route, const struct record *rec,
                       const char *id, struct err *err)
{
    const struct handler_config *handler = &route->handler;
    struct buf head = {0};
    bool piped = rec->value.len > BODY_MOST ||
                 (rec->value.len > 0 && memchr(rec->value.data, '\0', rec->value.len));
    if (!write_head(route, rec, &head, err)) {
        buf_deinit(&head);
        return false;
    }
    if (piped) {
        buf_add_text(out, "oncegate dlq show ");
        curl_add_quoted(out, slice_of(id));
        buf_add_text(out, " --raw | ");
    }
    buf_add_text(out, "curl -i -X POST");
    add_option(out, "--unix-socket", handler->socket);
    add_option(out, "--cacert", handler->tls.ca_file);
    add_option(out, "--cert", handler->tls.cert_file);
    add_option(out, "--key", handler->tls.key_file);
    add_lines(out, &head);
    add_configured(out, handler);
    add_body(out, rec, piped);
    buf_add_text(out, NEXT_LINE);
    curl_add_quoted(out, slice_of(handler->url));
    buf_add_char(out, '\n');
    buf_deinit(&head);
    return true;
}
