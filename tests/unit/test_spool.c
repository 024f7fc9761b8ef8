/* The spool as the workers use it: operations go to its thread, and their ends come back on the
 * loop. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "spool/spool.h"

#define MIB (UINT64_C(1) << 20)

struct world {
    char dir[64];
    struct loop *loop;
    struct metrics *metrics;
    struct spool *spool;
    struct spool_client *client;
};

static int set_up(void **state)
{
    static struct world w;
    struct err err = {0};
    memset(&w, 0, sizeof(w));
    log_setup(LOG_ERROR + 1, LOG_FORMAT_LOGFMT);
    snprintf(w.dir, sizeof(w.dir), "/tmp/og-spool-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    w.loop = loop_new(&err);
    w.metrics = metrics_new();
    w.spool = spool_open(w.dir, MIB, NULL, w.metrics, &err);
    if (!w.spool)
        fail_msg("%s", err.text);
    w.client = spool_client_new(w.spool, w.loop);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    DIR *list;
    struct dirent *file;
    spool_client_stop(w->client);
    spool_client_free(&w->client);
    loop_free(&w->loop);
    spool_close(&w->spool);
    metrics_free(&w->metrics);
    list = opendir(w->dir);
    while ((file = readdir(list)) != NULL) {
        char *path = mem_printf("%s/%s", w->dir, file->d_name);
        if (file->d_name[0] != '.')
            (void)unlink(path);
        mem_free(path);
    }
    closedir(list);
    return rmdir(w->dir);
}

static void done(struct spool_op *op)
{
    (*(int *)op->arg)++;
}

/* Turns the loop until so many operations have ended; fails after ten seconds. */
static void until(struct world *w, const int *ended, int wanted)
{
    uint64_t deadline = clock_mono_ns() + 10 * NS_PER_S;
    while (*ended < wanted) {
        loop_turn(w->loop, true);
        assert_true(clock_mono_ns() < deadline);
    }
    assert_int_equal(*ended, wanted);
}

static enum spool_result run(struct world *w, struct spool_op *op)
{
    int ended = 0;
    op->done = done;
    op->arg = &ended;
    spool_submit(w->client, op);
    assert_int_equal(ended, 0); /* never inside the call */
    until(w, &ended, 1);
    return op->result;
}

static struct spool_record record(const char *value, size_t len)
{
    return (struct spool_record){.topic = "dlq.g.orders",
                                 .partition = 2,
                                 .time_ms = 1000,
                                 .key = SLICE_LIT("k"),
                                 .value = {value, len}};
}

static enum spool_result put(struct world *w, const char *value, size_t len)
{
    struct spool_record rec = record(value, len);
    struct spool_op op = {.verb = SPOOL_PUT, .put = &rec};
    enum spool_result result = run(w, &op);
    spool_op_reset(&op);
    return result;
}

/* A loop that blocks wakes up by what comes, so nothing here waits for a time. */
static void test_spool_put_take_and_forget(void **state)
{
    struct world *w = *state;
    struct spool_op op = {.verb = SPOOL_TAKE};
    struct buf status = {0};
    assert_int_equal(run(w, &op), SPOOL_NONE);
    assert_int_equal(put(w, "value", 5), SPOOL_OK);
    spool_status(w->spool, &status);
    assert_non_null(strstr(status.data, "\"records\":1,"));
    assert_non_null(strstr(status.data, "\"oldest_ms\":1000,\"why\":\"\""));
    assert_int_equal(run(w, &op), SPOOL_OK);
    assert_string_equal(op.taken.topic, "dlq.g.orders");
    assert_int_equal(op.taken.partition, 2);
    assert_true(slice_equal_text(op.taken.value, "value"));
    spool_op_reset(&op);
    struct spool_op other = {.verb = SPOOL_TAKE};
    assert_int_equal(run(w, &other), SPOOL_NONE);
    op.verb = SPOOL_GIVE_BACK;
    op.whole_topic = true;
    assert_int_equal(run(w, &op), SPOOL_OK);
    op.verb = SPOOL_TAKE;
    assert_int_equal(run(w, &op), SPOOL_OK);
    spool_op_reset(&op);
    op.verb = SPOOL_FORGET;
    assert_int_equal(run(w, &op), SPOOL_OK);
    buf_reset(&status);
    spool_status(w->spool, &status);
    assert_non_null(strstr(status.data, "\"records\":0,\"bytes\":0,"));
    buf_deinit(&status);
    spool_op_reset(&op);
    spool_op_reset(&other);
}

static void test_spool_that_is_full_says_so(void **state)
{
    struct world *w = *state;
    char *value = mem_zalloc(100000);
    struct spool_record rec = record(value, 100000);
    struct spool_op op = {.verb = SPOOL_PUT, .put = &rec};
    struct buf status = {0};
    while (put(w, value, 100000) == SPOOL_OK)
        ;
    assert_int_equal(run(w, &op), SPOOL_FULL);
    assert_int_equal(op.err.code, ERR_LIMIT);
    spool_op_reset(&op);
    spool_status(w->spool, &status);
    assert_non_null(strstr(status.data, "is full"));
    buf_deinit(&status);
    mem_free(value);
}

/* Many at once: one sync for all that came in the meantime, each its own end. */
static void test_spool_takes_many_at_once(void **state)
{
    enum { MANY = 200 };
    struct world *w = *state;
    struct spool_op *ops = mem_calloc(MANY, sizeof(*ops));
    struct spool_record rec = record("v", 1);
    int ended = 0;
    for (int i = 0; i < MANY; i++) {
        ops[i] = (struct spool_op){.verb = SPOOL_PUT, .put = &rec, .done = done, .arg = &ended};
        spool_submit(w->client, &ops[i]);
    }
    until(w, &ended, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(ops[i].result, SPOOL_OK);
        spool_op_reset(&ops[i]);
    }
    mem_free(ops);
}

/* What is under way when its loop ends is completed, with what became of it. */
static void test_spool_stop_completes_what_is_under_way(void **state)
{
    struct world *w = *state;
    struct spool_record rec = record("v", 1);
    struct spool_op ops[20];
    int ended = 0;
    for (int i = 0; i < 20; i++) {
        ops[i] = (struct spool_op){.verb = SPOOL_PUT, .put = &rec, .done = done, .arg = &ended};
        spool_submit(w->client, &ops[i]);
    }
    spool_client_stop(w->client);
    assert_int_equal(ended, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ops[i].result, SPOOL_OK);
        spool_op_reset(&ops[i]);
    }
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_spool_put_take_and_forget),
        IN_WORLD(test_spool_that_is_full_says_so),
        IN_WORLD(test_spool_takes_many_at_once),
        IN_WORLD(test_spool_stop_completes_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
