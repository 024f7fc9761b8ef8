/* Connections of the HTTP client on real sockets: resets, idle ones, names, addresses, sockets,
 * cancelling, and how it is made and freed. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "handler_fixture.h"

static void test_send_reset_on_a_new_connection_is_a_reset(void **state)
{
    (void)state;
    send_one(0);
    peer_reset(peer_with_request(0));
    assert_int_equal(answer_of(0)->error, HANDLER_RESET);
    assert_true(answer_of(0)->request_sent);
    assert_int_equal(host->count, 1);
    send_one(0);
    peer_close(peer_with_request(1));
    assert_int_equal(answer_of(0)->error, HANDLER_RESET);
    assert_int_equal(host->count, 2);
}

/* The server gives up an idle connection, and the client writes before it hears of it. */
static void test_send_on_a_connection_given_up_is_sent_once_more(void **state)
{
    void (*const ends[])(struct peer *) = {peer_reset, peer_close};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        exchange(2 * i);
        ends[i](host->peers[2 * i]);
        send_one(1);
        struct peer *again = peer_with_request(2 * i + 1);
        assert_int_equal(tries[1].done, 0);
        peer_write(again, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_int_equal(answer_of(1)->error, HANDLER_OK);
        assert_int_equal(answer_of(1)->status, 200);
        assert_true(tries[1].call.retried_reset);
    }
    assert_int_equal(host->count, 4);
}

/* It had the request: it may be at work on it still, whatever cut the connection. */
static void test_send_reset_after_the_request_was_taken_is_not_sent_again(void **state)
{
    void (*const ends[])(struct peer *) = {peer_reset, peer_close};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        exchange(i);
        send_one(1);
        ends[i](peer_with_request(i));
        assert_int_equal(answer_of(1)->error, HANDLER_RESET);
        assert_true(answer_of(1)->request_sent);
        assert_false(tries[1].call.retried_reset);
    }
    assert_int_equal(host->count, 2);
}

static void test_send_reset_twice_is_a_reset(void **state)
{
    (void)state;
    exchange(0);
    peer_reset(host->peers[0]);
    send_one(1);
    peer_reset(peer_with_request(1));
    assert_int_equal(answer_of(1)->error, HANDLER_RESET);
    assert_true(answer_of(1)->request_sent);
    assert_int_equal(host->count, 2);
}

static void test_send_reset_after_an_answer_byte_is_not_sent_again(void **state)
{
    (void)state;
    exchange(0);
    send_one(1);
    struct peer *peer = peer_with_request(0);
    peer_write(peer, "H");
    peer_close(peer);
    assert_int_equal(answer_of(1)->error, HANDLER_RESET);
    assert_int_equal(host->count, 1);
}

static void test_send_given_up_then_refused_had_no_effect(void **state)
{
    (void)state;
    exchange(0);
    loop_watch_free(&host->watch);
    close(host->listen_fd);
    host->listen_fd = -1;
    peer_reset(host->peers[0]);
    send_one(1);
    assert_int_equal(answer_of(1)->error, HANDLER_CONNECT);
    assert_false(answer_of(1)->request_sent); /* no byte of it was taken */
}

static void test_idle_connection_closed_by_the_peer_is_not_used(void **state)
{
    (void)state;
    exchange(0);
    peer_close(host->peers[0]);
    loop_turn(loop, true);
    exchange(1);
    assert_false(tries[0].call.retried_reset);
    /* The same where it says something that nobody asked for. */
    peer_write(host->peers[1], "HTTP/1.1 408 Too slow\r\n\r\n");
    turn_until_closed(host->peers[1]);
    exchange(2);
}

static void test_idle_connection_is_closed_in_time(void **state)
{
    (void)state;
    handler_client_free(&client);
    config.idle_timeout_ms = 30;
    make_client(10);
    exchange(0);
    uint64_t idle_ns = clock_mono_ns();
    turn_until_closed(host->peers[0]);
    assert_true(clock_mono_ns() - idle_ns >= 25 * NS_PER_MS);
    exchange(1);
}

