/*
 * Where to begin: the explicit start offset of every partition of a new assignment.
 *
 *   ask (which topics; then committed, first and last offsets, at once)
 *      ^ retry                                             |
 *      |                                            some missing? --> the flow chooses
 *      |                                                   |                    |
 *      |                                                   |          commit what was chosen
 *      +------- trouble <----------------------------------+                    |
 *                                                          +----> install <-----+
 *
 * The group was told already that this member has its assignment (of nothing), so a rebalance may
 * come at any moment: it cancels all this. A committed offset below the first one that the log
 * holds is missing, too; one above the last is found out by the broker at the first fetch, and one
 * that the log has reached again after an unclean election by the record before it. One that was
 * committed for another topic of that name is missing as well (see topic_ids.c). Nothing
 * is delivered before every chosen offset is committed: a crash in between would else choose again,
 * and "latest" would then be another place.
 */
#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/mem.h"
#include "kafka/client_error.h"
#include "kafka/consumer_state.h"

#define NOTE_MAX         128
#define FIRST_BACKOFF_MS 200
#define LAST_BACKOFF_MS  5000

struct start_item {
    const char *topic;
    int32_t partition;
    int32_t epoch;                       /* of the committed offset */
    int64_t committed, earliest, latest; /* -1: not known */
    int64_t chosen;                      /* where to begin; -1: nowhere, stays unassigned */
    char note[NOTE_MAX];                 /* of the committed offset, as far as it fits */
    size_t note_len;
    bool missing;
    bool out_of_range; /* there is one, and the log does not hold it */
    bool former;       /* it is, or was, of a topic that was deleted */
};

struct start {
    struct kafka_consumer *consumer;
    struct start_item *items;
    size_t count;
    rd_kafka_topic_partition_list_t *list;
    uint64_t query;  /* number of what is in flight */
    unsigned left;   /* answers to come */
    struct err err;  /* the first failure among them */
    bool choosing;   /* waits for the flow */
    bool committing; /* the choice is being committed, or waits to be again */
    bool other;      /* an offset of another topic was seen: it has to be seen twice */
    int64_t backoff_ms;
    struct loop_timer retry;
    struct loop_task install;
};

static void ask_offsets(struct start *start)
{
    struct kafka_consumer *consumer = start->consumer;

    for (size_t i = 0; i < start->count; i++) {
        struct start_item *item = &start->items[i];

        item->committed = item->earliest = item->latest = -1;
        item->epoch = -1;
        item->note_len = 0;
    }
    err_clear(&start->err);
    start->query = ++consumer->last_query;
    start->left = 3;
    committed_send(consumer, start->query, start->list);
    offset_query_send(consumer, start->query, QUERY_EARLIEST, start->list);
    offset_query_send(consumer, start->query, QUERY_LATEST, start->list);
}

/* The topics first: ends that are asked for after it are theirs, or of still newer ones. */
static void ask(struct start *start)
{
    start->query = 0;
    topic_ids_learn(start->consumer);
}

static void retry_later(struct start *start, const struct err *err)
{
    struct err copy = *err;

    err_prefix(&copy, "route %s: start offsets", start->consumer->route);
    start->query = 0;
    loop_timer_set_ms(&start->retry, start->backoff_ms);
    start->backoff_ms *= 2;
    if (start->backoff_ms > LAST_BACKOFF_MS)
        start->backoff_ms = LAST_BACKOFF_MS;
    consumer_trouble(start->consumer, &copy);
}

/* Is there one, and is it known of which epoch it must be? */
static bool has_record_before(const struct start_item *item)
{
    return !item->missing && item->epoch >= 0 && item->earliest >= 0 &&
           item->chosen > item->earliest;
}

static rd_kafka_topic_partition_list_t *chosen_list(const struct start *start, bool missing_only)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)start->count);

    for (size_t i = 0; i < start->count; i++) {
        const struct start_item *item = &start->items[i];
        rd_kafka_topic_partition_t *entry;

        if (item->chosen < 0 || (missing_only && !item->missing))
            continue;
        entry = rd_kafka_topic_partition_list_add(list, item->topic, item->partition);
        entry->offset = item->chosen;
        entry->opaque = assign_note(item->latest, has_record_before(item));
        rd_kafka_topic_partition_set_leader_epoch(entry, item->missing ? -1 : item->epoch);
        topic_ids_put_note(start->consumer, entry);
    }
    return list;
}

