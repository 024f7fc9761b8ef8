/*
 * Everything here comes from another process: lengths, types and numbers are checked before they
 * are used, and what is not understood is refused as a whole.
 */
#include "ledger/slots.h"

#include <hiredis/hiredis.h>
#include <string.h>

#include "base/attr.h"
#include "base/str.h"

uint16_t slots_crc16(struct slice bytes)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (uint32_t)(unsigned char)bytes.data[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
        crc &= 0xffff;
    }
    return (uint16_t)crc;
}

uint16_t slots_of_key(struct slice key)
{
    const char *open = key.len ? memchr(key.data, '{', key.len) : NULL;
    if (open) {
        const char *tag = open + 1;
        size_t rest = key.len - (size_t)(tag - key.data);
        const char *close = rest ? memchr(tag, '}', rest) : NULL;
        if (close && close > tag)
            key = (struct slice){tag, (size_t)(close - tag)};
    }
    return slots_crc16(key) % SLOTS_COUNT;
}

static bool is_integer_within(const redisReply *reply, long long least, long long most)
{
    return reply->type == REDIS_REPLY_INTEGER && reply->integer >= least && reply->integer <= most;
}

/* A node: host, port, id, and more since 7.0. A host may be unknown: then it is the asked one. */
static bool read_node(const redisReply *reply, const char *asked, struct slots_node *node)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2)
        return false;
    const redisReply *host = reply->element[0];
    if (!is_integer_within(reply->element[1], 1, 65535))
        return false;
    node->port = (uint16_t)reply->element[1]->integer;
    bool unknown = host->type == REDIS_REPLY_NIL ||
                   (host->type == REDIS_REPLY_STRING && (host->len == 0 || host->str[0] == '?'));
    if (!unknown && (host->type != REDIS_REPLY_STRING || memchr(host->str, '\0', host->len)))
        return false;
    const char *text = unknown ? asked : host->str;
    if (strlen(text) >= sizeof(node->host))
        return false;
    memcpy(node->host, text, strlen(text) + 1);
    return true;
}

/* Its place in the list; SLOTS_NOBODY where there is no more room. */
static uint16_t node_index(struct slots_map *map, const struct slots_node *node)
{
    for (size_t i = 0; i < map->node_count; i++) {
        if (map->nodes[i].port == node->port && strcmp(map->nodes[i].host, node->host) == 0)
            return (uint16_t)i;
    }
    if (map->node_count == SLOTS_NODES_MAX)
        return SLOTS_NOBODY;
    map->nodes[map->node_count] = *node;
    return (uint16_t)map->node_count++;
}

/* A range: first, last, its master, its replicas. */
static bool read_range(const redisReply *range, const char *asked, struct slots_map *map)
{
    struct slots_node node;
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3 ||
        !is_integer_within(range->element[0], 0, SLOTS_COUNT - 1) ||
        !is_integer_within(range->element[1], range->element[0]->integer, SLOTS_COUNT - 1) ||
        !read_node(range->element[2], asked, &node))
        return false;
    uint16_t master = node_index(map, &node);
    if (master == SLOTS_NOBODY)
        return false;
    for (long long slot = range->element[0]->integer; slot <= range->element[1]->integer; slot++)
        map->master_of[slot] = master;
    for (size_t i = 3; i < range->elements; i++) {
        if (!read_node(range->element[i], asked, &node))
            return false;
        (void)node_index(map, &node);
    }
    return true;
}

bool slots_read(const struct redisReply *reply, const char *asked, struct slots_map *map)
{
    map->node_count = 0;
    for (size_t i = 0; i < SLOTS_COUNT; i++)
        map->master_of[i] = SLOTS_NOBODY;
    if (reply->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < reply->elements; i++) {
        if (!read_range(reply->element[i], asked, map))
            return false;
    }
    return true;
}

static bool starts_with(struct slice text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len && memcmp(text.data, word, len) == 0;
}

/* host:port; the host may be empty, and may hold ':' itself. */
static bool read_address(struct slice text, struct slots_node *node)
{
    uint64_t port;
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    if (colon == 0 || colon > sizeof(node->host))
        return false;
    struct slice digits = {text.data + colon, text.len - colon};
    if (memchr(text.data, '\0', text.len) || !str_to_u64(digits, &port) || port < 1 || port > 65535)
        return false;
    memcpy(node->host, text.data, colon - 1);
    node->host[colon - 1] = '\0';
    if (node->host[0] == '?')
        node->host[0] = '\0';
    node->port = (uint16_t)port;
    return true;
}

void redirect_read(struct slice error, struct redirect *redirect)
{
    static const char moved[] = "MOVED ";
    uint64_t slot;
    memset(redirect, 0, sizeof(*redirect));
    if (starts_with(error, "ASK ") || starts_with(error, "TRYAGAIN")) {
        redirect->kind = REDIRECT_LATER;
        return;
    }
    if (!starts_with(error, moved))
        return;
    const char *at = error.data + strlen(moved), *end = error.data + error.len;
    const char *blank = memchr(at, ' ', (size_t)(end - at));
    if (!blank || !str_to_u64((struct slice){at, (size_t)(blank - at)}, &slot) ||
        slot >= SLOTS_COUNT ||
        !read_address((struct slice){blank + 1, (size_t)(end - blank - 1)}, &redirect->node))
        return;
    redirect->kind = REDIRECT_MOVED;
    redirect->slot = (uint16_t)slot;
}
