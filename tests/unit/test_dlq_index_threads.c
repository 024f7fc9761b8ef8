/* A writer and a reader of one index in two threads: what the reader sees is whole, whenever it
 * looks. Meant for ThreadSanitizer as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "dlq/index.h"
#include "index_place.h"

enum { TRANSACTIONS = 150, A_TRANSACTION = 20 };

struct shared {
    struct index_place place;
    atomic_bool done;
    int looked;
    char complaint[500];
};

static bool on_group(void *arg, const struct dlq_group *group)
{
    *(uint64_t *)arg += group->open;
    return true;
}

static bool on_row(void *arg, const struct dlq_row *row)
{
    (void)row;
    ++*(uint64_t *)arg;
    return true;
}

/* Letters come twenty at a time, half of each of two kinds. */
static bool look(struct dlq_index *index, const struct dlq_filter *filter, uint64_t *seen,
                 struct err *err)
{
    uint64_t grouped = 0, listed = 0, counted;
    struct dlq_covered covered;
    char next[DLQ_CURSOR_MAX];
    if (!dlq_index_groups(index, filter, 1000, on_group, &grouped, &covered, err) ||
        !dlq_index_count(index, filter, 0, &counted, &covered, err) ||
        !dlq_index_list(index, filter, "", 10000, on_row, &listed, next, &covered, err))
        return false;
    if (grouped % A_TRANSACTION || counted % A_TRANSACTION || listed % A_TRANSACTION ||
        grouped < *seen || counted < grouped || listed < counted)
        return err_set(err, ERR_INTERNAL, "%d groups, %d counted, %d listed after %d", (int)grouped,
                       (int)counted, (int)listed, (int)*seen);
    *seen = listed;
    return true;
}

static void *read_on(void *arg)
{
    struct shared *shared = arg;
    struct err err = {0};
    struct dlq_filter filter;
    uint64_t seen = 0;
    bool last = false;
    dlq_filter_init(&filter);
    struct dlq_index *index = dlq_index_open(shared->place.path, false, &err);
    bool ok = index != NULL;
    while (ok && !last) {
        last = atomic_load(&shared->done);
        ok = look(index, &filter, &seen, &err);
        shared->looked++;
    }
    if (ok && seen != TRANSACTIONS * A_TRANSACTION)
        ok = err_set(&err, ERR_INTERNAL, "%d seen at the end", (int)seen);
    if (!ok)
        snprintf(shared->complaint, sizeof(shared->complaint), "%s", err.text);
    dlq_index_close(&index);
    return NULL;
}

static bool write_all(struct dlq_index *index, struct err *err)
{
    for (int t = 0; t < TRANSACTIONS; t++) {
        if (!dlq_index_begin(index, err))
            return false;
        for (int i = 0; i < A_TRANSACTION; i++) {
            struct record rec = {.topic = SLICE_LIT("dlq.g.a"),
                                 .offset = t * A_TRANSACTION + i,
                                 .timestamp_ms = 1000000 - t,
                                 .value = SLICE_LIT("some words")};
            struct dead_letter letter = {.code = i % 2 ? SLICE_LIT("x") : SLICE_LIT("y")};
            headers_signature(letter.route, letter.code, letter.detail, letter.signature);
            if (!dlq_index_add(index, &rec, &letter, err) || !dlq_index_add_text(index, &rec, err))
                return false;
        }
        if (!dlq_index_commit(index, err))
            return false;
    }
    return true;
}

static void test_reader_beside_writer_sees_whole_transactions(void **state)
{
    static struct shared shared;
    struct err err = {0};
    pthread_t reader;
    (void)state;
    index_place_make(&shared.place);
    struct dlq_index *index = dlq_index_open(shared.place.path, true, &err);
    if (!index)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&reader, NULL, read_on, &shared), 0);
    bool ok = write_all(index, &err);
    atomic_store(&shared.done, true);
    pthread_join(reader, NULL);
    dlq_index_close(&index);
    index_place_remove(&shared.place);
    if (!ok)
        fail_msg("writer: %s", err.text);
    if (shared.complaint[0])
        fail_msg("reader: %s", shared.complaint);
    assert_true(shared.looked > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader_beside_writer_sees_whole_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
