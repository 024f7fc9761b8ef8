/*
 * bench-limit: the yardstick. The least that the job can be on one thread: take a batch, ask Redis
 * once which of it was seen, send the rest over keep-alive connections, tell Redis once, next
 * batch; offsets are committed by librdkafka's timer. A key always goes over the same connection,
 * which is what keeps its order. There is no safety here: whatever fails ends the program, a crash
 * loses or repeats what the last batches held. What it notes in Redis expires, as it does for
 * whoever it is measured beside; with --for-good it stays, which spares Redis a command for each
 * record. It is measured against, never used.
 *
 *   bench-limit --bootstrap B --topic T --group G --redis SOCKET --handler PORT [--batch N]
 *               [--for-good]
 */
#include "common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <hiredis/hiredis.h>
#include <librdkafka/rdkafka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 64
#define BATCH_MAX   2048
#define BATCH_MS    5
#define REQUEST_MAX 4096

/* KEYS one a record, ARGV its number; returns 1 for each that is new. */
static const char CHECK[] =
    "local last = redis.call('MGET', unpack(KEYS)) "
    "local seen, out = {}, {} "
    "for i, k in ipairs(KEYS) do "
    "local n = tonumber(ARGV[i]) "
    "if n > (seen[k] or tonumber(last[i] or 0)) then seen[k] = n out[i] = 1 "
    "else out[i] = 0 end end return out";
/* KEYS one a record in the order of their numbers, ARGV its number; kept for 30 days. */
static const char MARK[] =
    "for i, k in ipairs(KEYS) do redis.call('SET', k, ARGV[i], 'EX', 2592000) end";
static const char MARK_FOR_GOOD[] =
    "local t = {} for i, k in ipairs(KEYS) do t[2*i-1] = k t[2*i] = ARGV[i] end "
    "return redis.call('MSET', unpack(t))";

struct item {
    rd_kafka_message_t *message;
    char key[40], seq[24];
    size_t key_len, seq_len;
    struct item *next;
};

struct conn {
    int fd;
    struct item *first, *last;
};

static struct {
    rd_kafka_t *consumer;
    rd_kafka_queue_t *queue;
    redisContext *redis;
    char check_sha[48], mark_sha[48];
    int epoll;
    struct conn conns[CONNECTIONS];
    size_t open; /* requests under way */
    struct item items[BATCH_MAX];
    rd_kafka_message_t *messages[BATCH_MAX];
    const char *argv[3 + 2 * BATCH_MAX];
    size_t lens[3 + 2 * BATCH_MAX];
} limit;

static volatile sig_atomic_t stop;

static void on_signal(int number_of_signal)
{
    (void)number_of_signal;
    stop = 1;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        die("%s: %s", name, text);
}

static void join(const char *bootstrap, const char *topic, const char *group)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", group);
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.auto.commit", "true");
    limit.consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!limit.consumer)
        die("%s", text);
    rd_kafka_poll_set_consumer(limit.consumer);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(limit.consumer, topics) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("cannot subscribe to %s", topic);
    rd_kafka_topic_partition_list_destroy(topics);
    limit.queue = rd_kafka_queue_get_consumer(limit.consumer);
}

static void load_script(const char *script, char sha[48])
{
    redisReply *reply = redisCommand(limit.redis, "SCRIPT LOAD %s", script);
    if (!reply || reply->type != REDIS_REPLY_STRING)
        die("Redis: %s", reply ? reply->str : limit.redis->errstr);
    snprintf(sha, 48, "%s", reply->str);
    freeReplyObject(reply);
}

static void connect_redis(const char *path, bool for_good)
{
    limit.redis = redisConnectUnix(path);
    if (!limit.redis || limit.redis->err)
        die("Redis: %s", limit.redis ? limit.redis->errstr : "no memory");
    load_script(CHECK, limit.check_sha);
    load_script(for_good ? MARK_FOR_GOOD : MARK, limit.mark_sha);
}

