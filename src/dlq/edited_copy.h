/*
 * A dead letter with another value, or other headers of the app, as a new dead letter: it stands in
 * the dead-letter topic under an id of its own, and its header oncegate-edited-from names the
 * letter that it was made of. From then on it is a letter as any other one, and goes round as such.
 * It keeps its origin, and so its place in the order of its key; what makes it the record that it
 * is (sequence, epoch, version, event id, key) cannot be changed by an edit.
 */
#ifndef OG_DLQ_EDITED_COPY_H
#define OG_DLQ_EDITED_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "record/headers.h"
#include "record/identity.h"
#include "record/record.h"

#define EDITED_FROM_HEADER HEADERS_PREFIX "edited-from"

struct letter_edit {
    bool has_value; /* else it stays as it is */
    struct slice value;
    bool has_headers; /* else those of the app stay as they are */
    const struct record_header *headers;
    size_t header_count;
};

struct edited_copy {
    struct slice value;         /* borrowed from the edit, or the letter */
    struct header_list headers; /* as value; with those of oncegate */
    bool value_changed;
    struct buf changed; /* the names of headers that are new, gone or have another value: elements
                           of a JSON array, comma between; "" none */
};

/* rec is the letter's newest copy, from "topic/partition/offset" of its first one; both are
 * borrowed as long as copy is used. False: it may not be (ERR_INPUT), or nothing is changed.
 * edited_copy_deinit in both cases. */
bool edited_copy_make(struct edited_copy *copy, const struct record *rec,
                      const struct letter_edit *edit, const struct identity_rule *rule,
                      const char *from, struct err *err) MUST_CHECK;
void edited_copy_deinit(struct edited_copy *copy);

#endif
