/*
 * Makes the dead letters of bench/dead-letters: as a gateway writes them, on a real cluster.
 *
 *   bench-dead-letter-fill topics BROKERS
 *   bench-dead-letter-fill fill BROKERS LETTERS SIGNATURES
 *   bench-dead-letter-fill live BROKERS RATE SECONDS SIGNATURES
 *
 * topics: the source and dead-letter topics of five routes. fill: letters of the last week, and
 * states. live: letters of now, RATE a second.
 *
 * Kinds of failure are as common as Zipf says (the k-th has a share of 1/k), so are the words of
 * the values; 100,000 keys, of which twenty have a fiftieth of all letters. A letter has about
 * 1 KB. Of ten letters that were filled one has a state: eight of a hundred are resolved, one is
 * being redriven, one was redriven and has failed again, which is one letter more.
 *
 * fill and live print "letters=N lines=N" once all are acknowledged; for fill the dead-letter
 * topics must be new.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "kafka/admin.h"
#include "record/headers.h"
#include "record/letter_state.h"

enum { ROUTES = 5, PARTITIONS = 4, KEYS = 100000, HOT_KEYS = 20, WORDS = 20000 };
enum { SIGNATURES_MAX = 5000, VALUE_SIZE = 1000 };

static const char *const routes[ROUTES] = {"orders", "payments", "shipping", "invoices", "returns"};
static const int64_t week_ms = INT64_C(7) * 24 * 3600 * 1000;
static const char yaml[] =
    "kafka: {bootstrap.servers: \"%s\"}\nredis: {url: \"redis://127.0.0.1:1\"}\n"
    "routes:\n  - name: orders\n    topics: [orders]\n    group: bench\n"
    "    handler: {url: \"http://127.0.0.1:9/\"}\n";

static _Noreturn void stop(const char *text)
{
    fprintf(stderr, "bench-dead-letter-fill: %s\n", text);
    exit(1);
}

/* ---- chance ---- */

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Ranks from 0 whose shares are as 1 to 1/2 to 1/3 ... */
struct zipf {
    double *upto; /* of the sum, by rank */
    size_t count;
};

static struct zipf zipf_new(size_t count)
{
    struct zipf zipf = {mem_calloc(count, sizeof(double)), count};
    double sum = 0;

    for (size_t i = 0; i < count; i++)
        zipf.upto[i] = sum += 1.0 / (double)(i + 1);
    return zipf;
}

