/*
 * Follows the map of a Redis Cluster.
 *
 * There is a queue for each shard, and each has a node. Where it comes from: CLUSTER SLOTS, asked
 * of one node at a time (another one where it is lost, or where its answers have left a queue
 * without a server for a second), and MOVED, which is newer than that. A queue without a server
 * waits, and so does one whose slot is being moved. ASK is not followed: a call names the parked
 * list of each of its keys, which mostly does not exist, and then the importing node says TRYAGAIN,
 * since it cannot tell a key that does not exist from one that has not come yet. So a shard waits
 * until its slot has moved.
 *
 * Invariants: a redirect means that nothing was executed, so a call goes back whole and is sent
 * anew; nothing but the look at the number of shards is sent before that number is known.
 * Must not end a session for a redirect: other slots of that server are well.
 */
#include "ledger/cluster.h"

#include <hiredis/hiredis.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/peer.h"
#include "ledger/requests.h"
#include "ledger/resp.h"
#include "ledger/slots.h"

#define TICK_MS      50
#define ASK_TICKS    4  /* while a queue has no server it is asked so often who has it ... */
#define ROTATE_TICKS 20 /* ... and so often another node is asked */
#define EVERY_MS     2000
#define BOUNCE_NS    (100 * NS_PER_MS)
#define ONE_LOSS_NS  (3 * NS_PER_S)
#define LOOK_AT_ONCE 16 /* sentinels */
#define SENTINEL_MAX 65

struct cluster {
    struct ledger *ledger;
    struct peer *peer;
    struct redis_place *places; /* whom to ask: the configuration's, then what was found */
    size_t place_count, at;
    struct slots_map *map;
    bool mapped;    /* a map was read, ever */
    char why[400];  /* why not */
    bool lost_peer; /* the next tick asks another */
    unsigned ticks; /* while something is missing */
    struct loop_timer tick;
    struct loop_task reap;

    bool shards_known, shards_asked;
    char shards_why[250];
    char (*sentinels)[SENTINEL_MAX]; /* what stood there by shard; "" before */
    uint32_t next_look;
    uint64_t wiped_ns; /* when that was told last */
    char random[33];   /* of this object */
    unsigned written;
};

static bool is_moving_long(const struct queue *queue)
{
    return queue->moving_ns && clock_mono_ns() - queue->moving_ns > NS_PER_S;
}

static bool is_served(const struct queue *queue)
{
    return queue->node && queue->node->up && !is_moving_long(queue);
}

static void wake(struct cluster *cluster)
{
    if (!loop_timer_armed(&cluster->tick))
        loop_timer_set_ms(&cluster->tick, TICK_MS);
}

/* ---- nodes ---- */

static void name_sentinel(const struct ledger *ledger, size_t queue, char *out, size_t size)
{
    if (queue < ledger->config->shards)
        snprintf(out, size, "%s:{%zu}:sentinel", ledger->config->ns, queue);
    else
        snprintf(out, size, "%s:{%s}:sentinel", ledger->config->ns,
                 &ledger->queues[queue] == ledger->meta ? "meta" : "fence");
}

static struct node *node_at(struct cluster *cluster, const char *host, uint16_t port, size_t queue)
{
    struct ledger *ledger = cluster->ledger;
    struct err err = {0};
    char key[200];
    for (struct node *node = ledger->nodes; node; node = node->next) {
        if (node->port == port && strcmp(node->host, host) == 0)
            return node;
    }
    name_sentinel(ledger, queue, key, sizeof(key));
    struct node *node = nodes_add(ledger, host, port, key, &err);
    if (!node)
        log_error("redis_node", LOG_STR("why", err.text), LOG_END);
    return node;
}

static bool is_used(struct ledger *ledger, struct node *node)
{
    for (size_t i = 0; i < ledger->queue_count; i++) {
        if (ledger->queues[i].node == node)
            return true;
    }
    return false;
}

