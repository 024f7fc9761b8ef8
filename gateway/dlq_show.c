/*
 * oncegate dlq show ID: everything about one dead letter on one page, so that nobody has to look
 * elsewhere at three in the morning. --raw: the value's bytes and nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/mem.h"
#include "cmd_dlq.h"
#include "curl_text.h"
#include "dlq/snapshot.h"
#include "dlq/topic_route.h"
#include "dlq_kafka.h"
#include "dlq_row_json.h"
#include "ledger_key.h"
#include "letter_value.h"
#include "record/identity.h"
#include "record/letter_state.h"
#include "text_out.h"

#define REDIS_MS   3000
#define VALUE_MOST (64u << 10) /* bytes of it that are shown */
#define SMALL_MOST 2048        /* of a header or a key */
#define SAME_MOST  20

struct shown {
    struct dlq *dlq;
    struct dlq_id id;
    struct kept_record kept;
    struct dead_letter letter;
    const struct route_config *route; /* NULL: none of the configuration */
    /* Of its line; nothing of it where it is not known (it came a moment ago). */
    struct json_object *row;
    const char *state; /* "open" ...; NULL: not known */
    uint32_t redrive_count;
    char *redrive_id;
    struct buf line_id; /* of the line: of the first letter, where this one continues another */
    /* Lines of the same key, the newest first. */
    struct json_object *same;
    struct buf same_text;
    size_t same_count;
    struct buf id_text, ledger, curl;
};

static bool is_own_header(struct slice name)
{
    return headers_is_own(name);
}

/* ---- what is asked for ---- */

/* The order key and its words; what cannot be asked is said in their place. */
static void ask_ledger(struct shown *shown)
{
    struct identity identity;
    struct buf store = {0};
    struct err err = {0};
    char *topic;
    bool found = false;
    if (!shown->route || slice_is_null(shown->letter.origin.topic)) {
        buf_add_text(&shown->ledger, "not known: it belongs to no route of this configuration\n");
        return;
    }
    identity_read(&shown->route->dedup.rule, &shown->kept.rec, &store, &identity);
    topic = mem_strndup(shown->letter.origin.topic.data, shown->letter.origin.topic.len);
    if (slice_is_null(identity.key))
        buf_add_text(&shown->ledger, "not asked for: a null key has its state by partition\n");
    else if (!ledger_key_words(shown->dlq->config, shown->route, topic, identity.key, REDIS_MS,
                               &shown->ledger, &found, &err))
        buf_printf(&shown->ledger, "not known: %s\n", err.text);
    else if (!found)
        buf_add_text(&shown->ledger, "nothing is known of this key\n");
    mem_free(topic);
    buf_deinit(&store);
}

static void ask_curl(struct shown *shown)
{
    struct err err = {0};
    if (!shown->route)
        buf_add_text(&shown->curl, "# it belongs to no route of this configuration\n");
    else if (!curl_add_delivery(&shown->curl, shown->route, &shown->kept.rec, shown->id_text.data,
                                &err))
        buf_printf(&shown->curl, "# not possible: %s\n", err.text);
}

static void take_line(void *arg, const struct dlq_row *row)
{
    struct shown *shown = arg;
    shown->row = dlq_row_json(row);
    shown->state = dlq_state_name(row->state);
    shown->redrive_count = row->redrive_count;
    shown->redrive_id = mem_strdup(row->redrive_id);
    dlq_row_id(row, &shown->line_id);
}

static bool take_same(void *arg, const struct dlq_row *row)
{
    struct shown *shown = arg;
    struct buf id = {0};
    char time[TEXT_TIME_MAX];
    json_object_array_add(shown->same, dlq_row_json(row));
    if (shown->same_count++ >= SAME_MOST)
        return true;
    dlq_row_id(row, &id);
    text_time_short(row->written_ms, time);
    buf_printf(&shown->same_text, "%s %s  %s  %s  ",
               slice_equal(buf_slice(&id), buf_slice(&shown->line_id)) ? "*" : " ", id.data, time,
               dlq_state_name(row->state));
    text_add_safe(&shown->same_text, slice_of(row->code), false);
    buf_add_char(&shown->same_text, '\n');
    buf_deinit(&id);
    return true;
}

