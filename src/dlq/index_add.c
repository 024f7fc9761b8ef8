/*
 * Dead letters and their states, and which letters make a line. Declared in index.h and
 * index_parts.h.
 *
 * A line is settled anew from all that is known of it (its letters and its state) whenever one of
 * these comes or goes: so it is the same in whatever order they come. A letter that nothing else
 * belongs to, which is nearly every one, is written once, as the line it is.
 */
#include "base/siphash.h"
#include "base/str.h"
#include "base/utf8.h"
#include "dlq/index_parts.h"

enum { MEMBERS_MAX = 1000, TIME_BITS = 46 };

/* A letter as a part of a line. */
struct member {
    int64_t id, place, offset, own, bucket, latest, attempts, line_attempts, key_hash, written;
    int64_t redrive_count;
    unsigned state; /* 0: it heads no line */
    bool has_key;
};

struct line_state {
    struct letter_state state;
    char redrive_id[128];
    bool found;
};

int64_t dlq_key_hash(struct slice key)
{
    /* No secret: who makes two keys collide sees them counted as one. */
    static const unsigned char seed[16] = "oncegate-dlq-key";
    return (int64_t)(siphash(seed, key.data, key.len).low >> 1);
}

/* ---- ids ---- */

/* A free id within the record's ms, or one of the next where 65,536 letters share it. */
static bool next_id(struct dlq_index *index, int64_t written_ms, int64_t *id, struct err *err)
{
    int64_t ms = written_ms < 1            ? 1
                 : written_ms >> TIME_BITS ? (INT64_C(1) << TIME_BITS) - 1
                                           : written_ms;
    for (;; ms++) {
        int64_t base = ms << DLQ_SEQ_BITS, next = base + (INT64_C(1) << DLQ_SEQ_BITS);
        int64_t top = base - 1, ghost;
        bool found = false;
        if (!dlq_one(index, dlq_sql(index, err, SQL_LETTER_TOP, "ii", base, next), &top, &found,
                     err))
            return false;
        if (index->any_ghosts) {
            if (!dlq_one(index, dlq_sql(index, err, SQL_GHOST_GET, "i", ms), &ghost, &found, err))
                return false;
            top = found && ghost > top ? ghost : top;
        }
        *id = top + 1;
        if (*id < next)
            return true;
    }
}

/* ---- the state of a line ---- */

static bool get_state(struct dlq_index *index, int64_t place, int64_t offset,
                      struct line_state *out, struct err *err)
{
    memset(out, 0, sizeof(*out));
    if (!index->any_states)
        return true;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_STATE_GET, "ii", place, offset);
    int step = dlq_step(index, stmt, err);
    if (step <= 0)
        return step == 0;
    out->found = true;
    out->state.status = (enum letter_status)sqlite3_column_int(stmt, 0);
    out->state.result = (enum letter_result)sqlite3_column_int(stmt, 1);
    if (sqlite3_column_type(stmt, 2) != SQLITE_NULL) {
        (void)str_copy(out->redrive_id, sizeof(out->redrive_id), slice_of(dlq_text(stmt, 2)));
        out->state.redrive_id = slice_of(out->redrive_id);
    }
    out->state.redrive_count = (uint32_t)sqlite3_column_int64(stmt, 3);
    out->state.at_ms = sqlite3_column_int64(stmt, 4);
    sqlite3_reset(stmt);
    return true;
}

/*
 * A letter that came back from the redrive that the state speaks of, or from a later one, opens the
 * line again. Of the same redrive both an end and a letter may stand there (a copy that was
 * produced twice), and an archived line may have had a copy under way: then the later one counts.
 */