static void test_send_connection_refused(void **state)
{
    (void)state;
    loop_watch_free(&host->watch);
    close(host->listen_fd);
    host->listen_fd = -1;
    send_one(0);
    assert_int_equal(answer_of(0)->error, HANDLER_CONNECT);
    assert_false(answer_of(0)->request_sent);
    assert_non_null(strstr(answer_of(0)->detail, "127.0.0.1:"));
    assert_non_null(strstr(answer_of(0)->detail, "refused"));
}

static void test_send_connect_that_hangs_ends_at_connect_timeout(void **state)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fillers[8];
    (void)state;

    /* A full accept queue drops SYNs: connecting hangs. */
    struct host *full = host_new(loop, false, 0, NULL);
    full->accepting = false;
    loop_watch_free(&full->watch);
    name.sin_port = htons(full->port);
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fillers[i], (struct sockaddr *)(void *)&name, sizeof(name));
    }
    handler_client_free(&client);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", (unsigned)full->port);
    config.connect_timeout_ms = 80;
    make_client(10);
    uint64_t began_ns = clock_mono_ns();
    send_one(0);
    assert_int_equal(answer_of(0)->error, HANDLER_CONNECT);
    assert_false(answer_of(0)->request_sent);
    assert_true(clock_mono_ns() - began_ns >= 80 * NS_PER_MS);
    assert_non_null(strstr(answer_of(0)->detail, "timed out"));
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    host_free(&full);
}

static void test_send_name_that_does_not_exist(void **state)
{
    (void)state;
    handler_client_free(&client);
    config.url = (char *)(uintptr_t) "http://no-such-host.invalid/";
    config.connect_timeout_ms = 15000;
    make_client(10);
    send_one(0);
    send_one(1);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(answer_of(i)->error, HANDLER_DNS);
        assert_false(answer_of(i)->request_sent);
    }
    send_one(0);
    handler_client_cancel(client,
                          &tries[0].call); /* with a look-up under way, or failed just now */
    answer_of(0);
}

static void test_send_name_with_several_addresses(void **state)
{
    (void)state;
    handler_client_free(&client);
    snprintf(url, sizeof(url), "http://localhost:%u/", (unsigned)host->port);
    make_client(10);
    exchange(0); /* ::1 may come first and refuses */
    assert_non_null(client);
    exchange(0);
    assert_int_equal(host->count, 1);
}

static void test_free_with_a_look_up_under_way(void **state)
{
    (void)state;
    handler_client_free(&client);
    config.url = (char *)(uintptr_t) "http://localhost:1/";
    make_client(10);
    send_one(0);
    handler_client_cancel(client, &tries[0].call);
    answer_of(0);
    assert_true(answer_of(0)->cancelled);
}

static void test_send_over_a_unix_socket(void **state)
{
    (void)state;
    struct host *unix_host = host_new(loop, true, 16, NULL);
    handler_client_free(&client);
    config.url = (char *)(uintptr_t) "http://orders.internal/x";
    config.socket = unix_host->path;
    make_client(10);
    send_one(0);
    turn_until_peers(unix_host, 1);
    turn_until_request(unix_host->peers[0]);
    assert_non_null(
        strstr(unix_host->peers[0]->in.data, "POST /x HTTP/1.1\r\nHost: orders.internal\r\n"));
    peer_write(unix_host->peers[0], OK_ANSWER);
    assert_int_equal(answer_of(0)->status, 200);
    host_free(&unix_host);
    send_one(0);
    assert_int_equal(answer_of(0)->error, HANDLER_CONNECT);
}

static bool all_answered(void *arg)
{
    struct host *any = arg;
    bool all = true;

    for (size_t i = 0; i < any->count; i++) {
        struct slice body;
        if (peer_requests(any->peers[i], &body)) {
            peer_take_request(any->peers[i]);
            peer_write(any->peers[i], OK_ANSWER);
        }
    }
    for (size_t i = 0; i < 40; i++)
        all = all && tries[i].done;
    return all;
}

static void test_send_burst_on_a_unix_socket_with_a_short_backlog(void **state)
{
    (void)state;
    struct host *unix_host = host_new(loop, true, 1, NULL);
    handler_client_free(&client);
    config.socket = unix_host->path;
    make_client(40);
    for (size_t i = 0; i < 40; i++)
        send_one(i);
    turn_until(loop, all_answered, unix_host);
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(answer_of(i)->error, HANDLER_OK);
    host_free(&unix_host);
}

