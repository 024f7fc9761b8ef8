/*
 * Reading what makes two records the same. Trouble is a status with a stable code, never an error:
 * what to do about it is the route's policy. Codes are <subject>-missing and <subject>-unreadable;
 * the subjects are key, epoch and identity (the sequence, version or event id). The first problem
 * counts, in that order; whatever else can be read is filled in all the same, since an ordered
 * route needs the key of a record whose number is unreadable.
 *
 * Numbers are unsigned 64-bit and exact: 2^64, a sign, a fraction or an exponent is unreadable,
 * never rounded.
 */
#include "record/identity.h"

#include "base/sha256.h"
#include "base/str.h"
#include "record/json_field.h"

enum subject { SUBJECT_KEY, SUBJECT_EPOCH, SUBJECT_NUMBER, SUBJECT_COUNT };

static const char *const subject_names[SUBJECT_COUNT] = {"key", "epoch", "identity"};

enum { KEY_SHOWN_MAX = 128, TEXT_MAX = 255 };

/* What a source holds, before it is understood as a number or as bytes. */
struct found {
    enum json_kind kind; /* as in JSON; a header's value counts as a string without escapes */
    struct slice raw;
    bool decoded; /* raw is final: no escapes to take back */
};

struct reading {
    const struct identity_rule *rule;
    const struct record *rec;
    struct buf *store;
    struct identity *out;
    struct json_field fields[SUBJECT_COUNT];
    size_t field_of[SUBJECT_COUNT]; /* index into fields */
    bool is_json; /* the value could be scanned; meant where a pointer is configured */
};

static void set_problem(struct reading *in, enum subject subject, enum identity_status status,
                        const char *problem)
{
    struct identity *out = in->out;
    if (out->status != IDENTITY_OK)
        return;
    out->status = status;
    out->problem = problem;
    const char *what = status == IDENTITY_MISSING ? "-missing" : "-unreadable";
    size_t used = strlen(subject_names[subject]);
    str_copy(out->code, sizeof(out->code), slice_of(subject_names[subject]));
    str_copy(out->code + used, sizeof(out->code) - used, slice_of(what));
}

/* One pass over the value for all pointers of the rule; none, no pass. */
static void scan_json(struct reading *in)
{
    const struct field_source *sources[SUBJECT_COUNT] = {&in->rule->key, &in->rule->epoch,
                                                         &in->rule->number};
    size_t count = 0;
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        if (sources[i]->from != FIELD_JSON)
            continue;
        in->fields[count].pointer = sources[i]->name;
        in->field_of[i] = count++;
    }
    if (count == 0)
        return;
    in->is_json = json_find(in->rec->value, in->fields, count);
    /* Room for every escape at once: slices into the store must not move. */
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += in->fields[i].raw.len;
    buf_reserve(in->store, room);
}

static bool find_header(struct reading *in, enum subject subject, const char *name,
                        struct found *found)
{
    const struct record_header *header = record_find_header(in->rec, name);
    if (!header || slice_is_null(header->value)) {
        set_problem(in, subject, IDENTITY_MISSING, "the header is missing");
        return false;
    }
    *found = (struct found){JSON_STRING, header->value, true};
    return true;
}

static bool find_json(struct reading *in, enum subject subject, struct found *found)
{
    const struct json_field *field = &in->fields[in->field_of[subject]];
    if (slice_is_null(in->rec->value)) {
        set_problem(in, subject, IDENTITY_MISSING, "the value is null (a tombstone)");
        return false;
    }
    if (!in->is_json) {
        set_problem(in, subject, IDENTITY_UNREADABLE, "the value is not JSON");
        return false;
    }
    if (field->kind == JSON_ABSENT || field->kind == JSON_NULL) {
        set_problem(in, subject, IDENTITY_MISSING, "the JSON member is missing");
        return false;
    }
    *found = (struct found){field->kind, field->raw, false};
    return true;
}