static unsigned state_of(const struct letter_state *state, const struct member *newest)
{
    int64_t count = state->redrive_count;
    bool again = newest->redrive_count > 0;
    bool later = newest->written > state->at_ms;
    switch (state->status) {
    case LETTER_REDRIVING:
        return again && newest->redrive_count >= count ? DLQ_STATE_OPEN : DLQ_STATE_REDRIVING;
    case LETTER_RESOLVED:
        if (again && (newest->redrive_count > count || (newest->redrive_count == count && later)))
            return DLQ_STATE_OPEN;
        return DLQ_STATE_RESOLVED;
    case LETTER_ARCHIVED:
        return again && newest->redrive_count > count && later ? DLQ_STATE_OPEN
                                                               : DLQ_STATE_ARCHIVED;
    default:
        return DLQ_STATE_OPEN;
    }
}

/* ---- a line of several letters ---- */

static void read_member(sqlite3_stmt *stmt, struct member *out)
{
    out->id = sqlite3_column_int64(stmt, 0);
    out->place = sqlite3_column_int64(stmt, 1);
    out->offset = sqlite3_column_int64(stmt, 2);
    out->own = sqlite3_column_int64(stmt, 3);
    out->bucket = sqlite3_column_int64(stmt, 4);
    out->state = (unsigned)sqlite3_column_int64(stmt, 5);
    out->latest = sqlite3_column_int64(stmt, 6);
    out->attempts = sqlite3_column_int64(stmt, 7);
    out->line_attempts = sqlite3_column_int64(stmt, 8);
    out->has_key = sqlite3_column_type(stmt, 9) != SQLITE_NULL;
    out->key_hash = sqlite3_column_int64(stmt, 9);
    out->written = sqlite3_column_int64(stmt, 10);
    out->redrive_count = sqlite3_column_int64(stmt, 11);
}

static struct dlq_line line_of(const struct member *member)
{
    return (struct dlq_line){.id = member->id,
                             .bucket = member->bucket,
                             .state = member->state,
                             .has_key = member->has_key,
                             .key_hash = member->key_hash,
                             .attempts = member->line_attempts};
}

static bool set_member(struct dlq_index *index, const struct member *member, struct err *err)
{
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_SET, "iiiii", member->id, member->bucket,
                                 (int64_t)member->state, member->latest, member->line_attempts);
    if (!stmt)
        return false;
    if (!member->state) {
        sqlite3_bind_null(stmt, 2);
        sqlite3_bind_null(stmt, 3);
    }
    if (!member->latest)
        sqlite3_bind_null(stmt, 4);
    return dlq_run(index, stmt, err);
}

static bool change(struct dlq_index *index, const struct member *was, const struct member *now,
                   struct err *err)
{
    if (was->bucket == now->bucket && was->state == now->state && was->latest == now->latest &&
        was->line_attempts == now->line_attempts)
        return true;
    struct member nowhere = *was;
    nowhere.bucket = nowhere.state = 0;
    if (was->state) {
        struct dlq_line line = line_of(was);
        if (!set_member(index, &nowhere, err) || !dlq_count_leave(index, &line, err))
            return false;
    }
    struct dlq_line line = line_of(now);
    return (!now->state || dlq_count_enter(index, &line, err)) && set_member(index, now, err);
}

/* All letters of the line whose first is, or was, at (place, offset); the first one first. */
static bool members_of(struct dlq_index *index, int64_t place, int64_t offset,
                       struct member *members, size_t *count, bool *first, struct err *err)
{
    *count = 0;
    *first = false;
    int step;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_MEMBER, "ii", place, offset);
    while ((step = dlq_step(index, stmt, err)) == 1) {
        read_member(stmt, &members[(*count)++]);
        *first = true;
    }
    if (step < 0 || !index->any_continued)
        return step == 0;
    stmt = dlq_sql(index, err, SQL_LETTER_MEMBERS, "ii", place, offset);
    while ((step = dlq_step(index, stmt, err)) == 1) {
        if (*count < MEMBERS_MAX)
            read_member(stmt, &members[(*count)++]);
    }
    return step == 0;
}

