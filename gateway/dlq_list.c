/*
 * oncegate dlq list: dead letters, the newest first. The topics are read anew for each page, so a
 * page begins behind a place that stays the same: that of the last line, "<ms>~<id>". A console
 * gives cursors of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd_dlq.h"
#include "console_letters.h"
#include "dlq/snapshot.h"
#include "dlq_row_json.h"
#include "table.h"
#include "text_out.h"

#define LIMIT 50
/* Lines of one ms may be listed as of later ones, where they are very many (dlq/index_add.c). */
#define SPREAD_MS 1000

/* ---- printing ---- */

struct listing {
    struct dlq *dlq;
    struct table *table;      /* NULL: JSON */
    struct json_object *list; /* of OUTPUT_JSON */
    bool ok;
};

static void table_row(struct table *table, const struct dlq_row *row)
{
    char time[TEXT_TIME_MAX];
    struct buf text = {0};
    dlq_row_id(row, &text);
    table_cell(table, buf_slice(&text));
    text_time_short(row->last_failed_ms, time);
    table_cell_text(table, time);
    table_tone(table, row->state == DLQ_STATE_OPEN ? "31" : "32");
    table_cell_text(table, dlq_state_name(row->state));
    table_cell_text(table, row->route);
    table_cell_text(table, row->code);
    table_cell_number(table, row->attempts);
    buf_reset(&text);
    buf_add_slice(&text, slice_is_null(row->key) ? SLICE_LIT("null") : row->key);
    if (row->key_size > row->key.len)
        buf_printf(&text, " (%" PRIu64 " bytes)", row->key_size);
    table_cell(table, buf_slice(&text));
    buf_deinit(&text);
    table_cell_text(table, row->detail);
}

static void print_row(void *arg, const struct dlq_row *row)
{
    struct listing *listing = arg;
    struct json_object *object;
    if (listing->table) {
        table_row(listing->table, row);
        return;
    }
    object = dlq_row_json(row);
    if (listing->list) {
        json_object_array_add(listing->list, object);
        return;
    }
    listing->ok = listing->ok && json_print(object, false);
    json_object_put(object);
}

static void begin(struct listing *listing, struct dlq *dlq)
{
    *listing = (struct listing){.dlq = dlq, .ok = true};
    if (dlq->output == OUTPUT_JSON)
        listing->list = json_object_new_array();
    if (dlq->output != OUTPUT_TABLE)
        return;
    listing->table = table_new();
    table_column(listing->table, "ID", TABLE_LEFT, false);
    table_column(listing->table, "LAST FAILED", TABLE_LEFT, false);
    table_column(listing->table, "STATE", TABLE_LEFT, false);
    table_column(listing->table, "ROUTE", TABLE_LEFT, true);
    table_column(listing->table, "CODE", TABLE_LEFT, true);
    table_column(listing->table, "ATTEMPTS", TABLE_RIGHT, false);
    table_column(listing->table, "KEY", TABLE_LEFT, true);
    table_column(listing->table, "DETAIL", TABLE_LEFT, true);
}

static void drop(struct listing *listing)
{
    table_free(&listing->table);
    json_object_put(listing->list);
}

/* next: of the page after, or NULL. */
static int end(struct listing *listing, const char *next, const struct dlq_covered *covered)
{
    struct json_object *answer;
    int code = listing->ok ? EXIT_OK : EXIT_FAIL;
    dlq_say_covered(covered);
    if (listing->table) {
        code = dlq_print_table(listing->dlq, listing->table);
    } else if (listing->list) {
        answer = json_object_new_object();
        json_object_object_add(answer, "letters", json_object_get(listing->list));
        json_add_text(answer, "next", next);
        json_add_uint(answer, "read", covered->rows_read);
        json_add_uint(answer, "total", covered->rows_total);
        json_object_object_add(answer, "complete", json_object_new_boolean(covered->complete));
        code = json_print(answer, true) ? EXIT_OK : EXIT_FAIL;
        json_object_put(answer);
    }
    if (next && !listing->list)
        fprintf(stderr, "more: --after %s\n", next);
    return code;
}

/* ---- a page of what was read just now ---- */

/* The place of a line: lines are in the order of their times, then of their ids. */
struct place {
    int64_t ms;
    struct dlq_id id;
};

struct page {
    struct dlq_index *index;
    const struct place *after; /* NULL: from the beginning */
    uint64_t limit;            /* 0: none */
    struct place *places;
    size_t count, cap;
    struct dlq_covered covered;
};

static int newest_first(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    int order;
    if (a->ms != b->ms)
        return a->ms < b->ms ? 1 : -1;
    order = strcmp(a->id.topic, b->id.topic);
    if (order != 0)
        return order;
    if (a->id.partition != b->id.partition)
        return a->id.partition < b->id.partition ? -1 : 1;
    return a->id.offset < b->id.offset ? 1 : a->id.offset > b->id.offset ? -1 : 0;
}

