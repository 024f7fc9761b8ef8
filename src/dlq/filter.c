/*
 * A filter of dead letters: its parts by name, from text and as JSON. Declared in filter.h.
 *
 * Invariant: a part that cannot be read is refused and leaves the filter as it was; nothing is
 * guessed, for a filter that takes more than was meant redrives more than was meant.
 */
#include "dlq/filter.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/schema_checks.h"
#include "record/json_tree.h"

enum { JSON_DEPTH = 4, SHOWN_MAX = 60 };

/* The last that is read again where it is written as RFC 3339: of the year 2554. */
#define TIME_MAX_MS (UINT64_MAX / 1000000)

static const struct state_name {
    const char *name;
    unsigned bits;
} state_names[] = {
    {"open", DLQ_STATE_OPEN},         {"redriving", DLQ_STATE_REDRIVING},
    {"resolved", DLQ_STATE_RESOLVED}, {"archived", DLQ_STATE_ARCHIVED},
    {"any", DLQ_STATE_ANY},
};
enum { STATE_NAMES = sizeof(state_names) / sizeof(state_names[0]) };

void dlq_filter_init(struct dlq_filter *filter)
{
    memset(filter, 0, sizeof(*filter));
}

void dlq_id_deinit(struct dlq_id *id)
{
    mem_free(id->topic);
    memset(id, 0, sizeof(*id));
}

void dlq_filter_deinit(struct dlq_filter *filter)
{
    mem_free(filter->route);
    mem_free(filter->topic);
    mem_free(filter->code);
    mem_free(filter->signature);
    mem_free(filter->text);
    mem_free(filter->key);
    for (size_t i = 0; i < filter->id_count; i++)
        dlq_id_deinit(&filter->ids[i]);
    mem_free(filter->ids);
    memset(filter, 0, sizeof(*filter));
}

unsigned dlq_filter_states(const struct dlq_filter *filter)
{
    return filter->states ? filter->states : DLQ_STATE_LIVE;
}

const char *dlq_state_name(unsigned state)
{
    for (size_t i = 0; i < STATE_NAMES; i++) {
        if (state_names[i].bits == state && state != DLQ_STATE_ANY)
            return state_names[i].name;
    }
    return NULL;
}

/* What a person typed, as much of it as fits into a line. */
struct shown {
    char text[SHOWN_MAX * 6 + 8];
};

static const char *show(struct slice value, struct shown *shown)
{
    struct buf quoted = {0};
    bool cut = value.len > SHOWN_MAX;
    value.len = cut ? SHOWN_MAX : value.len;
    buf_add_json(&quoted, value);
    if (cut)
        buf_add_text(&quoted, "...");
    (void)str_copy(shown->text, sizeof(shown->text), buf_slice(&quoted));
    buf_deinit(&quoted);
    return shown->text;
}

static bool refuse(struct err *err, const char *name, struct slice value, const char *right)
{
    struct shown shown;
    return err_set(err, ERR_USAGE, "%s: %s is not %s", name, show(value, &shown), right);
}

/* ---- ids ---- */

bool dlq_id_parse(struct slice text, struct dlq_id *out, struct err *err)
{
    const char *right = "<topic>/<partition>/<offset>";
    struct slice part[3] = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t count = 0, begin = 0;
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != '/')
            continue;
        if (count == 3)
            return refuse(err, "id", text, right);
        part[count++] = (struct slice){text.data + begin, i - begin};
        begin = i + 1;
    }
    uint64_t partition, offset;
    if (count != 3 || !str_to_u64(part[1], &partition) || !str_to_u64(part[2], &offset) ||
        partition > INT32_MAX || offset > INT64_MAX)
        return refuse(err, "id", text, right);
    out->topic = mem_strndup(part[0].data, part[0].len);
    if (strlen(out->topic) != part[0].len || check_topic_name(out->topic)) {
        dlq_id_deinit(out);
        return refuse(err, "id", text, right);
    }
    out->partition = (int32_t)partition;
    out->offset = (int64_t)offset;
    return true;
}

void dlq_id_write(const struct dlq_id *id, struct buf *out)
{
    buf_printf(out, "%s/%" PRId32 "/%" PRId64, id->topic, id->partition, id->offset);
}

static bool add_id(struct dlq_filter *filter, struct slice value, struct err *err)
{
    struct dlq_id id;
    if (!dlq_id_parse(value, &id, err))
        return false;
    /* Grown by doubling: the room is the next power of two of the count. */
    if ((filter->id_count & (filter->id_count - 1)) == 0) {
        size_t room = filter->id_count ? filter->id_count * 2 : 1;
        filter->ids = mem_realloc(filter->ids, room * sizeof(*filter->ids));
    }
    filter->ids[filter->id_count++] = id;
    return true;
}

/* ---- parts ---- */

static bool set_text(char **part, const char *name, struct slice value, struct err *err)
{
    if (value.len == 0)
        return err_set(err, ERR_USAGE, "%s: is empty; leave it out to take any", name);
    if (memchr(value.data, '\0', value.len) || !str_is_utf8(value))
        return refuse(err, name, value, "text");
    mem_free(*part);
    *part = mem_strndup(value.data, value.len);
    return true;
}

