/*
 * What a redrive job did with each letter. Declared in index.h.
 *
 * Two kinds of runs lie in the order of (place, offset): the states that speak of the job, one run
 * for each result, and the letters that came back from it. Each gives as much as a page holds, and
 * the page is the beginning of all of them together. Of the letters only those count whose state
 * speaks of another job by now: as a rule there are few of these among many, so the walk is
 * bounded, and where it stopped the page stops too. What was skipped stands in a list, and is
 * looked up here. Must not: tell a letter twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dlq/index_parts.h"

enum { PAGE_MAX = 10000, LETTERS_LOOKED_AT = 2000 };

struct place_at {
    int64_t place, offset;
};

struct page {
    struct dlq_index *index;
    const char *job;
    struct place_at after, end; /* exclusive, inclusive: nothing beyond it was looked at */
    size_t limit;
    struct place_at *items;
    size_t count, room;
    bool stopped; /* at end */
};

/* What the state says of a letter; texts last until the next row is read. */
struct said {
    const char *topic; /* its name, or what stands for it */
    int32_t partition;
    bool of_job;
    const char *job, *code;
    unsigned ended;
    uint32_t count;
    int64_t at_ms;
};

const char *dlq_job_result_name(unsigned result)
{
    if (result == LETTER_NO_RESULT)
        return "on_its_way";
    if (result == DLQ_JOB_SKIPPED)
        return "skipped";
    return result < LETTER_RESULTS ? letter_result_name((enum letter_result)result) : "unknown";
}

bool dlq_job_result_parse(struct slice text, unsigned *result)
{
    for (*result = 0; *result < DLQ_JOB_RESULTS; ++*result) {
        if (slice_equal_text(text, dlq_job_result_name(*result)))
            return true;
    }
    return false;
}

static int by_place(const void *a, const void *b)
{
    const struct place_at *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static void add(struct page *page, struct place_at at)
{
    if (page->count == page->room) {
        page->room = page->room ? 2 * page->room : 64;
        page->items = mem_realloc(page->items, page->room * sizeof(*page->items));
    }
    page->items[page->count++] = at;
}

static struct place_at place_of(sqlite3_stmt *stmt)
{
    return (struct place_at){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1)};
}

/* ---- which ---- */

static bool add_states(struct page *page, unsigned result, struct err *err)
{
    struct dlq_index *index = page->index;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_JOB_STATES, "tiiii", page->job, (int64_t)result,
                                 page->after.place, page->after.offset, (int64_t)page->limit + 1);
    int step;
    while ((step = dlq_step(index, stmt, err)) == 1)
        add(page, place_of(stmt));
    return step == 0;
}

/* *stmt is to be reset where *found. */
static bool read_said(struct page *page, struct place_at at, struct said *said, bool *found,
                      sqlite3_stmt **stmt, struct err *err)
{
    *stmt = dlq_sql(page->index, err, SQL_JOB_STATE, "ii", at.place, at.offset);
    int step = dlq_step(page->index, *stmt, err);
    *found = step == 1;
    if (!*found)
        return step == 0;
    said->topic = dlq_text(*stmt, sqlite3_column_type(*stmt, 2) == SQLITE_NULL ? 0 : 2);
    said->partition = sqlite3_column_int(*stmt, 1);
    said->job = dlq_text(*stmt, 3);
    said->of_job = strcmp(said->job, page->job) == 0;
    said->ended = (unsigned)sqlite3_column_int64(*stmt, 4);
    said->count = (uint32_t)sqlite3_column_int64(*stmt, 5);
    said->at_ms = sqlite3_column_int64(*stmt, 6);
    said->code = dlq_text(*stmt, 7);
    return true;
}

static bool add_letters(struct page *page, struct err *err)
{
    struct dlq_index *index = page->index;
    struct place_at last = page->after;
    size_t looked = 0, taken = 0;
    int step = 0;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_JOB_LETTERS, "tiii", page->job, last.place,
                                 last.offset, (int64_t)LETTERS_LOOKED_AT);
    while (taken <= page->limit && (step = dlq_step(index, stmt, err)) == 1) {
        struct place_at at = place_of(stmt);
        struct said said;
        sqlite3_stmt *state;
        bool found, again = by_place(&at, &last) == 0;
        looked++;
        last = at;
        if (again)
            continue;
        if (!read_said(page, at, &said, &found, &state, err))
            return false;
        if (found && !said.of_job) {
            add(page, at);
            taken++;
        }
        sqlite3_reset(state);
    }
    if (!stmt || index->broken || (taken <= page->limit && step < 0))
        return false;
    sqlite3_reset(stmt);
    page->stopped = looked == LETTERS_LOOKED_AT;
    page->end = last;
    return true;
}

