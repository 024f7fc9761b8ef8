/*
 * The schema of the index, every statement that runs on it, and how they are bound and stepped.
 * Declared in index_parts.h.
 *
 * Every statement is fixed text, prepared once for each connection: what a filter takes is made of
 * ranges of indexes (index_plan.c), never of SQL put together. So the plans can be checked, and
 * tests/unit/test_dlq_index_plan.c does: none walks through letters without a bound.
 */
#include <stdarg.h>
#include <sys/stat.h>

#include "dlq/index_parts.h"

/*
 * letter: bucket and state are of the line that the letter heads, null where it heads none; own is
 * the bucket of its own failure, latest the newest letter of the line where that is another.
 * state: what the state topic says of the letter at (place, offset), which may be unknown yet;
 * ended is the result of its redrive as index.h has it for a job. ghost: the highest id of each ms
 * whose words stand in the text index though the row is gone; such an id is not given again.
 * What the list of groups shows stands in as few pages as can be: a commit of the writer empties
 * the cache of every reader, which then reads them anew. So a bucket holds what is shown of its
 * last line, and a row of spark a day: 24 numbers of 4 bytes, the lowest byte first.
 */
const char dlq_schema[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER, text TEXT) WITHOUT ROWID;"
    "CREATE TABLE topic(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, uuid TEXT NOT NULL,"
    " ref TEXT NOT NULL, kind INTEGER NOT NULL);"
    "CREATE TABLE place(id INTEGER PRIMARY KEY, ref TEXT NOT NULL, partition INTEGER NOT NULL,"
    " topic INTEGER, rows_at INTEGER NOT NULL DEFAULT 0, text_at INTEGER NOT NULL DEFAULT 0,"
    " begin INTEGER NOT NULL DEFAULT 0, end INTEGER NOT NULL DEFAULT -1,"
    " UNIQUE(ref, partition));"
    "CREATE TABLE state(place INTEGER, offset INTEGER, status INTEGER, result INTEGER,"
    " redrive_id TEXT, redrive_count INTEGER, at_ms INTEGER, edited_to TEXT, code TEXT,"
    " ended INTEGER, PRIMARY KEY(place, offset))"
    " WITHOUT ROWID;"
    "CREATE INDEX state_job ON state(redrive_id, ended, place, offset)"
    " WHERE redrive_id IS NOT NULL;"
    "CREATE TABLE bucket(id INTEGER PRIMARY KEY, signature TEXT NOT NULL, route TEXT NOT NULL,"
    " code TEXT NOT NULL, status INTEGER NOT NULL, topic TEXT NOT NULL, consumer TEXT NOT NULL,"
    " title TEXT NOT NULL, open INTEGER NOT NULL DEFAULT 0, redriving INTEGER NOT NULL DEFAULT 0,"
    " resolved INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,"
    " keys INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,"
    " letters INTEGER NOT NULL DEFAULT 0, first INTEGER NOT NULL DEFAULT 0,"
    " last INTEGER NOT NULL DEFAULT 0, example_place INTEGER, example_offset INTEGER,"
    " example_detail TEXT,"
    " UNIQUE(signature, route, code, status, topic, consumer));"
    "CREATE TABLE spark(bucket INTEGER, day INTEGER, hours BLOB NOT NULL,"
    " PRIMARY KEY(bucket, day)) WITHOUT ROWID;"
    "CREATE TABLE letter(id INTEGER PRIMARY KEY, place INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " own INTEGER NOT NULL, bucket INTEGER, state INTEGER, latest INTEGER, attempts INTEGER,"
    " line_attempts INTEGER, first_place INTEGER, first_offset INTEGER, written INTEGER,"
    " writer INTEGER, key_hash INTEGER, key BLOB, key_size INTEGER, value_size INTEGER,"
    " first_failed INTEGER, last_failed INTEGER, detail TEXT, origin_topic TEXT,"
    " origin_partition INTEGER, origin_offset INTEGER, number INTEGER, epoch INTEGER,"
    " redrive_id TEXT, redrive_count INTEGER);"
    "CREATE UNIQUE INDEX letter_at ON letter(place, offset);"
    "CREATE INDEX letter_line ON letter(bucket, state) WHERE bucket IS NOT NULL;"
    "CREATE INDEX letter_key ON letter(key_hash, bucket, state)"
    " WHERE bucket IS NOT NULL AND key_hash IS NOT NULL;"
    "CREATE INDEX letter_first ON letter(first_place, first_offset)"
    " WHERE first_place IS NOT NULL;"
    "CREATE INDEX letter_job ON letter(redrive_id, first_place, first_offset)"
    " WHERE redrive_id IS NOT NULL AND first_place IS NOT NULL;"
    "CREATE TABLE ghost(ms INTEGER PRIMARY KEY, id INTEGER NOT NULL);"
    /* Which record a word is in, and nothing about where: a third of the size, and all that is
       asked. */
    "CREATE VIRTUAL TABLE words USING fts5(text, content='', columnsize=0, detail=none,"
    " tokenize='unicode61');";

