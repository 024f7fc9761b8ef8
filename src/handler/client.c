/*
 * One route's way to its handler: what its requests begin with, how much of an answer is read, and
 * how many calls it has open. The connections are its pool's, and other routes' too.
 */
#include "handler/client.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "handler/http_conn.h"
#include "handler/http_url.h"
#include "handler/pool.h"

/* What a batch's answer may take for each record, beyond max_response: an id of at most 255 bytes,
 * and a few words. */
#define RESULT_BYTES 1024

static void build_prefix(struct buf *prefix, const struct http_url *url)
{
    buf_printf(prefix, "POST %s HTTP/1.1\r\nHost: %s\r\n", url->target, url->host_header);
}

struct handler_client *handler_client_new(struct handler_pools *pools,
                                          const struct handler_config *config,
                                          uint32_t max_in_flight, struct err *err)
{
    struct http_url url;

    if (!http_url_parse(&url, config->url ? config->url : "http://localhost/", err))
        return NULL;
    struct handler_client *client = mem_zalloc(sizeof(*client));
    client->max_response_bytes = config->max_response_bytes;
    client->keeps_bodies = config->batch_max_records > 1;
    if (client->keeps_bodies)
        client->max_response_bytes += (uint64_t)config->batch_max_records * RESULT_BYTES;
    client->max_calls = max_in_flight;
    build_prefix(&client->prefix, &url);
    client->pools = pools;
    client->pool = handler_pools_get(pools, config, &url, err);
    http_url_deinit(&url);
    if (!client->pool)
        handler_client_free(&client);
    return client;
}

void handler_client_free(struct handler_client **owned)
{
    struct handler_client *client = *owned;

    if (!client)
        return;
    assert(client->open_calls == 0);
    if (client->pool)
        handler_pools_put(client->pools, client->pool);
    buf_deinit(&client->prefix);
    mem_free(client);
    *owned = NULL;
}

static void begin_answer(struct handler_call *call)
{
    call->answer.error = HANDLER_OK;
    call->answer.status = 0;
    call->answer.request_sent = false;
    call->answer.cancelled = false;
    call->answer.has_outcome = false;
    call->answer.retry_after_ms = -1;
    call->answer.code[0] = '\0';
    call->answer.detail[0] = '\0';
}

void handler_client_send(struct handler_client *client, struct handler_call *call, uint64_t now_ns)
{
    assert(client->open_calls < client->max_calls);
    client->open_calls++;
    begin_answer(call);
    call->client = client;
    call->conn = NULL;
    call->retried_reset = false;
    call->results_cut = false;
    call->sent_ns = now_ns;
    if (now_ns >= call->deadline_ns) {
        call->answer.error = HANDLER_TIMEOUT;
        str_copy(call->answer.detail, sizeof(call->answer.detail),
                 SLICE_LIT("the deadline had passed before the request was sent"));
        handler_pool_complete(client->pool, call, now_ns);
        return;
    }
    handler_pool_send(client->pool, call);
}

void handler_client_cancel(struct handler_client *client, struct handler_call *call)
{
    (void)client;
    /* Without a connection its answer is known already and is about to be told. */
    if (call->conn)
        http_conn_cancel(call->conn);
}