static void reap(void *arg)
{
    struct cluster *cluster = arg;
    nodes_remove_idle(cluster->ledger, is_used);
}

static void serve(struct cluster *cluster, struct queue *queue, struct node *node)
{
    if (queue->node == node)
        return;
    if (queue->node)
        cluster->ledger->shaken_ns = clock_mono_ns();
    queue->node = node;
    loop_defer(cluster->ledger->loop, &cluster->reap);
    loop_defer(cluster->ledger->loop, &cluster->ledger->pump_task);
}

/* ---- the map ---- */

static void remember_places(struct cluster *cluster)
{
    const struct redis_config *config = cluster->ledger->config;
    for (size_t i = config->place_count; i < cluster->place_count; i++)
        mem_free(cluster->places[i].host);
    cluster->place_count = config->place_count + cluster->map->node_count;
    cluster->places = mem_realloc(cluster->places, cluster->place_count * sizeof(*cluster->places));
    for (size_t i = 0; i < cluster->map->node_count; i++) {
        const struct slots_node *node = &cluster->map->nodes[i];
        cluster->places[config->place_count + i] = (struct redis_place){mem_strdup(node->host),
                                                                        node->port};
    }
}

static void apply_map(struct cluster *cluster)
{
    struct ledger *ledger = cluster->ledger;
    for (size_t i = 0; i < ledger->queue_count; i++) {
        struct queue *queue = &ledger->queues[i];
        uint16_t master = cluster->map->master_of[queue->slot];
        const struct slots_node *node = &cluster->map->nodes[master];
        serve(cluster, queue,
              master == SLOTS_NOBODY ? NULL : node_at(cluster, node->host, node->port, i));
    }
    ledger_look(ledger);
}

static void on_slots(void *ctx, size_t index, const redisReply *reply)
{
    struct cluster *cluster = ctx;
    (void)index;
    const char *asked = cluster->places[cluster->at].host;
    if (!slots_read(reply, asked, cluster->map)) {
        char why[250];
        snprintf(why, sizeof(why), "CLUSTER SLOTS: %.200s",
                 reply->type == REDIS_REPLY_ERROR ? reply->str : "an unknown answer");
        peer_drop(cluster->peer, why);
        return;
    }
    cluster->mapped = true;
    /* The places move: where the one that is asked stands is looked for anew. */
    struct redis_place now = {mem_strdup(asked), cluster->places[cluster->at].port};
    remember_places(cluster);
    cluster->at = 0;
    for (size_t i = 0; i < cluster->place_count; i++) {
        if (cluster->places[i].port == now.port && strcmp(cluster->places[i].host, now.host) == 0)
            cluster->at = i;
    }
    mem_free(now.host);
    apply_map(cluster);
}

static void on_peer_lost(void *ctx, const char *why)
{
    struct cluster *cluster = ctx;
    snprintf(cluster->why, sizeof(cluster->why), "%s", why);
    cluster->lost_peer = true;
    wake(cluster);
    if (!cluster->mapped)
        ledger_look(cluster->ledger);
}

static void ask_another(struct cluster *cluster)
{
    cluster->at = (cluster->at + 1) % cluster->place_count;
    const struct redis_place *place = &cluster->places[cluster->at];
    peer_aim(cluster->peer, NULL, place->host, place->port, "another node is asked");
}

void cluster_hurry(struct ledger *ledger)
{
    if (ledger->cluster)
        wake(ledger->cluster);
}

/* ---- the number of shards ---- */

static void fail_shards(struct request *request, const struct err *err)
{
    struct cluster *cluster = request->arg;
    cluster->shards_asked = false;
    snprintf(cluster->shards_why, sizeof(cluster->shards_why), "SET shards: %.200s", err->text);
}

