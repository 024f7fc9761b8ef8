/*
 * Opening and closing the index, and its transactions; see index_parts.h for the other files.
 *
 * Invariants: a file that is not ours is never deleted or written; one that is ours but of another
 * schema, or damaged, is deleted by a writer only, who holds the lock. synchronous is OFF: nothing
 * here is worth a wait for the disk, so a file that its last writer did not close and that has seen
 * another boot of the machine since is checked before it is believed. (A process that dies leaves
 * its writes with the kernel: SQLite's log is whole then.)
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "dlq/index_parts.h"
#include "dlq/words.h"

static const char writer_pragmas[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192;"
    "PRAGMA wal_autocheckpoint=16000; PRAGMA journal_size_limit=67108864;"
    "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;";
static const char reader_pragmas[] =
    "PRAGMA cache_size=-4096; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;";

enum verdict {
    FILE_GOOD,
    FILE_NEW,
    FILE_AWAY, /* of another schema, or damaged */
    FILE_FOREIGN,
    FILE_UNKNOWN, /* could not be read, err says why */
};

/* Which boot of the machine this is; "" where nothing says so. */
static void boot_id(char out[64])
{
    out[0] = '\0';
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t len = read(fd, out, 63);
    close(fd);
    out[len > 0 ? len : 0] = '\0';
}

