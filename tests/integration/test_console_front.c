/* The console's server over real sockets: bounds, hostile clients, streams, and what each answer
 * says to a browser. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "console/assets.h"
#include "console/events.h"
#include "console/front.h"
#include "console/page.h"
#include "console/reply.h"

#define DEADLINE_MS 20000
#define HOST        "Host: localhost\r\n"

struct world {
    struct loop *loop;
    struct console_config config;
    struct front *front;
    struct events *events;
    struct call *held; /* of /hold, until answered or gone */
    int gone;
    bool late;
    struct call *paced;
    size_t pieces, unsent_most;
    bool cut;
};

struct peer {
    struct world *world;
    int fd;
    struct loop_watch *watch;
    struct buf got;
    bool eof;
};

static void serve_echo(void *arg, struct call *call, const struct route_match *match)
{
    struct buf body = {0};
    (void)arg;
    buf_add_text(&body, "{\"body\":");
    buf_add_json(&body, call_request(call)->body);
    buf_printf(&body, ",\"who\":\"%s\"}", match->who.user);
    reply_json(call, &body);
    buf_deinit(&body);
}

static void serve_big(void *arg, struct call *call, const struct route_match *match)
{
    struct buf body = {0};
    (void)arg;
    (void)match;
    for (int i = 0; i < 1 << 20; i++)
        buf_add_text(&body, "0123456789abcdef");
    reply_json(call, &body);
    buf_deinit(&body);
}

static void held_gone(void *arg)
{
    struct world *world = arg;
    world->held = NULL;
    world->gone++;
}

static void serve_hold(void *arg, struct call *call, const struct route_match *match)
{
    struct world *world = arg;
    (void)match;
    world->held = call;
    call_on_gone(call, held_gone, world);
}

static void serve_events(void *arg, struct call *call, const struct route_match *match)
{
    struct world *world = arg;
    (void)match;
    if (!events_join(world->events, call, request_header(call_request(call), "Last-Event-ID")))
        reply_problem(call, 503, "too many");
}

/* ---- a long answer, piece by piece ---- */

#define PIECE 32768
#define ROOM  65536

static void paced_gone(void *arg)
{
    struct world *world = arg;
    world->paced = NULL;
    world->gone++;
}

static void write_pieces(void *arg)
{
    static char piece[PIECE];
    struct world *world = arg;
    while (world->paced && world->pieces > 0 && call_unsent(world->paced) < ROOM) {
        assert_true(call_write(world->paced, (struct slice){piece, sizeof(piece)}));
        world->pieces--;
        if (call_unsent(world->paced) > world->unsent_most)
            world->unsent_most = call_unsent(world->paced);
    }
    if (!world->paced || world->pieces > 0)
        return;
    if (world->cut)
        call_cut(world->paced);
    else
        call_end(world->paced);
    world->paced = NULL;
}

static void serve_paced(void *arg, struct call *call, const struct route_match *match)
{
    struct world *world = arg;
    (void)match;
    world->paced = call;
    call_on_gone(call, paced_gone, world);
    call_stream_paced(call, "application/x-ndjson", write_pieces);
    write_pieces(world);
}

static const struct endpoint_body lines = {"application/x-ndjson", "{}", "take the other way"};

static const struct endpoint table[] = {
    {METHOD_GET, "/", ROLE_NONE, false, "page", "", NULL, NULL, "text/plain", NULL, assets_serve,
     NULL},
    {METHOD_GET, "/api/echo", ROLE_VIEWER, false, "look", "", NULL, NULL, "application/json", NULL,
     serve_echo, NULL},
    {METHOD_POST, "/api/echo", ROLE_OPERATOR, true, "change", "", NULL, NULL, "application/json",
     NULL, serve_echo, NULL},
    {METHOD_GET, "/api/big", ROLE_VIEWER, false, "big", "", NULL, NULL, "application/json", NULL,
     serve_big, NULL},
    {METHOD_GET, "/api/paced", ROLE_VIEWER, false, "paced", "", NULL, NULL, "application/x-ndjson",
     NULL, serve_paced, NULL},
    {METHOD_POST, "/api/lines", ROLE_VIEWER, false, "lines", "", NULL, NULL, "application/json",
     NULL, serve_echo, &lines},
    {METHOD_GET, "/api/hold", ROLE_VIEWER, false, "hold", "", NULL, NULL, "application/json", NULL,
     serve_hold, NULL},
    {METHOD_GET, "/api/events", ROLE_VIEWER, false, "events", "", NULL, NULL, "text/event-stream",
     NULL, serve_events, NULL},
    {0},
};