static void commit_choice(struct start *start)
{
    rd_kafka_topic_partition_list_t *list = chosen_list(start, true);
    rd_kafka_resp_err_t code;
    struct err err;

    start->committing = true;
    if (list->cnt == 0) {
        loop_defer(start->consumer->loop, &start->install);
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    start->query = ++start->consumer->last_query;
    code = rd_kafka_commit_queue(start->consumer->rk, list, start->consumer->reply_queue, NULL,
                                 offset_query_opaque(start->query, QUERY_COMMIT));
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        client_error_set(&err, code, "committing the first offsets");
        retry_later(start, &err);
    }
}

static void on_retry(void *arg)
{
    struct start *start = arg;

    if (start->committing)
        commit_choice(start);
    else
        ask(start);
}

static void on_install(void *arg)
{
    struct start *start = arg;
    struct kafka_consumer *consumer = start->consumer;
    rd_kafka_topic_partition_list_t *list = chosen_list(start, false);

    start_cancel(consumer);
    consumer->joined = true; /* not before: who is told so may count on "latest" being behind it */
    assignment_install(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void start_begin(struct kafka_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    struct start *start = mem_zalloc(sizeof(*start));

    consumer->start = start;
    consumer->state = MEMBER_STARTING;
    start->consumer = consumer;
    start->list = rd_kafka_topic_partition_list_copy(list);
    start->count = (size_t)list->cnt;
    start->items = mem_calloc(start->count + 1, sizeof(*start->items));
    start->backoff_ms = FIRST_BACKOFF_MS;
    loop_timer_init(&start->retry, consumer->loop, on_retry, start);
    loop_task_init(&start->install, on_install, start);
    for (size_t i = 0; i < start->count; i++) {
        start->items[i].topic = consumer_topic(consumer, list->elems[i].topic);
        start->items[i].partition = list->elems[i].partition;
    }
    if (start->count == 0)
        loop_defer(consumer->loop, &start->install);
    else
        ask(start);
}

void start_cancel(struct kafka_consumer *consumer)
{
    struct start *start = consumer->start;

    if (start == NULL)
        return;
    consumer->start = NULL;
    loop_timer_deinit(&start->retry);
    loop_task_cancel(consumer->loop, &start->install);
    rd_kafka_topic_partition_list_destroy(start->list);
    mem_free(start->items);
    mem_free(start);
}

static struct start_item *find_item(struct start *start, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < start->count; i++) {
        struct start_item *item = &start->items[i];

        if (item->partition == partition && strcmp(item->topic, topic) == 0)
            return item;
    }
    return NULL;
}

struct reading {
    struct start *start;
    enum offset_query kind;
};

/* A longer one is none of ours. */
static void keep_note(struct start_item *item, const rd_kafka_topic_partition_t *answer)
{
    if (answer->metadata == NULL || answer->metadata_size > sizeof(item->note))
        return;
    memcpy(item->note, answer->metadata, answer->metadata_size);
    item->note_len = answer->metadata_size;
}

static void read_item(void *arg, const rd_kafka_topic_partition_t *answer)
{
    struct reading *reading = arg;
    struct start *start = reading->start;
    struct start_item *item = find_item(start, answer->topic, answer->partition);

    if (item == NULL)
        return;
    if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        /* A committed offset that could not be read is not "none"; ends are needed only at times.
         */
        if (reading->kind == QUERY_COMMITTED && start->err.code == ERR_NONE)
            client_error_set(&start->err, answer->err, "committed offset of %s/%d", answer->topic,
                             (int)answer->partition);
        return;
    }
    if (reading->kind == QUERY_EARLIEST) {
        item->earliest = answer->offset;
    } else if (reading->kind == QUERY_LATEST) {
        item->latest = answer->offset;
    } else if (answer->offset >= 0) {
        item->committed = answer->offset;
        keep_note(item, answer);
        topic_ids_believe(start->consumer, item->topic, item->note, item->note_len);
        item->epoch = rd_kafka_topic_partition_get_leader_epoch(answer);
    }
}

static bool is_of_other_topic(const struct start *start, const struct start_item *item)
{
    return item->committed >= 0 && topic_ids_is_other(item->note, item->note_len,
                                                      topic_ids_note(start->consumer, item->topic));
}

static const struct start_item *find_of_other_topic(const struct start *start)
{
    for (size_t i = 0; i < start->count; i++) {
        if (is_of_other_topic(start, &start->items[i]))
            return &start->items[i];
    }
    return NULL;
}

