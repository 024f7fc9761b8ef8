/* The HTTP client against a scripted peer on real sockets: what handlers and networks do to it. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "handler_peer.h"

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define BODY      SLICE_LIT("hello")

static struct loop *loop;
static struct host *host;
static struct handler_client *client;
static struct handler_config config;
static char url[128];
static struct try tries[1024];
static bool inside;

static void make_client(uint32_t max)
{
    struct err err = {0};

    client = handler_client_new(loop, &config, max, &err);
    if (!client)
        print_message("%s\n", err.text);
    assert_non_null(client);
}

static int begin(void **state)
{
    struct err err;
    (void)state;

    loop = loop_new(&err);
    host = host_new(loop, false, 1024, NULL);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/orders?a=b", (unsigned)host->port);
    config = (struct handler_config){.url = url,
                                     .timeout_ms = 15000,
                                     .connect_timeout_ms = 5000,
                                     .idle_timeout_ms = 60000,
                                     .max_response_bytes = 65536};
    make_client(1000);
    inside = false;
    return 0;
}

static int end(void **state)
{
    (void)state;
    handler_client_free(&client);
    host_free(&host);
    loop_free(&loop);
    return 0;
}

static void send_timed(size_t n, struct slice body, int64_t timeout_ms)
{
    try_begin(&tries[n], "ce-id: 1\r\nX-Y: z\r\n", body, timeout_ms);
    tries[n].inside = &inside;
    inside = true;
    handler_client_send(client, &tries[n].call);
    inside = false;
}

static void send_one(size_t n)
{
    send_timed(n, BODY, 15000);
}

static const struct handler_answer *answer_of(size_t n)
{
    turn_until_done(loop, &tries[n]);
    return &tries[n].call.answer;
}

/* The n-th accepted connection with a whole request in it. */
static struct peer *peer_with_request(size_t n)
{
    turn_until_peers(host, n + 1);
    turn_until_request(host->peers[n]);
    return host->peers[n];
}

/* One exchange on peer n, after which its connection is idle. */
static void exchange(size_t n)
{
    send_one(0);
    struct peer *peer = peer_with_request(n);
    peer_take_request(peer);
    peer_write(peer, OK_ANSWER);
    assert_int_equal(answer_of(0)->error, HANDLER_OK);
}

static void test_send_request_is_what_the_peer_reads(void **state)
{
    char expected[256];
    (void)state;

    send_one(0);
    struct peer *peer = peer_with_request(0);
    snprintf(expected, sizeof(expected),
             "POST /orders?a=b HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nce-id: 1\r\nX-Y: z\r\n"
             "Content-Length: 5\r\n\r\nhello",
             (unsigned)host->port);
    assert_string_equal(peer->in.data, expected);
    peer_write(peer, "HTTP/1.1 422 No\r\nContent-Length: 3\r\nOncegate-Outcome: drop\r\n"
                     "Oncegate-Error-Code: odd\r\nRetry-After: 3\r\n\r\nwhy");
    const struct handler_answer *answer = answer_of(0);
    assert_int_equal(answer->error, HANDLER_OK);
    assert_int_equal(answer->status, 422);
    assert_true(answer->request_sent);
    assert_true(answer->has_outcome);
    assert_int_equal(answer->outcome, OUTCOME_DROP);
    assert_string_equal(answer->code, "odd");
    assert_string_equal(answer->detail, "why");
    assert_int_equal(answer->retry_after_ms, 3000);
}

static void test_send_null_body_has_length_zero(void **state)
{
    (void)state;
    send_timed(0, SLICE_NULL, 15000);
    struct peer *peer = peer_with_request(0);
    assert_non_null(strstr(peer->in.data, "\r\nContent-Length: 0\r\n\r\n"));
    peer_write(peer, OK_ANSWER);
    assert_int_equal(answer_of(0)->status, 200);
}

static void test_send_reuses_the_connection_used_last(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        exchange(0);
    assert_int_equal(host->count, 1);
    send_one(0);
    send_one(1);
    struct peer *first = peer_with_request(0);
    struct peer *second = peer_with_request(1);
    peer_take_request(first);
    peer_take_request(second);
    peer_write(second, OK_ANSWER);
    answer_of(1);
    peer_write(first, OK_ANSWER);
    answer_of(0);
    exchange(0); /* it answered last */
    assert_int_equal(host->count, 2);
}

