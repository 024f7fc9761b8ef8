/*
 * The watermark of one partition: a ring of the records that arrived, in order of arrival.
 *
 *      base                    next
 *        |                       |
 *   ---- o ---- x ---- x ---- o ----     o open, x settled
 *        ^ the watermark stands before the oldest open one
 *
 * Invariants: the slot at base is open or the ring is empty; offsets rise with the slots; committed
 * offsets never fall. Whatever lies between two arrivals (markers of transactions, compacted
 * records) is no record, so the watermark steps over it. It must not commit, log, or know a clock.
 */
#include "kafka/watermark.h"

#include <assert.h>

#include "base/mem.h"

#define FIRST_CAP 64

struct entry {
    int64_t offset;
    bool settled;
};

struct watermark {
    struct entry *ring; /* cap entries; slot s lives at s & (cap - 1) */
    size_t cap;         /* a power of two */
    uint64_t base;      /* the oldest slot kept */
    uint64_t next;      /* the slot of the next arrival */
    size_t open;
    int64_t offset; /* every record below is settled */
    int64_t newest; /* the highest offset that arrived; start - 1 before that */
};

struct watermark *watermark_new(int64_t start_offset)
{
    struct watermark *watermark = mem_zalloc(sizeof(*watermark));

    watermark->cap = FIRST_CAP;
    watermark->ring = mem_calloc(watermark->cap, sizeof(*watermark->ring));
    watermark->offset = start_offset;
    watermark->newest = start_offset - 1;
    return watermark;
}

void watermark_free(struct watermark **watermark)
{
    if (*watermark == NULL)
        return;
    mem_free((*watermark)->ring);
    mem_free(*watermark);
    *watermark = NULL;
}

static struct entry *entry_at(const struct watermark *watermark, uint64_t slot)
{
    return &watermark->ring[slot & (watermark->cap - 1)];
}

static void grow(struct watermark *watermark)
{
    struct entry *ring = mem_calloc(watermark->cap * 2, sizeof(*ring));

    for (uint64_t slot = watermark->base; slot != watermark->next; slot++)
        ring[slot & (watermark->cap * 2 - 1)] = *entry_at(watermark, slot);
    mem_free(watermark->ring);
    watermark->ring = ring;
    watermark->cap *= 2;
}

uint64_t watermark_add(struct watermark *watermark, int64_t offset)
{
    assert(offset > watermark->newest);
    if (watermark->next - watermark->base == watermark->cap)
        grow(watermark);
    *entry_at(watermark, watermark->next) = (struct entry){offset, false};
    watermark->newest = offset;
    watermark->open++;
    return watermark->next++;
}

void watermark_settle(struct watermark *watermark, uint64_t slot)
{
    assert(slot >= watermark->base && slot < watermark->next);
    assert(!entry_at(watermark, slot)->settled);
    entry_at(watermark, slot)->settled = true;
    watermark->open--;
    while (watermark->base != watermark->next && entry_at(watermark, watermark->base)->settled) {
        watermark->offset = entry_at(watermark, watermark->base)->offset + 1;
        watermark->base++;
    }
}

int64_t watermark_offset(const struct watermark *watermark)
{
    return watermark->offset;
}

size_t watermark_open(const struct watermark *watermark)
{
    return watermark->open;
}

size_t watermark_span(const struct watermark *watermark)
{
    return (size_t)(watermark->next - watermark->base);
}

int64_t watermark_oldest_open(const struct watermark *watermark)
{
    if (watermark->base == watermark->next)
        return -1;
    return entry_at(watermark, watermark->base)->offset;
}

bool watermark_is_settled(const struct watermark *watermark, int64_t offset)
{
    uint64_t low = watermark->base;
    uint64_t high = watermark->next;

    if (offset < watermark->offset)
        return true;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct entry *entry = entry_at(watermark, middle);

        if (entry->offset == offset)
            return entry->settled;
        if (entry->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}