/* False: nothing there, and the problem is set. Timestamps and FIELD_NONE do not come here. */
static bool find(struct reading *in, enum subject subject, const struct field_source *source,
                 struct found *found)
{
    if (source->from == FIELD_HEADER)
        return find_header(in, subject, source->name, found);
    if (source->from == FIELD_JSON)
        return find_json(in, subject, found);
    if (slice_is_null(in->rec->key)) {
        set_problem(in, subject, IDENTITY_MISSING, "the record's key is null");
        return false;
    }
    *found = (struct found){JSON_STRING, in->rec->key, true};
    return true;
}

/* A string's bytes, with escapes taken back. */
static bool found_string(struct reading *in, enum subject subject, const struct found *found,
                         struct slice *out)
{
    if (found->decoded) {
        *out = found->raw;
        return true;
    }
    if (json_string_bytes(found->raw, in->store, out))
        return true;
    set_problem(in, subject, IDENTITY_UNREADABLE, "the JSON string holds half a surrogate pair");
    return false;
}

static bool is_integer(struct slice number)
{
    for (size_t i = 0; i < number.len; i++) {
        if (number.data[i] == '.' || number.data[i] == 'e' || number.data[i] == 'E')
            return false;
    }
    return true;
}

/* Bytes for a key or an event id: a string, or an integer as it is written. */
static bool read_bytes(struct reading *in, enum subject subject, const struct field_source *source,
                       struct slice *out)
{
    struct found found;
    if (!find(in, subject, source, &found))
        return false;
    if (found.kind == JSON_STRING)
        return found_string(in, subject, &found, out);
    if (found.kind == JSON_NUMBER && is_integer(found.raw)) {
        *out = slice_equal_text(found.raw, "-0") ? SLICE_LIT("0") : found.raw;
        return true;
    }
    set_problem(in, subject, IDENTITY_UNREADABLE,
                "the JSON member is neither a string nor an integer");
    return false;
}

static void read_number(struct reading *in, enum subject subject, const struct field_source *source,
                        bool rfc3339, uint64_t *out)
{
    if (source->from == FIELD_TIMESTAMP) {
        if (in->rec->timestamp_ms < 0)
            set_problem(in, subject, IDENTITY_MISSING, "the record has no timestamp");
        else
            *out = (uint64_t)in->rec->timestamp_ms;
        return;
    }
    struct found found;
    if (!find(in, subject, source, &found))
        return;
    struct slice text = found.raw;
    if (found.kind == JSON_STRING && !found_string(in, subject, &found, &text))
        return;
    bool fits = found.kind == JSON_STRING || (found.kind == JSON_NUMBER && !rfc3339);
    if (rfc3339 && (!fits || !str_rfc3339_to_ns(text, out)))
        set_problem(in, subject, IDENTITY_UNREADABLE, "it is no RFC 3339 time from 1970 on");
    else if (!rfc3339 && (!fits || !str_to_u64(text, out)))
        set_problem(in, subject, IDENTITY_UNREADABLE, "it is no unsigned 64-bit number");
}

static void read_key(struct reading *in)
{
    const struct field_source *source = &in->rule->key;
    if (source->from == FIELD_HEADER || source->from == FIELD_JSON) {
        if (!read_bytes(in, SUBJECT_KEY, source, &in->out->key))
            in->out->key = SLICE_NULL;
    } else {
        in->out->key = in->rec->key; /* a null key is no trouble */
    }
}

static void read_event_id(struct reading *in)
{
    if (!read_bytes(in, SUBJECT_NUMBER, &in->rule->number, &in->out->event_id))
        in->out->event_id = SLICE_NULL;
    else if (in->out->event_id.len == 0)
        set_problem(in, SUBJECT_NUMBER, IDENTITY_UNREADABLE, "the event id is empty");
}

void identity_read(const struct identity_rule *rule, const struct record *rec, struct buf *store,
                   struct identity *out)
{
    struct reading in = {.rule = rule, .rec = rec, .store = store, .out = out};
    buf_reset(store);
    *out = (struct identity){.kind = rule->kind, .status = IDENTITY_OK};
    scan_json(&in);

