/* No statement of the index walks through letters, nor sorts them: what it reads is bounded by what
 * it is asked for, whatever number of letters there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "dlq/index_parts.h"

static const char *explain(sqlite3 *db, const char *text, struct buf *out)
{
    char *question = mem_printf("EXPLAIN QUERY PLAN %s", text);
    sqlite3_stmt *stmt = NULL;
    buf_reset(out);
    buf_add_text(out, "");
    if (sqlite3_prepare_v2(db, question, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_printf(out, "%s\n", (const char *)sqlite3_column_text(stmt, 3));
    sqlite3_finalize(stmt);
    mem_free(question);
    return out->data;
}

static void test_statements_seek(void **state)
{
    (void)state;
    static const char *const walks[] = {"SCAN letter", "SCAN l\n",   "SCAN n\n",    "SCAN state",
                                        "SCAN s\n",    "SCAN spark", "TEMP B-TREE", "AUTOMATIC"};
    struct err err = {0};
    struct buf plan = {0};
    struct dlq_index *index = dlq_index_open(NULL, true, &err);
    assert_non_null(index);
    for (int sql = 0; sql < SQL_COUNT_OF; sql++) {
        const char *text = dlq_sql_text((enum dlq_sql)sql);
        assert_non_null(text);
        /* One row of it is asked for; the index says whether there is one. */
        bool first_only = sql == SQL_STATE_ANY || sql == SQL_GHOST_ANY ||
                          sql == SQL_LETTER_CONTINUED;
        explain(index->db, text, &plan);
        for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]) && !first_only; i++) {
            if (strstr(plan.data, walks[i]))
                fail_msg("%s\n%s", text, plan.data);
        }
    }
    buf_deinit(&plan);
    dlq_index_close(&index);
}

static void assert_uses(struct dlq_index *index, enum dlq_sql sql, const char *what)
{
    struct buf plan = {0};
    if (!strstr(explain(index->db, dlq_sql_text(sql), &plan), what))
        fail_msg("%s\n%s", dlq_sql_text(sql), plan.data);
    buf_deinit(&plan);
}

static void test_pages_are_ranges_of_an_index(void **state)
{
    (void)state;
    struct err err = {0};
    struct dlq_index *index = dlq_index_open(NULL, true, &err);
    assert_non_null(index);
    static const char line[] =
        "COVERING INDEX letter_line (bucket=? AND state=? AND rowid>? AND rowid<?)";
    static const char key[] =
        "COVERING INDEX letter_key (key_hash=? AND bucket=? AND state=? AND rowid>? AND rowid<?)";
    assert_uses(index, SQL_LINE_IDS, line);
    assert_uses(index, SQL_LINE_COUNT, line);
    assert_uses(index, SQL_LINE_FIRST, line);
    assert_uses(index, SQL_LINE_LAST, line);
    assert_uses(index, SQL_KEY_IDS, key);
    assert_uses(index, SQL_KEY_COUNT, key);
    assert_uses(index, SQL_KEY_LIVE, "letter_key (key_hash=? AND bucket=? AND state<?)");
    assert_uses(index, SQL_LETTER_BELOW, "letter_at (place=? AND offset<?)");
    assert_uses(index, SQL_JOB_STATES,
                "state_job (redrive_id=? AND ended=? AND (place,offset)>(?,?))");
    assert_uses(index, SQL_JOB_LETTERS,
                "letter_job (redrive_id=? AND (first_place,first_offset)>(?,?))");
    assert_uses(index, SQL_JOB_LETTER,
                "letter_job (redrive_id=? AND first_place=? AND first_offset=?)");
    assert_uses(index, SQL_LETTER_MEMBERS, "letter_first (first_place=? AND first_offset=?)");
    dlq_index_close(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements_seek),
        cmocka_unit_test(test_pages_are_ranges_of_an_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
