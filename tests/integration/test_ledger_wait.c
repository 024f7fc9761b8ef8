/*
 * redis.wait: a finish counts when enough replicas have it. A replica that stops, one that is gone,
 * and a fail-over that would lose writes without it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_load.h"
#include "redis_topology.h"

static struct sentinel_topology topology;
static struct ledger_world world;
static struct load load;

static int make_world(void **state)
{
    (void)state;
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    sentinel_topology_start(&topology, NULL, NULL);
    sentinel_topology_configure(&topology, &world.config);
    world.config.wait_replicas = 1;
    world.config.wait_timeout_ms = 50;
    world.metrics = metrics_new();
    return 0;
}

static int drop_world(void **state)
{
    (void)state;
    ledger_world_deinit(&world);
    metrics_free(&world.metrics);
    sentinel_topology_stop(&topology);
    return 0;
}

static bool says_noreplicas(void *arg)
{
    (void)arg;
    return strstr(ledger_why_down(world.ledger), "NOREPLICAS: 0 of 1 replicas") != NULL;
}

static double short_waits(void)
{
    return metric_value(metrics_counter(world.metrics, "redis_wait_short_total", "", NULL, 0));
}

/* How often the master has run a script. */
static long script_calls(void)
{
    long calls = 0;
    const char *stats = redis_peer_do(&topology.data[0].peer, "INFO commandstats");
    const char *at = strstr(stats, "cmdstat_evalsha:calls=");
    if (at)
        calls = strtol(at + strlen("cmdstat_evalsha:calls="), NULL, 10);
    return calls;
}

/* The sentinels would take a stopped replica for dead, which is of no matter; a master that is well
 * stays the master. */
static void test_finish_is_confirmed_when_the_replica_has_it(void **state)
{
    struct test_op op;
    (void)state;
    ledger_world_open(&world, true);
    assert_int_equal(ledger_world_claimed(&world, "a", 1), LEDGER_GO);
    assert_int_equal(short_waits(), 0);
    redis_peer_signal(&topology.data[1].peer, SIGSTOP);
    assert_int_equal(ledger_world_claimed(&world, "b", 1), LEDGER_GO); /* a claim does not wait */
    ledger_world_finish(&world, &op, "a", 1, LEDGER_SUCCEEDED);
    ledger_submit(world.ledger, &op.op);
    ledger_world_until(&world, says_noreplicas, NULL, "the reason");
    long before = script_calls();
    ledger_world_idle(&world, 400);
    assert_int_equal(op.done, 0);
    assert_true(short_waits() > 1);
    /* It was executed, and is not sent again: only WAIT is. */
    assert_int_equal(script_calls(), before);
    assert_int_equal(world.downs, 1);
    redis_peer_signal(&topology.data[1].peer, SIGCONT);
    ledger_world_until_done(&world, &op);
    assert_int_equal(op.op.code, LEDGER_OK);
    assert_int_equal(op.done, 1);
    assert_true(ledger_is_up(world.ledger));
    assert_int_equal(script_calls(), before);
}

static void test_connection_lost_while_unconfirmed_sends_again(void **state)
{
    struct test_op op;
    (void)state;
    ledger_world_open(&world, true);
    assert_int_equal(ledger_world_claimed(&world, "a", 1), LEDGER_GO);
    redis_peer_signal(&topology.data[1].peer, SIGSTOP);
    ledger_world_finish(&world, &op, "a", 1, LEDGER_SUCCEEDED);
    ledger_submit(world.ledger, &op.op);
    ledger_world_until(&world, says_noreplicas, NULL, "the reason");
    redis_peer_do(&topology.data[0].peer, "CLIENT KILL TYPE normal SKIPME yes");
    ledger_world_idle(&world, 300);
    assert_int_equal(op.done, 0);
    redis_peer_signal(&topology.data[1].peer, SIGCONT);
    ledger_world_until_done(&world, &op);
    assert_int_equal(op.op.code, LEDGER_LOST); /* the claim went with the first time */
    assert_int_equal(op.done, 1);
}

static void test_load_survives_a_replica_that_stops_and_goes_on(void **state)
{
    (void)state;
    world.load_lease_ms = 60000; /* none lapses, however busy the machine is */
    load_open(&load, &world, 500);
    for (int i = 0; i < 3; i++) {
        redis_peer_signal(&topology.data[1].peer, SIGSTOP);
        ledger_world_until(&world, says_noreplicas, NULL, "the reason");
        redis_peer_signal(&topology.data[1].peer, SIGCONT);
        load_run(&load, 500);
    }
    load_stop(&load);
    assert_int_equal(load.codes[LEDGER_OK], load.finished);
    assert_int_equal(load.codes[LEDGER_GO], load.finished);
    assert_int_equal(load_forgotten(&load), 0);
}

/* The old master is killed with writes on their way; the other has what was confirmed, but no
 * replica of its own until the old one is back. */
static void test_failover_forgets_nothing_that_was_confirmed(void **state)
{
    (void)state;
    load_open(&load, &world, 1000);
    redis_peer_kill(&topology.data[0].peer);
    ledger_world_until(&world, says_noreplicas, NULL, "the reason");
    redis_peer_resume(&topology.data[0].peer);
    load_run(&load, 1000);
    load_stop(&load);
    assert_int_equal(load_forgotten(&load), 0);
    assert_int_equal(world.wipes, 0);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_finish_is_confirmed_when_the_replica_has_it),
        IN_WORLD(test_connection_lost_while_unconfirmed_sends_again),
        IN_WORLD(test_load_survives_a_replica_that_stops_and_goes_on),
        IN_WORLD(test_failover_forgets_nothing_that_was_confirmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
