/*
 * bench-handler: the app. One thread, epoll, HTTP/1.1 keep-alive; answers 200 at once or after a
 * fixed delay, and keeps account by the record's own value: what came twice, out of its key's
 * order, or while another request of its key was open. A program that is fast by cheating is seen
 * here.
 *
 * A turn reads everything that is there before it answers any of it: two requests of one key that
 * were open together are seen even where the answer costs no time.
 *
 *   bench-handler [--delay-us N] [--keys N] [--size N] [--expect N] [--retry-first FILE]
 *                 [--partitions N] [--batch N]
 *
 * prints "port=N", and "done" once so many distinct records were answered. GET /stats is answered
 * with JSON; GET /delay/N changes the delay. With --retry-first a record's first request is
 * answered by 429: what counts then is its second one, and the times told are those from that
 * answer to it; when done FILE has a line for each key: the wall clock's us at that request, and
 * the us from that answer to it. With --partitions GET /gaps tells, for each partition, how long no
 * request of it came, at most and in ms, since the last time this was asked. With --batch a request
 * may be a batch of at most N events, whose data is a record's value as text; each record is
 * accounted for like one that came alone, and the answer has a result of each.
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

#define HEAD_BYTES 16384
#define EVENTS     512
#define EVENT_ROOM 1024 /* of an event, beyond its data */
#define RESULT_MAX 512
#define BATCH_HEAD 79 /* bytes of the head of a batch's answer */

struct key_account {
    uint64_t *seen; /* a bit for each number */
    uint32_t words;
    uint32_t highest;
    uint32_t open;
};

/* The record of a key that was told to come again. */
struct again {
    uint32_t seq; /* 0: none */
    int64_t answered_us, after_us, came_wall_us;
};

struct gap {
    int64_t last_us, longest_us;
};

/* One of a batch. id stands in the connection's input until the answer is written. */
struct event {
    const char *id;
    size_t id_len;
    struct value value;
};

struct conn {
    int fd;
    size_t len;
    bool answering;
    bool closed;
    bool again;
    int64_t due_us;
    struct value value;
    struct event *events; /* of a batch, else NULL; h->batch of them */
    size_t event_count;
    struct conn *next; /* waits for its answer; due times never fall */
    char in[];         /* h->room of it */
};

struct handler {
    int epoll, listener, timer;
    int64_t delay_us;
    uint64_t keys, size, expect, partitions, batch;
    size_t room;
    const char *retry_first;
    struct key_account *accounts;
    struct again *again;
    struct gap *gaps;
    struct conn *first, *last; /* to be answered */
    uint64_t requests, records, distinct, answered, doubled, out_of_order, overlaps, bad;
    uint64_t first_key; /* distinct ones of key 0 */
    uint64_t sent_again;
    int64_t first_us, last_us;
    uint32_t *latency_us; /* in order of arrival */
    uint64_t latencies, latency_cap, latency_from;
};

static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static const char AGAIN[] = "HTTP/1.1 429 Again\r\nContent-Length: 0\r\n\r\n";

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
        struct conn *conn = allocate(sizeof(*conn) + h->room);
        conn->fd = fd;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        watch(h, fd, conn);
    }
}

static void free_conn(struct conn *conn)
{
    free(conn->events);
    free(conn);
}

