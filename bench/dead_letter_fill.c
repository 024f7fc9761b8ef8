/*
 * What it costs to fill the index of dead letters from Kafka, end to end.
 *
 *   bench-dead-letter-feed fill BROKERS LETTERS    makes the topic and writes dead letters of 1 KB
 *   bench-dead-letter-feed feed BROKERS FILE       reads them into FILE (deleted before)
 *
 * bench/dead-letters runs both with a broker of their own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/str.h"
#include "dlq/feed.h"
#include "kafka/admin.h"
#include "record/headers.h"

enum { PARTITIONS = 8, KEYS = 200000, KINDS = 60, WORDS = 20000 };

static const char topic[] = "dlq.bench.orders";
static const char yaml[] =
    "kafka: {bootstrap.servers: \"%s\"}\nredis: {url: \"redis://127.0.0.1:1\"}\n"
    "routes:\n  - name: orders\n    topics: [orders]\n    group: bench\n"
    "    handler: {url: \"http://127.0.0.1:9/\"}\n";

static void stop(const char *text)
{
    fprintf(stderr, "bench-dead-letter-feed: %s\n", text);
    exit(1);
}

static uint64_t rnd(void)
{
    static uint64_t seed = 1;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct config *parse(const char *brokers)
{
    struct config_problems problems = {0};
    struct buf text = {0};
    struct config *config;
    struct err err;

    buf_printf(&text, yaml, brokers);
    config = config_parse(text.data, text.len, "bench", &problems, &err);
    if (config == NULL)
        stop(err.text);
    config_problems_free(&problems);
    buf_deinit(&text);
    return config;
}

/* ---- fill ---- */

static void on_created(void *arg, const char *const *failed, size_t count, const struct err *err)
{
    if (err != NULL || (count > 0 && failed[0] != NULL))
        stop(err != NULL ? err->text : failed[0]);
    loop_stop(arg);
}

static void make_topic(const struct config *config)
{
    struct kafka_new_topic made = {topic, PARTITIONS, 1, NULL, 0};
    struct err err;
    struct loop *loop = loop_new(&err);
    struct kafka_admin *admin = loop ? kafka_admin_new(loop, config, &err) : NULL;

    if (admin == NULL)
        stop(err.text);
    kafka_admin_create(admin, &made, 1, on_created, loop);
    loop_run(loop);
    kafka_admin_free(&admin);
    loop_free(&loop);
}

static rd_kafka_headers_t *make_headers(int64_t n)
{
    static struct header_list list;
    struct record rec = {.topic = SLICE_LIT("orders"), .offset = n};
    struct copy_info info = {
        .group = SLICE_LIT("bench"),
        .route = SLICE_LIT("orders"),
        .origin = {SLICE_LIT("orders"), (int32_t)(n % PARTITIONS), 1, n, 1767323045000 + n, 0},
        .attempt = 1 + (uint32_t)(rnd() % 8),
        .first_failed_at_ms = 1767323045000 + n,
        .last_failed_at_ms = 1767323075000 + n,
        .http_status = 422};
    struct copy_identity identity = {true, true, 1, (uint64_t)n};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(32);
    char code[32], detail[160], signature[HEADERS_SIGNATURE_MAX];
    unsigned kind = (unsigned)(rnd() % KINDS);

    snprintf(code, sizeof(code), "http-%u", 400 + kind % 30);
    snprintf(detail, sizeof(detail), "%s of customer %" PRIu64 " was refused by rule-%c at step %d",
             kind % 2 ? "the card" : "the order", rnd() % KEYS, 'a' + (int)(kind % 26), 17);
    info.error_code = slice_of(code);
    info.error_detail = slice_of(detail);
    headers_signature(info.route, info.error_code, info.error_detail, signature);
    info.signature = slice_of(signature);
    headers_write_copy(&list, COPY_DEAD_LETTER, &rec, &info, &identity, 4096);
    for (size_t i = 0; i < list.count; i++)
        rd_kafka_header_add(headers, list.items[i].name.data, (ssize_t)list.items[i].name.len,
                            list.items[i].value.data, (ssize_t)list.items[i].value.len);
    return headers;
}

