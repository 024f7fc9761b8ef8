/*
 * Writes one record as an event in JSON; see batch_event.h. What stands in header lines of a
 * request with one record stands here in the event's attributes, whose names have only a-z and 0-9
 * (CloudEvents, "Naming Conventions").
 *
 *   {"specversion":…,"type":…,"source":…,"kafkatopic":…,"id":…, ours…, "data":…}
 *   a record that is an event, binary mode:      its own attributes, ours, data
 *   a record that is an event, structured mode:  ours, its own members as they are
 *
 * Invariants: whatever a record holds, what is appended is one JSON object in UTF-8, so no record
 * can break the array or speak for another; an attribute that is ours is never the record's. Bytes
 * that are not what their content type says go as data_base64, to the bit.
 */
#include "handler/batch_event.h"

#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/clock.h"
#include "handler/cloudevents.h"
#include "handler/percent.h"
#include "handler/request_parts.h"
#include "record/json_field.h"

/* Attributes of a record's own, beyond the known ones. */
#define EXTENSIONS_MAX 64

/* name: a literal. */
#define ADD_NAME(out, name) ADD_LIT((out), ",\"" name "\":")

/* The event being written. */
struct event {
    struct request_template *tpl;
    const struct request_facts *facts;
    const struct topic_text *topic;
    struct found found;
    struct allowance allowance;
    struct buf *out, *ids;
};

/* ---- attributes of the record's own ---- */

static bool starts_with(struct slice name, const char *text, size_t len)
{
    return name.len >= len && memcmp(name.data, text, len) == 0;
}

static bool is_ours(struct slice name)
{
    return starts_with(name, "kafka", 5) || starts_with(name, "oncegate", 8) ||
           slice_equal_text(name, "idempotencykey");
}

/* Members of an event that are written from elsewhere. */
static bool is_taken(struct slice name)
{
    return is_ours(name) || slice_equal_text(name, "data") ||
           slice_equal_text(name, "datacontenttype");
}

static bool is_among(const struct slice *names, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(names[i], name))
            return true;
    }
    return false;
}

static void add_member(struct buf *out, struct slice name, struct slice value)
{
    ADD_LIT(out, ",\"");
    buf_add_slice(out, name);
    ADD_LIT(out, "\":");
    buf_add_json(out, value);
}

/* header: what it is called where it has to stay behind. */
static bool fits(struct event *event, struct slice header, struct slice value)
{
    size_t cost = header.len + value.len + 6;

    if (header.len > HEADER_NAME_MAX || value.len > HEADER_VALUE_MAX ||
        cost > event->allowance.left || !str_is_utf8(value)) {
        request_omit(&event->allowance, header);
        return false;
    }
    event->allowance.left -= cost;
    return true;
}

/* Adds what the record's headers say of the event; returns which of the known ones they said. */
static unsigned add_own_attributes(struct event *event)
{
    const struct record *rec = event->facts->rec;
    struct slice others[EXTENSIONS_MAX];
    size_t other_count = 0;
    unsigned seen = 0;

    for (size_t i = 0; i < rec->header_count; i++) {
        struct slice name = cloudevents_name(rec->headers[i].name);
        struct slice value = rec->headers[i].value;
        unsigned attribute = slice_is_null(name) ? 0 : (unsigned)cloudevents_attribute_of(name);
        bool other = attribute == CLOUDEVENTS_OTHER;
        if (!attribute || slice_is_null(value) || (!other && (seen & attribute)) ||
            (other && (is_taken(name) || is_among(others, other_count, name))))
            continue;
        if (value.len == 0 || (other && other_count == EXTENSIONS_MAX) ||
            !fits(event, rec->headers[i].name, value)) /* an attribute that is there is not empty */
            continue;
        seen |= attribute;
        if (other)
            others[other_count++] = name;
        if (attribute == CLOUDEVENTS_ID)
            buf_add_slice(event->ids, value);
        add_member(event->out, name, value);
    }
    /* The record's header traceparent is no attribute: it goes only where the event has none. */
    if (is_among(others, other_count, SLICE_LIT("traceparent")))
        event->found.traceparent = SLICE_NULL;
    if (is_among(others, other_count, SLICE_LIT("tracestate")))
        event->found.tracestate = SLICE_NULL;
    return seen;
}