#define ROW_COLUMNS                                                                                \
    "l.id, t.name, p.partition, l.offset, f.ref, f.partition, coalesce(l.first_offset, l.offset)," \
    " b.route, b.consumer, b.code, b.signature, n.detail, l.writer, l.key, l.key_size, b.status,"  \
    " l.line_attempts, n.redrive_count, l.value_size, l.written, l.first_failed, n.last_failed,"   \
    " l.origin_topic, l.origin_partition, l.origin_offset, l.number, l.epoch, l.state,"            \
    " n.redrive_id, tn.name, pn.partition, n.offset, s.redrive_id, s.redrive_count,"               \
    " s.edited_to, s.result"

#define MEMBER_COLUMNS                                                                             \
    "id, place, offset, own, bucket, state, latest, attempts, line_attempts, key_hash, written,"   \
    " redrive_count"

static const char *const texts[SQL_COUNT_OF] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_READ] = "BEGIN",
    [SQL_META_SET] = "INSERT OR REPLACE INTO meta(name, value, text) VALUES(?1, ?2, ?3)",
    [SQL_META_GET] = "SELECT value, text FROM meta WHERE name = ?1",
    [SQL_TOPIC_GET] = "SELECT id, uuid, ref FROM topic WHERE name = ?1",
    [SQL_TOPIC_ADD] = "INSERT INTO topic(name, uuid, ref, kind) VALUES(?1, ?2, ?3, ?4)",
    [SQL_TOPIC_SET] = "UPDATE topic SET uuid = ?2, ref = ?3, kind = ?4 WHERE id = ?1",
    [SQL_PLACE_GET] = "SELECT id, rows_at, text_at, begin, end FROM place"
                      " WHERE ref = ?1 AND partition = ?2",
    [SQL_PLACE_ADD] = "INSERT INTO place(ref, partition, topic) VALUES(?1, ?2, ?3)",
    [SQL_PLACE_OF_TOPIC] = "SELECT id FROM place WHERE topic = ?1",
    [SQL_PLACE_DELETE] = "DELETE FROM place WHERE id = ?1",
    [SQL_PLACE_SET] = "UPDATE place SET rows_at = ?2, text_at = ?3, begin = ?4, end = ?5"
                      " WHERE id = ?1",
    [SQL_PLACE_TOPIC] = "UPDATE place SET topic = ?2 WHERE id = ?1",
    [SQL_PLACE_TEXT_AGAIN] = "UPDATE place SET text_at = begin",
    [SQL_COVERED] = "SELECT t.kind, p.begin, p.end, p.rows_at, p.text_at FROM place p"
                    " JOIN topic t ON t.id = p.topic WHERE ?1 IS NULL OR t.kind = 1 OR t.name = ?1",
    [SQL_STATE_GET] = "SELECT status, result, redrive_id, redrive_count, at_ms FROM state"
                      " WHERE place = ?1 AND offset = ?2",
    [SQL_STATE_SET] =
        "INSERT OR REPLACE INTO state VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SQL_STATE_DELETE] = "DELETE FROM state WHERE place = ?1 AND offset = ?2",
    [SQL_STATE_TRIM] = "DELETE FROM state WHERE place = ?1 AND offset < ?2",
    [SQL_STATE_ANY] = "SELECT 1 FROM state LIMIT 1",
    [SQL_BUCKET_GET] = "SELECT id FROM bucket WHERE signature = ?1 AND route = ?2 AND code = ?3"
                       " AND status = ?4 AND topic = ?5 AND consumer = ?6",
    [SQL_BUCKET_ADD] = "INSERT INTO bucket(signature, route, code, status, topic, consumer, title)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_BUCKET_COUNT] = "SELECT count(*) FROM bucket",
    [SQL_BUCKET_MOVE] =
        "UPDATE bucket SET open = open + ?2, redriving = redriving + ?3, resolved = resolved + ?4,"
        " archived = archived + ?5, keys = keys + ?6, attempts = attempts + ?7,"
        " letters = letters + ?8,"
        " first = CASE WHEN ?9 = 0 OR (first > 0 AND first < ?9) THEN first ELSE ?9 END,"
        " last = max(last, ?10) WHERE id = ?1",
    [SQL_BUCKET_RANGE] = "UPDATE bucket SET first = ?2, last = ?3 WHERE id = ?1",
    [SQL_BUCKET_PURGE] = "DELETE FROM bucket WHERE id = ?1 AND letters <= 0",
    [SQL_BUCKETS] = "SELECT id, last, open, redriving, resolved, archived, signature, route, code,"
                    " status, topic FROM bucket",
    [SQL_BUCKET_TEXTS] =
        "SELECT b.signature, b.route, b.code, b.title, b.status, b.keys,"
        " b.attempts, b.open, b.redriving, b.resolved, b.archived, b.first, b.last,"
        " t.name, p.partition, b.example_offset, b.example_detail FROM bucket b"
        " LEFT JOIN place p ON p.id = b.example_place"
        " LEFT JOIN topic t ON t.id = p.topic WHERE b.id = ?1",
    [SQL_BUCKET_EXAMPLE] =
        "UPDATE bucket SET (example_place, example_offset, example_detail) ="
        " (SELECT l.place, l.offset, n.detail FROM letter l"
        " CROSS JOIN letter n ON n.id = coalesce(l.latest, l.id) WHERE l.id = bucket.last)"
        " WHERE id = ?1",
    [SQL_SPARK_GET] = "SELECT hours FROM spark WHERE bucket = ?1 AND day = ?2",
    [SQL_SPARK_SET] = "INSERT OR REPLACE INTO spark(bucket, day, hours) VALUES(?1, ?2, ?3)",
    [SQL_SPARK_PURGE] = "DELETE FROM spark WHERE bucket = ?1 AND day = ?2",
    [SQL_SPARK_DROP] = "DELETE FROM spark WHERE bucket = ?1",
    [SQL_SPARK] = "SELECT day, hours FROM spark WHERE bucket = ?1 AND day >= ?2 AND day <= ?3",
    [SQL_LINE_FIRST] = "SELECT id FROM letter WHERE bucket = ?1 AND state = ?2 AND id >= ?3"
                       " AND id < ?4 ORDER BY id LIMIT 1",
    [SQL_LINE_LAST] = "SELECT id FROM letter WHERE bucket = ?1 AND state = ?2 AND id >= ?3"
                      " AND id < ?4 ORDER BY id DESC LIMIT 1",
    [SQL_LINE_IDS] = "SELECT id FROM letter WHERE bucket = ?1 AND state = ?2 AND id >= ?3"
                     " AND id < ?4 ORDER BY id DESC",
    [SQL_LINE_COUNT] = "SELECT count(*) FROM letter WHERE bucket = ?1 AND state = ?2 AND id >= ?3"
                       " AND id < ?4",
    [SQL_KEY_IDS] = "SELECT id FROM letter WHERE bucket = ?1 AND state = ?2 AND id >= ?3"
                    " AND id < ?4 AND key_hash = ?5 ORDER BY id DESC",
    [SQL_KEY_COUNT] = "SELECT count(*) FROM letter WHERE bucket = ?1 AND state = ?2 AND id >= ?3"
                      " AND id < ?4 AND key_hash = ?5",
    [SQL_KEY_LIVE] = "SELECT id FROM letter INDEXED BY letter_key WHERE key_hash = ?1"
                     " AND bucket = ?2 AND state < 3 LIMIT 1",
    [SQL_LETTER_ADD] =
        "INSERT INTO letter VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
        " ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)",
    [SQL_LETTER_AT] = "SELECT id FROM letter WHERE place = ?1 AND offset = ?2",
    [SQL_LETTER_LINE] = "SELECT coalesce(first_place, place), coalesce(first_offset, offset), id"
                        " FROM letter WHERE place = ?1 AND offset = ?2",
    [SQL_LETTER_SET] = "UPDATE letter SET bucket = ?2, state = ?3, latest = ?4, line_attempts = ?5"
                       " WHERE id = ?1",
    [SQL_LETTER_DELETE] = "DELETE FROM letter WHERE id = ?1",
    [SQL_LETTER_BELOW] = "SELECT " MEMBER_COLUMNS ", first_place, first_offset FROM letter"
                         " WHERE place = ?1 AND offset < ?2 ORDER BY offset LIMIT 1000",
    [SQL_LETTER_TOP] = "SELECT id FROM letter WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT 1",
    [SQL_LETTER_MEMBER] = "SELECT " MEMBER_COLUMNS " FROM letter WHERE place = ?1 AND offset = ?2"
                          " AND first_place IS NULL",
    [SQL_LETTER_MEMBERS] = "SELECT " MEMBER_COLUMNS " FROM letter WHERE first_place = ?1"
                           " AND first_offset = ?2",
    [SQL_LETTER_CONTINUED] = "SELECT 1 FROM letter WHERE first_place IS NOT NULL LIMIT 1",
    [SQL_LETTERS] = "SELECT coalesce(sum(letters), 0) FROM bucket",
    [SQL_LETTER_CHECK] = "SELECT bucket, state, key_hash, line_attempts FROM letter"
                         " WHERE id = ?1 AND bucket IS NOT NULL",
    [SQL_LETTER_ROW] = "SELECT " ROW_COLUMNS " FROM letter l"
                       " CROSS JOIN place p ON p.id = l.place"
                       " CROSS JOIN topic t ON t.id = p.topic"
                       " CROSS JOIN place f ON f.id = coalesce(l.first_place, l.place)"
                       " CROSS JOIN bucket b ON b.id = l.bucket"
                       " CROSS JOIN letter n ON n.id = coalesce(l.latest, l.id)"
                       " CROSS JOIN place pn ON pn.id = n.place"
                       " CROSS JOIN topic tn ON tn.id = pn.topic"
                       " LEFT JOIN state s ON s.place = coalesce(l.first_place, l.place)"
                       " AND s.offset = coalesce(l.first_offset, l.offset)"
                       " WHERE l.id = ?1",
    [SQL_GHOST_GET] = "SELECT id FROM ghost WHERE ms = ?1",
    [SQL_GHOST_SET] = "INSERT INTO ghost(ms, id) VALUES(?1, ?2)"
                      " ON CONFLICT(ms) DO UPDATE SET id = max(id, excluded.id)",
    [SQL_GHOST_ANY] = "SELECT 1 FROM ghost LIMIT 1",
    [SQL_GHOST_COUNT] = "SELECT count(*) FROM ghost",
    [SQL_GHOST_CLEAR] = "DELETE FROM ghost",
    [SQL_JOB_STATES] = "SELECT place, offset FROM state WHERE redrive_id = ?1 AND ended = ?2"
                       " AND (place, offset) > (?3, ?4) ORDER BY place, offset LIMIT ?5",
    [SQL_JOB_LETTERS] = "SELECT first_place, first_offset FROM letter WHERE redrive_id = ?1"
                        " AND first_place IS NOT NULL AND (first_place, first_offset) > (?2, ?3)"
                        " ORDER BY first_place, first_offset LIMIT ?4",
    [SQL_JOB_LETTER] = "SELECT l.written, l.redrive_count, b.code FROM letter l"
                       " CROSS JOIN bucket b ON b.id = l.own WHERE l.redrive_id = ?1"
                       " AND l.first_place = ?2 AND l.first_offset = ?3 ORDER BY l.id DESC LIMIT 1",
    [SQL_JOB_STATE] = "SELECT p.ref, p.partition, t.name, s.redrive_id, s.ended, s.redrive_count,"
                      " s.at_ms, s.code FROM place p LEFT JOIN topic t ON t.id = p.topic"
                      " LEFT JOIN state s ON s.place = p.id AND s.offset = ?2 WHERE p.id = ?1",
    [SQL_TEXT_ADD] = "INSERT INTO words(rowid, text) VALUES(?1, ?2)",
    [SQL_TEXT_CLEAR] = "INSERT INTO words(words) VALUES('delete-all')",
    [SQL_TEXT_JOIN] = "INSERT INTO words(words, rank) VALUES('merge', ?1)",
    [SQL_TEXT_IDS] = "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid >= ?2 AND rowid <= ?3"
                     " ORDER BY rowid DESC",
    [SQL_TEXT_ONE] = "SELECT 1 FROM words WHERE words MATCH ?1 AND rowid = ?2",
};

