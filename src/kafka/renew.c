/*
 * Another client of librdkafka for the same member. One that has seen a topic does not follow it
 * when it is made again: the new one's leader epochs begin at 0, and metadata with an epoch below
 * what the client has seen is taken for outdated (librdkafka issue 4898; 2.8.0, in
 * rd_kafka_toppar_leader_update), so that such a partition is never fetched from.
 *
 * The flow gives the assignment up as in a rebalance; then the client goes, on a thread of its own,
 * and leaves the group there unless it is static. Records of it that are late (a copy that no
 * broker takes) are still the flow's: the client's memory goes when the last of them was released.
 *
 * Invariant: the consumer always has a client; the old one goes only when there is another.
 */
#include <assert.h>

#include "base/log.h"
#include "base/mem.h"
#include "kafka/client_end.h"
#include "kafka/consumer_state.h"

#define LOOK_MS  50   /* whether the last commit was answered */
#define AGAIN_MS 1000 /* after a client could not be made */

/* A client that went while records of it were not released. */
struct former {
    unsigned client;
    size_t taken_count;
    struct ending *ending;
    SLIST_ENTRY(former) next;
};

static void end_former(struct kafka_consumer *consumer, const struct client *client)
{
    bool in_use = consumer->taken_count > 0;
    struct ending *ending = consumer_end_client(consumer, client, in_use, 0);
    struct former *former;

    if (in_use) {
        former = mem_alloc(sizeof(*former));
        *former = (struct former){
            .client = consumer->client, .taken_count = consumer->taken_count, .ending = ending};
        SLIST_INSERT_HEAD(&consumer->formers, former, next);
    }
    consumer->taken_count = 0;
    consumer->client++;
}

void renew_released(struct kafka_consumer *consumer, unsigned client)
{
    struct former *former;

    SLIST_FOREACH(former, &consumer->formers, next)
    {
        if (former->client == client)
            break;
    }
    assert(former != NULL);
    if (--former->taken_count > 0)
        return;
    client_end_unused(former->ending);
    SLIST_REMOVE(&consumer->formers, former, former, next);
    mem_free(former);
}

static void swap_clients(struct kafka_consumer *consumer)
{
    struct client old = {consumer->rk, consumer->group_queue, consumer->reply_queue};
    struct err err = {0};

    if (!consumer_connect(consumer, &err)) {
        consumer_trouble(consumer, &err);
        loop_timer_set_ms(&consumer->renew_timer, AGAIN_MS);
        return;
    }
    log_info("kafka_client_renewed", LOG_STR("route", consumer->route),
             LOG_UINT("late_records", consumer->taken_count), LOG_END);
    end_former(consumer, &old);
    topic_ids_forget(consumer);
    consumer->state = MEMBER_JOINING;
    consumer->renewing = false;
    consumer->pending_fatal = false; /* that of the old one, if any */
    subscribe_again(consumer);
    /* Once more, for what was made again meanwhile: it would be the first that this one sees. */
    if (consumer->events.made_again != NULL)
        consumer->events.made_again(consumer->events.ctx);
}

static void look(void *arg)
{
    struct kafka_consumer *consumer = arg;

    if (consumer->commit != NULL)
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
    consumer->joined = false;
    loop_timer_set_ms(&consumer->renew_timer, 0);
}

void renew_init(struct kafka_consumer *consumer)
{
    SLIST_INIT(&consumer->formers);
    loop_timer_init(&consumer->renew_timer, consumer->loop, look, consumer);
}

void renew_deinit(struct kafka_consumer *consumer)
{
    loop_timer_deinit(&consumer->renew_timer);
}
