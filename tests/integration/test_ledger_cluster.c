/*
 * The ledger on a real cluster of three masters with a replica each: by slot, through fail-over and
 * resharding under load, and while the cluster is down. No operation is lost or done twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger/slots.h"
#include "ledger_load.h"
#include "ports.h"
#include "redis_topology.h"

#define SHARDS 16

static struct cluster_topology topology;
static struct ledger_world world;
static struct load load;

static int make_world(void **state)
{
    (void)state;
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    cluster_topology_start(&topology, NULL);
    cluster_topology_configure(&topology, &world.config);
    world.config.shards = SHARDS;
    world.metrics = metrics_new();
    ledger_world_make_scope(&world);
    return 0;
}

static int drop_world(void **state)
{
    (void)state;
    ledger_world_deinit(&world);
    metrics_free(&world.metrics);
    cluster_topology_stop(&topology);
    return 0;
}

static uint16_t slot_of_shard(int shard)
{
    char key[40];
    snprintf(key, sizeof(key), "og:{%d}:x", shard);
    return slots_of_key(slice_of(key));
}

static unsigned redirects(const char *kind)
{
    struct metric_label label = {"kind", kind};
    return (unsigned)metric_value(
        metrics_counter(world.metrics, "redis_redirects_total", "", &label, 1));
}

static bool says(void *text)
{
    return strstr(ledger_why_down(world.ledger), text) != NULL;
}

static void test_keys_go_to_the_masters_of_their_slots(void **state)
{
    (void)state;
    world.load_lease_ms = 60000; /* none lapses, however busy the machine is */
    load_open(&load, &world, 2000);
    load_stop(&load);
    assert_int_equal(load.codes[LEDGER_GO], load.finished);
    assert_int_equal(load.codes[LEDGER_OK], load.finished);
    assert_int_equal(load_forgotten(&load), 0);
    for (int i = 0; i < TOPOLOGY_MASTERS; i++)
        assert_true(redis_peer_number(&topology.nodes[i].peer, "DBSIZE") > LOAD_KEYS / 8);
    assert_int_equal(redirects("moved"), 0);
    assert_int_equal(world.downs, 0);
}

/* Parked records, events and the rest name several keys of one call. */
static void test_parked_records_are_in_the_slot_of_their_key(void **state)
{
    struct test_op op;
    (void)state;
    ledger_world_open(&world, true);
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof(key), "p%d", i);
        assert_int_equal(ledger_world_claimed(&world, key, 1), LEDGER_GO);
        assert_int_equal(ledger_world_finished(&world, key, 1, LEDGER_PARKED), LEDGER_OK);
        ledger_world_claim(&world, &op, key, 2);
        assert_int_equal(ledger_world_run(&world, &op), LEDGER_BLOCKED);
        assert_int_equal(op.op.head_offset, 1001);
    }
    assert_int_equal(redirects("moved"), 0);
}

/* ---- resharding ---- */

static bool seen(void *kind)
{
    return redirects(kind) > 0;
}

static void test_slots_moved_under_load(void **state)
{
    static char moved[] = "moved", tryagain[] = "tryagain", ask[] = "ask";
    (void)state;
    load_open(&load, &world, 1000);
    for (int shard = 0; shard < 6; shard++) {
        uint16_t slot = slot_of_shard(shard);
        int to = (cluster_topology_owner(&topology, slot) + 1) % TOPOLOGY_MASTERS;
        cluster_topology_begin_move(&topology, slot, to);
        load_run(&load, 300);
        cluster_topology_move_keys(&topology, slot, to, 7);
        load_run(&load, 300);
        while (cluster_topology_move_keys(&topology, slot, to, 100) > 0)
            continue;
        load_run(&load, 100);
        cluster_topology_end_move(&topology, slot, to);
    }
    ledger_world_until(&world, seen, moved, "MOVED");
    load_run(&load, 1000);
    load_stop(&load);
    assert_true(redirects(ask) + redirects(tryagain) > 0);
    assert_int_equal(load.codes[LEDGER_GO], load.finished);
    assert_int_equal(load_forgotten(&load), 0);
    assert_int_equal(world.wipes, 0);
    print_message("moved %u, ask %u, tryagain %u\n", redirects(moved), redirects(ask),
                  redirects(tryagain));
}

/* Half-way is where a slot may stay for long: its shard waits, says so, and the others go on. */
static void test_slot_that_stays_half_moved_is_told(void **state)
{
    static char text[] = "is being moved to another node";
    uint16_t slot = slot_of_shard(3);
    (void)state;
    load_open(&load, &world, 1000);
    int to = (cluster_topology_owner(&topology, slot) + 1) % TOPOLOGY_MASTERS;
    cluster_topology_begin_move(&topology, slot, to);
    cluster_topology_move_keys(&topology, slot, to, 7);
    ledger_world_until(&world, says, text, "the slot's trouble");
    load_run(&load, 1000);
    while (cluster_topology_move_keys(&topology, slot, to, 100) > 0)
        continue;
    cluster_topology_end_move(&topology, slot, to);
    ledger_world_until_up(&world, true);
    load_run(&load, 1000);
    load_stop(&load);
    assert_int_equal(load_forgotten(&load), 0);
}