/* Sorts the items into known and missing ones; false where an end is needed and is not known. */
static bool judge(struct start *start, size_t *missing, struct err *err)
{
    *missing = 0;
    for (size_t i = 0; i < start->count; i++) {
        struct start_item *item = &start->items[i];

        bool other = is_of_other_topic(start, item);

        if (other)
            log_warn("offset_of_former_topic", LOG_STR("route", start->consumer->route),
                     LOG_STR("topic", item->topic), LOG_INT("partition", item->partition),
                     LOG_INT("committed", item->committed), LOG_END);
        item->out_of_range = other || (item->committed >= 0 && item->committed < item->earliest);
        item->missing = item->committed < 0 || item->out_of_range;
        item->former = other || (item->committed < 0 &&
                                 topic_ids_was_made_again(start->consumer, item->topic));
        item->chosen = item->missing ? -1 : PLANTED("rewind") ? 0 : item->committed;
        if (!item->missing)
            continue;
        ++*missing;
        if (item->earliest < 0 || item->latest < 0)
            return err_set_retriable(err, ERR_UNAVAILABLE, "the ends of %s/%d are not known",
                                     item->topic, (int)item->partition);
    }
    return true;
}

static void ask_flow(struct start *start, size_t missing)
{
    struct kafka_consumer *consumer = start->consumer;
    struct kafka_missing_offset *items = mem_calloc(missing, sizeof(*items));
    size_t at = 0;

    for (size_t i = 0; i < start->count; i++) {
        const struct start_item *item = &start->items[i];

        if (item->missing)
            items[at++] = (struct kafka_missing_offset){.topic = item->topic,
                                                        .partition = item->partition,
                                                        .out_of_range = item->out_of_range,
                                                        .former = item->former,
                                                        .committed = item->committed};
    }
    start->choosing = true;
    consumer->events.missing(consumer->events.ctx, items, missing);
    mem_free(items);
}

static void on_answers(struct start *start)
{
    struct topic_ids *ids = &start->consumer->topic_ids;
    const struct start_item *other;
    size_t missing;
    struct err err;

    if (start->err.code != ERR_NONE) {
        retry_later(start, &start->err);
        return;
    }
    other = find_of_other_topic(start);
    if (other != NULL && ids->unanswered) {
        ids->unanswered = false; /* this is worth to be waited for */
        (void)err_set_retriable(&err, ERR_UNAVAILABLE,
                                "the offset of %s/%d is of another topic than was known, and no "
                                "broker says which one it is now",
                                other->topic, (int)other->partition);
        retry_later(start, &err);
        return;
    }
    if (other != NULL && !start->other) {
        start->other = true;
        loop_timer_set_ms(&start->retry, TOPIC_IDS_AGAIN_MS);
        return;
    }
    if (!judge(start, &missing, &err))
        retry_later(start, &err);
    else if (missing > 0)
        ask_flow(start, missing);
    else
        on_install(start);
}

void kafka_consumer_start_missing(struct kafka_consumer *consumer, const enum offset_start *starts,
                                  size_t count)
{
    struct start *start = consumer->start;
    size_t at = 0;

    /* The question may have been overtaken by a rebalance. */
    if (start == NULL || !start->choosing)
        return;
    start->choosing = false;
    for (size_t i = 0; i < start->count && at < count; i++) {
        struct start_item *item = &start->items[i];

        if (!item->missing)
            continue;
        if (starts[at] == OFFSET_EARLIEST)
            item->chosen = item->earliest;
        else if (starts[at] == OFFSET_LATEST)
            item->chosen = item->latest;
        at++;
    }
    commit_choice(start);
}

static void on_committed(struct start *start, rd_kafka_event_t *event)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    struct err err;

    for (int i = 0; list != NULL && i < list->cnt && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        code = list->elems[i].err;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        on_install(start);
        return;
    }
    client_error_set(&err, code, "committing the first offsets");
    retry_later(start, &err);
}

void start_on_topics(struct kafka_consumer *consumer)
{
    ask_offsets(consumer->start);
}

static void answer_came(struct start *start)
{
    if (--start->left == 0)
        on_answers(start);
}

void start_on_committed(struct kafka_consumer *consumer, uint64_t number,
                        const rd_kafka_topic_partition_list_t *list, rd_kafka_resp_err_t code)
{
    struct start *start = consumer->start;
    struct reading reading = {start, QUERY_COMMITTED};

    if (start == NULL || start->query == 0 || number != start->query)
        return;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && start->err.code == ERR_NONE)
        client_error_set(&start->err, code, "asking for committed offsets");
    for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
        read_item(&reading, &list->elems[i]);
    answer_came(start);
}

void start_on_event(struct kafka_consumer *consumer, rd_kafka_event_t *event)
{
    struct start *start = consumer->start;
    struct reading reading = {start, offset_query_kind(event)};
    struct err err;

    if (start == NULL || start->query == 0 || offset_query_number(event) != start->query)
        return;
    if (reading.kind == QUERY_COMMIT) {
        on_committed(start, event);
        return;
    }
    if (!offset_query_read(event, read_item, &reading, &err) && start->err.code == ERR_NONE)
        start->err = err;
    answer_came(start);
}
