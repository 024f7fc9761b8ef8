/* What the ledger's tests share. */
#include "ledger_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "ledger/scope.h"

static int order;

static void on_availability(void *ctx, bool up, const char *why)
{
    struct ledger_world *world = ctx;
    if (up)
        world->ups++;
    else
        world->downs++;
    snprintf(world->why, sizeof(world->why), "%s", why);
}

static void on_wiped(void *ctx)
{
    ((struct ledger_world *)ctx)->wipes++;
}

static void on_hold(void *ctx, const char *route, bool held, const char *by)
{
    struct ledger_world *world = ctx;
    assert_string_equal(route, "r");
    assert_non_null(by);
    world->holds++;
    world->held = held;
}

void ledger_world_make_scope(struct ledger_world *world)
{
    struct err err = {0};
    ledger_scope_free(&world->scope);
    struct ledger_scope_config scope = {.group = "g",
                                        .topic = "orders",
                                        .route = "r",
                                        .kind = world->kind,
                                        .ordered = world->ordered,
                                        .ttl_ms = 3600000,
                                        .ghost_ttl_ms = 60000,
                                        .parked_cap = 5};
    /* A scope needs a ledger for its namespace only; this one never connects. */
    struct ledger *ledger = ledger_new(world->loop, &world->config, NULL, NULL, &err);
    assert_non_null(ledger);
    world->scope = ledger_scope_new(ledger, &scope);
    ledger_free(&ledger);
}

void ledger_world_init(struct ledger_world *world, enum identity_kind kind, bool ordered,
                       const char *const *redis_options)
{
    struct err err = {0};
    memset(world, 0, sizeof(*world));
    world->kind = kind;
    world->ordered = ordered;
    world->load_lease_ms = 300;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    redis_peer_start(&world->redis, redis_options);
    snprintf(world->ns, sizeof(world->ns), "og");
    world->config = (struct redis_config){
        .unix_path = world->redis.socket, .ns = world->ns, .shards = 64, .timeout_ms = 2000};
    world->loop = loop_new(&err);
    assert_non_null(world->loop);
    ledger_world_make_scope(world);
    snprintf(world->owner.name, sizeof(world->owner.name), "orders/0");
}

