/*
 * Which topic stands behind a name. One that was deleted and made again counts its offsets anew,
 * and librdkafka goes on at its old position where the new log is long enough already (2.8.0 says
 * so itself, in rd_kafka_topic_metadata_update): what lies below is passed over. Kafka deletes a
 * group's offsets with their topic, but commits know names only, and one that was on its way is
 * taken for the new topic.
 *
 * So each committed offset has a note beside it (its metadata): the topic's id, and the cluster's,
 * since offsets are carried to other clusters, where topics have other ids. An offset whose note
 * says another topic of the same cluster is none. One without a note of ours (an older version, a
 * person's tool) is taken as it is.
 *
 * While an assignment stands it is asked again every few seconds which topics there are. Where one
 * is another than this client of librdkafka has seen, the client is renewed (see renew.c), and all
 * begins with the start offsets, as above. The route's producer has the same trouble, also with
 * topics that nobody consumes here (dead letters, marks): these are looked at, too, and it is told.
 *
 * Brokers learn of a topic one after the other, and one that is behind would answer with the old
 * log's ends: so another topic has to be seen twice, a moment apart.
 *
 * Nobody waits for an answer twice: without one (no controller, nobody there) topics are taken to
 * be those of the committed offsets, until a look says more.
 *
 * Invariants: one question is open at a time; what a client has seen of a topic stays noted until
 * it is renewed. An answer that does not say (not allowed, a broker from before topic ids) changes
 * nothing, and an unknown topic differs from none.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "kafka/consumer_state.h"
#include "kafka/describe.h"

#define LOOK_EVERY_MS 10000
#define TIMEOUT_MS    5000
#define PREFIX        "topic-id "
#define ID_LEN        22 /* of a UUID in base64 without padding */

static void ask(void *arg)
{
    struct kafka_consumer *consumer = arg;
    const char **names = mem_calloc(consumer->topic_count + 1, sizeof(*names));

    for (size_t i = 0; i < consumer->topic_count; i++)
        names[i] = consumer->topics[i].name;
    consumer->topic_ids.query = ++consumer->last_query;
    consumer->topic_ids.look_again = false;
    describe_send(consumer->rk, consumer->reply_queue,
                  offset_query_opaque(consumer->topic_ids.query, 0), names, consumer->topic_count,
                  TIMEOUT_MS);
    mem_free(names);
}

void topic_ids_learn(struct kafka_consumer *consumer)
{
    topic_ids_cancel(consumer);
    if (consumer->topic_ids.unanswered)
        start_on_topics(consumer);
    else
        ask(consumer);
}

void topic_ids_init(struct kafka_consumer *consumer)
{
    loop_timer_init(&consumer->topic_ids.timer, consumer->loop, ask, consumer);
}

void topic_ids_add(struct kafka_consumer *consumer, const struct kafka_consumer_config *config)
{
    for (size_t i = 0; i < config->topic_count; i++)
        (void)consumer_topic(consumer, config->topics[i]);
    for (size_t i = 0; i < config->written_count; i++) {
        size_t count = consumer->topic_count;

        (void)consumer_topic(consumer, config->written[i]);
        if (consumer->topic_count > count) /* one that is consumed stays that */
            consumer->topics[count].written = true;
    }
}

void topic_ids_watch(struct kafka_consumer *consumer)
{
    loop_timer_set_ms(&consumer->topic_ids.timer, LOOK_EVERY_MS);
}

void topic_ids_look_first(struct kafka_consumer *consumer)
{
    struct topic_ids *ids = &consumer->topic_ids;

    if (ids->unanswered)
        loop_defer(consumer->loop, &consumer->halted_task);
    else if (ids->query != 0)
        ids->look_again = true;
    else if (!ids->other)
        loop_timer_set_ms(&ids->timer, 0);
}

void topic_ids_cancel(struct kafka_consumer *consumer)
{
    loop_timer_cancel(&consumer->topic_ids.timer);
    consumer->topic_ids.query = 0;
    consumer->topic_ids.other = consumer->topic_ids.look_again = false;
}

void topic_ids_deinit(struct kafka_consumer *consumer)
{
    loop_timer_deinit(&consumer->topic_ids.timer);
}

/* NULL where it cannot be told. */
static char *make_note(const rd_kafka_TopicDescription_t *topic, const char *cluster)
{
    const char *id = describe_topic_id(topic);

    if (id == NULL || cluster == NULL || strlen(id) != ID_LEN)
        return NULL;
    return mem_printf(PREFIX "%s of %s", id, cluster);
}

#define CLUSTER_AT (strlen(PREFIX) + ID_LEN)

static bool is_note(const char *text, size_t len)
{
    return len > CLUSTER_AT && memcmp(text, PREFIX, strlen(PREFIX)) == 0;
}

bool topic_ids_is_other(const char *committed, size_t len, const char *ours)
{
    if (ours == NULL || len != strlen(ours) || !is_note(committed, len) ||
        memcmp(committed + CLUSTER_AT, ours + CLUSTER_AT, len - CLUSTER_AT) != 0)
        return false;
    return memcmp(committed, ours, len) != 0;
}

