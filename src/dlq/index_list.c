/*
 * Rows of the index: pages and single lines. Declared in index.h. A page's ids are found first
 * (index_plan.c), then their rows are read, all in one snapshot.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "dlq/index_parts.h"

enum { PAGE_MAX = 10000, MATCHES_LOOKED_AT = 10000 };

static struct slice blob(sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return SLICE_NULL;
    const char *data = sqlite3_column_blob(stmt, column);
    return (struct slice){data ? data : "", (size_t)sqlite3_column_bytes(stmt, column)};
}

static bool number(sqlite3_stmt *stmt, int column, uint64_t *out)
{
    *out = (uint64_t)sqlite3_column_int64(stmt, column);
    return sqlite3_column_type(stmt, column) != SQLITE_NULL;
}

static void fill_what(sqlite3_stmt *stmt, struct dlq_row *row)
{
    row->topic = dlq_text(stmt, 1);
    row->partition = sqlite3_column_int(stmt, 2);
    row->offset = sqlite3_column_int64(stmt, 3);
    row->route = dlq_text(stmt, 7);
    row->group = dlq_text(stmt, 8);
    row->code = dlq_text(stmt, 9);
    row->signature = dlq_text(stmt, 10);
    row->detail = dlq_text(stmt, 11);
    row->writer = (enum letter_writer)sqlite3_column_int(stmt, 12);
    row->key = blob(stmt, 13);
    row->key_size = (uint64_t)sqlite3_column_int64(stmt, 14);
    row->http_status = sqlite3_column_int(stmt, 15);
}

static void fill_history(sqlite3_stmt *stmt, struct dlq_row *row)
{
    row->attempts = (uint32_t)sqlite3_column_int64(stmt, 16);
    row->redrive_count = (uint32_t)sqlite3_column_int64(stmt, 17);
    row->value_size = (uint32_t)sqlite3_column_int64(stmt, 18);
    row->written_ms = sqlite3_column_int64(stmt, 19);
    row->first_failed_ms = sqlite3_column_int64(stmt, 20);
    row->last_failed_ms = sqlite3_column_int64(stmt, 21);
    row->origin_topic = dlq_text(stmt, 22);
    row->origin_partition = sqlite3_column_int(stmt, 23);
    row->origin_offset = sqlite3_column_int64(stmt, 24);
    row->has_number = number(stmt, 25, &row->number);
    row->has_epoch = number(stmt, 26, &row->epoch);
    row->state = (unsigned)sqlite3_column_int(stmt, 27);
    row->redrive_id = dlq_text(stmt, 28);
    /* The state may know of a redrive that has not come back, or never will. */
    uint32_t told = (uint32_t)sqlite3_column_int64(stmt, 33);
    if (sqlite3_column_type(stmt, 32) != SQLITE_NULL && told >= row->redrive_count) {
        row->redrive_id = dlq_text(stmt, 32);
        row->redrive_count = told;
        row->result = (enum letter_result)sqlite3_column_int(stmt, 35);
    }
    row->edited_to = row->state == DLQ_STATE_ARCHIVED ? dlq_text(stmt, 34) : "";
}

void dlq_row_texts_deinit(struct dlq_row_texts *texts)
{
    buf_deinit(&texts->state_key);
    buf_deinit(&texts->latest);
}

bool dlq_row_read(struct dlq_index *index, int64_t id, struct dlq_row_texts *texts,
                  struct dlq_row *row, sqlite3_stmt **stmt_at, struct err *err)
{
    sqlite3_stmt *stmt = *stmt_at = dlq_sql(index, err, SQL_LETTER_ROW, "i", id);
    int step = dlq_step(index, stmt, err);
    if (step < 0)
        return false;
    if (step == 0)
        return err_set(err, ERR_INTERNAL, "index: a line without its parts");
    memset(row, 0, sizeof(*row));
    fill_what(stmt, row);
    fill_history(stmt, row);
    buf_reset(&texts->state_key);
    letter_id_write(&texts->state_key,
                    &(struct letter_id){slice_of(dlq_text(stmt, 4)), sqlite3_column_int(stmt, 5),
                                        sqlite3_column_int64(stmt, 6)});
    buf_reset(&texts->latest);
    buf_printf(&texts->latest, "%s/%d/%" PRId64, dlq_text(stmt, 29), sqlite3_column_int(stmt, 30),
               (int64_t)sqlite3_column_int64(stmt, 31));
    row->state_key = texts->state_key.data;
    row->latest = texts->latest.data;
    return true;
}

