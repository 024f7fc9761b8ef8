/*
 * Words of dead letters. Declared in words.h. Cutting is left to FTS5's own tokenizer, so that a
 * search without an index finds what a search with one does.
 *
 * Must not: search our own headers but for the error; they stand in every dead letter.
 */
#include "dlq/words.h"

#include <sqlite3.h>

#include "base/mem.h"
#include "base/str.h"
#include "record/headers.h"

enum { WORDS_MAX = 32, PREFIX_MIN = 2, PREFIX_WORDS_MAX = 256, PREFIX_PAGES_MAX = 4000 };

const char dlq_words_prepare[] =
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocab USING fts5vocab(main, words, instance);";

struct word {
    char *text;
    size_t len;
    bool prefix, found;
};

struct dlq_words {
    sqlite3 *db;
    fts5_tokenizer tokenizer;
    Fts5Tokenizer *cutter;
    struct word words[WORDS_MAX];
    size_t count, left;
    size_t enough; /* that are left when no more need to be looked for */
    bool too_many;
    struct buf text;
};

/* ---- what of a record is searched ---- */

static void add_bytes(struct buf *out, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    size_t begin = out->len;
    buf_add_slice(out, bytes);
    buf_add_char(out, '\n');
    /* SQLite ends some texts at a NUL. */
    for (char *nul = memchr(out->data + begin, '\0', bytes.len); nul;
         nul = memchr(nul, '\0', (size_t)(out->data + out->len - nul)))
        *nul = ' ';
}

static bool is_searched(struct slice name)
{
    static const char *const ours[] = {"oncegate-error-detail", "oncegate-error-code",
                                       "oncegate-redrive-id"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (slice_equal_text(name, ours[i]))
            return true;
    }
    return false;
}

void dlq_words_of(const struct record *rec, struct buf *out)
{
    add_bytes(out, rec->key);
    add_bytes(out, rec->value);
    for (size_t i = 0; i < rec->header_count; i++) {
        const struct record_header *header = &rec->headers[i];
        bool own = headers_is_own(header->name);
        if (own && !is_searched(header->name))
            continue;
        if (!own)
            add_bytes(out, header->name);
        add_bytes(out, header->value);
    }
}

/* ---- the words of a filter ---- */

static bool tokenizer_of(sqlite3 *db, fts5_tokenizer *out, Fts5Tokenizer **cutter)
{
    fts5_api *api = NULL;
    sqlite3_stmt *stmt = NULL;
    void *context = NULL;
    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(stmt, 1, (void *)&api, "fts5_api_ptr", NULL);
        sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return api && api->xFindTokenizer(api, "unicode61", &context, out) == SQLITE_OK &&
           out->xCreate(context, NULL, 0, cutter) == SQLITE_OK;
}

