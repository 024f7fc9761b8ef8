/*
 * What one delivery costs in the HTTP client alone: N calls in flight against the least responder
 * there can be (epoll, fixed answer), which runs as a forked process of this program.
 *
 *   bench_http_client [requests] [connections]
 *
 * Prints requests/s, wall ns and CPU ns of the client per request, and the same for bare sockets in
 * its place. The responder shares the machine, so the rate is that of the pair; the CPU figures are
 * the client's own, the kernel's part of them mostly that of the loopback.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "handler/client.h"

#define HEAD_BYTES 600
#define BODY_BYTES 256

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok";

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_any(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(name);
    struct sockaddr *any = (struct sockaddr *)(void *)&name;

    if (fd < 0 || bind(fd, any, len) || listen(fd, 1024) || getsockname(fd, any, &len))
        die("listen");
    *port = ntohs(name.sin_port);
    return fd;
}

/* A request is known to be whole by its size: all of them are of one size, told by the parent. */
static void answer_one(int fd, size_t request_bytes, size_t *have)
{
    static char in[65536];
    ssize_t n = recv(fd, in, sizeof(in), 0);

    if (n <= 0) {
        close(fd);
        return;
    }
    have[fd] += (size_t)n;
    while (have[fd] >= request_bytes) {
        have[fd] -= request_bytes;
        if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0)
            close(fd);
    }
}

static void respond(int listen_fd, size_t request_bytes)
{
    static size_t have[65536];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listen_fd};
    struct epoll_event events[256];

    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd != listen_fd) {
                answer_one(fd, request_bytes, have);
                continue;
            }
            int on = 1;
            ev.data.fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (ev.data.fd < 0 || ev.data.fd >= 65536)
                continue;
            have[ev.data.fd] = 0;
            setsockopt(ev.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ev.data.fd, &ev);
        }
    }
}

struct run {
    struct loop *loop;
    struct handler_client *client;
    uint64_t left; /* to be sent */
    uint64_t open;
    uint64_t failed;
};

static void on_done(struct handler_call *call)
{
    struct run *run = call->arg;

    if (call->answer.error != HANDLER_OK || call->answer.status != 200)
        run->failed++;
    if (run->left) {
        run->left--;
        call->deadline_ns = clock_mono_ns() + 15 * NS_PER_S;
        handler_client_send(run->client, call, clock_mono_ns());
    } else if (--run->open == 0) {
        loop_stop(run->loop);
    }
}

struct cpu {
    double user_ns, system_ns;
};

static struct cpu cpu_so_far(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (struct cpu){(double)use.ru_utime.tv_sec * 1e9 + (double)use.ru_utime.tv_usec * 1e3,
                        (double)use.ru_stime.tv_sec * 1e9 + (double)use.ru_stime.tv_usec * 1e3};
}

static void send_all(struct run *run, uint64_t total, uint64_t conns)
{
    static char head[HEAD_BYTES], body[BODY_BYTES];
    struct handler_call *calls = mem_calloc(conns, sizeof(*calls));

    memset(head, 'x', sizeof(head));
    memcpy(head, "ce-id: ", 7);
    memcpy(head + sizeof(head) - 2, "\r\n", 2);
    memset(body, 'b', sizeof(body));
    run->left = total - conns;
    run->open = conns;
    for (uint64_t i = 0; i < conns; i++) {
        calls[i].head = (struct slice){head, sizeof(head)};
        calls[i].body = (struct slice){body, sizeof(body)};
        calls[i].deadline_ns = clock_mono_ns() + 15 * NS_PER_S;
        calls[i].done = on_done;
        calls[i].arg = run;
        handler_client_send(run->client, &calls[i], clock_mono_ns());
    }
    loop_run(run->loop);
    mem_free(calls);
}

