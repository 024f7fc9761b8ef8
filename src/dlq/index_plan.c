/*
 * Which lines a filter takes, newest first. Declared in index_parts.h.
 *
 * Route, topic, code, status and signature are a choice of buckets. In the index of (bucket, state,
 * id), or of (key, bucket, state, id), the lines of one bucket and state lie in the order of time;
 * a page is the newest of all these runs together. The runs are asked in the order of their newest
 * line, each for as long as it can still better the page, so it costs about one seek for each run
 * and one step for each line: nothing grows with the number of letters.
 *
 * With text, either the matches are walked, newest first, and each is looked at; or the lines are,
 * and each is looked up in the text index. A walk ends after `budget` matches, or some hundred
 * lines, and says so.
 */
#include <stdlib.h>

#include "base/str.h"
#include "dlq/index_parts.h"
#include "dlq/words.h"

enum { FEW_LINES = 500, FEW_MATCHES = 1000, LINE_COST = 35 };

void dlq_plan_deinit(struct dlq_plan *plan)
{
    mem_free(plan->buckets);
    mem_free(plan->by_id);
    mem_free(plan->ids);
    buf_deinit(&plan->match);
    memset(plan, 0, sizeof(*plan));
}

void dlq_page_deinit(struct dlq_page *page)
{
    mem_free(page->ids);
    memset(page, 0, sizeof(*page));
}

/* ---- buckets ---- */

static bool same(const char *wanted, sqlite3_stmt *stmt, int column)
{
    return !wanted || strcmp(wanted, dlq_text(stmt, column)) == 0;
}

static bool wanted(const struct dlq_filter *filter, sqlite3_stmt *stmt)
{
    int64_t status = sqlite3_column_int64(stmt, 9);
    if (filter->status_max && (status < filter->status_min || status > filter->status_max))
        return false;
    return same(filter->signature, stmt, 6) && same(filter->route, stmt, 7) &&
           same(filter->code, stmt, 8) && same(filter->topic, stmt, 10);
}

static int newest_first(const void *a, const void *b)
{
    const struct dlq_candidate *x = a, *y = b;
    return x->last > y->last ? -1 : x->last < y->last;
}

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

static void take_bucket(struct dlq_plan *plan, sqlite3_stmt *stmt, size_t *cap)
{
    if (plan->bucket_count == *cap) {
        *cap = *cap ? *cap * 2 : 64;
        plan->buckets = mem_realloc(plan->buckets, *cap * sizeof(*plan->buckets));
    }
    struct dlq_candidate *bucket = &plan->buckets[plan->bucket_count++];
    bucket->id = sqlite3_column_int64(stmt, 0);
    bucket->last = sqlite3_column_int64(stmt, 1);
    for (int i = 0; i < DLQ_STATE_SLOTS; i++) {
        bucket->count[i] = sqlite3_column_int64(stmt, 2 + i);
        if (plan->states & (1u << i))
            plan->lines += (uint64_t)bucket->count[i];
    }
}

static bool choose_buckets(struct dlq_plan *plan, const struct dlq_filter *filter, struct err *err)
{
    struct dlq_index *index = plan->index;
    size_t cap = 0;
    int step;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_BUCKETS, "");
    while ((step = dlq_step(index, stmt, err)) == 1) {
        if (wanted(filter, stmt))
            take_bucket(plan, stmt, &cap);
    }
    if (step < 0)
        return false;
    plan->by_id = mem_calloc(plan->bucket_count + 1, sizeof(*plan->by_id));
    for (size_t i = 0; i < plan->bucket_count; i++)
        plan->by_id[i] = plan->buckets[i].id;
    if (plan->bucket_count) {
        qsort(plan->buckets, plan->bucket_count, sizeof(*plan->buckets), newest_first);
        qsort(plan->by_id, plan->bucket_count, sizeof(*plan->by_id), ascending);
    }
    return true;
}

bool dlq_plan_has(const struct dlq_plan *plan, int64_t bucket)
{
    return plan->bucket_count && bsearch(&bucket, plan->by_id, plan->bucket_count,
                                         sizeof(*plan->by_id), ascending) != NULL;
}

/* ---- a selection ---- */

