/*
 * Exported lines (letter_line.h) on their way back into their dead-letter topics: what a line has
 * to be for that, and the message that it becomes. A line is never changed on the way. Each import
 * is a new record at the end of the topic, whatever was imported before.
 *
 * The last line of an export may say how many there were, so that one that was cut off is noticed:
 *   {"end":{"letters":3,"complete":true,"why":null}}
 */
#ifndef OG_DLQ_LETTER_IMPORT_H
#define OG_DLQ_LETTER_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "dlq/letter_line.h"
#include "kafka/producer.h"

struct letter_import_topic {
    const char *name; /* borrowed */
    bool exists;
    int32_t partitions;
};

/* Of one pass over the lines; begins as zero but for the topics: the configuration's dead-letter
 * topics, borrowed. */
struct letter_import {
    const struct letter_import_topic *topics;
    size_t count;
    uint64_t good, bad; /* lines so far */
    uint64_t since_end; /* lines behind the last one that told an end */
};

enum letter_import_line { LETTER_IMPORT_BAD, LETTER_IMPORT_LETTER, LETTER_IMPORT_END };

/*
 * The next line, without its line feed. LETTER: *line is to be freed by letter_line_deinit, *topic
 * is the index of its topic. BAD: err says why, *column (1-based) where.
 */
enum letter_import_line letter_import_read(struct letter_import *import, struct slice text,
                                           struct letter_line *line, size_t *topic, size_t *column,
                                           struct err *err);
/* For one who has others look at the letters: whether it is the line that tells the end, and then
 * whether that fits (since_end, which counts from there again). */
bool letter_import_is_end(struct slice text);
bool letter_import_end_fits(struct letter_import *import, struct slice text,
                            struct err *err) MUST_CHECK;
/* Topic, partition and bytes of msg; all borrowed from line and topic. */
void letter_import_fill(struct produce *msg, const struct letter_line *line,
                        const struct letter_import_topic *topic);
/* Appends the line that tells the end, with its line feed. why: NULL where it is complete. */
void letter_import_write_end(struct buf *out, uint64_t letters, const char *why);

#endif