/* A connection that waits for its answer is freed when its turn comes. */
static void close_conn(struct conn *conn)
{
    if (!conn->closed)
        close(conn->fd);
    conn->closed = true;
    if (!conn->answering)
        free_conn(conn);
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
    if (h->latencies >= h->latency_cap) {
        h->latency_cap = h->latency_cap ? h->latency_cap * 2 : 65536;
        h->latency_us = realloc(h->latency_us, h->latency_cap * sizeof(*h->latency_us));
        if (!h->latency_us)
            die("no memory");
    }
    h->latency_us[h->latencies++] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* True: this is the second request of a record that was told to come again. */
static bool came_again(struct handler *h, const struct value *value)
{
    struct again *again = &h->again[value->key];
    if (again->seq != value->seq || again->answered_us == 0)
        return false;
    again->seq = 0;
    again->came_wall_us = wall_us();
    h->sent_again++;
    again->after_us = mono_us() - again->answered_us;
    note_latency(h, again->after_us);
    return true;
}

/* A record begins; *again: it is told to come once more. */
static void account_begin(struct handler *h, struct value *value, const char *body, size_t len,
                          bool *again)
{
    h->records++;
    if (len != h->size || !value_read(body, len, value) || value->key >= h->keys) {
        h->bad++;
        value->seq = 0;
        return;
    }
    struct key_account *account = &h->accounts[value->key];
    if (account->open++ > 0)
        h->overlaps++;
    if (!see(account, value->seq)) {
        if (!h->retry_first || !came_again(h, value))
            h->doubled++;
        return;
    }
    if (value->seq != account->highest + 1)
        h->out_of_order++;
    if (value->seq > account->highest)
        account->highest = value->seq;
    h->distinct++;
    h->first_key += value->key == 0;
    if (h->retry_first) {
        *again = true;
        h->again[value->key] = (struct again){.seq = value->seq};
    } else {
        note_latency(h, wall_us() - value->sent_us);
    }
}

/* The text behind `before`, up to its quote; NULL where there is none before end. */
static const char *text_behind(const char *at, const char *end, const char *before, size_t *len)
{
    const char *text = memmem(at, (size_t)(end - at), before, strlen(before));
    if (!text)
        return NULL;
    text += strlen(before);
    const char *quote = memchr(text, '"', (size_t)(end - text));
    if (!quote)
        return NULL;
    *len = (size_t)(quote - text);
    return text;
}

/* Nothing may stand between events, and all of the body is events: else it is bad. */
static void account_batch(struct handler *h, struct conn *conn, const char *body, size_t len)
{
    const char *at = body, *end = body + len;
    size_t data_len, count = 0;
    bool again = false;
    if (!conn->events)
        conn->events = allocate(h->batch * sizeof(*conn->events));
    while (end - at > 1 && count < h->batch) {
        struct event *event = &conn->events[count];
        const char *data = NULL;
        event->id = text_behind(at, end, ",\"id\":\"", &event->id_len);
        if (event->id)
            data = text_behind(event->id + event->id_len, end, ",\"data\":\"", &data_len);
        if (*at != (count > 0 ? ',' : '[') || at[1] != '{' || !data ||
            event->id_len > RESULT_MAX / 2 || memcmp(data + data_len, "\"}", 2) != 0)
            break;
        account_begin(h, &event->value, data, data_len, &again);
        at = data + data_len + 2;
        count++;
    }
    conn->event_count = count;
    if (end - at != 1 || *at != ']' || count == 0)
        h->bad++;
}

static void end_record(struct handler *h, const struct value *value)
{
    if (value->seq > 0)
        h->accounts[value->key].open--;
}

static void put(char *out, size_t *at, const char *text, size_t len)
{
    memcpy(out + *at, text, len);
    *at += len;
}
#define PUT(out, at, text) put((out), (at), (text), sizeof(text) - 1)

/* A success for each; valid until the next one. */
static const char *batch_answer(const struct conn *conn, size_t *len)
{
    static char *out;
    static size_t room;
    size_t need = conn->event_count * RESULT_MAX + 256, at = BATCH_HEAD;
    char head[BATCH_HEAD + 1];
    if (need > room) {
        free(out);
        out = allocate(room = need);
    }
    PUT(out, &at, "{\"results\":[");
    for (size_t i = 0; i < conn->event_count; i++) {
        const struct event *event = &conn->events[i];
        if (i > 0)
            PUT(out, &at, ",");
        PUT(out, &at, "{\"id\":\"");
        put(out, &at, event->id, event->id_len);
        PUT(out, &at, "\",\"outcome\":\"success\"}");
    }
    PUT(out, &at, "]}");
    /* Of a fixed length, so that it fits in front of what is written already. */
    if (snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                 "%010zu\r\n\r\n",
                 at - BATCH_HEAD) != BATCH_HEAD)
        die("the head of an answer has another length");
    memcpy(out, head, BATCH_HEAD);
    *len = at;
    return out;
}

