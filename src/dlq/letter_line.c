/*
 * Records as lines of JSON; see letter_line.h. A line comes from anybody: whatever is not exactly
 * what the format says is refused with its place, and nothing is guessed.
 */
#include "dlq/letter_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/json_tree.h"

#define DEPTH       6 /* a line needs three */
#define HEADERS_MAX 100000
#define LINE_MAX    (256u << 20)
#define MASKED      "masked"

/* ---- writing ---- */

static void add_string(struct buf *out, struct slice bytes, bool base64)
{
    struct buf text = {0};
    if (base64)
        base64_encode(&text, bytes);
    if (slice_is_null(bytes))
        buf_add_text(out, "null");
    else
        buf_add_json(out, base64 ? buf_slice(&text) : bytes);
    buf_deinit(&text);
}

static bool is_bytes(struct slice bytes)
{
    return !slice_is_null(bytes) && !str_is_utf8(bytes);
}

static void add_bytes(struct buf *out, const char *name, struct slice bytes)
{
    buf_printf(out, ",\"%s\":", name);
    add_string(out, bytes, is_bytes(bytes));
    if (is_bytes(bytes))
        buf_printf(out, ",\"%s_encoding\":\"base64\"", name);
}

static void add_headers(struct buf *out, const struct record *rec)
{
    struct buf encoded = {0};
    buf_add_text(out, ",\"headers\":[");
    for (size_t i = 0; i < 2 * rec->header_count; i++) {
        const struct record_header *header = &rec->headers[i / 2];
        struct slice bytes = i % 2 == 0 ? header->name : header->value;
        if (i > 0)
            buf_add_char(out, ',');
        add_string(out, bytes, is_bytes(bytes));
        if (is_bytes(bytes))
            buf_printf(&encoded, "%s%zu", encoded.len ? "," : "", i);
    }
    buf_add_char(out, ']');
    if (encoded.len)
        buf_printf(out, ",\"headers_base64\":[%s]", encoded.data);
    buf_deinit(&encoded);
}

void letter_line_write_masked(struct buf *out, const struct record *rec, struct slice masked)
{
    struct buf line = {0};
    buf_add_char(&line, '{');
    if (masked.len > 0) {
        buf_add_text(&line, "\"" MASKED "\":");
        buf_add_slice(&line, masked);
        buf_add_char(&line, ',');
    }
    buf_add_text(&line, "\"topic\":");
    buf_add_json(&line, rec->topic);
    buf_printf(&line,
               ",\"partition\":%" PRId32 ",\"offset\":%" PRId64
               ",\"tstype\":\"%s\",\"ts\":%" PRId64,
               rec->partition, rec->offset,
               rec->timestamp_ms < 0  ? "unknown"
               : rec->log_append_time ? "logappend"
                                      : "create",
               rec->timestamp_ms);
    add_headers(&line, rec);
    add_bytes(&line, "key", rec->key);
    add_bytes(&line, "payload", rec->value);
    buf_add_text(&line, "}\n");
    buf_add_visible(out, buf_slice(&line));
    buf_deinit(&line);
}

void letter_line_write(struct buf *out, const struct record *rec)
{
    letter_line_write_masked(out, rec, SLICE_NULL);
}

/* ---- reading ---- */

struct reading {
    struct slice text;
    struct json_object *root;
    struct letter_line *line;
    size_t *column;
    struct err *err;
};

/* Where a member begins in the text, or the line where it does not. */
static bool refuse(struct reading *reading, const char *member, const char *what)
{
    char quoted[40];
    const char *at;
    snprintf(quoted, sizeof(quoted), "\"%s\"", member);
    at = memmem(reading->text.data, reading->text.len, quoted, strlen(quoted));
    *reading->column = at ? (size_t)(at - reading->text.data) + 1 : 1;
    return err_set(reading->err, ERR_INPUT, "%s: %s", member, what);
}

static bool get(struct reading *reading, const char *member, json_type type,
                struct json_object **out)
{
    return json_object_object_get_ex(reading->root, member, out) && json_object_is_type(*out, type);
}

