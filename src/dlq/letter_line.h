/*
 * A record as a line of JSON, with the names that `kcat -J` uses: topic, partition, offset, tstype
 * (create, logappend, unknown), ts (ms), headers (a flat list of names and values), key, payload.
 * What is not UTF-8 is base64, and the line says so: key_encoding, payload_encoding: "base64", and
 * headers_base64: the places in headers that are base64. Nothing is lost on the way there and back.
 * A line of which parts are hidden begins with "masked", what of it is not as it is in the record:
 * {"payload":["/card/number"],"headers":[3]}: JSON pointers into the payload ("": all of it), and
 * places in headers. It is never read back.
 */
#ifndef OG_DLQ_LETTER_LINE_H
#define OG_DLQ_LETTER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "record/record.h"

/* Appends the line with its line feed. */
void letter_line_write(struct buf *out, const struct record *rec);
/* The same of a record that is not as it is in Kafka; masked: that JSON object. */
void letter_line_write_masked(struct buf *out, const struct record *rec, struct slice masked);

/* A line that was read; everything is owned. */
struct letter_line {
    struct record rec; /* slices into what is below */
    struct record_header *headers;
    struct buf bytes;
};

/*
 * False: the line is bad, column (1-based) is where, err says what; there is nothing to free.
 * topic and partition must be there; members that are not known are passed over.
 */
bool letter_line_read(struct slice text, struct letter_line *line, size_t *column,
                      struct err *err) MUST_CHECK;
void letter_line_deinit(struct letter_line *line);

#endif
