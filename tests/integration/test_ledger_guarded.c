/*
 * Sentinels and a cluster that speak TLS only, and a user who may do no more than
 * docs/operations.md says that the ledger needs: found, used, followed through a fail-over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "handler_certs.h"
#include "ledger_load.h"
#include "redis_topology.h"

/* As in docs/operations.md. */
#define RIGHTS                                                                                     \
    "~og:* +@read +@write -@dangerous +@scripting +@connection +info +role +wait +time "           \
    "+cluster|slots"

static struct cert *authority, *server_cert;
static struct topology_tls tls;
static struct ledger_world world;
static struct load load;
static char user[] = "gateway", password[] = "hush", server_name[] = "redis.test";

static void give_user(struct redis_peer *peer)
{
    assert_string_equal(redis_peer_do(peer, "ACL SETUSER %s on >%s " RIGHTS, user, password), "OK");
}

static void make_world(void)
{
    ledger_world_init(&world, IDENTITY_SEQUENCE, true, NULL);
    world.config.tls_on = true;
    world.config.tls.ca_file = authority->cert_file;
    world.config.tls.server_name = server_name;
    world.config.username = user;
    world.config.password = password;
}

static void test_sentinels_by_tls_with_few_rights(void **state)
{
    static struct sentinel_topology topology;
    (void)state;
    sentinel_topology_start(&topology, NULL, &tls);
    make_world();
    sentinel_topology_configure(&topology, &world.config);
    for (int i = 0; i < 2; i++)
        give_user(&topology.data[i].peer);
    ledger_world_open(&world, true);
    load_start(&load, &world, 1);
    load_run(&load, 500);
    redis_peer_do(&topology.sentinels[0].peer, "SENTINEL FAILOVER m");
    ledger_world_until_up(&world, false);
    ledger_world_until_up(&world, true);
    load_run(&load, 500);
    load_stop(&load);
    ledger_world_deinit(&world);
    sentinel_topology_stop(&topology);
}

static void test_cluster_by_tls_with_few_rights(void **state)
{
    static struct cluster_topology topology;
    (void)state;
    cluster_topology_start(&topology, &tls);
    make_world();
    cluster_topology_configure(&topology, &world.config);
    world.config.shards = 12;
    ledger_world_make_scope(&world);
    for (int i = 0; i < TOPOLOGY_NODES; i++)
        give_user(&topology.nodes[i].peer);
    ledger_world_open(&world, true);
    load_start(&load, &world, 1);
    load_run(&load, 500);
    for (int i = 0; i < TOPOLOGY_MASTERS; i++)
        redis_peer_do(&topology.nodes[i + TOPOLOGY_MASTERS].peer, "CLUSTER FAILOVER");
    load_run(&load, 1000);
    load_stop(&load);
    assert_int_equal(load_forgotten(&load), 0);
    ledger_world_deinit(&world);
    cluster_topology_stop(&topology);
}

static int make_certs(void **state)
{
    (void)state;
    authority = cert_new("Test Authority", NULL, NULL, -1, 2);
    server_cert = cert_new(server_name, "DNS:redis.test", authority, -1, 2);
    tls = (struct topology_tls){server_cert->cert_file, server_cert->key_file,
                                authority->cert_file};
    return 0;
}

static int drop_certs(void **state)
{
    (void)state;
    cert_free(&server_cert);
    cert_free(&authority);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentinels_by_tls_with_few_rights),
        cmocka_unit_test(test_cluster_by_tls_with_few_rights),
    };
    return cmocka_run_group_tests(tests, make_certs, drop_certs);
}
