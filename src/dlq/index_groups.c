/*
 * Groups and counts. Declared in index.h.
 *
 * Without key, time, text and selection all numbers are sums of counters; with key or time the
 * lines of each bucket are counted in a range of an index; with text or a selection the matches are
 * walked.
 */
#include <stdlib.h>

#include "dlq/index_parts.h"

enum { MATCHES_COUNTED = 50000, CHUNK = 1000 };

/* ---- how many lines of each bucket and state ---- */

/* Makes bucket->count what the whole filter takes, of every state (all_states) or of the filter's.
 */
static bool count_range(struct dlq_plan *plan, struct dlq_candidate *bucket, unsigned states,
                        struct err *err)
{
    enum dlq_sql sql = plan->has_key ? SQL_KEY_COUNT : SQL_LINE_COUNT;
    for (int slot = 0; slot < DLQ_STATE_SLOTS; slot++) {
        bool found;
        if (bucket->count[slot] == 0)
            continue;
        if (!(states & (1u << slot))) {
            bucket->count[slot] = 0;
            continue;
        }
        sqlite3_stmt *stmt = dlq_sql(plan->index, err, sql, plan->has_key ? "iiiii" : "iiii",
                                     bucket->id, INT64_C(1) << slot, plan->low, plan->high,
                                     plan->key_hash);
        if (!dlq_one(plan->index, stmt, &bucket->count[slot], &found, err))
            return false;
    }
    return true;
}

static struct dlq_candidate *candidate(struct dlq_plan *plan, int64_t bucket)
{
    for (size_t i = 0; i < plan->bucket_count; i++) {
        if (plan->buckets[i].id == bucket)
            return &plan->buckets[i];
    }
    return NULL;
}

/* Counts the lines of the pages of the plan one by one. */
static bool count_pages(struct dlq_plan *plan, unsigned states, bool *stopped, struct err *err)
{
    struct dlq_page page = {0};
    size_t budget = MATCHES_COUNTED;
    unsigned asked = plan->states;
    int64_t high = plan->high;
    bool ok = true, more = true;
    uint64_t lines = 0;
    int64_t(*counts)[DLQ_STATE_SLOTS] = mem_calloc(plan->bucket_count + 1, sizeof(*counts));
    plan->states = states;
    for (size_t i = 0; i < plan->bucket_count; i++) {
        for (int slot = 0; slot < DLQ_STATE_SLOTS; slot++)
            lines += states & (1u << slot) ? (uint64_t)plan->buckets[i].count[slot] : 0;
    }
    plan->lines = lines;
    while (ok && more && budget) {
        size_t limit = budget < CHUNK ? budget : CHUNK;
        ok = dlq_plan_page(plan, limit, budget, &page, err);
        for (size_t i = 0; ok && i < page.count; i++) {
            struct dlq_line line;
            bool takes;
            ok = dlq_plan_takes(plan, page.ids[i], &takes, &line, err);
            struct dlq_candidate *bucket = ok && takes ? candidate(plan, line.bucket) : NULL;
            if (bucket)
                counts[bucket - plan->buckets][dlq_state_slot(line.state)]++;
        }
        more = ok && page.more;
        size_t used = page.looked > limit ? page.looked : limit;
        budget -= used < budget ? used : budget;
        plan->high = page.next;
        dlq_page_deinit(&page);
    }
    *stopped = *stopped || more;
    for (size_t i = 0; i < plan->bucket_count; i++)
        memcpy(plan->buckets[i].count, counts[i], sizeof(counts[i]));
    mem_free(counts);
    plan->high = high;
    plan->states = asked;
    return ok;
}

static bool count_all(struct dlq_plan *plan, const struct dlq_filter *filter, unsigned states,
                      bool *stopped, struct err *err)
{
    if (plan->match.len || plan->ids)
        return count_pages(plan, states, stopped, err);
    for (size_t i = 0; i < plan->bucket_count; i++) {
        if ((plan->has_key || filter->since_ms || filter->until_ms) &&
            !count_range(plan, &plan->buckets[i], states, err))
            return false;
    }
    return true;
}

bool dlq_index_count(struct dlq_index *index, const struct dlq_filter *filter, uint64_t most,
                     uint64_t *count, struct dlq_covered *covered, struct err *err)
{
    struct dlq_plan plan = {0};
    bool stopped = false;
    *count = 0;
    if (!dlq_read_begin(index, err))
        return false;
    bool ok = dlq_covered_by(index, filter, covered, err) &&
              dlq_plan_make(index, filter, &plan, err) &&
              count_all(&plan, filter, plan.states, &stopped, err);
    for (size_t i = 0; ok && i < plan.bucket_count; i++) {
        for (int slot = 0; slot < DLQ_STATE_SLOTS; slot++) {
            if (plan.states & (1u << slot))
                *count += (uint64_t)plan.buckets[i].count[slot];
        }
    }
    if (most && *count > most)
        *count = most;
    covered->complete = covered->complete && !stopped;
    dlq_plan_deinit(&plan);
    dlq_read_end(index);
    return ok;
}

