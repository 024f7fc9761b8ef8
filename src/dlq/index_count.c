/*
 * Kinds of failure and their counters. Declared in index_parts.h.
 *
 * A bucket is one (signature, route, code, HTTP status, dead-letter topic, consumer group). All
 * that a filter can ask without looking at a letter is a property of its bucket, so filters by
 * these are a choice of buckets, and counts of them are sums of counters. Groups are buckets put
 * together by signature, route and code.
 *
 * Invariants, at each commit: the counters of a bucket are those of its lines; `keys` the distinct
 * keys of its open and redriving ones; `letters` the letters whose own failure it is; a bucket
 * without letters is gone. What a transaction does is gathered here and written at its end.
 */
#include "dlq/index_parts.h"

#include "base/str.h"
#include "record/headers.h"

/* In place of the handler's answer, where kinds share a bucket for want of room. */
#define OTHERS_DETAIL SLICE_LIT("other kinds of failure")

int dlq_state_slot(unsigned state)
{
    return state == DLQ_STATE_OPEN        ? 0
           : state == DLQ_STATE_REDRIVING ? 1
           : state == DLQ_STATE_RESOLVED  ? 2
                                          : 3;
}

void dlq_counts_forget(struct dlq_index *index)
{
    struct dlq_delta *delta, *next_delta;
    HASH_ITER(hh, index->deltas, delta, next_delta)
    {
        HASH_DEL(index->deltas, delta);
        mem_free(delta);
    }
    struct dlq_day *day, *next_day;
    HASH_ITER(hh, index->days, day, next_day)
    {
        HASH_DEL(index->days, day);
        mem_free(day);
    }
    struct dlq_kind *kind, *next_kind;
    HASH_ITER(hh, index->kinds, kind, next_kind)
    {
        HASH_DEL(index->kinds, kind);
        mem_free(kind->name);
        mem_free(kind);
    }
}

/* ---- which bucket ---- */

static struct slice known(struct slice text)
{
    return text.data ? text : SLICE_LIT("");
}

struct kind {
    char signature[HEADERS_SIGNATURE_MAX];
    struct slice route, code, topic, consumer, detail;
    int64_t status;
};

static void name_of(const struct kind *kind, struct buf *out)
{
    buf_reset(out);
    buf_add_text(out, kind->signature);
    const struct slice parts[] = {kind->route, kind->code, kind->topic, kind->consumer};
    for (size_t i = 0; i < 4; i++) {
        buf_add_char(out, '\0');
        buf_add_slice(out, parts[i]);
    }
    buf_add_char(out, '\0');
    buf_add_i64(out, kind->status);
}

static bool find_or_add(struct dlq_index *index, struct kind *kind, int64_t *id, struct err *err)
{
    bool found;
    sqlite3_stmt *get = dlq_sql(index, err, SQL_BUCKET_GET, "sssiss", slice_of(kind->signature),
                                kind->route, kind->code, kind->status, kind->topic, kind->consumer);
    if (!dlq_one(index, get, id, &found, err) || found)
        return found;
    bool others = index->kind_count >= DLQ_BUCKETS_MAX;
    if (others) {
        headers_signature(kind->route, kind->code, SLICE_LIT("\001"), kind->signature);
        get = dlq_sql(index, err, SQL_BUCKET_GET, "sssiss", slice_of(kind->signature), kind->route,
                      kind->code, kind->status, kind->topic, kind->consumer);
        if (!dlq_one(index, get, id, &found, err) || found)
            return found;
    }
    char title[HEADERS_TITLE_MAX];
    headers_signature_title(kind->code, others ? OTHERS_DETAIL : kind->detail, title);
    sqlite3_stmt *add = dlq_sql(index, err, SQL_BUCKET_ADD, "sssisss", slice_of(kind->signature),
                                kind->route, kind->code, kind->status, kind->topic, kind->consumer,
                                slice_of(title));
    bool ok = dlq_run(index, add, err);
    if (ok) {
        *id = sqlite3_last_insert_rowid(index->db);
        index->kind_count++;
    }
    return ok;
}

