/*
 * Leader epochs by ranges of offsets; see epochs.h.
 * Invariants: neighbours differ in their epoch; a leader changes seldom, so there are one or two.
 */
#include "kafka/epochs.h"

#include <string.h>

#include "base/mem.h"

void epochs_add(struct epochs *epochs, int64_t from, int32_t epoch)
{
    if (epochs->count > 0 && epochs->items[epochs->count - 1].epoch == epoch)
        return;
    epochs->items = mem_realloc(epochs->items, (epochs->count + 1) * sizeof(*epochs->items));
    epochs->items[epochs->count++] = (struct epoch_range){from, epoch};
}

int32_t epochs_of(const struct epochs *epochs, int64_t offset)
{
    for (size_t i = epochs->count; i-- > 0;) {
        if (epochs->items[i].from <= offset)
            return epochs->items[i].epoch;
    }
    return -1;
}

void epochs_forget(struct epochs *epochs, int64_t below)
{
    size_t gone = 0;

    while (gone + 1 < epochs->count && epochs->items[gone + 1].from <= below)
        gone++;
    epochs->count -= gone;
    if (gone > 0)
        memmove(epochs->items, epochs->items + gone, epochs->count * sizeof(*epochs->items));
}

void epochs_deinit(struct epochs *epochs)
{
    mem_free(epochs->items);
    *epochs = (struct epochs){0};
}