static void test_send_thousand_in_flight(void **state)
{
    (void)state;
    for (size_t i = 0; i < 1000; i++)
        send_one(i);
    for (size_t i = 0; i < 1000; i++)
        peer_with_request(i);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(tries[i].done, 0);
    for (size_t i = 1000; i-- > 0;) {
        peer_take_request(host->peers[i]);
        peer_write(host->peers[i], OK_ANSWER);
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(answer_of(i)->status, 200);
    exchange(0 /* answered last, used first */);
    assert_int_equal(host->count, 1000);
}

static void cancel(size_t n)
{
    inside = true;
    handler_client_cancel(client, &tries[n].call);
    inside = false;
}

static void test_cancel_in_flight_closes_the_connection(void **state)
{
    (void)state;
    send_one(0);
    struct peer *peer = peer_with_request(0);
    cancel(0);
    cancel(0); /* twice is once */
    assert_int_equal(tries[0].done, 0);
    assert_int_equal(answer_of(0)->error, HANDLER_RESET);
    assert_true(answer_of(0)->cancelled);
    assert_true(answer_of(0)->request_sent);
    turn_until_closed(peer);
}

/* A host that stands still: it takes what its small buffers hold, and accepts and reads later. */
static void stand_still(void)
{
    int small = 4096;

    setsockopt(host->listen_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)); /* inherited */
    loop_watch_free(&host->watch);
}