    read_key(&in);
    if (rule->kind == IDENTITY_OFFSET || rule->kind == IDENTITY_NONE)
        return;
    if (rule->epoch.from != FIELD_NONE)
        read_number(&in, SUBJECT_EPOCH, &rule->epoch, false, &out->epoch);
    if (rule->kind == IDENTITY_EVENT_ID)
        read_event_id(&in);
    else
        read_number(&in, SUBJECT_NUMBER, &rule->number,
                    rule->kind == IDENTITY_VERSION && rule->rfc3339, &out->number);
}

const char *identity_kind_name(enum identity_kind kind)
{
    switch (kind) {
    case IDENTITY_SEQUENCE:
        return "sequence";
    case IDENTITY_VERSION:
        return "version";
    case IDENTITY_EVENT_ID:
        return "event-id";
    case IDENTITY_OFFSET:
        return "offset";
    case IDENTITY_NONE:
        return "none";
    }
    return "unknown";
}

/* A colon is always encoded in a part, so that what stands behind one here cannot be a key's or an
 * id's own text. */
static void add_digest(struct buf *out, struct slice s)
{
    char hex[SHA256_HEX_MAX];
    sha256_hex(s, hex);
    buf_printf(out, "sha256:%s", hex);
}

static void add_part(struct buf *out, struct slice s, bool hide)
{
    if (hide)
        add_digest(out, s);
    else
        buf_add_percent(out, s, "");
}

static void add_key(struct buf *out, const struct identity *identity, const struct origin *origin,
                    bool hide)
{
    /* Without a key each source partition counts for itself. */
    if (slice_is_null(identity->key))
        buf_printf(out, "null:%d", (int)origin->partition);
    else
        add_part(out, identity->key, hide || identity->key.len > KEY_SHOWN_MAX);
}

void identity_text_beginning(struct slice group, struct slice topic, struct buf *out)
{
    buf_add_text(out, "og/");
    buf_add_percent(out, group, "");
    buf_add_char(out, '/');
    buf_add_percent(out, topic, "");
    buf_add_char(out, '/');
}

static void write_text(struct buf *out, const struct identity *identity,
                       const struct origin *origin, struct slice beginning, bool hide_key,
                       bool hide_id)
{
    buf_add_slice(out, beginning);
    bool by_origin = identity->status != IDENTITY_OK || identity->kind == IDENTITY_OFFSET ||
                     identity->kind == IDENTITY_NONE;
    if (by_origin) {
        buf_printf(out, "%d/", (int)origin->partition);
        buf_add_i64(out, origin->offset);
        if (origin->leader_epoch > 0) /* an unclean election uses offsets again */
            buf_printf(out, "@%d", (int)origin->leader_epoch);
        return;
    }
    add_key(out, identity, origin, hide_key);
    if (identity->kind == IDENTITY_EVENT_ID) {
        buf_add_text(out, "/id/");
        add_part(out, identity->event_id, hide_id);
        return;
    }
    buf_add_char(out, '/');
    buf_add_u64(out, identity->epoch);
    buf_add_char(out, '/');
    buf_add_u64(out, identity->number);
}

void identity_text(const struct identity *identity, const struct origin *origin,
                   struct slice beginning, bool hide_key, struct buf *out)
{
    buf_reset(out);
    write_text(out, identity, origin, beginning, hide_key, false);
    /* Too long: give up what people can read least, the key first, then the id, then all of it. */
    if (out->len > TEXT_MAX) {
        buf_reset(out);
        write_text(out, identity, origin, beginning, true, false);
    }
    if (out->len > TEXT_MAX) {
        buf_reset(out);
        write_text(out, identity, origin, beginning, true, true);
    }
    if (out->len > TEXT_MAX) {
        char hex[SHA256_HEX_MAX];
        sha256_hex(buf_slice(out), hex);
        buf_reset(out);
        buf_printf(out, "og/sha256:%s", hex);
    }
}
