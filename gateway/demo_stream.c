/*
 * The order stream; see demo_stream.h. Its dice are seeded with a constant: two demos of the same
 * length produce the same orders.
 * Invariants: a customer's orders go to one partition in the order of their numbers, through one
 * idempotent producer.
 */
#include "demo_stream.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kafka/producer.h"

#define TICK_MS      10
#define SEED         UINT64_C(0x9e3779b97f4a7c15)
#define PER_MILLE    1000
#define RESENDS      10 /* per mille */
#define FAILS_ONCE   20
#define FAILS_5S     1
#define POISON       1
#define RESEND_REACH 2000 /* how many orders back a resend may go */

struct sent {
    struct produce msg;
    struct demo_stream *stream;
    uint32_t order;
    bool resend;
    char key[ORDER_KEY_MAX];
    char value[ORDER_VALUE_MAX];
    char sequence[24];
    struct record_header header;
};

struct demo_stream {
    struct demo_book *book;
    const char *topic;
    struct kafka_producer *producer;
    struct loop_timer tick;
    uint64_t dice;
    uint64_t started_ns;
    unsigned per_second;
    uint64_t made;
    bool spare;
    bool failed;
    struct err err;
};

static uint64_t roll(struct demo_stream *stream, uint64_t below)
{
    stream->dice ^= stream->dice << 13;
    stream->dice ^= stream->dice >> 7;
    stream->dice ^= stream->dice << 17;
    return stream->dice % below;
}

static void produced(struct produce *msg)
{
    struct sent *sent = msg->arg;
    struct demo_stream *stream = sent->stream;
    if (msg->result == PRODUCE_ACKED) {
        demo_book_acked(stream->book, sent->order, sent->resend, msg->partition, msg->offset);
    } else if (msg->result != PRODUCE_CANCELLED && !stream->failed) {
        stream->failed = true;
        stream->err = msg->err;
    }
    mem_free(sent);
}

static void send(struct demo_stream *stream, uint32_t order, bool resend)
{
    struct sent *sent = mem_zalloc(sizeof(*sent));
    uint32_t customer = demo_book_customer(stream->book, order);
    sent->stream = stream;
    sent->order = order;
    sent->resend = resend;
    demo_order_key(customer, sent->key);
    demo_order_write(order, customer, demo_book_kind(stream->book, order), sent->value);
    snprintf(sent->sequence, sizeof(sent->sequence), "%llu",
             (unsigned long long)demo_book_sequence(stream->book, order));
    sent->header = (struct record_header){SLICE_LIT("seq"), slice_of(sent->sequence)};
    sent->msg.topic = stream->topic;
    sent->msg.partition = (int32_t)(customer % DEMO_PARTITIONS);
    sent->msg.key = slice_of(sent->key);
    sent->msg.value = slice_of(sent->value);
    sent->msg.headers = &sent->header;
    sent->msg.header_count = 1;
    sent->msg.done = produced;
    sent->msg.arg = sent;
    kafka_producer_send(stream->producer, &sent->msg);
}

static enum order_kind choose_kind(struct demo_stream *stream)
{
    uint64_t die = roll(stream, PER_MILLE);
    if (die < FAILS_ONCE)
        return ORDER_FAILS_ONCE;
    if (die < FAILS_ONCE + POISON)
        return ORDER_POISON;
    if (die < FAILS_ONCE + POISON + FAILS_5S && !stream->spare)
        return ORDER_FAILS_5S;
    return ORDER_PLAIN;
}

static void send_next(struct demo_stream *stream)
{
    uint32_t orders = demo_book_orders(stream->book);
    if (orders > RESENDS && roll(stream, PER_MILLE) < RESENDS) {
        uint32_t reach = orders < RESEND_REACH ? orders : RESEND_REACH;
        send(stream, orders - 1 - (uint32_t)roll(stream, reach), true);
        return;
    }
    send(stream,
         demo_book_add(stream->book, (uint32_t)roll(stream, DEMO_CUSTOMERS), choose_kind(stream)),
         false);
}

static void on_tick(void *arg)
{
    struct demo_stream *stream = arg;
    uint64_t ms = (clock_mono_ns() - stream->started_ns) / NS_PER_MS;
    uint64_t due = ms * stream->per_second / 1000;
    /* After a stall of this process the backlog comes in one go, as real traffic would. */
    while (stream->made < due) {
        send_next(stream);
        stream->made++;
    }
    loop_timer_set_ms(&stream->tick, TICK_MS);
}

struct demo_stream *demo_stream_new(struct loop *loop, const struct config *config,
                                    const char *topic, struct demo_book *book, struct err *err)
{
    struct demo_stream *stream = mem_zalloc(sizeof(*stream));
    stream->book = book;
    stream->topic = topic;
    stream->dice = SEED;
    loop_timer_init(&stream->tick, loop, on_tick, stream);
    stream->producer = kafka_producer_new(loop, config, NULL, err);
    if (!stream->producer)
        demo_stream_free(&stream);
    return stream;
}

void demo_stream_free(struct demo_stream **pointer)
{
    struct demo_stream *stream = *pointer;
    if (!stream)
        return;
    *pointer = NULL;
    loop_timer_deinit(&stream->tick);
    kafka_producer_free(&stream->producer);
    mem_free(stream);
}

void demo_stream_start(struct demo_stream *stream, unsigned per_second)
{
    stream->per_second = per_second;
    stream->started_ns = clock_mono_ns();
    loop_timer_set_ms(&stream->tick, 0);
}

void demo_stream_spare(struct demo_stream *stream)
{
    stream->spare = true;
}

void demo_stream_stop(struct demo_stream *stream)
{
    loop_timer_cancel(&stream->tick);
}

size_t demo_stream_pending(const struct demo_stream *stream)
{
    return kafka_producer_pending(stream->producer);
}

bool demo_stream_failed(const struct demo_stream *stream, struct err *err)
{
    if (stream->failed && err)
        *err = stream->err;
    return stream->failed;
}
