/*
 * bench-load: makes a topic and fills it, or with --topics N the topics NAME-0 to NAME-(N-1), among
 * which the keys are dealt out. Each key's records are numbered from 1 in the header seq;
 * a share of the records, in per mille, is one of the last thousand once more. Keys are drawn, all
 * alike, or with --first-key-percent that share for key 0; with --in-turn one after the other.
 * --skip N goes on where a run of N records ended. The value tells key, number and time to the
 * handler (common.h). Ends when every record is acknowledged; prints "records=N distinct=M
 * first_key=K ack_p50_ms=X ack_p99_ms=Y": how many are distinct, skipped ones included, how many of
 * these are key 0's, and the time from a record's own, the one in its value, to the broker's
 * acknowledgement.
 */
#include "common.h"

#include <getopt.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define RECENT        1024
#define KEY_BYTES_MAX 64
#define MAX_BYTES     1000000 /* of a record, beyond its value; Kafka's default without one */

struct load {
    const char *bootstrap, *topic;
    uint64_t topics, partitions, records, keys, size, rate, twice_per_mille, warm;
    uint64_t first_key_percent, key_bytes, skip;
    bool in_turn;
    rd_kafka_t *client;
    uint32_t *next_seq;
    struct value recent[RECENT];
    uint64_t first_sights;
    uint64_t random;
    uint64_t failed, answered, acked;
    uint32_t *ack_us;
};

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct load *load = opaque;
    (void)client;
    if (message->err)
        load->failed++;
    else if (load->answered++ >= load->warm)
        load->ack_us[load->acked++] = (uint32_t)rd_kafka_message_latency(message);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double ack_ms(const struct load *load, uint64_t percent)
{
    return load->acked ? load->ack_us[(load->acked - 1) * percent / 100] / 1e3 : 0;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        die("%s: %s", name, text);
}

static void connect_broker(struct load *load)
{
    char text[256], most[32];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(most, sizeof(most), "%llu", (unsigned long long)(MAX_BYTES + load->size));
    set(conf, "message.max.bytes", most);
    set(conf, "bootstrap.servers", load->bootstrap);
    set(conf, "acks", "all");
    set(conf, "socket.nagle.disable", "true");
    set(conf, "linger.ms", load->rate ? "1" : "20");
    set(conf, "partitioner", "murmur2_random");
    set(conf, "queue.buffering.max.messages", "200000");
    rd_kafka_conf_set_opaque(conf, load);
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    load->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!load->client)
        die("%s", text);
}

/* The name of the topic that has these keys. */
static const char *topic_of(const struct load *load, uint32_t key, char out[static 256])
{
    if (load->topics == 1)
        return load->topic;
    snprintf(out, 256, "%s-%u", load->topic, (unsigned)(key % load->topics));
    return out;
}

static void create_topic(const struct load *load, const char *name)
{
    char text[256], most[32];
    rd_kafka_queue_t *queue = rd_kafka_queue_new(load->client);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(load->client,
                                                                 RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, (int)load->partitions, 1, text,
                                                       sizeof(text));
    rd_kafka_event_t *event;
    const rd_kafka_topic_result_t **results;
    size_t count = 0;
    if (!topic)
        die("%s", text);
    snprintf(most, sizeof(most), "%llu", (unsigned long long)(MAX_BYTES + load->size));
    if (rd_kafka_NewTopic_set_config(topic, "max.message.bytes", most))
        die("cannot set max.message.bytes");
    rd_kafka_AdminOptions_set_operation_timeout(options, 20000, text, sizeof(text));
    rd_kafka_CreateTopics(load->client, &topic, 1, options, queue);
    event = rd_kafka_queue_poll(queue, 30000);
    if (!event || rd_kafka_event_error(event))
        die("cannot create %s: %s", name, event ? rd_kafka_event_error_string(event) : "no answer");
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event),
                                                  &count);
    if (count != 1 || rd_kafka_topic_result_error(results[0]))
        die("cannot create %s: %s", name,
            count == 1 ? rd_kafka_topic_result_error_string(results[0]) : "no result");
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
}

static uint32_t choose_key(struct load *load)
{
    if (load->in_turn)
        return (uint32_t)(load->first_sights % load->keys);
    if (load->first_key_percent > 0 && draw_from(&load->random) % 100 < load->first_key_percent)
        return 0;
    return (uint32_t)(draw_from(&load->random) % load->keys);
}

static struct value choose(struct load *load)
{
    struct value value;
    uint64_t have = load->first_sights < RECENT ? load->first_sights : RECENT;
    if (have > 0 && draw_from(&load->random) % 1000 < load->twice_per_mille)
        return load->recent[draw_from(&load->random) % have];
    value.key = choose_key(load);
    value.seq = ++load->next_seq[value.key];
    load->recent[load->first_sights++ % RECENT] = value;
    return value;
}

