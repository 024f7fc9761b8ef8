/*
 * Tables; see table.h. Cells are kept as safe text in one buffer. A row that is not full is filled
 * with empty cells. It must never write a line that is wider than it was told.
 */
#include "table.h"

#include <string.h>

#include "base/mem.h"
#include "text_out.h"

#define COLUMNS_MOST 24
#define GAP          2
#define SHRUNK_LEAST 6 /* columns that a cut cell keeps, where its title is shorter */

struct column {
    const char *title;
    enum table_align align;
    bool shrinks;
    size_t width; /* of the widest cell or the title */
};

struct cell {
    size_t at, len; /* in text */
    size_t width;
    const char *tone;
};

struct table {
    struct column columns[COLUMNS_MOST];
    size_t column_count;
    struct cell *cells;
    size_t cell_count, cell_cap;
    struct buf text;
    const char *tone; /* of the next cell */
};

struct table *table_new(void)
{
    return mem_zalloc(sizeof(struct table));
}

void table_free(struct table **table)
{
    if (!*table)
        return;
    mem_free((*table)->cells);
    buf_deinit(&(*table)->text);
    mem_free(*table);
    *table = NULL;
}

void table_column(struct table *table, const char *title, enum table_align align, bool shrinks)
{
    if (table->column_count == COLUMNS_MOST)
        return;
    table->columns[table->column_count++] = (struct column){title, align, shrinks,
                                                            text_width(slice_of(title))};
}

void table_cell(struct table *table, struct slice text)
{
    struct column *column = &table->columns[table->cell_count % table->column_count];
    struct cell *cell;
    if (table->cell_count == table->cell_cap) {
        table->cell_cap = table->cell_cap ? 2 * table->cell_cap : 64;
        table->cells = mem_realloc(table->cells, table->cell_cap * sizeof(*table->cells));
    }
    cell = &table->cells[table->cell_count++];
    cell->at = table->text.len;
    text_add_safe(&table->text, text, false);
    cell->len = table->text.len - cell->at;
    cell->width = text_width((struct slice){table->text.data + cell->at, cell->len});
    cell->tone = table->tone;
    table->tone = NULL;
    if (cell->width > column->width)
        column->width = cell->width;
}

void table_cell_text(struct table *table, const char *text)
{
    table_cell(table, slice_of(text ? text : ""));
}

void table_cell_number(struct table *table, uint64_t number)
{
    struct buf text = {0};
    buf_add_u64(&text, number);
    table_cell(table, buf_slice(&text));
    buf_deinit(&text);
}

void table_tone(struct table *table, const char *tone)
{
    table->tone = tone;
}

size_t table_rows(const struct table *table)
{
    return table->column_count ? (table->cell_count + table->column_count - 1) / table->column_count
                               : 0;
}

static size_t least_width(const struct column *column)
{
    size_t title = text_width(slice_of(column->title));
    return title > SHRUNK_LEAST ? title : SHRUNK_LEAST;
}

/* Takes from the widest that may shrink until it fits, or none can. */
static void fit(const struct table *table, size_t width, size_t widths[COLUMNS_MOST])
{
    size_t total = table->column_count ? (table->column_count - 1) * GAP : 0;
    for (size_t i = 0; i < table->column_count; i++) {
        widths[i] = table->columns[i].width;
        total += widths[i];
    }
    while (width > 0 && total > width) {
        size_t widest = COLUMNS_MOST;
        for (size_t i = 0; i < table->column_count; i++) {
            if (table->columns[i].shrinks && widths[i] > least_width(&table->columns[i]) &&
                (widest == COLUMNS_MOST || widths[i] > widths[widest]))
                widest = i;
        }
        if (widest == COLUMNS_MOST)
            return;
        widths[widest]--;
        total--;
    }
}

static void add_blanks(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_add_char(out, ' ');
}

static void add_cell(struct buf *out, struct slice text, const char *tone, size_t width,
                     enum table_align align, bool last)
{
    struct buf cut = {0};
    size_t taken = text_add_cut(&cut, text, width);
    if (align == TABLE_RIGHT)
        add_blanks(out, width - taken);
    if (tone && cut.len > 0)
        buf_printf(out, "\x1b[%sm", tone);
    buf_add_slice(out, buf_slice(&cut));
    if (tone && cut.len > 0)
        buf_add_text(out, "\x1b[0m");
    if (align == TABLE_LEFT && !last)
        add_blanks(out, width - taken);
    buf_deinit(&cut);
}

/* What still does not fit is cut at the right edge of the line, column by column. */
static size_t room(size_t width, size_t used, size_t wanted)
{
    if (width == 0 || used + wanted <= width)
        return wanted;
    return used < width ? width - used : 0;
}

static void add_row(const struct table *table, const size_t widths[COLUMNS_MOST], size_t row,
                    size_t width, bool color, struct buf *out)
{
    size_t used = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        size_t at = (row - 1) * table->column_count + i;
        bool is_title = row == 0;
        const struct cell *cell = !is_title && at < table->cell_count ? &table->cells[at] : NULL;
        size_t wide = room(width, used, widths[i]);
        struct slice text = is_title ? slice_of(column->title) : slice_of("");
        if (cell)
            text = (struct slice){table->text.data + cell->at, cell->len};
        if (wide == 0)
            break;
        add_cell(out, text,
                 !color     ? NULL
                 : is_title ? "1"
                 : cell     ? cell->tone
                            : NULL,
                 wide, column->align, i + 1 == table->column_count);
        used += wide;
        if (i + 1 < table->column_count && room(width, used, GAP + 1) == GAP + 1)
            add_blanks(out, GAP);
        used += GAP;
    }
    while (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
    buf_add_char(out, '\n');
}

void table_write(const struct table *table, size_t width, bool color, struct buf *out)
{
    size_t widths[COLUMNS_MOST];
    size_t rows = table_rows(table);
    fit(table, width, widths);
    for (size_t row = 0; row <= rows; row++)
        add_row(table, widths, row, width, color, out);
}