/* The beginning of all runs together; `more` behind it. */
static bool choose(struct page *page, unsigned results, bool *more, struct err *err)
{
    size_t kept = 0;
    for (unsigned result = 0; result < DLQ_JOB_SKIPPED; result++) {
        if ((results >> result & 1) && !add_states(page, result, err))
            return false;
    }
    if ((results >> LETTER_RESULT_FAILED & 1) && !add_letters(page, err))
        return false;
    if (page->count > 1)
        qsort(page->items, page->count, sizeof(*page->items), by_place);
    while (kept < page->count && kept < page->limit &&
           (!page->stopped || by_place(&page->items[kept], &page->end) <= 0))
        kept++;
    *more = page->stopped || kept < page->count;
    /* Short because the walk stopped: up to there all is told. */
    if (!page->stopped || kept == page->limit)
        page->end = kept > 0 ? page->items[kept - 1] : page->after;
    page->count = kept;
    return true;
}

/* ---- telling ---- */

/* Another job has it by now: what came back from this one. */
static bool fill_from_letter(struct page *page, struct place_at at, struct dlq_job_row *row,
                             struct buf *code, struct err *err)
{
    sqlite3_stmt *stmt = dlq_sql(page->index, err, SQL_JOB_LETTER, "tii", page->job, at.place,
                                 at.offset);
    int step = dlq_step(page->index, stmt, err);
    row->result = LETTER_RESULT_FAILED;
    if (step != 1)
        return step == 0;
    row->at_ms = sqlite3_column_int64(stmt, 0);
    row->count = (uint32_t)sqlite3_column_int64(stmt, 1);
    buf_reset(code);
    buf_add_text(code, dlq_text(stmt, 2));
    row->code = code->data;
    sqlite3_reset(stmt);
    return true;
}

struct telling {
    struct dlq_row_texts texts;
    struct buf id, code, since;
    struct dlq_row line;
};

static bool fill(struct page *page, struct place_at at, struct telling *telling,
                 struct dlq_job_row *row, struct err *err)
{
    struct said said;
    sqlite3_stmt *stmt;
    bool found;
    if (!read_said(page, at, &said, &found, &stmt, err))
        return false;
    if (!found)
        return err_set(err, ERR_INTERNAL, "index: a state without its place");
    buf_reset(&telling->id);
    buf_printf(&telling->id, "%s/%" PRId32 "/%" PRId64, said.topic, said.partition, at.offset);
    buf_reset(&telling->code);
    buf_add_text(&telling->code, said.ended == LETTER_RESULT_FAILED ? said.code : "");
    buf_reset(&telling->since);
    buf_add_text(&telling->since, said.of_job ? "" : said.job);
    *row = (struct dlq_job_row){.id = telling->id.data,
                                .result = said.ended,
                                .skipped = "",
                                .code = telling->code.data,
                                .at_ms = said.at_ms,
                                .count = said.count,
                                .since = telling->since.data};
    sqlite3_reset(stmt);
    return said.of_job || fill_from_letter(page, at, row, &telling->code, err);
}

static bool tell(struct page *page, bool (*each)(void *arg, const struct dlq_job_row *row),
                 void *arg, struct err *err)
{
    struct telling telling = {0};
    bool ok = true, on = true;
    for (size_t i = 0; ok && on && i < page->count; i++) {
        struct place_at at = page->items[i];
        struct dlq_job_row row;
        sqlite3_stmt *stmt = NULL;
        int64_t line;
        bool found = false;
        ok = fill(page, at, &telling, &row, err) &&
             dlq_plan_line_at(page->index, at.place, at.offset, &line, &found, err) &&
             (!found || dlq_row_read(page->index, line, &telling.texts, &telling.line, &stmt, err));
        if (!ok)
            break;
        row.line = found ? &telling.line : NULL;
        on = each(arg, &row);
        if (found)
            sqlite3_reset(stmt);
    }
    dlq_row_texts_deinit(&telling.texts);
    buf_deinit(&telling.id);
    buf_deinit(&telling.code);
    buf_deinit(&telling.since);
    return ok;
}

