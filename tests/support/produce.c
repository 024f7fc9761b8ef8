/* og-support produce: the producer and its account.
 *
 * Idempotent and acks=all, so that the account (offsets included) is what the topic holds and the
 * records of a partition stand in the order in which they were sent. */
#include "produce.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kafka_tool.h"
#include "verbs.h"

enum { FLUSH_TIMEOUT_MS = 60000, ACCOUNT_BATCH_BYTES = 65536 };

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

bool produce_stopped(void)
{
    return stopped != 0;
}

static void account_flush(struct produce *prod)
{
    size_t at = 0;

    while (at < prod->out.len) {
        ssize_t n = write(prod->out_fd, prod->out.data + at, prod->out.len - at);

        if (n < 0 && errno != EINTR)
            tool_die("cannot write the account: %s", strerror(errno));
        at += n > 0 ? (size_t)n : 0;
    }
    prod->out.len = 0;
}

/* The text after {"id":" where the value begins so. */
static void account_id(struct text *out, const char *value, size_t len)
{
    static const char prefix[] = "{\"id\":\"";
    size_t skip = sizeof(prefix) - 1;
    const char *end = NULL;

    if (value != NULL && len > skip && memcmp(value, prefix, skip) == 0)
        end = memchr(value + skip, '"', len - skip);
    text_adds(out, ",\"id\":");
    if (end != NULL)
        text_json(out, value + skip, (size_t)(end - value) - skip);
    else
        text_adds(out, "null");
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
    struct produce *prod = opaque;
    struct text *out = &prod->out;
    char *account = msg->_private;

    (void)rk;
    if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        prod->failed++;
        fprintf(stderr, "og-support: not acknowledged: %s\n", rd_kafka_err2str(msg->err));
        text_addf(out, "{\"error\":\"%s\"", rd_kafka_err2name(msg->err));
    } else {
        prod->acked++;
        text_addf(out,
                  "{\"topic\":\"%s\",\"p\":%d,\"o\":%lld,\"key\":", rd_kafka_topic_name(msg->rkt),
                  msg->partition, (long long)msg->offset);
        text_b64(out, msg->key, msg->key_len);
        account_id(out, msg->payload, msg->len);
        text_addf(out, ",\"t\":%lld", (long long)tool_wall_ms());
    }
    if (account != NULL)
        text_adds(out, account);
    text_adds(out, "}\n");
    free(account);
    if (out->len >= ACCOUNT_BATCH_BYTES)
        account_flush(prod);
}

void produce_send(struct produce *prod, const struct outgoing *rec)
{
    char *account = rec->account != NULL ? tool_copy(rec->account, strlen(rec->account)) : NULL;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__QUEUE_FULL;

    while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        err = rd_kafka_producev(
            prod->rk, RD_KAFKA_V_TOPIC(rec->topic), RD_KAFKA_V_PARTITION(rec->partition),
            RD_KAFKA_V_KEY(rec->key, rec->key_len),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)rec->value, rec->value_len),
            RD_KAFKA_V_HEADERS(rec->headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_OPAQUE(account), RD_KAFKA_V_END);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            produce_serve(prod, 5);
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
        tool_die("cannot produce to %s: %s", rec->topic, rd_kafka_err2str(err));
    prod->sent++;
}

void produce_serve(struct produce *prod, int wait_ms)
{
    rd_kafka_poll(prod->rk, wait_ms);
    account_flush(prod);
}

static void finish(struct produce *prod)
{
    int64_t until = tool_mono_us() + (int64_t)FLUSH_TIMEOUT_MS * 1000;

    while (rd_kafka_outq_len(prod->rk) > 0 && tool_mono_us() < until) {
        rd_kafka_flush(prod->rk, 100);
        account_flush(prod);
    }
    rd_kafka_poll(prod->rk, 0);
    account_flush(prod);
    fprintf(stderr, "sent %llu acknowledged %llu failed %llu\n", (unsigned long long)prod->sent,
            (unsigned long long)prod->acked, (unsigned long long)prod->failed);
}

