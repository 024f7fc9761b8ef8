/*
 * Our headers on copies: one table gives each its name, where it stands in struct copy_info, and
 * its type. Reading and writing walk it, so a header cannot be written in one way and read in
 * another.
 *
 * An app's headers pass untouched and in order. Ours, and the dead-letter names of KIP-1191, are
 * never passed on from the record: they are written anew, so a copy of a copy has each once.
 */
#include "record/headers.h"

#include <assert.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/utf8.h"

#define DEAD_LETTER_PREFIX "__dlq.errors."

enum field_type {
    FIELD_TEXT,  /* struct slice; null: not written */
    FIELD_COUNT, /* uint32_t */
    FIELD_I32,   /* int32_t */
    FIELD_I64,   /* int64_t */
};

/* When a field that holds its empty value is left out, and which copies carry the field at all. */
enum {
    ON_RETRY = 1,
    ON_REDRIVE = 2,
    ON_DEAD_LETTER = 4,
    ON_ALL = ON_RETRY | ON_REDRIVE | ON_DEAD_LETTER,
    REQUIRED = 8, /* a copy without it cannot be understood */
};

struct field {
    struct slice name;
    enum field_type type;
    size_t offset;
    unsigned flags;
    int64_t empty; /* numbers: the value that means "not known" */
};

#define FIELD(n, member, t, f, e)                                                                  \
    {                                                                                              \
        {HEADERS_PREFIX n, sizeof(HEADERS_PREFIX n) - 1}, t, offsetof(struct copy_info, member),   \
            f, e                                                                                   \
    }