/* ---- groups ---- */

/* Owned texts, and a group under construction. */
struct group {
    struct dlq_group shown;
    char *signature, *route, *code, *title;
    struct buf example;
    char *detail;
    int64_t first, last; /* ids */
};

static void group_deinit(struct group *group)
{
    mem_free(group->signature);
    mem_free(group->route);
    mem_free(group->code);
    mem_free(group->title);
    buf_deinit(&group->example);
    mem_free(group->detail);
}

struct groups {
    struct group *items;
    size_t count, cap;
    int64_t first_hour, hours_a_unit;
};

static int by_kind(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    int order = strcmp(x->signature, y->signature);
    order = order ? order : strcmp(x->route, y->route);
    return order ? order : strcmp(x->code, y->code);
}

static int64_t live(const struct group *group)
{
    return (int64_t)(group->shown.open + group->shown.redriving);
}

static int by_size(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (live(x) != live(y))
        return live(x) > live(y) ? -1 : 1;
    if (x->last != y->last)
        return x->last > y->last ? -1 : 1;
    return by_kind(a, b);
}

static bool add_spark(struct dlq_index *index, struct groups *groups, int64_t bucket,
                      struct dlq_group *out, struct err *err)
{
    int step;
    int64_t first = groups->first_hour, end = first + groups->hours_a_unit * DLQ_SPARK;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_SPARK, "iii", bucket, first / DLQ_DAY_HOURS,
                                 (end - 1) / DLQ_DAY_HOURS);
    while ((step = dlq_step(index, stmt, err)) == 1) {
        uint32_t count[DLQ_DAY_HOURS];
        int64_t hour = sqlite3_column_int64(stmt, 0) * DLQ_DAY_HOURS;
        dlq_day_read(stmt, 1, count);
        for (int i = 0; i < DLQ_DAY_HOURS; i++, hour++) {
            if (hour >= first && hour < end)
                out->spark[(hour - first) / groups->hours_a_unit] += count[i];
        }
    }
    return step == 0;
}

static bool add_bucket(struct dlq_index *index, struct groups *groups,
                       const struct dlq_candidate *bucket, struct err *err)
{
    struct group group = {0};
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_BUCKET_TEXTS, "i", bucket->id);
    if (dlq_step(index, stmt, err) != 1)
        return false;
    group.signature = mem_strdup(dlq_text(stmt, 0));
    group.route = mem_strdup(dlq_text(stmt, 1));
    group.code = mem_strdup(dlq_text(stmt, 2));
    group.title = mem_strdup(dlq_text(stmt, 3));
    group.shown.keys = (uint64_t)sqlite3_column_int64(stmt, 5);
    group.shown.attempts = (uint64_t)sqlite3_column_int64(stmt, 6);
    for (int i = 7; i <= 10; i++)
        group.shown.letters += (uint64_t)sqlite3_column_int64(stmt, i);
    group.first = sqlite3_column_int64(stmt, 11);
    group.last = sqlite3_column_int64(stmt, 12);
    if (sqlite3_column_type(stmt, 13) != SQLITE_NULL) {
        buf_add_text(&group.example, dlq_text(stmt, 13));
        buf_add_char(&group.example, '/');
        buf_add_i64(&group.example, sqlite3_column_int64(stmt, 14));
        buf_add_char(&group.example, '/');
        buf_add_i64(&group.example, sqlite3_column_int64(stmt, 15));
        group.detail = mem_strdup(dlq_text(stmt, 16));
        group.shown.http_status = sqlite3_column_int(stmt, 4);
    }
    sqlite3_reset(stmt);
    group.shown.open = (uint64_t)bucket->count[0];
    group.shown.redriving = (uint64_t)bucket->count[1];
    group.shown.resolved = (uint64_t)bucket->count[2];
    group.shown.archived = (uint64_t)bucket->count[3];
    if (groups->count == groups->cap) {
        groups->cap = groups->cap ? groups->cap * 2 : 32;
        groups->items = mem_realloc(groups->items, groups->cap * sizeof(*groups->items));
    }
    groups->items[groups->count++] = group;
    return add_spark(index, groups, bucket->id, &groups->items[groups->count - 1].shown, err);
}

