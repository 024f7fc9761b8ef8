/*
 * Edited copies; see edited_copy.h. Invariant: identity and order key are read from the copy as the
 * gateway will read them, and are the letter's own. Must not: keep what earlier redrives wrote,
 * since this is another letter.
 */
#include "dlq/edited_copy.h"

#include <string.h>

#include "base/mem.h"

static bool same_bytes(struct slice a, struct slice b)
{
    return slice_is_null(a) == slice_is_null(b) && slice_equal(a, b);
}

static bool has_header(const struct record_header *list, size_t count,
                       const struct record_header *one)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(list[i].name, one->name) && same_bytes(list[i].value, one->value))
            return true;
    }
    return false;
}

/* ---- what is locked ---- */

static bool check_headers(const struct letter_edit *edit, struct err *err)
{
    for (size_t i = 0; edit->has_headers && i < edit->header_count; i++) {
        struct slice name = edit->headers[i].name;
        if (headers_is_own(name))
            return err_set(err, ERR_INPUT,
                           "headers: %.100s is one of oncegate's own, which an edit cannot set",
                           name.data);
        if (name.len == 0 || memchr(name.data, '\0', name.len))
            return err_set(err, ERR_INPUT, "headers: a name is empty, or holds a NUL");
    }
    return true;
}

static bool same_identity(const struct identity *a, const struct identity *b)
{
    if (a->status != b->status || strcmp(a->code, b->code) != 0 || !same_bytes(a->key, b->key))
        return false;
    return a->status != IDENTITY_OK ||
           (a->epoch == b->epoch && a->number == b->number && same_bytes(a->event_id, b->event_id));
}

static bool check_identity(const struct edited_copy *copy, const struct record *rec,
                           const struct identity_rule *rule, struct err *err)
{
    struct record edited = *rec;
    struct identity was, is;
    struct buf was_store = {0}, is_store = {0};
    bool same;
    edited.value = copy->value;
    edited.headers = copy->headers.items;
    edited.header_count = copy->headers.count;
    identity_read(rule, rec, &was_store, &was);
    identity_read(rule, &edited, &is_store, &is);
    same = same_identity(&was, &is);
    buf_deinit(&was_store);
    buf_deinit(&is_store);
    return same ||
           err_set(err, ERR_INPUT,
                   "the edit changes what makes this the record that it is (its %s, epoch or "
                   "key): that is locked",
                   identity_kind_name(rule->kind));
}

/* ---- the copy ---- */

/* Of those redrives that the letter has seen; the copy has seen none. */
static bool is_of_redrive(struct slice name)
{
    static const char *const names[] = {HEADERS_PREFIX "first-letter", HEADERS_PREFIX "redrive-id",
                                        HEADERS_PREFIX "redrive-mode",
                                        HEADERS_PREFIX "redrive-count", EDITED_FROM_HEADER};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (slice_equal_text(name, names[i]))
            return true;
    }
    return false;
}

static void add_headers(struct edited_copy *copy, const struct record *rec,
                        const struct letter_edit *edit, const char *from)
{
    for (size_t i = 0; edit->has_headers && i < edit->header_count; i++)
        header_list_add(&copy->headers, edit->headers[i].name, edit->headers[i].value);
    for (size_t i = 0; !edit->has_headers && i < rec->header_count; i++) {
        if (!headers_is_own(rec->headers[i].name))
            header_list_add(&copy->headers, rec->headers[i].name, rec->headers[i].value);
    }
    for (size_t i = 0; i < rec->header_count; i++) {
        if (headers_is_own(rec->headers[i].name) && !is_of_redrive(rec->headers[i].name))
            header_list_add(&copy->headers, rec->headers[i].name, rec->headers[i].value);
    }
    header_list_add(&copy->headers, slice_of(EDITED_FROM_HEADER), slice_of(from));
}

static void note_name(struct buf *changed, struct slice name)
{
    struct buf text = {0};
    buf_add_json(&text, name);
    if (changed->len == 0 || !memmem(changed->data, changed->len, text.data, text.len)) {
        if (changed->len > 0)
            buf_add_char(changed, ',');
        buf_add_slice(changed, buf_slice(&text));
    }
    buf_deinit(&text);
}

static void note_changes(struct edited_copy *copy, const struct record *rec,
                         const struct letter_edit *edit)
{
    copy->value_changed = !same_bytes(copy->value, rec->value);
    for (size_t i = 0; edit->has_headers && i < edit->header_count; i++) {
        if (!has_header(rec->headers, rec->header_count, &edit->headers[i]))
            note_name(&copy->changed, edit->headers[i].name);
    }
    for (size_t i = 0; edit->has_headers && i < rec->header_count; i++) {
        if (!headers_is_own(rec->headers[i].name) &&
            !has_header(edit->headers, edit->header_count, &rec->headers[i]))
            note_name(&copy->changed, rec->headers[i].name);
    }
}

bool edited_copy_make(struct edited_copy *copy, const struct record *rec,
                      const struct letter_edit *edit, const struct identity_rule *rule,
                      const char *from, struct err *err)
{
    struct copy_info info;
    *copy = (struct edited_copy){.value = edit->has_value ? edit->value : rec->value};
    header_list_init(&copy->headers);
    if (!headers_read_copy(rec, &info, err) || !check_headers(edit, err))
        return false;
    add_headers(copy, rec, edit, from);
    note_changes(copy, rec, edit);
    if (!copy->value_changed && copy->changed.len == 0)
        return err_set(err, ERR_INPUT, "nothing is changed: a redrive sends it as it is");
    return check_identity(copy, rec, rule, err);
}

void edited_copy_deinit(struct edited_copy *copy)
{
    header_list_deinit(&copy->headers);
    buf_deinit(&copy->changed);
}
