/*
 * Segments as bytes; see frame.h and docs/spool.md. Numbers are big-endian.
 * Invariant: a frame whose sums are right was written here, at this place of this segment. Must
 * not: know of files, or of what a body holds.
 */
#include "spool/frame.h"

#include <endian.h>
#include <string.h>

#include "base/crc32c.h"

static const char head_magic[8] = "OGSPOOL1";
static const char frame_magic[4] = {'O', 'G', 'f', '\xa7'}; /* no text holds it */

/* Where the fields of a frame's front stand. */
enum {
    AT_TYPE = 4,
    AT_LENGTH = 8,
    AT_NUMBER = 12,
    AT_SYNCED = 20,
    AT_BODY_SUM = 28,
    AT_FRONT_SUM = 36, /* of all before it */
};

static void put32(char *out, uint32_t n)
{
    uint32_t big = htobe32(n);
    memcpy(out, &big, sizeof(big));
}

static void put64(char *out, uint64_t n)
{
    uint64_t big = htobe64(n);
    memcpy(out, &big, sizeof(big));
}

static uint32_t get32(const char *at)
{
    uint32_t big;
    memcpy(&big, at, sizeof(big));
    return be32toh(big);
}

static uint64_t get64(const char *at)
{
    uint64_t big;
    memcpy(&big, at, sizeof(big));
    return be64toh(big);
}

void spool_head_write(const struct spool_head *head, char out[SPOOL_HEAD_BYTES])
{
    memset(out, 0, SPOOL_HEAD_BYTES);
    memcpy(out, head_magic, sizeof(head_magic));
    put64(out + 8, head->number);
    put64(out + 16, head->salt);
    put64(out + 24, head->before);
    put64(out + 32, head->before_len);
    put64(out + 40, (uint64_t)head->made_ms);
    put32(out + 52, crc32c(0, out, 52));
}

bool spool_head_read(struct slice bytes, struct spool_head *out)
{
    const char *at = bytes.data;
    if (bytes.len < SPOOL_HEAD_BYTES || memcmp(at, head_magic, sizeof(head_magic)) != 0 ||
        get32(at + 52) != crc32c(0, at, 52))
        return false;
    *out = (struct spool_head){.number = get64(at + 8),
                               .salt = get64(at + 16),
                               .before = get64(at + 24),
                               .before_len = get64(at + 32),
                               .made_ms = (int64_t)get64(at + 40)};
    return out->number > 0;
}

/* The sum begins with what tells this place from all others. */
static uint32_t begin_sum(const struct spool_head *head, uint64_t at)
{
    char place[24];
    put64(place, head->salt);
    put64(place + 8, head->number);
    put64(place + 16, at);
    return crc32c(0, place, sizeof(place));
}

void spool_frame_write(const struct spool_head *head, const struct spool_frame *frame,
                       char out[SPOOL_FRAME_BYTES])
{
    uint32_t begin = begin_sum(head, frame->at);
    memset(out, 0, SPOOL_FRAME_BYTES);
    memcpy(out, frame_magic, sizeof(frame_magic));
    out[AT_TYPE] = (char)frame->type;
    put32(out + AT_LENGTH, (uint32_t)frame->body.len);
    put64(out + AT_NUMBER, frame->number);
    put64(out + AT_SYNCED, frame->synced);
    put32(out + AT_BODY_SUM, crc32c(begin, frame->body.data, frame->body.len));
    put32(out + AT_FRONT_SUM, crc32c(begin, out, AT_FRONT_SUM));
}

uint64_t spool_frame_end(const struct spool_frame *frame)
{
    return frame->at + SPOOL_FRAME_BYTES + frame->body.len;
}

/* The front of a frame that stands at `at`, of which these are the bytes; its body may be cut off.
 */
static bool read_front(const struct spool_head *head, struct slice bytes, uint64_t at,
                       struct spool_frame *frame)
{
    const char *front = bytes.data;
    if (bytes.len < SPOOL_FRAME_BYTES || memcmp(front, frame_magic, sizeof(frame_magic)) != 0 ||
        get32(front + AT_FRONT_SUM) != crc32c(begin_sum(head, at), front, AT_FRONT_SUM))
        return false;
    *frame = (struct spool_frame){.type = (enum spool_frame_type)front[AT_TYPE],
                                  .number = get64(front + AT_NUMBER),
                                  .at = at,
                                  .synced = get64(front + AT_SYNCED),
                                  .body = {front + SPOOL_FRAME_BYTES, get32(front + AT_LENGTH)}};
    return frame->type >= SPOOL_FRAME_RECORD && frame->type <= SPOOL_FRAME_NOTE &&
           frame->body.len <= SPOOL_BODY_MAX;
}

static bool read_whole(const struct spool_head *head, struct slice bytes, uint64_t at,
                       struct spool_frame *frame)
{
    return read_front(head, bytes, at, frame) && frame->body.len <= bytes.len - SPOOL_FRAME_BYTES &&
           get32(bytes.data + AT_BODY_SUM) ==
               crc32c(begin_sum(head, at), frame->body.data, frame->body.len);
}

bool spool_frame_check(const struct spool_head *head, struct slice piece, uint64_t at,
                       struct spool_frame *frame)
{
    return read_whole(head, piece, at, frame) && spool_frame_end(frame) == at + piece.len;
}

/*
 * Whether what stands at `at` was durable once: some frame behind it was written by one who knew it
 * to be. Frames of one write that a power failure cut may reach the disk in any order, so a good
 * frame behind a bad one is no proof by itself.
 */
static bool was_durable(const struct spool_head *head, struct slice segment, uint64_t at)
{
    struct spool_frame frame;
    const char *found = segment.data + at;
    const char *end = segment.data + segment.len;
    while (end - found > 1 && (found = memmem(found + 1, (size_t)(end - found - 1), frame_magic,
                                              sizeof(frame_magic))) != NULL) {
        if (read_front(head, (struct slice){found, (size_t)(end - found)},
                       (uint64_t)(found - segment.data), &frame) &&
            frame.synced > at)
            return true;
    }
    return false;
}

enum spool_step spool_frame_read(const struct spool_head *head, struct slice segment, uint64_t at,
                                 struct spool_frame *frame)
{
    if (at == segment.len)
        return SPOOL_STEP_END;
    if (at > segment.len)
        return SPOOL_STEP_CORRUPT;
    if (read_whole(head, (struct slice){segment.data + at, segment.len - at}, at, frame))
        return SPOOL_STEP_FRAME;
    return was_durable(head, segment, at) ? SPOOL_STEP_CORRUPT : SPOOL_STEP_TORN;
}