static void read_shards(struct request *request, const redisReply *reply)
{
    struct cluster *cluster = request->arg;
    struct ledger *ledger = cluster->ledger;
    cluster->shards_asked = false;
    if (reply->type == REDIS_REPLY_STRING &&
        strtoul(reply->str, NULL, 10) != ledger->config->shards) {
        session_describe_shards(reply->str, ledger->config, cluster->shards_why,
                                sizeof(cluster->shards_why));
        ledger_look(ledger);
        return;
    }
    cluster->shards_known = true;
    ledger_look(ledger);
    loop_defer(ledger->loop, &ledger->pump_task);
}

static void ask_shards(struct cluster *cluster)
{
    struct ledger *ledger = cluster->ledger;
    char key[200], number[16];
    if (cluster->shards_known || cluster->shards_asked)
        return;
    cluster->shards_asked = true;
    struct request *request = request_new(ledger, ledger->meta, NULL, cluster);
    request->early = true;
    request->read = read_shards;
    request->fail = fail_shards;
    snprintf(key, sizeof(key), "%s:{meta}:shards", ledger->config->ns);
    snprintf(number, sizeof(number), "%u", (unsigned)ledger->config->shards);
    resp_command(&request->body, "SET", key, number, "NX", "GET", NULL);
    request_start(request);
}

bool cluster_is_known(const struct ledger *ledger)
{
    return !ledger->cluster || ledger->cluster->shards_known;
}

/* ---- the tick ---- */

static bool all_served(const struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->queue_count; i++) {
        if (!is_served(&ledger->queues[i]))
            return false;
    }
    return true;
}

/*
 * What is put off goes again. Some keys of a slot that is being moved are served all the same, so a
 * good answer says nothing; a slot has moved when nothing of it was put off for a while. Returns
 * whether one is still moving.
 */
static bool resume_paused(struct ledger *ledger)
{
    uint64_t now_ns = clock_mono_ns();
    bool moving = false;
    for (size_t i = 0; i < ledger->queue_count; i++) {
        struct queue *queue = &ledger->queues[i];
        queue->paused = false;
        if (now_ns - queue->later_ns > NS_PER_S)
            queue->moving_ns = 0;
        moving = moving || queue->moving_ns;
    }
    loop_defer(ledger->loop, &ledger->pump_task);
    return moving;
}

static void on_tick(void *arg)
{
    struct cluster *cluster = arg;
    struct ledger *ledger = cluster->ledger;
    bool moving = resume_paused(ledger);
    bool missing = !all_served(ledger);
    ask_shards(cluster);
    cluster->ticks = missing ? cluster->ticks + 1 : 0;
    if (cluster->lost_peer || (missing && cluster->ticks % ROTATE_TICKS == 0)) {
        cluster->lost_peer = false;
        ask_another(cluster);
    } else if (missing && cluster->ticks % ASK_TICKS == 1) {
        peer_ask(cluster->peer);
    }
    ledger_look(ledger);
    if (missing || moving || !cluster->shards_known)
        wake(cluster);
}

/* ---- redirects ---- */

static void count_redirect(struct ledger *ledger, const char *error)
{
    static const char *const kinds[] = {"moved", "ask", "tryagain"};
    struct metric_label label = {"kind", kinds[error[0] == 'M' ? 0 : error[0] == 'A' ? 1 : 2]};
    if (!ledger->metrics)
        return;
    metric_add(metrics_counter(ledger->metrics, "redis_redirects_total",
                               "Calls that a cluster's node sent elsewhere (moved) or put off "
                               "while their slot was being moved (ask, tryagain).",
                               &label, 1),
               1);
}

static void pause_queue(struct cluster *cluster, struct queue *queue)
{
    queue->later_ns = clock_mono_ns();
    if (!queue->moving_ns)
        queue->moving_ns = queue->later_ns;
    queue->paused = true;
    wake(cluster);
}

