/* The watermark against a plain model, and the cases that lose records when they go wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kafka/watermark.h"

static void test_watermark_new_stands_at_start(void **state)
{
    (void)state;
    struct watermark *watermark = watermark_new(42);

    assert_int_equal(watermark_offset(watermark), 42);
    assert_int_equal(watermark_open(watermark), 0);
    assert_int_equal(watermark_span(watermark), 0);
    assert_int_equal(watermark_oldest_open(watermark), -1);
    watermark_free(&watermark);
    assert_null(watermark);
}

static void test_watermark_settle_out_of_order_waits_for_the_oldest(void **state)
{
    (void)state;
    struct watermark *watermark = watermark_new(10);
    uint64_t a = watermark_add(watermark, 10);
    uint64_t b = watermark_add(watermark, 11);
    uint64_t c = watermark_add(watermark, 12);

    watermark_settle(watermark, c);
    watermark_settle(watermark, b);
    assert_int_equal(watermark_offset(watermark), 10);
    assert_int_equal(watermark_oldest_open(watermark), 10);
    assert_int_equal(watermark_open(watermark), 1);
    assert_int_equal(watermark_span(watermark), 3);
    watermark_settle(watermark, a);
    assert_int_equal(watermark_offset(watermark), 13);
    assert_int_equal(watermark_span(watermark), 0);
    watermark_free(&watermark);
}

/* Guards against arithmetic on offsets: markers and compaction leave holes. */
static void test_watermark_sparse_offsets_steps_over_holes(void **state)
{
    (void)state;
    struct watermark *watermark = watermark_new(0);
    uint64_t a = watermark_add(watermark, 5);
    uint64_t b = watermark_add(watermark, INT64_C(5000000000));

    watermark_settle(watermark, a);
    assert_int_equal(watermark_offset(watermark), 6);
    assert_true(watermark_oldest_open(watermark) == INT64_C(5000000000));
    watermark_settle(watermark, b);
    assert_true(watermark_offset(watermark) == INT64_C(5000000001));
    watermark_free(&watermark);
}

/* A rebuild must not park what was dealt with out of order. */
static void test_watermark_is_settled_knows_what_is_beyond_the_mark(void **state)
{
    (void)state;
    struct watermark *watermark = watermark_new(10);

    (void)watermark_add(watermark, 10);
    for (int64_t offset = 12; offset < 400; offset += 3)
        watermark_settle(watermark, watermark_add(watermark, offset));
    (void)watermark_add(watermark, 400);
    assert_true(watermark_is_settled(watermark, 9));
    assert_false(watermark_is_settled(watermark, 10));
    assert_false(watermark_is_settled(watermark, 11)); /* no record: nothing is known of it */
    for (int64_t offset = 12; offset < 400; offset += 3)
        assert_true(watermark_is_settled(watermark, offset));
    assert_false(watermark_is_settled(watermark, 400));
    assert_false(watermark_is_settled(watermark, 401));
    watermark_free(&watermark);
}

/* A newer settled record never moves the mark past an older one that failed. */
static void test_watermark_one_open_among_many_holds_all(void **state)
{
    (void)state;
    struct watermark *watermark = watermark_new(0);
    uint64_t stuck = watermark_add(watermark, 0);

    for (int64_t offset = 1; offset < 100000; offset++)
        watermark_settle(watermark, watermark_add(watermark, offset));
    assert_int_equal(watermark_offset(watermark), 0);
    assert_int_equal(watermark_span(watermark), 100000);
    watermark_settle(watermark, stuck);
    assert_int_equal(watermark_offset(watermark), 100000);
    watermark_free(&watermark);
}

#define MODEL_RECORDS 20000

struct model {
    int64_t *offsets;
    uint64_t *slots;
    bool *settled;
    size_t count, first_open, open;
};

static int64_t model_offset(const struct model *model, int64_t start)
{
    return model->first_open == 0 ? start : model->offsets[model->first_open - 1] + 1;
}

static void model_settle_random(struct model *model, struct watermark *watermark)
{
    size_t span = model->count - model->first_open;
    size_t at = model->first_open + (size_t)rand() % (span < 300 ? span : 300);

    if (model->settled[at])
        at = model->first_open;
    model->settled[at] = true;
    model->open--;
    watermark_settle(watermark, model->slots[at]);
    while (model->first_open < model->count && model->settled[model->first_open])
        model->first_open++;
}

static void test_watermark_random_order_equals_model(void **state)
{
    (void)state;
    struct model model = {.offsets = mem_calloc(MODEL_RECORDS, sizeof(int64_t)),
                          .slots = mem_calloc(MODEL_RECORDS, sizeof(uint64_t)),
                          .settled = mem_calloc(MODEL_RECORDS, sizeof(bool))};
    struct watermark *watermark = watermark_new(7);
    int64_t offset = 7;

    srand(20240611);
    while (model.count < MODEL_RECORDS || model.open > 0) {
        if (model.count < MODEL_RECORDS && (model.open == 0 || rand() % 2 == 0)) {
            offset += rand() % 3;
            model.offsets[model.count] = offset;
            model.slots[model.count++] = watermark_add(watermark, offset++);
            model.open++;
        } else {
            model_settle_random(&model, watermark);
        }
        assert_true(watermark_offset(watermark) == model_offset(&model, 7));
        assert_int_equal(watermark_open(watermark), model.open);
        assert_int_equal(watermark_span(watermark), model.count - model.first_open);
    }
    watermark_free(&watermark);
    mem_free(model.offsets);
    mem_free(model.slots);
    mem_free(model.settled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watermark_new_stands_at_start),
        cmocka_unit_test(test_watermark_settle_out_of_order_waits_for_the_oldest),
        cmocka_unit_test(test_watermark_sparse_offsets_steps_over_holes),
        cmocka_unit_test(test_watermark_is_settled_knows_what_is_beyond_the_mark),
        cmocka_unit_test(test_watermark_one_open_among_many_holds_all),
        cmocka_unit_test(test_watermark_random_order_equals_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