static bool find_place(struct dlq_index *index, const struct dlq_id *id, int64_t *place,
                       bool *found, struct err *err)
{
    char ref[LETTER_TOPIC_MAX];
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_TOPIC_GET, "t", (const char *)id->topic);
    int step = dlq_step(index, stmt, err);
    *found = step == 1;
    if (step <= 0)
        return step == 0;
    (void)str_copy(ref, sizeof(ref), slice_of(dlq_text(stmt, 2)));
    sqlite3_reset(stmt);
    stmt = dlq_sql(index, err, SQL_PLACE_GET, "ti", (const char *)ref, (int64_t)id->partition);
    return dlq_one(index, stmt, place, found, err);
}

bool dlq_plan_line_at(struct dlq_index *index, int64_t place, int64_t offset, int64_t *line,
                      bool *found, struct err *err)
{
    int step;
    *found = true;
    for (int first = 1; first >= 0; first--) {
        sqlite3_stmt *stmt = dlq_sql(index, err, first ? SQL_LETTER_MEMBER : SQL_LETTER_MEMBERS,
                                     "ii", place, offset);
        while ((step = dlq_step(index, stmt, err)) == 1) {
            if (sqlite3_column_type(stmt, 4) == SQLITE_NULL)
                continue;
            *line = sqlite3_column_int64(stmt, 0);
            sqlite3_reset(stmt);
            return true;
        }
        if (step < 0)
            return false;
    }
    *found = false;
    return true;
}

/* The id of the line's head. */
bool dlq_plan_line_of(struct dlq_index *index, const struct dlq_id *id, int64_t *line, bool *found,
                      struct err *err)
{
    int64_t place, first_place, first_offset, bucket;
    bool heads;
    if (!find_place(index, id, &place, found, err) || !*found)
        return !*found && !index->broken;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_LINE, "ii", place, id->offset);
    int step = dlq_step(index, stmt, err);
    *found = step == 1;
    if (step <= 0)
        return step == 0;
    first_place = sqlite3_column_int64(stmt, 0);
    first_offset = sqlite3_column_int64(stmt, 1);
    *line = sqlite3_column_int64(stmt, 2);
    sqlite3_reset(stmt);
    if (!dlq_one(index, dlq_sql(index, err, SQL_LETTER_CHECK, "i", *line), &bucket, &heads, err) ||
        heads)
        return heads;
    return dlq_plan_line_at(index, first_place, first_offset, line, found, err);
}

static bool choose_ids(struct dlq_plan *plan, const struct dlq_filter *filter, struct err *err)
{
    plan->ids = mem_calloc(filter->id_count, sizeof(*plan->ids));
    for (size_t i = 0; i < filter->id_count; i++) {
        bool found;
        int64_t line;
        if (!dlq_plan_line_of(plan->index, &filter->ids[i], &line, &found, err))
            return false;
        if (found)
            plan->ids[plan->id_count++] = line;
    }
    if (!plan->id_count)
        return true;
    qsort(plan->ids, plan->id_count, sizeof(*plan->ids), descending);
    size_t kept = 1;
    for (size_t i = 1; i < plan->id_count; i++) {
        if (plan->ids[i] != plan->ids[kept - 1])
            plan->ids[kept++] = plan->ids[i];
    }
    plan->id_count = kept;
    return true;
}

static int64_t id_of_time(int64_t ms)
{
    return ms >= DLQ_ID_MAX >> DLQ_SEQ_BITS ? DLQ_ID_MAX : ms << DLQ_SEQ_BITS;
}

bool dlq_plan_make(struct dlq_index *index, const struct dlq_filter *filter, struct dlq_plan *plan,
                   struct err *err)
{
    memset(plan, 0, sizeof(*plan));
    plan->index = index;
    plan->states = dlq_filter_states(filter);
    plan->low = id_of_time(filter->since_ms);
    plan->high = filter->until_ms ? id_of_time(filter->until_ms) : DLQ_ID_MAX;
    plan->has_key = filter->key != NULL;
    if (plan->has_key)
        plan->key_hash = dlq_key_hash((struct slice){filter->key, filter->key_len});
    return (!filter->text ||
            dlq_words_expression(index->db, filter->text, &plan->match, &plan->terms, err)) &&
           choose_buckets(plan, filter, err) &&
           (!filter->id_count || choose_ids(plan, filter, err));
}

/* ---- one line ---- */

