/* A stream of numbered records: per-key sequences, duplicates sent again later, and rules for the
 * test handler in a share of them. The same seed gives the same stream. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "produce.h"

enum { RECENT = 64 };

struct made {
    int64_t key;
    int64_t seq;
    int rule; /* index, -1 for none */
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double next_share(uint64_t *state)
{
    return (double)(next_random(state) >> 11) / 9007199254740992.0;
}

static void make_value(struct text *value, const struct generate *gen, const struct made *made)
{
    value->len = 0;
    text_addf(value, "{\"id\":\"%s%lld/%lld/%lld\",\"seq\":%lld,\"epoch\":%lld", gen->key_prefix,
              (long long)made->key, (long long)gen->epoch, (long long)made->seq,
              (long long)made->seq, (long long)gen->epoch);
    if (made->rule >= 0)
        text_addf(value, ",\"rule\":%s", gen->rules[made->rule].json);
    if ((int64_t)value->len + 10 < gen->size) {
        size_t pad = (size_t)gen->size - value->len - 10;

        text_adds(value, ",\"pad\":\"");
        text_reserve(value, pad);
        memset(value->data + value->len, 'x', pad);
        value->len += pad;
        text_adds(value, "\"");
    }
    text_adds(value, "}");
}

static void send_made(struct produce *prod, const struct generate *gen, const struct made *made,
                      struct text *value)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(2);
    char key[256];
    char number[32];
    char account[128];
    struct outgoing rec = {.topic = gen->topic, .partition = -1, .key = key, .headers = headers};

    rec.key_len = (size_t)snprintf(key, sizeof(key), "%s%lld", gen->key_prefix,
                                   (long long)made->key);
    snprintf(number, sizeof(number), "%lld", (long long)made->seq);
    rd_kafka_header_add(headers, gen->seq_header, -1, number, -1);
    if (gen->epoch_header != NULL) {
        snprintf(number, sizeof(number), "%lld", (long long)gen->epoch);
        rd_kafka_header_add(headers, gen->epoch_header, -1, number, -1);
    }
    make_value(value, gen, made);
    rec.value = value->data;
    rec.value_len = value->len;
    snprintf(account, sizeof(account), ",\"ep\":%lld,\"seq\":%lld", (long long)gen->epoch,
             (long long)made->seq);
    rec.account = account;
    produce_send(prod, &rec);
}

static int pick_rule(const struct generate *gen, uint64_t *random)
{
    double share = next_share(random);

    for (int i = 0; i < gen->rule_count; i++) {
        if (share < gen->rules[i].share)
            return i;
        share -= gen->rules[i].share;
    }
    return -1;
}

/* Keeps to the rate; serves acknowledgements meanwhile. */
static void pace(struct produce *prod, const struct generate *gen, int64_t start_us)
{
    while (gen->rate > 0 && !produce_stopped()) {
        int64_t due_us = start_us + (int64_t)((double)prod->sent * 1e6 / gen->rate);
        int64_t left_us = due_us - tool_mono_us();

        if (left_us <= 0)
            break;
        produce_serve(prod, left_us > 10000 ? 10 : (int)(left_us / 1000) + 1);
    }
    if (gen->rate <= 0 && prod->sent % 1000 == 0)
        produce_serve(prod, 0);
}

void generate_run(struct produce *prod, const struct generate *gen)
{
    int64_t *next = tool_alloc((size_t)gen->keys * sizeof(*next));
    struct made recent[RECENT];
    uint64_t random = gen->seed;
    struct text value = {0};
    int64_t start_us = tool_mono_us();
    int64_t done = 0;

    for (int64_t i = 0; i < gen->keys; i++)
        next[i] = gen->first_seq;
    for (; (gen->count == 0 || done < gen->count) && !produce_stopped(); done++) {
        struct made *made = &recent[done % RECENT];

        made->key = (int64_t)(next_random(&random) % (uint64_t)gen->keys);
        made->seq = next[made->key]++;
        made->rule = pick_rule(gen, &random);
        send_made(prod, gen, made, &value);
        if (next_share(&random) < gen->dup_share) {
            int64_t have = done < RECENT ? done + 1 : RECENT;

            send_made(prod, gen, &recent[next_random(&random) % (uint64_t)have], &value);
        }
        pace(prod, gen, start_us);
    }
    free(next);
    text_free(&value);
}
