/* See body.h. Must not: take what is not in the schema, or take a number for another one. */
#include "console/body.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "record/json_tree.h"

#define DEPTH 8

struct body {
    struct json_object *object;
};

static bool is_known(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(name, *names) == 0)
            return true;
    }
    return false;
}

static bool check_names(struct json_object *object, const char *const *names, struct err *err)
{
    struct json_object_iterator at = json_object_iter_begin(object);
    struct json_object_iterator end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        if (!is_known(json_object_iter_peek_name(&at), names))
            return err_set(err, ERR_USAGE, "the body has no member of the name \"%.40s\"",
                           json_object_iter_peek_name(&at));
    }
    return true;
}

struct body *body_parse(struct slice text, const char *const *names, struct err *err)
{
    struct json_object *object;
    struct body *body = NULL;
    if (!json_tree_read(text, DEPTH, true, &object, NULL) ||
        !json_object_is_type(object, json_type_object)) {
        (void)err_set(err, ERR_USAGE, "the body is no JSON object");
    } else if (check_names(object, names, err)) {
        body = mem_zalloc(sizeof(*body));
        body->object = json_object_get(object);
    }
    json_object_put(object);
    return body;
}

void body_free(struct body **body)
{
    if (!*body)
        return;
    json_object_put((*body)->object);
    mem_free(*body);
    *body = NULL;
}

static bool text_of(struct json_object *value, const char *name, size_t most, struct slice *out,
                    struct err *err)
{
    if (!json_object_is_type(value, json_type_string))
        return err_set(err, ERR_USAGE, "%s: a text is wanted", name);
    *out = (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    if (out->len > most)
        return err_set(err, ERR_USAGE, "%s: longer than %zu bytes", name, most);
    return !memchr(out->data, '\0', out->len) || strcmp(name, "key") == 0 ||
           err_set(err, ERR_USAGE, "%s: a text with a NUL", name);
}

bool body_text(const struct body *body, const char *name, size_t most, char **out, struct err *err)
{
    struct json_object *value;
    struct slice text;
    if (!json_object_object_get_ex(body->object, name, &value))
        return true;
    if (!text_of(value, name, most, &text, err))
        return false;
    mem_free(*out);
    *out = mem_strndup(text.data, text.len);
    return true;
}

/* 2.0 is the integer 2, for JSON. */
static bool integer_of(struct json_object *value, int64_t *out)
{
    double number = json_object_get_double(value);
    if (json_object_is_type(value, json_type_int)) {
        *out = json_object_get_int64(value);
        return true;
    }
    if (!json_object_is_type(value, json_type_double) || !(number >= 0 && number < 1e15))
        return false;
    *out = (int64_t)number;
    return (double)*out == number;
}

bool body_number(const struct body *body, const char *name, uint64_t least, uint64_t most,
                 uint64_t *out, struct err *err)
{
    struct json_object *value;
    int64_t number;
    if (!json_object_object_get_ex(body->object, name, &value))
        return true;
    if (!integer_of(value, &number) || number < 0 || (uint64_t)number < least ||
        (uint64_t)number > most)
        return err_set(err, ERR_USAGE, "%s: a number from %" PRIu64 " to %" PRIu64, name, least,
                       most);
    *out = (uint64_t)number;
    return true;
}

bool body_bool(const struct body *body, const char *name, bool *out, struct err *err)
{
    struct json_object *value;
    if (!json_object_object_get_ex(body->object, name, &value))
        return true;
    *out = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean) ||
           err_set(err, ERR_USAGE, "%s: true or false", name);
}

static bool set_part(struct dlq_filter *filter, const char *name, struct json_object *value,
                     int64_t now_ms, struct err *err)
{
    struct slice text;
    return text_of(value, name, SIZE_MAX, &text, err) &&
           dlq_filter_set(filter, name, text, now_ms, err);
}

/* What repeats is an array; an empty one would select everything. */
static bool set_parts(struct dlq_filter *filter, const char *name, struct json_object *value,
                      int64_t now_ms, struct err *err)
{
    size_t count;
    if (strcmp(name, "state") != 0 && strcmp(name, "id") != 0)
        return set_part(filter, name, value, now_ms, err);
    count = json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
    if (count == 0)
        return err_set(err, ERR_USAGE, "%s: an array is wanted that is not empty", name);
    for (size_t i = 0; i < count; i++) {
        if (!set_part(filter, name, json_object_array_get_idx(value, i), now_ms, err))
            return false;
    }
    return true;
}