bool dlq_index_job(struct dlq_index *index, const char *job, unsigned results, const char *cursor,
                   size_t limit, bool (*each)(void *arg, const struct dlq_job_row *row), void *arg,
                   char next[DLQ_CURSOR_MAX], struct dlq_covered *covered, struct err *err)
{
    struct page page = {.index = index, .job = job};
    struct dlq_filter all;
    uint64_t after[2] = {0};
    bool more = false, ok;
    next[0] = '\0';
    page.limit = limit == 0 ? 1 : limit > PAGE_MAX ? PAGE_MAX : limit;
    if (!dlq_cursor_read(cursor, after, 2, err) || !dlq_read_begin(index, err))
        return false;
    page.after = (struct place_at){(int64_t)after[0], cursor && *cursor ? (int64_t)after[1] : -1};
    dlq_filter_init(&all);
    ok = dlq_covered_by(index, &all, covered, err) &&
         choose(&page, results ? results : UINT32_MAX, &more, err) && tell(&page, each, arg, err);
    if (ok && more)
        snprintf(next, DLQ_CURSOR_MAX, "b%016" PRIx64 "%016" PRIx64, (uint64_t)page.end.place,
                 (uint64_t)page.end.offset);
    dlq_filter_deinit(&all);
    dlq_read_end(index);
    mem_free(page.items);
    return ok;
}

/* ---- what it skipped ---- */

/* The name of its topic, which may be known by another partition only; else what stands for it. */
static bool add_name(struct dlq_index *index, const struct letter_id *id, struct buf *out,
                     int64_t *place, bool *found, struct err *err)
{
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_PLACE_GET, "si", id->topic,
                                 (int64_t)id->partition);
    int64_t named;
    bool any;
    if (!dlq_one(index, stmt, place, found, err))
        return false;
    named = *place;
    any = *found;
    if (!any && !dlq_one(index, dlq_sql(index, err, SQL_PLACE_GET, "si", id->topic, (int64_t)0),
                         &named, &any, err))
        return false;
    if (any) {
        stmt = dlq_sql(index, err, SQL_JOB_STATE, "ii", named, (int64_t)-1);
        if (dlq_step(index, stmt, err) != 1)
            return !index->broken;
        any = sqlite3_column_type(stmt, 2) != SQLITE_NULL;
        if (any)
            buf_add_text(out, dlq_text(stmt, 2));
        sqlite3_reset(stmt);
    }
    if (!any)
        buf_add_slice(out, id->topic);
    return true;
}

static bool tell_skipped(struct dlq_index *index, enum redrive_skip why, const struct letter_id *id,
                         struct telling *telling,
                         bool (*each)(void *arg, const struct dlq_job_row *row), void *arg,
                         bool *on, struct err *err)
{
    struct dlq_job_row row = {
        .result = DLQ_JOB_SKIPPED, .skipped = redrive_skip_name(why), .code = "", .since = ""};
    sqlite3_stmt *stmt = NULL;
    int64_t place, line;
    bool found = false;
    buf_reset(&telling->id);
    if (!add_name(index, id, &telling->id, &place, &found, err))
        return false;
    buf_printf(&telling->id, "/%" PRId32 "/%" PRId64, id->partition, id->offset);
    if (found && !dlq_plan_line_at(index, place, id->offset, &line, &found, err))
        return false;
    if (found && !dlq_row_read(index, line, &telling->texts, &telling->line, &stmt, err))
        return false;
    row.id = telling->id.data;
    row.line = found ? &telling->line : NULL;
    *on = each(arg, &row);
    if (found)
        sqlite3_reset(stmt);
    return true;
}

bool dlq_index_job_skipped(struct dlq_index *index, const struct redrive_skipped *list, uint64_t at,
                           size_t limit, bool (*each)(void *arg, const struct dlq_job_row *row),
                           void *arg, struct dlq_covered *covered, struct err *err)
{
    struct telling telling = {0};
    struct dlq_filter all;
    uint64_t count = redrive_skipped_count(list), end = at;
    bool ok, on = true;
    if (at < count)
        end = count - at < limit ? count : at + limit;
    if (!dlq_read_begin(index, err))
        return false;
    dlq_filter_init(&all);
    ok = dlq_covered_by(index, &all, covered, err);
    for (; ok && on && at < end; at++) {
        enum redrive_skip why;
        struct letter_id id;
        redrive_skipped_get(list, at, &why, &id);
        ok = tell_skipped(index, why, &id, &telling, each, arg, &on, err);
    }
    dlq_read_end(index);
    dlq_filter_deinit(&all);
    dlq_row_texts_deinit(&telling.texts);
    buf_deinit(&telling.id);
    return ok;
}
