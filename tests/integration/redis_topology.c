/* Starts servers that belong together, and waits until they know each other. */
#include "redis_topology.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/slots.h"
#include "ports.h"

#define TRIES 1500 /* of 10 ms */

static void give_up(const char *what)
{
    fprintf(stderr, "redis topology: %s\n", what);
    exit(1);
}

static void add_words(struct topology_node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_words(struct topology_node *node, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t at = 0;
    while (node->words[at][0])
        at++;
    char *save = NULL;
    for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
        snprintf(node->words[at++], sizeof(node->words[0]), "%s", word);
}

static void add_port(struct topology_node *node, const struct topology_tls *tls)
{
    node->port = ports_take();
    if (!tls) {
        add_words(node, "--port %u", (unsigned)node->port);
        return;
    }
    add_words(node, "--tls-port %u --tls-cert-file %s --tls-key-file %s --tls-ca-cert-file %s",
              (unsigned)node->port, tls->cert_file, tls->key_file, tls->ca_file);
    add_words(node, "--tls-auth-clients no --tls-replication yes --tls-cluster yes");
}

static void start_node(struct topology_node *node, const char *config)
{
    const char *options[33] = {0};
    for (size_t i = 0; i < 32 && node->words[i][0]; i++)
        options[i] = node->words[i];
    redis_peer_start_with(&node->peer, config, options);
}

static void wait_for(bool (*condition)(void *arg), void *arg, const char *what)
{
    for (int i = 0; i < TRIES; i++) {
        if (condition(arg))
            return;
        poll(NULL, 0, 10);
    }
    give_up(what);
}

/* ---- a master, a replica, three sentinels ---- */

static bool has_loaded(void *replica)
{
    return strstr(redis_peer_do(replica, "INFO replication"), "master_link_status:up") != NULL;
}

static bool has_read_on(void *replica)
{
    return strcmp(redis_peer_do(replica, "GET {topology}"), "1") == 0;
}

/* A replica calls itself linked up to a second before its master sends it what is written. */
static void wait_for_replica(struct redis_peer *master, struct redis_peer *replica)
{
    wait_for(has_loaded, replica, "the replica does not follow");
    redis_peer_do(master, "SET {topology} 1 PX 60000");
    wait_for(has_read_on, replica, "the replica reads nothing");
}

static bool sentinels_know_all(void *arg)
{
    struct sentinel_topology *topology = arg;
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++) {
        const char *info = redis_peer_do(&topology->sentinels[i].peer, "INFO sentinel");
        if (!strstr(info, "slaves=1,sentinels=3"))
            return false;
    }
    return true;
}

void sentinel_topology_add(struct sentinel_topology *topology, size_t i)
{
    struct topology_node *node = &topology->sentinels[i];
    add_words(node, "--sentinel");
    add_port(node, topology->tls);
    start_node(node, topology->config);
    redis_peer_do(&node->peer, "SENTINEL DEBUG info-period 200 ping-period 100 ask-period 100 "
                               "publish-period 100");
    /* One that was not run for two seconds, on a busy machine, does nothing for half a minute. */
    redis_peer_do(&node->peer, "SENTINEL DEBUG tilt-trigger 20000 tilt-period 1000");
    topology->places[i] = (struct redis_place){topology->host, node->port};
}

void sentinel_topology_start(struct sentinel_topology *topology, const char *password,
                             const struct topology_tls *tls)
{
    memset(topology, 0, sizeof(*topology));
    topology->tls = tls;
    snprintf(topology->host, sizeof(topology->host), "127.0.0.1");
    for (size_t i = 0; i < 2; i++) {
        struct topology_node *node = &topology->data[i];
        add_port(node, tls);
        add_words(node, "--repl-diskless-sync-delay 0");
        if (i)
            add_words(node, "--replicaof 127.0.0.1 %u", (unsigned)topology->data[0].port);
        start_node(node, NULL);
    }
    wait_for_replica(&topology->data[0].peer, &topology->data[1].peer);
    int len = snprintf(topology->config, sizeof(topology->config),
                       "sentinel monitor m 127.0.0.1 %u 2\n"
                       "sentinel down-after-milliseconds m 500\n"
                       "sentinel failover-timeout m 2000\n",
                       (unsigned)topology->data[0].port);
    if (password)
        snprintf(topology->config + len, sizeof(topology->config) - (size_t)len,
                 "user watcher on >%s -@all +auth +sentinel|master "
                 "+sentinel|get-master-addr-by-name\n",
                 password);
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++)
        sentinel_topology_add(topology, i);
    wait_for(sentinels_know_all, topology, "the sentinels do not find each other");
    /* A sentinel that has not heard of a promotion within four periods takes it back. */
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++)
        redis_peer_do(&topology->sentinels[i].peer, "SENTINEL DEBUG publish-period 1000");
}