/* The last line of one is that of both. */
static void take_example(struct group *into, struct group *from)
{
    struct buf example = into->example;
    char *detail = into->detail;
    into->last = from->last;
    into->shown.http_status = from->shown.http_status;
    into->example = from->example;
    into->detail = from->detail;
    from->example = example;
    from->detail = detail;
}

static void join(struct group *into, struct group *from)
{
    struct dlq_group *a = &into->shown;
    const struct dlq_group *b = &from->shown;
    a->open += b->open;
    a->redriving += b->redriving;
    a->resolved += b->resolved;
    a->archived += b->archived;
    a->keys += b->keys;
    a->attempts += b->attempts;
    a->letters += b->letters;
    for (int i = 0; i < DLQ_SPARK; i++)
        a->spark[i] += b->spark[i];
    into->first = from->first < into->first ? from->first : into->first;
    if (from->last > into->last)
        take_example(into, from);
    group_deinit(from);
}

/* Buckets of one signature, route and code become one. */
static void join_alike(struct groups *groups)
{
    size_t kept = 0;
    if (groups->count)
        qsort(groups->items, groups->count, sizeof(*groups->items), by_kind);
    for (size_t i = 0; i < groups->count; i++) {
        if (kept && by_kind(&groups->items[kept - 1], &groups->items[i]) == 0)
            join(&groups->items[kept - 1], &groups->items[i]);
        else
            groups->items[kept++] = groups->items[i];
    }
    groups->count = kept;
    if (groups->count)
        qsort(groups->items, groups->count, sizeof(*groups->items), by_size);
}

static void set_hours(struct groups *groups, const struct dlq_filter *filter, int64_t now_ms)
{
    int64_t end_ms = filter->until_ms ? filter->until_ms : now_ms;
    int64_t last = (end_ms > 0 ? end_ms - 1 : 0) / DLQ_HOUR_MS;
    int64_t first = filter->since_ms ? filter->since_ms / DLQ_HOUR_MS : last - DLQ_SPARK + 1;
    int64_t hours = last >= first ? last - first + 1 : 1;
    groups->hours_a_unit = (hours + DLQ_SPARK - 1) / DLQ_SPARK;
    groups->first_hour = last + 1 - groups->hours_a_unit * DLQ_SPARK;
}

static const struct dlq_group *show(const struct groups *groups, struct group *group)
{
    struct dlq_group *shown = &group->shown;
    shown->signature = group->signature;
    shown->route = group->route;
    shown->code = group->code;
    shown->title = group->title;
    shown->first_ms = group->first >> DLQ_SEQ_BITS;
    shown->last_ms = group->last >> DLQ_SEQ_BITS;
    shown->spark_unit_ms = groups->hours_a_unit * DLQ_HOUR_MS;
    shown->spark_end_ms = (groups->first_hour + groups->hours_a_unit * DLQ_SPARK) * DLQ_HOUR_MS;
    shown->example = group->example.data ? group->example.data : "";
    shown->example_detail = group->detail ? group->detail : "";
    return shown;
}

static bool takes_any(const struct dlq_candidate *bucket, unsigned states)
{
    for (int slot = 0; slot < DLQ_STATE_SLOTS; slot++) {
        if ((states & (1u << slot)) && bucket->count[slot] > 0)
            return true;
    }
    return false;
}

static bool gather(struct dlq_index *index, struct dlq_plan *plan, struct groups *groups,
                   struct err *err)
{
    for (size_t i = 0; i < plan->bucket_count; i++) {
        if (takes_any(&plan->buckets[i], plan->states) &&
            !add_bucket(index, groups, &plan->buckets[i], err))
            return false;
    }
    join_alike(groups);
    return true;
}

bool dlq_index_groups(struct dlq_index *index, const struct dlq_filter *filter, int64_t now_ms,
                      bool (*each)(void *arg, const struct dlq_group *group), void *arg,
                      struct dlq_covered *covered, struct err *err)
{
    struct dlq_plan plan = {0};
    struct groups groups = {0};
    bool stopped = false, on = true;
    if (!dlq_read_begin(index, err))
        return false;
    set_hours(&groups, filter, now_ms);
    bool ok = dlq_covered_by(index, filter, covered, err) &&
              dlq_plan_make(index, filter, &plan, err) &&
              count_all(&plan, filter, DLQ_STATE_ANY, &stopped, err) &&
              gather(index, &plan, &groups, err);
    covered->complete = covered->complete && !stopped;
    for (size_t i = 0; ok && on && i < groups.count; i++)
        on = each(arg, show(&groups, &groups.items[i]));
    for (size_t i = 0; i < groups.count; i++)
        group_deinit(&groups.items[i]);
    mem_free(groups.items);
    dlq_plan_deinit(&plan);
    dlq_read_end(index);
    return ok;
}