static bool set_signature(struct dlq_filter *filter, struct slice value, struct err *err)
{
    bool hex = value.len == 16;
    for (size_t i = 0; hex && i < value.len; i++)
        hex = memchr("0123456789abcdef", value.data[i], 16) != NULL;
    if (!hex)
        return refuse(err, "signature", value, "the 16 hex digits that `dlq groups` prints");
    return set_text(&filter->signature, "signature", value, err);
}

static void set_key(struct dlq_filter *filter, const char *data, size_t len)
{
    mem_free(filter->key);
    filter->key = mem_strndup(len ? data : "", len);
    filter->key_len = len;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool set_key_hex(struct dlq_filter *filter, struct slice value, struct err *err)
{
    struct buf bytes = {0};
    bool ok = value.len % 2 == 0;
    for (size_t i = 0; ok && i < value.len; i += 2) {
        int high = hex_digit(value.data[i]), low = hex_digit(value.data[i + 1]);
        ok = high >= 0 && low >= 0;
        buf_add_char(&bytes, ok ? (char)(high * 16 + low) : '\0');
    }
    if (ok)
        set_key(filter, bytes.data, bytes.len);
    buf_deinit(&bytes);
    return ok || refuse(err, "key_hex", value, "hex digits in pairs");
}

static bool set_status(struct dlq_filter *filter, struct slice value, struct err *err)
{
    uint64_t status;
    if (value.len == 3 && value.data[0] >= '1' && value.data[0] <= '5' && value.data[1] == 'x' &&
        value.data[2] == 'x') {
        filter->status_min = (value.data[0] - '0') * 100;
        filter->status_max = filter->status_min + 99;
        return true;
    }
    if (value.len != 3 || !str_to_u64(value, &status) || status < 100 || status > 599)
        return refuse(err, "status", value, "an HTTP status such as 404, or 5xx");
    filter->status_min = filter->status_max = (int32_t)status;
    return true;
}

static bool set_time(int64_t *part, const char *name, struct slice value, int64_t now_ms,
                     struct err *err)
{
    uint64_t number;
    int64_t age_ms;
    int64_t at_ms = 0;
    if (str_rfc3339_to_ns(value, &number))
        at_ms = (int64_t)(number / 1000000);
    else if (str_to_u64(value, &number) && number <= TIME_MAX_MS)
        at_ms = (int64_t)number;
    else if (str_to_duration_ms(value, &age_ms) && age_ms <= now_ms)
        at_ms = now_ms - age_ms;
    else
        return refuse(err, name, value,
                      "a time such as 2026-01-02T03:04:05Z, ms since 1970, or an age such as 2h");
    /* 0 stands for any. Nothing was written in the first ms of 1970. */
    *part = at_ms > 0 ? at_ms : 1;
    return true;
}

static bool set_state(struct dlq_filter *filter, struct slice value, struct err *err)
{
    for (size_t i = 0; i < STATE_NAMES; i++) {
        if (slice_equal_text(value, state_names[i].name)) {
            filter->states |= state_names[i].bits;
            return true;
        }
    }
    return refuse(err, "state", value, "open, redriving, resolved, archived or any");
}

bool dlq_filter_set(struct dlq_filter *filter, const char *name, struct slice value, int64_t now_ms,
                    struct err *err)
{
    if (strcmp(name, "route") == 0)
        return set_text(&filter->route, name, value, err);
    if (strcmp(name, "topic") == 0)
        return set_text(&filter->topic, name, value, err);
    if (strcmp(name, "code") == 0)
        return set_text(&filter->code, name, value, err);
    if (strcmp(name, "text") == 0)
        return set_text(&filter->text, name, value, err);
    if (strcmp(name, "signature") == 0)
        return set_signature(filter, value, err);
    if (strcmp(name, "status") == 0)
        return set_status(filter, value, err);
    if (strcmp(name, "state") == 0)
        return set_state(filter, value, err);
    if (strcmp(name, "since") == 0)
        return set_time(&filter->since_ms, name, value, now_ms, err);
    if (strcmp(name, "until") == 0)
        return set_time(&filter->until_ms, name, value, now_ms, err);
    if (strcmp(name, "id") == 0)
        return add_id(filter, value, err);
    if (strcmp(name, "key_hex") == 0)
        return set_key_hex(filter, value, err);
    if (strcmp(name, "key") == 0) {
        set_key(filter, value.data, value.len);
        return true;
    }
    struct shown shown;
    return err_set(err, ERR_USAGE,
                   "%s is no part of a filter; there are route, topic, code, status, signature, "
                   "key, key_hex, since, until, text, state and id",
                   show(slice_of(name), &shown));
}

/* ---- JSON ---- */

static void open_member(struct buf *out, const char *name)
{
    if (out->data[out->len - 1] != '{')
        buf_add_char(out, ',');
    buf_add_json(out, slice_of(name));
    buf_add_char(out, ':');
}

static void text_member(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    open_member(out, name);
    buf_add_json(out, slice_of(value));
}

static void time_member(struct buf *out, const char *name, int64_t at_ms)
{
    if (!at_ms)
        return;
    char text[STR_RFC3339_MAX];
    str_rfc3339_from_ms(at_ms, text);
    text_member(out, name, text);
}

static void key_member(struct buf *out, const struct dlq_filter *filter)
{
    struct slice key = {filter->key, filter->key_len};
    if (!filter->key)
        return;
    if (str_is_utf8(key)) {
        open_member(out, "key");
        buf_add_json(out, key);
        return;
    }
    open_member(out, "key_hex");
    buf_add_char(out, '"');
    for (size_t i = 0; i < key.len; i++)
        buf_printf(out, "%02x", (unsigned char)key.data[i]);
    buf_add_char(out, '"');
}

static void state_member(struct buf *out, unsigned states)
{
    if (!states)
        return;
    open_member(out, "state");
    char before = '[';
    for (unsigned bit = 1; bit < DLQ_STATE_ANY; bit <<= 1) {
        if (!(states & bit))
            continue;
        buf_add_char(out, before);
        buf_add_json(out, slice_of(dlq_state_name(bit)));
        before = ',';
    }
    buf_add_char(out, ']');
}

static void id_member(struct buf *out, const struct dlq_filter *filter)
{
    if (!filter->id_count)
        return;
    open_member(out, "id");
    struct buf text = {0};
    for (size_t i = 0; i < filter->id_count; i++) {
        buf_reset(&text);
        dlq_id_write(&filter->ids[i], &text);
        buf_add_char(out, i ? ',' : '[');
        buf_add_json(out, buf_slice(&text));
    }
    buf_add_char(out, ']');
    buf_deinit(&text);
}

void dlq_filter_to_json(const struct dlq_filter *filter, struct buf *out)
{
    buf_add_char(out, '{');
    text_member(out, "route", filter->route);
    text_member(out, "topic", filter->topic);
    text_member(out, "code", filter->code);
    if (filter->status_max) {
        char status[16];
        bool one = filter->status_min == filter->status_max;
        snprintf(status, sizeof(status), one ? "%" PRId32 : "%" PRId32 "xx",
                 one ? filter->status_min : filter->status_min / 100);
        text_member(out, "status", status);
    }
    text_member(out, "signature", filter->signature);
    key_member(out, filter);
    time_member(out, "since", filter->since_ms);
    time_member(out, "until", filter->until_ms);
    text_member(out, "text", filter->text);
    state_member(out, filter->states);
    id_member(out, filter);
    buf_add_char(out, '}');
}

static bool set_json(struct dlq_filter *filter, const char *name, struct json_object *value,
                     struct err *err)
{
    if (!json_object_is_type(value, json_type_string))
        return err_set(err, ERR_INPUT, "filter: \"%s\" is no text", name);
    struct slice text = {json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return dlq_filter_set(filter, name, text, 0, err);
}

static bool from_member(struct dlq_filter *filter, const char *name, struct json_object *value,
                        struct err *err)
{
    bool repeats = strcmp(name, "state") == 0 || strcmp(name, "id") == 0;
    if (!repeats || !json_object_is_type(value, json_type_array))
        return set_json(filter, name, value, err);
    size_t count = json_object_array_length(value);
    if (count == 0) /* of nothing selected everything would be taken */
        return err_set(err, ERR_INPUT, "filter: \"%s\" is an empty array", name);
    for (size_t i = 0; i < count; i++) {
        if (!set_json(filter, name, json_object_array_get_idx(value, i), err))
            return false;
    }
    return true;
}

bool dlq_filter_from_json(struct dlq_filter *filter, struct slice json, struct err *err)
{
    struct json_object *object;
    bool ok = json_tree_read(json, JSON_DEPTH, false, &object, NULL) &&
              json_object_is_type(object, json_type_object);
    if (!ok)
        err_set(err, ERR_INPUT, "filter: no JSON object");
    if (ok) {
        json_object_object_foreach(object, name, value)
        {
            ok = ok && from_member(filter, name, value, err);
        }
    }
    if (!ok && err && err->code == ERR_USAGE)
        err->code = ERR_INPUT;
    json_object_put(object);
    return ok;
}

static bool is_or_any(const char *wanted, struct slice text)
{
    return !wanted || slice_equal_text(text, wanted);
}

bool dlq_filter_takes(const struct dlq_filter *filter, const struct record *rec,
                      const struct dead_letter *letter)
{
    if (!is_or_any(filter->route, letter->route) || !is_or_any(filter->topic, rec->topic) ||
        !is_or_any(filter->code, letter->code) ||
        !is_or_any(filter->signature, slice_of(letter->signature)))
        return false;
    if (filter->key && !slice_equal(rec->key, (struct slice){filter->key, filter->key_len}))
        return false;
    if (filter->status_min > 0 &&
        (letter->http_status < filter->status_min || letter->http_status > filter->status_max))
        return false;
    if ((filter->since_ms > 0 && rec->timestamp_ms < filter->since_ms) ||
        (filter->until_ms > 0 && rec->timestamp_ms >= filter->until_ms))
        return false;
    return true;
}
