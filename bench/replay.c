/*
 * bench-replay: the same records through the same gateway in the same steps, so that instructions
 * can be counted (bench/instructions). It is a gateway's worker with everything that is its own,
 * and around it, in one process: librdkafka's mock cluster, the handler, and a relay before a real
 * redis-server.
 *
 * What varies from run to run in a gateway is how much it finds done whenever it looks. Here it
 * finds the same each time: the worker's loop is halted where it waits (epoll_wait is ours), and
 * goes on when
 *
 *   - all records lie in librdkafka's queues (before the first one is taken),
 *   - and, where it has nothing else to do, every command that was written to Redis has been
 *     answered, and ANSWERS_A_HALT of the requests that are open, the oldest first. An answer lies
 *     in its socket before the loop goes on.
 *
 * Its clocks stand still but for TURN_NS a turn: what a timer does each second would weigh the more
 * the slower the machine is. Instructions are counted on the loop's thread between these halts
 * only: not in the peers here, not in librdkafka's threads, nothing before the warm-up. The handler
 * sees that each key's records come in order, each once. Must not be linked into anything else: it
 * stands in for libc.
 *
 *   bench-replay --redis SOCKET [--records N] [--warm N] [--keys N]
 *
 * prints "compiler=C measured=N redis_calls=N turns=N"; measured are records.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <librdkafka/rdkafka.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "common.h"
#include "config/config.h"
#include "flow/route_state.h"
#include "flow/worker_state.h"
#include "kafka/consumer_state.h"
#include "kafka/mock.h"

#define PARTITIONS      8
#define SIZE            256
#define TWICE_PER_MILLE 10
#define RECENT          1000
#define SLOTS           64
/* Of SLOTS that are open: about as many as a gateway under full load tells Redis of in a call. */
#define ANSWERS_A_HALT 24
#define RELAYS         4
#define TURN_NS        INT64_C(200000)
#define CHUNK          65536
#define PATIENCE_S     120

static const char CONFIG[] =
    "version: 1\n"
    "kafka:\n"
    "  bootstrap.servers: \"%s\"\n"
    "  consumer: {session.timeout.ms: 280000, queued.min.messages: 100000,"
    " queued.max.messages.kbytes: 65536}\n"
    "redis: {url: \"unix://%s\", timeout: 1m}\n"
    "routes:\n"
    "  - name: replay\n"
    "    topics: [replay]\n"
    "    group: replay\n"
    "    ordering: key\n"
    "    dedup: {identity: sequence, from: \"header:seq\"}\n"
    "    handler: {url: \"http://127.0.0.1:%u/\", max_in_flight: %d, timeout: 2m,"
    " idle_timeout: 5m}\n"
    "    retry: {tiers: [10s]}\n";

/* A connection of the gateway to Redis. */
struct relay {
    int front, back;
    size_t open;                  /* commands that Redis has not answered */
    redisReader *asked, *answers; /* both directions are the same protocol */
};

static struct {
    const char *redis;
    uint64_t records, distinct, warm, keys;
    char relay_path[100];
    struct kafka_mock *mock;
    struct config *config;
    struct metrics *metrics;
    struct worker *worker;
    _Atomic(const char *) waits_for;
    sem_t done;

    /* Of the loop's thread from here on. */
    bool prefetched, counting, ended;
    int relay_listener, listener;
    uint16_t port;
    struct relay relays[RELAYS];
    size_t relay_count;
    int *peers;           /* by the port of the gateway's end; 0: none */
    int asked[2 * SLOTS]; /* the gateway's ends of requests that are not answered, oldest first */
    size_t asked_count;
    uint32_t *last_seq; /* of each key */
    uint64_t answered, redis_calls, turns;
    int64_t passed_ns; /* by its clocks, since they stand still */
} replay = {.records = 6000, .warm = 1200, .keys = 1000};

/* True on the thread that waits in epoll_wait: nobody here but the worker's loop does. */
static _Thread_local bool on_loop;

/* ---- the records ---- */

/* xorshift64* (Vigna 2016): the same records in every run. */
static uint64_t draw(void)
{
    static uint64_t random = 88172645463325252u;
    random ^= random >> 12;
    random ^= random << 25;
    random ^= random >> 27;
    return random * UINT64_C(2685821657736338717);
}

static struct value choose(void)
{
    static struct value recent[RECENT];
    static uint32_t *next_seq;
    if (!next_seq)
        next_seq = allocate(replay.keys * sizeof(*next_seq));
    if (replay.distinct >= RECENT && draw() % 1000 < TWICE_PER_MILLE)
        return recent[draw() % RECENT];
    struct value value = {.key = (uint32_t)(draw() % replay.keys), .sent_us = wall_us()};
    value.seq = ++next_seq[value.key];
    recent[replay.distinct++ % RECENT] = value;
    return value;
}