static int on_query_word(void *arg, int flags, const char *text, int len, int begin, int end)
{
    struct dlq_words *words = arg;
    (void)flags;
    (void)begin;
    (void)end;
    if (words->count == WORDS_MAX) {
        words->too_many = true;
        return SQLITE_DONE;
    }
    struct word *word = &words->words[words->count++];
    word->text = mem_strndup(text, (size_t)len);
    word->len = (size_t)len;
    word->prefix = false;
    return SQLITE_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One run between blanks: "order-12*" is the word "order" and the prefix "12". */
static bool add_run(struct dlq_words *words, struct slice run, struct err *err)
{
    size_t before = words->count;
    int code = words->tokenizer.xTokenize(words->cutter, words, FTS5_TOKENIZE_QUERY, run.data,
                                          (int)run.len, on_query_word);
    if (words->too_many)
        return err_set(err, ERR_USAGE, "text: more than %d words", WORDS_MAX);
    if (code != SQLITE_OK)
        return err_set(err, ERR_INTERNAL, "text: cannot be cut into words");
    if (run.data[run.len - 1] != '*' || words->count == before)
        return true;
    struct word *last = &words->words[words->count - 1];
    last->prefix = true;
    if (last->len < PREFIX_MIN)
        return err_set(err, ERR_USAGE, "text: %s* is too short, %d characters are needed before *",
                       last->text, PREFIX_MIN);
    return true;
}

static bool cut_text(struct dlq_words *words, const char *text, struct err *err)
{
    for (const char *at = text; *at;) {
        size_t len = 0;
        while (at[len] && !is_blank(at[len]))
            len++;
        if (len && !add_run(words, (struct slice){at, len}, err))
            return false;
        at += len ? len : 1;
    }
    return words->count ? true : err_set(err, ERR_USAGE, "text: there is no word in it");
}

static struct dlq_words *words_new(sqlite3 *db, const char *text, struct err *err)
{
    struct dlq_words *words = mem_zalloc(sizeof(*words));
    bool ok = strlen(text) <= 4096;
    if (!ok)
        err_set(err, ERR_USAGE, "text: longer than 4096 bytes");
    if (ok && !db && sqlite3_open(":memory:", &words->db) != SQLITE_OK)
        ok = err_set(err, ERR_INTERNAL, "text: cannot open SQLite");
    if (ok && !tokenizer_of(db ? db : words->db, &words->tokenizer, &words->cutter))
        ok = err_set(err, ERR_CONFIG, "this SQLite (%s) was built without FTS5",
                     sqlite3_libversion());
    if (!ok || !cut_text(words, text, err))
        dlq_words_free(&words);
    return words;
}

struct dlq_words *dlq_words_new(const char *text, struct err *err)
{
    return words_new(NULL, text, err);
}

void dlq_words_free(struct dlq_words **words_at)
{
    struct dlq_words *words = *words_at;
    if (!words)
        return;
    for (size_t i = 0; i < words->count; i++)
        mem_free(words->words[i].text);
    if (words->cutter)
        words->tokenizer.xDelete(words->cutter);
    sqlite3_close(words->db);
    buf_deinit(&words->text);
    mem_free(words);
    *words_at = NULL;
}

/* ---- as an expression ---- */

struct same {
    const char *text;
    size_t len, words;
    bool all;
};

static int on_same_word(void *arg, int flags, const char *text, int len, int begin, int end)
{
    struct same *same = arg;
    (void)flags;
    (void)begin;
    (void)end;
    same->words++;
    same->all = same->all && (size_t)len == same->len && memcmp(text, same->text, same->len) == 0;
    return SQLITE_OK;
}

/* Whether the word stays what it is when FTS5 reads the expression. */
static bool is_stable(const struct dlq_words *words, struct slice term)
{
    struct same same = {term.data, term.len, 0, true};
    return memchr(term.data, '\0', term.len) == NULL &&
           words->tokenizer.xTokenize(words->cutter, &same, FTS5_TOKENIZE_QUERY, term.data,
                                      (int)term.len, on_same_word) == SQLITE_OK &&
           same.all && same.words == 1;
}

/* A word of the tokenizer has letters and digits only: nothing to escape. */
static void add_term(struct buf *out, struct slice term, const char *before)
{
    buf_add_text(out, before);
    buf_add_char(out, '"');
    buf_add_slice(out, term);
    buf_add_char(out, '"');
}

/* The next word of the text index from *at on that begins so; *at moves behind it. */
static bool next_term(sqlite3_stmt *stmt, const struct word *prefix, struct buf *at,
                      struct slice *term)
{
    sqlite3_reset(stmt);
    sqlite3_bind_text64(stmt, 1, at->data, at->len, SQLITE_TRANSIENT, SQLITE_UTF8);
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return false;
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    size_t len = (size_t)sqlite3_column_bytes(stmt, 0);
    if (!text || len < prefix->len || memcmp(text, prefix->text, prefix->len) != 0)
        return false;
    buf_reset(at);
    buf_add(at, text, len);
    *term = (struct slice){text, len};
    buf_add_char(at, '\001');
    return true;
}

/* 0: they are too many, or cannot be named; nothing is appended then. */
static size_t add_terms(sqlite3 *db, const struct dlq_words *words, const struct word *prefix,
                        struct buf *out)
{
    sqlite3_stmt *stmt = NULL;
    struct buf at = {0}, terms = {0};
    struct slice term;
    size_t count = 0;
    bool named = sqlite3_prepare_v2(db, "SELECT term FROM temp.vocab WHERE term >= ?1 LIMIT 1", -1,
                                    &stmt, NULL) == SQLITE_OK;
    buf_add(&at, prefix->text, prefix->len);
    while (named && next_term(stmt, prefix, &at, &term)) {
        named = count < PREFIX_WORDS_MAX && is_stable(words, term);
        add_term(&terms, term, count++ ? " OR " : "(");
    }
    named = named && count > 0;
    if (named) {
        buf_add_slice(out, buf_slice(&terms));
        buf_add_char(out, ')');
    }
    sqlite3_finalize(stmt);
    buf_deinit(&at);
    buf_deinit(&terms);
    return named ? count : 0;
}

/* By the terms that begin the pages; those of the main index have a "0" before them. */
int64_t dlq_words_prefix_pages(sqlite3 *db, struct slice prefix)
{
    static const char text[] =
        "WITH RECURSIVE part(id) AS (SELECT min(segid) FROM words_idx UNION ALL"
        " SELECT (SELECT min(segid) FROM words_idx WHERE segid > part.id) FROM part"
        " WHERE part.id IS NOT NULL)"
        " SELECT sum((SELECT pgno / 2 FROM words_idx WHERE segid = part.id AND term <= ?2"
        " ORDER BY term DESC LIMIT 1) - coalesce((SELECT pgno / 2 FROM words_idx"
        " WHERE segid = part.id AND term <= ?1 ORDER BY term DESC LIMIT 1), 1) + 1)"
        " FROM part WHERE part.id IS NOT NULL";
    sqlite3_stmt *stmt = NULL;
    struct buf first = {0}, last = {0};
    int64_t pages = 0;
    buf_add_char(&first, '0');
    buf_add_slice(&first, prefix);
    buf_add_slice(&last, buf_slice(&first));
    buf_add_char(&last, '\xff');
    if (sqlite3_prepare_v2(db, text, -1, &stmt, NULL) == SQLITE_OK) {
        sqlite3_bind_blob64(stmt, 1, first.data, first.len, SQLITE_STATIC);
        sqlite3_bind_blob64(stmt, 2, last.data, last.len, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            pages = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    buf_deinit(&first);
    buf_deinit(&last);
    return pages;
}

static bool add_word(sqlite3 *db, const struct dlq_words *words, const struct word *word,
                     struct buf *out, size_t *terms, bool *wide, struct err *err)
{
    size_t count = word->prefix ? add_terms(db, words, word, out) : 0;
    *terms += count ? count : 1;
    if (count)
        return true;
    add_term(out, (struct slice){word->text, word->len}, "");
    if (!word->prefix)
        return true;
    buf_add_text(out, " *");
    *wide = true;
    struct slice prefix = {word->text, word->len};
    return dlq_words_prefix_pages(db, prefix) <= PREFIX_PAGES_MAX ||
           err_set(err, ERR_USAGE,
                   "text: %s* begins so many words of these letters that looking them up would "
                   "keep everybody waiting; write more of it",
                   word->text);
}

bool dlq_words_expression(sqlite3 *db, const char *text, struct buf *out, size_t *terms,
                          struct err *err)
{
    struct dlq_words *words = words_new(db, text, err);
    bool wide = false, ok = true;
    *terms = 0;
    if (!words)
        return false;
    for (size_t i = 0; ok && i < words->count; i++) {
        buf_add_text(out, i ? " AND " : "");
        ok = add_word(db, words, &words->words[i], out, terms, &wide, err);
    }
    if (wide)
        *terms = 0;
    dlq_words_free(&words);
    return ok;
}

/* ---- looking through a record ---- */

static int on_word(void *arg, int flags, const char *text, int len, int begin, int end)
{
    struct dlq_words *words = arg;
    (void)flags;
    (void)begin;
    (void)end;
    for (size_t i = 0; i < words->count; i++) {
        struct word *word = &words->words[i];
        bool long_enough = word->prefix ? (size_t)len >= word->len : (size_t)len == word->len;
        if (word->found || !long_enough || memcmp(word->text, text, word->len) != 0)
            continue;
        word->found = true;
        words->left--;
    }
    return words->left > words->enough ? SQLITE_OK : SQLITE_DONE;
}

static bool look(struct dlq_words *words, const struct record *rec, size_t enough)
{
    buf_reset(&words->text);
    dlq_words_of(rec, &words->text);
    if (words->text.len == 0 || words->text.len > INT32_MAX)
        return false;
    words->left = words->count;
    words->enough = enough;
    for (size_t i = 0; i < words->count; i++)
        words->words[i].found = false;
    words->tokenizer.xTokenize(words->cutter, words, FTS5_TOKENIZE_DOCUMENT, words->text.data,
                               (int)words->text.len, on_word);
    return words->left <= enough;
}

bool dlq_words_match(struct dlq_words *words, const struct record *rec)
{
    return look(words, rec, 0);
}

bool dlq_words_touch(struct dlq_words *words, const struct record *rec)
{
    return look(words, rec, words->count - 1);
}