static void move_queue(struct cluster *cluster, struct queue *queue, struct node *from,
                       const struct redirect *redirect)
{
    struct ledger *ledger = cluster->ledger;
    uint64_t now_ns = clock_mono_ns();
    size_t index = (size_t)(queue - ledger->queues);
    const char *host = redirect->node.host[0] ? redirect->node.host : from->host;
    struct node *node = node_at(cluster, host, redirect->node.port, index);
    /* Two nodes that each name the other have not agreed yet. */
    if (queue->moved_ns && now_ns - queue->moved_ns < BOUNCE_NS)
        pause_queue(cluster, queue);
    queue->moved_ns = now_ns;
    /* An old call may say what a newer answer has told already. */
    if (node && queue->node == from)
        serve(cluster, queue, node);
    peer_ask(cluster->peer);
    wake(cluster);
}

bool cluster_redirects(struct queue *queue, struct node *node, const redisReply *reply)
{
    struct cluster *cluster = node->ledger->cluster;
    struct redirect redirect;
    if (!cluster)
        return false;
    redirect_read((struct slice){reply->str, reply->len}, &redirect);
    if (redirect.kind == REDIRECT_NONE)
        return false;
    count_redirect(node->ledger, reply->str);
    if (redirect.kind == REDIRECT_MOVED)
        move_queue(cluster, queue, node, &redirect);
    else
        pause_queue(cluster, queue);
    return true;
}

/* ---- availability ---- */

/* Why a queue that is not served waits, "" while its server is being connected to. */
static void describe_queue(const struct queue *queue, char *out, size_t size)
{
    if (!queue->node)
        snprintf(out, size, "slot %u is served by no node of the cluster", (unsigned)queue->slot);
    else if (queue->node->up)
        snprintf(out, size, "slot %u is being moved to another node", (unsigned)queue->slot);
    else
        snprintf(out, size, "%s", queue->node->why);
}

bool cluster_is_up(struct ledger *ledger, char *why, size_t size)
{
    struct cluster *cluster = ledger->cluster;
    size_t waiting = 0;
    char first[sizeof(((struct node *)0)->why)] = "";
    why[0] = '\0';
    if (!cluster->mapped) {
        if (cluster->why[0])
            snprintf(why, size, "no node of the cluster says who serves what: %s", cluster->why);
        return false;
    }
    for (size_t i = 0; i < ledger->queue_count; i++) {
        if (is_served(&ledger->queues[i]))
            continue;
        waiting++;
        if (!first[0])
            describe_queue(&ledger->queues[i], first, sizeof(first));
    }
    if (first[0])
        snprintf(why, size, "%s (%zu of %zu hash tags wait)", first, waiting, ledger->queue_count);
    else if (!waiting)
        snprintf(why, size, "%s", cluster->shards_why);
    return !waiting && cluster->shards_known;
}

/* ---- sentinels: one for each shard, since each may lose its data alone ---- */

static void read_sentinel(struct request *request, const redisReply *reply)
{
    struct cluster *cluster = request->arg;
    char *known = cluster->sentinels[request->shard];
    bool stood = reply->type == REDIS_REPLY_STRING;
    const char *found = stood ? reply->str : request->value;
    bool lost = known[0] && (!stood || strcmp(known, found) != 0);
    snprintf(known, SENTINEL_MAX, "%s", found);
    if (!lost)
        return;
    log_error("ledger_shard_lost", LOG_UINT("shard", request->shard), LOG_END);
    /* A server loses all its shards at once, and that is one loss. */
    if (cluster->wiped_ns && clock_mono_ns() - cluster->wiped_ns < ONE_LOSS_NS)
        return;
    cluster->wiped_ns = clock_mono_ns();
    ledger_tell_wiped(request->ledger);
}

static void forget_sentinel(struct request *request, const struct err *err)
{
    (void)request;
    (void)err;
}