static void answer(struct handler *h, struct conn *conn)
{
    const char *text = conn->again ? AGAIN : OK;
    size_t len = strlen(text);
    conn->answering = false;
    if (conn->event_count == 0)
        end_record(h, &conn->value);
    for (size_t i = 0; i < conn->event_count; i++)
        end_record(h, &conn->events[i].value);
    if (conn->again)
        h->again[conn->value.key].answered_us = mono_us();
    h->answered++;
    if (conn->closed) {
        free_conn(conn);
        return;
    }
    if (conn->event_count > 0)
        text = batch_answer(conn, &len);
    if (write(conn->fd, text, len) != (ssize_t)len)
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

static void answer_json(struct conn *conn, const char *body, int len)
{
    char head[128];
    int head_len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                            len);
    if (write(conn->fd, head, (size_t)head_len) != head_len ||
        write(conn->fd, body, (size_t)len) != len)
        die("cannot answer with JSON");
}

static void answer_stats(struct handler *h, struct conn *conn)
{
    char body[1024];
    uint64_t n = h->latencies - h->latency_from;
    uint32_t *sorted = allocate((n + 1) * sizeof(*sorted));
    if (n > 0)
        memcpy(sorted, h->latency_us + h->latency_from, n * sizeof(*sorted));
    h->latency_from = h->latencies;
    qsort(sorted, n, sizeof(*sorted), compare);
    int len = snprintf(
        body, sizeof(body),
        "{\"requests\":%llu,\"records\":%llu,\"open\":%llu,\"distinct\":%llu,\"first_key\":%llu,"
        "\"sent_again\":%llu,\"doubled\":%llu,\"out_of_order\":%llu,\"overlaps\":%llu,"
        "\"bad\":%llu,\"seconds\":%.6f,\"min_ms\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
        "\"max_ms\":%.3f}\n",
        (unsigned long long)h->requests, (unsigned long long)h->records,
        (unsigned long long)(h->requests - h->answered), (unsigned long long)h->distinct,
        (unsigned long long)h->first_key, (unsigned long long)h->sent_again,
        (unsigned long long)h->doubled, (unsigned long long)h->out_of_order,
        (unsigned long long)h->overlaps, (unsigned long long)h->bad,
        (double)(h->last_us - h->first_us) / 1e6, sorted[0] / 1e3, percentile(sorted, n, 500) / 1e3,
        percentile(sorted, n, 990) / 1e3, percentile(sorted, n, 1000) / 1e3);
    free(sorted);
    answer_json(conn, body, len);
}

/* One that has not ended yet counts as long as it has lasted. */
static void answer_gaps(struct handler *h, struct conn *conn, int64_t now_us)
{
    size_t room = 32 * (h->partitions + 1);
    char *body = allocate(room);
    size_t len = 0;
    for (uint64_t i = 0; i < h->partitions; i++) {
        struct gap *gap = &h->gaps[i];
        int64_t open_us = gap->last_us > 0 ? now_us - gap->last_us : 0;
        int64_t us = open_us > gap->longest_us ? open_us : gap->longest_us;
        len += (size_t)snprintf(body + len, room - len, "%c%.3f", i ? ',' : '[', (double)us / 1e3);
        *gap = (struct gap){.last_us = now_us};
    }
    len += (size_t)snprintf(body + len, room - len, "]\n");
    answer_json(conn, body, (int)len);
    free(body);
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

/* The number of this header, whose name is in small letters with its colon; 0 where it is not. */
static size_t header_number(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = head; line < end;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        if (!eol)
            break;
        line = eol + 1;
        if ((*line | 0x20) == *name && strncasecmp(line, name, len) == 0)
            return strtoul(line + len, NULL, 10);
    }
    return 0;
}