/* Its next connection has what had arrived by now, then a reset. */
static void expect_no_more_than_arrived(size_t all)
{
    struct pollfd polled = {.fd = accept4(host->listen_fd, NULL, NULL, SOCK_CLOEXEC),
                            .events = POLLIN};
    char chunk[16384];
    size_t len = 0;
    int arrived = 0;
    ssize_t n;

    assert_true(polled.fd >= 0);
    assert_int_equal(ioctl(polled.fd, FIONREAD, &arrived), 0);
    do {
        assert_int_equal(poll(&polled, 1, 20000), 1);
        n = recv(polled.fd, chunk, sizeof(chunk), 0);
        len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    assert_int_equal(n, -1);
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(len, arrived);
    assert_true(len > 0 && len < all);
    close(polled.fd);
}

/* Else the handler would work on it beside the next attempt, when it comes to itself. */
static void test_request_given_up_does_not_arrive_later(void **state)
{
    struct buf body = {0};
    (void)state;

    buf_reserve(&body, 4 << 20);
    memset(body.data, 'b', 4 << 20);
    body.len = 4 << 20;
    stand_still();
    send_timed(0, buf_slice(&body), 15000);
    send_timed(1, buf_slice(&body), 150);
    assert_int_equal(answer_of(1)->error, HANDLER_TIMEOUT);
    cancel(0);
    assert_true(answer_of(0)->cancelled);
    expect_no_more_than_arrived(body.len);
    expect_no_more_than_arrived(body.len);
    buf_deinit(&body);
}

/* An orderly end is none of that. */
static void test_connection_that_was_answered_is_closed_in_order(void **state)
{
    (void)state;
    send_one(0);
    peer_write(peer_with_request(0), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
                                     "Connection: close\r\n\r\n");
    assert_int_equal(answer_of(0)->status, 200);
    turn_until_closed(host->peers[0]);
    assert_false(host->peers[0]->reset);
    exchange(1);
    handler_client_free(&client); /* with an idle one */
    turn_until_closed(host->peers[1]);
    assert_false(host->peers[1]->reset);
}

static void test_cancel_before_connected(void **state)
{
    (void)state;
    send_one(0);
    cancel(0);
    assert_true(answer_of(0)->cancelled);
    assert_false(answer_of(0)->request_sent);
    exchange(host->count);
}

/* Its completion cancels the other, whose answer came in the same turn. */
static void cancel_second(struct handler_call *call)
{
    (void)call;
    tries[0].done++;
    cancel(1);
}

static bool both_done(void *arg)
{
    (void)arg;
    return tries[0].done && tries[1].done;
}

static void test_cancel_of_an_answered_call_keeps_the_answer(void **state)
{
    (void)state;
    send_one(0);
    send_one(1);
    tries[0].call.done = cancel_second;
    struct peer *first = peer_with_request(0);
    struct peer *second = peer_with_request(1);
    peer_write(first, OK_ANSWER);
    peer_write(second, OK_ANSWER);
    turn_until(loop, both_done, NULL);
    assert_int_equal(tries[1].done, 1);
    if (!tries[1].call.answer.cancelled)
        assert_int_equal(tries[1].call.answer.status, 200);
}

static void send_again(struct handler_call *call)
{
    struct try *try = call->arg;

    if (++try->done < 100)
        handler_client_send(client, call, clock_mono_ns());
}

static bool hundred_done(void *arg)
{
    struct slice body;
    (void)arg;

    if (host->count && peer_requests(host->peers[0], &body)) {
        peer_take_request(host->peers[0]);
        peer_write(host->peers[0], OK_ANSWER);
    }
    return tries[0].done == 100;
}

static void test_send_from_inside_done(void **state)
{
    (void)state;
    send_one(0);
    tries[0].call.done = send_again;
    turn_until(loop, hundred_done, NULL);
    assert_int_equal(host->count, 1);
}

static void free_client(struct handler_call *call)
{
    struct try *try = call->arg;

    try->done++;
    handler_client_free(&client);
}

static void test_free_from_inside_the_last_done(void **state)
{
    (void)state;
    send_one(0);
    tries[0].call.done = free_client;
    peer_write(peer_with_request(0), OK_ANSWER);
    turn_until_done(loop, &tries[0]);
    assert_null(client);
    turn_until_closed(host->peers[0]);
}

static void test_new_refuses_bad_urls(void **state)
{
    static const char *const bad[] = {
        "",
        "orders",
        "ftp://127.0.0.1/",
        "http://",
        "http://a b/",
        "http://h/\r\nX: y",
        "http://user:pw@h/",
        "http://h:0/",
        "http://h:99999/",
        "http://h/#f",
        "http://h/\xc3\xa9",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        config.url = (char *)(uintptr_t)bad[i];
        assert_null(handler_client_new(pools, &config, 1, &err));
        assert_int_equal(err.code, ERR_CONFIG);
    }
}

static void test_new_refuses_a_long_socket_path(void **state)
{
    char path[200];
    struct err err = {0};
    (void)state;

    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    config.socket = path;
    assert_null(handler_client_new(pools, &config, 1, &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_send_reset_on_a_new_connection_is_a_reset),
        TEST(test_send_on_a_connection_given_up_is_sent_once_more),
        TEST(test_send_reset_after_the_request_was_taken_is_not_sent_again),
        TEST(test_send_reset_twice_is_a_reset),
        TEST(test_send_reset_after_an_answer_byte_is_not_sent_again),
        TEST(test_send_given_up_then_refused_had_no_effect),
        TEST(test_idle_connection_closed_by_the_peer_is_not_used),
        TEST(test_idle_connection_is_closed_in_time),
        TEST(test_send_connection_refused),
        TEST(test_send_connect_that_hangs_ends_at_connect_timeout),
        TEST(test_send_name_that_does_not_exist),
        TEST(test_send_name_with_several_addresses),
        TEST(test_free_with_a_look_up_under_way),
        TEST(test_send_over_a_unix_socket),
        TEST(test_send_burst_on_a_unix_socket_with_a_short_backlog),
        TEST(test_send_thousand_in_flight),
        TEST(test_cancel_in_flight_closes_the_connection),
        TEST(test_request_given_up_does_not_arrive_later),
        TEST(test_connection_that_was_answered_is_closed_in_order),
        TEST(test_cancel_before_connected),
        TEST(test_cancel_of_an_answered_call_keeps_the_answer),
        TEST(test_send_from_inside_done),
        TEST(test_free_from_inside_the_last_done),
        TEST(test_new_refuses_bad_urls),
        TEST(test_new_refuses_a_long_socket_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
