/*
 * What the lanes cost a record, CPU ns: found or made by its key, put in, woken, taken out in its
 * turn, done with. As many records as the window has stand in the lanes at any time; the one that
 * is ready longest ends, then the next one comes.
 *
 *   bench_lane [records]
 *
 * A line for each shape: how many keys the records are of, and how many of them are in memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../common.h"
#include "base/mem.h"
#include "flow/lane.h"

#define WINDOW_MAX 16384

struct shape {
    uint64_t keys;
    size_t window;
};

struct bench {
    struct lane_table *table;
    struct delivery *deliveries; /* WINDOW_MAX */
    struct delivery *free[WINDOW_MAX];
    size_t free_count;
    uint64_t random;
};

/* Eight hexadecimal digits, for printf would cost as much as a lane. */
static void write_key(uint64_t number, char out[static 8])
{
    for (int i = 7; i >= 0; i--, number >>= 4)
        out[i] = "0123456789abcdef"[number & 15];
}

static void one_in(struct bench *bench, uint64_t keys)
{
    char key[8];
    struct delivery *d = bench->free[--bench->free_count];
    write_key(draw_from(&bench->random) % keys, key);
    lane_push(bench->table, lane_get(bench->table, 0, 'k', (struct slice){key, sizeof(key)}), d);
}

static void one_out(struct bench *bench)
{
    struct lane *lane = lane_pop_ready(bench->table);
    struct delivery *d = lane ? lane_next(lane) : NULL;
    if (!d) {
        fprintf(stderr, "no lane is ready, and yet records stand in them\n");
        exit(1);
    }
    lane->current = NULL;
    lane_done(bench->table, lane);
    bench->free[bench->free_count++] = d;
}

static void run(struct bench *bench, const struct shape *shape, uint64_t total)
{
    bench->table = lane_table_new();
    bench->free_count = 0;
    for (size_t i = 0; i < shape->window; i++)
        bench->free[bench->free_count++] = &bench->deliveries[i];
    while (bench->free_count > 0)
        one_in(bench, shape->keys);
    size_t lanes = lane_table_count(bench->table);
    clock_t began = clock();
    for (uint64_t i = 0; i < total; i++) {
        one_out(bench);
        one_in(bench, shape->keys);
    }
    double took_ns = (double)(clock() - began) / CLOCKS_PER_SEC * 1e9 / (double)total;
    printf("keys=%llu in_memory=%zu lanes=%zu records=%llu cpu_ns_per_record=%.0f\n",
           (unsigned long long)shape->keys, shape->window, lanes, (unsigned long long)total,
           took_ns);
    while (bench->free_count < shape->window)
        one_out(bench);
    lane_table_free(&bench->table);
}

int main(int argc, char **argv)
{
    static const struct shape shapes[] = {{10000, 64},   {10000, 1024},   {10000, WINDOW_MAX},
                                          {1000000, 64}, {1000000, 1024}, {1000000, WINDOW_MAX},
                                          {1, 1024}};
    static struct bench bench = {.random = DRAW_FIRST};
    uint64_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    if (total == 0)
        return 64;
    bench.deliveries = mem_calloc(WINDOW_MAX, sizeof(*bench.deliveries));
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        run(&bench, &shapes[i], total);
    mem_free(bench.deliveries);
    return 0;
}
