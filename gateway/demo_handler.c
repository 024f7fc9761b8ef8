/*
 * The demo's sample handler: a small HTTP server that takes a few milliseconds a call and fails as
 * the order says. It writes down each call when its effect happens, before it answers, as a real
 * service commits before it answers: a gateway that dies in between will call again.
 * Invariants: a call is freed by its answer or by the end of its connection, whichever comes first.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/str.h"
#include "demo_order.h"
#include "demo_parts.h"

#define MAX_BODY    65536
#define MAX_HEADERS 65536
#define MIN_WORK_MS 2
#define MORE_MS     6 /* work takes 2 to 7 ms */

struct handler {
    struct loop *loop;
    struct evhttp *http;
    int log_fd;
    bool outage;
    uint64_t *first_us; /* by order: when it was first seen; 0: never */
    size_t first_count;
    uint32_t calls;
};

struct call {
    struct handler *handler;
    struct evhttp_request *req;
    struct evhttp_connection *conn;
    struct loop_timer work;
    uint32_t order;
    int status;
};

static uint64_t now_us(void)
{
    return clock_mono_ns() / 1000;
}

static void note(struct handler *handler, const char *line, int len)
{
    /* One write a line: the reader never sees half of one for long. */
    if (write(handler->log_fd, line, (size_t)len) != len)
        fprintf(stderr, "demo handler: the log cannot be written\n");
}

static void note_begin(const struct call *call, const char *attempt)
{
    char line[128];
    uint64_t number = 0;
    if (!attempt || !str_to_u64(slice_of(attempt), &number))
        number = 0;
    note(call->handler, line,
         snprintf(line, sizeof(line), "b %llu %u %d %llu\n", (unsigned long long)now_us(),
                  call->order, call->status, (unsigned long long)number));
}

static void note_end(const struct call *call)
{
    char line[64];
    note(call->handler, line,
         snprintf(line, sizeof(line), "e %llu %u\n", (unsigned long long)now_us(), call->order));
}

static uint64_t *first_seen(struct handler *handler, uint32_t order)
{
    if (order >= handler->first_count) {
        size_t count = (size_t)order + 4096;
        handler->first_us = mem_realloc(handler->first_us, count * sizeof(uint64_t));
        memset(handler->first_us + handler->first_count, 0,
               (count - handler->first_count) * sizeof(uint64_t));
        handler->first_count = count;
    }
    return &handler->first_us[order];
}

static int judge(struct handler *handler, uint32_t order, enum order_kind kind)
{
    uint64_t *first, now = now_us();
    bool is_first;
    if (handler->outage)
        return 503;
    first = first_seen(handler, order);
    is_first = *first == 0;
    if (is_first)
        *first = now;
    switch (kind) {
    case ORDER_PLAIN:
        return 200;
    case ORDER_FAILS_ONCE:
        return is_first ? 500 : 200;
    case ORDER_FAILS_5S:
        return now < *first + ORDER_FAIL_S * UINT64_C(1000000) ? 503 : 200;
    case ORDER_POISON:
        return 422;
    }
    return 500;
}

static void call_free(struct call *call)
{
    if (call->conn)
        evhttp_connection_set_closecb(call->conn, NULL, NULL);
    loop_timer_deinit(&call->work);
    mem_free(call);
}

/* The caller went away: its request is freed with the connection. */
static void on_close(struct evhttp_connection *conn, void *arg)
{
    struct call *call = arg;
    (void)conn;
    call_free(call);
}

static void answer(void *arg)
{
    struct call *call = arg;
    struct evhttp_request *req = call->req;
    struct evbuffer *body = evbuffer_new();
    int status = call->status;
    if (status == 422 && body) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
                          "application/problem+json");
        evbuffer_add_printf(body, "{\"type\":\"https://example.com/problems/no-such-article\","
                                  "\"detail\":\"article 4711 does not exist\"}");
    } else if (status >= 500 && body) {
        evbuffer_add_printf(body, "the shop's database is away");
    }
    note_end(call);
    call_free(call);
    evhttp_send_reply(req, status, NULL, body);
    if (body)
        evbuffer_free(body);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct handler *handler = arg;
    struct evbuffer *body = evhttp_request_get_input_buffer(req);
    struct slice value = {(const char *)evbuffer_pullup(body, -1), evbuffer_get_length(body)};
    enum order_kind kind;
    uint32_t order;
    struct call *call;
    if (!value.data || !demo_order_read(value, &order, &kind)) {
        evhttp_send_error(req, 400, "not an order");
        return;
    }
    call = mem_zalloc(sizeof(*call));
    call->handler = handler;
    call->req = req;
    call->conn = evhttp_request_get_connection(req);
    call->order = order;
    call->status = judge(handler, order, kind);
    loop_timer_init(&call->work, handler->loop, answer, call);
    evhttp_connection_set_closecb(call->conn, on_close, call);
    note_begin(call, evhttp_find_header(evhttp_request_get_input_headers(req), "Oncegate-Attempt"));
    loop_timer_set_ms(&call->work, MIN_WORK_MS + handler->calls++ % MORE_MS);
}

static void on_signal(int signo, void *arg)
{
    struct handler *handler = arg;
    if (signo == SIGUSR1 || signo == SIGUSR2)
        handler->outage = signo == SIGUSR1;
    else
        loop_stop(handler->loop);
}

static bool listen_somewhere(struct handler *handler)
{
    struct evhttp_bound_socket *bound;
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    handler->http = evhttp_new(loop_base(handler->loop));
    if (!handler->http)
        return false;
    evhttp_set_max_body_size(handler->http, MAX_BODY);
    evhttp_set_max_headers_size(handler->http, MAX_HEADERS);
    evhttp_set_gencb(handler->http, on_request, handler);
    bound = evhttp_bind_socket_with_handle(handler->http, "127.0.0.1", 0);
    if (!bound ||
        getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &len) != 0)
        return false;
    printf("ready 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    fflush(stdout);
    return true;
}

static int serve(struct handler *handler)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
    struct loop_signal *watches[4] = {0};
    struct err err = {0};
    bool good = true;
    for (int i = 0; good && i < 4; i++) {
        watches[i] = loop_signal_new(handler->loop, signals[i], on_signal, handler, &err);
        good = watches[i] != NULL;
    }
    if (good && !listen_somewhere(handler))
        good = err_set(&err, ERR_UNAVAILABLE, "the demo's handler cannot listen");
    if (good)
        loop_run(handler->loop);
    for (int i = 0; i < 4; i++)
        loop_signal_free(&watches[i]);
    return good ? EXIT_OK : cli_fail(&err);
}

int demo_part_handler(struct cli *cli)
{
    struct handler handler = {0};
    struct err err = {0};
    int code;
    if (cli->argc != 1)
        return cli_usage("demo", "the handler wants the name of its log");
    signal(SIGPIPE, SIG_IGN);
    handler.log_fd = open(cli->argv[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    handler.loop = loop_new(&err);
    if (handler.log_fd < 0)
        (void)err_set(&err, ERR_IO, "cannot write %s", cli->argv[0]);
    code = handler.loop && handler.log_fd >= 0 ? serve(&handler) : cli_fail(&err);
    if (handler.http)
        evhttp_free(handler.http);
    loop_free(&handler.loop);
    if (handler.log_fd >= 0)
        close(handler.log_fd);
    mem_free(handler.first_us);
    return code;
}