/* ---- fail-over ---- */

static void test_failover_by_hand_under_load_forgets_nothing(void **state)
{
    (void)state;
    load_open(&load, &world, 1000);
    for (int i = 0; i < TOPOLOGY_MASTERS; i++) {
        assert_string_equal(
            redis_peer_do(&topology.nodes[i + TOPOLOGY_MASTERS].peer, "CLUSTER FAILOVER"), "OK");
        load_run(&load, 2000);
    }
    load_stop(&load);
    assert_int_equal(load_forgotten(&load), 0);
    assert_int_equal(world.wipes, 0);
    assert_int_equal(load.codes[LEDGER_FENCED], 0);
}

static void test_killed_master_is_replaced_under_load(void **state)
{
    (void)state;
    load_open(&load, &world, 1000);
    cluster_topology_kill(&topology, 1);
    ledger_world_until_up(&world, false);
    assert_non_null(strstr(ledger_why_down(world.ledger), "hash tags wait"));
    ledger_world_until_up(&world, true);
    load_run(&load, 3000);
    load_stop(&load);
    assert_int_equal(world.wipes, 0);
    assert_int_equal(load.codes[LEDGER_FENCED], 0);
    /* It comes back as a replica, and nobody minds. */
    cluster_topology_resume(&topology, 1);
    load_start(&load, &world, load.keys[0].number + 100);
    load_run(&load, 1000);
    load_stop(&load);
}

static void test_cluster_down_and_back(void **state)
{
    (void)state;
    load_open(&load, &world, 1000);
    static char down[] = "18 of 18 hash tags wait";
    cluster_topology_kill(&topology, 2 + TOPOLOGY_MASTERS);
    cluster_topology_kill(&topology, 2);
    ledger_world_until_up(&world, false);
    ledger_world_until(&world, says, down, "the others say so");
    assert_false(ledger_is_up(world.ledger));
    cluster_topology_resume(&topology, 2);
    /* It kept nothing: a third of the shards is empty, and refuses until a new token is taken. */
    ledger_world_until_up(&world, true);
    ledger_world_fence(&world);
    assert_true(world.owner.unbuilt);
    load_run(&load, 1000);
    load_stop(&load);
    assert_true(world.wipes > 0);
}

/* ---- fences ---- */

static void on_done(void *arg, const struct err *err)
{
    assert_null(err);
    *(bool *)arg = true;
}

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

static void test_older_token_is_refused_by_every_shard(void **state)
{
    struct ledger_owner newer = {.name = "orders/0"};
    struct test_op op;
    bool done = false;
    (void)state;
    ledger_world_open(&world, true);
    ledger_fence(world.ledger, "g", &newer, on_done, &done);
    ledger_world_until(&world, is_true, &done, "a newer token");
    assert_true(newer.token > world.owner.token);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "f%d", i);
        assert_int_equal(ledger_world_claimed(&world, key, 1), LEDGER_FENCED);
        ledger_world_claim(&world, &op, key, 1);
        op.op.owner = &newer;
        assert_int_equal(ledger_world_run(&world, &op), LEDGER_GO);
    }
}

/* The central hash went back, the shards did not. */
static void test_token_is_above_what_any_shard_has(void **state)
{
    uint64_t far = UINT64_C(1) << 50;
    char key[40];
    (void)state;
    ledger_world_open(&world, true);
    snprintf(key, sizeof(key), "og:{5}:f:g");
    int owner = cluster_topology_owner(&topology, slot_of_shard(5));
    redis_peer_do(&topology.nodes[owner].peer, "HSET %s orders/0 %llu", key,
                  (unsigned long long)far);
    ledger_world_fence(&world);
    assert_true(world.owner.token > far);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof(key), "f%d", i);
        assert_int_equal(ledger_world_claimed(&world, key, 1), LEDGER_GO);
    }
}

static void on_marked(void *arg, bool marked, const struct err *err)
{
    assert_null(err);
    assert_true(marked);
    *(bool *)arg = true;
}

static bool was_wiped(void *arg)
{
    return ((struct ledger_world *)arg)->wipes > 0;
}

static void test_one_master_without_its_data_is_told_and_unbuilt(void **state)
{
    bool done = false;
    (void)state;
    ledger_world_open(&world, true);
    ledger_rebuilt(world.ledger, "g", &world.owner, on_marked, &done);
    ledger_world_until(&world, is_true, &done, "built");
    ledger_world_fence(&world);
    assert_false(world.owner.unbuilt);
    ledger_world_idle(&world, 1000); /* every sentinel was looked at */
    redis_peer_do(&topology.nodes[1].peer, "FLUSHALL");
    ledger_world_until(&world, was_wiped, &world, "wiped");
    unsigned fenced = 0, gone = 0;
    for (int i = 0; i < 60; i++) {
        char key[16];
        snprintf(key, sizeof(key), "f%d", i);
        enum ledger_code code = ledger_world_claimed(&world, key, 1);
        fenced += code == LEDGER_FENCED;
        gone += code == LEDGER_GO;
    }
    assert_int_equal(fenced + gone, 60);
    assert_in_range(fenced, 1, 59);
    ledger_world_fence(&world);
    assert_true(world.owner.unbuilt);
    assert_int_equal(ledger_world_claimed(&world, "another", 1), LEDGER_GO);
    assert_int_equal(world.downs, 0);
}

