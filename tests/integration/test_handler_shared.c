/* Clients of several routes over the connections of one handler: what they share, and what the one
 * never sees of the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "handler/http_url.h"
#include "handler_fixture.h"

/* The other route: the same handler, another path. */
static struct handler_client *other;
static struct handler_config other_config;
static char other_url[128];

static int begin_two(void **state)
{
    struct err err = {0};

    begin(state);
    snprintf(other_url, sizeof(other_url), "http://127.0.0.1:%u/bills", (unsigned)host->port);
    other_config = config;
    other_config.url = other_url;
    other = handler_client_new(pools, &other_config, 1000, &err);
    assert_non_null(other);
    return 0;
}

static int end_two(void **state)
{
    handler_client_free(&other);
    return end(state);
}

static void send_other(size_t n, int64_t timeout_ms)
{
    try_begin(&tries[n], "ce-id: 2\r\n", BODY, timeout_ms);
    handler_client_send(other, &tries[n].call, clock_mono_ns());
}

static void answer_ok(struct peer *peer)
{
    peer_take_request(peer);
    peer_write(peer, OK_ANSWER);
}

static void expect_ok(size_t n)
{
    assert_int_equal(answer_of(n)->error, HANDLER_OK);
    assert_int_equal(answer_of(n)->status, 200);
}

static void test_send_on_the_connection_of_another_route(void **state)
{
    (void)state;
    exchange(0);
    send_other(1, 15000);
    struct peer *peer = peer_with_request(0);
    assert_int_equal(strncmp(peer->in.data, "POST /bills HTTP/1.1\r\nHost: 127.0.0.1:", 38), 0);
    send_one(0); /* meanwhile: on one of its own */
    struct peer *second = peer_with_request(1);
    assert_int_equal(strncmp(second->in.data, "POST /orders?a=b HTTP/1.1\r\n", 27), 0);
    answer_ok(second);
    expect_ok(0);
    answer_ok(peer);
    expect_ok(1);
    send_one(0); /* on the one that was used last, though another route's call had it */
    assert_ptr_equal(peer_with_request(0), peer);
    answer_ok(peer);
    expect_ok(0);
    assert_int_equal(host->count, 2);
}

static void test_free_leaves_the_other_its_connections(void **state)
{
    (void)state;
    exchange(0);
    send_one(0);
    struct peer *peer = peer_with_request(0);
    send_other(1, 15000);
    struct peer *second = peer_with_request(1);
    answer_ok(peer);
    expect_ok(0);
    handler_client_free(&client);
    send_other(2, 15000); /* on the connection that was the first one's */
    answer_ok(peer_with_request(0));
    expect_ok(2);
    answer_ok(second);
    expect_ok(1);
    assert_int_equal(host->count, 2);
    handler_client_free(&other); /* the last one closes them */
    turn_until_closed(peer);
    turn_until_closed(second);
    assert_false(peer->reset || second->reset);
}

static void free_client(struct handler_call *call)
{
    struct try *try = call->arg;

    try->done++;
    handler_client_free(&client);
}

static bool both_done(void *arg)
{
    (void)arg;
    return tries[0].done && tries[1].done;
}

/* Two answers of one turn: the first one's owner ends its route. */
static void test_free_from_inside_done_leaves_the_other_its_answer(void **state)
{
    (void)state;
    send_one(0);
    tries[0].call.done = free_client;
    send_other(1, 15000);
    answer_ok(peer_with_request(0));
    answer_ok(peer_with_request(1));
    turn_until(loop, both_done, NULL);
    assert_null(client);
    expect_ok(1);
}

static void test_cancel_and_deadline_end_one_route_alone(void **state)
{
    (void)state;
    send_one(0);
    send_other(1, 15000);
    send_other(2, 40);
    struct peer *first = peer_with_request(0);
    struct peer *second = peer_with_request(1);
    struct peer *third = peer_with_request(2);
    handler_client_cancel(client, &tries[0].call);
    assert_true(answer_of(0)->cancelled);
    assert_int_equal(answer_of(2)->error, HANDLER_TIMEOUT);
    turn_until_closed(first);
    turn_until_closed(third);
    assert_int_equal(tries[1].done, 0);
    answer_ok(second);
    expect_ok(1);
    exchange(1); /* what is left of them serves both */
}

/* The bound of an answer is the route's whose call it is, not that of who opened the connection. */
static void test_answers_are_bounded_by_their_own_route(void **state)
{
    static const char long_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
                                      "0123456789012345678901234567890123456789";
    struct buf results = {0};
    struct err err = {0};
    (void)state;

    handler_client_free(&other);
    other_config.max_response_bytes = 16;
    other_config.batch_max_records = 2;
    other = handler_client_new(pools, &other_config, 1000, &err);
    handler_client_free(&client);
    config.max_response_bytes = 16;
    make_client(1000);
    try_begin(&tries[0], "ce-id: 1\r\n", BODY, 15000);
    tries[0].call.results = &results;
    handler_client_send(other, &tries[0].call, clock_mono_ns());
    peer_take_request(peer_with_request(0));
    peer_write(host->peers[0], long_answer);
    expect_ok(0);
    assert_false(tries[0].call.results_cut);
    assert_int_equal(results.len, 40);
    send_one(1); /* on the same connection, which its own bound has closed then */
    peer_take_request(peer_with_request(0));
    peer_write(host->peers[0], long_answer);
    expect_ok(1);
    turn_until_closed(host->peers[0]);
    assert_int_equal(host->count, 1);
    buf_deinit(&results);
}