static bool take_place(void *arg, const struct dlq_row *row)
{
    struct page *page = arg;
    struct place place = {row->written_ms,
                          {(char *)(uintptr_t)row->topic, row->partition, row->offset}};
    /* One more than the page takes, and then all of the same ms: they have no order yet. */
    if (page->limit > 0 && page->count > page->limit && place.ms < page->places[page->count - 1].ms)
        return false;
    if (page->after && newest_first(&place, page->after) <= 0)
        return true;
    if (page->count == page->cap) {
        page->cap = page->cap ? 2 * page->cap : 64;
        page->places = mem_realloc(page->places, page->cap * sizeof(*page->places));
    }
    place.id.topic = mem_strdup(row->topic);
    page->places[page->count++] = place;
    return true;
}

static bool fill(struct page *page, struct dlq *dlq, struct dlq_filter *filter, struct err *err)
{
    int64_t until = page->after ? page->after->ms + SPREAD_MS : 0;
    page->index = dlq_read_letters(dlq, filter, err);
    if (!page->index)
        return false;
    if (until && (!filter->until_ms || filter->until_ms > until))
        filter->until_ms = until;
    if (!dlq_snapshot_each(page->index, filter, take_place, page, &page->covered, err))
        return false;
    if (page->count > 0)
        qsort(page->places, page->count, sizeof(*page->places), newest_first);
    return true;
}

static int print_page(struct page *page, struct dlq *dlq)
{
    bool more = page->limit > 0 && page->count > page->limit, ok = true, found;
    size_t count = more ? page->limit : page->count;
    struct listing listing;
    struct buf next = {0};
    struct err err = {0};
    int code;
    begin(&listing, dlq);
    for (size_t i = 0; ok && i < count; i++)
        ok = dlq_index_get(page->index, &page->places[i].id, print_row, &listing, &found, &err);
    if (more) {
        buf_printf(&next, "%" PRId64 "~", page->places[count - 1].ms);
        dlq_id_write(&page->places[count - 1].id, &next);
    }
    code = ok ? end(&listing, more ? next.data : NULL, &page->covered) : cli_fail(&err);
    drop(&listing);
    buf_deinit(&next);
    return code;
}

static int list(struct dlq *dlq, struct dlq_filter *filter, const struct place *after,
                uint64_t limit)
{
    struct page page = {.after = after, .limit = limit};
    struct err err = {0};
    int code = fill(&page, dlq, filter, &err) ? print_page(&page, dlq) : cli_fail(&err);
    for (size_t i = 0; i < page.count; i++)
        dlq_id_deinit(&page.places[i].id);
    mem_free(page.places);
    dlq_index_close(&page.index);
    return code;
}

/* ---- a page of a console's ---- */

static bool print_each(void *arg, const struct dlq_row *row)
{
    print_row(arg, row);
    return ((struct listing *)arg)->ok;
}

static int list_of_console(struct dlq *dlq, const struct dlq_filter *filter, const char *after,
                           uint64_t limit)
{
    struct dlq_covered covered = {0};
    struct listing listing;
    struct buf next = {0};
    struct err err = {0};
    int code;
    begin(&listing, dlq);
    if (console_list(dlq->console, filter, after, limit, print_each, &listing, &next, &covered,
                     &err))
        code = end(&listing, next.len > 0 ? next.data : NULL, &covered);
    else
        code = cli_fail(&err);
    drop(&listing);
    buf_deinit(&next);
    return code;
}

/* ---- the command ---- */

static bool read_after(const char *text, struct place *after, struct err *err)
{
    const char *tilde = strchr(text, '~');
    return (tilde && str_to_i64((struct slice){text, (size_t)(tilde - text)}, &after->ms) &&
            dlq_id_parse(slice_of(tilde + 1), &after->id, err)) ||
           err_set(err, ERR_USAGE, "--after takes what a page before said, not %s", text);
}

int dlq_list(struct dlq *dlq)
{
    const char *text = cli_option(dlq->cli, "--after");
    struct dlq_filter filter = {0};
    struct place after = {0};
    struct err err = {0};
    uint64_t limit;
    int code = EXIT_USAGE;
    if (!dlq_number(dlq, "--limit", LIMIT, 10000000, &limit))
        return EXIT_USAGE;
    if (text && !dlq->console && !read_after(text, &after, &err))
        return cli_usage("dlq list", "%s", err.text);
    if (dlq_filter_of(dlq, &filter, &code))
        code = dlq->console ? list_of_console(dlq, &filter, text, limit)
                            : list(dlq, &filter, text ? &after : NULL, limit);
    dlq_filter_deinit(&filter);
    dlq_id_deinit(&after.id);
    return code;
}