static struct slice string_of(struct json_object *value)
{
    return (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
}

static bool read_number(struct reading *reading, const char *member, bool must, int64_t most,
                        int64_t *out)
{
    struct json_object *value;
    if (!json_object_object_get_ex(reading->root, member, &value))
        return must ? refuse(reading, member, "is missing") : true;
    if (!json_object_is_type(value, json_type_int))
        return refuse(reading, member, "must be a whole number");
    *out = json_object_get_int64(value);
    if (*out < (must ? 0 : -1) || *out > most)
        return refuse(reading, member, "is out of range");
    return true;
}

/* Places in bytes are kept as offsets until all is read, since the buffer may move. */
struct place {
    bool is_null;
    size_t at, len;
};

static bool keep(struct reading *reading, const char *member, struct json_object *value,
                 bool base64, struct place *out)
{
    struct buf *bytes = &reading->line->bytes;
    *out = (struct place){value == NULL, bytes->len, 0};
    if (!value)
        return base64 ? refuse(reading, member, "null is said to be base64") : true;
    if (!json_object_is_type(value, json_type_string))
        return refuse(reading, member, "must be text or null");
    if (!base64)
        buf_add_slice(bytes, string_of(value));
    else if (!base64_decode(bytes, string_of(value)))
        return refuse(reading, member, "is said to be base64 and is not");
    out->len = bytes->len - out->at;
    return true;
}

static bool read_bytes(struct reading *reading, const char *member, struct place *out)
{
    char name[40];
    struct json_object *value = NULL, *encoding = NULL;
    bool base64 = false;
    snprintf(name, sizeof(name), "%s_encoding", member);
    (void)json_object_object_get_ex(reading->root, member, &value);
    if (json_object_object_get_ex(reading->root, name, &encoding)) {
        if (!json_object_is_type(encoding, json_type_string) ||
            strcmp(json_object_get_string(encoding), "base64") != 0)
            return refuse(reading, name, "is \"base64\" or absent");
        base64 = true;
    }
    return keep(reading, member, value, base64, out);
}

static bool mark_encoded(struct reading *reading, size_t count, bool *encoded)
{
    struct json_object *list = NULL;
    if (!json_object_object_get_ex(reading->root, "headers_base64", &list))
        return true;
    if (!json_object_is_type(list, json_type_array))
        return refuse(reading, "headers_base64", "must be a list of places in headers");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *at = json_object_array_get_idx(list, i);
        int64_t place = json_object_is_type(at, json_type_int) ? json_object_get_int64(at) : -1;
        if (place < 0 || (size_t)place >= count)
            return refuse(reading, "headers_base64", "names a place that headers does not have");
        encoded[place] = true;
    }
    return true;
}

static bool keep_headers(struct reading *reading, struct json_object *list, size_t count,
                         const bool *encoded, struct place *places)
{
    for (size_t i = 0; i < count; i++) {
        struct json_object *value = json_object_array_get_idx(list, i);
        if (i % 2 == 0 && !value)
            return refuse(reading, "headers", "a header's name is null");
        if (!keep(reading, "headers", value, encoded[i], &places[i]))
            return false;
        /* Kafka's client takes names as C strings: what is behind a NUL would be lost. */
        buf_add_char(&reading->line->bytes, '\0');
        if (i % 2 == 0 &&
            memchr(reading->line->bytes.data + places[i].at, '\0', places[i].len) != NULL)
            return refuse(reading, "headers", "a header's name holds a NUL");
    }
    return true;
}

static bool read_headers(struct reading *reading, struct place **places, size_t *count)
{
    struct json_object *list = NULL;
    bool *encoded;
    bool ok;
    *places = NULL;
    *count = 0;
    if (!json_object_object_get_ex(reading->root, "headers", &list))
        return true;
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) % 2 != 0 ||
        json_object_array_length(list) > HEADERS_MAX)
        return refuse(reading, "headers", "must be a flat list of names and values");
    *count = json_object_array_length(list);
    *places = mem_calloc(*count + 1, sizeof(**places));
    encoded = mem_calloc(*count + 1, sizeof(*encoded));
    ok = mark_encoded(reading, *count, encoded) &&
         keep_headers(reading, list, *count, encoded, *places);
    mem_free(encoded);
    return ok;
}