static void usage(void)
{
    puts("usage: og-support produce -b BOOTSTRAP --plan | --topic T --count N [options]\n"
         "  --out FILE  --keys N  --key-prefix P  --rate R  --size BYTES  --seed N\n"
         "  --seq-header NAME  --first-seq N  --epoch-header NAME  --epoch N\n"
         "  --dup-share X  --rule SHARE:JSON (repeatable)");
    exit(64);
}

static void add_rule(struct generate *gen, const char *arg)
{
    const char *colon = strchr(arg, ':');
    char *share;

    if (colon == NULL || gen->rule_count == 8)
        usage();
    share = tool_copy(arg, (size_t)(colon - arg));
    gen->rules[gen->rule_count].share = tool_fraction(share, "rule");
    gen->rules[gen->rule_count++].json = colon + 1;
    free(share);
}

static void set_option(struct generate *gen, int opt, const char *arg)
{
    switch (opt) {
    case 't':
        gen->topic = arg;
        break;
    case 'n':
        gen->count = tool_number(arg, "count");
        break;
    case 'k':
        gen->keys = tool_number(arg, "keys");
        break;
    case 'P':
        gen->key_prefix = arg;
        break;
    case 'r':
        gen->rate = tool_fraction(arg, "rate");
        break;
    case 's':
        gen->size = tool_number(arg, "size");
        break;
    case 'S':
        gen->seed = (uint64_t)tool_number(arg, "seed");
        break;
    case 'q':
        gen->seq_header = arg;
        break;
    case 'f':
        gen->first_seq = tool_number(arg, "first-seq");
        break;
    case 'e':
        gen->epoch_header = arg;
        break;
    case 'E':
        gen->epoch = tool_number(arg, "epoch");
        break;
    case 'd':
        gen->dup_share = tool_fraction(arg, "dup-share");
        break;
    case 'R':
        add_rule(gen, arg);
        break;
    default:
        usage();
    }
}

int verb_produce(int argc, char **argv)
{
    static const struct option table[] = {{"brokers", 1, NULL, 'b'},
                                          {"plan", 0, NULL, 'p'},
                                          {"out", 1, NULL, 'o'},
                                          {"topic", 1, NULL, 't'},
                                          {"count", 1, NULL, 'n'},
                                          {"keys", 1, NULL, 'k'},
                                          {"key-prefix", 1, NULL, 'P'},
                                          {"rate", 1, NULL, 'r'},
                                          {"size", 1, NULL, 's'},
                                          {"seed", 1, NULL, 'S'},
                                          {"seq-header", 1, NULL, 'q'},
                                          {"first-seq", 1, NULL, 'f'},
                                          {"epoch", 1, NULL, 'E'},
                                          {"epoch-header", 1, NULL, 'e'},
                                          {"dup-share", 1, NULL, 'd'},
                                          {"rule", 1, NULL, 'R'},
                                          {0}};
    const char *const props[] = {
        "enable.idempotence", "true", "acks", "all", "linger.ms", "2", "message.max.bytes",
        "20000000", "queue.buffering.max.messages", "200000",
        /* With more of them librdkafka 2.8.0 takes a batch that was refused
         * for written once the one behind it is: it names no offset then. */
        "max.in.flight", "1", NULL};
    struct generate gen = {.keys = 100,
                           .seq_header = "seq",
                           .key_prefix = "k",
                           .size = 256,
                           .first_seq = 1,
                           .seed = 1};
    struct produce prod = {.out_fd = STDOUT_FILENO};
    const char *brokers = NULL;
    bool plan = false;
    int opt;

    while ((opt = getopt_long(argc, argv, "b:", table, NULL)) != -1) {
        if (opt == 'b')
            brokers = optarg;
        else if (opt == 'p')
            plan = true;
        else if (opt == 'o')
            prod.out_fd = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        else
            set_option(&gen, opt, optarg);
    }
    if ((gen.topic == NULL) != plan || prod.out_fd < 0 || gen.keys < 1)
        usage();
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    prod.rk = kafka_tool_producer(brokers, props, on_delivery, &prod);
    if (plan)
        plan_run(&prod);
    else
        generate_run(&prod, &gen);
    finish(&prod);
    rd_kafka_destroy(prod.rk);
    text_free(&prod.out);
    return prod.failed > 0 || prod.acked != prod.sent;
}