/* ---- ours ---- */

static void add_identity(struct event *event, bool own_id)
{
    struct slice text = buf_slice(&event->tpl->text);

    if (own_id) {
        ADD_NAME(event->out, "idempotencykey");
    } else {
        ADD_NAME(event->out, "id");
        buf_add_slice(event->ids, text);
    }
    buf_add_json(event->out, text);
}

static void add_key(struct event *event, bool own_partitionkey)
{
    struct slice key = event->facts->rec->key;
    struct slice shown = buf_slice(&event->tpl->key);
    bool hashed = event->tpl->hide_key || key.len > KEY_MAX;

    if (slice_is_null(key))
        return;
    ADD_NAME(event->out, "kafkakey");
    buf_add_json(event->out, shown);
    if (own_partitionkey || key.len == 0 || !str_is_utf8(key))
        return;
    ADD_NAME(event->out, "partitionkey");
    buf_add_json(event->out, hashed ? shown : key);
}

/* A whole number of CloudEvents has 32 bits: those that may be longer are text. */
static void add_quoted(struct buf *out, uint64_t number)
{
    buf_add_char(out, '"');
    buf_add_u64(out, number);
    buf_add_char(out, '"');
}

static void add_kafka(struct event *event)
{
    const struct origin *origin = event->facts->origin;

    ADD_NAME(event->out, "kafkapartition");
    buf_add_i64(event->out, origin->partition);
    ADD_LIT(event->out, ",\"kafkaoffset\":\"");
    buf_add_i64(event->out, origin->offset);
    buf_add_char(event->out, '"');
    if (slice_is_null(event->facts->rec->value))
        ADD_LIT(event->out, ",\"kafkatombstone\":true");
}

static void add_oncegate(struct event *event)
{
    const struct request_facts *facts = event->facts;
    const struct identity *identity = facts->identity;

    ADD_NAME(event->out, "oncegateattempt");
    buf_add_u64(event->out, facts->attempt > INT32_MAX ? INT32_MAX : facts->attempt);
    if (identity->status == IDENTITY_OK &&
        (identity->kind == IDENTITY_SEQUENCE || identity->kind == IDENTITY_VERSION)) {
        ADD_NAME(event->out, "oncegatesequence");
        add_quoted(event->out, identity->number);
        ADD_NAME(event->out, "oncegateepoch");
        add_quoted(event->out, identity->epoch);
    }
    if (facts->indeterminate)
        ADD_LIT(event->out, ",\"oncegatededup\":\"indeterminate\"");
    if (!slice_is_null(facts->redrive_id)) {
        ADD_NAME(event->out, "oncegateredrive");
        buf_add_json(event->out, facts->redrive_id);
    }
}

static void add_trace(struct event *event)
{
    if (slice_is_null(event->found.traceparent))
        return;
    ADD_NAME(event->out, "traceparent");
    buf_add_json(event->out, event->found.traceparent);
    if (slice_is_null(event->found.tracestate))
        return;
    ADD_NAME(event->out, "tracestate");
    buf_add_json(event->out, event->found.tracestate);
}

/* Of a header that is there more than once the last one; encoded as in a header line. */
static void add_forwarded(struct event *event)
{
    const struct request_template *tpl = event->tpl;
    struct buf value = {0};

    for (size_t i = 0; i < tpl->forward_count; i++) {
        const struct record_header *header = record_find_header(event->facts->rec, tpl->forward[i]);
        if (!header)
            continue;
        buf_reset(&value);
        if (header->value.len <= HEADER_VALUE_MAX)
            percent_add_value(&value, header->value);
        else
            buf_add_slice(&value, header->value); /* it does not fit */
        if (fits(event, header->name, buf_slice(&value)))
            add_member(event->out, slice_of(tpl->attributes[i]), buf_slice(&value));
    }
    buf_deinit(&value);
}

