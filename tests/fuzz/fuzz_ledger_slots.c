/* What a cluster's nodes answer: CLUSTER SLOTS as it comes off the wire, and errors that redirect.
 */
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/slots.h"

static void check_map(const struct slots_map *map)
{
    if (map->node_count > SLOTS_NODES_MAX)
        abort();
    for (size_t i = 0; i < SLOTS_COUNT; i++) {
        if (map->master_of[i] != SLOTS_NOBODY && map->master_of[i] >= map->node_count)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct slots_map map;
    struct redirect redirect;
    struct slice text = {(const char *)data, size};
    void *reply = NULL;
    redirect_read(text, &redirect);
    if (redirect.kind == REDIRECT_MOVED &&
        (redirect.slot >= SLOTS_COUNT || redirect.node.port == 0 ||
         strlen(redirect.node.host) >= sizeof(redirect.node.host)))
        abort();
    if (slots_of_key(text) >= SLOTS_COUNT)
        abort();
    redisReader *reader = redisReaderCreate();
    reader->maxelements = 65536; /* else a length alone makes it allocate gigabytes */
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK &&
        redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        if (slots_read(reply, "127.0.0.1", &map))
            check_map(&map);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return 0;
}