static bool newer(const struct member *a, const struct member *b)
{
    if (a->redrive_count != b->redrive_count)
        return a->redrive_count > b->redrive_count;
    return a->id > b->id;
}

static bool settle(struct dlq_index *index, int64_t place, int64_t offset, struct member *members,
                   struct err *err)
{
    size_t count, head = 0, newest = 0;
    bool first;
    struct line_state state;
    if (!members_of(index, place, offset, members, &count, &first, err) || count == 0)
        return count == 0 && !index->broken;
    if (!get_state(index, place, offset, &state, err))
        return false;
    int64_t attempts = 0;
    for (size_t i = 0; i < count; i++) {
        attempts += members[i].attempts;
        if (newer(&members[i], &members[newest]))
            newest = i;
        if (!first && members[i].id < members[head].id)
            head = i;
    }
    /* Who heads it no more goes before the one who does. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            struct member now = members[i];
            bool heads = i == head;
            if (heads != (pass == 1))
                continue;
            now.bucket = heads ? members[newest].own : 0;
            now.state = heads ? state_of(&state.state, &members[newest]) : 0;
            now.latest = heads && newest != head ? members[newest].id : 0;
            now.line_attempts = heads ? attempts : 0;
            if (!change(index, &members[i], &now, err))
                return false;
        }
    }
    return true;
}

static bool settle_line(struct dlq_index *index, int64_t place, int64_t offset, struct err *err)
{
    struct member *members = mem_calloc(MEMBERS_MAX + 1, sizeof(*members));
    bool ok = settle(index, place, offset, members, err);
    mem_free(members);
    return ok;
}

/* ---- a letter comes ---- */

struct arrival {
    const struct record *rec;
    const struct dead_letter *letter;
    struct member as;
    bool continues;
    int64_t first_place, first_offset;
};

/* Where the letter says it continues another; itself does not count. */
static bool find_first(struct dlq_index *index, struct arrival *in, struct err *err)
{
    struct letter_id first;
    struct err ignored = {0};
    if (slice_is_null(in->letter->first_letter) ||
        !letter_id_read(in->letter->first_letter, &first, &ignored))
        return true;
    if (!dlq_place_ref(index, first.topic, first.partition, &in->first_place, err))
        return false;
    in->first_offset = first.offset;
    in->continues = in->first_place != in->as.place || in->first_offset != in->as.offset;
    return true;
}

static struct slice cut(struct slice text, size_t limit)
{
    return text.data ? (struct slice){text.data, utf8_cut(text.data, text.len, limit)} : text;
}

static void bind_unknown(sqlite3_stmt *stmt, const struct arrival *in)
{
    static const int line_columns[] = {5, 6, 9};
    if (!in->continues) {
        sqlite3_bind_null(stmt, 10);
        sqlite3_bind_null(stmt, 11);
    } else {
        for (size_t i = 0; i < 3; i++)
            sqlite3_bind_null(stmt, line_columns[i]);
    }
    sqlite3_bind_null(stmt, 7);
    if (!in->as.has_key)
        sqlite3_bind_null(stmt, 14);
    if (!in->letter->has_number)
        sqlite3_bind_null(stmt, 24);
    if (!in->letter->has_epoch)
        sqlite3_bind_null(stmt, 25);
}

static bool insert(struct dlq_index *index, const struct arrival *in, struct err *err)
{
    const struct record *rec = in->rec;
    const struct dead_letter *letter = in->letter;
    struct slice key = rec->key;
    key.len = key.len > DLQ_KEY_KEPT ? DLQ_KEY_KEPT : key.len;
    sqlite3_stmt *stmt = dlq_sql(
        index, err, SQL_LETTER_ADD, "iiiiiiiiiiiiiibiiiissiiiisi", in->as.id, in->as.place,
        in->as.offset, in->as.own, in->as.bucket, (int64_t)in->as.state, (int64_t)0,
        in->as.attempts, in->as.line_attempts, in->first_place, in->first_offset, in->as.written,
        (int64_t)letter->writer, in->as.key_hash, key, (int64_t)rec->key.len,
        (int64_t)rec->value.len, letter->first_failed_at_ms, letter->last_failed_at_ms,
        cut(letter->detail, DLQ_DETAIL_KEPT), letter->origin.topic,
        (int64_t)letter->origin.partition, letter->origin.offset, (int64_t)letter->number,
        (int64_t)letter->epoch, letter->redrive_id, in->as.redrive_count);
    if (!stmt)
        return false;
    bind_unknown(stmt, in);
    return dlq_run(index, stmt, err);
}

static bool add(struct dlq_index *index, struct arrival *in, struct err *err)
{
    struct line_state state;
    bool continued = false;
    int64_t one;
    if (!find_first(index, in, err) ||
        !dlq_bucket_of(index, in->rec, in->letter, &in->as.own, err) ||
        !next_id(index, in->as.written, &in->as.id, err))
        return false;
    dlq_count_letter(index, in->as.own, 1);
    if (in->continues) {
        index->any_continued = true;
        return insert(index, in, err) && settle_line(index, in->first_place, in->first_offset, err);
    }
    if (!get_state(index, in->as.place, in->as.offset, &state, err))
        return false;
    in->as.bucket = in->as.own;
    in->as.state = state_of(&state.state, &in->as);
    in->as.line_attempts = in->as.attempts;
    struct dlq_line line = line_of(&in->as);
    if (!dlq_count_enter(index, &line, err) || !insert(index, in, err))
        return false;
    if (index->any_continued) {
        sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_MEMBERS, "ii", in->as.place,
                                     in->as.offset);
        if (!dlq_one(index, stmt, &one, &continued, err))
            return false;
    }
    return !continued || settle_line(index, in->as.place, in->as.offset, err);
}

