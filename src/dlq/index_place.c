/*
 * Topics and partitions of the index, and how far each is read. Declared in index.h and
 * index_parts.h.
 *
 * A place is a partition of one incarnation of a topic: its ref is the topic's UUID (its name where
 * brokers tell none), as in the keys of states, so a state can come before its topic is known.
 * Positions are kept in memory between transactions and written with each, so that they move with
 * the rows or not at all.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "dlq/index_parts.h"

bool dlq_need_transaction(struct dlq_index *index, struct err *err)
{
    if (!index->in_transaction)
        return err_set(err, ERR_INTERNAL, "index: written outside of a transaction");
    if (index->broken)
        return err_set(err, ERR_INTERNAL, "index: the transaction has failed, begin anew");
    return true;
}

void dlq_places_forget(struct dlq_index *index)
{
    struct dlq_place *place, *next;
    HASH_ITER(hh, index->places, place, next)
    {
        HASH_DEL(index->places, place);
        mem_free(place->name);
        mem_free(place);
    }
}

bool dlq_place_ref(struct dlq_index *index, struct slice ref, int32_t partition, int64_t *id,
                   struct err *err)
{
    bool found;
    sqlite3_stmt *get = dlq_sql(index, err, SQL_PLACE_GET, "si", ref, (int64_t)partition);
    if (!dlq_one(index, get, id, &found, err))
        return false;
    if (found)
        return true;
    sqlite3_stmt *add = dlq_sql(index, err, SQL_PLACE_ADD, "sii", ref, (int64_t)partition,
                                (int64_t)0);
    if (!dlq_run(index, add, err))
        return false;
    *id = sqlite3_last_insert_rowid(index->db);
    return true;
}

struct topic {
    int64_t id;
    char uuid[LETTER_TOPIC_MAX], ref[LETTER_TOPIC_MAX];
};

static bool get_topic(struct dlq_index *index, struct slice name, struct topic *topic, bool *found,
                      struct err *err)
{
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_TOPIC_GET, "s", name);
    int step = dlq_step(index, stmt, err);
    if (step < 0)
        return false;
    *found = step == 1;
    if (!*found)
        return true;
    topic->id = sqlite3_column_int64(stmt, 0);
    (void)str_copy(topic->uuid, sizeof(topic->uuid), slice_of(dlq_text(stmt, 1)));
    (void)str_copy(topic->ref, sizeof(topic->ref), slice_of(dlq_text(stmt, 2)));
    sqlite3_reset(stmt);
    return true;
}

static bool add_topic(struct dlq_index *index, enum dlq_topic_kind kind, const char *name,
                      const char *uuid, struct topic *topic, struct err *err)
{
    char ref[LETTER_TOPIC_MAX];
    letter_id_topic(uuid, name, ref);
    if (!dlq_run(index, dlq_sql(index, err, SQL_TOPIC_ADD, "ttti", name, uuid, ref, (int64_t)kind),
                 err))
        return false;
    topic->id = sqlite3_last_insert_rowid(index->db);
    (void)str_copy(topic->uuid, sizeof(topic->uuid), slice_of(uuid));
    (void)str_copy(topic->ref, sizeof(topic->ref), slice_of(ref));
    return true;
}

/* The place's row, linked to its topic. */
static bool load(struct dlq_index *index, const struct topic *topic, const char *name,
                 int32_t partition, struct dlq_place **out, struct err *err)
{
    int64_t id;
    if (!dlq_place_ref(index, slice_of(topic->ref), partition, &id, err) ||
        !dlq_run(index, dlq_sql(index, err, SQL_PLACE_TOPIC, "ii", id, topic->id), err))
        return false;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_PLACE_GET, "si", slice_of(topic->ref),
                                 (int64_t)partition);
    if (dlq_step(index, stmt, err) != 1)
        return false;
    struct dlq_place *place = mem_zalloc(sizeof(*place));
    place->id = id;
    place->name = mem_strdup(name);
    place->position[DLQ_READ_ROWS] = sqlite3_column_int64(stmt, 1);
    place->position[DLQ_READ_TEXT] = sqlite3_column_int64(stmt, 2);
    place->begin = sqlite3_column_int64(stmt, 3);
    place->end = sqlite3_column_int64(stmt, 4);
    sqlite3_reset(stmt);
    HASH_ADD_KEYPTR(hh, index->places, place->name, strlen(place->name), place);
    *out = place;
    return true;
}

