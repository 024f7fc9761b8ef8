/* A table that fits the terminal: columns as wide as what is in them, and where that is too much,
 * the widest of those that may shrink are cut with an ellipsis. */
#ifndef OG_GATEWAY_TABLE_H
#define OG_GATEWAY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table;

struct table *table_new(void);
void table_free(struct table **table);
/* All columns first. shrinks: it may be cut, down to its title's width. Title is borrowed. */
void table_column(struct table *table, const char *title, enum table_align align, bool shrinks);
/* The next cell, row by row, from left to right. Text of anybody: it is made safe here. */
void table_cell(struct table *table, struct slice text);
void table_cell_text(struct table *table, const char *text); /* NULL: empty */
void table_cell_number(struct table *table, uint64_t number);
/* How the next cell stands out: an SGR parameter such as "31"; used only where color is. */
void table_tone(struct table *table, const char *tone);
size_t table_rows(const struct table *table);
/* width 0: nothing is cut. */
void table_write(const struct table *table, size_t width, bool color, struct buf *out);

#endif
