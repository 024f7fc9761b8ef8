/*
 * The lowest offset of one assigned partition that is not settled yet. Offsets are sparse
 * (transaction markers, compaction), so this is a ring by arrival, not arithmetic on offsets. Pure;
 * no clock, no vendor type.
 */
#ifndef OG_KAFKA_WATERMARK_H
#define OG_KAFKA_WATERMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watermark;

struct watermark *watermark_new(int64_t start_offset); /* nothing below start_offset is open */
void watermark_free(struct watermark **watermark);
/* A record arrived; offsets rise. Returns its slot, for watermark_settle. */
uint64_t watermark_add(struct watermark *watermark, int64_t offset);
/* Settles a slot; twice is a broken invariant. */
void watermark_settle(struct watermark *watermark, uint64_t slot);
/* The offset to commit: every record below it is settled. */
int64_t watermark_offset(const struct watermark *watermark);
size_t watermark_open(const struct watermark *watermark); /* arrived and not settled */
size_t watermark_span(
    const struct watermark *watermark); /* slots between the watermark and the newest arrival */
/* Is a record at that offset dealt with, be it before others that are open? */
bool watermark_is_settled(const struct watermark *watermark, int64_t offset);
/* The oldest open offset, or -1. */
int64_t watermark_oldest_open(const struct watermark *watermark);

#endif