static struct known_topic *find(const struct kafka_consumer *consumer, const char *name)
{
    for (size_t i = 0; i < consumer->topic_count; i++) {
        if (strcmp(consumer->topics[i].name, name) == 0)
            return &consumer->topics[i];
    }
    return NULL;
}

const char *topic_ids_note(const struct kafka_consumer *consumer, const char *topic)
{
    const struct known_topic *known = find(consumer, topic);

    return known != NULL ? known->note : NULL;
}

bool topic_ids_was_made_again(const struct kafka_consumer *consumer, const char *topic)
{
    const struct known_topic *known = find(consumer, topic);

    return known != NULL && known->again;
}

void topic_ids_believe(struct kafka_consumer *consumer, const char *topic, const char *committed,
                       size_t len)
{
    struct known_topic *known = find(consumer, topic);

    if (known != NULL && known->note == NULL && is_note(committed, len))
        known->note = mem_printf("%.*s", (int)len, committed);
}

/* librdkafka frees it with the list. */
void topic_ids_put_note(const struct kafka_consumer *consumer, rd_kafka_topic_partition_t *item)
{
    const char *note = topic_ids_note(consumer, item->topic);

    if (note == NULL)
        return;
    item->metadata_size = strlen(note);
    item->metadata = rd_kafka_mem_malloc(consumer->rk, item->metadata_size);
    memcpy(item->metadata, note, item->metadata_size);
}

static bool differs(const struct kafka_consumer *consumer, const struct known_topic *known,
                    const char *note)
{
    if (known->note == NULL || !topic_ids_is_other(known->note, strlen(known->note), note))
        return false;
    if (consumer->topic_ids.other)
        log_warn("topic_made_again", LOG_STR("route", consumer->route),
                 LOG_STR("topic", known->name), LOG_STR("was", known->note), LOG_STR("is", note),
                 LOG_STR("then", known->written
                                     ? "its leaders are looked up anew"
                                     : "it is joined anew, without the old topic's offsets"),
                 LOG_END);
    return true;
}

static void note_topic(struct known_topic *known, char *note)
{
    mem_free(known->note);
    known->note = note;
}

enum { OTHER_WRITTEN = 1, OTHER_CONSUMED = 2 };

/* What is another topic, in bits; the others are noted, and the second time one that is only
 * written to. */
static unsigned read_answer(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_TopicDescription_t **topics = rd_kafka_DescribeTopics_result_topics(
        rd_kafka_event_DescribeTopics_result(event), &count);
    char *cluster = rd_kafka_clusterid(consumer->rk, 0);
    unsigned other = 0;

    for (size_t i = 0; i < count; i++) {
        struct known_topic *known = find(consumer, rd_kafka_TopicDescription_name(topics[i]));
        rd_kafka_resp_err_t code = rd_kafka_error_code(rd_kafka_TopicDescription_error(topics[i]));
        char *note = code == RD_KAFKA_RESP_ERR_NO_ERROR ? make_note(topics[i], cluster) : NULL;

        bool differing = known != NULL && note != NULL && differs(consumer, known, note);

        if (differing)
            other |= known->written ? OTHER_WRITTEN : OTHER_CONSUMED;
        if (differing && consumer->topic_ids.other)
            known->again = true;
        if (note != NULL && known != NULL &&
            (!differing || (known->written && consumer->topic_ids.other)))
            note_topic(known, note);
        else
            mem_free(note);
    }
    if (cluster != NULL)
        rd_kafka_mem_free(consumer->rk, cluster);
    return other;
}

/* The topics are those that they were. */
static void go_on(struct kafka_consumer *consumer)
{
    struct topic_ids *ids = &consumer->topic_ids;

    ids->other = false;
    if (consumer->start != NULL) {
        start_on_topics(consumer);
    } else if (ids->look_again) {
        loop_timer_set_ms(&ids->timer, 0);
    } else {
        loop_timer_set_ms(&ids->timer, LOOK_EVERY_MS);
        loop_defer(consumer->loop, &consumer->halted_task);
    }
}

static void found_other(struct kafka_consumer *consumer, unsigned other)
{
    struct topic_ids *ids = &consumer->topic_ids;

    if (!ids->other) {
        ids->other = true;
        loop_timer_set_ms(&ids->timer, TOPIC_IDS_AGAIN_MS);
        return;
    }
    if (consumer->events.made_again != NULL)
        consumer->events.made_again(consumer->events.ctx);
    if (other & OTHER_CONSUMED)
        renew_begin(consumer);
    else
        go_on(consumer);
}

void topic_ids_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    struct topic_ids *ids = &consumer->topic_ids;
    unsigned other = 0;

    if (ids->query == 0 || offset_query_number(event) != ids->query)
        return;
    ids->query = 0;
    ids->unanswered = rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!ids->unanswered)
        other = read_answer(consumer, event);
    if (other != 0)
        found_other(consumer, other);
    else
        go_on(consumer);
}

void topic_ids_forget(struct kafka_consumer *consumer)
{
    topic_ids_cancel(consumer);
    for (size_t i = 0; i < consumer->topic_count; i++) {
        if (!consumer->topics[i].written)
            note_topic(&consumer->topics[i], NULL);
    }
}
