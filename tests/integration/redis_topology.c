/* Starts servers that belong together, and waits until they know each other. */
#include "redis_topology.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void start_node(struct topology_node *node, const char *config)
{
    const char *options[13] = {0};
    for (size_t i = 0; i < 12 && node->words[i][0]; i++)
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
    node->port = redis_peer_free_port();
    add_words(node, "--sentinel --port %u", (unsigned)node->port);
    start_node(node, topology->config);
    redis_peer_do(&node->peer, "SENTINEL DEBUG info-period 200 ping-period 100 ask-period 100 "
                               "publish-period 100");
    topology->places[i] = (struct redis_place){topology->host, node->port};
}

void sentinel_topology_start(struct sentinel_topology *topology, const char *password)
{
    memset(topology, 0, sizeof(*topology));
    snprintf(topology->host, sizeof(topology->host), "127.0.0.1");
    for (size_t i = 0; i < 2; i++) {
        struct topology_node *node = &topology->data[i];
        node->port = redis_peer_free_port();
        add_words(node, "--port %u --repl-diskless-sync-delay 0", (unsigned)node->port);
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