static bool exec(struct dlq_index *index, const char *text, const char *doing, struct err *err)
{
    int code = sqlite3_exec(index->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK || dlq_sql_failed(index, code, doing, err);
}

/* The first column of the first row of a statement that runs once. */
static bool ask(struct dlq_index *index, const char *text, int64_t *out, char *word, size_t size,
                struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(index->db, text, -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
        if (word)
            (void)str_copy(word, size, slice_of(dlq_text(stmt, 0)));
    }
    bool ok = code == SQLITE_ROW || dlq_sql_failed(index, code, "read", err);
    sqlite3_finalize(stmt);
    return ok;
}

static void disconnect(struct dlq_index *index)
{
    for (int i = 0; i < SQL_COUNT_OF; i++) {
        sqlite3_finalize(index->stmts[i]);
        index->stmts[i] = NULL;
    }
    sqlite3_close(index->db);
    index->db = NULL;
}

static bool connect(struct dlq_index *index, struct err *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE;
    if (index->writer)
        flags |= SQLITE_OPEN_CREATE;
    int code = sqlite3_open_v2(index->path ? index->path : ":memory:", &index->db, flags, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(index->db, 10000);
    if (code != SQLITE_OK)
        return dlq_sql_failed(index, code, index->writer ? "make or open it" : "open it", err);
    return true;
}

static void remove_files(const char *path)
{
    static const char *const suffix[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof(suffix) / sizeof(suffix[0]); i++) {
        char *name = mem_printf("%s%s", path, suffix[i]);
        unlink(name);
        mem_free(name);
    }
}

/* Looks at the first bytes: SQLite would write into an empty file and refuse any other. */
static enum verdict look(const char *path, struct err *err)
{
    char head[100] = {0};
    static const char nothing[100] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return FILE_NEW;
    ssize_t len = fd < 0 ? -1 : read(fd, head, sizeof(head));
    int failed = errno;
    if (fd >= 0)
        close(fd);
    if (len < 0) {
        err_set(err, ERR_IO, "index %s: cannot read it: %s", path, strerror(failed));
        return FILE_UNKNOWN;
    }
    if (len == 0)
        return FILE_NEW;
    if (memcmp(head, nothing, sizeof(head)) == 0)
        return FILE_AWAY; /* a page that never reached the disk */
    uint32_t application = (uint32_t)(unsigned char)head[68] << 24 |
                           (uint32_t)(unsigned char)head[69] << 16 |
                           (uint32_t)(unsigned char)head[70] << 8 | (unsigned char)head[71];
    bool ours = len == 100 && memcmp(head, "SQLite format 3", 16) == 0 &&
                application == DLQ_APPLICATION;
    return ours ? FILE_GOOD : FILE_FOREIGN;
}

/* Whether a file that is ours, connected to, can be believed. */
static enum verdict judge(struct dlq_index *index)
{
    struct err err = {0};
    int64_t schema, pages, page_size, clean;
    char word[64], boot[64];
    struct stat file;
    if (!ask(index, "PRAGMA user_version", &schema, NULL, 0, &err) || schema != DLQ_SCHEMA)
        return FILE_AWAY;
    if (index->writer && (!exec(index, "PRAGMA wal_checkpoint(TRUNCATE)", "read", &err) ||
                          !ask(index, "PRAGMA page_count", &pages, NULL, 0, &err) ||
                          !ask(index, "PRAGMA page_size", &page_size, NULL, 0, &err) ||
                          stat(index->path, &file) != 0 || file.st_size < pages * page_size))
        return FILE_AWAY;
    if (!ask(index, "SELECT value FROM meta WHERE name = 'clean'", &clean, NULL, 0, &err) ||
        !ask(index, "SELECT text FROM meta WHERE name = 'boot'", &pages, word, sizeof(word), &err))
        return FILE_AWAY;
    boot_id(boot);
    if (!index->writer || clean || strcmp(word, boot) == 0)
        return FILE_GOOD;
    if (!ask(index, "PRAGMA quick_check(1)", &pages, word, sizeof(word), &err))
        return FILE_AWAY;
    return strcmp(word, "ok") == 0 ? FILE_GOOD : FILE_AWAY;
}

static bool stamp(struct dlq_index *index, bool clean, struct err *err)
{
    char boot[64];
    boot_id(boot);
    return dlq_run(index,
                   dlq_sql(index, err, SQL_META_SET, "tit", "clean", (int64_t)clean,
                           (const char *)NULL),
                   err) &&
           dlq_run(index, dlq_sql(index, err, SQL_META_SET, "tit", "boot", (int64_t)0, boot), err);
}

static bool create(struct dlq_index *index, struct err *err)
{
    char pragmas[80];
    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
             DLQ_APPLICATION, DLQ_SCHEMA);
    return exec(index, "BEGIN IMMEDIATE", "make it", err) &&
           exec(index, dlq_schema, "make it", err) && exec(index, pragmas, "make it", err) &&
           /* A transaction of the words is one sorted run; runs are joined eight at a time, a piece
            * with each transaction, and by dlq_index_tidy. Where many of a size lie side by side
            * FTS5 would join them all at once ('crisis'), which takes seconds of large ones. */
           exec(index,
                "INSERT INTO words(words, rank) VALUES('hashsize', 8388608);"
                "INSERT INTO words(words, rank) VALUES('automerge', 8);"
                "INSERT INTO words(words, rank) VALUES('usermerge', 8);"
                "INSERT INTO words(words, rank) VALUES('crisismerge', 200);",
                "make it", err);
}

static bool lock(struct dlq_index *index, struct err *err)
{
    char *name = mem_printf("%s-writer", index->path);
    index->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool ok = true;
    if (index->lock < 0)
        ok = err_set(err, ERR_IO,
                     "index %s: cannot make %s: %s; the directory must be there and writable",
                     index->path, name, strerror(errno));
    else if (flock(index->lock, LOCK_EX | LOCK_NB) != 0)
        ok = err_set_retriable(err, ERR_AGAIN,
                               "index %s: another process writes it; one is enough, or name "
                               "another file",
                               index->path);
    mem_free(name);
    return ok;
}

static bool open_writer(struct dlq_index *index, struct err *err)
{
    enum verdict verdict = FILE_NEW;
    if (index->path) {
        if (!lock(index, err))
            return false;
        verdict = look(index->path, err);
        if (verdict == FILE_UNKNOWN)
            return false;
        if (verdict == FILE_FOREIGN)
            return err_set(err, ERR_IO,
                           "index %s: the file is no index of oncegate and is left alone; name "
                           "another one, or remove it",
                           index->path);
        if (verdict == FILE_GOOD)
            verdict = connect(index, err) ? judge(index) : FILE_UNKNOWN;
        if (verdict == FILE_UNKNOWN)
            return false;
        if (verdict != FILE_GOOD) {
            disconnect(index);
            remove_files(index->path);
            index->damaged = false;
        }
    }
    if (!index->db && !connect(index, err))
        return false;
    if (!exec(index, writer_pragmas, "open it", err))
        return false;
    if (verdict != FILE_GOOD && !create(index, err))
        return false;
    /* This must be on the disk before anything else is: see the head of the file. */
    return exec(index, "PRAGMA synchronous=FULL", "open it", err) && stamp(index, false, err) &&
           exec(index, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous=OFF", "open it", err);
}

static bool open_reader(struct dlq_index *index, struct err *err)
{
    struct stat file;
    enum verdict verdict = look(index->path, err);
    if (verdict == FILE_UNKNOWN)
        return false;
    if (verdict == FILE_NEW || stat(index->path, &file) != 0)
        return err_set_retriable(err, ERR_NO_FILE, "index %s: not there yet", index->path);
    if (verdict == FILE_GOOD) {
        if (!connect(index, err) || !exec(index, reader_pragmas, "open it", err))
            return false;
        verdict = judge(index);
        index->damaged = false; /* the writer's to find and to mend */
        index->inode = file.st_ino;
    }
    return verdict == FILE_GOOD ||
           err_set(err, ERR_IO,
                   "index %s: of another release, or damaged; start `oncegate console` again, "
                   "which makes it anew from the topics",
                   index->path);
}

static bool any(struct dlq_index *index, enum dlq_sql sql, bool *out, struct err *err)
{
    int64_t one;
    return dlq_one(index, dlq_sql(index, err, sql, ""), &one, out, err);
}

/* What spares the writer a question for each letter. */
static bool learn(struct dlq_index *index, struct err *err)
{
    bool found;
    return any(index, SQL_STATE_ANY, &index->any_states, err) &&
           any(index, SQL_LETTER_CONTINUED, &index->any_continued, err) &&
           any(index, SQL_GHOST_ANY, &index->any_ghosts, err) &&
           dlq_one(index, dlq_sql(index, err, SQL_BUCKET_COUNT, ""), &index->kind_count, &found,
                   err);
}

static struct dlq_index *open_once(const char *path, bool writer, bool *damaged, struct err *err)
{
    struct dlq_index *index = mem_zalloc(sizeof(*index));
    index->path = mem_strdup(path);
    index->lock = -1;
    index->writer = writer || !path;
    bool ok = sqlite3_compileoption_used("ENABLE_FTS5") && sqlite3_threadsafe() != 0;
    if (!ok)
        err_set(err, ERR_CONFIG, "this SQLite (%s) was built without FTS5 or without threads",
                sqlite3_libversion());
    ok = ok && (index->writer ? open_writer(index, err) : open_reader(index, err));
    ok = ok && exec(index, dlq_words_prepare, "open it", err) &&
         (index->writer ? learn(index, err) : exec(index, "PRAGMA query_only=1", "open it", err));
    *damaged = index->damaged && index->writer;
    if (!ok)
        dlq_index_close(&index);
    return index;
}

struct dlq_index *dlq_index_open(const char *path, bool writer, struct err *err)
{
    bool damaged;
    struct dlq_index *index = open_once(path, writer, &damaged, err);
    /* Closing has removed it. */
    return index || !damaged ? index : open_once(path, writer, &damaged, err);
}

static void forget(struct dlq_index *index)
{
    dlq_places_forget(index);
    dlq_counts_forget(index);
    dlq_text_forget(index);
}

static void roll_back(struct dlq_index *index)
{
    forget(index);
    for (int i = 0; i < SQL_COUNT_OF; i++) {
        if (index->stmts[i])
            sqlite3_reset(index->stmts[i]);
    }
    if (index->db && !sqlite3_get_autocommit(index->db))
        sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
    index->in_transaction = index->broken = false;
}

void dlq_index_close(struct dlq_index **index_at)
{
    struct dlq_index *index = *index_at;
    if (!index)
        return;
    roll_back(index);
    if (index->db && index->writer && index->path && !index->damaged) {
        /* Once, at the end, the disk is waited for: a clean file is believed at once. */
        struct err err = {0};
        if (exec(index, "PRAGMA synchronous=FULL", "close it", &err) && stamp(index, true, &err))
            sqlite3_exec(index->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
    }
    disconnect(index);
    if (index->damaged && index->writer && index->path && index->lock >= 0)
        remove_files(index->path);
    if (index->lock >= 0)
        close(index->lock);
    buf_deinit(&index->words_text);
    buf_deinit(&index->scratch);
    mem_free(index->words);
    mem_free(index->path);
    mem_free(index);
    *index_at = NULL;
}

/* Keys lie in their index by hash, so rows that come in a rush touch all of it again and again. */
void dlq_index_hurry(struct dlq_index *index, bool hurry)
{
    sqlite3_exec(index->db, hurry ? "PRAGMA cache_size=-49152" : "PRAGMA cache_size=-8192", NULL,
                 NULL, NULL);
    if (hurry)
        return;
    sqlite3_db_release_memory(index->db);
    dlq_text_release(index);
    mem_trim();
}

bool dlq_index_begin(struct dlq_index *index, struct err *err)
{
    if (index->in_transaction) {
        roll_back(index);
        if (!learn(index, err))
            return false;
    }
    if (!dlq_run(index, dlq_sql(index, err, SQL_BEGIN, ""), err))
        return false;
    index->in_transaction = true;
    return true;
}

bool dlq_index_commit(struct dlq_index *index, struct err *err)
{
    if (!dlq_need_transaction(index, err))
        return false;
    if (!dlq_text_flush(index, err) || !dlq_counts_flush(index, err) ||
        !dlq_places_flush(index, err) || !dlq_text_tidy(index, err) ||
        !dlq_run(index, dlq_sql(index, err, SQL_COMMIT, ""), err))
        return false;
    index->in_transaction = false;
    return true;
}
