/*
 * Lanes; see lane.h for the picture. Hashed by uthash; a lane lives while it has a current delivery
 * or a queue that is not empty. Must not: look at the ledger's answers, start anything, or free a
 * delivery.
 */
#include "flow/lane.h"

#include "base/mem.h"

#define uthash_malloc(size)  mem_alloc(size)
#define uthash_free(p, size) mem_free(p)
#include <uthash.h>

struct lane_node {
    UT_hash_handle hh;
    struct lane lane;
    struct lane_node *next_free;
    size_t key_len;
    char *key;
    char small[56];
};

TAILQ_HEAD(lane_list, lane);

struct lane_table {
    struct lane_node *nodes;
    struct lane_node *free_nodes; /* at most FREE_NODES_MAX */
    size_t free_count;
    struct lane_list ready;
    size_t ready_count;
    size_t count;
    char *scratch;
    size_t scratch_cap;
};

#define FREE_NODES_MAX 4096

struct lane_table *lane_table_new(void)
{
    struct lane_table *table = mem_zalloc(sizeof(*table));
    TAILQ_INIT(&table->ready);
    return table;
}

static void node_free(struct lane_node *node)
{
    if (node->key != node->small)
        mem_free(node->key);
    mem_free(node);
}

void lane_table_free(struct lane_table **table)
{
    struct lane_node *node, *tmp;
    if (!*table)
        return;
    HASH_ITER(hh, (*table)->nodes, node, tmp)
    {
        HASH_DEL((*table)->nodes, node);
        node_free(node);
    }
    while ((node = (*table)->free_nodes) != NULL) {
        (*table)->free_nodes = node->next_free;
        mem_free(node);
    }
    mem_free((*table)->scratch);
    mem_free(*table);
    *table = NULL;
}

size_t lane_table_count(const struct lane_table *table)
{
    return table->count;
}

/* Eight bytes at a time, as MurmurHash64A does (Appleby, 2008): for the table, and for the
 * breaker's count of distinct keys. */
static uint64_t hash_bytes(const char *data, size_t len)
{
    const uint64_t mul = UINT64_C(0xc6a4a7935bd1e995);
    uint64_t h = len * mul, word;
    for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, data, sizeof(word));
        word *= mul;
        h = (h ^ (word ^ word >> 47) * mul) * mul;
    }
    word = 0;
    memcpy(&word, data, len);
    h = (h ^ word) * mul;
    h = (h ^ h >> 47) * mul;
    return h ^ h >> 47;
}

static struct lane_node *node_new(struct lane_table *table)
{
    struct lane_node *node = table->free_nodes;
    if (node) {
        table->free_nodes = node->next_free;
        table->free_count--;
        memset(node, 0, sizeof(*node));
    } else {
        node = mem_zalloc(sizeof(*node));
    }
    node->key = node->small;
    node->lane.node = node;
    TAILQ_INIT(&node->lane.source);
    TAILQ_INIT(&node->lane.retry);
    TAILQ_INIT(&node->lane.twins);
    table->count++;
    return node;
}

struct lane *lane_get(struct lane_table *table, uint32_t scope, char kind, struct slice key)
{
    struct lane_node *node = NULL;
    size_t len = sizeof(scope) + 1 + key.len;
    if (len > table->scratch_cap) {
        table->scratch = mem_realloc(table->scratch, len);
        table->scratch_cap = len;
    }
    memcpy(table->scratch, &scope, sizeof(scope));
    table->scratch[sizeof(scope)] = kind;
    if (key.len > 0)
        memcpy(table->scratch + sizeof(scope) + 1, key.data, key.len);
    uint64_t hash = hash_bytes(table->scratch, len);
    HASH_FIND_BYHASHVALUE(hh, table->nodes, table->scratch, len, (unsigned)hash, node);
    if (node)
        return &node->lane;
    node = node_new(table);
    if (len > sizeof(node->small))
        node->key = mem_alloc(len);
    memcpy(node->key, table->scratch, len);
    node->key_len = len;
    node->lane.hashed = true;
    node->lane.hash = hash;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->nodes, node->key, node->key_len, (unsigned)hash, node);
    return &node->lane;
}