static void on_fenced(void *arg, const struct err *err)
{
    assert_null(err);
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

void ledger_world_fence(struct ledger_world *world)
{
    bool done = false;
    ledger_fence(world->ledger, "g", &world->owner, on_fenced, &done);
    assert_false(done);
    ledger_world_until(world, is_true, &done, "fence");
}

void ledger_world_open(struct ledger_world *world, bool wait)
{
    struct err err = {0};
    struct ledger_events events = {on_availability, on_wiped, on_hold, world};
    world->ledger = ledger_new(world->loop, &world->config, &events, world->metrics, &err);
    if (!world->ledger)
        fail_msg("%s", err.text);
    if (!wait)
        return;
    ledger_world_until_up(world, true);
    ledger_world_fence(world);
}

void ledger_world_close(struct ledger_world *world)
{
    ledger_free(&world->ledger);
}

void ledger_world_deinit(struct ledger_world *world)
{
    ledger_free(&world->ledger);
    ledger_scope_free(&world->scope);
    loop_free(&world->loop);
    redis_peer_stop(&world->redis);
}

static void nothing(void *arg)
{
    (void)arg;
}

void ledger_world_until(struct ledger_world *world, bool (*condition)(void *arg), void *arg,
                        const char *what)
{
    uint64_t deadline = clock_mono_ns() + 60 * NS_PER_S;
    struct loop_timer tick;
    loop_timer_init(&tick, world->loop, nothing, NULL);
    while (!condition(arg)) {
        if (clock_mono_ns() > deadline)
            fail_msg("never: %s (%s)", what, world->ledger ? ledger_why_down(world->ledger) : "");
        loop_timer_set_ms(&tick, 20);
        loop_turn(world->loop, true);
    }
    loop_timer_deinit(&tick);
}

static bool is_up(void *arg)
{
    return ledger_is_up(((struct ledger_world *)arg)->ledger);
}

static bool is_down(void *arg)
{
    return !is_up(arg);
}

void ledger_world_until_up(struct ledger_world *world, bool up)
{
    ledger_world_until(world, up ? is_up : is_down, world, up ? "up" : "down");
}

static bool op_is_done(void *arg)
{
    return ((struct test_op *)arg)->done > 0;
}

void ledger_world_until_done(struct ledger_world *world, const struct test_op *op)
{
    ledger_world_until(world, op_is_done, (void *)(uintptr_t)op, op->key);
}

struct time_is_up {
    uint64_t at;
};

static bool passed(void *arg)
{
    return clock_mono_ns() >= ((struct time_is_up *)arg)->at;
}

void ledger_world_idle(struct ledger_world *world, int ms)
{
    struct time_is_up until = {clock_mono_ns() + (uint64_t)ms * NS_PER_MS};
    ledger_world_until(world, passed, &until, "time");
}

static void on_done(struct ledger_op *op)
{
    struct test_op *test = op->arg;
    test->done++;
    test->order = ++order;
}

static void prepare(struct ledger_world *world, struct test_op *op, const char *key, uint64_t n)
{
    memset(op, 0, sizeof(*op));
    snprintf(op->key, sizeof(op->key), "%s", key);
    snprintf(op->id, sizeof(op->id), "id-%llu", (unsigned long long)n);
    op->op = (struct ledger_op){.scope = world->scope,
                                .owner = &world->owner,
                                .kind = world->kind,
                                .key = slice_of(op->key),
                                .event_id = slice_of(op->id),
                                .number = n,
                                .origin_topic = SLICE_LIT("orders"),
                                .origin_leader_epoch = 3,
                                .origin_offset = (int64_t)n,
                                .lease_ms = 30000,
                                .done = on_done,
                                .arg = op};
}

const char *ledger_world_bucket(const struct ledger_world *world, const char *key)
{
    static char text[200];
    struct buf name = {0};
    struct slice bytes = {key, strlen(key)};
    if (world->scope->buckets)
        scope_add_bucket_name(&name, world->scope, scope_hash_key(world->scope, bytes));
    else
        scope_add_key_name(&name, world->scope, bytes, 'k');
    snprintf(text, sizeof(text), "%s", name.data);
    buf_deinit(&name);
    return text;
}

void ledger_world_claim(struct ledger_world *world, struct test_op *op, const char *key, uint64_t n)
{
    prepare(world, op, key, n);
    op->op.verb = LEDGER_CLAIM;
}

void ledger_world_finish(struct ledger_world *world, struct test_op *op, const char *key,
                         uint64_t n, enum ledger_fact fact)
{
    prepare(world, op, key, n);
    op->op.verb = LEDGER_FINISH;
    op->op.fact = fact;
    op->op.tier = 10000;
    op->op.copy_offset = (int64_t)(1000 + n);
    op->op.hop = 1;
}

enum ledger_code ledger_world_run(struct ledger_world *world, struct test_op *op)
{
    ledger_submit(world->ledger, &op->op);
    assert_int_equal(op->done, 0);
    ledger_world_until_done(world, op);
    assert_int_equal(op->done, 1);
    assert_false(op->op.cancelled);
    return op->op.code;
}

enum ledger_code ledger_world_claimed(struct ledger_world *world, const char *key, uint64_t n)
{
    struct test_op op;
    ledger_world_claim(world, &op, key, n);
    return ledger_world_run(world, &op);
}

enum ledger_code ledger_world_finished(struct ledger_world *world, const char *key, uint64_t n,
                                       enum ledger_fact fact)
{
    struct test_op op;
    ledger_world_finish(world, &op, key, n, fact);
    return ledger_world_run(world, &op);
}
