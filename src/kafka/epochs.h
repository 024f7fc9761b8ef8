/*
 * Which leader epoch the records of a partition came from, so that a commit can say that of the
 * last record below its offset: by it the next owner notices that the log is another one by now (an
 * unclean election), even where it has grown beyond the offset again.
 */
#ifndef OG_KAFKA_EPOCHS_H
#define OG_KAFKA_EPOCHS_H

#include <stddef.h>
#include <stdint.h>

struct epoch_range {
    int64_t from;  /* offset; up to the next range's */
    int32_t epoch; /* -1: not known */
};

struct epochs {
    struct epoch_range *items; /* by offset */
    size_t count;
};

/* Records from this offset on are of the epoch; offsets rise. */
void epochs_add(struct epochs *epochs, int64_t from, int32_t epoch);
/* Of the record at an offset; -1 unknown. */
int32_t epochs_of(const struct epochs *epochs, int64_t offset);
/* What is below the offset is not asked for any more. */
void epochs_forget(struct epochs *epochs, int64_t below);
void epochs_deinit(struct epochs *epochs);

#endif
