/*
 * What a partition's watermark costs a record, CPU ns: noted when it arrives, settled when it is
 * done with, and the offset to commit looked at once in a thousand. So many records are open at any
 * time; they end in the order of their arrival, in any order, or all but one that stays open for
 * long, behind which the ring grows.
 *
 *   bench_watermark [records]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../common.h"
#include "kafka/watermark.h"

#define OPEN_MAX     16384
#define COMMIT_EVERY 1000
#define STUCK_FOR    1000000

enum order {
    IN_ORDER,
    ANY_ORDER,
    ONE_STUCK, /* any order, but of each STUCK_FOR records the first is settled last */
};

static const char *const order_names[] = {"in-order", "any-order", "one-stuck"};

struct bench {
    struct watermark *watermark;
    uint64_t slots[OPEN_MAX]; /* open ones, in no order but for IN_ORDER, where it is a ring */
    uint64_t random;
    int64_t offset;
};

static uint64_t add(struct bench *bench)
{
    return watermark_add(bench->watermark, bench->offset++);
}

/* The place in slots of the one that ends now; a power of two is open. */
static size_t next(struct bench *bench, enum order order, size_t open, uint64_t i)
{
    return (size_t)(order == IN_ORDER ? i : draw_from(&bench->random)) & (open - 1);
}

static void run(struct bench *bench, enum order order, size_t open, uint64_t total)
{
    size_t span = 0;
    uint64_t stuck = 0;
    int64_t committed = 0;
    bench->offset = 0;
    bench->watermark = watermark_new(0);
    if (order == ONE_STUCK)
        stuck = add(bench);
    for (size_t i = 0; i < open; i++)
        bench->slots[i] = add(bench);
    clock_t began = clock();
    for (uint64_t i = 0; i < total; i++) {
        size_t at = next(bench, order, open, i);
        watermark_settle(bench->watermark, bench->slots[at]);
        bench->slots[at] = add(bench);
        if (order == ONE_STUCK && i % STUCK_FOR == STUCK_FOR - 1) {
            size_t now = watermark_span(bench->watermark);
            span = now > span ? now : span;
            watermark_settle(bench->watermark, stuck);
            stuck = add(bench);
        }
        if (i % COMMIT_EVERY == 0)
            committed = watermark_offset(bench->watermark);
    }
    double took_ns = (double)(clock() - began) / CLOCKS_PER_SEC * 1e9 / (double)total;
    size_t now = watermark_span(bench->watermark);
    printf("order=%s open=%zu span=%zu records=%llu cpu_ns_per_record=%.1f\n", order_names[order],
           open, now > span ? now : span, (unsigned long long)total, took_ns);
    if (committed > bench->offset ||
        watermark_open(bench->watermark) != open + (order == ONE_STUCK)) {
        fprintf(stderr, "the watermark does not fit what was settled\n");
        exit(1);
    }
    watermark_free(&bench->watermark);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.random = DRAW_FIRST};
    uint64_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
    if (total == 0)
        return 64;
    for (size_t open = 64; open <= OPEN_MAX; open *= 16) {
        run(&bench, IN_ORDER, open, total);
        run(&bench, ANY_ORDER, open, total);
        run(&bench, ONE_STUCK, open, total);
    }
    return 0;
}
