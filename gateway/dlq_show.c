/*
 * oncegate dlq show ID: everything about one dead letter on one page, so that nobody has to look
 * elsewhere at three in the morning. --raw: the value's bytes and nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "dlq_row_json.h"
#include "dlq_shown.h"
#include "json_print.h"
#include "letter_value.h"
#include "record/headers.h"
#include "text_out.h"

#define VALUE_MOST (64u << 10) /* bytes of it that are shown */
#define SMALL_MOST 2048        /* of a header or a key */
#define SAME_MOST  20

/* ---- for the sources ---- */

void shown_line(struct shown *shown, const struct dlq_row *row)
{
    shown->row = dlq_row_json(row);
    shown->state = dlq_state_name(row->state);
    shown->redrive_count = row->redrive_count;
    shown->redrive_id = mem_strdup(row->redrive_id);
    shown->edited_to = mem_strdup(row->edited_to);
    dlq_row_id(row, &shown->line_id);
}

void shown_same(struct shown *shown, const struct dlq_row *row)
{
    json_object_array_add(shown->same, dlq_row_json(row));
    shown->same_count++;
}

/* ---- the page ---- */

static void title(struct shown *shown, struct buf *out, const char *text)
{
    buf_printf(out, shown->dlq->cli->color ? "\n\x1b[1m%s\x1b[0m\n" : "\n%s\n", text);
}

static void line(struct buf *out, const char *name, struct slice text)
{
    buf_printf(out, "  %-14s", name);
    if (text.len > SMALL_MOST) {
        text_add_safe(out, (struct slice){text.data, SMALL_MOST}, false);
        buf_printf(out, " ... and %zu bytes more", text.len - SMALL_MOST);
    } else {
        text_add_safe(out, text, false);
    }
    buf_add_char(out, '\n');
}

static void line_time(struct buf *out, const char *name, int64_t ms)
{
    char time[TEXT_TIME_MAX];
    text_time(ms, time);
    line(out, name, slice_of(time));
}

static void add_head(struct shown *shown, struct buf *out)
{
    const struct record *rec = &shown->rec;
    const struct dead_letter *letter = &shown->letter;
    struct buf text = {0};
    buf_add_text(out, "dead letter ");
    text_add_safe(out, buf_slice(&shown->id_text), false);
    buf_add_char(out, '\n');
    buf_add_text(&text, shown->state ? shown->state : "not known");
    if (shown->redrive_count > 0)
        buf_printf(&text, ", redriven %" PRIu32 " times, the last by %s", shown->redrive_count,
                   shown->redrive_id[0] ? shown->redrive_id : "?");
    if (shown->edited_to && shown->edited_to[0])
        buf_printf(&text, ", went on edited as %s", shown->edited_to);
    line(out, "state", buf_slice(&text));
    line_time(out, "written", rec->timestamp_ms);
    line(out, "by", slice_of(letter_writer_name(letter->writer)));
    line(out, "route", letter->route);
    line(out, "group", letter->group);
    buf_reset(&text);
    if (!slice_is_null(letter->origin.topic)) {
        buf_add_slice(&text, letter->origin.topic);
        buf_printf(&text, "/%d/%" PRId64, (int)letter->origin.partition, letter->origin.offset);
    }
    line(out, "origin", buf_slice(&text));
    line(out, "key", slice_is_null(rec->key) ? SLICE_LIT("(null)") : rec->key);
    if (letter->unread)
        line(out, "unreadable", slice_of(letter->unread));
    buf_deinit(&text);
}