struct lane *lane_single(struct lane_table *table, uint64_t hash)
{
    struct lane_node *node = node_new(table);
    node->lane.hash = hash;
    return &node->lane;
}

static bool lane_empty(const struct lane *lane)
{
    return !lane->current && TAILQ_EMPTY(&lane->source) && TAILQ_EMPTY(&lane->retry) &&
           TAILQ_EMPTY(&lane->twins);
}

static void lane_unready(struct lane_table *table, struct lane *lane)
{
    if (!lane->ready)
        return;
    TAILQ_REMOVE(&table->ready, lane, in_ready);
    table->ready_count--;
    lane->ready = false;
}

static void lane_drop(struct lane_table *table, struct lane *lane)
{
    struct lane_node *node = lane->node;
    lane_unready(table, lane);
    if (lane->hashed)
        HASH_DEL(table->nodes, node);
    table->count--;
    if (node->key != node->small || table->free_count >= FREE_NODES_MAX) {
        node_free(node);
        return;
    }
    table->free_count++;
    node->next_free = table->free_nodes;
    table->free_nodes = node;
}

/* Lower rank first; across partitions of the origin arrival decides. */
static bool ranks_before(const struct delivery *a, const struct delivery *b)
{
    return a->origin.partition == b->origin.partition && a->origin.offset < b->origin.offset;
}

/* The first twin, if it may be claimed from memory: the lowest rank decides, those behind it wait
 * with it. */
static struct delivery *next_twin(const struct lane *lane)
{
    struct delivery *twin = lane->drain ? TAILQ_FIRST(&lane->twins) : NULL;
    return twin && !twin->awaits_copy && !twin->in_step ? twin : NULL;
}

static bool has_work(const struct lane *lane)
{
    return !lane->turn_held && (!TAILQ_EMPTY(&lane->retry) || next_twin(lane) ||
                                (!lane->source_held && !TAILQ_EMPTY(&lane->source)));
}

void lane_wake(struct lane_table *table, struct lane *lane)
{
    if (lane->ready || lane->current || !has_work(lane))
        return;
    TAILQ_INSERT_TAIL(&table->ready, lane, in_ready);
    table->ready_count++;
    lane->ready = true;
}

static struct delivery_list *queue_of(struct lane *lane, const struct delivery *d)
{
    if (d->state == DELIVERY_TWIN)
        return &lane->twins;
    return d->source == LEDGER_SOURCE ? &lane->source : &lane->retry;
}

void lane_push(struct lane_table *table, struct lane *lane, struct delivery *d)
{
    d->lane = lane;
    d->state = DELIVERY_QUEUED;
    if (d->source == LEDGER_SOURCE)
        lane->source_count++;
    TAILQ_INSERT_TAIL(queue_of(lane, d), d, in_lane);
    lane_wake(table, lane);
}

void lane_push_back(struct lane_table *table, struct lane *lane, struct delivery *d)
{
    if (lane->current == d)
        lane->current = NULL;
    d->state = d->twin ? DELIVERY_TWIN : DELIVERY_QUEUED;
    if (d->twin)
        lane->twin_count++;
    else if (d->source == LEDGER_SOURCE)
        lane->source_count++;
    TAILQ_INSERT_HEAD(queue_of(lane, d), d, in_lane);
    lane_wake(table, lane);
}

void lane_add_twin(struct lane_table *table, struct lane *lane, struct delivery *d)
{
    struct delivery *it;
    (void)table;
    d->twin = true;
    d->state = DELIVERY_TWIN;
    lane->twin_count++;
    TAILQ_FOREACH_REVERSE(it, &lane->twins, delivery_list, in_lane)
    {
        if (!ranks_before(d, it)) {
            TAILQ_INSERT_AFTER(&lane->twins, it, d, in_lane);
            return;
        }
    }
    TAILQ_INSERT_HEAD(&lane->twins, d, in_lane);
}

