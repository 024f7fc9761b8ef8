/* What the words of many transactions cost the next one: letters that arrive are written at once,
 * however large what was written before. Counted in pages, which are the same on any machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "dlq/index_parts.h"
#include "index_place.h"

enum { LARGE = 2000, LARGE_COUNT = 7, SMALL_COUNT = 400 };
enum { PAGES_MAX = 600, RUNS_MAX = 40 };

struct fixture {
    struct index_place place;
    struct dlq_index *index;
    struct err err;
    int64_t offset;
    uint64_t seed;
};

static void check(struct fixture *f, bool ok)
{
    if (!ok)
        fail_msg("%s", f->err.text);
}

static int set_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    f->seed = 1;
    index_place_make(&f->place);
    f->index = dlq_index_open(f->place.path, true, &f->err);
    check(f, f->index != NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    dlq_index_close(&f->index);
    index_place_remove(&f->place);
    mem_free(f);
    return 0;
}

static uint64_t rnd(struct fixture *f)
{
    f->seed ^= f->seed << 13;
    f->seed ^= f->seed >> 7;
    f->seed ^= f->seed << 17;
    return f->seed;
}

/* Nearly each of its words is a new one, so that few letters make many pages. */
static void add(struct fixture *f)
{
    char value[1000];
    int len = 0;
    while (len < 960)
        len += snprintf(value + len, sizeof(value) - (size_t)len, "w%" PRIu64 " ",
                        rnd(f) % 1000000000);
    struct record rec = {.topic = SLICE_LIT("dlq.g.a"),
                         .offset = f->offset,
                         .timestamp_ms = 1000 + f->offset,
                         .value = {value, (size_t)len}};
    struct dead_letter letter = {.code = SLICE_LIT("x")};
    f->offset++;
    headers_signature(letter.route, letter.code, letter.detail, letter.signature);
    check(f, dlq_index_add(f->index, &rec, &letter, &f->err));
    check(f, dlq_index_add_text(f->index, &rec, &f->err));
}

/* Pages that were written since the last time. */
static int written(struct fixture *f)
{
    int pages, most;
    sqlite3_db_status(f->index->db, SQLITE_DBSTATUS_CACHE_WRITE, &pages, &most, true);
    return pages;
}

static int transaction(struct fixture *f, int letters)
{
    (void)written(f);
    check(f, dlq_index_begin(f->index, &f->err));
    for (int i = 0; i < letters; i++)
        add(f);
    check(f, dlq_index_commit(f->index, &f->err));
    return written(f);
}

/* Places that a word is looked up in. */
static int runs(struct fixture *f)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(f->index->db, "SELECT count(DISTINCT segid) FROM words_idx",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int count = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return count;
}

static void test_letters_that_arrive_never_wait_for_what_is_joined(void **state)
{
    struct fixture *f = *state;
    int most = 0, most_tidied = 0, large = 0;
    bool more;
    for (int i = 0; i < LARGE_COUNT; i++)
        large += transaction(f, LARGE);
    assert_true(large > LARGE_COUNT * PAGES_MAX / 2); /* what is there to be joined */
    for (int i = 0; i < SMALL_COUNT; i++) {
        int pages = transaction(f, 1);
        most = pages > most ? pages : most;
        check(f, dlq_index_tidy(f->index, &more, &f->err));
        pages = written(f);
        most_tidied = pages > most_tidied ? pages : most_tidied;
        assert_true(runs(f) < RUNS_MAX);
    }
    assert_true(most < PAGES_MAX);
    assert_true(most_tidied < PAGES_MAX);
}

static void test_tidy_comes_to_an_end(void **state)
{
    struct fixture *f = *state;
    bool more = true;
    int pieces = 0;
    check(f, dlq_index_tidy(f->index, &more, &f->err));
    assert_false(more); /* nothing came */
    for (int i = 0; i < SMALL_COUNT; i++)
        transaction(f, 1);
    for (more = true; more; pieces++) {
        check(f, dlq_index_tidy(f->index, &more, &f->err));
        assert_true(pieces < 1000);
    }
    assert_true(runs(f) < RUNS_MAX);
    (void)written(f);
    check(f, dlq_index_tidy(f->index, &more, &f->err));
    assert_false(more);
    assert_int_equal(written(f), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_letters_that_arrive_never_wait_for_what_is_joined),
        TEST(test_tidy_comes_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