/* ---- the rest ---- */

static void test_one_place_is_enough_and_a_dead_one_does_not_matter(void **state)
{
    static char nowhere[] = "127.0.0.1";
    struct redis_place places[2] = {{nowhere, ports_take()}, topology.places[2]};
    (void)state;
    world.config.places = places;
    world.config.place_count = 2;
    ledger_world_open(&world, true);
    assert_int_equal(ledger_world_claimed(&world, "a", 1), LEDGER_GO);
    ledger_world_close(&world);
}

static void test_server_that_is_no_cluster_is_told(void **state)
{
    static char text[] = "cluster support disabled";
    static char host[] = "127.0.0.1";
    struct redis_place place = {host, redis_peer_listen(&world.redis)};
    (void)state;
    world.config.places = &place;
    world.config.place_count = 1;
    ledger_world_open(&world, false);
    ledger_world_until(&world, says, text, "the reason");
    ledger_world_close(&world);
}

static void test_other_number_of_shards_is_refused(void **state)
{
    static char text[] = "set redis.shards to 16";
    (void)state;
    ledger_world_open(&world, true);
    ledger_world_close(&world);
    world.config.shards = 8;
    struct test_op op;
    ledger_world_make_scope(&world);
    ledger_world_open(&world, false);
    ledger_world_claim(&world, &op, "a", 1);
    ledger_submit(world.ledger, &op.op);
    ledger_world_until(&world, says, text, "the reason");
    ledger_world_idle(&world, 200);
    assert_int_equal(op.done, 0);
    assert_false(ledger_is_up(world.ledger));
    ledger_world_close(&world);
    assert_true(op.op.cancelled);
}

static bool is_held(void *arg)
{
    return ((struct ledger_world *)arg)->held;
}

struct met {
    bool done;
    enum ledger_topic found;
};

static void on_topic(void *arg, enum ledger_topic found, const struct err *err)
{
    struct met *met = arg;
    assert_null(err);
    *met = (struct met){true, found};
}

static void on_known(void *arg, bool known, const struct err *err)
{
    assert_null(err);
    assert_true(known);
    *(bool *)arg = true;
}

static void test_small_requests_find_their_slots(void **state)
{
    struct met met = {0};
    struct buf text = {0};
    bool done = false;
    (void)state;
    ledger_world_open(&world, true);
    ledger_watch_hold(world.ledger, "r");
    ledger_set_hold(world.ledger, "r", true, "a test", NULL, NULL);
    ledger_world_until(&world, is_held, &world, "the hold");
    ledger_meet_topic(world.ledger, "g", "orders", "uuid-1", on_topic, &met);
    ledger_world_until(&world, is_true, &met.done, "the topic");
    assert_int_equal(met.found, LEDGER_TOPIC_NEW);
    assert_int_equal(ledger_world_claimed(&world, "a", 7), LEDGER_GO);
    assert_int_equal(ledger_world_finished(&world, "a", 7, LEDGER_SUCCEEDED), LEDGER_OK);
    ledger_describe(world.ledger, world.scope, SLICE_LIT("a"), &text, on_known, &done);
    ledger_world_until(&world, is_true, &done, "the description");
    assert_true(text.len > 0);
    done = false;
    ledger_reset(world.ledger, world.scope, SLICE_LIT("a"), on_done, &done);
    ledger_world_until(&world, is_true, &done, "the reset");
    assert_int_equal(ledger_world_claimed(&world, "a", 7), LEDGER_GO);
    buf_deinit(&text);
}

#define IN_CLUSTER(test) cmocka_unit_test_setup_teardown(test, make_world, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_CLUSTER(test_keys_go_to_the_masters_of_their_slots),
        IN_CLUSTER(test_parked_records_are_in_the_slot_of_their_key),
        IN_CLUSTER(test_slots_moved_under_load),
        IN_CLUSTER(test_slot_that_stays_half_moved_is_told),
        IN_CLUSTER(test_failover_by_hand_under_load_forgets_nothing),
        IN_CLUSTER(test_killed_master_is_replaced_under_load),
        IN_CLUSTER(test_cluster_down_and_back),
        IN_CLUSTER(test_older_token_is_refused_by_every_shard),
        IN_CLUSTER(test_token_is_above_what_any_shard_has),
        IN_CLUSTER(test_one_master_without_its_data_is_told_and_unbuilt),
        IN_CLUSTER(test_one_place_is_enough_and_a_dead_one_does_not_matter),
        IN_CLUSTER(test_server_that_is_no_cluster_is_told),
        IN_CLUSTER(test_other_number_of_shards_is_refused),
        IN_CLUSTER(test_small_requests_find_their_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