static bool give_rows(struct dlq_index *index, const struct dlq_page *page,
                      bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                      struct err *err)
{
    struct dlq_row_texts texts = {0};
    bool ok = true, on = true;
    for (size_t i = 0; ok && on && i < page->count; i++) {
        struct dlq_row row;
        sqlite3_stmt *stmt;
        ok = dlq_row_read(index, page->ids[i], &texts, &row, &stmt, err);
        if (!ok)
            break;
        on = each(arg, &row);
        sqlite3_reset(stmt);
    }
    dlq_row_texts_deinit(&texts);
    return ok;
}

bool dlq_cursor_read(const char *cursor, uint64_t *numbers, size_t count, struct err *err)
{
    if (!cursor || !cursor[0])
        return true;
    bool ok = strlen(cursor) == 1 + 16 * count && cursor[0] == 'b';
    for (size_t i = 0; ok && i < 16 * count; i++) {
        const char *hex = "0123456789abcdef", *digit = strchr(hex, cursor[1 + i]);
        ok = digit != NULL;
        numbers[i / 16] = numbers[i / 16] << 4 | (uint64_t)(ok ? digit - hex : 0);
    }
    for (size_t i = 0; ok && i < count; i++)
        ok = numbers[i] <= INT64_MAX;
    return ok || err_set(err, ERR_USAGE, "cursor: no page has given this one; begin without one");
}

static bool list(struct dlq_index *index, struct dlq_plan *plan, size_t limit,
                 bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                 char next[DLQ_CURSOR_MAX], struct err *err)
{
    struct dlq_page page;
    limit = limit == 0 ? 1 : limit > PAGE_MAX ? PAGE_MAX : limit;
    if (!dlq_plan_page(plan, limit, MATCHES_LOOKED_AT, &page, err))
        return false;
    if (page.more)
        snprintf(next, DLQ_CURSOR_MAX, "b%016" PRIx64, (uint64_t)page.next);
    bool ok = give_rows(index, &page, each, arg, err);
    dlq_page_deinit(&page);
    return ok;
}

bool dlq_index_list(struct dlq_index *index, const struct dlq_filter *filter, const char *cursor,
                    size_t limit, bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                    char next[DLQ_CURSOR_MAX], struct dlq_covered *covered, struct err *err)
{
    struct dlq_plan plan = {0};
    uint64_t below = DLQ_ID_MAX;
    next[0] = '\0';
    if (!dlq_cursor_read(cursor, &below, 1, err) || !dlq_read_begin(index, err))
        return false;
    bool ok = dlq_covered_by(index, filter, covered, err) &&
              dlq_plan_make(index, filter, &plan, err);
    if (ok && (int64_t)below < plan.high)
        plan.high = (int64_t)below;
    ok = ok && list(index, &plan, limit, each, arg, next, err);
    dlq_plan_deinit(&plan);
    dlq_read_end(index);
    return ok;
}

bool dlq_index_get(struct dlq_index *index, const struct dlq_id *id,
                   void (*each)(void *arg, const struct dlq_row *row), void *arg, bool *found,
                   struct err *err)
{
    struct dlq_row_texts texts = {0};
    struct dlq_row row;
    sqlite3_stmt *stmt;
    int64_t line;
    *found = false;
    if (!dlq_read_begin(index, err))
        return false;
    bool ok = dlq_plan_line_of(index, id, &line, found, err);
    if (ok && *found) {
        ok = dlq_row_read(index, line, &texts, &row, &stmt, err);
        if (ok)
            each(arg, &row);
    }
    dlq_read_end(index);
    dlq_row_texts_deinit(&texts);
    return ok;
}