bool dlq_bucket_of(struct dlq_index *index, const struct record *rec,
                   const struct dead_letter *letter, int64_t *id, struct err *err)
{
    struct kind kind = {.route = known(letter->route),
                        .code = known(letter->code),
                        .topic = rec->topic,
                        .consumer = known(letter->group),
                        .detail = known(letter->detail),
                        .status = letter->http_status};
    (void)str_copy(kind.signature, sizeof(kind.signature), slice_of(letter->signature));
    name_of(&kind, &index->scratch);
    struct dlq_kind *cached;
    HASH_FIND(hh, index->kinds, index->scratch.data, index->scratch.len, cached);
    if (cached) {
        *id = cached->id;
        return true;
    }
    cached = mem_zalloc(sizeof(*cached));
    cached->name_len = index->scratch.len;
    cached->name = mem_strndup(index->scratch.data, index->scratch.len);
    bool ok = find_or_add(index, &kind, id, err);
    cached->id = *id;
    /* Names that share a bucket for want of room are not kept: there is no end to them. */
    if (ok && HASH_COUNT(index->kinds) < DLQ_BUCKETS_MAX) {
        HASH_ADD_KEYPTR(hh, index->kinds, cached->name, cached->name_len, cached);
    } else {
        mem_free(cached->name);
        mem_free(cached);
    }
    return ok;
}

/* ---- counters ---- */

static struct dlq_delta *delta_of(struct dlq_index *index, int64_t bucket)
{
    struct dlq_delta *delta;
    HASH_FIND(hh, index->deltas, &bucket, sizeof(bucket), delta);
    if (!delta) {
        delta = mem_zalloc(sizeof(*delta));
        delta->id = bucket;
        HASH_ADD(hh, index->deltas, id, sizeof(delta->id), delta);
    }
    return delta;
}

static void count_hour(struct dlq_index *index, int64_t bucket, int64_t id, int by)
{
    struct dlq_day *day;
    struct dlq_day_key key;
    int64_t hour = (id >> DLQ_SEQ_BITS) / DLQ_HOUR_MS;
    memset(&key, 0, sizeof(key));
    key.bucket = bucket;
    key.day = hour / DLQ_DAY_HOURS;
    HASH_FIND(hh, index->days, &key, sizeof(key), day);
    if (!day) {
        day = mem_zalloc(sizeof(*day));
        day->key = key;
        HASH_ADD(hh, index->days, key, sizeof(day->key), day);
    }
    day->count[hour % DLQ_DAY_HOURS] += by;
}

void dlq_count_letter(struct dlq_index *index, int64_t bucket, int by)
{
    delta_of(index, bucket)->letters += by;
}

/* Whether a live line of that key stands in the bucket. */
static bool key_stands(struct dlq_index *index, const struct dlq_line *line, bool *stands,
                       struct err *err)
{
    int64_t id;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_KEY_LIVE, "ii", line->key_hash, line->bucket);
    return dlq_one(index, stmt, &id, stands, err);
}

static bool count(struct dlq_index *index, const struct dlq_line *line, int by, struct err *err)
{
    struct dlq_delta *delta = delta_of(index, line->bucket);
    delta->count[dlq_state_slot(line->state)] += by;
    delta->attempts += by * line->attempts;
    count_hour(index, line->bucket, line->id, by);
    bool stands = true;
    if (line->has_key && (line->state & DLQ_STATE_LIVE) && !key_stands(index, line, &stands, err))
        return false;
    delta->keys += stands ? 0 : by;
    return true;
}

bool dlq_count_enter(struct dlq_index *index, const struct dlq_line *line, struct err *err)
{
    struct dlq_delta *delta = delta_of(index, line->bucket);
    if (delta->low == 0 || line->id < delta->low)
        delta->low = line->id;
    if (line->id > delta->high)
        delta->high = line->id;
    return count(index, line, 1, err);
}

bool dlq_count_leave(struct dlq_index *index, const struct dlq_line *line, struct err *err)
{
    delta_of(index, line->bucket)->stale = true;
    return count(index, line, -1, err);
}

/* ---- at the end of the transaction ---- */

/* The oldest or the newest line of any state. */
static bool edge(struct dlq_index *index, int64_t bucket, enum dlq_sql sql, int64_t *out,
                 struct err *err)
{
    *out = 0;
    for (int64_t state = 1; state < DLQ_STATE_ANY; state <<= 1) {
        int64_t id;
        bool found;
        sqlite3_stmt *stmt = dlq_sql(index, err, sql, "iiii", bucket, state, (int64_t)0,
                                     DLQ_ID_MAX);
        if (!dlq_one(index, stmt, &id, &found, err))
            return false;
        if (found && (*out == 0 || (sql == SQL_LINE_FIRST ? id < *out : id > *out)))
            *out = id;
    }
    return true;
}

