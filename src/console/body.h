/*
 * The body of a request: a flat JSON object. What an endpoint does not name is refused, so that a
 * misspelt limit is not taken for none; so is a member of the wrong type, null included.
 */
#ifndef OG_CONSOLE_BODY_H
#define OG_CONSOLE_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "dlq/filter.h"
#include "record/record.h"

struct json_object;
struct body;

/* names: those that there may be, ended by NULL; borrowed. Errors are ERR_USAGE. */
struct body *body_parse(struct slice text, const char *const *names, struct err *err) MUST_CHECK;
void body_free(struct body **body);

/* Each leaves *out as it is where the member is not there. */
/* Bytes of text, at most `most`, without NUL; *out is owned by the caller. */
bool body_text(const struct body *body, const char *name, size_t most, char **out,
               struct err *err) MUST_CHECK;
bool body_number(const struct body *body, const char *name, uint64_t least, uint64_t most,
                 uint64_t *out, struct err *err) MUST_CHECK;
bool body_bool(const struct body *body, const char *name, bool *out, struct err *err) MUST_CHECK;
/* The member "filter", which has to be there; filter is initialised. may_search: the caller sees
 * all of a record, so that the words that are in it tell nothing new. */
bool body_filter(const struct body *body, int64_t now_ms, bool may_search,
                 struct dlq_filter *filter, struct err *err) MUST_CHECK;

/* The members "value" and "headers" of an edit, each {"encoding": "text|base64|null", "text"}, of a
 * header with its "name" too. Owns its bytes; body_edit_deinit in any case. */
struct body_edit {
    bool has_value, has_headers;
    struct slice value;
    struct record_header *headers;
    size_t header_count;
    char **owned;
    size_t owned_count;
};
bool body_edit(const struct body *body, struct body_edit *out, struct err *err) MUST_CHECK;
void body_edit_deinit(struct body_edit *edit);

#endif