static void produce_one(rd_kafka_t *producer)
{
    char payload[SIZE], key[32], seq[16];
    struct value value = choose();
    rd_kafka_resp_err_t failed;
    memset(payload, '.', sizeof(payload));
    value_write(&value, payload);
    int key_len = snprintf(key, sizeof(key), "k%08u", value.key);
    int seq_len = snprintf(seq, sizeof(seq), "%u", value.seq);
    failed = rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("replay"),
                               RD_KAFKA_V_PARTITION((int32_t)(value.key % PARTITIONS)),
                               RD_KAFKA_V_KEY(key, (size_t)key_len),
                               RD_KAFKA_V_VALUE(payload, sizeof(payload)),
                               RD_KAFKA_V_HEADER("seq", seq, (ssize_t)seq_len),
                               RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (failed)
        die("produce: %s", rd_kafka_err2str(failed));
}

static void produce(void)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", kafka_mock_bootstrap(replay.mock), text,
                      sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "20", text, sizeof(text));
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!producer)
        die("%s", text);
    for (uint64_t i = 0; i < replay.records; i++)
        produce_one(producer);
    if (rd_kafka_flush(producer, PATIENCE_S * 1000))
        die("the mock cluster does not take the records");
    rd_kafka_destroy(producer);
}

/* ---- halts of the loop ---- */

/* Time of a clock since it stands still. */
static int64_t stopped_ns(clockid_t id)
{
    static int64_t since[16];
    struct timespec now;
    if (since[id] == 0) {
        (void)syscall(SYS_clock_gettime, id, &now);
        since[id] = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - replay.passed_ns;
    }
    return since[id] + replay.passed_ns;
}

/* Nothing is taken before the fences are held, which wants Redis, which is behind this. */
static void await_prefetch(void)
{
    const struct kafka_consumer *consumer = replay.worker->routes[0]->consumer;
    size_t there = 0, looks = 0;
    if (replay.prefetched || !consumer || consumer->state != MEMBER_ASSIGNED)
        return;
    while (there < replay.records) {
        if (looks++ > PATIENCE_S * 500)
            die("%zu records were fetched of %llu", there, (unsigned long long)replay.records);
        usleep(2000);
        there = consumer->taken_count;
        for (size_t i = 0; i < consumer->partition_count; i++)
            there += rd_kafka_queue_length(consumer->partitions[i]->queue);
    }
    if (consumer->taken_count > 0)
        die("records were taken before all were there");
    replay.prefetched = true;
}

static void send_whole(int fd, const char *data, size_t len, const char *whom)
{
    while (len > 0) {
        ssize_t n = syscall(SYS_sendto, fd, data, len, MSG_NOSIGNAL, NULL, 0);
        if (n <= 0)
            die("%s: %s", whom, strerror(errno));
        data += n;
        len -= (size_t)n;
    }
}

