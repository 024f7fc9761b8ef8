/* The watcher; see demo_watch.h. Commits nothing: it always begins at the beginning. */
#include "demo_watch.h"

#include <string.h>

#include "base/mem.h"
#include "kafka/consumer.h"

#define BUDGET         500
#define PARTITIONS_MAX ((DEMO_TIERS + 1) * DEMO_PARTITIONS)
#define PREFETCH_BYTES (4u << 20)
#define LEAVE_MS       1000

struct demo_watch {
    struct demo_book *book;
    struct kafka_consumer *consumer;
    struct route_config route;    /* of which the consumer wants the name and the group */
    char *topics[DEMO_TIERS + 1]; /* the tiers, then the dead letters */
    size_t topic_count;
    struct kafka_partition *partitions[PARTITIONS_MAX];
    size_t partition_count;
};

static void on_missing(void *ctx, const struct kafka_missing_offset *items, size_t count)
{
    struct demo_watch *watch = ctx;
    enum offset_start *starts = mem_calloc(count, sizeof(*starts));
    (void)items;
    for (size_t i = 0; i < count; i++)
        starts[i] = OFFSET_EARLIEST;
    kafka_consumer_start_missing(watch->consumer, starts, count);
    mem_free(starts);
}

static void on_assigned(void *ctx, struct kafka_partition **partitions, size_t count)
{
    struct demo_watch *watch = ctx;
    watch->partition_count = count < PARTITIONS_MAX ? count : PARTITIONS_MAX;
    memcpy(watch->partitions, partitions,
           watch->partition_count * sizeof(struct kafka_partition *));
}

static void on_revoked(void *ctx, bool lost)
{
    struct demo_watch *watch = ctx;
    watch->partition_count = 0;
    if (!lost)
        kafka_consumer_revoke_done(watch->consumer);
}

static void take(struct demo_watch *watch, const struct record *rec)
{
    enum order_kind kind;
    uint32_t order = 0;
    if (!demo_order_read(rec->value, &order, &kind))
        return;
    for (size_t i = 0; i + 1 < watch->topic_count; i++) {
        if (slice_equal_text(rec->topic, watch->topics[i]))
            demo_book_parked(watch->book, i);
    }
    if (slice_equal_text(rec->topic, watch->topics[watch->topic_count - 1]))
        demo_book_dead(watch->book, order);
}

static void on_readable(void *ctx)
{
    struct demo_watch *watch = ctx;
    struct record rec;
    int budget = BUDGET;
    for (size_t i = 0; i < watch->partition_count; i++) {
        while (budget > 0 && kafka_consumer_take(watch->consumer, watch->partitions[i], &rec) ==
                                 KAFKA_TAKE_RECORD) {
            take(watch, &rec);
            record_release(&rec);
            budget--;
        }
    }
    if (budget == 0)
        kafka_consumer_rearm(watch->consumer);
}

static void on_out_of_range(void *ctx, struct kafka_partition *partition, int64_t offset)
{
    (void)ctx;
    (void)partition;
    (void)offset;
}

static void on_trouble(void *ctx, const struct err *err)
{
    (void)ctx;
    (void)err;
}

struct demo_watch *demo_watch_new(struct loop *loop, const struct config *config,
                                  const struct route_config *route, struct demo_book *book,
                                  struct err *err)
{
    struct demo_watch *watch = mem_zalloc(sizeof(*watch));
    struct kafka_consumer_events events = {.ctx = watch,
                                           .missing = on_missing,
                                           .assigned = on_assigned,
                                           .revoked = on_revoked,
                                           .readable = on_readable,
                                           .out_of_range = on_out_of_range,
                                           .trouble = on_trouble};
    struct kafka_consumer_config wanted = {
        .config = config, .route = &watch->route, .prefetch_bytes = PREFETCH_BYTES};
    watch->book = book;
    watch->route.name = mem_strdup("demo-watch");
    watch->route.group = mem_printf("%s-watch", route->group);
    for (size_t i = 0; i < DEMO_TIERS && i < route->retry.tier_count; i++)
        watch->topics[watch->topic_count++] = config_tier_topic(route, route->topics[0],
                                                                route->retry.tiers_ms[i]);
    watch->topics[watch->topic_count++] = config_dlq_topic(route, route->topics[0]);
    wanted.topics = (const char **)watch->topics;
    wanted.topic_count = watch->topic_count;
    watch->consumer = kafka_consumer_new(loop, &wanted, &events, err);
    if (!watch->consumer)
        demo_watch_free(&watch);
    return watch;
}

void demo_watch_free(struct demo_watch **pointer)
{
    struct demo_watch *watch = *pointer;
    if (!watch)
        return;
    *pointer = NULL;
    kafka_consumer_free(&watch->consumer, LEAVE_MS);
    for (size_t i = 0; i < watch->topic_count; i++)
        mem_free(watch->topics[i]);
    mem_free(watch->route.name);
    mem_free(watch->route.group);
    mem_free(watch);
}
