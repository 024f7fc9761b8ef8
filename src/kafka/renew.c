/*
 * Another client of librdkafka for the same member. One that has seen a topic does not follow it
 * when it is made again: the new one's leader epochs begin at 0, and metadata with an epoch below
 * what the client has seen is taken for outdated (librdkafka issue 4898; 2.8.0, in
 * rd_kafka_toppar_leader_update), so that such a partition is never fetched from.
 *
 * The flow gives the assignment up as in a rebalance; the client goes when nothing of it is held
 * any more, on a thread of its own, and leaves the group there unless it is static.
 *
 * Invariant: the consumer always has a client; the old one goes only when there is another.
 */
#include "base/log.h"
#include "kafka/consumer_state.h"

#define LOOK_MS  50   /* whether all records were given back */
#define AGAIN_MS 1000 /* after a client could not be made */

static void swap_clients(struct kafka_consumer *consumer)
{
    struct client old = {consumer->rk, consumer->group_queue, consumer->reply_queue};
    struct err err = {0};

    if (!consumer_connect(consumer, &err)) {
        consumer_trouble(consumer, &err);
        loop_timer_set_ms(&consumer->renew_timer, AGAIN_MS);
        return;
    }
    consumer_end_client(consumer, &old, 0);
    topic_ids_forget(consumer);
    consumer->state = MEMBER_JOINING;
    consumer->renewing = consumer->joined = false;
    consumer->pending_fatal = false; /* that of the old one, if any */
    log_info("kafka_client_renewed", LOG_STR("route", consumer->route), LOG_END);
    subscribe_again(consumer);
}

static void look(void *arg)
{
    struct kafka_consumer *consumer = arg;

    if (consumer->taken_count > 0 || consumer->commit != NULL)
        loop_timer_set_ms(&consumer->renew_timer, LOOK_MS);
    else
        swap_clients(consumer);
}

void renew_begin(struct kafka_consumer *consumer)
{
    consumer->renewing = true;
    consumer_give_up(consumer);
}

void renew_go_on(struct kafka_consumer *consumer)
{
    consumer->state = MEMBER_RENEWING;
    loop_timer_set_ms(&consumer->renew_timer, 0);
}

void renew_init(struct kafka_consumer *consumer)
{
    loop_timer_init(&consumer->renew_timer, consumer->loop, look, consumer);
}

void renew_deinit(struct kafka_consumer *consumer)
{
    loop_timer_deinit(&consumer->renew_timer);
}
