/* Producing with a written account: one line for each record that the broker acknowledged. */
#ifndef SUPPORT_PRODUCE_H
#define SUPPORT_PRODUCE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#include "tool.h"

struct produce {
    rd_kafka_t *rk;
    int out_fd;
    struct text out; /* account lines not written yet */
    uint64_t sent;
    uint64_t acked;
    uint64_t failed;
    bool stop; /* a signal came */
};

/* A record to be sent; everything is copied. NULL data is null in Kafka. */
struct outgoing {
    const char *topic;
    int32_t partition; /* -1: by key */
    const char *key;
    size_t key_len;
    const char *value;
    size_t value_len;
    rd_kafka_headers_t *headers; /* taken over, may be NULL */
    const char *account;         /* members to add to the account line, ",..." or NULL */
};

/* Waits while the client's queue is full. */
void produce_send(struct produce *prod, const struct outgoing *rec);
/* Serves acknowledgements for up to wait_ms and writes the account. */
void produce_serve(struct produce *prod, int wait_ms);
/* Whether SIGTERM or SIGINT came. */
bool produce_stopped(void);

struct generate {
    const char *topic;
    const char *key_prefix;
    const char *seq_header;
    const char *epoch_header; /* NULL: none */
    int64_t epoch;
    int64_t first_seq;
    int64_t count; /* 0: until stopped */
    int64_t keys;
    double rate; /* records a second, 0: as fast as it goes */
    int64_t size;
    double dup_share;
    uint64_t seed;
    struct {
        double share;
        const char *json;
    } rules[8];
    int rule_count;
};

void generate_run(struct produce *prod, const struct generate *gen);
void plan_run(struct produce *prod);

#endif
