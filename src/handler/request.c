/*
 * Writes the header lines of one delivery. What all requests of a route or of a topic share is
 * built once; a delivery appends, and goes over the record's headers once.
 *
 * Invariants: every foreign byte is percent-encoded or checked to be plain ASCII, so that no record
 * can end a line or add one; a header that is too large is left out and named in Oncegate-Omitted,
 * since a handler that refuses a huge head would otherwise turn it into a poison record or a reset.
 */
#include "handler/request.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "base/str.h"
#include "base/version.h"
#include "handler/cloudevents.h"
#include "handler/percent.h"
#include "handler/request_parts.h"

#define CONTENT_TYPE_MAX 256
#define TRACE_MAX        512
#define CONFIGURED_MAX   (8 * 1024)
#define SECOND_TEXT_LEN  19

/* ---- what is configured ---- */

static bool is_reserved(const char *name)
{
    static const char *const prefixes[] = {"oncegate-", "kafka-", "ce-", "webhook-"};
    static const char *const names[] = {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "expect",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "idempotency-key",
        "traceparent",
        "tracestate",
    };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* The value of a configured header into out; a line end at the end of a file is no part of it. */
static bool read_value(const struct request_header *header, struct buf *out, struct err *err)
{
    if (header->value) {
        buf_add_text(out, header->value);
        return true;
    }
    int fd = open(header->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_CONFIG, "request_headers.%s: %s: %s", header->name, header->file,
                       strerror(errno));
    char chunk[1024];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 && out->len <= CONFIGURED_MAX)
        buf_add(out, chunk, (size_t)n);
    int why = errno;
    close(fd);
    if (n < 0)
        return err_set(err, ERR_CONFIG, "request_headers.%s: %s: %s", header->name, header->file,
                       strerror(why));
    while (out->len && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    return true;
}

static bool add_configured(struct request_template *tpl, const struct request_header *header,
                           struct buf *value, bool *own_agent, struct err *err)
{
    if (!percent_is_token(slice_of(header->name)))
        return err_set(err, ERR_CONFIG, "request_headers: '%s' is no header name", header->name);
    if (is_reserved(header->name))
        return err_set(err, ERR_CONFIG, "request_headers.%s is written by oncegate itself",
                       header->name);
    buf_reset(value);
    if (!read_value(header, value, err))
        return false;
    if (value->len && !percent_is_plain(buf_slice(value), CONFIGURED_MAX))
        return err_set(err, ERR_CONFIG,
                       "request_headers.%s: the value must be printable ASCII of at most 8 KiB",
                       header->name);
    if (strcasecmp(header->name, "content-type") == 0) {
        buf_reset(&tpl->content_type);
        buf_add_slice(&tpl->content_type, buf_slice(value));
        return true;
    }
    *own_agent = *own_agent || strcasecmp(header->name, "user-agent") == 0;
    buf_add_text(&tpl->fixed, header->name);
    buf_add_text(&tpl->fixed, ": ");
    buf_add_slice(&tpl->fixed, buf_slice(value));
    buf_add_text(&tpl->fixed, "\r\n");
    return true;
}

/* How the attributes are called that hold forwarded headers: an attribute's name has only a-z and
 * 0-9. */
static void name_attributes(struct request_template *tpl)
{
    tpl->attributes = mem_calloc(tpl->forward_count ? tpl->forward_count : 1, sizeof(char *));
    for (size_t i = 0; i < tpl->forward_count; i++) {
        struct buf name = {0};
        ADD_LIT(&name, "kafkaheader");
        for (const char *at = tpl->forward[i]; *at; at++) {
            if (isalnum((unsigned char)*at))
                buf_add_char(&name, (char)tolower((unsigned char)*at));
        }
        tpl->attributes[i] = name.data;
    }
}

struct request_template *request_template_new(const struct route_config *route, struct err *err)
{
    const struct handler_config *handler = &route->handler;
    struct request_template *tpl = mem_zalloc(sizeof(*tpl));
    struct buf value = {0};
    bool own_agent = false;
    bool ok = true;

    tpl->group = slice_of(route->group);
    tpl->forward = handler->forward_headers;
    tpl->forward_count = handler->forward_header_count;
    if (handler->batch_max_records > 1)
        name_attributes(tpl);
    tpl->hide_key = handler->hide_key;
    tpl->bare_key = handler->idempotency_key_bare;
    buf_add_text(&tpl->content_type, "application/octet-stream");
    for (size_t i = 0; ok && i < handler->request_header_count; i++)
        ok = add_configured(tpl, &handler->request_headers[i], &value, &own_agent, err);
    if (!own_agent)
        buf_add_text(&tpl->fixed, "User-Agent: oncegate/" ONCEGATE_VERSION "\r\n");
    if (ok && handler->sign_secret_file_count) {
        tpl->signer = webhook_signer_new(handler->sign_secret_files,
                                         handler->sign_secret_file_count, err);
        ok = tpl->signer != NULL;
    }
    buf_deinit(&value);
    if (!ok)
        request_template_free(&tpl);
    return tpl;
}

void request_template_free(struct request_template **tpl)
{
    if (!*tpl)
        return;
    webhook_signer_free(&(*tpl)->signer);
    buf_deinit(&(*tpl)->fixed);
    buf_deinit(&(*tpl)->content_type);
    buf_deinit(&(*tpl)->text);
    buf_deinit(&(*tpl)->key);
    for (size_t i = 0; (*tpl)->attributes && i < (*tpl)->forward_count; i++)
        mem_free((*tpl)->attributes[i]);
    mem_free((*tpl)->attributes);
    for (size_t i = 0; i < TOPICS_KEPT; i++) {
        struct topic_text *topic = &(*tpl)->topics[i];
        buf_deinit(&topic->topic);
        buf_deinit(&topic->beginning);
        buf_deinit(&topic->source);
        buf_deinit(&topic->kafka);
        buf_deinit(&topic->lines);
        buf_deinit(&topic->event_source);
        buf_deinit(&topic->event_topic);
    }
    mem_free(*tpl);
    *tpl = NULL;
}

/* ---- lines ---- */

static void end_line(struct buf *out)
{
    ADD_LIT(out, "\r\n");
}

/* name: with the colon and the blank. value: such as may stand there. */
#define ADD_LINE(out, name, value)                                                                 \
    (ADD_LIT((out), name), buf_add_slice((out), (value)), end_line(out))

/* ---- what a topic's requests share ---- */

#define SPECVERSION_LINE "ce-specversion: 1.0\r\n"
#define TYPE_LINE        "ce-type: io.oncegate.record\r\n"

static void build_event(struct topic_text *text, struct slice topic)
{
    struct buf source = {0};
    ADD_LIT(&source, "/kafka/");
    percent_add_value(&source, topic);
    buf_reset(&text->event_source);
    ADD_LIT(&text->event_source, "\"source\":");
    buf_add_json(&text->event_source, buf_slice(&source));
    buf_reset(&text->event_topic);
    ADD_LIT(&text->event_topic, "\"kafkatopic\":");
    buf_add_json(&text->event_topic, topic);
    buf_deinit(&source);
}

static void build_topic(struct request_template *tpl, struct topic_text *text, struct slice topic)
{
    buf_reset(&text->topic);
    buf_reset(&text->beginning);
    buf_reset(&text->source);
    buf_reset(&text->kafka);
    buf_reset(&text->lines);
    buf_add_slice(&text->topic, topic);
    identity_text_beginning(tpl->group, topic, &text->beginning);
    ADD_LIT(&text->source, "ce-source: /kafka/");
    percent_add_value(&text->source, topic);
    end_line(&text->source);
    ADD_LIT(&text->kafka, "Kafka-Topic: ");
    percent_add_value(&text->kafka, topic);
    end_line(&text->kafka);
    buf_add_slice(&text->lines, buf_slice(&tpl->fixed));
    ADD_LINE(&text->lines, "Content-Type: ", buf_slice(&tpl->content_type));
    buf_add_slice(&text->lines, buf_slice(&text->kafka));
    ADD_LIT(&text->lines, SPECVERSION_LINE TYPE_LINE);
    buf_add_slice(&text->lines, buf_slice(&text->source));
    if (tpl->attributes)
        build_event(text, topic);
}

const struct topic_text *request_topic(struct request_template *tpl, struct slice topic)
{
    size_t hash = topic.len;
    /* Topics of one route differ at their end, if not in length. */
    for (size_t i = topic.len > 4 ? topic.len - 4 : 0; i < topic.len; i++)
        hash = hash * 31 + (unsigned char)topic.data[i];
    struct topic_text *text = &tpl->topics[hash % TOPICS_KEPT];
    if (text->topic.len == 0 || !slice_equal(buf_slice(&text->topic), topic))
        build_topic(tpl, text, topic);
    return text;
}

/* ---- the record's own headers ---- */

static bool name_is(struct slice name, const char *text, size_t len)
{
    return name.len == len && strncasecmp(name.data, text, len) == 0;
}

static bool is_specversion(struct slice name)
{
    return !slice_is_null(name) && cloudevents_attribute_of(name) == CLOUDEVENTS_SPECVERSION;
}

void request_find_headers(const struct record *rec, struct found *found)
{
    for (size_t i = 0; i < rec->header_count; i++) {
        struct slice name = rec->headers[i].name;
        struct slice value = rec->headers[i].value;
        if (name_is(name, "content-type", 12))
            found->content_type = percent_is_plain(value, CONTENT_TYPE_MAX) ? value : SLICE_NULL;
        else if (name_is(name, "traceparent", 11))
            found->traceparent = percent_is_plain(value, TRACE_MAX) ? value : SLICE_NULL;
        else if (name_is(name, "tracestate", 10))
            found->tracestate = percent_is_plain(value, TRACE_MAX) ? value : SLICE_NULL;
        else if (is_specversion(cloudevents_name(name)))
            found->binary = true;
    }
    found->structured = cloudevents_is_structured(found->content_type);
}

void request_omit(struct allowance *allowance, struct slice name)
{
    if (allowance->omitted_count < OMITTED_MAX)
        allowance->omitted[allowance->omitted_count++] = name;
}

/* Adds "<prefix><name>: <value>"; a null value becomes an empty one. */
static void add_record_header(struct buf *out, struct slice prefix, struct slice name,
                              struct slice value, struct allowance *allowance)
{
    size_t len = value.len > HEADER_VALUE_MAX ? value.len : percent_value_len(value);
    size_t cost = prefix.len + name.len + len + 4;

    if (len > HEADER_VALUE_MAX || name.len > HEADER_NAME_MAX || cost > allowance->left) {
        request_omit(allowance, name);
        return;
    }
    allowance->left -= cost;
    buf_add_slice(out, prefix);
    percent_add_name(out, name);
    ADD_LIT(out, ": ");
    percent_add_value(out, value);
    end_line(out);
}

static void add_omitted(struct buf *out, const struct allowance *allowance)
{
    for (size_t i = 0; i < allowance->omitted_count; i++) {
        struct slice name = allowance->omitted[i];
        if (name.len > HEADER_NAME_MAX)
            name.len = HEADER_NAME_MAX;
        ADD_LIT(out, "Oncegate-Omitted: ");
        percent_add_value(out, name);
        end_line(out);
    }
}

/* Adds the record's own attributes and tells which of those that we would write are there. */
static unsigned add_own_attributes(struct buf *out, const struct record *rec,
                                   struct allowance *allowance)
{
    unsigned seen = 0;

    for (size_t i = 0; i < rec->header_count; i++) {
        struct slice name = cloudevents_name(rec->headers[i].name);
        unsigned attribute = slice_is_null(name) ? 0 : (unsigned)cloudevents_attribute_of(name);
        /* A null is no value; a known attribute stands once. */
        if (!attribute || slice_is_null(rec->headers[i].value) ||
            (attribute != CLOUDEVENTS_OTHER && (seen & attribute)))
            continue;
        seen |= attribute;
        add_record_header(out, SLICE_LIT("ce-"), name, rec->headers[i].value, allowance);
    }
    return seen;
}

void request_add_key(struct buf *out, struct slice key, bool hide)
{
    if (!hide && key.len <= KEY_MAX) {
        percent_add_value(out, key);
        return;
    }
    char hex[SHA256_HEX_MAX];
    sha256_hex(key, hex);
    ADD_LIT(out, "sha256:");
    buf_add_text(out, hex);
}

bool request_has_time(int64_t wall_ms)
{
    return wall_ms >= 0 && wall_ms < INT64_C(253402300800000);
}

void request_add_time(struct buf *out, struct second_text *cache, int64_t wall_ms)
{
    int64_t second = wall_ms / 1000;
    unsigned ms = (unsigned)(wall_ms % 1000);

    if (second != cache->second || !cache->text[0]) {
        str_rfc3339_from_ms(second * 1000, cache->text);
        cache->second = second;
    }
    buf_add(out, cache->text, SECOND_TEXT_LEN);
    buf_add(out,
            (const char[]){'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                           (char)('0' + ms % 10), 'Z'},
            5);
}

/* The lines of the route and the first ones of the event; which attributes the record brought. */
static unsigned add_first_lines(const struct request_template *tpl, const struct topic_text *topic,
                                const struct record *rec, const struct found *found,
                                struct allowance *allowance, struct buf *out)
{
    unsigned own = 0;

    if (!found->content_type.len && !found->binary) {
        buf_add_slice(out, buf_slice(&topic->lines));
        return 0;
    }
    buf_add_slice(out, buf_slice(&tpl->fixed));
    ADD_LINE(out, "Content-Type: ",
             found->content_type.len ? found->content_type : buf_slice(&tpl->content_type));
    buf_add_slice(out, buf_slice(&topic->kafka));
    if (found->structured)
        return 0;
    if (found->binary)
        own = add_own_attributes(out, rec, allowance);
    if (!(own & CLOUDEVENTS_SPECVERSION))
        ADD_LIT(out, SPECVERSION_LINE);
    if (!(own & CLOUDEVENTS_SOURCE))
        buf_add_slice(out, buf_slice(&topic->source));
    if (!(own & CLOUDEVENTS_TYPE))
        ADD_LIT(out, TYPE_LINE);
    return own;
}

/* What an event has of its record. */
static void add_event(struct request_template *tpl, const struct request_facts *facts,
                      const struct found *found, unsigned own, struct buf *out)
{
    const struct origin *origin = facts->origin;
    struct slice key = facts->rec->key;

    if (found->structured)
        return;
    if (!(own & CLOUDEVENTS_ID))
        ADD_LINE(out, "ce-id: ", buf_slice(&tpl->text));
    /* An event without a time has none; ours would change it. */
    if (!found->binary && request_has_time(origin->timestamp_ms)) {
        ADD_LIT(out, "ce-time: ");
        request_add_time(out, &tpl->event_second, origin->timestamp_ms);
        end_line(out);
    }
    if (!(own & CLOUDEVENTS_PARTITIONKEY) && key.len && str_is_utf8(key))
        ADD_LINE(out, "ce-partitionkey: ", buf_slice(&tpl->key));
}

static void add_kafka(const struct request_template *tpl, const struct request_facts *facts,
                      struct buf *out)
{
    ADD_LIT(out, "Kafka-Partition: ");
    buf_add_i64(out, facts->origin->partition);
    ADD_LIT(out, "\r\nKafka-Offset: ");
    buf_add_i64(out, facts->origin->offset);
    end_line(out);
    if (!slice_is_null(facts->rec->key))
        ADD_LINE(out, "Kafka-Key: ", buf_slice(&tpl->key));
    if (slice_is_null(facts->rec->value))
        ADD_LIT(out, "Kafka-Tombstone: true\r\n");
}

static bool is_forwarded(const struct request_template *tpl, struct slice name)
{
    for (size_t i = 0; i < tpl->forward_count; i++) {
        if (slice_equal_text(name, tpl->forward[i]))
            return true;
    }
    return false;
}

static void add_forwarded(const struct request_template *tpl, const struct record *rec,
                          struct allowance *allowance, struct buf *out)
{
    if (tpl->forward_count == 0)
        return;
    for (size_t i = 0; i < rec->header_count; i++) {
        const struct record_header *header = &rec->headers[i];
        if (is_forwarded(tpl, header->name))
            add_record_header(out, SLICE_LIT("Kafka-Header-"), header->name, header->value,
                              allowance);
    }
}

static void add_oncegate(struct request_template *tpl, const struct request_facts *facts,
                         struct buf *out)
{
    const struct identity *identity = facts->identity;
    bool numbered = identity->status == IDENTITY_OK &&
                    (identity->kind == IDENTITY_SEQUENCE || identity->kind == IDENTITY_VERSION);

    ADD_LIT(out, "Idempotency-Key: ");
    if (!tpl->bare_key)
        buf_add_char(out, '"');
    buf_add_slice(out, buf_slice(&tpl->text)); /* its parts are percent-encoded already */
    if (!tpl->bare_key)
        buf_add_char(out, '"');
    ADD_LIT(out, "\r\nOncegate-Attempt: ");
    buf_add_u64(out, facts->attempt);
    end_line(out);
    if (numbered) {
        ADD_LIT(out, "Oncegate-Sequence: ");
        buf_add_u64(out, identity->number);
        ADD_LIT(out, "\r\nOncegate-Epoch: ");
        buf_add_u64(out, identity->epoch);
        end_line(out);
    }
    if (request_has_time(facts->deadline_wall_ms)) {
        ADD_LIT(out, "Oncegate-Deadline: ");
        request_add_time(out, &tpl->deadline_second, facts->deadline_wall_ms);
        end_line(out);
    }
    if (facts->indeterminate)
        ADD_LIT(out, "Oncegate-Dedup: indeterminate\r\n");
    if (!slice_is_null(facts->redrive_id)) {
        ADD_LIT(out, "Oncegate-Redrive: ");
        percent_add_value(out, facts->redrive_id);
        end_line(out);
    }
}

void request_write(struct request_template *tpl, const struct request_facts *facts, struct buf *out)
{
    struct found found = {0};
    const struct topic_text *topic = request_topic(tpl, facts->origin->topic);
    struct allowance allowance;

    allowance.left = HEADERS_TOTAL_MAX;
    allowance.omitted_count = 0;
    request_find_headers(facts->rec, &found);
    identity_text(facts->identity, facts->origin, buf_slice(&topic->beginning), tpl->hide_key,
                  &tpl->text);
    buf_reset(&tpl->key);
    if (!slice_is_null(facts->rec->key))
        request_add_key(&tpl->key, facts->rec->key, tpl->hide_key);
    buf_reserve(out, 1024);
    unsigned own = add_first_lines(tpl, topic, facts->rec, &found, &allowance, out);
    if (!slice_is_null(found.traceparent))
        ADD_LINE(out, "traceparent: ", found.traceparent);
    if (!slice_is_null(found.traceparent) && !slice_is_null(found.tracestate))
        ADD_LINE(out, "tracestate: ", found.tracestate);
    add_event(tpl, facts, &found, own, out);
    add_kafka(tpl, facts, out);
    add_oncegate(tpl, facts, out);
    add_forwarded(tpl, facts->rec, &allowance, out);
    add_omitted(out, &allowance);
    if (tpl->signer)
        webhook_sign(tpl->signer, buf_slice(&tpl->text), clock_wall_ms() / 1000, facts->rec->value,
                     out);
}