/* Names, each encoded, with commas between them. */
static void add_omitted(struct event *event)
{
    struct buf names = {0};

    if (event->allowance.omitted_count == 0)
        return;
    for (size_t i = 0; i < event->allowance.omitted_count; i++) {
        struct slice name = event->allowance.omitted[i];
        if (name.len > HEADER_NAME_MAX)
            name.len = HEADER_NAME_MAX;
        if (i > 0)
            buf_add_char(&names, ',');
        percent_add_value(&names, name);
    }
    ADD_NAME(event->out, "oncegateomitted");
    buf_add_json(event->out, buf_slice(&names));
    buf_deinit(&names);
}

/* All that is ours and may stand in any event. */
static void add_ours(struct event *event, bool own_id, bool own_partitionkey)
{
    add_identity(event, own_id);
    add_kafka(event);
    add_key(event, own_partitionkey);
    add_oncegate(event);
    add_forwarded(event);
}

/* ---- data ---- */

static struct slice media_type(struct slice type)
{
    size_t len = 0;

    while (len < type.len && type.data[len] != ';' && type.data[len] != ' ')
        len++;
    return (struct slice){type.data, len};
}

static bool type_is(struct slice type, const char *text)
{
    return type.len == strlen(text) && strncasecmp(type.data, text, type.len) == 0;
}

static bool is_json_type(struct slice type)
{
    return type_is(type, "application/json") || type_is(type, "text/json") ||
           (type.len > 5 && strncasecmp(type.data + type.len - 5, "+json", 5) == 0);
}

/* As it may stand within JSON: no byte order mark, and UTF-8 throughout. */
static bool is_json_text(struct slice text)
{
    return text.len > 0 && (unsigned char)text.data[0] != 0xef && json_find(text, NULL, 0) &&
           str_is_utf8(text);
}

static void add_data(struct event *event)
{
    struct slice value = event->facts->rec->value;
    struct slice type = event->found.content_type.len ? event->found.content_type
                                                      : buf_slice(&event->tpl->content_type);
    struct slice media = media_type(type);
    struct buf *out = event->out;

    if (slice_is_null(value))
        return;
    ADD_NAME(out, "datacontenttype");
    buf_add_json(out, type);
    if (is_json_type(media) && is_json_text(value)) {
        ADD_NAME(out, "data");
        buf_add_slice(out, value);
    } else if (!is_json_type(media) && media.len > 5 && strncasecmp(media.data, "text/", 5) == 0 &&
               str_is_utf8(value)) {
        ADD_NAME(out, "data");
        buf_add_json(out, value);
    } else {
        ADD_LIT(out, ",\"data_base64\":\"");
        base64_encode(out, value);
        buf_add_char(out, '"');
    }
}

/* ---- events ---- */

static bool is_text_member(const struct json_field *field)
{
    return field->kind == JSON_STRING && field->raw.len > 0;
}

/* Every member's name is an attribute's, data or data_base64. */
static bool has_plain_names(struct slice text)
{
    struct json_walk walk;
    struct slice name, value;

    json_walk_begin(&walk, text);
    while (json_walk_next(&walk, &name, &value)) {
        for (size_t i = 0; i < name.len; i++) {
            char c = name.data[i];
            if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
                return false;
        }
    }
    return true;
}

/* The value is an event that may stand in the array as it is; *id is what is written as its id. */
static bool is_whole_event(const struct event *event, struct slice *id)
{
    struct slice value = event->facts->rec->value;
    struct json_field fields[] = {{.pointer = "/id"},
                                  {.pointer = "/specversion"},
                                  {.pointer = "/source"},
                                  {.pointer = "/type"}};

    if (!event->found.structured ||
        !type_is(media_type(event->found.content_type), "application/cloudevents+json") ||
        value.len == 0 || (unsigned char)value.data[0] == 0xef ||
        !json_find(value, fields, sizeof(fields) / sizeof(fields[0])) || !str_is_utf8(value) ||
        !has_plain_names(value))
        return false;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!is_text_member(&fields[i]))
            return false;
    }
    *id = fields[0].raw;
    return true;
}