static void test_send_answers_that_do_not_keep_the_connection(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        send_one(0);
        struct peer *peer = peer_with_request(i);
        peer_write(peer, answers[i]);
        assert_int_equal(answer_of(0)->error, HANDLER_OK);
        assert_int_equal(answer_of(0)->status, 200);
        turn_until_closed(peer);
    }
}

static void test_send_body_that_the_close_ends(void **state)
{
    (void)state;
    send_one(0);
    struct peer *peer = peer_with_request(0);
    peer_write(peer, "HTTP/1.0 500 No\r\nContent-Type: text/plain\r\n\r\nbecause");
    peer_close(peer);
    assert_int_equal(answer_of(0)->error, HANDLER_OK);
    assert_int_equal(answer_of(0)->status, 500);
    assert_string_equal(answer_of(0)->detail, "because");
}

static void test_send_answer_byte_by_byte(void **state)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n"
                               "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n"
                               "Retry-After: 12\r\n\r\n3\r\nnot\r\n4\r\n now\r\n0\r\n\r\n";
    (void)state;

    send_one(0);
    struct peer *peer = peer_with_request(0);
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_int_equal(tries[0].done, 0);
        peer_write_bytes(peer, text + i, 1);
        loop_turn(loop, true);
    }
    assert_int_equal(answer_of(0)->status, 503);
    assert_int_equal(answer_of(0)->retry_after_ms, 12000);
    assert_string_equal(answer_of(0)->detail, "not now");
    peer_take_request(peer);
    exchange(0);
    assert_int_equal(host->count, 1);
}

static void test_send_garbage_is_a_protocol_error(void **state)
{
    static const char *const answers[] = {
        "SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
        "\x15\x03\x03\x00\x02\x02\x46",
        "HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nOncegate-Outcome: perhaps\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        send_one(0);
        struct peer *peer = peer_with_request(i);
        peer_write(peer, answers[i]);
        assert_int_equal(answer_of(0)->error, HANDLER_PROTOCOL);
        assert_true(answer_of(0)->request_sent);
        assert_true(strlen(answer_of(0)->detail) > 0);
        if (i < 3)
            turn_until_closed(peer);
        else
            peer_reset(peer);
    }
}

static void test_send_endless_head_is_a_protocol_error(void **state)
{
    (void)state;
    send_one(0);
    struct peer *peer = peer_with_request(0);
    peer_write(peer, "HTTP/1.1 200 OK\r\nX: ");
    peer->flood = UINT64_C(1) << 30;
    while (!tries[0].done) {
        peer_pump(peer);
        loop_turn(loop, true);
    }
    assert_int_equal(answer_of(0)->error, HANDLER_PROTOCOL);
    assert_true(peer->written < 16 * 1024 * 1024);
}

static void test_send_half_an_answer_is_a_reset(void **state)
{
    static const struct {
        const char *text;
        int status;
    } halves[] = {
        {"H", 0},
        {"HTTP/1.1 200 OK\r\nContent-Le", 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 200},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha", 200},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        send_one(0);
        struct peer *peer = peer_with_request(i);
        peer_write(peer, halves[i].text);
        peer_close(peer);
        assert_int_equal(answer_of(0)->error, HANDLER_RESET);
        assert_int_equal(answer_of(0)->status, halves[i].status);
        assert_true(answer_of(0)->request_sent);
    }
}

static void test_send_gibibyte_answer_costs_its_bound(void **state)
{
    (void)state;
    send_one(0);
    struct peer *peer = peer_with_request(0);
    peer_write(peer, "HTTP/1.1 409 No\r\nContent-Length: 1073741824\r\n\r\n");
    peer->flood = UINT64_C(1) << 30;
    while (!tries[0].done) {
        peer_pump(peer);
        loop_turn(loop, true);
    }
    assert_int_equal(answer_of(0)->error, HANDLER_OK);
    assert_int_equal(answer_of(0)->status, 409);
    turn_until_closed(peer);
    /* What the kernel's buffers hold, not what the answer is long. */
    assert_true(peer->written < 32 * 1024 * 1024);
}

