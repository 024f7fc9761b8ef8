/*
 * Text of others for people: nothing of it reaches a terminal as anything but letters. Also how
 * wide it is there, and times as people read them.
 */
#ifndef OG_GATEWAY_TEXT_OUT_H
#define OG_GATEWAY_TEXT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

/*
 * Appends text. Control characters (C0, DEL, C1), marks that turn the direction of writing, line
 * separators and what is nobody's character are written as \n, \t, \x1b, \u{202e}; bytes that are
 * not UTF-8 as \xff. With lines set, line feeds stay.
 */
void text_add_safe(struct buf *out, struct slice text, bool lines);
/* Columns that safe text takes on a terminal. */
size_t text_width(struct slice text);
/* Appends safe text, cut with an ellipsis where it is wider than width columns; never within a
 * character. Returns the columns that it takes. */
size_t text_add_cut(struct buf *out, struct slice text, size_t width);

/* Columns of the terminal behind stdout, COLUMNS where that is set; 0: there is none, and nothing
 * is cut. */
size_t text_columns(void);

/* 2026-01-02 03:04:05.678 +0200, in the local zone; "-" for 0. */
#define TEXT_TIME_MAX 48
void text_time(int64_t ms, char out[TEXT_TIME_MAX]);
void text_time_short(int64_t ms, char out[TEXT_TIME_MAX]); /* without the fraction */

/* Hex as hexdump -C has it, at most `most` bytes of it. */
void text_add_hex(struct buf *out, struct slice bytes, size_t most);

#endif
