/*
 * The bytes of a segment, apart from any file: docs/spool.md has the format. Everything that is
 * read is foreign: nothing is believed before its sum is right.
 */
#ifndef OG_SPOOL_FRAME_H
#define OG_SPOOL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"

#define SPOOL_HEAD_BYTES  56
#define SPOOL_FRAME_BYTES 40 /* in front of a body */
#define SPOOL_BODY_MAX    (UINT32_C(512) << 20)

/* What stands at the beginning of a segment. */
struct spool_head {
    uint64_t number; /* 1, 2, ...: also the file's name */
    uint64_t salt;   /* drawn for the segment; in every sum, so that a frame of another segment, or
                        inside a record's value, is none of this one's */
    uint64_t before; /* the number of the segment written before this one; 0: none */
    uint64_t before_len; /* how much of that one was durable when it was left */
    int64_t made_ms;
};

void spool_head_write(const struct spool_head *head, char out[SPOOL_HEAD_BYTES]);
bool spool_head_read(struct slice bytes, struct spool_head *out) MUST_CHECK;

enum spool_frame_type {
    SPOOL_FRAME_RECORD = 1,
    SPOOL_FRAME_DONE = 2, /* the record of that number was taken by its topic; no body */
    SPOOL_FRAME_NOTE = 3, /* nothing but its `synced`; no body */
};

struct spool_frame {
    enum spool_frame_type type;
    uint64_t number; /* of the record, over all segments */
    uint64_t at;     /* where in the segment it stands */
    uint64_t synced; /* how much of the segment was known to be durable when it was written */
    struct slice body;
};

/* What stands in front of the frame's body. */
void spool_frame_write(const struct spool_head *head, const struct spool_frame *frame,
                       char out[SPOOL_FRAME_BYTES]);

enum spool_step {
    SPOOL_STEP_FRAME,   /* *frame is filled; the next one stands at spool_frame_end(frame) */
    SPOOL_STEP_END,     /* the segment is whole */
    SPOOL_STEP_TORN,    /* what stands at `at` was never durable: the end of an interrupted write */
    SPOOL_STEP_CORRUPT, /* what stands at `at` was durable, and is not what was written */
};

/* Reads what stands at `at` (SPOOL_HEAD_BYTES at first) of a segment in memory; body is borrowed
 * from it. */
enum spool_step spool_frame_read(const struct spool_head *head, struct slice segment, uint64_t at,
                                 struct spool_frame *frame) MUST_CHECK;
/* The same of one frame alone, whose bytes are all of piece. */
bool spool_frame_check(const struct spool_head *head, struct slice piece, uint64_t at,
                       struct spool_frame *frame) MUST_CHECK;
uint64_t spool_frame_end(const struct spool_frame *frame);

#endif