static void send_record(struct load *load, char *payload)
{
    char key[KEY_BYTES_MAX + 16], seq[16], topic[256];
    struct value value = choose(load);
    rd_kafka_resp_err_t err;
    value.sent_us = wall_us();
    value_write(&value, payload);
    int key_len = snprintf(key, sizeof(key), "k%0*u", (int)load->key_bytes - 1, value.key);
    int seq_len = snprintf(seq, sizeof(seq), "%u", value.seq);
    do {
        err = rd_kafka_producev(load->client, RD_KAFKA_V_TOPIC(topic_of(load, value.key, topic)),
                                RD_KAFKA_V_KEY(key, (size_t)key_len),
                                RD_KAFKA_V_VALUE(payload, load->size),
                                RD_KAFKA_V_HEADER("seq", seq, (ssize_t)seq_len),
                                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        rd_kafka_poll(load->client, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? 20 : 0);
    } while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (err)
        die("produce: %s", rd_kafka_err2str(err));
}

/* Waits until record n is due, so that no two of a rate come as a bundle. */
static void keep_rate(const struct load *load, int64_t start_us, uint64_t n)
{
    int64_t due = start_us + (int64_t)(n * 1000000 / load->rate);
    int64_t wait = due - mono_us();
    if (wait <= 0)
        return;
    struct timespec pause = {.tv_sec = wait / 1000000, .tv_nsec = wait % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

static void options(struct load *load, int argc, char **argv)
{
    static const struct option names[] = {{"bootstrap", required_argument, NULL, 'b'},
                                          {"topic", required_argument, NULL, 't'},
                                          {"topics", required_argument, NULL, 'm'},
                                          {"partitions", required_argument, NULL, 'p'},
                                          {"records", required_argument, NULL, 'n'},
                                          {"keys", required_argument, NULL, 'k'},
                                          {"size", required_argument, NULL, 's'},
                                          {"rate", required_argument, NULL, 'r'},
                                          {"twice-per-mille", required_argument, NULL, 'd'},
                                          {"warm", required_argument, NULL, 'w'},
                                          {"first-key-percent", required_argument, NULL, 'f'},
                                          {"key-bytes", required_argument, NULL, 'y'},
                                          {"in-turn", no_argument, NULL, 'i'},
                                          {"skip", required_argument, NULL, 'o'},
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 'b':
            load->bootstrap = optarg;
            break;
        case 't':
            load->topic = optarg;
            break;
        case 'm':
            load->topics = number(optarg, "--topics");
            break;
        case 'p':
            load->partitions = number(optarg, "--partitions");
            break;
        case 'n':
            load->records = number(optarg, "--records");
            break;
        case 'k':
            load->keys = number(optarg, "--keys");
            break;
        case 's':
            load->size = number(optarg, "--size");
            break;
        case 'r':
            load->rate = number(optarg, "--rate");
            break;
        case 'd':
            load->twice_per_mille = number(optarg, "--twice-per-mille");
            break;
        case 'w':
            load->warm = number(optarg, "--warm");
            break;
        case 'f':
            load->first_key_percent = number(optarg, "--first-key-percent");
            break;
        case 'y':
            load->key_bytes = number(optarg, "--key-bytes");
            break;
        case 'o':
            load->skip = number(optarg, "--skip");
            break;
        case 'i':
            load->in_turn = true;
            break;
        default:
            exit(64);
        }
    }
    if (!load->bootstrap || !load->topic || load->keys == 0 || load->topics == 0 ||
        load->size < VALUE_HEAD)
        die("--bootstrap, --topic, some --keys and --topics and a --size of %d at least are needed",
            VALUE_HEAD);
    if (load->key_bytes < 9 || load->key_bytes > KEY_BYTES_MAX)
        die("--key-bytes is 9 to %d", KEY_BYTES_MAX);
}

int main(int argc, char **argv)
{
    struct load load = {.topics = 1,
                        .records = 300000,
                        .keys = 10000,
                        .size = 256,
                        .twice_per_mille = 10,
                        .key_bytes = 9,
                        .random = DRAW_FIRST};
    char name[256];
    options(&load, argc, argv);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    char *payload = allocate(load.size);
    memset(payload, '.', load.size);
    load.next_seq = allocate(load.keys * sizeof(*load.next_seq));
    load.ack_us = allocate((load.records + 1) * sizeof(*load.ack_us));
    connect_broker(&load);
    for (uint32_t i = 0; load.partitions > 0 && i < load.topics; i++)
        create_topic(&load, topic_of(&load, i, name));
    for (uint64_t n = 0; n < load.skip; n++)
        (void)choose(&load);
    int64_t start_us = mono_us();
    for (uint64_t n = 0; n < load.records; n++) {
        if (load.rate > 0)
            keep_rate(&load, start_us, n);
        send_record(&load, payload);
    }
    if (rd_kafka_flush(load.client, 60000) || load.failed)
        die("%llu records were not acknowledged", (unsigned long long)load.failed);
    qsort(load.ack_us, load.acked, sizeof(*load.ack_us), ascending);
    printf("records=%llu distinct=%llu first_key=%llu ack_p50_ms=%.2f ack_p99_ms=%.2f\n",
           (unsigned long long)load.records, (unsigned long long)load.first_sights,
           (unsigned long long)load.next_seq[0], ack_ms(&load, 50), ack_ms(&load, 99));
    rd_kafka_destroy(load.client);
    free(load.next_seq);
    free(load.ack_us);
    free(payload);
    return 0;
}