static void take_relays(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd;
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", replay.redis);
    while ((fd = accept4(replay.relay_listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (replay.relay_count == RELAYS)
            die("more than %d connections to Redis", RELAYS);
        struct relay *relay = &replay.relays[replay.relay_count++];
        relay->front = fd;
        relay->back = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (relay->back < 0 || connect(relay->back, (struct sockaddr *)&to, sizeof(to)) != 0)
            die("Redis: %s", strerror(errno));
        (void)setsockopt(relay->back, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        (void)setsockopt(relay->front, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        relay->asked = redisReaderCreate();
        relay->answers = redisReaderCreate();
    }
}

/* How many whole commands or answers have come. */
static size_t count_whole(redisReader *reader, const char *data, size_t len)
{
    void *reply = NULL;
    size_t count = 0;
    if (redisReaderFeed(reader, data, len) != REDIS_OK)
        die("Redis: %s", reader->errstr);
    for (;;) {
        if (redisReaderGetReply(reader, &reply) != REDIS_OK)
            die("Redis: %s", reader->errstr);
        if (!reply)
            return count;
        freeReplyObject(reply);
        count++;
    }
}

static void answer_redis(struct relay *relay)
{
    static char data[CHUNK];
    ssize_t n;
    while ((n = recv(relay->front, data, sizeof(data), MSG_DONTWAIT)) > 0) {
        size_t count = count_whole(relay->asked, data, (size_t)n);
        send_whole(relay->back, data, (size_t)n, "Redis");
        relay->open += count;
        replay.redis_calls += replay.counting ? count : 0;
    }
    while (relay->open > 0) {
        n = recv(relay->back, data, sizeof(data), 0);
        if (n <= 0)
            die("Redis does not answer");
        relay->open -= count_whole(relay->answers, data, (size_t)n);
        send_whole(relay->front, data, (size_t)n, "the gateway");
    }
}

static void take_peer(void)
{
    struct sockaddr_in from;
    struct timeval patience = {.tv_sec = PATIENCE_S};
    socklen_t len = sizeof(from);
    int one = 1, fd = accept4(replay.listener, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
    if (fd < 0)
        die("accept: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    replay.peers[ntohs(from.sin_port)] = fd;
}

/* Our end of the connection whose other end is fd. */
static int peer_of(int fd)
{
    struct sockaddr_in at = {0};
    socklen_t len = sizeof(at);
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        die("getsockname: %s", strerror(errno));
    while (replay.peers[ntohs(at.sin_port)] == 0)
        take_peer();
    return replay.peers[ntohs(at.sin_port)];
}

static void check(const char *request, const char *body)
{
    struct value value;
    if (!value_read(body, SIZE, &value) || value.key >= replay.keys)
        die("not what was produced: %s", request);
    if (value.seq != replay.last_seq[value.key] + 1)
        die("record %u of key %u came after %u", value.seq, value.key, replay.last_seq[value.key]);
    replay.last_seq[value.key] = value.seq;
}

/* One whole request is there, or comes: nothing else is sent before its answer. */
static void read_request(int fd)
{
    char in[8192];
    size_t len = 0;
    const char *head_end = NULL;
    while (!head_end || (size_t)(head_end + 4 - in) + SIZE > len) {
        ssize_t n = recv(fd, in + len, sizeof(in) - 1 - len, 0);
        if (n <= 0)
            die("the gateway sends no whole request");
        len += (size_t)n;
        in[len] = '\0';
        head_end = strstr(in, "\r\n\r\n");
    }
    if (!strstr(in, "\r\nContent-Length: 256\r\n") || (size_t)(head_end + 4 - in) + SIZE != len)
        die("not one request with a value of %d bytes: %s", SIZE, in);
    check(in, head_end + 4);
}

static void answer_oldest(void)
{
    static const char OK[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct pollfd there = {.fd = replay.asked[0], .events = POLLIN};
    int peer = peer_of(replay.asked[0]);
    read_request(peer);
    send_whole(peer, OK, sizeof(OK) - 1, "the gateway");
    if (poll(&there, 1, PATIENCE_S * 1000) != 1)
        die("an answer does not arrive");
    replay.asked_count--;
    memmove(replay.asked, replay.asked + 1, replay.asked_count * sizeof(replay.asked[0]));
    replay.answered++;
    if (replay.answered == replay.warm) {
        CALLGRIND_START_INSTRUMENTATION;
        replay.counting = true;
    }
    if (replay.answered == replay.distinct) {
        replay.counting = false;
        replay.ended = true;
        sem_post(&replay.done);
    }
}

static void halt(void)
{
    on_loop = true;
    take_relays();
    for (size_t i = 0; i < replay.relay_count; i++)
        answer_redis(&replay.relays[i]);
    for (int i = 0; i < ANSWERS_A_HALT && replay.asked_count > 0; i++)
        answer_oldest();
}

/* ---- what stands in for libc ---- */

static int look(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
    return (int)syscall(SYS_epoll_pwait, epfd, events, maxevents, timeout, NULL, 0);
}

int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)
{
    if (replay.counting)
        CALLGRIND_TOGGLE_COLLECT;
    replay.turns += replay.counting;
    replay.passed_ns += replay.prefetched ? TURN_NS : 0;
    await_prefetch();
    int n = look(epfd, events, maxevents, 0);
    if (n == 0 && timeout != 0) {
        if (!replay.ended)
            halt();
        n = look(epfd, events, maxevents, timeout);
    }
    if (replay.counting)
        CALLGRIND_TOGGLE_COLLECT;
    return n;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    if (!on_loop || !replay.prefetched || replay.ended || (unsigned)id >= 16)
        return (int)syscall(SYS_clock_gettime, id, now);
    int64_t ns = stopped_ns(id);
    *now = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    return 0;
}

/* By either the gateway's requests go out; so do calls of Redis, by a unix socket, and what
 * librdkafka's threads and the mock cluster say to each other. */
static void note_asked(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);
    if (!on_loop || replay.ended || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 ||
        domain != AF_INET)
        return;
    if (replay.asked_count == sizeof(replay.asked) / sizeof(replay.asked[0]))
        die("more requests are open than there are slots");
    replay.asked[replay.asked_count++] = fd;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    note_asked(fd);
    return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    note_asked(fd);
    return syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

/* ---- set-up ---- */

static void listen_handler(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    replay.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (replay.listener < 0 || bind(replay.listener, (struct sockaddr *)&at, len) != 0 ||
        listen(replay.listener, 1024) != 0 ||
        getsockname(replay.listener, (struct sockaddr *)&at, &len) != 0)
        die("listen: %s", strerror(errno));
    replay.port = ntohs(at.sin_port);
}

static void listen_relay(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(replay.relay_path, sizeof(replay.relay_path), "%s.relay", replay.redis);
    memcpy(at.sun_path, replay.relay_path, sizeof(replay.relay_path));
    replay.relay_listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (replay.relay_listener < 0 ||
        bind(replay.relay_listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(replay.relay_listener, 64) != 0)
        die("%s: %s", replay.relay_path, strerror(errno));
}

static void configure(const char *bootstrap)
{
    char text[2048];
    struct config_problems problems = {0};
    struct err err = {0};
    struct buf out = {0};
    config_free(&replay.config);
    int len = snprintf(text, sizeof(text), CONFIG, bootstrap, replay.relay_path, replay.port,
                       SLOTS);
    replay.config = config_parse(text, (size_t)len, "replay", &problems, &err);
    if (!replay.config) {
        config_problems_print(&problems, "replay", &out);
        die("%s\n%.*s", err.text, (int)out.len, out.data);
    }
    config_problems_free(&problems);
}

/* The cluster makes its topics at its start; their names follow from a configuration that does not
 * know yet where it will listen. */
static void start_mock(void)
{
    enum { SOURCE, TIER, REDRIVE, DLQ, STATE, JOBS, AUDIT, TOPICS };
    struct err err = {0};
    struct kafka_mock_topic topics[TOPICS];
    char *names[TOPICS] = {NULL};
    configure("127.0.0.1:1");
    const struct route_config *route = &replay.config->routes[0];
    names[TIER] = config_tier_topic(route, route->topics[0], route->retry.tiers_ms[0]);
    names[REDRIVE] = config_redrive_topic(route, route->topics[0]);
    names[DLQ] = config_dlq_topic(route, route->topics[0]);
    names[STATE] = config_dlq_state_topic(route);
    names[JOBS] = config_dlq_jobs_topic(route);
    names[AUDIT] = config_audit_topic(route);
    for (size_t i = 0; i < TOPICS; i++)
        topics[i] = (struct kafka_mock_topic){i == SOURCE ? route->topics[0] : names[i],
                                              i < STATE ? PARTITIONS : 1};
    replay.mock = kafka_mock_new(topics, TOPICS, &err);
    if (!replay.mock)
        die("%s", err.text);
    for (size_t i = 0; i < TOPICS; i++)
        mem_free(names[i]);
    configure(kafka_mock_bootstrap(replay.mock));
}

static void failed(void *ctx, struct worker *worker, const struct err *err)
{
    (void)ctx;
    (void)worker;
    die("the worker: %s", err->text);
}

static void stopped(void *ctx, struct worker *worker)
{
    (void)ctx;
    (void)worker;
    die("the worker stopped");
}

static void start_worker(void)
{
    struct worker_events events = {
        .failed = failed, .stopped = stopped, .waits_for = &replay.waits_for};
    struct err err = {0};
    replay.metrics = metrics_new();
    replay.worker = worker_new(replay.config, 0, replay.metrics, NULL, &events, &err);
    if (!replay.worker || !worker_start(replay.worker, &err))
        die("%s", err.text);
}

static void options(int argc, char **argv)
{
    static const struct option names[] = {{"redis", required_argument, NULL, 'r'},
                                          {"records", required_argument, NULL, 'n'},
                                          {"warm", required_argument, NULL, 'w'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'r':
            replay.redis = optarg;
            break;
        case 'n':
            replay.records = number(optarg, "--records");
            break;
        case 'w':
            replay.warm = number(optarg, "--warm");
            break;
        case 'k':
            replay.keys = number(optarg, "--keys");
            break;
        default:
            exit(64);
        }
    }
    if (!replay.redis || replay.keys == 0 || replay.warm == 0 ||
        replay.warm + replay.records / 10 > replay.records)
        die("--redis, some --keys, and a --warm that leaves a tenth of --records at least");
}

int main(int argc, char **argv)
{
    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    log_setup(LOG_WARN, LOG_FORMAT_LOGFMT);
    sem_init(&replay.done, 0, 0);
    replay.peers = allocate((UINT16_MAX + 1) * sizeof(*replay.peers));
    replay.last_seq = allocate(replay.keys * sizeof(*replay.last_seq));
    listen_handler();
    listen_relay();
    start_mock();
    produce();
    start_worker();
    while (sem_wait(&replay.done) != 0 && errno == EINTR) {
    }
#ifdef __clang__
    printf("compiler=clang-%d ", __clang_major__);
#else
    printf("compiler=gcc-%d ", __GNUC__);
#endif
    printf("measured=%llu redis_calls=%llu turns=%llu\n",
           (unsigned long long)(replay.distinct - replay.warm),
           (unsigned long long)replay.redis_calls, (unsigned long long)replay.turns);
    fflush(stdout);
    unlink(replay.relay_path);
    _exit(0); /* it is all in memory: nobody is left to be told */
}