void sentinel_topology_stop(struct sentinel_topology *topology)
{
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++)
        redis_peer_stop(&topology->sentinels[i].peer);
    for (size_t i = 0; i < 2; i++)
        redis_peer_stop(&topology->data[i].peer);
}

void sentinel_topology_configure(struct sentinel_topology *topology, struct redis_config *config)
{
    static char name[] = "m";
    config->kind = REDIS_SENTINEL;
    config->unix_path = NULL;
    config->places = topology->places;
    config->place_count = TOPOLOGY_SENTINELS;
    config->master = name;
}

static unsigned named_port(struct redis_peer *sentinel)
{
    unsigned port = 0;
    redisReply *reply = redisCommand(sentinel->admin, "SENTINEL GET-MASTER-ADDR-BY-NAME m");
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2)
        port = (unsigned)strtoul(reply->element[1]->str, NULL, 10);
    freeReplyObject(reply);
    return port;
}

int sentinel_topology_master(struct sentinel_topology *topology)
{
    unsigned port = 0;
    for (size_t i = 0; i < TOPOLOGY_SENTINELS; i++) {
        if (!topology->sentinels[i].peer.admin)
            continue;
        unsigned named = named_port(&topology->sentinels[i].peer);
        if (port && named != port)
            return -1;
        port = named;
    }
    for (int i = 0; i < 2; i++) {
        if (topology->data[i].port == port)
            return i;
    }
    return -1;
}

/* ---- a cluster ---- */

static bool all_say(struct cluster_topology *topology, const char *text)
{
    for (int i = 0; i < TOPOLOGY_NODES; i++) {
        struct redis_peer *peer = &topology->nodes[i].peer;
        if (peer->admin && !strstr(redis_peer_do(peer, "CLUSTER INFO"), text))
            return false;
    }
    return true;
}

static bool nodes_know_all(void *arg)
{
    return all_say(arg, "cluster_known_nodes:6");
}

static bool cluster_is_well(void *arg)
{
    return all_say(arg, "cluster_state:ok");
}

struct pair {
    struct cluster_topology *topology;
    int master, replica;
};

static bool is_followed(void *arg)
{
    struct pair *pair = arg;
    return strcmp(redis_peer_do(&pair->topology->nodes[pair->replica].peer, "CLUSTER REPLICATE %s",
                                pair->topology->nodes[pair->master].id),
                  "OK") == 0;
}

/* A key that the master serves. */
static void key_of_master(int master, char *out, size_t size)
{
    uint16_t slot;
    for (int n = 0;; n++) {
        snprintf(out, size, "{topology-%d}", n);
        slot = slots_of_key(slice_of(out));
        if (slot * TOPOLOGY_MASTERS / SLOTS_COUNT == master)
            return;
    }
}

struct mark {
    struct redis_peer *replica;
    char key[40];
};

static bool has_mark(void *arg)
{
    struct mark *mark = arg;
    redis_peer_do(mark->replica, "READONLY");
    return strcmp(redis_peer_do(mark->replica, "GET %s", mark->key), "1") == 0;
}

static void start_replica(struct cluster_topology *topology, int master)
{
    struct pair pair = {topology, master, master + TOPOLOGY_MASTERS};
    struct mark mark = {.replica = &topology->nodes[pair.replica].peer};
    wait_for(is_followed, &pair, "a replica does not know its master");
    wait_for(has_loaded, mark.replica, "a replica does not follow");
    key_of_master(master, mark.key, sizeof(mark.key));
    redis_peer_do(&topology->nodes[master].peer, "SET %s 1 PX 60000", mark.key);
    wait_for(has_mark, &mark, "a replica reads nothing");
}

static void start_cluster_node(struct cluster_topology *topology, int i,
                               const struct topology_tls *tls)
{
    struct topology_node *node = &topology->nodes[i];
    uint16_t bus = ports_take();
    add_port(node, tls);
    add_words(node, "--cluster-port %u --cluster-enabled yes", (unsigned)bus);
    add_words(node, "--cluster-node-timeout 1000 --repl-diskless-sync-delay 0 "
                    "--cluster-replica-validity-factor 0");
    start_node(node, NULL);
    snprintf(node->id, sizeof(node->id), "%s", redis_peer_do(&node->peer, "CLUSTER MYID"));
    if (i < TOPOLOGY_MASTERS) {
        redis_peer_do(&node->peer, "CLUSTER SET-CONFIG-EPOCH %d", i + 1);
        redis_peer_do(&node->peer, "CLUSTER ADDSLOTSRANGE %d %d",
                      (SLOTS_COUNT * i + TOPOLOGY_MASTERS - 1) / TOPOLOGY_MASTERS,
                      (SLOTS_COUNT * (i + 1) + TOPOLOGY_MASTERS - 1) / TOPOLOGY_MASTERS - 1);
        topology->places[i] = (struct redis_place){topology->host, node->port};
    }
    if (i)
        redis_peer_do(&topology->nodes[0].peer, "CLUSTER MEET 127.0.0.1 %u %u",
                      (unsigned)node->port, (unsigned)bus);
}

