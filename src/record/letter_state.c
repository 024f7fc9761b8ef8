/*
 * States of dead letters as records; see letter_state.h.
 * Invariants: a table gives each member its name, kind and place, for writing and for reading; what
 * was written is read back the same; a letter's id has one text. Must not: believe what stands in
 * the topic, where anybody may have written anything.
 */
#include "record/letter_state.h"

#include <assert.h>
#include <string.h>

#include "base/str.h"
#include "record/json_field.h"

enum { VERSION = 1 };

static const char *const statuses[LETTER_STATUSES] = {
    [LETTER_FORGOTTEN] = "forgotten", [LETTER_OPEN] = "open",
    [LETTER_REDRIVING] = "redriving", [LETTER_RESOLVED] = "resolved",
    [LETTER_ARCHIVED] = "archived",
};

static const char *const results[LETTER_RESULTS] = {
    [LETTER_NO_RESULT] = "",
    [LETTER_RESULT_RESOLVED] = "resolved",
    [LETTER_RESULT_SUPERSEDED] = "superseded",
    [LETTER_RESULT_DROPPED] = "dropped",
    [LETTER_RESULT_DUPLICATE] = "duplicate",
    [LETTER_RESULT_FAILED] = "failed",
};

enum member_type {
    MEMBER_VERSION,
    MEMBER_STATUS,
    MEMBER_RESULT,
    MEMBER_TEXT,  /* struct slice; null: not written */
    MEMBER_COUNT, /* uint32_t; 0: not written */
    MEMBER_TIME,  /* int64_t */
};

struct member {
    const char *pointer; /* the name stands behind the slash */
    enum member_type type;
    bool required;
    size_t offset;
};

#define MEMBER(name, t, r, member)                                                                 \
    {                                                                                              \
        "/" name, t, r, offsetof(struct letter_state, member)                                      \
    }

static const struct member members[] = {
    {"/v", MEMBER_VERSION, true, 0},
    MEMBER("status", MEMBER_STATUS, true, status),
    MEMBER("result", MEMBER_RESULT, false, result),
    MEMBER("redrive_id", MEMBER_TEXT, false, redrive_id),
    MEMBER("redrive_count", MEMBER_COUNT, false, redrive_count),
    MEMBER("by", MEMBER_TEXT, false, by),
    MEMBER("at_ms", MEMBER_TIME, true, at_ms),
    MEMBER("code", MEMBER_TEXT, false, code),
    MEMBER("reason", MEMBER_TEXT, false, reason),
    MEMBER("edited_to", MEMBER_TEXT, false, edited_to),
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

const char *letter_status_name(enum letter_status status)
{
    return statuses[status];
}

const char *letter_result_name(enum letter_result result)
{
    return results[result];
}

/* ---- the id ---- */

void letter_id_topic(const char *uuid, const char *name, char out[LETTER_TOPIC_MAX])
{
    (void)str_copy(out, LETTER_TOPIC_MAX, slice_of(uuid[0] ? uuid : name));
    for (char *c = out; uuid[0] && *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
}

void letter_id_write(struct buf *out, const struct letter_id *id)
{
    buf_add_slice(out, id->topic);
    buf_add_char(out, '/');
    buf_add_i64(out, id->partition);
    buf_add_char(out, '/');
    buf_add_i64(out, id->offset);
}

static bool is_topic(struct slice text)
{
    static const char marks[] = "._-";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !(c && strchr(marks, c)))
            return false;
    }
    return text.len > 0 && text.len < LETTER_TOPIC_MAX;
}

/* A number as it is written: no sign, no zero in front. */
static bool read_number(struct slice text, int64_t max, int64_t *out)
{
    bool plain = text.len > 0 && text.data[0] != '-' && (text.data[0] != '0' || text.len == 1);
    return plain && str_to_i64(text, out) && *out <= max;
}

static struct slice until_slash(struct slice *text)
{
    const char *slash = text->len > 0 ? memchr(text->data, '/', text->len) : NULL;
    struct slice part = {text->data, slash ? (size_t)(slash - text->data) : text->len};
    size_t taken = part.len + (slash ? 1 : 0);
    *text = (struct slice){text->data + taken, text->len - taken};
    return part;
}

bool letter_id_read(struct slice text, struct letter_id *out, struct err *err)
{
    struct slice rest = text;
    int64_t partition = -1, offset = -1;
    *out = (struct letter_id){.partition = -1, .offset = -1};
    if (slice_is_null(text))
        return err_set(err, ERR_INPUT, "no id of a dead letter");
    out->topic = until_slash(&rest);
    if (!is_topic(out->topic) || !read_number(until_slash(&rest), INT32_MAX, &partition) ||
        !read_number(rest, INT64_MAX, &offset))
        return err_set(err, ERR_INPUT,
                       "no id of a dead letter, which is <topic>/<partition>/<offset>");
    out->partition = (int32_t)partition;
    out->offset = offset;
    return true;
}

/* ---- the state ---- */

static void *member_at(struct letter_state *state, const struct member *member)
{
    return (char *)state + member->offset;
}

static const void *member_in(const struct letter_state *state, const struct member *member)
{
    return (const char *)state + member->offset;
}

static void add_name(struct buf *out, const struct member *member)
{
    if (out->data[out->len - 1] != '{')
        buf_add_char(out, ',');
    buf_add_json(out, slice_of(member->pointer + 1));
    buf_add_char(out, ':');
}

static void add_text(struct buf *out, const struct member *member, struct slice text)
{
    if (slice_is_null(text))
        return;
    add_name(out, member);
    buf_add_json(out, text);
}