const char *dlq_sql_text(enum dlq_sql sql)
{
    return texts[sql];
}

static bool explain(struct dlq_index *index, int code, const char *doing, struct err *err)
{
    const char *path = index->path ? index->path : "in memory";
    const char *said = index->db ? sqlite3_errmsg(index->db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(
            err, ERR_IO,
            "index %s: the file is damaged (%s); it is only a cache: start again, and it "
            "is made anew from the topics",
            path, said);
    case SQLITE_FULL:
        return err_set(err, ERR_IO,
                       "index %s: no room left on the disk; make room, or name another place for "
                       "the index (it can be deleted: it is made anew from the topics)",
                       path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return err_set(err, ERR_IO,
                       "index %s: cannot %s (%s); the directory must be there, and both it and the "
                       "file must be writable",
                       path, doing, said);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set_retriable(err, ERR_AGAIN, "index %s: in use by another (%s)", path, said);
    case SQLITE_NOMEM:
        return err_set(err, ERR_INTERNAL, "index %s: out of memory", path);
    case SQLITE_IOERR:
        return err_set(err, ERR_IO, "index %s: cannot %s: %s (%s)", path, doing, said,
                       strerror(index->db ? sqlite3_system_errno(index->db) : 0));
    default:
        return err_set(err, ERR_INTERNAL, "index %s: cannot %s: %s", path, doing, said);
    }
}

bool dlq_sql_failed(struct dlq_index *index, int code, const char *doing, struct err *err)
{
    int primary = code & 0xff;
    explain(index, code, doing, err);
    if (primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
        index->damaged = true;
        if (err)
            err->fatal = true;
    }
    if (index->in_transaction)
        index->broken = true;
    return false;
}

static int bind(sqlite3_stmt *stmt, int at, char type, va_list *args)
{
    if (type == 'i')
        return sqlite3_bind_int64(stmt, at, va_arg(*args, int64_t));
    if (type == 't')
        return sqlite3_bind_text(stmt, at, va_arg(*args, const char *), -1, SQLITE_STATIC);
    struct slice bytes = va_arg(*args, struct slice);
    if (bytes.data == NULL)
        return sqlite3_bind_null(stmt, at);
    if (type == 'b')
        return sqlite3_bind_blob64(stmt, at, bytes.data, bytes.len, SQLITE_STATIC);
    return sqlite3_bind_text64(stmt, at, bytes.data, bytes.len, SQLITE_STATIC, SQLITE_UTF8);
}

sqlite3_stmt *dlq_sql(struct dlq_index *index, struct err *err, enum dlq_sql sql, const char *types,
                      ...)
{
    sqlite3_stmt **stmt = &index->stmts[sql];
    int code = SQLITE_OK;
    if (*stmt)
        sqlite3_reset(*stmt);
    else
        code = sqlite3_prepare_v3(index->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
    va_list args;
    va_start(args, types);
    for (int i = 0; code == SQLITE_OK && types[i]; i++)
        code = bind(*stmt, i + 1, types[i], &args);
    va_end(args);
    if (code == SQLITE_OK)
        return *stmt;
    dlq_sql_failed(index, code, "prepare a statement", err);
    return NULL;
}

int dlq_step(struct dlq_index *index, sqlite3_stmt *stmt, struct err *err)
{
    if (!stmt)
        return -1;
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE) {
        sqlite3_reset(stmt);
        return 0;
    }
    dlq_sql_failed(index, code, index->in_transaction ? "write" : "read", err);
    sqlite3_reset(stmt);
    return -1;
}

bool dlq_run(struct dlq_index *index, sqlite3_stmt *stmt, struct err *err)
{
    int step;
    do {
        step = dlq_step(index, stmt, err);
    } while (step == 1);
    return step == 0;
}

bool dlq_one(struct dlq_index *index, sqlite3_stmt *stmt, int64_t *out, bool *found,
             struct err *err)
{
    int step = dlq_step(index, stmt, err);
    if (step < 0)
        return false;
    *found = step == 1;
    if (*found) {
        *out = sqlite3_column_int64(stmt, 0);
        sqlite3_reset(stmt);
    }
    return true;
}

const char *dlq_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

bool dlq_read_begin(struct dlq_index *index, struct err *err)
{
    struct stat file;
    if (index->in_transaction)
        return true;
    /* Another file stands there: this one is read by nobody else and written by nobody any more. */
    if (index->inode && (stat(index->path, &file) != 0 || file.st_ino != index->inode)) {
        err_set_retriable(err, ERR_AGAIN, "index %s: it was made anew; open it again", index->path);
        if (err)
            err->fatal = true;
        return false;
    }
    return dlq_run(index, dlq_sql(index, err, SQL_READ, ""), err);
}

void dlq_read_end(struct dlq_index *index)
{
    if (index->in_transaction)
        return;
    for (int i = 0; i < SQL_COUNT_OF; i++) {
        if (index->stmts[i])
            sqlite3_reset(index->stmts[i]);
    }
    if (!sqlite3_get_autocommit(index->db))
        sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
}