static struct slice slice_at(const struct buf *bytes, struct place place)
{
    return place.is_null ? SLICE_NULL : (struct slice){bytes->data + place.at, place.len};
}

static bool read_topic(struct reading *reading, struct place *out)
{
    struct json_object *topic;
    if (!get(reading, "topic", json_type_string, &topic) || string_of(topic).len == 0)
        return refuse(reading, "topic", "is missing, or no text");
    if (strlen(json_object_get_string(topic)) != string_of(topic).len || string_of(topic).len > 249)
        return refuse(reading, "topic", "is no topic's name");
    if (!keep(reading, "topic", topic, false, out))
        return false;
    buf_add_char(&reading->line->bytes, '\0');
    return true;
}

/* What it has instead of what is hidden would be taken for the record's own. */
static bool refuse_masked(struct reading *reading)
{
    return !json_object_object_get_ex(reading->root, MASKED, NULL) ||
           refuse(reading, MASKED,
                  "parts of this record were hidden from whom exported it: it is not whole");
}

static bool read_members(struct reading *reading)
{
    struct letter_line *line = reading->line;
    struct place topic, key, value, *headers = NULL;
    size_t count = 0;
    int64_t partition = 0, offset = -1, ts = -1;
    bool ok = refuse_masked(reading) && read_topic(reading, &topic) &&
              read_number(reading, "partition", true, INT32_MAX, &partition) &&
              read_number(reading, "offset", false, INT64_MAX, &offset) &&
              read_number(reading, "ts", false, INT64_MAX, &ts) &&
              read_bytes(reading, "key", &key) && read_bytes(reading, "payload", &value) &&
              read_headers(reading, &headers, &count);
    if (ok) {
        line->headers = mem_calloc(count / 2 + 1, sizeof(*line->headers));
        for (size_t i = 0; i < count; i += 2)
            line->headers[i / 2] = (struct record_header){slice_at(&line->bytes, headers[i]),
                                                          slice_at(&line->bytes, headers[i + 1])};
        line->rec = (struct record){.topic = slice_at(&line->bytes, topic),
                                    .partition = (int32_t)partition,
                                    .leader_epoch = -1,
                                    .offset = offset,
                                    .timestamp_ms = ts,
                                    .key = slice_at(&line->bytes, key),
                                    .value = slice_at(&line->bytes, value),
                                    .headers = line->headers,
                                    .header_count = count / 2};
    }
    mem_free(headers);
    return ok;
}

bool letter_line_read(struct slice text, struct letter_line *line, size_t *column, struct err *err)
{
    struct json_trouble trouble;
    struct reading reading = {.text = text, .line = line, .column = column, .err = err};
    bool ok = false;
    memset(line, 0, sizeof(*line));
    *column = 1;
    if (text.len > LINE_MAX)
        return err_set(err, ERR_INPUT, "the line is longer than any record");
    buf_add(&line->bytes, "", 0);
    if (!json_tree_read(text, DEPTH, true, &reading.root, &trouble)) {
        *column = trouble.at + 1;
        if (trouble.at == text.len)
            (void)err_set(err, ERR_INPUT, "the line ends within its JSON");
        else
            (void)err_set(err, ERR_INPUT, "no JSON: %s", trouble.what);
    } else if (!json_object_is_type(reading.root, json_type_object)) {
        (void)err_set(err, ERR_INPUT, "no JSON object");
    } else {
        ok = read_members(&reading);
    }
    json_object_put(reading.root);
    if (!ok)
        letter_line_deinit(line);
    return ok;
}

void letter_line_deinit(struct letter_line *line)
{
    mem_free(line->headers);
    buf_deinit(&line->bytes);
    memset(line, 0, sizeof(*line));
}