static void add_error(struct shown *shown, struct buf *out)
{
    const struct dead_letter *letter = &shown->letter;
    char number[24];
    title(shown, out, "error");
    line(out, "code", letter->code);
    if (letter->http_status > 0) {
        snprintf(number, sizeof(number), "%d", (int)letter->http_status);
        line(out, "HTTP status", slice_of(number));
    }
    line(out, "detail", letter->detail);
    line(out, "signature", slice_of(letter->signature));
    snprintf(number, sizeof(number), "%" PRIu32, letter->attempts);
    line(out, "attempts", slice_of(letter->attempts ? number : "not known"));
    line_time(out, "first failed", letter->first_failed_at_ms);
    line_time(out, "last failed",
              letter->last_failed_at_ms ? letter->last_failed_at_ms : shown->rec.timestamp_ms);
}

static void add_headers(struct shown *shown, struct buf *out, bool own)
{
    const struct record *rec = &shown->rec;
    bool any = false;
    title(shown, out, own ? "headers of oncegate" : "headers of the app");
    for (size_t i = 0; i < rec->header_count; i++) {
        const struct record_header *header = &rec->headers[i];
        if (headers_is_own(header->name) != own)
            continue;
        any = true;
        buf_add_text(out, "  ");
        text_add_safe(out, header->name, false);
        buf_add_text(out, ": ");
        if (slice_is_null(header->value))
            buf_add_text(out, "(null)");
        else if (letter_value_kind(header->value) == VALUE_BINARY)
            text_add_hex(out, header->value, 16);
        else
            text_add_safe(out,
                          (struct slice){header->value.data, header->value.len < SMALL_MOST
                                                                 ? header->value.len
                                                                 : SMALL_MOST},
                          false);
        if (out->data[out->len - 1] != '\n')
            buf_add_char(out, '\n');
    }
    if (!any)
        buf_add_text(out, "  none\n");
}

static const char *member(struct json_object *object, const char *name)
{
    return json_object_get_string(json_object_object_get(object, name));
}

static void add_same(struct shown *shown, struct json_object *row, struct buf *out)
{
    char time[TEXT_TIME_MAX] = "";
    uint64_t written_ns = 0;
    const char *id = member(row, "id"), *written = member(row, "written");
    if (written && str_rfc3339_to_ns(slice_of(written), &written_ns))
        text_time_short((int64_t)(written_ns / NS_PER_MS), time);
    buf_printf(out, "%s ", slice_equal(slice_of(id), buf_slice(&shown->line_id)) ? "*" : " ");
    text_add_safe(out, slice_of(id), false);
    buf_printf(out, "  %s  %s  ", time, member(row, "state"));
    text_add_safe(out, slice_of(member(row, "code")), false);
    buf_add_char(out, '\n');
}

static void add_same_key(struct shown *shown, struct buf *out)
{
    title(shown, out, "dead letters of the same key in this topic, the newest first");
    if (slice_is_null(shown->rec.key)) {
        buf_add_text(out, "  not asked for: the key is null\n");
        return;
    }
    for (size_t i = 0; i < shown->same_count && i < SAME_MOST; i++)
        add_same(shown, json_object_array_get_idx(shown->same, i), out);
    if (shown->same_count > SAME_MOST)
        buf_printf(out, "  and %zu more%s\n", shown->same_count - SAME_MOST,
                   shown->same_more ? " at least" : "");
}

static void add_hidden(struct shown *shown, struct buf *out)
{
    if (shown->hidden.len == 0)
        return;
    title(shown, out, "kept back");
    text_add_safe(out, buf_slice(&shown->hidden), true);
}

static int show_page(struct shown *shown)
{
    struct buf out = {0};
    bool ok;
    add_head(shown, &out);
    add_error(shown, &out);
    add_headers(shown, &out, false);
    add_headers(shown, &out, true);
    title(shown, &out, "value");
    letter_value_say(shown->rec.value, &out);
    buf_add_char(&out, '\n');
    letter_value_show(shown->rec.value, VALUE_MOST, &out);
    add_hidden(shown, &out);
    title(shown, &out, "the key in the ledger");
    text_add_safe(&out, buf_slice(&shown->ledger), true);
    add_same_key(shown, &out);
    title(shown, &out, "the delivery once more, by hand (it goes past the ledger)");
    buf_add_slice(&out, buf_slice(&shown->curl));
    ok = fwrite(out.data, 1, out.len, stdout) == out.len;
    buf_deinit(&out);
    return ok ? EXIT_OK : EXIT_FAIL;
}

