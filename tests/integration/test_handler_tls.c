/* The HTTP client over TLS: whom it trusts, whom it refuses, and that the rest works as without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "handler_certs.h"
#include "handler_peer.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BODY      SLICE_LIT("hello")

static struct cert *authority, *stranger, *good, *named, *expired, *future, *client_cert;
static struct loop *loop;
static struct host *host;
static struct handler_pools *pools;
static struct handler_client *client;
static struct handler_config config;
static SSL_CTX *server;
static char url[128];
static struct try try;

static int make_certs(void **state)
{
    (void)state;
    authority = cert_new("test authority", NULL, NULL, -1, 30);
    stranger = cert_new("another authority", NULL, NULL, -1, 30);
    good = cert_new("handler", "IP:127.0.0.1", authority, -1, 30);
    named = cert_new("handler", "DNS:orders.internal", authority, -1, 30);
    expired = cert_new("handler", "IP:127.0.0.1", authority, -30, -1);
    future = cert_new("handler", "IP:127.0.0.1", authority, 2, 30);
    client_cert = cert_new("gateway", NULL, authority, -1, 30);
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    cert_free(&authority);
    cert_free(&stranger);
    cert_free(&good);
    cert_free(&named);
    cert_free(&expired);
    cert_free(&future);
    cert_free(&client_cert);
    return 0;
}

static int begin(void **state)
{
    struct err err;
    (void)state;

    loop = loop_new(&err);
    pools = handler_pools_new(loop);
    config = (struct handler_config){.url = url,
                                     .timeout_ms = 15000,
                                     .connect_timeout_ms = 5000,
                                     .idle_timeout_ms = 60000,
                                     .max_response_bytes = 65536,
                                     .tls = {.ca_file = authority->cert_file}};
    return 0;
}

static int end(void **state)
{
    (void)state;
    handler_client_free(&client);
    handler_pools_free(&pools);
    host_free(&host);
    SSL_CTX_free(server);
    server = NULL;
    loop_free(&loop);
    return 0;
}

static void make_host(const struct cert *cert, const struct cert *client_ca)
{
    server = cert_server(cert, client_ca);
    host = host_new(loop, false, 64, server);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/orders", (unsigned)host->port);
}

static void make_client(void)
{
    struct err err = {0};

    client = handler_client_new(pools, &config, 100, &err);
    if (!client)
        print_message("%s\n", err.text);
    assert_non_null(client);
}

static void send_body(struct slice body, int64_t timeout_ms)
{
    try_begin(&try, "ce-id: 1\r\n", body, timeout_ms);
    handler_client_send(client, &try.call, clock_mono_ns());
}

static const struct handler_answer *answer(void)
{
    turn_until_done(loop, &try);
    return &try.call.answer;
}

static void exchange(size_t n)
{
    send_body(BODY, 15000);
    turn_until_peers(host, n + 1);
    turn_until_request(host->peers[n]);
    peer_take_request(host->peers[n]);
    peer_write(host->peers[n], OK_ANSWER);
    assert_int_equal(answer()->error, HANDLER_OK);
    assert_int_equal(answer()->status, 200);
}

static void assert_refused(const char *why)
{
    make_client();
    send_body(BODY, 15000);
    if (answer()->error != HANDLER_TLS || !strstr(answer()->detail, why))
        print_message("%d %s\n", answer()->error, answer()->detail);
    assert_int_equal(answer()->error, HANDLER_TLS);
    assert_false(answer()->request_sent);
    assert_non_null(strstr(answer()->detail, why));
}

static void test_tls_good_certificate_and_reuse(void **state)
{
    (void)state;
    make_host(good, NULL);
    make_client();
    for (int i = 0; i < 20; i++)
        exchange(0);
    assert_int_equal(host->count, 1);
}

static void test_tls_server_name_is_verified_and_sent(void **state)
{
    (void)state;
    make_host(named, NULL);
    config.tls.server_name = (char *)(uintptr_t) "orders.internal";
    make_client();
    exchange(0);
    assert_string_equal(SSL_get_servername(host->peers[0]->ssl, TLSEXT_NAMETYPE_host_name),
                        "orders.internal");
}

static void test_tls_wrong_name_is_refused(void **state)
{
    (void)state;
    make_host(named, NULL);
    assert_refused("IP address mismatch");
    handler_client_free(&client);
    config.tls.server_name = (char *)(uintptr_t) "payments.internal";
    assert_refused("ostname mismatch");
}

static void test_tls_expired_certificate_is_refused(void **state)
{
    (void)state;
    make_host(expired, NULL);
    assert_refused("expired");
}

static void test_tls_certificate_of_the_future_is_refused(void **state)
{
    (void)state;
    make_host(future, NULL);
    assert_refused("not yet valid");
}

static void test_tls_unknown_authority_is_refused(void **state)
{
    (void)state;
    make_host(good, NULL);
    config.tls.ca_file = stranger->cert_file;
    assert_refused("certificate refused");
    handler_client_free(&client);
    config.tls.ca_file = NULL; /* the system's store does not know it either */
    assert_refused("certificate refused");
}

