/* See handler_fixture.h. */
#include "handler_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

struct loop *loop;
struct host *host;
struct handler_pools *pools;
struct handler_client *client;
struct handler_config config;
char url[128];
struct try tries[1024];
bool inside;

void make_client(uint32_t max)
{
    struct err err = {0};

    client = handler_client_new(pools, &config, max, &err);
    if (!client)
        print_message("%s\n", err.text);
    assert_non_null(client);
}

int begin(void **state)
{
    struct err err;
    (void)state;

    loop = loop_new(&err);
    pools = handler_pools_new(loop);
    host = host_new(loop, false, 1024, NULL);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/orders?a=b", (unsigned)host->port);
    config = (struct handler_config){.url = url,
                                     .timeout_ms = 15000,
                                     .connect_timeout_ms = 5000,
                                     .idle_timeout_ms = 60000,
                                     .max_response_bytes = 65536};
    make_client(1000);
    memset(tries, 0, sizeof(tries));
    inside = false;
    return 0;
}

/* A test that failed may have left calls open, and its message is worth more than an abort. */
static void cancel_open(void)
{
    for (size_t i = 0; client && i < sizeof(tries) / sizeof(*tries); i++) {
        if (tries[i].call.conn)
            handler_client_cancel(client, &tries[i].call);
    }
    loop_turn(loop, false);
}

int end(void **state)
{
    (void)state;
    cancel_open();
    handler_client_free(&client);
    handler_pools_free(&pools);
    host_free(&host);
    loop_free(&loop);
    return 0;
}

void send_timed(size_t n, struct slice body, int64_t timeout_ms)
{
    try_begin(&tries[n], "ce-id: 1\r\nX-Y: z\r\n", body, timeout_ms);
    tries[n].inside = &inside;
    inside = true;
    handler_client_send(client, &tries[n].call, clock_mono_ns());
    inside = false;
}

void send_one(size_t n)
{
    send_timed(n, BODY, 15000);
}

const struct handler_answer *answer_of(size_t n)
{
    turn_until_done(loop, &tries[n]);
    return &tries[n].call.answer;
}

struct peer *peer_with_request(size_t n)
{
    turn_until_peers(host, n + 1);
    turn_until_request(host->peers[n]);
    return host->peers[n];
}

void exchange(size_t n)
{
    send_one(0);
    struct peer *peer = peer_with_request(n);
    peer_take_request(peer);
    peer_write(peer, OK_ANSWER);
    assert_int_equal(answer_of(0)->error, HANDLER_OK);
}