bool dlq_index_add(struct dlq_index *index, const struct record *rec,
                   const struct dead_letter *letter, struct err *err)
{
    struct dlq_place *place;
    int64_t id;
    bool found = false;
    if (!dlq_place_of(index, rec->topic, rec->partition, &place, err))
        return false;
    if (rec->offset < place->begin)
        return true; /* trimmed already */
    if (rec->offset < place->position[DLQ_READ_ROWS]) {
        sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_AT, "ii", place->id, rec->offset);
        if (!dlq_one(index, stmt, &id, &found, err))
            return false;
    } else {
        place->position[DLQ_READ_ROWS] = rec->offset + 1;
        place->changed = true;
    }
    if (found)
        return true;
    struct arrival in = {.rec = rec, .letter = letter};
    in.as.place = place->id;
    in.as.offset = rec->offset;
    in.as.attempts = letter->attempts;
    in.as.written = rec->timestamp_ms > 0 ? rec->timestamp_ms : 0;
    in.as.redrive_count = letter->redrive_count;
    in.as.has_key = !slice_is_null(rec->key);
    in.as.key_hash = in.as.has_key ? dlq_key_hash(rec->key) : 0;
    return add(index, &in, err);
}

/* ---- a letter goes ---- */

struct leaving {
    struct member was;
    bool continues;
    int64_t first_place, first_offset;
};

static bool drop(struct dlq_index *index, const struct leaving *out, struct err *err)
{
    const struct member *was = &out->was;
    if (!dlq_run(index, dlq_sql(index, err, SQL_LETTER_DELETE, "i", was->id), err))
        return false;
    struct dlq_line line = line_of(was);
    if (was->state && !dlq_count_leave(index, &line, err))
        return false;
    dlq_count_letter(index, was->own, -1);
    index->any_ghosts = true;
    sqlite3_stmt *ghost = dlq_sql(index, err, SQL_GHOST_SET, "ii", was->id >> DLQ_SEQ_BITS,
                                  was->id);
    if (!dlq_run(index, ghost, err))
        return false;
    if (!index->any_continued)
        return true;
    return settle_line(index, out->continues ? out->first_place : was->place,
                       out->continues ? out->first_offset : was->offset, err);
}