static const struct field fields[] = {
    FIELD("group", group, FIELD_TEXT, ON_ALL | REQUIRED, 0),
    FIELD("route", route, FIELD_TEXT, ON_ALL, 0),
    FIELD("origin-topic", origin.topic, FIELD_TEXT, ON_ALL | REQUIRED, 0),
    FIELD("origin-partition", origin.partition, FIELD_I32, ON_ALL | REQUIRED, -1),
    FIELD("origin-offset", origin.offset, FIELD_I64, ON_ALL | REQUIRED, -1),
    FIELD("origin-leader-epoch", origin.leader_epoch, FIELD_I32, ON_ALL, -1),
    FIELD("origin-incarnation", origin.incarnation, FIELD_COUNT, ON_ALL, 0),
    FIELD("origin-timestamp", origin.timestamp_ms, FIELD_I64, ON_ALL, -1),
    FIELD("attempt", attempt, FIELD_COUNT, ON_ALL | REQUIRED, -1),
    FIELD("hop", hop, FIELD_COUNT, ON_ALL, -1),
    FIELD("not-before", not_before_ms, FIELD_I64, ON_RETRY, 0),
    FIELD("first-failed-at", first_failed_at_ms, FIELD_I64, ON_RETRY | ON_DEAD_LETTER, 0),
    FIELD("last-failed-at", last_failed_at_ms, FIELD_I64, ON_RETRY | ON_DEAD_LETTER, 0),
    FIELD("error-code", error_code, FIELD_TEXT, ON_RETRY | ON_DEAD_LETTER, 0),
    FIELD("error-detail", error_detail, FIELD_TEXT, ON_RETRY | ON_DEAD_LETTER, 0),
    FIELD("http-status", http_status, FIELD_I32, ON_RETRY | ON_DEAD_LETTER, 0),
    FIELD("signature", signature, FIELD_TEXT, ON_RETRY | ON_DEAD_LETTER, 0),
    FIELD("redrive-id", redrive_id, FIELD_TEXT, ON_ALL, 0),
    FIELD("redrive-mode", redrive_mode, FIELD_TEXT, ON_ALL, 0),
    FIELD("redrive-count", redrive_count, FIELD_COUNT, ON_ALL, 0),
    FIELD("first-letter", first_letter, FIELD_TEXT, ON_REDRIVE | ON_DEAD_LETTER, 0),
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

bool headers_is_own(struct slice name)
{
    return slice_starts_with(name, SLICE_LIT(HEADERS_PREFIX)) ||
           slice_starts_with(name, SLICE_LIT(DEAD_LETTER_PREFIX));
}

static void *field_at(struct copy_info *info, const struct field *field)
{
    return (char *)info + field->offset;
}

static const void *field_in(const struct copy_info *info, const struct field *field)
{
    return (const char *)info + field->offset;
}

static bool parse_i64(struct slice text, int64_t min, int64_t max, int64_t *out)
{
    int64_t n;
    if (!str_to_i64(text, &n) || n < min || n > max)
        return false;
    *out = n;
    return true;
}

static bool parse_field(const struct field *field, struct slice text, struct copy_info *out)
{
    void *to = field_at(out, field);
    int64_t n;
    switch (field->type) {
    case FIELD_TEXT:
        *(struct slice *)to = text;
        return !slice_is_null(text);
    case FIELD_COUNT:
        if (!parse_i64(text, 0, UINT32_MAX, &n))
            return false;
        *(uint32_t *)to = (uint32_t)n;
        return true;
    case FIELD_I32:
        if (!parse_i64(text, -1, INT32_MAX, &n))
            return false;
        *(int32_t *)to = (int32_t)n;
        return true;
    case FIELD_I64:
        /* Times and offsets; nothing below -1 means anything. */
        return parse_i64(text, -1, INT64_MAX, (int64_t *)to);
    }
    return false;
}

static int find_field(struct slice name)
{
    for (int i = 0; i < FIELDS; i++) {
        if (slice_equal(fields[i].name, name))
            return i;
    }
    return -1;
}

static void copy_info_init(struct copy_info *info)
{
    *info = (struct copy_info){
        .origin = {.partition = -1, .leader_epoch = -1, .offset = -1, .timestamp_ms = -1}};
}

/* Says only the first problem. */
static void complain(struct err *err, bool *ok, struct slice name, const char *what)
{
    if (*ok)
        err_set(err, ERR_INPUT, "header %.*s %s", (int)name.len, name.data, what);
    *ok = false;
}

static void check_version(const struct record *rec, bool *ok, struct err *err)
{
    struct slice name = SLICE_LIT(HEADERS_PREFIX "version");
    const struct record_header *version = record_find_header(rec, name.data);
    if (!version)
        complain(err, ok, name, "is missing");
    else if (!slice_equal_text(version->value, HEADERS_VERSION))
        complain(err, ok, name, "is not " HEADERS_VERSION ", the one this release understands");
}

bool headers_read_copy(const struct record *rec, struct copy_info *out, struct err *err)
{
    bool ok = true;
    bool seen[FIELDS] = {false};
    copy_info_init(out);
    check_version(rec, &ok, err);
    /* From the back: of repeats the last one counts, as record_find_header has it. */
    for (size_t i = rec->header_count; i > 0; i--) {
        const struct record_header *header = &rec->headers[i - 1];
        if (!slice_starts_with(header->name, SLICE_LIT(HEADERS_PREFIX)))
            continue;
        int at = find_field(header->name);
        if (at < 0 || seen[at])
            continue;
        seen[at] = true;
        if (!parse_field(&fields[at], header->value, out))
            complain(err, &ok, fields[at].name, "is unreadable");
    }
    for (int i = 0; i < FIELDS; i++) {
        if ((fields[i].flags & REQUIRED) && !seen[i])
            complain(err, &ok, fields[i].name, "is missing");
    }
    if (ok && (out->origin.partition < 0 || out->origin.offset < 0))
        complain(err, &ok, SLICE_LIT(HEADERS_PREFIX "origin-offset"), "or -partition is negative");
    return ok;
}

void header_list_init(struct header_list *list)
{
    *list = (struct header_list){0};
}

void header_list_deinit(struct header_list *list)
{
    mem_free(list->items);
    buf_deinit(&list->text);
    *list = (struct header_list){0};
}

void header_list_reset(struct header_list *list)
{
    list->count = 0;
    buf_reset(&list->text);
}

void header_list_add(struct header_list *list, struct slice name, struct slice value)
{
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 32;
        list->items = mem_realloc(list->items, list->cap * sizeof(*list->items));
    }
    list->items[list->count++] = (struct record_header){name, value};
}

/* A value that is copied into the list's text, where room was reserved: earlier values must not
 * move. */
static void add_text(struct header_list *list, struct slice name, struct slice value)
{
    assert(list->text.cap - list->text.len > value.len);
    size_t start = list->text.len;
    buf_add_slice(&list->text, value);
    header_list_add(list, name, (struct slice){list->text.data + start, value.len});
}

static void add_i64(struct header_list *list, struct slice name, int64_t value)
{
    size_t start = list->text.len;
    assert(list->text.cap - start > 20);
    buf_add_i64(&list->text, value);
    header_list_add(list, name, (struct slice){list->text.data + start, list->text.len - start});
}

