/*
 * A worker's pools, found by a key: the bytes of every setting that two clients must agree on to
 * share connections. Beside where it leads to and how it is made and kept that is who is asking:
 * the client certificate, and the headers and signing secrets of its requests too, since there are
 * servers and proxies that take a connection's first request for the word on who speaks on it.
 * What one request has for itself (path, deadline, bounds of the answer) is not in it.
 */
#include "handler/pools.h"

#include <assert.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/mem.h"
#include "handler/http_url.h"
#include "handler/pool.h"

struct shared {
    struct buf key;
    struct handler_pool *pool;
    size_t users;
    LIST_ENTRY(shared) in_pools;
};

struct handler_pools {
    struct loop *loop;
    LIST_HEAD(shared_list, shared) all; /* few: one for each handler */
};

/* Its end cannot stand inside it; one that is not set is unlike an empty one. */
static void add_text(struct buf *key, const char *text)
{
    buf_add_char(key, text ? '=' : '-');
    if (text)
        buf_add_text(key, text);
    buf_add_char(key, '\0');
}

static void add_number(struct buf *key, int64_t number)
{
    buf_add_i64(key, number);
    buf_add_char(key, '\0');
}

static void write_key(struct buf *key, const struct handler_config *config,
                      const struct http_url *url)
{
    add_number(key, url->tls);
    add_text(key, url->host);
    add_number(key, url->port);
    add_text(key, config->socket);
    add_number(key, config->connect_timeout_ms);
    add_number(key, config->idle_timeout_ms);
    add_text(key, config->tls.ca_file);
    add_text(key, config->tls.cert_file);
    add_text(key, config->tls.key_file);
    add_text(key, config->tls.server_name);
    add_number(key, (int64_t)config->request_header_count);
    for (size_t i = 0; i < config->request_header_count; i++) {
        add_text(key, config->request_headers[i].name);
        add_text(key, config->request_headers[i].value);
        add_text(key, config->request_headers[i].file);
    }
    add_number(key, (int64_t)config->sign_secret_file_count);
    for (size_t i = 0; i < config->sign_secret_file_count; i++)
        add_text(key, config->sign_secret_files[i]);
}

struct handler_pools *handler_pools_new(struct loop *loop)
{
    struct handler_pools *pools = mem_zalloc(sizeof(*pools));

    pools->loop = loop;
    LIST_INIT(&pools->all);
    return pools;
}

void handler_pools_free(struct handler_pools **pools)
{
    if (!*pools)
        return;
    assert(LIST_EMPTY(&(*pools)->all));
    mem_free(*pools);
    *pools = NULL;
}

static struct shared *find(const struct handler_pools *pools, const struct buf *key)
{
    struct shared *shared;

    LIST_FOREACH(shared, &pools->all, in_pools)
    {
        if (shared->key.len == key->len && memcmp(shared->key.data, key->data, key->len) == 0)
            return shared;
    }
    return NULL;
}

static struct shared *make(struct handler_pools *pools, const struct handler_config *config,
                           const struct http_url *url, struct err *err)
{
    struct handler_pool *pool = handler_pool_new(pools->loop, config, url, err);

    if (!pool)
        return NULL;
    struct shared *shared = mem_zalloc(sizeof(*shared));
    shared->pool = pool;
    write_key(&shared->key, config, url);
    LIST_INSERT_HEAD(&pools->all, shared, in_pools);
    return shared;
}

struct handler_pool *handler_pools_get(struct handler_pools *pools,
                                       const struct handler_config *config,
                                       const struct http_url *url, struct err *err)
{
    struct buf key = {0};

    write_key(&key, config, url);
    struct shared *shared = find(pools, &key);
    buf_deinit(&key);
    if (!shared)
        shared = make(pools, config, url, err);
    if (!shared)
        return NULL;
    shared->users++;
    return shared->pool;
}

void handler_pools_put(struct handler_pools *pools, struct handler_pool *pool)
{
    struct shared *shared;

    LIST_FOREACH(shared, &pools->all, in_pools)
    {
        if (shared->pool == pool)
            break;
    }
    assert(shared && shared->users > 0);
    if (--shared->users > 0)
        return;
    LIST_REMOVE(shared, in_pools);
    handler_pool_free(&shared->pool);
    buf_deinit(&shared->key);
    mem_free(shared);
}