static char loopback[] = "127.0.0.1";

static void start(struct world *world)
{
    struct err err = {0};
    world->front = front_new(world->loop, &world->config, table, world, &err);
    if (!world->front)
        fail_msg("%s", err.text);
}

static int setup(void **state)
{
    struct world *world = mem_zalloc(sizeof(*world));
    struct err err = {0};
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    world->loop = loop_new(&err);
    assert_non_null(world->loop);
    world->events = events_new(world->loop, 2);
    world->config = (struct console_config){.listen = {loopback, 0}, .allow_changes = true};
    world->config.limits.connections = 4;
    world->config.limits.header_bytes = 4096;
    world->config.limits.body_bytes = 10000;
    world->config.limits.request_ms = 60000;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    events_free(&world->events);
    front_free(&world->front);
    loop_free(&world->loop);
    mem_free(world);
    return 0;
}

static void too_late(void *arg)
{
    *(bool *)arg = true;
}

static void take(void *arg)
{
    struct peer *peer = arg;
    char data[65536];
    ssize_t n = recv(peer->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0)
        buf_add(&peer->got, data, (size_t)n);
    else if (n == 0 || errno != EAGAIN) {
        peer->eof = true;
        loop_watch_free(&peer->watch);
    }
}

static struct peer *dial(struct world *world)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)front_port(world->front)),
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct peer *peer = mem_zalloc(sizeof(*peer));
    struct err err = {0};
    peer->world = world;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    peer->watch = loop_watch_new(world->loop, peer->fd, take, peer, &err);
    assert_non_null(peer->watch);
    buf_add_text(&peer->got, "");
    return peer;
}

static void hang_up(struct peer *peer)
{
    if (peer->watch)
        loop_watch_free(&peer->watch);
    close(peer->fd);
    buf_deinit(&peer->got);
    mem_free(peer);
}

/* What the server does not take is not sent: it may have closed. */
static void say(struct peer *peer, struct slice text)
{
    while (text.len > 0) {
        ssize_t n = send(peer->fd, text.data, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0) {
            text.data += n;
            text.len -= (size_t)n;
        }
        loop_turn(peer->world->loop, false);
    }
}