static size_t zipf_next(const struct zipf *zipf)
{
    double wanted = (double)(rnd() >> 11) / 9007199254740992.0 * zipf->upto[zipf->count - 1];
    size_t low = 0, high = zipf->count - 1;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (zipf->upto[middle] < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- the cluster ---- */

/* Letters of a week ago: a time of its own for each, and nothing that retention takes. */
static char type_name[] = "message.timestamp.type", create_time[] = "CreateTime";
static char retention_name[] = "retention.ms", for_ever[] = "-1";
static const struct property dlq_configs[] = {{.name = type_name, .value = create_time},
                                              {.name = retention_name, .value = for_ever}};

struct fill {
    struct config *config;
    rd_kafka_t *rk;
    struct zipf kinds, words;
    char groups[ROUTES][32], dlq[ROUTES][64], states[ROUTES][64];
    char uuids[ROUTES][LETTER_TOPIC_MAX];
    int64_t next[ROUTES][PARTITIONS]; /* offsets: nobody else writes there, and in this order */
    uint64_t letters, lines, acknowledged;
    struct header_list list;
};

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

static void on_created(void *arg, const char *const *failed, size_t count, const struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (failed[i] != NULL)
            stop(failed[i]);
    }
    if (err != NULL)
        stop(err->text);
    loop_stop(arg);
}

static void make_topics(const struct config *config)
{
    struct kafka_new_topic made[2 * ROUTES];
    char dlq[ROUTES][64];
    struct err err;
    struct loop *loop = loop_new(&err);
    struct kafka_admin *admin = loop ? kafka_admin_new(loop, config, &err) : NULL;

    if (admin == NULL)
        stop(err.text);
    for (size_t i = 0; i < ROUTES; i++) {
        snprintf(dlq[i], sizeof(dlq[i]), "dlq.bench-%s.%s", routes[i], routes[i]);
        made[i] = (struct kafka_new_topic){routes[i], PARTITIONS, 1, NULL, 0};
        made[ROUTES + i] = (struct kafka_new_topic){dlq[i], PARTITIONS, 1, dlq_configs, 2};
    }
    kafka_admin_create(admin, made, 2 * ROUTES, on_created, loop);
    loop_run(loop);
    kafka_admin_free(&admin);
    loop_free(&loop);
}

struct asked {
    struct fill *fill;
    struct loop *loop;
};

static void on_described(void *arg, const struct kafka_topic *topics, size_t count,
                         const struct err *err)
{
    struct asked *asked = arg;

    if (err != NULL)
        stop(err->text);
    for (size_t i = 0; i < count; i++) {
        if (!topics[i].exists || topics[i].partitions != PARTITIONS)
            stop("the dead-letter topics are not there: oncegate topics apply");
        letter_id_topic(topics[i].uuid, topics[i].name, asked->fill->uuids[i]);
    }
    loop_stop(asked->loop);
}

static void learn_uuids(struct fill *fill)
{
    const char *names[ROUTES];
    struct err err;
    struct asked asked = {fill, loop_new(&err)};
    struct kafka_admin *admin = asked.loop ? kafka_admin_new(asked.loop, fill->config, &err) : NULL;

    if (admin == NULL)
        stop(err.text);
    for (size_t i = 0; i < ROUTES; i++)
        names[i] = fill->dlq[i];
    kafka_admin_describe(admin, names, ROUTES, false, on_described, &asked);
    loop_run(asked.loop);
    kafka_admin_free(&admin);
    loop_free(&asked.loop);
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *arg)
{
    struct fill *fill = arg;

    (void)rk;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        stop(rd_kafka_err2str(message->err));
    fill->acknowledged++;
}

static void connect_producer(struct fill *fill, const char *brokers)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];

    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "enable.idempotence", "true", text, sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "20", text, sizeof(text));
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_conf_set_opaque(conf, fill);
    fill->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (fill->rk == NULL)
        stop(text);
}