/* ---- JSON ---- */

static struct json_object *headers_json(const struct record *rec, bool own)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < rec->header_count; i++) {
        struct json_object *item;
        if (headers_is_own(rec->headers[i].name) != own)
            continue;
        item = json_object_new_object();
        json_add_bytes(item, "name", rec->headers[i].name);
        json_add_bytes(item, "value", rec->headers[i].value);
        json_object_array_add(list, item);
    }
    return list;
}

static int show_json(struct shown *shown)
{
    static const char *const kinds[] = {"null", "empty", "json", "text", "binary"};
    const struct record *rec = &shown->rec;
    struct json_object *object = shown->row ? shown->row : json_object_new_object();
    bool ok;
    shown->row = NULL;
    json_add_text(object, "id", shown->id_text.data);
    json_object_object_add(object, "headers", headers_json(rec, false));
    json_object_object_add(object, "oncegate_headers", headers_json(rec, true));
    json_add_bytes(object, "key", rec->key);
    json_add_bytes(object, "detail", shown->letter.detail);
    json_add_text(object, "value_kind", kinds[letter_value_kind(rec->value)]);
    json_add_uint(object, "value_size", rec->value.len);
    json_add_bytes(object, "value", rec->value);
    json_add_bytes(object, "ledger", buf_slice(&shown->ledger));
    json_add_bytes(object, "curl", buf_slice(&shown->curl));
    json_object_object_add(object, "same_key", json_object_get(shown->same));
    if (shown->hidden.len > 0)
        json_add_bytes(object, "kept_back", buf_slice(&shown->hidden));
    ok = json_print(object, shown->dlq->output == OUTPUT_JSON);
    json_object_put(object);
    return ok ? EXIT_OK : EXIT_FAIL;
}

/* ---- the command ---- */

static int show_raw(const struct shown *shown)
{
    struct slice value = shown->rec.value;
    if (slice_is_null(value))
        fputs("the value is null\n", stderr);
    if (isatty(STDOUT_FILENO))
        return cli_usage("dlq show", "--raw does not write to a terminal: what is in the value "
                                     "could command it");
    if (value.len > 0 && fwrite(value.data, 1, value.len, stdout) != value.len)
        return EXIT_FAIL;
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAIL;
}

static int show(struct shown *shown)
{
    if (shown->raw)
        return show_raw(shown);
    return shown->dlq->output == OUTPUT_TABLE ? show_page(shown) : show_json(shown);
}

int dlq_show(struct dlq *dlq)
{
    const struct shown_source *source = dlq->console ? &shown_from_console : &shown_from_topics;
    struct shown shown = {.dlq = dlq, .raw = cli_flag(dlq->cli, "--raw")};
    struct err err = {0};
    void *behind = NULL;
    int code = EXIT_FAIL;
    if (!dlq_id_parse(slice_of(dlq->cli->argv[1]), &shown.id, &err))
        return cli_usage("dlq show", "%s", err.text);
    dlq_id_write(&shown.id, &shown.id_text);
    shown.same = json_object_new_array();
    if (source->fill(&shown, &behind, &code))
        code = show(&shown);
    if (behind)
        source->release(behind);
    json_object_put(shown.row);
    json_object_put(shown.same);
    mem_free(shown.redrive_id);
    mem_free(shown.edited_to);
    dlq_id_deinit(&shown.id);
    buf_deinit(&shown.id_text);
    buf_deinit(&shown.line_id);
    buf_deinit(&shown.ledger);
    buf_deinit(&shown.curl);
    buf_deinit(&shown.hidden);
    return code;
}