static void connect_handler(uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    limit.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct conn *conn = &limit.conns[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
        conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (conn->fd < 0 || connect(conn->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
            die("handler: %s", strerror(errno));
        (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (epoll_ctl(limit.epoll, EPOLL_CTL_ADD, conn->fd, &event) != 0)
            die("epoll: %s", strerror(errno));
    }
}

/* Runs a script over the items; the caller frees the reply. */
static redisReply *run_script(const char *sha, size_t count)
{
    char keys[16];
    limit.argv[0] = "EVALSHA";
    limit.lens[0] = 7;
    limit.argv[1] = sha;
    limit.lens[1] = strlen(sha);
    limit.argv[2] = keys;
    limit.lens[2] = (size_t)snprintf(keys, sizeof(keys), "%zu", count);
    for (size_t i = 0; i < count; i++) {
        limit.argv[3 + i] = limit.items[i].key;
        limit.lens[3 + i] = limit.items[i].key_len;
        limit.argv[3 + count + i] = limit.items[i].seq;
        limit.lens[3 + count + i] = limit.items[i].seq_len;
    }
    redisReply *reply = redisCommandArgv(limit.redis, (int)(3 + 2 * count), limit.argv, limit.lens);
    if (!reply || reply->type == REDIS_REPLY_ERROR)
        die("Redis: %s", reply ? reply->str : limit.redis->errstr);
    return reply;
}

static bool read_item(struct item *item, rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const void *seq;
    if (message->err) {
        if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            fprintf(stderr, "%s\n", rd_kafka_message_errstr(message));
        return false;
    }
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "seq", &seq, &item->seq_len) !=
            RD_KAFKA_RESP_ERR_NO_ERROR ||
        item->seq_len >= sizeof(item->seq) || message->key_len + 2 > sizeof(item->key))
        die("a record that bench-load did not make");
    memcpy(item->seq, seq, item->seq_len);
    item->key[0] = 'l';
    item->key[1] = ':';
    memcpy(item->key + 2, message->key, message->key_len);
    item->key_len = message->key_len + 2;
    item->message = message;
    return true;
}

static size_t take_batch(size_t max)
{
    ssize_t n = rd_kafka_consume_batch_queue(limit.queue, BATCH_MS, limit.messages, max);
    size_t count = 0;
    for (ssize_t i = 0; i < n; i++) {
        if (read_item(&limit.items[count], limit.messages[i]))
            count++;
        else
            rd_kafka_message_destroy(limit.messages[i]);
    }
    return count;
}

/* Drops what was seen before; returns how many are left. */
static size_t check(size_t count)
{
    redisReply *reply = run_script(limit.check_sha, count);
    size_t left = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count)
        die("Redis: not the answer that was expected");
    for (size_t i = 0; i < count; i++) {
        if (reply->element[i]->integer == 0)
            rd_kafka_message_destroy(limit.items[i].message);
        else if (left++ != i)
            limit.items[left - 1] = limit.items[i];
    }
    freeReplyObject(reply);
    return left;
}

static void send_first(struct conn *conn)
{
    char out[REQUEST_MAX];
    const rd_kafka_message_t *message = conn->first->message;
    int head = snprintf(out, sizeof(out),
                        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n",
                        message->len);
    if ((size_t)head + message->len > sizeof(out))
        die("a record that bench-load did not make");
    memcpy(out + head, message->payload, message->len);
    ssize_t len = head + (ssize_t)message->len;
    if (send(conn->fd, out, (size_t)len, MSG_NOSIGNAL) != len)
        die("handler: %s", strerror(errno));
}

static void answered(struct conn *conn)
{
    char in[1024];
    ssize_t n = recv(conn->fd, in, sizeof(in) - 1, 0);
    if (n < 16 || memcmp(in, "HTTP/1.1 2", 10) != 0 || memcmp(in + n - 4, "\r\n\r\n", 4) != 0)
        die("handler: not the answer that was expected");
    rd_kafka_message_destroy(conn->first->message);
    conn->first = conn->first->next;
    if (conn->first)
        send_first(conn);
    else
        limit.open--;
}

static unsigned connection_of(const struct item *item)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < item->key_len; i++)
        h = (h ^ (unsigned char)item->key[i]) * 16777619u;
    return (h ^ h >> 16) % CONNECTIONS;
}

static void deliver(size_t count)
{
    struct epoll_event events[CONNECTIONS];
    for (size_t i = 0; i < count; i++) {
        struct item *item = &limit.items[i];
        struct conn *conn = &limit.conns[connection_of(item)];
        item->next = NULL;
        if (conn->first)
            conn->last->next = item;
        else
            conn->first = item;
        conn->last = item;
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        if (limit.conns[i].first) {
            limit.open++;
            send_first(&limit.conns[i]);
        }
    }
    while (limit.open > 0) {
        int n = epoll_wait(limit.epoll, events, CONNECTIONS, -1);
        for (int i = 0; i < n; i++)
            answered(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"bootstrap", required_argument, NULL, 'b'}, {"topic", required_argument, NULL, 't'},
        {"group", required_argument, NULL, 'g'},     {"redis", required_argument, NULL, 'r'},
        {"handler", required_argument, NULL, 'h'},   {"batch", required_argument, NULL, 'n'},
        {"for-good", no_argument, NULL, 'f'},        {NULL, 0, NULL, 0}};
    const char *bootstrap = NULL, *topic = NULL, *group = NULL, *redis = NULL;
    uint64_t port = 0, batch = 512;
    bool for_good = false;
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'b':
            bootstrap = optarg;
            break;
        case 't':
            topic = optarg;
            break;
        case 'g':
            group = optarg;
            break;
        case 'r':
            redis = optarg;
            break;
        case 'h':
            port = number(optarg, "--handler");
            break;
        case 'n':
            batch = number(optarg, "--batch");
            break;
        case 'f':
            for_good = true;
            break;
        default:
            exit(64);
        }
    }
    if (!bootstrap || !topic || !group || !redis || port == 0 || batch == 0 || batch > BATCH_MAX)
        die("--bootstrap, --topic, --group, --redis, --handler; --batch up to %d, --for-good",
            BATCH_MAX);
    signal(SIGTERM, on_signal);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    connect_redis(redis, for_good);
    connect_handler((uint16_t)port);
    join(bootstrap, topic, group);
    while (!stop) {
        size_t count = take_batch(batch);
        count = count > 0 ? check(count) : 0;
        if (count == 0)
            continue;
        deliver(count);
        freeReplyObject(run_script(limit.mark_sha, count));
    }
    rd_kafka_queue_destroy(limit.queue);
    rd_kafka_consumer_close(limit.consumer);
    rd_kafka_destroy(limit.consumer);
    redisFree(limit.redis);
    return 0;
}
