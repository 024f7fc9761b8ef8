/*
 * The ledger behind real sentinels: the master is found by its name and followed when it moves,
 * under load, and no operation is lost or done twice on the way.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_load.h"
#include "redis_topology.h"

static struct sentinel_topology topology;
static struct ledger_world world;
static struct load load;

/* The world's own server stays unused. */
static int make_world(void **state)
{
    (void)state;
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    sentinel_topology_start(&topology, NULL, NULL);
    sentinel_topology_configure(&topology, &world.config);
    return 0;
}

static int make_guarded_world(void **state)
{
    static char user[] = "watcher", password[] = "hush";
    (void)state;
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    sentinel_topology_start(&topology, password, NULL);
    sentinel_topology_configure(&topology, &world.config);
    world.config.sentinel_username = user;
    world.config.sentinel_password = password;
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++)
        redis_peer_do(&topology.sentinels[i].peer, "ACL SETUSER default resetpass -@all +auth");
    return 0;
}

static int drop_world(void **state)
{
    (void)state;
    ledger_world_deinit(&world);
    sentinel_topology_stop(&topology);
    return 0;
}

/* What is written now stands there at once, and it is a master. */
static bool serves(int i)
{
    static unsigned n;
    char key[40];
    struct redis_peer *peer = &topology.data[i].peer;
    snprintf(key, sizeof(key), "probe-%u", ++n);
    ledger_set_hold(world.ledger, key, true, "a test", NULL, NULL);
    assert_int_equal(ledger_world_claimed(&world, key, 1), LEDGER_GO);
    return strstr(redis_peer_do(peer, "INFO replication"), "role:master") &&
           redis_peer_number(peer, "HEXISTS og:{meta}:holds %s", key) == 1;
}

static bool second_is_named(void *arg)
{
    (void)arg;
    return sentinel_topology_master(&topology) == 1;
}

/* The sentinels agree a moment before the ledger has asked them, or was thrown out. */
static bool second_serves(void *arg)
{
    (void)arg;
    return sentinel_topology_master(&topology) == 1 && serves(1);
}

static void test_master_is_found_by_its_name(void **state)
{
    (void)state;
    ledger_world_open(&world, true);
    assert_int_equal(ledger_world_claimed(&world, "a", 1), LEDGER_GO);
    assert_true(serves(0));
    assert_int_equal(world.wipes, 0);
}

static void test_failover_by_hand_is_followed_under_load(void **state)
{
    (void)state;
    load_open(&load, &world, 2000);
    assert_string_equal(redis_peer_do(&topology.sentinels[0].peer, "SENTINEL FAILOVER m"), "OK");
    ledger_world_until(&world, second_serves, NULL, "the other master");
    load_run(&load, 2000);
    load_stop(&load);
    assert_true(serves(1));
    assert_true(world.downs > 0);
    assert_int_equal(world.wipes, 0);
    assert_int_equal(load.codes[LEDGER_FENCED], 0);
}

static void test_killed_master_is_replaced_under_load(void **state)
{
    (void)state;
    load_open(&load, &world, 2000);
    redis_peer_kill(&topology.data[0].peer);
    load_run(&load, 2000);
    ledger_world_until(&world, second_is_named, NULL, "the sentinels agree");
    load_stop(&load);
    assert_int_equal(world.wipes, 0);
    /* The old one comes back as a replica of the new, and nobody goes to it. */
    redis_peer_resume(&topology.data[0].peer);
    load_start(&load, &world, load.keys[0].number);
    load_stop(&load);
    assert_true(serves(1));
}

/* A hung server answers nobody: the client's own timeout has to end it. */
static void test_frozen_master_is_left(void **state)
{
    (void)state;
    world.config.timeout_ms = 500;
    load_open(&load, &world, 500);
    redis_peer_signal(&topology.data[0].peer, SIGSTOP);
    load_run(&load, 500);
    ledger_world_until(&world, second_is_named, NULL, "the sentinels agree");
    redis_peer_signal(&topology.data[0].peer, SIGCONT);
    load_run(&load, 500);
    load_stop(&load);
    assert_true(serves(1));
}

/* One that was set up after the fail-over with the old address, and hears of no other: its master
 * is dead, and nobody tells it. It stands first in the list. */
static void test_sentinel_that_is_behind_is_outvoted_by_the_epoch(void **state)
{
    static struct sentinel_topology apart;
    (void)state;
    redis_peer_kill(&topology.data[0].peer);
    ledger_world_until(&world, second_is_named, NULL, "the sentinels agree");
    snprintf(apart.config, sizeof(apart.config), "sentinel monitor m 127.0.0.1 %u 2\n",
             (unsigned)topology.data[0].port);
    sentinel_topology_add(&apart, 0);
    topology.places[2] = topology.places[0];
    topology.places[0] = (struct redis_place){topology.host, apart.sentinels[0].port};
    ledger_world_open(&world, true);
    assert_true(serves(1));
    ledger_world_idle(&world, 1200);
    assert_true(ledger_is_up(world.ledger));
    assert_int_equal(world.ups, 1);
    redis_peer_stop(&apart.sentinels[0].peer);
}

static bool says(void *text)
{
    return strstr(ledger_why_down(world.ledger), text) != NULL;
}

static void test_unknown_name_is_told(void **state)
{
    static char name[] = "another", text[] = "knows no master named another";
    (void)state;
    world.config.master = name;
    ledger_world_open(&world, false);
    ledger_world_until(&world, says, text, "the name's trouble");
}

static void test_all_sentinels_away_then_back(void **state)
{
    static char text[] = "no sentinel names the master m";
    (void)state;
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++)
        redis_peer_kill(&topology.sentinels[i].peer);
    ledger_world_open(&world, false);
    ledger_world_until(&world, says, text, "no sentinel");
    redis_peer_resume(&topology.sentinels[1].peer);
    ledger_world_until_up(&world, true);
    /* And while the master works, nobody needs them. */
    redis_peer_kill(&topology.sentinels[1].peer);
    ledger_world_fence(&world);
    assert_int_equal(ledger_world_claimed(&world, "a", 1), LEDGER_GO);
    ledger_world_idle(&world, 300);
    assert_true(ledger_is_up(world.ledger));
}

static void test_sentinels_want_a_login_of_their_own(void **state)
{
    (void)state;
    ledger_world_open(&world, true);
    assert_int_equal(ledger_world_claimed(&world, "a", 1), LEDGER_GO);
}

static void test_wrong_password_of_the_sentinels_is_told(void **state)
{
    static char wrong[] = "wrong", text[] = "WRONGPASS";
    (void)state;
    world.config.sentinel_password = wrong;
    ledger_world_open(&world, false);
    ledger_world_until(&world, says, text, "the password's trouble");
}

#define WITH(make, test) cmocka_unit_test_setup_teardown(test, make, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(make_world, test_master_is_found_by_its_name),
        WITH(make_world, test_failover_by_hand_is_followed_under_load),
        WITH(make_world, test_killed_master_is_replaced_under_load),
        WITH(make_world, test_frozen_master_is_left),
        WITH(make_world, test_sentinel_that_is_behind_is_outvoted_by_the_epoch),
        WITH(make_world, test_unknown_name_is_told),
        WITH(make_world, test_all_sentinels_away_then_back),
        WITH(make_guarded_world, test_sentinels_want_a_login_of_their_own),
        WITH(make_guarded_world, test_wrong_password_of_the_sentinels_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