/* About 1 KB with its key: an order with words in it. */
static size_t make_value(int64_t n, char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "{\"order\":%" PRId64 ",\"note\":\"", n);

    while (len < size - 24)
        len += (size_t)snprintf(out + len, size - len, "w%x ", (unsigned)(rnd() % WORDS));
    return len + (size_t)snprintf(out + len, size - len, "\"}");
}

static void send_one(rd_kafka_t *rk, int64_t n)
{
    char key[24], value[1000];
    size_t len = make_value(n, value, sizeof(value));
    int key_len = snprintf(key, sizeof(key), "customer-%" PRIu64, rnd() % KEYS);
    rd_kafka_headers_t *headers = make_headers(n);

    while (rd_kafka_producev(
               rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION((int32_t)(n % PARTITIONS)),
               RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, (size_t)key_len),
               RD_KAFKA_V_VALUE(value, len), RD_KAFKA_V_HEADERS(headers),
               RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        rd_kafka_poll(rk, 100);
}

static int fill(const char *brokers, int64_t letters)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct config *config = parse(brokers);
    char text[256];
    rd_kafka_t *rk;

    make_topic(config);
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "20", text, sizeof(text));
    rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (rk == NULL)
        stop(text);
    for (int64_t n = 0; n < letters; n++)
        send_one(rk, n);
    if (rd_kafka_flush(rk, 120000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        stop("not all were acknowledged");
    rd_kafka_destroy(rk);
    config_free(&config);
    return 0;
}

/* ---- feed ---- */

struct run {
    struct loop *loop;
    struct dlq_index *index;
    uint64_t began_ns;
    bool rows;
};

static uint64_t peak_mib(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss / 1024;
}

static void say(const struct run *run, const char *what, const struct dlq_covered *covered)
{
    printf("%s: %.1f s, %" PRIu64 " of %" PRIu64 " rows, words of %" PRIu64 ", peak %" PRIu64
           " MiB\n",
           what, (double)(clock_mono_ns() - run->began_ns) / 1e9, covered->rows_read,
           covered->rows_total, covered->text_read, peak_mib());
    fflush(stdout);
}

static void on_moved(void *arg, bool caught_up)
{
    struct run *run = arg;
    struct dlq_filter filter;
    struct dlq_covered covered;
    struct err err;
    uint64_t count;

    if (run->rows && !caught_up)
        return;
    dlq_filter_init(&filter);
    if (!dlq_index_count(run->index, &filter, 1, &count, &covered, &err))
        stop(err.text);
    if (!run->rows && covered.rows_total > 0 && covered.rows_read == covered.rows_total) {
        run->rows = true;
        say(run, "rows and groups complete", &covered);
    }
    if (caught_up) {
        say(run, "words complete", &covered);
        loop_stop(run->loop);
    }
    dlq_filter_deinit(&filter);
}

static void on_failed(void *arg, const struct err *err)
{
    (void)arg;
    stop(err->text);
}

static int feed(const char *brokers, const char *file)
{
    struct err err;
    struct run run = {.loop = loop_new(&err)};
    struct config *config = parse(brokers);
    struct dlq_feed_options options = {
        .with_text = true, .moved = on_moved, .failed = on_failed, .arg = &run};
    struct dlq_feed *fed;

    (void)unlink(file);
    run.index = run.loop ? dlq_index_open(file, true, &err) : NULL;
    if (run.index == NULL)
        stop(err.text);
    run.began_ns = clock_mono_ns();
    fed = dlq_feed_new(run.loop, config, run.index, &options, &err);
    if (fed == NULL)
        stop(err.text);
    loop_run(run.loop);
    dlq_feed_free(&fed);
    dlq_index_close(&run.index);
    loop_free(&run.loop);
    config_free(&config);
    return 0;
}

int main(int argc, char **argv)
{
    int64_t letters = 0;

    if (argc == 4 && strcmp(argv[1], "fill") == 0 && str_to_i64(slice_of(argv[3]), &letters))
        return fill(argv[2], letters);
    if (argc == 4 && strcmp(argv[1], "feed") == 0)
        return feed(argv[2], argv[3]);
    fprintf(stderr, "usage: %s fill BROKERS LETTERS | feed BROKERS FILE\n", argv[0]);
    return 64;
}