static void add_number(struct buf *out, const struct member *member, int64_t number)
{
    if (number == 0 && !member->required)
        return;
    add_name(out, member);
    buf_add_i64(out, number);
}

static void add_member(struct buf *out, const struct member *member,
                       const struct letter_state *state)
{
    const void *from = member_in(state, member);
    switch (member->type) {
    case MEMBER_VERSION:
        add_number(out, member, VERSION);
        break;
    case MEMBER_STATUS:
        add_text(out, member, slice_of(statuses[state->status]));
        break;
    case MEMBER_RESULT:
        if (state->result != LETTER_NO_RESULT)
            add_text(out, member, slice_of(results[state->result]));
        break;
    case MEMBER_TEXT:
        add_text(out, member, *(const struct slice *)from);
        break;
    case MEMBER_COUNT:
        add_number(out, member, *(const uint32_t *)from);
        break;
    case MEMBER_TIME:
        add_number(out, member, *(const int64_t *)from);
        break;
    }
}

void letter_state_write(struct buf *out, const struct letter_state *state)
{
    assert(state->status != LETTER_FORGOTTEN);
    buf_add_char(out, '{');
    for (size_t i = 0; i < MEMBERS; i++)
        add_member(out, &members[i], state);
    buf_add_char(out, '}');
}

static bool find_name(struct slice text, const char *const *names, size_t count, int *out)
{
    for (size_t i = 1; i < count; i++) {
        if (!slice_equal_text(text, names[i]))
            continue;
        *out = (int)i;
        return true;
    }
    return false;
}

/* The bytes of a text, or the digits of a number. */
static bool read_plain(const struct member *member, const struct json_field *field,
                       struct buf *store, struct slice *out)
{
    bool number = member->type == MEMBER_VERSION || member->type == MEMBER_COUNT ||
                  member->type == MEMBER_TIME;
    *out = field->raw;
    if (field->kind != (number ? JSON_NUMBER : JSON_STRING))
        return false;
    return number || json_string_bytes(field->raw, store, out);
}

/* A number of this form, or a name that is known. */
static bool take_member(const struct member *member, struct slice plain, struct letter_state *out)
{
    void *to = member_at(out, member);
    int64_t number;
    int name;
    switch (member->type) {
    case MEMBER_VERSION:
        return str_to_i64(plain, &number) && number == VERSION;
    case MEMBER_STATUS:
        if (!find_name(plain, statuses, LETTER_STATUSES, &name))
            return false;
        out->status = (enum letter_status)name;
        return true;
    case MEMBER_RESULT:
        if (!find_name(plain, results, LETTER_RESULTS, &name))
            return false;
        out->result = (enum letter_result)name;
        return true;
    case MEMBER_TEXT:
        *(struct slice *)to = plain;
        return true;
    case MEMBER_COUNT:
        if (!str_to_i64(plain, &number) || number < 0 || number > UINT32_MAX)
            return false;
        *(uint32_t *)to = (uint32_t)number;
        return true;
    case MEMBER_TIME:
        return str_to_i64(plain, (int64_t *)to) && *(int64_t *)to >= 0;
    }
    return false;
}

static bool read_member(const struct member *member, const struct json_field *field,
                        struct letter_state *out, struct buf *store, struct err *err)
{
    struct slice plain;
    if (field->kind == JSON_ABSENT || (field->kind == JSON_NULL && !member->required)) {
        if (!member->required)
            return true;
        return err_set(err, ERR_INPUT, "a letter's state without \"%s\"", member->pointer + 1);
    }
    if (read_plain(member, field, store, &plain) && take_member(member, plain, out))
        return true;
    return err_set(err, ERR_INPUT, "a letter's state whose \"%s\" is not one of this release",
                   member->pointer + 1);
}

static bool read_value(struct slice value, struct letter_state *out, struct buf *store,
                       struct err *err)
{
    struct json_field fields[JSON_FIELDS_MAX];
    for (size_t i = 0; i < MEMBERS; i += JSON_FIELDS_MAX) {
        size_t count = MEMBERS - i < JSON_FIELDS_MAX ? MEMBERS - i : JSON_FIELDS_MAX;
        for (size_t j = 0; j < count; j++)
            fields[j].pointer = members[i + j].pointer;
        if (!json_find(value, fields, count))
            return err_set(err, ERR_INPUT, "a letter's state that is no JSON");
        for (size_t j = 0; j < count; j++) {
            if (!read_member(&members[i + j], &fields[j], out, store, err))
                return false;
        }
    }
    return true;
}

bool letter_state_read(const struct record *rec, struct letter_id *id, struct letter_state *out,
                       struct buf *store, struct err *err)
{
    *out = (struct letter_state){.status = LETTER_FORGOTTEN};
    buf_reset(store);
    if (!letter_id_read(rec->key, id, err))
        return false;
    if (slice_is_null(rec->value))
        return true;
    if (rec->value.len > LETTER_STATE_MAX)
        return err_set(err, ERR_INPUT, "a letter's state of %zu bytes", rec->value.len);
    buf_reserve(store, rec->value.len); /* its texts do not grow: earlier ones must not move */
    return read_value(rec->value, out, store, err);
}

bool letter_state_replaces(const struct letter_state *newer, const struct letter_state *older)
{
    return newer->status != LETTER_REDRIVING || slice_is_null(newer->redrive_id) ||
           older->result == LETTER_NO_RESULT || !slice_equal(newer->redrive_id, older->redrive_id);
}