/* A handful at a time: the rows are changed while they would be read. */
static bool drop_some(struct dlq_index *index, int64_t place, int64_t begin, struct leaving *some,
                      size_t room, size_t *count, struct err *err)
{
    int step;
    *count = 0;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_LETTER_BELOW, "ii", place, begin);
    while (*count < room && (step = dlq_step(index, stmt, err)) == 1) {
        struct leaving *out = &some[(*count)++];
        read_member(stmt, &out->was);
        out->continues = sqlite3_column_type(stmt, 12) != SQLITE_NULL;
        out->first_place = sqlite3_column_int64(stmt, 12);
        out->first_offset = sqlite3_column_int64(stmt, 13);
    }
    if (index->broken || !stmt)
        return false;
    sqlite3_reset(stmt);
    for (size_t i = 0; i < *count; i++) {
        /* One that went before may have changed this one: they were of one line. */
        if (index->any_continued) {
            struct member now = {0};
            sqlite3_stmt *check = dlq_sql(index, err, SQL_LETTER_BELOW, "ii", place,
                                          some[i].was.offset + 1);
            int row = dlq_step(index, check, err);
            if (row == 1)
                read_member(check, &now);
            if (row < 0)
                return false;
            sqlite3_reset(check);
            if (now.id == some[i].was.id)
                some[i].was = now;
        }
        if (!drop(index, &some[i], err))
            return false;
    }
    return true;
}

bool dlq_letters_drop(struct dlq_index *index, int64_t place, int64_t begin, uint64_t *gone,
                      struct err *err)
{
    enum { AT_ONCE = 500 };
    struct leaving *some = mem_calloc(AT_ONCE, sizeof(*some));
    size_t count;
    bool ok;
    *gone = 0;
    do {
        ok = drop_some(index, place, begin, some, AT_ONCE, &count, err);
        *gone += ok ? count : 0;
    } while (ok && count == AT_ONCE);
    mem_free(some);
    return ok;
}

/* ---- a state comes ---- */

static bool set_state(struct dlq_index *index, int64_t place, const struct letter_id *id,
                      const struct letter_state *state, struct err *err)
{
    if (state->status == LETTER_FORGOTTEN)
        return dlq_run(index, dlq_sql(index, err, SQL_STATE_DELETE, "ii", place, id->offset), err);
    bool lost = state->result == LETTER_NO_RESULT && state->status != LETTER_REDRIVING;
    int64_t ended = lost ? DLQ_JOB_UNKNOWN : (int64_t)state->result;
    index->any_states = true;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_STATE_SET, "iiiisiissi", place, id->offset,
                                 (int64_t)state->status, (int64_t)state->result, state->redrive_id,
                                 (int64_t)state->redrive_count, state->at_ms, state->edited_to,
                                 state->code, ended);
    return dlq_run(index, stmt, err);
}

bool dlq_index_add_state(struct dlq_index *index, const struct record *rec,
                         const struct letter_id *id, const struct letter_state *state,
                         struct err *err)
{
    struct dlq_place *topic;
    struct line_state stands;
    int64_t place;
    if (!dlq_place_of(index, rec->topic, rec->partition, &topic, err) ||
        !dlq_place_ref(index, id->topic, id->partition, &place, err))
        return false;
    if (rec->offset < topic->position[DLQ_READ_ROWS])
        return true; /* a later one of the same letter may have been read */
    topic->position[DLQ_READ_ROWS] = rec->offset + 1;
    topic->changed = true;
    if (!get_state(index, place, id->offset, &stands, err))
        return false;
    if (stands.found && state->status != LETTER_FORGOTTEN &&
        !letter_state_replaces(state, &stands.state))
        return true;
    return set_state(index, place, id, state, err) && settle_line(index, place, id->offset, err);
}