static void note_gap(struct handler *h, size_t partition, int64_t now_us)
{
    if (partition >= h->partitions)
        return;
    struct gap *gap = &h->gaps[partition];
    if (gap->last_us > 0 && now_us - gap->last_us > gap->longest_us)
        gap->longest_us = now_us - gap->last_us;
    gap->last_us = now_us;
}

/* Takes one whole request out of what was read; pipelining is not spoken here. */
static void request(struct handler *h, struct conn *conn, int64_t now_us)
{
    char *head_end = memmem(conn->in, conn->len, "\r\n\r\n", 4);
    if (!head_end)
        return;
    char *body = head_end + 4;
    size_t len = header_number(conn->in, body, "content-length:");
    if ((size_t)(body - conn->in) + len > conn->len)
        return;
    if (strncmp(conn->in, "GET /stats ", 11) == 0) {
        answer_stats(h, conn);
    } else if (strncmp(conn->in, "GET /gaps ", 10) == 0) {
        answer_gaps(h, conn, now_us);
    } else if (strncmp(conn->in, "GET /delay/", 11) == 0) {
        h->delay_us = (int64_t)strtoul(conn->in + 11, NULL, 10);
        if (write(conn->fd, OK, sizeof(OK) - 1) < 0)
            die("cannot answer /delay");
    } else {
        if (h->first_us == 0)
            h->first_us = now_us;
        h->last_us = now_us;
        if (h->partitions > 0)
            note_gap(h, header_number(conn->in, body, "kafka-partition:"), now_us);
        h->requests++;
        conn->again = false;
        conn->event_count = 0;
        if (h->batch > 0 && len > 0 && *body == '[')
            account_batch(h, conn, body, len);
        else
            account_begin(h, &conn->value, body, len, &conn->again);
        to_be_answered(h, conn, now_us);
    }
    conn->len = 0;
}

static void readable(struct handler *h, struct conn *conn, int64_t now_us)
{
    ssize_t n = read(conn->fd, conn->in + conn->len, h->room - 1 - conn->len);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN)
            close_conn(conn);
        return;
    }
    conn->len += (size_t)n;
    conn->in[conn->len] = '\0';
    if (conn->answering || conn->len == h->room - 1) {
        h->bad++; /* a second request before the first was answered, or one that does not fit */
        close_conn(conn);
        return;
    }
    request(h, conn, now_us);
}

static void write_came(const struct handler *h)
{
    FILE *file = fopen(h->retry_first, "w");
    if (!file)
        die("%s: %s", h->retry_first, strerror(errno));
    for (uint64_t key = 0; key < h->keys; key++)
        fprintf(file, "%lld %lld\n", (long long)h->again[key].came_wall_us,
                (long long)h->again[key].after_us);
    if (fclose(file) != 0)
        die("%s: %s", h->retry_first, strerror(errno));
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
    if (h->expect > 0 && (h->retry_first ? h->sent_again : h->distinct) >= h->expect && !h->first) {
        h->expect = 0;
        if (h->retry_first)
            write_came(h);
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
    static const struct option names[] = {
        {"delay-us", required_argument, NULL, 'd'},    {"keys", required_argument, NULL, 'k'},
        {"size", required_argument, NULL, 's'},        {"expect", required_argument, NULL, 'e'},
        {"retry-first", required_argument, NULL, 'r'}, {"partitions", required_argument, NULL, 'p'},
        {"batch", required_argument, NULL, 'b'},       {NULL, 0, NULL, 0}};
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
        case 'r':
            h.retry_first = optarg;
            break;
        case 'p':
            h.partitions = number(optarg, "--partitions");
            break;
        case 'b':
            h.batch = number(optarg, "--batch");
            break;
        default:
            exit(64);
        }
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    h.room = HEAD_BYTES + (h.batch > 0 ? h.batch * (EVENT_ROOM + h.size) : h.size);
    h.accounts = allocate(h.keys * sizeof(*h.accounts));
    if (h.retry_first)
        h.again = allocate(h.keys * sizeof(*h.again));
    h.gaps = allocate((h.partitions + 1) * sizeof(*h.gaps));
    start(&h);
    for (;;)
        turn(&h);
}
