/*
 * Words of the letters. Declared in index.h and index_parts.h.
 *
 * The words of a transaction wait here and go in sorted by id, so that FTS5 writes one run for
 * them. The text index keeps no text, so this release of it cannot take a record out: words of rows
 * that are gone stay as ghosts. They are never seen, for every match is looked up among the letters
 * and their ids are not given again; and where they are the larger part, all words are read anew.
 */
#include <stdlib.h>

#include "dlq/index_parts.h"
#include "dlq/words.h"

enum { WAITING_MAX = 8 << 20, GHOSTS_MIN = 100000, JOINED_PAGES = 64 };

void dlq_text_forget(struct dlq_index *index)
{
    index->words_count = 0;
    buf_reset(&index->words_text);
}

void dlq_text_release(struct dlq_index *index)
{
    if (index->words_count > 0)
        return;
    buf_deinit(&index->words_text);
    mem_free(index->words);
    index->words = NULL;
    index->words_cap = 0;
}

static int by_id(const void *a, const void *b)
{
    const struct dlq_words_item *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

bool dlq_text_flush(struct dlq_index *index, struct err *err)
{
    if (index->words_count)
        qsort(index->words, index->words_count, sizeof(*index->words), by_id);
    for (size_t i = 0; i < index->words_count; i++) {
        const struct dlq_words_item *item = &index->words[i];
        struct slice text = {index->words_text.data + item->at, item->len};
        if (!dlq_run(index, dlq_sql(index, err, SQL_TEXT_ADD, "is", item->id, text), err))
            return false;
    }
    index->untidy = index->untidy || index->words_count > 0;
    dlq_text_forget(index);
    return true;
}

/* What is joined ends with a word: one that all letters have is joined as a whole. */
bool dlq_index_tidy(struct dlq_index *index, bool *more, struct err *err)
{
    *more = false;
    if (!index->untidy)
        return true;
    int before = sqlite3_total_changes(index->db);
    if (!dlq_run(index, dlq_sql(index, err, SQL_TEXT_JOIN, "i", (int64_t)JOINED_PAGES), err))
        return false;
    /* The statement itself counts as one. */
    *more = index->untidy = sqlite3_total_changes(index->db) - before > 1;
    return true;
}

static void wait(struct dlq_index *index, int64_t id, size_t at, size_t len)
{
    if (index->words_count == index->words_cap) {
        index->words_cap = index->words_cap ? index->words_cap * 2 : 256;
        index->words = mem_realloc(index->words, index->words_cap * sizeof(*index->words));
    }
    index->words[index->words_count++] = (struct dlq_words_item){id, at, len};
}

/* The letter's id, and that of the line's first letter where that is another; 0: not there. */
static bool find_letter(struct dlq_index *index, int64_t place, int64_t offset, int64_t *id,
                        int64_t *first, struct err *err)
{
    int64_t first_place = 0, first_offset = 0;
    bool found;
    *id = *first = 0;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_LINE, "ii", place, offset);
    int step = dlq_step(index, stmt, err);
    if (step == 1) {
        first_place = sqlite3_column_int64(stmt, 0);
        first_offset = sqlite3_column_int64(stmt, 1);
        *id = sqlite3_column_int64(stmt, 2);
        sqlite3_reset(stmt);
    }
    if (step <= 0 || (first_place == place && first_offset == offset))
        return step >= 0;
    stmt = dlq_sql(index, err, SQL_LETTER_AT, "ii", first_place, first_offset);
    return dlq_one(index, stmt, first, &found, err);
}

bool dlq_index_add_text(struct dlq_index *index, const struct record *rec, struct err *err)
{
    struct dlq_place *place;
    int64_t id, first;
    if (!dlq_place_of(index, rec->topic, rec->partition, &place, err))
        return false;
    if (rec->offset < place->position[DLQ_READ_TEXT])
        return true;
    if (!find_letter(index, place->id, rec->offset, &id, &first, err))
        return false;
    place->position[DLQ_READ_TEXT] = rec->offset + 1;
    place->changed = true;
    if (!id)
        return true;
    size_t at = index->words_text.len;
    dlq_words_of(rec, &index->words_text);
    size_t len = index->words_text.len - at;
    if (len == 0)
        return true;
    wait(index, id, at, len);
    if (first) /* what FTS5 holds of one id twice, it holds together */
        wait(index, first, at, len);
    return index->words_text.len < WAITING_MAX || dlq_text_flush(index, err);
}

bool dlq_text_again(struct dlq_index *index, struct err *err)
{
    dlq_places_forget(index);
    index->any_ghosts = false;
    return dlq_run(index, dlq_sql(index, err, SQL_TEXT_CLEAR, ""), err) &&
           dlq_run(index, dlq_sql(index, err, SQL_GHOST_CLEAR, ""), err) &&
           dlq_run(index, dlq_sql(index, err, SQL_PLACE_TEXT_AGAIN, ""), err);
}

bool dlq_text_tidy(struct dlq_index *index, struct err *err)
{
    int64_t ghosts, rows;
    bool found;
    if (!index->any_ghosts)
        return true;
    if (!dlq_one(index, dlq_sql(index, err, SQL_GHOST_COUNT, ""), &ghosts, &found, err))
        return false;
    if (ghosts < GHOSTS_MIN)
        return true;
    if (!dlq_one(index, dlq_sql(index, err, SQL_LETTERS, ""), &rows, &found, err))
        return false;
    return ghosts <= rows || dlq_text_again(index, err);
}