/* The bytes of one request, seen once on a real connection. */
static size_t measure_request(int listen_fd, struct run *run)
{
    char in[4096];
    size_t len = 0;

    run->open = 1;
    run->left = 0;
    static struct handler_call call;
    static char head[HEAD_BYTES], body[BODY_BYTES];
    memset(head, 'x', sizeof(head));
    memcpy(head, "ce-id: ", 7);
    memcpy(head + sizeof(head) - 2, "\r\n", 2);
    memset(body, 'b', sizeof(body));
    call.head = (struct slice){head, sizeof(head)};
    call.body = (struct slice){body, sizeof(body)};
    call.deadline_ns = clock_mono_ns() + 15 * NS_PER_S;
    call.done = on_done;
    call.arg = run;
    handler_client_send(run->client, &call, clock_mono_ns());
    loop_turn(run->loop, true);
    int fd = accept(listen_fd, NULL, NULL);
    loop_turn(run->loop, false);
    while (len < HEAD_BYTES + BODY_BYTES || in[len - 1] != 'b') {
        ssize_t n = recv(fd, in + len, sizeof(in) - len, 0);
        if (n <= 0)
            die("recv");
        len += (size_t)n;
    }
    static const char closing[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (send(fd, closing, sizeof(closing) - 1, 0) < 0)
        die("send");
    loop_run(run->loop);
    close(fd);
    run->failed = 0;
    return len;
}

/* ---- the least in its place ---- */

static int connect_raw(uint16_t port, int epoll_fd)
{
    struct sockaddr_in name = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)(void *)&name, sizeof(name)))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    return fd;
}

static void send_raw(uint16_t port, size_t request_bytes, uint64_t total, uint64_t conns)
{
    char *request = mem_zalloc(request_bytes);
    char in[4096];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];
    uint64_t left = total - conns, open = conns;

    for (uint64_t i = 0; i < conns; i++) {
        if (send(connect_raw(port, epoll_fd), request, request_bytes, MSG_NOSIGNAL) < 0)
            die("send");
    }
    while (open) {
        int count = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (recv(fd, in, sizeof(in), 0) <= 0)
                die("recv");
            if (left == 0) {
                open--;
                close(fd);
            } else if (left-- && send(fd, request, request_bytes, MSG_NOSIGNAL) < 0) {
                die("send");
            }
        }
    }
    close(epoll_fd);
    mem_free(request);
}

static void report(const char *what, uint64_t total, uint64_t conns, uint64_t failed,
                   uint64_t began_ns, struct cpu before)
{
    double requests = (double)total, took_ns = (double)(clock_mono_ns() - began_ns);
    struct cpu now = cpu_so_far();

    printf("%s requests=%llu connections=%llu failed=%llu rate_per_s=%.0f ns_per_request=%.0f "
           "user_ns_per_request=%.0f system_ns_per_request=%.0f\n",
           what, (unsigned long long)total, (unsigned long long)conns, (unsigned long long)failed,
           requests * 1e9 / took_ns, took_ns / requests, (now.user_ns - before.user_ns) / requests,
           (now.system_ns - before.system_ns) / requests);
}

int main(int argc, char **argv)
{
    uint64_t total = argc > 1 ? strtoull(argv[1], NULL, 10) : 500000;
    uint64_t conns = argc > 2 ? strtoull(argv[2], NULL, 10) : 64;
    struct err err = {0};
    uint16_t port;
    int listen_fd = listen_any(&port);
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/orders", (unsigned)port);
    struct handler_config config = {.url = url,
                                    .timeout_ms = 15000,
                                    .connect_timeout_ms = 2000,
                                    .idle_timeout_ms = 4000,
                                    .max_response_bytes = 65536};
    struct run run = {.loop = loop_new(&err)};
    if (!run.loop || total < conns || conns == 0)
        die("usage");
    struct handler_pools *pools = handler_pools_new(run.loop);
    run.client = handler_client_new(pools, &config, (uint32_t)conns, &err);
    if (!run.client) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    size_t request_bytes = measure_request(listen_fd, &run);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        respond(listen_fd, request_bytes);

    send_all(&run, conns * 100 < total ? conns * 100 : total, conns); /* warm up */
    struct cpu cpu = cpu_so_far();
    uint64_t began = clock_mono_ns();
    send_all(&run, total, conns);
    report("client", total, conns, run.failed, began, cpu);
    cpu = cpu_so_far();
    began = clock_mono_ns();
    send_raw(port, request_bytes, total, conns);
    report("least ", total, conns, 0, began, cpu);
    handler_client_free(&run.client);
    handler_pools_free(&pools);
    loop_free(&run.loop);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return run.failed ? 1 : 0;
}
