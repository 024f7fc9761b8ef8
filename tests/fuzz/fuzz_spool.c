/* A segment of the spool as found on a disk, where anything may stand: the first bytes are its
 * head, or (where they are none) the rest is read as the record of a dead letter. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "spool/frame.h"
#include "spool/spool_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is what is written, to the byte. */
static void read_record(struct slice bytes)
{
    struct spool_record rec;
    struct err err = {0};
    struct buf again = {0};
    if (!spool_record_read(bytes, &rec, &err)) {
        if (!err.text[0] || rec.headers)
            abort();
        return;
    }
    spool_record_write(&rec, &again);
    if (!slice_equal(buf_slice(&again), bytes))
        abort();
    spool_record_deinit(&rec);
    buf_deinit(&again);
}

/* Walks as the store does; the sums of the frames are made right, or hardly any would be read. */
static void read_segment(const struct spool_head *head, struct slice bytes)
{
    struct spool_frame frame;
    uint64_t at = SPOOL_HEAD_BYTES;
    while (spool_frame_read(head, bytes, at, &frame) == SPOOL_STEP_FRAME) {
        if (frame.at != at || spool_frame_end(&frame) > bytes.len)
            abort();
        if (frame.type == SPOOL_FRAME_RECORD)
            read_record(frame.body);
        at = spool_frame_end(&frame);
    }
}

/* A segment with the input as the body of its second frame, and one byte changed by it. */
static void read_damaged(struct slice input)
{
    const struct spool_head head = {.number = 1, .salt = 2};
    struct buf segment = {0};
    char head_bytes[SPOOL_HEAD_BYTES], front[SPOOL_FRAME_BYTES];
    spool_head_write(&head, head_bytes);
    buf_add(&segment, head_bytes, sizeof(head_bytes));
    for (uint64_t n = 1; n <= 3; n++) {
        struct spool_frame frame = {.type = n == 3 ? SPOOL_FRAME_DONE : SPOOL_FRAME_RECORD,
                                    .number = n,
                                    .at = segment.len,
                                    .synced = segment.len,
                                    .body = n == 2 ? input : SLICE_LIT("x")};
        spool_frame_write(&head, &frame, front);
        buf_add(&segment, front, sizeof(front));
        buf_add_slice(&segment, frame.body);
    }
    read_segment(&head, buf_slice(&segment));
    if (input.len > 8) {
        uint32_t at;
        memcpy(&at, input.data, sizeof(at));
        segment.data[at % segment.len] ^= input.data[4];
        read_segment(&head, buf_slice(&segment));
    }
    buf_deinit(&segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = {(const char *)data, size};
    struct spool_head head;
    if (spool_head_read(bytes, &head))
        read_segment(&head, bytes);
    read_record(bytes);
    read_damaged(bytes);
    return 0;
}