static void add_u64(struct header_list *list, struct slice name, uint64_t value)
{
    size_t start = list->text.len;
    assert(list->text.cap - start > 20);
    buf_add_u64(&list->text, value);
    header_list_add(list, name, (struct slice){list->text.data + start, list->text.len - start});
}

static int64_t field_number(const struct copy_info *info, const struct field *field)
{
    switch (field->type) {
    case FIELD_COUNT:
        return *(const uint32_t *)field_in(info, field);
    case FIELD_I32:
        return *(const int32_t *)field_in(info, field);
    case FIELD_I64:
        return *(const int64_t *)field_in(info, field);
    case FIELD_TEXT:
        break;
    }
    return field->empty;
}

static void add_field(struct header_list *list, const struct copy_info *info,
                      const struct field *field)
{
    if (field->type == FIELD_TEXT) {
        struct slice text = *(const struct slice *)field_in(info, field);
        if (!slice_is_null(text))
            add_text(list, field->name, text);
        return;
    }
    int64_t n = field_number(info, field);
    if (n != field->empty || (field->flags & REQUIRED))
        add_i64(list, field->name, n);
}

/* Upper bound of what the values of our headers take. */
static size_t text_room(const struct copy_info *info)
{
    size_t room = 0;
    for (int i = 0; i < FIELDS; i++) {
        if (fields[i].type == FIELD_TEXT)
            room += ((const struct slice *)field_in(info, &fields[i]))->len;
        else
            room += 21;
    }
    /* version, epoch, sequence, and the dead-letter names, which repeat three texts and three
     * numbers. */
    return room + info->origin.topic.len + info->group.len + info->error_detail.len +
           info->error_code.len + sizeof(HEADERS_VERSION) + 5 * (size_t)21;
}

static void add_app_headers(struct header_list *list, const struct record *rec)
{
    for (size_t i = 0; i < rec->header_count; i++) {
        if (!headers_is_own(rec->headers[i].name))
            header_list_add(list, rec->headers[i].name, rec->headers[i].value);
    }
}

/* The names that KIP-1191 gives to what a dead-letter queue's tools read. */
static void add_dead_letter_names(struct header_list *list, const struct copy_info *info)
{
    struct slice message = info->error_detail;
    if (slice_is_null(message))
        message = info->error_code;
    add_text(list, SLICE_LIT(DEAD_LETTER_PREFIX "topic"), info->origin.topic);
    add_i64(list, SLICE_LIT(DEAD_LETTER_PREFIX "partition"), info->origin.partition);
    add_i64(list, SLICE_LIT(DEAD_LETTER_PREFIX "offset"), info->origin.offset);
    add_text(list, SLICE_LIT(DEAD_LETTER_PREFIX "group"), info->group);
    add_i64(list, SLICE_LIT(DEAD_LETTER_PREFIX "delivery.count"),
            info->attempt < INT16_MAX ? (int64_t)info->attempt : INT16_MAX);
    if (!slice_is_null(message))
        add_text(list, SLICE_LIT(DEAD_LETTER_PREFIX "message"), message);
}

void headers_write_copy(struct header_list *list, enum copy_kind kind, const struct record *rec,
                        const struct copy_info *info, const struct copy_identity *identity,
                        size_t detail_limit)
{
    static const unsigned flag_of[] = {
        [COPY_RETRY] = ON_RETRY, [COPY_REDRIVE] = ON_REDRIVE, [COPY_DEAD_LETTER] = ON_DEAD_LETTER};
    struct copy_info cut = *info;
    size_t detail_len = utf8_cut(cut.error_detail.data, cut.error_detail.len, detail_limit);
    cut.error_detail = detail_len ? (struct slice){cut.error_detail.data, detail_len} : SLICE_NULL;

    header_list_reset(list);
    buf_reserve(&list->text, text_room(&cut));
    add_app_headers(list, rec);
    add_text(list, SLICE_LIT(HEADERS_PREFIX "version"), SLICE_LIT(HEADERS_VERSION));
    for (int i = 0; i < FIELDS; i++) {
        if (fields[i].flags & flag_of[kind])
            add_field(list, &cut, &fields[i]);
    }
    if (identity && identity->has_epoch)
        add_u64(list, SLICE_LIT(HEADERS_PREFIX "epoch"), identity->epoch);
    if (identity && identity->has_number)
        add_u64(list, SLICE_LIT(HEADERS_PREFIX "sequence"), identity->number);
    if (kind == COPY_DEAD_LETTER)
        add_dead_letter_names(list, &cut);
}
