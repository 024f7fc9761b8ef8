/*
 * One record as the rest of the program sees it. Reads only; who filled it owns the bytes until
 * record_release.
 */
#include "record/record.h"

#include <string.h>

void record_release(struct record *rec)
{
    if (rec->release && rec->backing)
        rec->release(rec->backing);
    *rec = (struct record){.partition = -1, .leader_epoch = -1, .offset = -1, .timestamp_ms = -1};
}

size_t record_size(const struct record *rec)
{
    size_t size = rec->key.len + rec->value.len;
    for (size_t i = 0; i < rec->header_count; i++)
        size += rec->headers[i].name.len + rec->headers[i].value.len;
    return size;
}

const struct record_header *record_find_header(const struct record *rec, const char *name)
{
    struct slice wanted = slice_of(name);
    for (size_t i = rec->header_count; i > 0; i--) {
        if (slice_equal(rec->headers[i - 1].name, wanted))
            return &rec->headers[i - 1];
    }
    return NULL;
}
