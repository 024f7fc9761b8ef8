/*
 * See payload.h. Unmasked JSON is given as the text that it is: written again it would be another
 * one where numbers are large or a member stands twice. Nothing here interprets what it shows: all
 * is text of a JSON string, and what is no UTF-8 is base64.
 */
#include "console/payload.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"
#include "dlq/letter_line.h"
#include "record/headers.h"

bool payload_is_masked(const struct payload_view *view)
{
    return view->role < ROLE_ADMIN &&
           (masking_hides_values(view->masking) || masking_hides_headers(view->masking));
}

static bool looks_like_json(struct slice value)
{
    size_t at = 0;
    while (at < value.len && (value.data[at] == ' ' || value.data[at] == '\t' ||
                              value.data[at] == '\n' || value.data[at] == '\r'))
        at++;
    return at < value.len && (value.data[at] == '{' || value.data[at] == '[');
}

/* The members of an object that say what the bytes are, without its braces. */
static void add_bytes(struct buf *out, struct slice s, size_t limit, const char *text_encoding)
{
    bool text = str_is_utf8(s);
    bool cut = s.len > limit;
    struct buf encoded = {0};
    buf_printf(out, "\"encoding\":\"%s\",\"size\":%zu,\"cut\":%s,\"text\":",
               text ? text_encoding : "base64", s.len, cut ? "true" : "false");
    if (cut)
        s.len = text ? utf8_cut(s.data, s.len, limit) : limit;
    if (!text)
        base64_encode(&encoded, s);
    buf_add_json(out, text ? s : encoded.len ? buf_slice(&encoded) : SLICE_LIT(""));
    buf_deinit(&encoded);
}

static void add_null(struct buf *out)
{
    buf_add_text(out, "\"encoding\":\"null\",\"size\":0,\"cut\":false,\"text\":\"\"");
}

static void add_hidden(struct buf *out, size_t size, const char *why)
{
    buf_printf(out,
               "\"encoding\":\"hidden\",\"size\":%zu,\"cut\":false,\"text\":\"\",\"why\":\"%s\"",
               size, why);
}

static void add_masked(struct buf *out, const struct payload_view *view, struct slice value)
{
    struct buf text = {0}, places = {0};
    if (value.len > view->limit) {
        add_hidden(out, value.len,
                   "parts of values are hidden, and this one is too long to look for them");
    } else if (masking_value(view->masking, value, &text, &places) != MASKING_DONE) {
        add_hidden(
            out, value.len,
            "parts of values are hidden, and in this one, which is no JSON or too deep, they "
            "cannot be looked for");
    } else {
        add_bytes(out, buf_slice(&text), view->limit, "json");
        buf_printf(out, ",\"masked\":[%s]", places.len ? places.data : "");
    }
    buf_deinit(&text);
    buf_deinit(&places);
}

void payload_add_value(struct buf *out, const struct payload_view *view, struct slice value)
{
    buf_add_char(out, '{');
    if (slice_is_null(value))
        add_null(out);
    else if (view->role < ROLE_ADMIN && masking_hides_values(view->masking) && value.len > 0)
        add_masked(out, view, value);
    else
        add_bytes(out, value, view->limit, looks_like_json(value) ? "json" : "text");
    buf_add_char(out, '}');
}

void payload_add_key(struct buf *out, const struct payload_view *view, struct slice key)
{
    buf_add_char(out, '{');
    if (slice_is_null(key))
        add_null(out);
    else
        add_bytes(out, key, view->limit, "text");
    buf_add_char(out, '}');
}

static void add_header(struct buf *out, const struct payload_view *view,
                       const struct record_header *header)
{
    bool hidden = view->role < ROLE_ADMIN && masking_hides_header(view->masking, header->name);
    buf_add_text(out, "{\"name\":");
    buf_add_json(out, header->name);
    buf_add_char(out, ',');
    if (hidden)
        add_hidden(out, header->value.len, "console.mask.headers");
    else if (slice_is_null(header->value))
        add_null(out);
    else
        add_bytes(out, header->value, view->limit, "text");
    buf_add_char(out, '}');
}

void payload_add_headers(struct buf *out, const struct payload_view *view, const struct record *rec,
                         bool own)
{
    bool first = true;
    buf_add_char(out, '[');
    for (size_t i = 0; i < rec->header_count; i++) {
        if (headers_is_own(rec->headers[i].name) != own)
            continue;
        if (!first)
            buf_add_char(out, ',');
        first = false;
        add_header(out, view, &rec->headers[i]);
    }
    buf_add_char(out, ']');
}

/* ---- lines of an export ---- */

/* What is left of the value takes its place in rec, and what is hidden is told in masked. Where
 * nothing is hidden and the text is another one all the same, that is told too: it is not the
 * record's own. */
static void hide_value(const struct payload_view *view, struct record *rec, struct buf *text,
                       struct buf *masked)
{
    struct buf places = {0};
    bool looked = rec->value.len <= view->limit &&
                  masking_value(view->masking, rec->value, text, &places) == MASKING_DONE;
    if (!looked || places.len > 0 || !slice_equal(buf_slice(text), rec->value))
        buf_printf(masked, "\"payload\":[%s]", !looked ? "\"\"" : places.len ? places.data : "");
    rec->value = looked ? buf_slice(text) : SLICE_NULL;
    buf_deinit(&places);
}

static void hide_headers(const struct payload_view *view, struct record *rec,
                         struct record_header *headers, struct buf *masked)
{
    struct buf places = {0};
    for (size_t i = 0; i < rec->header_count; i++) {
        headers[i] = rec->headers[i];
        if (!masking_hides_header(view->masking, headers[i].name))
            continue;
        headers[i].value = SLICE_NULL;
        buf_printf(&places, "%s%zu", places.len ? "," : "", 2 * i + 1);
    }
    rec->headers = headers;
    if (places.len)
        buf_printf(masked, "%s\"headers\":[%s]", masked->len ? "," : "", places.data);
    buf_deinit(&places);
}

void payload_add_line(struct buf *out, const struct payload_view *view, const struct record *rec)
{
    struct record shown = *rec;
    struct record_header *headers;
    struct buf text = {0}, members = {0}, masked = {0};
    if (!payload_is_masked(view)) {
        letter_line_write(out, rec);
        return;
    }
    headers = mem_calloc(rec->header_count + 1, sizeof(*headers));
    if (masking_hides_values(view->masking) && rec->value.len > 0)
        hide_value(view, &shown, &text, &members);
    hide_headers(view, &shown, headers, &members);
    if (members.len)
        buf_printf(&masked, "{%s}", members.data);
    letter_line_write_masked(out, &shown, masked.len ? buf_slice(&masked) : SLICE_NULL);
    mem_free(headers);
    buf_deinit(&text);
    buf_deinit(&members);
    buf_deinit(&masked);
}
