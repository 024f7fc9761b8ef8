/*
 * bench-handler: the app. One thread, epoll, HTTP/1.1 keep-alive; answers 200 at once or after a
 * fixed delay, and keeps account by the record's own value: what came twice, out of its key's
 * order, or while another request of its key was open. A program that is fast by cheating is seen
 * here.
 *
 * A turn reads everything that is there before it answers any of it: two requests of one key that
 * were open together are seen even where the answer costs no time.
 *
 *   bench-handler [--delay-us N] [--keys N] [--size N] [--expect N]
 *
 * prints "port=N", and "done" once so many distinct records were answered. GET /stats is answered
 * with JSON; GET /delay/N changes the delay.
 */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CONN_BYTES 16384
#define EVENTS     512

struct key_account {
    uint64_t *seen; /* a bit for each number */
    uint32_t words;
    uint32_t highest;
    uint32_t open;
};

struct conn {
    int fd;
    size_t len;
    bool answering;
    bool closed;
    int64_t due_us;
    struct value value;
    struct conn *next; /* waits for its answer; due times never fall */
    char in[CONN_BYTES];
};

struct handler {
    int epoll, listener, timer;
    int64_t delay_us;
    uint64_t keys, size, expect;
    struct key_account *accounts;
    struct conn *first, *last; /* to be answered */
    uint64_t requests, distinct, answered, doubled, out_of_order, overlaps, bad;
    int64_t first_us, last_us;
    uint32_t *latency_us; /* of distinct records, in order of arrival */
    uint64_t latency_cap, latency_from;
};

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void watch(struct handler *h, int fd, void *who)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = who};
    if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll: %s", strerror(errno));
}