void cluster_check_sentinel(struct ledger *ledger, uint32_t shard)
{
    struct cluster *cluster = ledger->cluster;
    struct request *request = request_new(ledger, &ledger->queues[shard], NULL, cluster);
    char key[200];
    request->read = read_sentinel;
    request->fail = forget_sentinel;
    request->shard = shard;
    /* Never the same twice: see session.c. */
    snprintf(request->value, sizeof(request->value), "%s-%u", cluster->random, ++cluster->written);
    name_sentinel(ledger, shard, key, sizeof(key));
    resp_command(&request->body, "SET", key, request->value, "NX", "GET", NULL);
    request_start(request);
}

void cluster_check_sentinels(struct ledger *ledger)
{
    struct cluster *cluster = ledger->cluster;
    uint32_t shards = ledger->config->shards;
    for (uint32_t i = 0; i < shards && i < LOOK_AT_ONCE; i++)
        cluster_check_sentinel(ledger, cluster->next_look++ % shards);
}

/* ---- life ---- */

static void make_queues(struct ledger *ledger)
{
    uint32_t shards = ledger->config->shards;
    calls_open_queues(ledger, shards + 2);
    ledger->meta = &ledger->queues[shards];
    ledger->fence = &ledger->queues[shards + 1];
    for (size_t i = 0; i < ledger->queue_count; i++) {
        char key[200];
        name_sentinel(ledger, i, key, sizeof(key));
        ledger->queues[i].slot = slots_of_key(slice_of(key));
    }
}

static bool make_random(struct cluster *cluster, struct err *err)
{
    unsigned char random[16];
    if (RAND_bytes(random, sizeof(random)) != 1)
        return err_set(err, ERR_INTERNAL, "no random numbers");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(cluster->random + 2 * i, 3, "%02x", random[i]);
    return true;
}

static void begin_asking(struct cluster *cluster)
{
    struct ledger *ledger = cluster->ledger;
    struct buf question = {0};
    resp_command(&question, "CLUSTER", "SLOTS", NULL);
    struct peer_config peer = {.redis = ledger->config,
                               .tls = ledger->tls,
                               .username = ledger->config->username,
                               .password = ledger->config->password,
                               .questions = {buf_slice(&question)},
                               .question_count = 1,
                               .every_ms = EVERY_MS,
                               .answer = on_slots,
                               .lost = on_peer_lost,
                               .ctx = cluster};
    cluster->peer = peer_new(ledger->loop, &peer);
    buf_deinit(&question);
    peer_aim(cluster->peer, NULL, cluster->places[0].host, cluster->places[0].port, "");
}

struct cluster *cluster_new(struct ledger *ledger, struct err *err)
{
    const struct redis_config *config = ledger->config;
    struct cluster *cluster = mem_zalloc(sizeof(*cluster));
    cluster->ledger = ledger;
    if (!make_random(cluster, err)) {
        mem_free(cluster);
        return NULL;
    }
    cluster->map = mem_zalloc(sizeof(*cluster->map));
    cluster->sentinels = mem_calloc(config->shards, sizeof(*cluster->sentinels));
    cluster->place_count = config->place_count;
    cluster->places = mem_calloc(config->place_count, sizeof(*cluster->places));
    for (size_t i = 0; i < config->place_count; i++)
        cluster->places[i] = (struct redis_place){mem_strdup(config->places[i].host),
                                                  config->places[i].port};
    loop_timer_init(&cluster->tick, ledger->loop, on_tick, cluster);
    loop_task_init(&cluster->reap, reap, cluster);
    make_queues(ledger);
    begin_asking(cluster);
    wake(cluster);
    return cluster;
}

void cluster_free(struct cluster **cluster_ptr)
{
    struct cluster *cluster = *cluster_ptr;
    if (!cluster)
        return;
    *cluster_ptr = NULL;
    peer_free(&cluster->peer);
    loop_timer_deinit(&cluster->tick);
    loop_task_cancel(cluster->ledger->loop, &cluster->reap);
    for (size_t i = 0; i < cluster->place_count; i++)
        mem_free(cluster->places[i].host);
    mem_free(cluster->places);
    mem_free(cluster->map);
    mem_free(cluster->sentinels);
    mem_free(cluster);
}
