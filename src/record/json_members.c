/*
 * Structs as JSON by a table; see json_members.h. Invariant: what was written is read back the
 * same, but for bytes that are not UTF-8. Must not: look into a JSON text that is kept as it is, or
 * believe a length.
 */
#include "record/json_members.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "record/json_field.h"

enum { VERSION = 1 };

static const void *place_in(const void *from, const struct json_member *member)
{
    return (const char *)from + member->offset;
}

static void *place_of(void *to, const struct json_member *member)
{
    return (char *)to + member->offset;
}

static bool is_text(const struct json_member *member)
{
    return member->type == JSON_MEMBER_TEXT || member->type == JSON_MEMBER_ANY;
}

/* ---- writing ---- */

static uint64_t number_in(const void *from, const struct json_member *member)
{
    const void *place = place_in(from, member);
    switch (member->type) {
    case JSON_MEMBER_VERSION:
        return VERSION;
    case JSON_MEMBER_U32:
        return *(const uint32_t *)place;
    case JSON_MEMBER_TIME:
        return (uint64_t) * (const int64_t *)place;
    default:
        return *(const uint64_t *)place;
    }
}

static bool is_written(const void *from, const struct json_member *member)
{
    if (is_text(member))
        return *(char *const *)place_in(from, member) != NULL;
    return member->type == JSON_MEMBER_ENUM || member->required || number_in(from, member) != 0;
}

static void add_value(struct buf *out, const void *from, const struct json_member *member)
{
    const void *place = place_in(from, member);
    if (member->type == JSON_MEMBER_TEXT)
        buf_add_json(out, slice_of(*(char *const *)place));
    else if (member->type == JSON_MEMBER_ANY)
        buf_add_text(out, *(char *const *)place);
    else if (member->type == JSON_MEMBER_ENUM)
        buf_add_json(out, slice_of(member->names[*(const int *)place]));
    else
        buf_add_u64(out, number_in(from, member));
}

void json_members_write(struct buf *out, const struct json_member *members, size_t count,
                        const void *from)
{
    char before = '{';
    for (size_t i = 0; i < count; i++) {
        if (!is_written(from, &members[i]))
            continue;
        buf_add_char(out, before);
        before = ',';
        buf_add_json(out, slice_of(members[i].pointer + 1));
        buf_add_char(out, ':');
        add_value(out, from, &members[i]);
    }
    if (before == '{')
        buf_add_char(out, '{');
    buf_add_char(out, '}');
}

/* ---- reading ---- */

static bool take_text(const struct json_field *field, char **to)
{
    struct buf store = {0};
    struct slice bytes;
    bool ok;
    if (field->kind != JSON_STRING)
        return false;
    buf_reserve(&store, field->raw.len);
    ok = json_string_bytes(field->raw, &store, &bytes) &&
         (bytes.len == 0 || !memchr(bytes.data, '\0', bytes.len));
    if (ok)
        *to = mem_strndup(bytes.len ? bytes.data : "", bytes.len);
    buf_deinit(&store);
    return ok;
}

/* Of a string the quotes stand outside of raw. */
static bool take_any(const struct json_field *field, char **to)
{
    if (field->kind != JSON_OBJECT && field->kind != JSON_ARRAY)
        return false;
    *to = mem_strndup(field->raw.data, field->raw.len);
    return true;
}

static bool take_name(const struct json_field *field, const char *const *names, int *to)
{
    for (int i = 0; field->kind == JSON_STRING && names[i]; i++) {
        if (!slice_equal_text(field->raw, names[i]))
            continue;
        *to = i;
        return true;
    }
    return false;
}

static bool take_number(const struct json_field *field, const struct json_member *member,
                        void *place)
{
    int64_t number;
    if (field->kind != JSON_NUMBER || !str_to_i64(field->raw, &number) || number < 0)
        return false;
    if (member->type == JSON_MEMBER_VERSION)
        return number == VERSION;
    if (member->type == JSON_MEMBER_U32) {
        *(uint32_t *)place = (uint32_t)number;
        return number <= UINT32_MAX;
    }
    if (member->type == JSON_MEMBER_TIME)
        *(int64_t *)place = number;
    else
        *(uint64_t *)place = (uint64_t)number;
    return true;
}

static bool take(const struct json_field *field, const struct json_member *member, void *to)
{
    void *place = place_of(to, member);
    switch (member->type) {
    case JSON_MEMBER_TEXT:
        return take_text(field, place);
    case JSON_MEMBER_ANY:
        return take_any(field, place);
    case JSON_MEMBER_ENUM:
        return take_name(field, member->names, place);
    default:
        return take_number(field, member, place);
    }
}

static bool read_member(const struct json_field *field, const struct json_member *member, void *to,
                        const char *what, struct err *err)
{
    bool absent = field->kind == JSON_ABSENT || field->kind == JSON_NULL;
    if (absent && !member->required)
        return true;
    if (absent)
        return err_set(err, ERR_INPUT, "%s without \"%s\"", what, member->pointer + 1);
    if (take(field, member, to))
        return true;
    return err_set(err, ERR_INPUT, "%s whose \"%s\" is not one of this release", what,
                   member->pointer + 1);
}

bool json_members_read(struct slice text, const struct json_member *members, size_t count, void *to,
                       const char *what, struct err *err)
{
    struct json_field fields[JSON_FIELDS_MAX];
    for (size_t i = 0; i < count; i += JSON_FIELDS_MAX) {
        size_t some = count - i < JSON_FIELDS_MAX ? count - i : JSON_FIELDS_MAX;
        for (size_t j = 0; j < some; j++)
            fields[j].pointer = members[i + j].pointer;
        if (slice_is_null(text) || !json_find(text, fields, some))
            return err_set(err, ERR_INPUT, "%s that is no JSON", what);
        for (size_t j = 0; j < some; j++) {
            if (!read_member(&fields[j], &members[i + j], to, what, err))
                return false;
        }
    }
    return true;
}

void json_members_deinit(const struct json_member *members, size_t count, void *of)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_text(&members[i]))
            continue;
        char **text = place_of(of, &members[i]);
        mem_free(*text);
        *text = NULL;
    }
}