static void start(struct handler *h)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    h->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (h->epoll < 0 || h->timer < 0 || bind(h->listener, (struct sockaddr *)&at, len) != 0 ||
        listen(h->listener, 1024) != 0 ||
        getsockname(h->listener, (struct sockaddr *)&at, &len) != 0)
        die("listen: %s", strerror(errno));
    watch(h, h->listener, &h->listener);
    watch(h, h->timer, &h->timer);
    printf("port=%d\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void take_connections(struct handler *h)
{
    int fd, one = 1;
    while ((fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = allocate(sizeof(*conn));
        conn->fd = fd;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        watch(h, fd, conn);
    }
}

/* A connection that waits for its answer is freed when its turn comes. */
static void close_conn(struct conn *conn)
{
    if (!conn->closed)
        close(conn->fd);
    conn->closed = true;
    if (!conn->answering)
        free(conn);
}

static bool see(struct key_account *account, uint32_t seq)
{
    uint32_t word = seq / 64;
    uint64_t bit = UINT64_C(1) << seq % 64;
    if (word >= account->words) {
        uint32_t words = word + 1;
        account->seen = realloc(account->seen, words * sizeof(*account->seen));
        if (!account->seen)
            die("no memory");
        memset(account->seen + account->words, 0,
               (words - account->words) * sizeof(*account->seen));
        account->words = words;
    }
    bool first = !(account->seen[word] & bit);
    account->seen[word] |= bit;
    return first;
}

static void note_latency(struct handler *h, int64_t us)
{
    if (h->distinct >= h->latency_cap) {
        h->latency_cap = h->latency_cap ? h->latency_cap * 2 : 65536;
        h->latency_us = realloc(h->latency_us, h->latency_cap * sizeof(*h->latency_us));
        if (!h->latency_us)
            die("no memory");
    }
    h->latency_us[h->distinct] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* The request begins. */
static void account_begin(struct handler *h, struct conn *conn, const char *body, size_t len)
{
    struct value *value = &conn->value;
    h->requests++;
    if (len != h->size || !value_read(body, len, value) || value->key >= h->keys) {
        h->bad++;
        value->seq = 0;
        return;
    }
    struct key_account *account = &h->accounts[value->key];
    if (account->open++ > 0)
        h->overlaps++;
    if (!see(account, value->seq)) {
        h->doubled++;
        return;
    }
    if (value->seq != account->highest + 1)
        h->out_of_order++;
    if (value->seq > account->highest)
        account->highest = value->seq;
    note_latency(h, wall_us() - value->sent_us);
    h->distinct++;
}

static void answer(struct handler *h, struct conn *conn)
{
    conn->answering = false;
    if (conn->value.seq > 0)
        h->accounts[conn->value.key].open--;
    h->answered++;
    if (conn->closed) {
        free(conn);
        return;
    }
    if (write(conn->fd, OK, sizeof(OK) - 1) != (ssize_t)sizeof(OK) - 1)
        close_conn(conn);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t percentile(const uint32_t *sorted, uint64_t n, uint64_t per_mille)
{
    return n == 0 ? 0 : sorted[(n - 1) * per_mille / 1000];
}

static void answer_stats(struct handler *h, struct conn *conn)
{
    char body[512], head[128];
    uint64_t n = h->distinct - h->latency_from;
    uint32_t *sorted = allocate((n + 1) * sizeof(*sorted));
    if (n > 0)
        memcpy(sorted, h->latency_us + h->latency_from, n * sizeof(*sorted));
    h->latency_from = h->distinct;
    qsort(sorted, n, sizeof(*sorted), compare);
    int len = snprintf(
        body, sizeof(body),
        "{\"requests\":%llu,\"distinct\":%llu,\"doubled\":%llu,\"out_of_order\":%llu,"
        "\"overlaps\":%llu,\"bad\":%llu,\"seconds\":%.6f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"max_ms\":%.3f}\n",
        (unsigned long long)h->requests, (unsigned long long)h->distinct,
        (unsigned long long)h->doubled, (unsigned long long)h->out_of_order,
        (unsigned long long)h->overlaps, (unsigned long long)h->bad,
        (double)(h->last_us - h->first_us) / 1e6, percentile(sorted, n, 500) / 1e3,
        percentile(sorted, n, 990) / 1e3, percentile(sorted, n, 1000) / 1e3);
    int head_len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                            len);
    free(sorted);
    if (write(conn->fd, head, (size_t)head_len) != head_len ||
        write(conn->fd, body, (size_t)len) != len)
        die("cannot answer /stats");
}

static void to_be_answered(struct handler *h, struct conn *conn, int64_t now_us)
{
    conn->answering = true;
    conn->due_us = now_us + h->delay_us;
    conn->next = NULL;
    if (h->last)
        h->last->next = conn;
    else
        h->first = conn;
    h->last = conn;
}

/* The length of the body that the head announces. */
static size_t content_length(const char *head, const char *end)
{
    static const char name[] = "content-length:";
    for (const char *line = head; line < end;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        if (!eol)
            break;
        line = eol + 1;
        if ((*line | 0x20) == 'c' && strncasecmp(line, name, sizeof(name) - 1) == 0)
            return strtoul(line + sizeof(name) - 1, NULL, 10);
    }
    return 0;
}

/* Takes one whole request out of what was read; pipelining is not spoken here. */
static void request(struct handler *h, struct conn *conn, int64_t now_us)
{
    char *head_end = memmem(conn->in, conn->len, "\r\n\r\n", 4);
    if (!head_end)
        return;
    char *body = head_end + 4;
    size_t len = content_length(conn->in, body);
    if ((size_t)(body - conn->in) + len > conn->len)
        return;
    if (strncmp(conn->in, "GET /stats ", 11) == 0) {
        answer_stats(h, conn);
    } else if (strncmp(conn->in, "GET /delay/", 11) == 0) {
        h->delay_us = (int64_t)strtoul(conn->in + 11, NULL, 10);
        if (write(conn->fd, OK, sizeof(OK) - 1) < 0)
            die("cannot answer /delay");
    } else {
        if (h->first_us == 0)
            h->first_us = now_us;
        h->last_us = now_us;
        account_begin(h, conn, body, len);
        to_be_answered(h, conn, now_us);
    }
    conn->len = 0;
}

static void readable(struct handler *h, struct conn *conn, int64_t now_us)
{
    ssize_t n = read(conn->fd, conn->in + conn->len, CONN_BYTES - 1 - conn->len);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            close_conn(conn);
        return;
    }
    conn->len += (size_t)n;
    conn->in[conn->len] = '\0';
    if (conn->answering || conn->len == CONN_BYTES - 1) {
        h->bad++; /* a second request before the first was answered, or one that does not fit */
        close_conn(conn);
        return;
    }
    request(h, conn, now_us);
}

static void answer_due(struct handler *h)
{
    int64_t now_us = mono_us();
    while (h->first && h->first->due_us <= now_us) {
        struct conn *conn = h->first;
        h->first = conn->next;
        if (!h->first)
            h->last = NULL;
        answer(h, conn);
    }
    if (h->first) {
        int64_t wait = h->first->due_us - now_us;
        struct itimerspec at = {
            .it_value = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000}};
        timerfd_settime(h->timer, 0, &at, NULL);
    }
    if (h->expect > 0 && h->distinct >= h->expect && !h->first) {
        h->expect = 0;
        printf("done\n");
        fflush(stdout);
    }
}

static void turn(struct handler *h)
{
    struct epoll_event events[EVENTS];
    uint64_t expirations;
    int n = epoll_wait(h->epoll, events, EVENTS, -1);
    int64_t now_us = mono_us();
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == &h->listener)
            take_connections(h);
        else if (events[i].data.ptr == &h->timer)
            (void)!read(h->timer, &expirations, sizeof(expirations));
        else
            readable(h, events[i].data.ptr, now_us);
    }
    answer_due(h);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {{"delay-us", required_argument, NULL, 'd'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"size", required_argument, NULL, 's'},
                                          {"expect", required_argument, NULL, 'e'},
                                          {NULL, 0, NULL, 0}};
    struct handler h = {.keys = 10000, .size = 256};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'd':
            h.delay_us = (int64_t)number(optarg, "--delay-us");
            break;
        case 'k':
            h.keys = number(optarg, "--keys");
            break;
        case 's':
            h.size = number(optarg, "--size");
            break;
        case 'e':
            h.expect = number(optarg, "--expect");
            break;
        default:
            exit(64);
        }
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    h.accounts = allocate(h.keys * sizeof(*h.accounts));
    start(&h);
    for (;;)
        turn(&h);
}