static void test_tls_client_certificate(void **state)
{
    (void)state;
    make_host(good, authority);
    config.tls.cert_file = client_cert->cert_file;
    config.tls.key_file = client_cert->key_file;
    make_client();
    exchange(0);
    exchange(0);
    assert_int_equal(host->count, 1);
}

static void test_tls_missing_client_certificate_fails(void **state)
{
    (void)state;
    make_host(good, authority);
    make_client();
    send_body(BODY, 15000);
    /* With TLS 1.3 the refusal comes after our side of the handshake: a reset then. */
    assert_true(answer()->error == HANDLER_TLS || answer()->error == HANDLER_RESET);
}

static void test_tls_against_a_plain_server(void **state)
{
    (void)state;
    host = host_new(loop, false, 64, NULL);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", (unsigned)host->port);
    make_client();
    send_body(BODY, 15000);
    turn_until_peers(host, 1);
    peer_write(host->peers[0], "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer()->error, HANDLER_TLS);
    assert_false(answer()->request_sent);
}

static void test_tls_closed_in_the_handshake(void **state)
{
    (void)state;
    host = host_new(loop, false, 64, NULL);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", (unsigned)host->port);
    make_client();
    send_body(BODY, 15000);
    turn_until_peers(host, 1);
    peer_close(host->peers[0]);
    assert_int_equal(answer()->error, HANDLER_TLS);
}

static void test_tls_handshake_that_hangs_ends_at_connect_timeout(void **state)
{
    (void)state;
    host = host_new(loop, false, 64, NULL);
    snprintf(url, sizeof(url), "https://127.0.0.1:%u/", (unsigned)host->port);
    config.connect_timeout_ms = 80;
    make_client();
    uint64_t began_ns = clock_mono_ns();
    send_body(BODY, 15000);
    assert_int_equal(answer()->error, HANDLER_TLS);
    assert_false(answer()->request_sent);
    assert_true(clock_mono_ns() - began_ns >= 80 * NS_PER_MS);
}

static void test_tls_large_body_and_bounded_answer(void **state)
{
    size_t len = 4 * 1024 * 1024;
    char *data = mem_alloc(len);
    struct slice got;
    (void)state;

    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + (i >> 12));
    make_host(good, NULL);
    make_client();
    for (int i = 0; i < 2; i++) {
        send_body((struct slice){data, len}, 15000);
        turn_until_peers(host, 1);
        turn_until_request(host->peers[0]);
        peer_requests(host->peers[0], &got);
        assert_int_equal(got.len, len);
        assert_memory_equal(got.data, data, len);
        peer_take_request(host->peers[0]);
        peer_write(host->peers[0], OK_ANSWER);
        assert_int_equal(answer()->status, 200);
    }
    send_body(BODY, 15000);
    turn_until_request(host->peers[0]);
    peer_write(host->peers[0], "HTTP/1.1 409 No\r\nContent-Length: 1073741824\r\n\r\n");
    host->peers[0]->flood = UINT64_C(1) << 30;
    while (!try.done) {
        peer_pump(host->peers[0]);
        loop_turn(loop, true);
    }
    assert_int_equal(answer()->error, HANDLER_OK);
    assert_int_equal(answer()->status, 409);
    assert_true(host->peers[0]->written < 32 * 1024 * 1024);
    mem_free(data);
}

