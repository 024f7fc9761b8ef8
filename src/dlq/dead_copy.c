/*
 * Copies of dead letters; see dead_copy.h. Invariant: null stays null, and every byte of the app is
 * as it was. Must not: keep anything of the record it was given.
 */
#include "dlq/dead_copy.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Room was reserved for all of them: earlier ones do not move. */
static struct slice keep(struct buf *bytes, struct slice from)
{
    char *start = bytes->data + bytes->len;
    if (slice_is_null(from))
        return SLICE_NULL;
    buf_add_slice(bytes, from);
    buf_add_char(bytes, '\0');
    return (struct slice){start, from.len};
}

static void keep_record(struct dead_copy *copy, const struct record *rec)
{
    buf_reserve(&copy->bytes, record_size(rec) + 2 * rec->header_count + 3 + rec->topic.len);
    copy->own = mem_calloc(rec->header_count + 1, sizeof(*copy->own));
    for (size_t i = 0; i < rec->header_count; i++) {
        copy->own[i].name = keep(&copy->bytes, rec->headers[i].name);
        copy->own[i].value = keep(&copy->bytes, rec->headers[i].value);
    }
    copy->rec = (struct record){.topic = keep(&copy->bytes, rec->topic),
                                .partition = rec->partition,
                                .leader_epoch = rec->leader_epoch,
                                .offset = rec->offset,
                                .timestamp_ms = rec->timestamp_ms,
                                .key = keep(&copy->bytes, rec->key),
                                .value = keep(&copy->bytes, rec->value),
                                .headers = copy->own,
                                .header_count = rec->header_count};
}

static bool read_number(const struct record *rec, const char *name, uint64_t *out)
{
    const struct record_header *header = record_find_header(rec, name);
    return header && str_to_u64(header->value, out);
}

bool dead_copy_make(struct dead_copy *copy, const struct record *rec,
                    const struct dead_copy_order *order, struct err *err)
{
    struct copy_identity identity = {0};
    struct copy_info info;
    keep_record(copy, rec);
    header_list_init(&copy->headers);
    if (!headers_read_copy(&copy->rec, &info, err))
        return false;
    letter_id_write(&copy->id, order->first_letter);
    info.redrive_id = slice_of(order->redrive_id);
    info.redrive_mode = slice_of(redrive_mode_name(order->mode));
    info.redrive_count = order->count;
    info.first_letter = buf_slice(&copy->id);
    info.not_before_ms = 0;
    identity.has_epoch = read_number(&copy->rec, HEADERS_PREFIX "epoch", &identity.epoch);
    identity.has_number = read_number(&copy->rec, HEADERS_PREFIX "sequence", &identity.number);
    headers_write_copy(&copy->headers, COPY_REDRIVE, &copy->rec, &info, &identity, 0);
    return true;
}

void dead_copy_deinit(struct dead_copy *copy)
{
    header_list_deinit(&copy->headers);
    mem_free(copy->own);
    copy->own = NULL;
    buf_deinit(&copy->bytes);
    buf_deinit(&copy->id);
}