static void test_send_no_answer_times_out_and_not_early(void **state)
{
    (void)state;
    exchange(0); /* a sweep is armed for later than the next deadline */
    send_timed(1, BODY, 120);
    peer_with_request(0);
    assert_int_equal(answer_of(1)->error, HANDLER_TIMEOUT);
    assert_true(clock_mono_ns() >= tries[1].call.deadline_ns);
    assert_int_equal(answer_of(1)->status, 0);
    assert_true(answer_of(1)->request_sent);
    turn_until_closed(host->peers[0]);
}

static void test_send_stalled_body_times_out(void **state)
{
    (void)state;
    send_timed(0, BODY, 100);
    peer_write(peer_with_request(0), "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    assert_int_equal(answer_of(0)->error, HANDLER_TIMEOUT);
    assert_int_equal(answer_of(0)->status, 200);
}

static void test_send_many_deadlines_each_in_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < 100; i++)
        send_timed(i, BODY, 50 + (int64_t)(i * 37 % 200));
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(answer_of(i)->error, HANDLER_TIMEOUT);
        assert_true(clock_mono_ns() >= tries[i].call.deadline_ns);
    }
}

static void test_send_past_deadline_sends_nothing(void **state)
{
    (void)state;
    send_timed(0, BODY, 0);
    assert_int_equal(answer_of(0)->error, HANDLER_TIMEOUT);
    assert_false(answer_of(0)->request_sent);
    assert_int_equal(host->count, 0);
}

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