static void write_structured(struct event *event)
{
    struct buf *out = event->out;
    struct json_walk walk;
    struct slice name, value;

    buf_add_char(out, '{');
    buf_add_slice(out, buf_slice(&event->topic->event_topic));
    ADD_NAME(out, "idempotencykey");
    buf_add_json(out, buf_slice(&event->tpl->text));
    add_kafka(event);
    add_key(event, true);
    add_oncegate(event);
    add_forwarded(event);
    add_omitted(event);
    json_walk_begin(&walk, event->facts->rec->value);
    while (json_walk_next(&walk, &name, &value)) {
        if (is_ours(name))
            continue;
        ADD_LIT(out, ",\"");
        buf_add_slice(out, name);
        ADD_LIT(out, "\":");
        buf_add_slice(out, value);
    }
    buf_add_char(out, '}');
}

static void write_other(struct event *event)
{
    struct buf *out = event->out;
    unsigned own = 0;

    buf_add_char(out, '{');
    buf_add_slice(out, buf_slice(&event->topic->event_topic));
    if (event->found.binary)
        own = add_own_attributes(event);
    if (!(own & CLOUDEVENTS_SPECVERSION))
        ADD_LIT(out, ",\"specversion\":\"1.0\"");
    if (!(own & CLOUDEVENTS_TYPE))
        ADD_LIT(out, ",\"type\":\"io.oncegate.record\"");
    if (!(own & CLOUDEVENTS_SOURCE)) {
        buf_add_char(out, ',');
        buf_add_slice(out, buf_slice(&event->topic->event_source));
    }
    add_ours(event, own & CLOUDEVENTS_ID, own & CLOUDEVENTS_PARTITIONKEY);
    /* An event without a time has none; ours would change it. */
    if (!event->found.binary && request_has_time(event->facts->origin->timestamp_ms)) {
        ADD_LIT(out, ",\"time\":\"");
        request_add_time(out, &event->tpl->event_second, event->facts->origin->timestamp_ms);
        buf_add_char(out, '"');
    }
    add_trace(event);
    add_omitted(event);
    add_data(event);
    buf_add_char(out, '}');
}

/* The id of a structured event, whose escapes are written out. */
static bool keep_id(struct buf *ids, struct slice raw)
{
    struct slice bytes;
    size_t before = ids->len;

    buf_reserve(ids, 2 * raw.len + 1);
    if (!json_string_bytes(raw, ids, &bytes))
        return ids->len = before, false;
    if (bytes.data == raw.data) /* without an escape nothing was added */
        buf_add_slice(ids, bytes);
    return true;
}

void batch_event_write(struct request_template *tpl, const struct request_facts *facts,
                       struct buf *out, struct buf *ids)
{
    struct event event = {.tpl = tpl,
                          .facts = facts,
                          .topic = request_topic(tpl, facts->origin->topic),
                          .allowance = {.left = HEADERS_TOTAL_MAX},
                          .out = out,
                          .ids = ids};
    struct slice id;

    request_find_headers(facts->rec, &event.found);
    identity_text(facts->identity, facts->origin, buf_slice(&event.topic->beginning), tpl->hide_key,
                  &tpl->text);
    buf_reset(&tpl->key);
    if (!slice_is_null(facts->rec->key))
        request_add_key(&tpl->key, facts->rec->key, tpl->hide_key);
    buf_reserve(out, 512 + facts->rec->value.len);
    if (is_whole_event(&event, &id) && keep_id(ids, id))
        write_structured(&event);
    else
        write_other(&event);
}

void batch_head_write(struct request_template *tpl, int64_t deadline_wall_ms, struct slice body,
                      struct slice ids, struct buf *out)
{
    buf_add_slice(out, buf_slice(&tpl->fixed));
    ADD_LIT(out, "Content-Type: application/cloudevents-batch+json\r\n");
    if (request_has_time(deadline_wall_ms)) {
        ADD_LIT(out, "Oncegate-Deadline: ");
        request_add_time(out, &tpl->deadline_second, deadline_wall_ms);
        ADD_LIT(out, "\r\n");
    }
    if (tpl->signer)
        webhook_sign(tpl->signer, ids, clock_wall_ms() / 1000, body, out);
}