#define WAIT(world, condition)                                                                     \
    do {                                                                                           \
        struct loop_timer timer_;                                                                  \
        bool late_ = false;                                                                        \
        loop_timer_init(&timer_, (world)->loop, too_late, &late_);                                 \
        loop_timer_set_ms(&timer_, DEADLINE_MS);                                                   \
        while (!(condition) && !late_)                                                             \
            loop_turn((world)->loop, true);                                                        \
        loop_timer_deinit(&timer_);                                                                \
        if (late_)                                                                                 \
            fail_msg("waited in vain for " #condition);                                            \
    } while (0)

static bool has(const struct peer *peer, const char *text)
{
    return strstr(peer->got.data, text) != NULL;
}

static void expect(struct peer *peer, const char *text)
{
    WAIT(peer->world, has(peer, text) || peer->eof);
    if (!has(peer, text))
        fail_msg("no %s in: %.600s", text, peer->got.data);
}

/* One connection, one request; the answer must begin with the status. */
static void asks(struct world *world, const char *request, const char *status)
{
    struct peer *peer = dial(world);
    say(peer, slice_of(request));
    expect(peer, status);
    expect(peer, "\r\n\r\n");
    hang_up(peer);
}

static void test_front_answers_are_closed_up(void **state)
{
    static const char *const headers[] = {"\r\nX-Content-Type-Options: nosniff\r\n",
                                          "\r\nX-Frame-Options: DENY\r\n",
                                          "\r\nCache-Control: no-store\r\n",
                                          "\r\nReferrer-Policy: no-referrer\r\n",
                                          "\r\nCross-Origin-Resource-Policy: same-origin\r\n",
                                          "\r\nContent-Security-Policy: default-src 'none'"};
    static const char *const requests[] = {"GET /api/echo HTTP/1.1\r\n" HOST "\r\n",
                                           "GET /nowhere HTTP/1.1\r\n" HOST "\r\n",
                                           "GET /api/echo HTTP/1.1\r\nHost: evil.example\r\n\r\n"};
    struct world *world = *state;
    start(world);
    for (size_t i = 0; i < 3; i++) {
        struct peer *peer = dial(world);
        say(peer, slice_of(requests[i]));
        for (size_t k = 0; k < sizeof(headers) / sizeof(headers[0]); k++)
            expect(peer, headers[k]);
        hang_up(peer);
    }
}

static void test_front_wrong_requests_get_their_status(void **state)
{
    struct world *world = *state;
    start(world);
    asks(world, "GET /api/echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 421 ");
    asks(world, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404 ");
    asks(world, "DELETE /api/echo HTTP/1.1\r\n" HOST "\r\n", "\r\nAllow: GET, HEAD, POST\r\n");
    asks(world, "GET /api/echo?x=1 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 ");
    asks(world, "GET /api/echo HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");
    asks(world, "GET /api/echo HTTP/1.1\r\n" HOST HOST "\r\n", "HTTP/1.1 400 ");
    asks(world, "GET http://localhost/api/echo HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400 ");
    asks(world, "GET /api/echo HTTP/3.0\r\n" HOST "\r\n", "HTTP/1.1 400 ");
    asks(world, "\x16\x03\x01\x02\x00\x01", "HTTP/1.1 400 ");
    asks(world, "POST /api/echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "HTTP/1.1 411 ");
    asks(world,
         "POST /api/echo HTTP/1.1\r\n" HOST
         "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 4");
    asks(world, "POST /api/echo HTTP/1.1\r\n" HOST "Content-Length: 10001\r\n\r\n",
         "HTTP/1.1 413 ");
    asks(world, "POST /api/echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
         "HTTP/1.1 400 ");
    asks(world, "POST /api/echo HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", "HTTP/1.1 400 ");
    asks(world,
         "POST /api/echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
         "HTTP/1.1 417 ");
    asks(world,
         "GET /api/echo HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "HTTP/1.1 400 ");
    asks(world,
         "POST /api/echo HTTP/1.1\r\n" HOST
         "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
         "HTTP/1.1 415 ");
    asks(world,
         "POST /api/echo HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n"
         "Sec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n{}",
         "HTTP/1.1 403 ");
}

static void test_front_a_body_has_the_type_and_the_way_out_of_its_endpoint(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    start(world);
    asks(world,
         "POST /api/lines HTTP/1.1\r\n" HOST
         "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
         "HTTP/1.1 415 ");
    asks(world,
         "POST /api/lines HTTP/1.1\r\n" HOST
         "Content-Type: application/x-ndjson\r\nContent-Length: 2\r\n\r\n{}",
         "HTTP/1.1 200 ");
    peer = dial(world);
    say(peer, SLICE_LIT("POST /api/lines HTTP/1.1\r\n" HOST "Content-Length: 10001\r\n\r\n"));
    expect(peer, "HTTP/1.1 413 ");
    expect(peer, "longer than console.limits.body: take the other way\"");
    hang_up(peer);
}

/* Bytes of the body of an answer in chunks; false: it has no end, or what is behind one. */
static bool read_chunks(const struct peer *peer, size_t *size)
{
    const char *at = strstr(peer->got.data, "\r\n\r\n");
    const char *end = peer->got.data + peer->got.len;
    *size = 0;
    for (at += 4; at < end;) {
        char *head_end;
        size_t len = (size_t)strtoul(at, &head_end, 16);
        if (len == 0)
            return end - at == 5 && memcmp(at, "0\r\n\r\n", 5) == 0;
        *size += len;
        at = head_end + 2 + len + 2;
    }
    return false;
}

static void test_paced_an_answer_of_any_length_is_whole_and_never_all_in_memory(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    size_t size;
    world->pieces = 1000;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/paced HTTP/1.1\r\n" HOST "\r\n"));
    WAIT(world, peer->eof);
    assert_true(has(peer, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_true(read_chunks(peer, &size));
    assert_int_equal(size, 1000 * PIECE);
    assert_in_range(world->unsent_most, PIECE, ROOM + PIECE + 100);
    hang_up(peer);
    /* HTTP/1.0 knows no chunks. */
    world->pieces = 1;
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/paced HTTP/1.0\r\n" HOST "\r\n"));
    WAIT(world, peer->eof);
    assert_false(has(peer, "chunked"));
    assert_int_equal(
        peer->got.len - (size_t)(strstr(peer->got.data, "\r\n\r\n") + 4 - peer->got.data), PIECE);
    hang_up(peer);
    assert_int_equal(world->gone, 0);
}

static void test_paced_what_breaks_off_has_no_end(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    size_t size;
    world->pieces = 10;
    world->cut = true;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/paced HTTP/1.1\r\n" HOST "\r\n"));
    WAIT(world, peer->eof);
    assert_false(read_chunks(peer, &size));
    assert_int_equal(size, 10 * PIECE); /* what was written before is there */
    hang_up(peer);
}

struct sip {
    struct loop_timer timer;
    struct peer *peer;
};

/* Less at a time than there is, and seldom. */
static void sip(void *arg)
{
    static char data[1 << 19];
    struct sip *it = arg;
    ssize_t n = recv(it->peer->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0)
        buf_add(&it->peer->got, data, (size_t)n);
    it->peer->eof = n == 0;
    if (n != 0)
        loop_timer_set_ms(&it->timer, 40);
}

static void test_paced_who_goes_on_taking_has_the_time_that_it_needs(void **state)
{
    struct world *world = *state;
    struct sip it = {0};
    size_t size;
    world->pieces = 1000;
    world->config.limits.request_ms = 200;
    start(world);
    it.peer = dial(world);
    say(it.peer, SLICE_LIT("GET /api/paced HTTP/1.1\r\n" HOST "\r\n"));
    loop_watch_free(&it.peer->watch);
    loop_timer_init(&it.timer, world->loop, sip, &it);
    loop_timer_set_ms(&it.timer, 0);
    WAIT(world, it.peer->eof);
    assert_true(read_chunks(it.peer, &size));
    assert_int_equal(size, 1000 * PIECE);
    assert_int_equal(world->gone, 0);
    loop_timer_deinit(&it.timer);
    hang_up(it.peer);
}

static void test_paced_who_takes_nothing_is_given_up(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    world->pieces = 1000;
    world->config.limits.request_ms = 200;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/paced HTTP/1.1\r\n" HOST "\r\n"));
    loop_watch_free(&peer->watch);
    WAIT(world, world->gone == 1);
    assert_true(world->pieces > 0);
    assert_in_range(world->unsent_most, PIECE, ROOM + PIECE + 100);
    hang_up(peer);
}

static void test_front_long_head_is_refused_and_the_answer_arrives(void **state)
{
    struct world *world = *state;
    struct buf request = {0};
    start(world);
    buf_add_text(&request, "GET /api/echo HTTP/1.1\r\n" HOST "X-Long: ");
    for (int i = 0; i < 2000; i++)
        buf_add_text(&request, "0123456789012345678901234567890123456789");
    struct peer *peer = dial(world);
    say(peer, buf_slice(&request));
    expect(peer, "HTTP/1.1 431 ");
    WAIT(world, peer->eof);
    hang_up(peer);
    buf_reset(&request);
    buf_add_text(&request, "GET /api/echo HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 101; i++)
        buf_add_text(&request, "A: b\r\n");
    buf_add_text(&request, "\r\n");
    asks(world, request.data, "HTTP/1.1 431 ");
    buf_deinit(&request);
}

static void test_front_requests_of_a_connection_one_after_the_other(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("POST /api/echo HTTP/1.1\r\n" HOST
                        "Content-Type: application/json\r\nContent-Length: 5\r\n\r\nfirst"
                        "GET /api/hold HTTP/1.1\r\n" HOST "\r\n"
                        "GET /api/echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    expect(peer, "{\"body\":\"first\",\"who\":\"local\"}");
    WAIT(world, world->held != NULL);
    assert_false(has(peer, "\"body\":\"\"")); /* the third waits for the second */
    reply_problem(world->held, 503, "held");
    expect(peer, "\"body\":\"\"");
    WAIT(world, peer->eof);
    assert_int_equal(world->gone, 0);
    hang_up(peer);
}

static void test_front_head_gets_no_body(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("HEAD /api/echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    WAIT(world, peer->eof);
    assert_true(has(peer, "HTTP/1.1 200 "));
    assert_true(has(peer, "\r\nContent-Length: 25\r\n"));
    assert_int_equal(memcmp(peer->got.data + peer->got.len - 4, "\r\n\r\n", 4), 0);
    hang_up(peer);
}

static void test_front_a_byte_now_and_then_gains_no_time(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    world->config.limits.request_ms = 2000;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/echo HTTP/1.1\r\n"));
    /* Whatever it sends, it is told so in the end: the wait has a deadline. */
    WAIT(world, (say(peer, SLICE_LIT("x")), has(peer, "HTTP/1.1 408 ") || peer->eof));
    assert_true(has(peer, "HTTP/1.1 408 "));
    hang_up(peer);
    peer = dial(world); /* and one that says nothing at all is closed */
    WAIT(world, peer->eof);
    hang_up(peer);
}

static void test_front_a_handler_that_is_late_gets_gone(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    world->config.limits.request_ms = 2000;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/hold HTTP/1.1\r\n" HOST "\r\n"));
    WAIT(world, world->held != NULL);
    WAIT(world, world->gone == 1 && peer->eof);
    hang_up(peer);
}

static void test_front_a_client_that_goes_tells_the_handler_once(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    start(world);
    peer = dial(world);
    say(peer, SLICE_LIT("GET /api/hold HTTP/1.1\r\n" HOST "\r\n"));
    WAIT(world, world->held != NULL);
    hang_up(peer);
    WAIT(world, world->gone == 1);
    assert_null(world->held);
}

static void test_front_a_client_that_does_not_read_is_ended(void **state)
{
    struct world *world = *state;
    struct peer *peer, *other;
    struct err err = {0};
    world->config.limits.request_ms = 2000;
    start(world);
    other = dial(world);
    say(other, SLICE_LIT("HEAD /api/echo HTTP/1.1\r\n" HOST "\r\n"));
    expect(other, "HTTP/1.1 200 ");
    peer = dial(world);
    loop_watch_free(&peer->watch); /* reads nothing of 16 MiB */
    say(peer, SLICE_LIT("GET /api/big HTTP/1.1\r\n" HOST "\r\n"));
    WAIT(world, recv(peer->fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
    /* Others are served meanwhile. */
    say(other, SLICE_LIT("GET /api/echo HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    WAIT(world, other->eof);
    assert_true(has(other, "{\"body\":\"\""));
    hang_up(other);
    WAIT(world, front_connections(world->front) == 0);
    peer->watch = loop_watch_new(world->loop, peer->fd, take, peer, &err);
    WAIT(world, peer->eof);
    assert_true(peer->got.len < 16u << 20); /* what the kernel held, and no more */
    hang_up(peer);
}

static void test_front_too_many_connections_take_the_place_of_idle_ones(void **state)
{
    struct world *world = *state;
    struct peer *peers[4], *busy, *extra;
    start(world);
    busy = dial(world);
    say(busy, SLICE_LIT("GET /api/hold HTTP/1.1\r\n" HOST "\r\n"));
    WAIT(world, world->held != NULL);
    for (size_t i = 0; i < 4; i++) {
        peers[i] = dial(world);
        say(peers[i], SLICE_LIT("GET /api/echo HTTP/1.1\r\n" HOST "\r\n"));
        expect(peers[i], "HTTP/1.1 200 ");
    }
    WAIT(world, peers[0]->eof); /* the one that idled longest */
    assert_int_equal(world->gone, 0);
    reply_problem(world->held, 503, "held");
    expect(busy, "HTTP/1.1 503 ");
    for (size_t i = 0; i < 4; i++)
        hang_up(peers[i]);
    hang_up(busy);
    /* Where all are busy the new one is closed. */
    for (size_t i = 0; i < 4; i++) {
        world->held = NULL;
        peers[i] = dial(world);
        say(peers[i], SLICE_LIT("GET /api/hold HTTP/1.1\r\n" HOST "\r\n"));
        WAIT(world, world->held != NULL);
    }
    extra = dial(world);
    WAIT(world, extra->eof);
    assert_int_equal(world->gone, 0);
    hang_up(extra);
    for (size_t i = 0; i < 4; i++)
        hang_up(peers[i]);
    WAIT(world, world->gone == 4);
}

static void test_front_page_is_cached_by_its_tag(void **state)
{
    struct world *world = *state;
    struct peer *peer;
    char tag[64] = "", request[256];
    start(world);
    peer = dial(world);
    /* A link from another site leads to the page: it holds nothing. */
    say(peer, SLICE_LIT("GET / HTTP/1.1\r\n" HOST "Sec-Fetch-Site: cross-site\r\n\r\n"));
    expect(peer, "HTTP/1.1 200 ");
    expect(peer, "\r\n\r\n");
    expect(peer, page_is_built() ? "<!doctype html>" : "scripts/build");
    if (!page_is_built())
        assert_non_null(strstr(peer->got.data, "built without its web page"));
    const char *at = strstr(peer->got.data, "\r\nETag: ");
    assert_non_null(at);
    assert_true(str_copy(tag, sizeof(tag), (struct slice){at + 8, strcspn(at + 8, "\r")}));
    snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n", tag);
    say(peer, slice_of(request));
    expect(peer, "HTTP/1.1 304 ");
    hang_up(peer);
}

static void listen_to_events(struct peer *peer, const char *last_id)
{
    struct buf request = {0};
    buf_add_text(&request, "GET /api/events HTTP/1.1\r\n" HOST);
    if (last_id)
        buf_printf(&request, "Last-Event-ID: %s\r\n", last_id);
    buf_add_text(&request, "\r\n");
    say(peer, buf_slice(&request));
    expect(peer, "retry: 2000\n\n");
    buf_deinit(&request);
}

/* The id of the event with that data. */
static void id_of(const struct peer *peer, const char *data, char out[64])
{
    const char *end = strstr(peer->got.data, data), *id = NULL;
    assert_non_null(end);
    for (const char *at = strstr(peer->got.data, "id: "); at && at < end;
         at = strstr(at + 1, "id: "))
        id = at + 4;
    assert_non_null(id);
    assert_true(str_copy(out, 64, (struct slice){id, strcspn(id, "\n")}));
}

static void test_events_who_comes_back_gets_what_came_since(void **state)
{
    struct world *world = *state;
    struct peer *peer, *back;
    char id[64];
    start(world);
    peer = dial(world);
    listen_to_events(peer, NULL);
    events_publish(world->events, "groups", SLICE_LIT("{\"n\":1}"));
    events_publish(world->events, "groups", SLICE_LIT("{\"n\":2}"));
    expect(peer, "\nevent: groups\ndata: {\"n\":2}\n\n");
    id_of(peer, "data: {\"n\":1}", id);
    hang_up(peer);
    WAIT(world, events_clients(world->events) == 0);
    events_publish(world->events, "groups", SLICE_LIT("{\"n\":3}"));
    back = dial(world);
    listen_to_events(back, id);
    expect(back, "data: {\"n\":2}\n\n");
    expect(back, "data: {\"n\":3}\n\n");
    assert_false(has(back, "{\"n\":1}"));
    assert_false(has(back, "event: reset"));
    hang_up(back);
    WAIT(world, events_clients(world->events) == 0);
}

static void test_events_what_is_forgotten_is_a_reset(void **state)
{
    static const char *const ids[] = {"1-1", "x", "-", "99999999999999999999-1"};
    struct world *world = *state;
    struct peer *peer;
    char id[64];
    start(world);
    peer = dial(world);
    listen_to_events(peer, NULL);
    events_publish(world->events, "groups", SLICE_LIT("{\"n\":1}"));
    expect(peer, "{\"n\":1}");
    id_of(peer, "data: {\"n\":1}", id);
    hang_up(peer);
    for (int i = 0; i < EVENTS_KEPT + 1; i++)
        events_publish(world->events, "groups", SLICE_LIT("{}"));
    for (size_t i = 0; i <= 4; i++) {
        peer = dial(world);
        listen_to_events(peer, i == 4 ? id : ids[i]);
        expect(peer, "event: reset\n");
        hang_up(peer);
        WAIT(world, events_clients(world->events) == 0);
    }
}

static void test_events_too_many_and_too_slow(void **state)
{
    struct world *world = *state;
    struct peer *one, *two, *three;
    struct buf long_one = {0};
    start(world);
    one = dial(world);
    listen_to_events(one, NULL);
    two = dial(world);
    listen_to_events(two, NULL);
    three = dial(world);
    say(three, SLICE_LIT("GET /api/events HTTP/1.1\r\n" HOST "\r\n"));
    expect(three, "HTTP/1.1 503 ");
    loop_watch_free(&one->watch); /* reads no more */
    for (int i = 0; i < 60000; i++)
        buf_add_char(&long_one, 'x');
    /* As often as it takes to fill the kernel's buffers; the other goes on. */
    for (int i = 0; i < 1000 && events_clients(world->events) == 2; i++) {
        events_publish(world->events, "groups", buf_slice(&long_one));
        for (int k = 0; k < 8; k++)
            loop_turn(world->loop, false);
    }
    WAIT(world, events_clients(world->events) == 1);
    events_publish(world->events, "groups", SLICE_LIT("{\"n\":\"last\"}"));
    expect(two, "{\"n\":\"last\"}");
    buf_deinit(&long_one);
    hang_up(one);
    hang_up(two);
    hang_up(three);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_front_answers_are_closed_up),
        TEST(test_front_wrong_requests_get_their_status),
        TEST(test_front_a_body_has_the_type_and_the_way_out_of_its_endpoint),
        TEST(test_paced_an_answer_of_any_length_is_whole_and_never_all_in_memory),
        TEST(test_paced_what_breaks_off_has_no_end),
        TEST(test_paced_who_goes_on_taking_has_the_time_that_it_needs),
        TEST(test_paced_who_takes_nothing_is_given_up),
        TEST(test_front_long_head_is_refused_and_the_answer_arrives),
        TEST(test_front_requests_of_a_connection_one_after_the_other),
        TEST(test_front_head_gets_no_body),
        TEST(test_front_a_byte_now_and_then_gains_no_time),
        TEST(test_front_a_handler_that_is_late_gets_gone),
        TEST(test_front_a_client_that_goes_tells_the_handler_once),
        TEST(test_front_a_client_that_does_not_read_is_ended),
        TEST(test_front_too_many_connections_take_the_place_of_idle_ones),
        TEST(test_front_page_is_cached_by_its_tag),
        TEST(test_events_who_comes_back_gets_what_came_since),
        TEST(test_events_what_is_forgotten_is_a_reset),
        TEST(test_events_too_many_and_too_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