void lane_remove(struct lane *lane, struct delivery *d)
{
    TAILQ_REMOVE(queue_of(lane, d), d, in_lane);
    if (d->state == DELIVERY_TWIN)
        lane->twin_count--;
    else if (d->source == LEDGER_SOURCE)
        lane->source_count--;
}

struct delivery *lane_find_twin(struct lane *lane, int32_t partition, int64_t offset)
{
    struct delivery *it;
    TAILQ_FOREACH(it, &lane->twins, in_lane)
    {
        if (it->origin.partition == partition && it->origin.offset >= offset)
            return it->origin.offset == offset ? it : NULL;
    }
    return NULL;
}

struct delivery *lane_next(struct lane *lane)
{
    struct delivery *retry = TAILQ_FIRST(&lane->retry);
    struct delivery *twin = next_twin(lane);
    struct delivery *d = retry;
    if (lane->current || lane->turn_held)
        return NULL;
    if (twin && (!retry || !ranks_before(retry, twin)))
        d = twin;
    if (!d && !lane->source_held)
        d = TAILQ_FIRST(&lane->source);
    if (!d)
        return NULL;
    lane_remove(lane, d);
    lane->current = d;
    return d;
}

void lane_done(struct lane_table *table, struct lane *lane)
{
    if (lane_empty(lane))
        lane_drop(table, lane);
    else
        lane_wake(table, lane);
}

struct lane *lane_pop_ready(struct lane_table *table)
{
    struct lane *lane = TAILQ_FIRST(&table->ready);
    if (lane)
        lane_unready(table, lane);
    return lane;
}

void lane_each(struct lane_table *table, void (*visit)(struct lane *lane, void *arg), void *arg)
{
    struct lane_node *node, *tmp;
    HASH_ITER(hh, table->nodes, node, tmp)
    {
        visit(&node->lane, arg);
    }
}

size_t lane_table_try_blocked(struct lane_table *table)
{
    struct lane_node *node, *tmp;
    size_t blocked = 0;
    HASH_ITER(hh, table->nodes, node, tmp)
    {
        if (!node->lane.blocked)
            continue;
        blocked++;
        node->lane.drain = true;
        lane_wake(table, &node->lane);
    }
    return blocked;
}

void lane_table_unhold_sources(struct lane_table *table)
{
    struct lane_node *node, *tmp;
    HASH_ITER(hh, table->nodes, node, tmp)
    {
        node->lane.source_held = false;
        lane_wake(table, &node->lane);
    }
}

size_t lane_ready_count(const struct lane_table *table)
{
    return table->ready_count;
}

static void visit_list(struct delivery_list *list, void (*visit)(struct delivery *, void *),
                       void *arg)
{
    struct delivery *d = TAILQ_FIRST(list), *next;
    for (; d; d = next) {
        next = TAILQ_NEXT(d, in_lane);
        visit(d, arg);
    }
}

void lane_each_queued(struct lane_table *table, void (*visit)(struct delivery *d, void *arg),
                      void *arg)
{
    struct lane_node *node, *tmp;
    HASH_ITER(hh, table->nodes, node, tmp)
    {
        visit_list(&node->lane.retry, visit, arg);
        visit_list(&node->lane.twins, visit, arg);
        visit_list(&node->lane.source, visit, arg);
        if (lane_empty(&node->lane))
            lane_drop(table, &node->lane);
        else if (!has_work(&node->lane))
            lane_unready(table, &node->lane);
    }
    for (struct lane *lane = TAILQ_FIRST(&table->ready), *next; lane; lane = next) {
        next = TAILQ_NEXT(lane, in_ready);
        if (lane->hashed)
            continue;
        visit_list(&lane->retry, visit, arg);
        visit_list(&lane->source, visit, arg);
        if (lane_empty(lane))
            lane_drop(table, lane);
    }
}