bool dlq_plan_takes(struct dlq_plan *plan, int64_t id, bool *takes, struct dlq_line *line,
                    struct err *err)
{
    *takes = false;
    if (id < plan->low || id >= plan->high)
        return true;
    sqlite3_stmt *stmt = dlq_sql(plan->index, err, SQL_LETTER_CHECK, "i", id);
    int step = dlq_step(plan->index, stmt, err);
    if (step <= 0)
        return step == 0;
    line->id = id;
    line->bucket = sqlite3_column_int64(stmt, 0);
    line->state = (unsigned)sqlite3_column_int64(stmt, 1);
    line->has_key = sqlite3_column_type(stmt, 2) != SQLITE_NULL;
    line->key_hash = sqlite3_column_int64(stmt, 2);
    line->attempts = sqlite3_column_int64(stmt, 3);
    sqlite3_reset(stmt);
    *takes = (line->state & plan->states) && dlq_plan_has(plan, line->bucket) &&
             (!plan->has_key || (line->has_key && line->key_hash == plan->key_hash));
    return true;
}

bool dlq_plan_text_has(struct dlq_plan *plan, int64_t id, bool *has, struct err *err)
{
    int64_t one;
    *has = true;
    if (plan->match.len == 0)
        return true;
    sqlite3_stmt *stmt = dlq_sql(plan->index, err, SQL_TEXT_ONE, "si", buf_slice(&plan->match), id);
    return dlq_one(plan->index, stmt, &one, has, err);
}

/* ---- pages ---- */

/* The highest ids so far, as a heap with the lowest of them on top. */
struct top {
    int64_t *ids;
    size_t count, room;
};

static void sift_down(struct top *top)
{
    for (size_t at = 0;;) {
        size_t low = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < top->count; child++)
            low = top->ids[child] < top->ids[low] ? child : low;
        if (low == at)
            return;
        int64_t id = top->ids[at];
        top->ids[at] = top->ids[low];
        top->ids[low] = id;
        at = low;
    }
}

/* False: it is not among the highest, and nothing below it is. */
static bool offer(struct top *top, int64_t id)
{
    if (top->count == top->room) {
        if (id <= top->ids[0])
            return false;
        top->ids[0] = id;
        sift_down(top);
        return true;
    }
    size_t at = top->count++;
    for (; at > 0 && top->ids[(at - 1) / 2] > id; at = (at - 1) / 2)
        top->ids[at] = top->ids[(at - 1) / 2];
    top->ids[at] = id;
    return true;
}

static bool run_of(struct dlq_plan *plan, int64_t bucket, int64_t state, struct top *top,
                   struct err *err)
{
    enum dlq_sql sql = plan->has_key ? SQL_KEY_IDS : SQL_LINE_IDS;
    sqlite3_stmt *stmt = dlq_sql(plan->index, err, sql, plan->has_key ? "iiiii" : "iiii", bucket,
                                 state, plan->low, plan->high, plan->key_hash);
    int step;
    while ((step = dlq_step(plan->index, stmt, err)) == 1) {
        if (offer(top, sqlite3_column_int64(stmt, 0)))
            continue;
        sqlite3_reset(stmt);
        return true;
    }
    return step == 0;
}

/* The newest lines, by all parts but text. */
static bool merge(struct dlq_plan *plan, struct top *top, struct err *err)
{
    for (size_t i = 0; i < plan->bucket_count; i++) {
        const struct dlq_candidate *bucket = &plan->buckets[i];
        if (bucket->last < plan->low || (top->count == top->room && bucket->last <= top->ids[0]))
            break; /* those that follow are older */
        for (int slot = 0; slot < DLQ_STATE_SLOTS; slot++) {
            if (!(plan->states & (1u << slot)) || bucket->count[slot] == 0)
                continue;
            if (!run_of(plan, bucket->id, INT64_C(1) << slot, top, err))
                return false;
        }
    }
    if (top->count)
        qsort(top->ids, top->count, sizeof(*top->ids), descending);
    return true;
}

static void add_to_page(struct dlq_page *page, int64_t id, size_t limit)
{
    if (page->count == limit) {
        page->more = true;
        return;
    }
    page->ids[page->count++] = id;
    page->next = id;
}

static bool page_of_ids(struct dlq_plan *plan, size_t limit, struct dlq_page *page, struct err *err)
{
    struct dlq_line line;
    bool takes, has;
    for (size_t i = 0; i < plan->id_count && !page->more; i++) {
        if (!dlq_plan_takes(plan, plan->ids[i], &takes, &line, err))
            return false;
        if (!takes)
            continue;
        if (!dlq_plan_text_has(plan, plan->ids[i], &has, err))
            return false;
        if (has)
            add_to_page(page, plan->ids[i], limit);
    }
    return true;
}