void cluster_topology_start(struct cluster_topology *topology, const struct topology_tls *tls)
{
    memset(topology, 0, sizeof(*topology));
    snprintf(topology->host, sizeof(topology->host), "127.0.0.1");
    for (int i = 0; i < TOPOLOGY_NODES; i++)
        start_cluster_node(topology, i, tls);
    wait_for(nodes_know_all, topology, "the nodes do not find each other");
    wait_for(cluster_is_well, topology, "the cluster is not well");
    for (int i = 0; i < TOPOLOGY_MASTERS; i++)
        start_replica(topology, i);
}

void cluster_topology_stop(struct cluster_topology *topology)
{
    for (int i = 0; i < TOPOLOGY_NODES; i++)
        redis_peer_stop(&topology->nodes[i].peer);
}

void cluster_topology_configure(struct cluster_topology *topology, struct redis_config *config)
{
    config->kind = REDIS_CLUSTER;
    config->unix_path = NULL;
    config->places = topology->places;
    config->place_count = TOPOLOGY_MASTERS;
}

int cluster_topology_owner(struct cluster_topology *topology, uint16_t slot)
{
    int owner = -1;
    int first = 0;
    while (first < TOPOLOGY_NODES - 1 && !topology->nodes[first].peer.admin)
        first++;
    redisReply *reply = redisCommand(topology->nodes[first].peer.admin, "CLUSTER SLOTS");
    for (size_t i = 0; reply && i < reply->elements; i++) {
        redisReply *range = reply->element[i];
        if (range->element[0]->integer > slot || range->element[1]->integer < slot)
            continue;
        for (int n = 0; n < TOPOLOGY_NODES; n++) {
            if (topology->nodes[n].port == range->element[2]->element[1]->integer)
                owner = n;
        }
    }
    freeReplyObject(reply);
    return owner;
}

void cluster_topology_begin_move(struct cluster_topology *topology, uint16_t slot, int to)
{
    int from = cluster_topology_owner(topology, slot);
    redis_peer_do(&topology->nodes[to].peer, "CLUSTER SETSLOT %u IMPORTING %s", (unsigned)slot,
                  topology->nodes[from].id);
    redis_peer_do(&topology->nodes[from].peer, "CLUSTER SETSLOT %u MIGRATING %s", (unsigned)slot,
                  topology->nodes[to].id);
}

int cluster_topology_move_keys(struct cluster_topology *topology, uint16_t slot, int to, int most)
{
    struct redis_peer *from = &topology->nodes[cluster_topology_owner(topology, slot)].peer;
    redisReply *keys = redisCommand(from->admin, "CLUSTER GETKEYSINSLOT %u %d", (unsigned)slot,
                                    most);
    int count = keys ? (int)keys->elements : 0;
    for (int i = 0; i < count; i++) {
        redisReply *done = redisCommand(from->admin, "MIGRATE 127.0.0.1 %u %b 0 5000",
                                        (unsigned)topology->nodes[to].port, keys->element[i]->str,
                                        (size_t)keys->element[i]->len);
        if (!done || done->type == REDIS_REPLY_ERROR)
            give_up("MIGRATE");
        freeReplyObject(done);
    }
    freeReplyObject(keys);
    return count;
}

void cluster_topology_end_move(struct cluster_topology *topology, uint16_t slot, int to)
{
    int from = cluster_topology_owner(topology, slot);
    redis_peer_do(&topology->nodes[to].peer, "CLUSTER SETSLOT %u NODE %s", (unsigned)slot,
                  topology->nodes[to].id);
    redis_peer_do(&topology->nodes[from].peer, "CLUSTER SETSLOT %u NODE %s", (unsigned)slot,
                  topology->nodes[to].id);
}

void cluster_topology_kill(struct cluster_topology *topology, int node)
{
    redis_peer_kill(&topology->nodes[node].peer);
}

void cluster_topology_resume(struct cluster_topology *topology, int node)
{
    redis_peer_resume(&topology->nodes[node].peer);
}