static void flush(struct fill *fill)
{
    if (rd_kafka_flush(fill->rk, 120000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        stop("not all were acknowledged");
}

static void send_record(struct fill *fill, const char *topic, int32_t partition, struct slice key,
                        struct slice value, rd_kafka_headers_t *headers, int64_t at_ms)
{
    rd_kafka_resp_err_t code;

    do {
        rd_kafka_poll(fill->rk, 0);
        code = rd_kafka_producev(
            fill->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.data, key.len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)value.data, value.len), RD_KAFKA_V_TIMESTAMP(at_ms),
            RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(fill->rk, 50);
    } while (code == RD_KAFKA_RESP_ERR__QUEUE_FULL);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        stop(rd_kafka_err2str(code));
}

/* ---- one letter ---- */

struct letter {
    size_t route, kind;
    int32_t partition;
    int64_t offset, at_ms;
    char key[32], detail[160], value[VALUE_SIZE];
    size_t value_len;
    const char *first; /* the letter that this one continues, or NULL */
};

/* What stands in a title: no number and no word in quotes does. */
static void make_detail(struct letter *letter)
{
    static const char *const what[] = {"the card",     "the order",  "the address",
                                       "this account", "the parcel", "the tax code"};
    char rule[8];
    size_t n = letter->kind;

    snprintf(rule, sizeof(rule), "%c%c%c", 'a' + (int)(n / 676 % 26), 'a' + (int)(n / 26 % 26),
             'a' + (int)(n % 26));
    snprintf(letter->detail, sizeof(letter->detail),
             "%s of customer %" PRIu64 " was refused by rule-%s at step %" PRIu64 ": '%s'",
             what[n % 6], rnd() % KEYS, rule, rnd() % 50, letter->key);
}

static void make_value(const struct fill *fill, int64_t number, struct letter *letter)
{
    char *out = letter->value;
    size_t len = (size_t)snprintf(out, VALUE_SIZE,
                                  "{\"order\":\"o-%" PRId64 "\",\"customer\":\"%s\",\"note\":\"",
                                  number, letter->key);

    while (len < VALUE_SIZE - 24)
        len += (size_t)snprintf(out + len, VALUE_SIZE - len, "w%zu ", zipf_next(&fill->words));
    letter->value_len = len + (size_t)snprintf(out + len, VALUE_SIZE - len, "\"}");
}

static void make(struct fill *fill, int64_t number, int64_t at_ms, struct letter *letter)
{
    letter->kind = zipf_next(&fill->kinds);
    letter->route = letter->kind % ROUTES;
    letter->partition = (int32_t)(rnd() % PARTITIONS);
    letter->at_ms = at_ms;
    letter->first = NULL;
    snprintf(letter->key, sizeof(letter->key), "customer-%" PRIu64,
             rnd() % 50 ? rnd() % KEYS : rnd() % HOT_KEYS);
    make_detail(letter);
    make_value(fill, number, letter);
}

static rd_kafka_headers_t *make_headers(struct fill *fill, const struct letter *letter,
                                        int64_t number)
{
    static const char *const codes[] = {"http-422", "http-503", "timeout", "http-400", "connect"};
    struct slice source = slice_of(routes[letter->route]);
    struct record rec = {.topic = source, .partition = letter->partition, .offset = number};
    struct copy_info info = {
        .group = slice_of(fill->groups[letter->route]),
        .route = source,
        .origin = {source, letter->partition, 1, number, letter->at_ms - 60000, 0},
        .attempt = 1 + (uint32_t)(rnd() % 8),
        .first_failed_at_ms = letter->at_ms - 50000,
        .last_failed_at_ms = letter->at_ms,
        .error_code = slice_of(codes[letter->kind / ROUTES % 5]),
        .error_detail = slice_of(letter->detail)};
    struct copy_identity identity = {true, true, 1, (uint64_t)number};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(32);
    char signature[HEADERS_SIGNATURE_MAX];

    if (memcmp(info.error_code.data, "http-", 5) == 0)
        info.http_status = (int32_t)strtol(info.error_code.data + 5, NULL, 10);
    headers_signature(info.route, info.error_code, info.error_detail, signature);
    info.signature = slice_of(signature);
    if (letter->first) {
        info.redrive_id = SLICE_LIT("r-1");
        info.redrive_count = 1;
        info.first_letter = slice_of(letter->first);
    }
    headers_write_copy(&fill->list, COPY_DEAD_LETTER, &rec, &info, &identity, 4096);
    for (size_t i = 0; i < fill->list.count; i++)
        rd_kafka_header_add(headers, fill->list.items[i].name.data,
                            (ssize_t)fill->list.items[i].name.len, fill->list.items[i].value.data,
                            (ssize_t)fill->list.items[i].value.len);
    return headers;
}

static void send_letter(struct fill *fill, struct letter *letter, int64_t number)
{
    letter->offset = fill->next[letter->route][letter->partition]++;
    send_record(fill, fill->dlq[letter->route], letter->partition, slice_of(letter->key),
                (struct slice){letter->value, letter->value_len},
                make_headers(fill, letter, number), letter->at_ms);
    fill->letters++;
    fill->lines += letter->first == NULL;
}

/* ---- states ---- */

static void send_state(struct fill *fill, size_t route, const char *id,
                       const struct letter_state *state)
{
    struct buf value = {0};

    letter_state_write(&value, state);
    send_record(fill, fill->states[route], LETTER_STATE_PARTITION, slice_of(id), buf_slice(&value),
                rd_kafka_headers_new(1), state->at_ms);
    buf_deinit(&value);
}

static void give_state(struct fill *fill, struct letter *letter, int64_t number)
{
    struct letter_state state = {.redrive_id = SLICE_LIT("r-1"),
                                 .redrive_count = 1,
                                 .by = SLICE_LIT("gateway"),
                                 .at_ms = letter->at_ms + 60000};
    struct letter_id id = {slice_of(fill->uuids[letter->route]), letter->partition, letter->offset};
    struct buf text = {0};

    letter_id_write(&text, &id);
    if (number % 100 == 10) {
        state.status = LETTER_REDRIVING;
    } else if (number % 100 == 20) {
        state.status = LETTER_OPEN;
        state.result = LETTER_RESULT_FAILED;
        letter->first = text.data;
        letter->at_ms += 60000;
        send_letter(fill, letter, number);
    } else {
        state.status = LETTER_RESOLVED;
        state.result = LETTER_RESULT_RESOLVED;
    }
    send_state(fill, letter->route, text.data, &state);
    buf_deinit(&text);
}

/* ---- verbs ---- */

static void fill_week(struct fill *fill, int64_t letters)
{
    int64_t began_ms = clock_wall_ms() - week_ms;
    struct letter letter;

    learn_uuids(fill);
    for (int64_t n = 0; n < letters; n++) {
        make(fill, n, began_ms + (int64_t)((double)week_ms / (double)letters * (double)n), &letter);
        send_letter(fill, &letter, n);
        if (n % 10 == 0)
            give_state(fill, &letter, n);
    }
    flush(fill);
    printf("letters=%" PRIu64 " lines=%" PRIu64 "\n", fill->letters, fill->lines);
}

static void write_live(struct fill *fill, int64_t rate, int64_t seconds)
{
    uint64_t began = clock_mono_ns();
    int64_t first = clock_wall_ms(); /* a number that no letter of before has */
    struct letter letter;

    seed = (uint64_t)first | 1;
    for (int64_t n = 0; n < rate * seconds; n++) {
        while ((double)(clock_mono_ns() - began) * (double)rate < (double)n * 1e9)
            rd_kafka_poll(fill->rk, 5);
        make(fill, first + n, clock_wall_ms(), &letter);
        send_letter(fill, &letter, first + n);
    }
    flush(fill);
    printf("letters=%" PRIu64 " lines=%" PRIu64 "\n", fill->letters, fill->lines);
    (void)fflush(stdout); /* a client may take a second to end, in which no letter comes */
}

static int64_t number_of(const char *text)
{
    int64_t number;

    if (!str_to_i64(slice_of(text), &number) || number < 1)
        stop("a number from 1 on is wanted");
    return number;
}

static void begin(struct fill *fill, const char *brokers, const char *signatures)
{
    int64_t count = number_of(signatures);

    if (count > SIGNATURES_MAX)
        stop("too many signatures");
    fill->kinds = zipf_new((size_t)count);
    fill->words = zipf_new(WORDS);
    for (size_t i = 0; i < ROUTES; i++) {
        snprintf(fill->groups[i], sizeof(fill->groups[i]), "bench-%s", routes[i]);
        snprintf(fill->dlq[i], sizeof(fill->dlq[i]), "dlq.%s.%s", fill->groups[i], routes[i]);
        snprintf(fill->states[i], sizeof(fill->states[i]), "dlq-state.%s", fill->groups[i]);
    }
    connect_producer(fill, brokers);
}

int main(int argc, char **argv)
{
    static struct fill fill;

    if (argc < 3) {
        fprintf(stderr, "usage: see the head of bench/dead_letter_fill.c\n");
        return 64;
    }
    fill.config = parse(argv[2]);
    if (argc == 3 && strcmp(argv[1], "topics") == 0) {
        make_topics(fill.config);
    } else if (argc == 5 && strcmp(argv[1], "fill") == 0) {
        begin(&fill, argv[2], argv[4]);
        fill_week(&fill, number_of(argv[3]));
    } else if (argc == 6 && strcmp(argv[1], "live") == 0) {
        begin(&fill, argv[2], argv[5]);
        write_live(&fill, number_of(argv[3]), number_of(argv[4]));
    } else {
        stop("no such verb, or not its arguments");
    }
    if (fill.rk != NULL)
        rd_kafka_destroy(fill.rk);
    header_list_deinit(&fill.list);
    mem_free(fill.kinds.upto);
    mem_free(fill.words.upto);
    config_free(&fill.config);
    return 0;
}