bool body_filter(const struct body *body, int64_t now_ms, bool may_search,
                 struct dlq_filter *filter, struct err *err)
{
    struct json_object_iterator at, end;
    struct json_object *value;
    if (!json_object_object_get_ex(body->object, "filter", &value) ||
        !json_object_is_type(value, json_type_object))
        return err_set(err, ERR_USAGE, "filter: an object is wanted, {} for all");
    at = json_object_iter_begin(value);
    end = json_object_iter_end(value);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *name = json_object_iter_peek_name(&at);
        if (!may_search && strcmp(name, "text") == 0)
            return err_set(err, ERR_DENIED,
                           "text: parts of records are hidden from this role, and what a search "
                           "finds would tell what they are");
        if (!set_parts(filter, name, json_object_iter_peek_value(&at), now_ms, err))
            return false;
    }
    return true;
}

/* ---- an edit ---- */

#define EDIT_HEADERS_MAX 1000

static bool member_text(struct json_object *object, const char *where, const char *name, bool must,
                        struct slice *out, struct err *err)
{
    struct json_object *value = NULL;
    *out = SLICE_NULL;
    if (!json_object_object_get_ex(object, name, &value))
        return !must || err_set(err, ERR_USAGE, "%s: %s is missing", where, name);
    if (!json_object_is_type(value, json_type_string))
        return err_set(err, ERR_USAGE, "%s: %s: a text is wanted", where, name);
    *out = (struct slice){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return true;
}

static struct slice own(struct body_edit *edit, struct slice bytes)
{
    char *copy = mem_strndup(bytes.len ? bytes.data : "", bytes.len);
    edit->owned = mem_realloc(edit->owned, (edit->owned_count + 1) * sizeof(*edit->owned));
    edit->owned[edit->owned_count++] = copy;
    return (struct slice){copy, bytes.len};
}

static bool read_bytes(struct body_edit *edit, struct json_object *object, const char *where,
                       struct slice *out, struct err *err)
{
    struct slice encoding, text;
    struct buf bytes = {0};
    bool ok;
    if (!member_text(object, where, "encoding", true, &encoding, err))
        return false;
    *out = SLICE_NULL;
    if (slice_equal_text(encoding, "null"))
        return true;
    if (!member_text(object, where, "text", true, &text, err))
        return false;
    if (slice_equal_text(encoding, "text")) {
        *out = own(edit, text);
        return true;
    }
    if (!slice_equal_text(encoding, "base64"))
        return err_set(err, ERR_USAGE, "%s: encoding is text, base64 or null", where);
    ok = base64_decode(&bytes, text) || err_set(err, ERR_USAGE, "%s: is no base64", where);
    if (ok)
        *out = own(edit, buf_slice(&bytes));
    buf_deinit(&bytes);
    return ok;
}

/* Members that nobody names are refused, as everywhere in a body. */
static bool has_only(struct json_object *object, const char *where, const char *const *names,
                     struct err *err)
{
    return (json_object_is_type(object, json_type_object) ||
            err_set(err, ERR_USAGE, "%s: an object is wanted", where)) &&
           check_names(object, names, err);
}

static bool read_edit_headers(struct body_edit *edit, struct json_object *list, struct err *err)
{
    static const char *const names[] = {"name", "encoding", "text", NULL};
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (!json_object_is_type(list, json_type_array) || count > EDIT_HEADERS_MAX)
        return err_set(err, ERR_USAGE, "headers: an array of at most %d is wanted",
                       EDIT_HEADERS_MAX);
    edit->headers = mem_calloc(count + 1, sizeof(*edit->headers));
    for (size_t i = 0; i < count; i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct slice name;
        if (!has_only(one, "headers", names, err) ||
            !member_text(one, "headers", "name", true, &name, err) ||
            !read_bytes(edit, one, "headers", &edit->headers[i].value, err))
            return false;
        edit->headers[i].name = own(edit, name);
        edit->header_count++;
    }
    return true;
}

bool body_edit(const struct body *body, struct body_edit *out, struct err *err)
{
    static const char *const names[] = {"encoding", "text", NULL};
    struct json_object *value;
    *out = (struct body_edit){0};
    out->has_value = json_object_object_get_ex(body->object, "value", &value);
    if (out->has_value && (!has_only(value, "value", names, err) ||
                           !read_bytes(out, value, "value", &out->value, err)))
        return false;
    out->has_headers = json_object_object_get_ex(body->object, "headers", &value);
    return !out->has_headers || read_edit_headers(out, value, err);
}

void body_edit_deinit(struct body_edit *edit)
{
    for (size_t i = 0; i < edit->owned_count; i++)
        mem_free(edit->owned[i]);
    mem_free(edit->owned);
    mem_free(edit->headers);
    *edit = (struct body_edit){0};
}