static void test_look_up_is_for_all_that_wait_for_it(void **state)
{
    struct err err = {0};
    (void)state;

    handler_client_free(&client);
    handler_client_free(&other);
    snprintf(url, sizeof(url), "http://localhost:%u/", (unsigned)host->port);
    snprintf(other_url, sizeof(other_url), "http://localhost:%u/bills", (unsigned)host->port);
    make_client(10);
    other = handler_client_new(pools, &other_config, 10, &err);
    send_one(0);
    send_other(1, 15000);
    send_other(2, 15000);
    handler_client_cancel(client, &tries[0].call); /* it had asked for the look-up */
    assert_true(answer_of(0)->cancelled);
    handler_client_free(&client);
    answer_ok(peer_with_request(0));
    answer_ok(peer_with_request(1));
    expect_ok(1);
    expect_ok(2);
}

static const char *const secrets[] = {"/run/secret-1", "/run/secret-2"};

static void differ_in_socket(void)
{
    other_config.socket = (char *)(uintptr_t) "/nonexistent/socket";
}

static void differ_in_host(void)
{
    snprintf(other_url, sizeof(other_url), "http://127.0.0.2:%u/bills", (unsigned)host->port);
}

static void differ_in_port(void)
{
    snprintf(other_url, sizeof(other_url), "http://127.0.0.1:1/bills");
}

static void differ_in_scheme(void)
{
    snprintf(other_url, sizeof(other_url), "https://127.0.0.1:%u/bills", (unsigned)host->port);
}

static void differ_in_connect_timeout(void)
{
    other_config.connect_timeout_ms++;
}

static void differ_in_idle_timeout(void)
{
    other_config.idle_timeout_ms++;
}

static void differ_in_client_certificate(void)
{
    other_config.tls.cert_file = (char *)(uintptr_t) "/nonexistent/cert";
}

static void differ_in_client_key(void)
{
    other_config.tls.key_file = (char *)(uintptr_t) "/nonexistent/key";
}

static void differ_in_authority(void)
{
    other_config.tls.ca_file = (char *)(uintptr_t) "/nonexistent/ca";
}

static void differ_in_server_name(void)
{
    other_config.tls.server_name = (char *)(uintptr_t) "orders.internal";
}

static struct request_header other_headers[2];

static void differ_in_header_name(void)
{
    other_headers[0].name = (char *)(uintptr_t) "X-Api-Key";
}

static void differ_in_header_value(void)
{
    other_headers[0].value = (char *)(uintptr_t) "Bearer b";
}

static void differ_in_header_file(void)
{
    other_headers[1].file = (char *)(uintptr_t) "/run/b";
}

static void differ_in_header_count(void)
{
    other_config.request_header_count = 1;
}

static void differ_in_secret(void)
{
    other_config.sign_secret_files = (char **)(uintptr_t)(secrets + 1);
}

static void differ_in_secret_count(void)
{
    other_config.sign_secret_file_count = 2;
}

/* Each is asked for as the pools do it, without a connection. */
static bool is_shared(void)
{
    struct http_url first, second;
    struct err err = {0};

    assert_true(http_url_parse(&first, url, &err));
    assert_true(http_url_parse(&second, other_url, &err));
    struct handler_pool *pool = handler_pools_get(pools, &config, &first, &err);
    struct handler_pool *other_pool = handler_pools_get(pools, &other_config, &second, &err);
    assert_non_null(pool);
    assert_non_null(other_pool);
    bool shared = pool == other_pool;
    handler_pools_put(pools, pool);
    handler_pools_put(pools, other_pool);
    http_url_deinit(&first);
    http_url_deinit(&second);
    return shared;
}

static void test_what_differs_is_not_shared(void **state)
{
    static void (*const differ[])(void) = {
        differ_in_scheme,
        differ_in_port,
        differ_in_socket,
        differ_in_host,
        differ_in_connect_timeout,
        differ_in_idle_timeout,
        differ_in_client_certificate,
        differ_in_client_key,
        differ_in_authority,
        differ_in_server_name,
        differ_in_header_name,
        differ_in_header_value,
        differ_in_header_file,
        differ_in_header_count,
        differ_in_secret,
        differ_in_secret_count,
    };
    struct request_header headers[2] = {
        {.name = (char *)(uintptr_t) "Authorization", .value = (char *)(uintptr_t) "Bearer a"},
        {.name = (char *)(uintptr_t) "X-Tenant", .file = (char *)(uintptr_t) "/run/a"},
    };
    (void)state;

    config.request_headers = headers;
    config.request_header_count = 2;
    config.sign_secret_files = (char **)(uintptr_t)secrets;
    config.sign_secret_file_count = 1;
    for (size_t i = 0; i < sizeof(differ) / sizeof(differ[0]); i++) {
        snprintf(other_url, sizeof(other_url), "http://127.0.0.1:%u/bills", (unsigned)host->port);
        other_config = config;
        other_config.url = other_url;
        memcpy(other_headers, headers, sizeof(headers));
        other_config.request_headers = other_headers;
        other_config.timeout_ms++; /* a call's, not a connection's */
        other_config.max_in_flight++;
        other_config.max_response_bytes++;
        assert_true(is_shared());
        differ[i]();
        if (is_shared())
            fail_msg("the %zu. difference is not seen", i + 1);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_two, end_two)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_send_on_the_connection_of_another_route),
        TEST(test_free_leaves_the_other_its_connections),
        TEST(test_free_from_inside_done_leaves_the_other_its_answer),
        TEST(test_cancel_and_deadline_end_one_route_alone),
        TEST(test_answers_are_bounded_by_their_own_route),
        TEST(test_look_up_is_for_all_that_wait_for_it),
        TEST(test_what_differs_is_not_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