/* Its line, and what else its key has in the topic. */
static bool ask_lines(struct shown *shown, struct err *err)
{
    struct slice key = shown->kept.rec.key;
    struct dlq_covered covered;
    struct dlq_filter filter;
    struct dlq_index *index;
    bool found, ok;
    dlq_filter_init(&filter);
    filter.topic = mem_strdup(shown->id.topic);
    filter.states = DLQ_STATE_ANY;
    filter.key = slice_is_null(key) ? NULL : mem_strndup(key.data, key.len);
    filter.key_len = key.len;
    shown->same = json_object_new_array();
    index = dlq_read_letters(shown->dlq, &filter, err);
    ok = index && dlq_index_get(index, &shown->id, take_line, shown, &found, err) &&
         (!filter.key || dlq_snapshot_each(index, &filter, take_same, shown, &covered, err));
    dlq_index_close(&index);
    dlq_filter_deinit(&filter);
    return ok;
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
    const struct record *rec = &shown->kept.rec;
    const struct dead_letter *letter = &shown->letter;
    struct buf text = {0};
    buf_add_text(out, "dead letter ");
    text_add_safe(out, buf_slice(&shown->id_text), false);
    buf_add_char(out, '\n');
    buf_add_text(&text, shown->state ? shown->state : "not known");
    if (shown->redrive_count > 0)
        buf_printf(&text, ", redriven %" PRIu32 " times, the last by %s", shown->redrive_count,
                   shown->redrive_id[0] ? shown->redrive_id : "?");
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
              letter->last_failed_at_ms ? letter->last_failed_at_ms : shown->kept.rec.timestamp_ms);
}

static void add_headers(struct shown *shown, struct buf *out, bool own)
{
    const struct record *rec = &shown->kept.rec;
    bool any = false;
    title(shown, out, own ? "headers of oncegate" : "headers of the app");
    for (size_t i = 0; i < rec->header_count; i++) {
        const struct record_header *header = &rec->headers[i];
        if (is_own_header(header->name) != own)
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

static void add_same_key(struct shown *shown, struct buf *out)
{
    title(shown, out, "dead letters of the same key in this topic, the newest first");
    if (slice_is_null(shown->kept.rec.key)) {
        buf_add_text(out, "  not asked for: the key is null\n");
        return;
    }
    buf_add_slice(out, buf_slice(&shown->same_text));
    if (shown->same_count > SAME_MOST)
        buf_printf(out, "  and %zu more\n", shown->same_count - SAME_MOST);
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
    letter_value_say(shown->kept.rec.value, &out);
    buf_add_char(&out, '\n');
    letter_value_show(shown->kept.rec.value, VALUE_MOST, &out);
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
        if (is_own_header(rec->headers[i].name) != own)
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
    const struct record *rec = &shown->kept.rec;
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
    ok = json_print(object, shown->dlq->output == OUTPUT_JSON);
    json_object_put(object);
    return ok ? EXIT_OK : EXIT_FAIL;
}

/* ---- the command ---- */

static int show_raw(const struct shown *shown)
{
    struct slice value = shown->kept.rec.value;
    if (slice_is_null(value))
        fputs("the value is null\n", stderr);
    if (isatty(STDOUT_FILENO))
        return cli_usage("dlq show", "--raw does not write to a terminal: what is in the value "
                                     "could command it");
    if (value.len > 0 && fwrite(value.data, 1, value.len, stdout) != value.len)
        return EXIT_FAIL;
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAIL;
}

static int show_letter(struct shown *shown)
{
    struct err err = {0};
    dead_letter_read(&shown->kept.rec, &shown->letter);
    if (!ask_lines(shown, &err))
        return cli_fail(&err);
    ask_ledger(shown);
    ask_curl(shown);
    return shown->dlq->output == OUTPUT_TABLE ? show_page(shown) : show_json(shown);
}

static int show_found(struct shown *shown, bool raw)
{
    struct err err = {0};
    bool found = false;
    if (!dlq_read_one(shown->dlq->loop, shown->dlq->config, shown->id.topic, shown->id.partition,
                      shown->id.offset, &shown->kept, &found, &err))
        return cli_fail(&err);
    if (!found) {
        (void)err_set(&err, ERR_NO_FILE,
                      "there is no dead letter %s: retention or a purge has "
                      "taken it, or it never was",
                      shown->id_text.data);
        return cli_fail(&err);
    }
    return raw ? show_raw(shown) : show_letter(shown);
}

int dlq_show(struct dlq *dlq)
{
    struct shown shown = {.dlq = dlq};
    struct err err = {0};
    bool raw = cli_flag(dlq->cli, "--raw");
    int code;
    if (!dlq_id_parse(slice_of(dlq->cli->argv[1]), &shown.id, &err))
        return cli_usage("dlq show", "%s", err.text);
    dlq_id_write(&shown.id, &shown.id_text);
    shown.route = dlq_topic_route(dlq->config, shown.id.topic);
    if (shown.route)
        code = show_found(&shown, raw);
    else
        code = cli_usage("dlq show", "%s is no dead-letter topic of this configuration",
                         shown.id.topic);
    kept_record_deinit(&shown.kept);
    json_object_put(shown.row);
    json_object_put(shown.same);
    mem_free(shown.redrive_id);
    buf_deinit(&shown.line_id);
    buf_deinit(&shown.same_text);
    dlq_id_deinit(&shown.id);
    buf_deinit(&shown.id_text);
    buf_deinit(&shown.ledger);
    buf_deinit(&shown.curl);
    return code;
}