bool dlq_place_of(struct dlq_index *index, struct slice topic, int32_t partition,
                  struct dlq_place **out, struct err *err)
{
    char name[LETTER_TOPIC_MAX + 16];
    if (!dlq_need_transaction(index, err))
        return false;
    if (topic.len == 0 || topic.len >= LETTER_TOPIC_MAX || partition < 0)
        return err_set(err, ERR_INTERNAL, "index: no such topic or partition");
    snprintf(name, sizeof(name), "%.*s/%" PRId32, (int)topic.len, topic.data, partition);
    HASH_FIND_STR(index->places, name, *out);
    if (*out)
        return true;
    struct topic row;
    bool found;
    if (!get_topic(index, topic, &row, &found, err))
        return false;
    if (!found) {
        char *text = mem_strndup(topic.data, topic.len);
        bool ok = add_topic(index, DLQ_LETTERS, text, "", &row, err);
        mem_free(text);
        if (!ok)
            return false;
    }
    return load(index, &row, name, partition, out, err);
}

static bool flush(struct dlq_index *index, struct dlq_place *place, struct err *err)
{
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_PLACE_SET, "iiiii", place->id,
                                 place->position[DLQ_READ_ROWS], place->position[DLQ_READ_TEXT],
                                 place->begin, place->end);
    place->changed = false;
    return dlq_run(index, stmt, err);
}

bool dlq_places_flush(struct dlq_index *index, struct err *err)
{
    for (struct dlq_place *place = index->places; place; place = place->hh.next) {
        if (place->changed && !flush(index, place, err))
            return false;
    }
    return true;
}

/* All places of a topic go, with what is in them. */
static bool drop_places(struct dlq_index *index, int64_t topic, struct err *err)
{
    bool found = true;
    int64_t place;
    uint64_t gone;
    dlq_places_forget(
        index); /* positions of others that moved in this transaction are kept first */
    while (found) {
        sqlite3_stmt *stmt = dlq_sql(index, err, SQL_PLACE_OF_TOPIC, "i", topic);
        if (!dlq_one(index, stmt, &place, &found, err))
            return false;
        if (found &&
            (!dlq_letters_drop(index, place, DLQ_ID_MAX, &gone, err) ||
             !dlq_run(index, dlq_sql(index, err, SQL_STATE_TRIM, "ii", place, DLQ_ID_MAX), err) ||
             !dlq_run(index, dlq_sql(index, err, SQL_PLACE_DELETE, "i", place), err)))
            return false;
    }
    return true;
}

bool dlq_index_topic(struct dlq_index *index, enum dlq_topic_kind kind, const char *name,
                     const char *uuid, int32_t partitions, struct err *err)
{
    struct topic topic;
    bool found;
    if (!dlq_need_transaction(index, err) || !get_topic(index, slice_of(name), &topic, &found, err))
        return false;
    if (!found && !add_topic(index, kind, name, uuid, &topic, err))
        return false;
    bool again = found && uuid[0] && strcmp(uuid, topic.uuid) != 0;
    if (again && (!dlq_places_flush(index, err) || !drop_places(index, topic.id, err)))
        return false;
    if (uuid[0])
        (void)str_copy(topic.uuid, sizeof(topic.uuid), slice_of(uuid));
    letter_id_topic(topic.uuid, name, topic.ref);
    sqlite3_stmt *set = dlq_sql(index, err, SQL_TOPIC_SET, "itti", topic.id,
                                (const char *)topic.uuid, (const char *)topic.ref, (int64_t)kind);
    if (!dlq_run(index, set, err))
        return false;
    for (int32_t i = 0; i < partitions; i++) {
        struct dlq_place *place;
        if (!dlq_place_of(index, slice_of(name), i, &place, err))
            return false;
    }
    return true;
}

