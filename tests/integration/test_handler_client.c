/* One exchange of the HTTP client against a scripted peer on real sockets: requests out, answers
 * good and bad, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "handler_fixture.h"

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

/* So many calls at once, each of them answered: as many connections are idle then. */
static void open_connections(size_t count)
{
    for (size_t i = 0; i < count; i++)
        send_one(i);
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = peer_with_request(i);
        peer_take_request(peer);
        peer_write(peer, OK_ANSWER);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(answer_of(i)->error, HANDLER_OK);
}

/* On open connections: on a machine that is busy a deadline may pass while it is still connected,
 * and that is another answer. */
static void test_send_many_deadlines_each_in_time(void **state)
{
    (void)state;
    open_connections(100);
    for (size_t i = 0; i < 100; i++)
        send_timed(i, BODY, 50 + (int64_t)(i * 37 % 200));
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(answer_of(i)->error, HANDLER_TIMEOUT);
        assert_true(clock_mono_ns() >= tries[i].call.deadline_ns);
    }
    assert_int_equal(host->count, 100);
}

static void test_send_past_deadline_sends_nothing(void **state)
{
    (void)state;
    send_timed(0, BODY, 0);
    assert_int_equal(answer_of(0)->error, HANDLER_TIMEOUT);
    assert_false(answer_of(0)->request_sent);
    assert_int_equal(host->count, 0);
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
    handler_client_send(client, &tries[0].call, clock_mono_ns());
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
        TEST(test_send_large_body_arrives_whole),
        TEST(test_send_large_head_arrives_whole),
        TEST(test_send_answer_before_the_body_is_read),
        TEST(test_send_reset_in_the_middle_of_an_upload),
        TEST(test_send_stalled_upload_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