static void test_send_reset_on_a_reused_connection_is_sent_once_more(void **state)
{
    void (*const ends[])(struct peer *) = {peer_reset, peer_close};
    (void)state;

    for (size_t i = 0; i < 2; i++) {
        exchange(2 * i);
        send_one(1);
        ends[i](peer_with_request(2 * i));
        struct peer *again = peer_with_request(2 * i + 1);
        assert_int_equal(tries[1].done, 0);
        peer_write(again, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_int_equal(answer_of(1)->error, HANDLER_OK);
        assert_int_equal(answer_of(1)->status, 200);
        assert_true(tries[1].call.retried_reset);
    }
    assert_int_equal(host->count, 4);
}

static void test_send_reset_twice_is_a_reset(void **state)
{
    (void)state;
    exchange(0);
    send_one(1);
    peer_reset(peer_with_request(0));
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

static void test_send_reset_then_refused_stays_ambiguous(void **state)
{
    (void)state;
    exchange(0);
    send_one(1);
    struct peer *peer = peer_with_request(0);
    loop_watch_free(&host->watch);
    close(host->listen_fd);
    host->listen_fd = -1;
    peer_reset(peer);
    assert_int_equal(answer_of(1)->error, HANDLER_CONNECT);
    assert_true(answer_of(1)->request_sent); /* on the first connection: it may have had effect */
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

static void test_send_large_body_arrives_whole(void **state)
{
    size_t len = 8 * 1024 * 1024;
    char *data = mem_alloc(len);
    struct slice got;
    (void)state;

    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + (i >> 12));
    for (int i = 0; i < 2; i++) { /* on a new connection and on a reused one */
        send_timed(0, (struct slice){data, len}, 15000);
        struct peer *peer = peer_with_request(0);
        assert_int_equal(peer_requests(peer, &got), 1);
        assert_int_equal(got.len, len);
        assert_memory_equal(got.data, data, len);
        peer_take_request(peer);
        peer_write(peer, OK_ANSWER);
        assert_int_equal(answer_of(0)->status, 200);
    }
    mem_free(data);
}

static void test_send_large_head_arrives_whole(void **state)
{
    size_t len = 8 * 1024 * 1024;
    char *head = mem_alloc(len + 1);
    struct slice got;
    (void)state;

    /* Larger than the kernel takes at once, so that a write ends in the middle of it. */
    memset(head, 'h', len);
    memcpy(head, "X: ", 3);
    memcpy(head + len - 2, "\r\n", 3);
    try_begin(&tries[0], head, BODY, 15000);
    handler_client_send(client, &tries[0].call);
    struct peer *peer = peer_with_request(0);
    assert_int_equal(peer_requests(peer, &got), 1);
    assert_true(slice_equal_text(got, "hello"));
    assert_non_null(memmem(peer->in.data, peer->in.len, head, len));
    assert_int_equal(peer->in.data + peer->in.len - got.data, got.len);
    peer_write(peer, OK_ANSWER);
    assert_int_equal(answer_of(0)->status, 200);
    mem_free(head);
}

static bool is_done_or_drained(void *arg)
{
    peer_pump(arg);
    return tries[0].done;
}

static void test_send_answer_before_the_body_is_read(void **state)
{
    size_t len = 64 * 1024 * 1024;
    char *data = mem_zalloc(len);
    (void)state;

    send_timed(0, (struct slice){data, len}, 15000);
    turn_until_peers(host, 1);
    loop_watch_free(&host->peers[0]->watch); /* it reads no more */
    peer_write(host->peers[0], "HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n");
    turn_until(loop, is_done_or_drained, host->peers[0]);
    assert_int_equal(answer_of(0)->error, HANDLER_OK);
    assert_int_equal(answer_of(0)->status, 413);
    exchange(1); /* the connection stands in the middle of a request: not reused */
    mem_free(data);
}

/* Writing on a connection that the peer has reset must not raise SIGPIPE, which would end the
 * process. */
static void test_send_reset_in_the_middle_of_an_upload(void **state)
{
    size_t len = 64 * 1024 * 1024;
    char *data = mem_zalloc(len);
    (void)state;

    for (int i = 0; i < 2; i++) {
        send_timed(0, (struct slice){data, len}, 15000);
        turn_until_peers(host, host->count + 1);
        loop_watch_free(&host->peers[host->count - 1]->watch);
        peer_reset(host->peers[host->count - 1]);
        assert_int_equal(answer_of(0)->error, HANDLER_RESET);
        assert_true(answer_of(0)->request_sent);
    }
    mem_free(data);
}

static void test_send_stalled_upload_times_out(void **state)
{
    size_t len = 64 * 1024 * 1024;
    char *data = mem_zalloc(len);
    (void)state;

    send_timed(0, (struct slice){data, len}, 150);
    turn_until_peers(host, 1);
    loop_watch_free(&host->peers[0]->watch);
    assert_int_equal(answer_of(0)->error, HANDLER_TIMEOUT);
    assert_true(answer_of(0)->request_sent);
    mem_free(data);
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
        handler_client_send(client, call);
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
        assert_null(handler_client_new(loop, &config, 1, &err));
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
    assert_null(handler_client_new(loop, &config, 1, &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_send_request_is_what_the_peer_reads),
        TEST(test_send_null_body_has_length_zero),
        TEST(test_send_reuses_the_connection_used_last),
        TEST(test_send_answers_that_do_not_keep_the_connection),
        TEST(test_send_body_that_the_close_ends),
        TEST(test_send_answer_byte_by_byte),
        TEST(test_send_garbage_is_a_protocol_error),
        TEST(test_send_endless_head_is_a_protocol_error),
        TEST(test_send_half_an_answer_is_a_reset),
        TEST(test_send_gibibyte_answer_costs_its_bound),
        TEST(test_send_no_answer_times_out_and_not_early),
        TEST(test_send_stalled_body_times_out),
        TEST(test_send_many_deadlines_each_in_time),
        TEST(test_send_past_deadline_sends_nothing),
        TEST(test_send_reset_on_a_new_connection_is_a_reset),
        TEST(test_send_reset_on_a_reused_connection_is_sent_once_more),
        TEST(test_send_reset_twice_is_a_reset),
        TEST(test_send_reset_after_an_answer_byte_is_not_sent_again),
        TEST(test_send_reset_then_refused_stays_ambiguous),
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
        TEST(test_send_large_body_arrives_whole),
        TEST(test_send_large_head_arrives_whole),
        TEST(test_send_answer_before_the_body_is_read),
        TEST(test_send_reset_in_the_middle_of_an_upload),
        TEST(test_send_stalled_upload_times_out),
        TEST(test_cancel_in_flight_closes_the_connection),
        TEST(test_cancel_before_connected),
        TEST(test_cancel_of_an_answered_call_keeps_the_answer),
        TEST(test_send_from_inside_done),
        TEST(test_free_from_inside_the_last_done),
        TEST(test_new_refuses_bad_urls),
        TEST(test_new_refuses_a_long_socket_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