static bool page_of_matches(struct dlq_plan *plan, size_t limit, size_t budget,
                            struct dlq_page *page, struct err *err)
{
    struct dlq_line line;
    bool takes;
    int step;
    sqlite3_stmt *stmt = dlq_sql(plan->index, err, SQL_TEXT_IDS, "sii", buf_slice(&plan->match),
                                 plan->low, plan->high - 1);
    while ((step = dlq_step(plan->index, stmt, err)) == 1 && !page->more) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        if (page->looked == budget) {
            page->more = page->stopped = true;
            break;
        }
        if (page->looked++ == 0)
            page->begun = id;
        if (!dlq_plan_takes(plan, id, &takes, &line, err))
            return false;
        if (takes)
            add_to_page(page, id, limit);
        if (!page->more)
            page->next = id;
    }
    if (stmt)
        sqlite3_reset(stmt);
    return step >= 0;
}

static bool ask_lines(struct dlq_plan *plan, const int64_t *ids, size_t count, size_t limit,
                      struct dlq_page *page, struct err *err)
{
    for (size_t i = 0; i < count && !page->more; i++) {
        bool has;
        if (!dlq_plan_text_has(plan, ids[i], &has, err))
            return false;
        page->looked += LINE_COST;
        if (has)
            add_to_page(page, ids[i], limit);
        if (!page->more)
            page->next = ids[i];
    }
    return true;
}

/*
 * Whether it is cheaper to ask the newest lines for their words than to go on with the matches:
 * which of the two comes further back in time for what it costs. Of both it is known how far:
 * `most` lines, and FEW_MATCHES matches down to `reached`.
 */
static bool lines_are_cheaper(const struct top *lines, size_t most, bool all, int64_t begun,
                              int64_t reached)
{
    if (all)
        return true;
    int64_t newest = lines->ids[0] > begun ? lines->ids[0] : begun;
    double by_lines = (double)(newest - lines->ids[most - 1]) / ((double)most * LINE_COST);
    return by_lines > (double)(newest - reached) / FEW_MATCHES;
}

/*
 * Rare words are walked to their end, and so is a key, which has few lines as a rule. Where both
 * are many, the page stops short after what it may cost. A line costs as much as there are words to
 * look up; a prefix that begins too many of them is looked up once only.
 */
static bool page_of_text(struct dlq_plan *plan, size_t limit, size_t budget, struct dlq_page *page,
                         struct err *err)
{
    if (plan->lines == 0)
        return true;
    size_t most = plan->terms ? FEW_LINES / plan->terms : 0;
    struct top top = {mem_calloc(most + 1, sizeof(int64_t)), 0, most + 1};
    bool merged = most > 0 && plan->has_key, ok = !merged || merge(plan, &top, err);
    if (!ok || (merged && top.count <= most)) {
        ok = ok && ask_lines(plan, top.ids, top.count, limit, page, err);
        mem_free(top.ids);
        return ok;
    }
    size_t first = most > 0 && budget > FEW_MATCHES ? FEW_MATCHES : budget;
    ok = page_of_matches(plan, limit, first, page, err);
    if (ok && page->stopped && first < budget) {
        bool all;
        int64_t reached = page->next;
        ok = merged || merge(plan, &top, err);
        all = top.count <= most;
        bool lines = ok && lines_are_cheaper(&top, most, all, page->begun, reached);
        page->count = 0;
        page->more = page->stopped = false;
        page->next = plan->high;
        if (ok && lines) {
            ok = ask_lines(plan, top.ids, all ? top.count : most, limit, page, err);
            page->stopped = !all && !page->more;
            page->more = page->more || page->stopped;
        } else if (ok) {
            ok = page_of_matches(plan, limit, budget, page, err);
        }
    }
    mem_free(top.ids);
    return ok;
}

bool dlq_plan_page(struct dlq_plan *plan, size_t limit, size_t budget, struct dlq_page *page,
                   struct err *err)
{
    memset(page, 0, sizeof(*page));
    page->ids = mem_calloc(limit + 1, sizeof(*page->ids));
    page->next = plan->high;
    bool ok;
    if (plan->ids) {
        ok = page_of_ids(plan, limit, page, err);
    } else if (plan->match.len) {
        ok = page_of_text(plan, limit, budget, page, err);
    } else {
        struct top top = {page->ids, 0, limit + 1};
        ok = merge(plan, &top, err);
        page->more = top.count > limit;
        page->count = page->more ? limit : top.count;
        if (page->count)
            page->next = page->ids[page->count - 1];
    }
    if (!ok)
        dlq_page_deinit(page);
    return ok;
}