static void test_tls_connection_given_up_is_sent_once_more(void **state)
{
    (void)state;
    make_host(good, NULL);
    make_client();
    exchange(0);
    peer_reset(host->peers[0]);
    send_body(BODY, 15000);
    turn_until_peers(host, 2);
    turn_until_request(host->peers[1]);
    peer_write(host->peers[1], OK_ANSWER);
    assert_int_equal(answer()->error, HANDLER_OK);
    assert_true(try.call.retried_reset);
}

static void test_tls_reset_after_the_request_was_taken_is_not_sent_again(void **state)
{
    (void)state;
    make_host(good, NULL);
    make_client();
    exchange(0);
    send_body(BODY, 15000);
    turn_until_request(host->peers[0]);
    peer_reset(host->peers[0]);
    assert_int_equal(answer()->error, HANDLER_RESET);
    assert_true(answer()->request_sent);
    assert_false(try.call.retried_reset);
}

static void test_tls_reset_in_the_middle_of_an_upload(void **state)
{
    size_t len = 64 * 1024 * 1024;
    char *data = mem_zalloc(len);
    (void)state;

    make_host(good, NULL);
    make_client();
    send_body((struct slice){data, len}, 15000);
    turn_until_peers(host, 1);
    while (host->peers[0]->in.len == 0)
        loop_turn(loop, true);
    peer_reset(host->peers[0]);
    assert_int_equal(answer()->error, HANDLER_RESET);
    assert_true(answer()->request_sent);
    mem_free(data);
}

static void test_tls_cut_without_notice_is_no_whole_answer(void **state)
{
    (void)state;
    make_host(good, NULL);
    make_client();
    send_body(BODY, 15000);
    turn_until_peers(host, 1);
    turn_until_request(host->peers[0]);
    /* Only the end of the connection ends this body; without close_notify it may have been cut. */
    peer_write(host->peers[0], "HTTP/1.0 200 OK\r\n\r\nall of it?");
    SSL_set_quiet_shutdown(host->peers[0]->ssl, 1);
    peer_close(host->peers[0]);
    assert_int_equal(answer()->error, HANDLER_RESET);
    send_body(BODY, 15000);
    turn_until_peers(host, 2);
    turn_until_request(host->peers[1]);
    peer_write(host->peers[1], "HTTP/1.0 200 OK\r\n\r\nall of it");
    peer_close(host->peers[1]);
    assert_int_equal(answer()->error, HANDLER_OK);
}

static void test_new_refuses_bad_tls_files(void **state)
{
    (void)state;
    struct tls_config bad[] = {
        {.ca_file = (char *)(uintptr_t) "/nonexistent"},
        {.ca_file = authority->key_file},
        {.cert_file = client_cert->cert_file},
        {.key_file = client_cert->key_file},
        {.cert_file = (char *)(uintptr_t) "/nonexistent", .key_file = client_cert->key_file},
        {.cert_file = client_cert->cert_file, .key_file = good->key_file},
    };
    snprintf(url, sizeof(url), "https://127.0.0.1:1/");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        config.tls = bad[i];
        assert_null(handler_client_new(pools, &config, 1, &err));
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, "tls."));
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tls_good_certificate_and_reuse),
        TEST(test_tls_server_name_is_verified_and_sent),
        TEST(test_tls_wrong_name_is_refused),
        TEST(test_tls_expired_certificate_is_refused),
        TEST(test_tls_certificate_of_the_future_is_refused),
        TEST(test_tls_unknown_authority_is_refused),
        TEST(test_tls_client_certificate),
        TEST(test_tls_missing_client_certificate_fails),
        TEST(test_tls_against_a_plain_server),
        TEST(test_tls_closed_in_the_handshake),
        TEST(test_tls_handshake_that_hangs_ends_at_connect_timeout),
        TEST(test_tls_large_body_and_bounded_answer),
        TEST(test_tls_connection_given_up_is_sent_once_more),
        TEST(test_tls_reset_after_the_request_was_taken_is_not_sent_again),
        TEST(test_tls_reset_in_the_middle_of_an_upload),
        TEST(test_tls_cut_without_notice_is_no_whole_answer),
        TEST(test_new_refuses_bad_tls_files),
    };
    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