static bool flush(struct dlq_index *index, const struct dlq_delta *delta, bool *purged,
                  struct err *err)
{
    int64_t first, last;
    sqlite3_stmt *move = dlq_sql(index, err, SQL_BUCKET_MOVE, "iiiiiiiiii", delta->id,
                                 delta->count[0], delta->count[1], delta->count[2], delta->count[3],
                                 delta->keys, delta->attempts, delta->letters, delta->low,
                                 delta->high);
    if (!dlq_run(index, move, err))
        return false;
    if (delta->stale &&
        (!edge(index, delta->id, SQL_LINE_FIRST, &first, err) ||
         !edge(index, delta->id, SQL_LINE_LAST, &last, err) ||
         !dlq_run(index, dlq_sql(index, err, SQL_BUCKET_RANGE, "iii", delta->id, first, last),
                  err)))
        return false;
    if ((delta->stale || delta->high) &&
        !dlq_run(index, dlq_sql(index, err, SQL_BUCKET_EXAMPLE, "i", delta->id), err))
        return false;
    if (delta->letters >= 0)
        return true;
    if (!dlq_run(index, dlq_sql(index, err, SQL_BUCKET_PURGE, "i", delta->id), err))
        return false;
    if (sqlite3_changes(index->db) == 0)
        return true;
    *purged = true;
    index->kind_count--;
    return dlq_run(index, dlq_sql(index, err, SQL_SPARK_DROP, "i", delta->id), err);
}

void dlq_day_read(sqlite3_stmt *stmt, int column, uint32_t count[DLQ_DAY_HOURS])
{
    const unsigned char *bytes = sqlite3_column_blob(stmt, column);
    bool whole = sqlite3_column_bytes(stmt, column) == DLQ_DAY_HOURS * 4;
    for (int i = 0; i < DLQ_DAY_HOURS; i++, bytes += whole ? 4 : 0)
        count[i] = whole ? (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                               (uint32_t)bytes[3] << 24
                         : 0;
}

static bool flush_day(struct dlq_index *index, const struct dlq_day *day, struct err *err)
{
    uint32_t count[DLQ_DAY_HOURS] = {0};
    char bytes[DLQ_DAY_HOURS * 4];
    bool any = false;
    sqlite3_stmt *get = dlq_sql(index, err, SQL_SPARK_GET, "ii", day->key.bucket, day->key.day);
    int step = dlq_step(index, get, err);
    if (step < 0)
        return false;
    if (step == 1) {
        dlq_day_read(get, 0, count);
        sqlite3_reset(get);
    }
    for (int i = 0; i < DLQ_DAY_HOURS; i++) {
        count[i] += (uint32_t)day->count[i];
        any = any || count[i];
        for (int byte = 0; byte < 4; byte++)
            bytes[4 * i + byte] = (char)(count[i] >> 8 * byte);
    }
    if (!any)
        return step == 0 ||
               dlq_run(index,
                       dlq_sql(index, err, SQL_SPARK_PURGE, "ii", day->key.bucket, day->key.day),
                       err);
    return dlq_run(index,
                   dlq_sql(index, err, SQL_SPARK_SET, "iib", day->key.bucket, day->key.day,
                           (struct slice){bytes, sizeof(bytes)}),
                   err);
}

bool dlq_counts_flush(struct dlq_index *index, struct err *err)
{
    bool purged = false;
    struct dlq_day *day, *next_day;
    HASH_ITER(hh, index->days, day, next_day)
    {
        if (!flush_day(index, day, err))
            return false;
        HASH_DEL(index->days, day);
        mem_free(day);
    }
    struct dlq_delta *delta, *next;
    HASH_ITER(hh, index->deltas, delta, next)
    {
        if (!flush(index, delta, &purged, err))
            return false;
        HASH_DEL(index->deltas, delta);
        mem_free(delta);
    }
    if (purged) /* ids of buckets that are gone */
        dlq_counts_forget(index);
    return true;
}