bool dlq_index_position(struct dlq_index *index, const char *topic, int32_t partition,
                        enum dlq_reading kind, int64_t *offset, struct err *err)
{
    struct dlq_place *place;
    bool alone = !index->in_transaction;
    *offset = 0;
    if (alone && !dlq_index_begin(index, err))
        return false;
    if (!dlq_place_of(index, slice_of(topic), partition, &place, err))
        return false;
    *offset = place->position[kind];
    return !alone || dlq_index_commit(index, err);
}

bool dlq_index_skip(struct dlq_index *index, const char *topic, int32_t partition,
                    enum dlq_reading kind, int64_t offset, struct err *err)
{
    struct dlq_place *place;
    if (!dlq_place_of(index, slice_of(topic), partition, &place, err))
        return false;
    if (offset > place->position[kind]) {
        place->position[kind] = offset;
        place->changed = true;
    }
    return true;
}

bool dlq_index_set_end(struct dlq_index *index, const char *topic, int32_t partition, int64_t end,
                       struct err *err)
{
    struct dlq_place *place;
    if (!dlq_place_of(index, slice_of(topic), partition, &place, err))
        return false;
    if (end != place->end) {
        place->end = end;
        place->changed = true;
    }
    return true;
}

static bool has_looked(struct dlq_index *index, bool *looked, struct err *err)
{
    int64_t value;
    return dlq_one(index, dlq_sql(index, err, SQL_META_GET, "t", "looked"), &value, looked, err);
}

bool dlq_index_looked(struct dlq_index *index, struct err *err)
{
    bool already = false;
    return has_looked(index, &already, err) &&
           (already || dlq_run(index,
                               dlq_sql(index, err, SQL_META_SET, "tit", "looked", (int64_t)1,
                                       (const char *)NULL),
                               err));
}

bool dlq_index_trim(struct dlq_index *index, const char *topic, int32_t partition, int64_t begin,
                    uint64_t *gone, struct err *err)
{
    struct dlq_place *place;
    *gone = 0;
    if (!dlq_place_of(index, slice_of(topic), partition, &place, err))
        return false;
    if (begin <= place->begin)
        return true;
    place->begin = begin;
    place->changed = true;
    for (int kind = DLQ_READ_ROWS; kind <= DLQ_READ_TEXT; kind++) {
        if (place->position[kind] < begin)
            place->position[kind] = begin;
    }
    /* States below stay: what continues a letter that is gone has its state there. */
    return dlq_letters_drop(index, place->id, begin, gone, err);
}

bool dlq_covered_by(struct dlq_index *index, const struct dlq_filter *filter,
                    struct dlq_covered *covered, struct err *err)
{
    memset(covered, 0, sizeof(*covered));
    covered->complete = true;
    sqlite3_stmt *stmt = dlq_sql(index, err, SQL_COVERED, "t", (const char *)filter->topic);
    int step;
    bool any = false;
    while ((step = dlq_step(index, stmt, err)) == 1) {
        any = true;
        int64_t begin = sqlite3_column_int64(stmt, 1), end = sqlite3_column_int64(stmt, 2);
        int64_t rows = sqlite3_column_int64(stmt, 3), text = sqlite3_column_int64(stmt, 4);
        bool letters = sqlite3_column_int64(stmt, 0) == DLQ_LETTERS;
        if (end < 0 || rows < end || (letters && filter->text && text < end))
            covered->complete = false;
        if (!letters)
            continue;
        end = end > rows ? end : rows;
        covered->rows_total += (uint64_t)(end > begin ? end - begin : 0);
        covered->rows_read += (uint64_t)(rows > begin ? rows - begin : 0);
        covered->text_read += (uint64_t)(text > begin ? text - begin : 0);
    }
    return step == 0 && (any || has_looked(index, &covered->complete, err));
}
