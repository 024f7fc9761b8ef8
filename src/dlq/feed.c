/*
 * The feed of an index; see feed.h. This file knows what there is to read: it looks at the cluster,
 * tells the index of topics, beginnings and ends, and sets up the two clients that read.
 *
 *   look ─► topics described ─► bounds ─► (something changed: clients anew) ─► rows ─► words
 *     ▲ every few seconds, and at once where a log looks unlike the one that was read
 *
 * Invariants: what the index is told of a topic, and the positions that are read from, belong to
 * the same incarnation of it: clients are set up anew from the index' positions whenever a topic's
 * UUID, its partitions or its being there changed. One transaction is open at a time, of whatever
 * is written. After an error of the index nothing is taken for written: positions are asked for
 * again.
 */
#include "dlq/feed.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dlq/feed_state.h"

#define LOOK_MS       5000
#define LOOK_AGAIN_MS 500 /* where something is not as it was */
#define RETRY_MS      1000
/* What is at hand is committed as soon as there is no more, so these hold for who is far behind:
 * each page of the indexes that a transaction touches is written once, however often it was. */
#define TRANSACTION_MAX 20000
#define TRANSACTION_MS  1000
#define LARGE           3000

bool feed_begin(struct dlq_feed *feed, struct err *err)
{
    if (feed->open)
        return true;
    if (!dlq_index_begin(feed->index, err))
        return false;
    feed->open = true;
    feed->open_records = 0;
    feed->opened_ns = clock_mono_ns();
    return true;
}

bool feed_is_due(const struct dlq_feed *feed)
{
    return feed->open_records >= TRANSACTION_MAX ||
           (feed->open && clock_mono_ns() - feed->opened_ns >= TRANSACTION_MS * NS_PER_MS);
}

static void tell_moved(struct dlq_feed *feed)
{
    bool ended = feed->caught_up && !feed->options.follow;

    feed->in_trouble = false;
    if (ended) {
        feed->over = true;
        loop_timer_cancel(&feed->look_timer);
    }
    if (feed->options.moved && !feed->freeing)
        feed->options.moved(feed->options.arg, feed->caught_up);
}

bool feed_commit(struct dlq_feed *feed, struct err *err)
{
    bool large = feed->open_records >= LARGE;

    if (!feed->open)
        return true;
    feed->open = false;
    if (!dlq_index_commit(feed->index, err))
        return false;
    if (large) /* fetched batches and sorted words leave more holes than there is in use */
        mem_trim();
    tell_moved(feed);
    return true;
}

/* A piece at a time: what arrives meanwhile waits for one of them at most. */
void feed_tidy_run(void *arg)
{
    struct dlq_feed *feed = arg;
    struct err err;
    bool more;

    if (feed->over || feed->open || feed->rows_ready || feed->rows == NULL || feed->text != NULL)
        return;
    if (!dlq_index_tidy(feed->index, &more, &err))
        feed_trouble(feed, &err);
    else if (more)
        loop_defer(feed->loop, &feed->tidy_task);
}

void feed_look_soon(struct dlq_feed *feed)
{
    if (!feed->looking && !feed->over)
        loop_timer_set_ms(&feed->look_timer, LOOK_AGAIN_MS);
}

void feed_trouble(struct dlq_feed *feed, const struct err *err)
{
    bool again = err->retriable && !err->fatal;
    bool told = feed->in_trouble;

    feed->open = false; /* the index undoes it with its next one */
    feed->reopen = true;
    feed->in_trouble = true;
    feed_rows_close(feed);
    feed_text_close(feed);
    if (again)
        loop_timer_set_ms(&feed->look_timer, RETRY_MS);
    else
        feed->over = true;
    if (feed->options.failed && (!told || !again))
        feed->options.failed(feed->options.arg, err);
}

/* The cluster does not answer: what is being read goes on. */
static void no_answer(struct dlq_feed *feed, const struct err *err)
{
    bool told = feed->in_trouble;

    feed->in_trouble = true;
    loop_timer_set_ms(&feed->look_timer, RETRY_MS);
    if (feed->options.failed && !told)
        feed->options.failed(feed->options.arg, err);
}

/* ---- what there is ---- */

static void add_topic(struct dlq_feed *feed, char *name, enum dlq_topic_kind kind)
{
    for (size_t i = 0; i < feed->topic_count; i++) {
        if (strcmp(feed->topics[i].name, name) == 0) {
            mem_free(name);
            return;
        }
    }
    feed->topics = mem_realloc(feed->topics, (feed->topic_count + 1) * sizeof(*feed->topics));
    feed->topics[feed->topic_count++] = (struct feed_topic){.name = name, .kind = kind};
}

/* Those of a route that are wanted, and where its states are. */
static void add_route(struct dlq_feed *feed, const struct route_config *route)
{
    const char *only = feed->options.only ? feed->options.only->topic : NULL;
    size_t before = feed->topic_count;

    for (size_t t = 0; t < route->topic_count; t++) {
        char *name = config_dlq_topic(route, route->topics[t]);

        if (!only || strcmp(only, name) == 0)
            add_topic(feed, name, DLQ_LETTERS);
        else
            mem_free(name);
    }
    if (feed->topic_count > before)
        add_topic(feed, config_dlq_state_topic(route), DLQ_STATES);
}

static bool find_topics(struct dlq_feed *feed, struct err *err)
{
    const struct dlq_filter *only = feed->options.only;

    for (size_t r = 0; r < feed->config->route_count; r++) {
        const struct route_config *route = &feed->config->routes[r];

        if (!only || !only->route || strcmp(only->route, route->name) == 0)
            add_route(feed, route);
    }
    feed->names = mem_calloc(feed->topic_count + 1, sizeof(*feed->names));
    for (size_t i = 0; i < feed->topic_count; i++)
        feed->names[i] = feed->topics[i].name;
    if (feed->topic_count > 0)
        return true;
    if (only && only->topic)
        return err_set(err, ERR_USAGE, "%s is no dead-letter topic of this configuration",
                       only->topic);
    return err_set(err, ERR_USAGE, "no such route: %s",
                   only && only->route ? only->route : "(none)");
}

static bool learn_topic(struct dlq_feed *feed, struct feed_topic *topic,
                        const struct kafka_topic *found, struct err *err)
{
    if (topic->exists != found->exists || topic->partitions != found->partitions ||
        strcmp(topic->uuid, found->uuid) != 0)
        feed->reopen = true;
    topic->exists = found->exists;
    topic->partitions = found->partitions;
    memcpy(topic->uuid, found->uuid, sizeof(topic->uuid));
    if (!topic->exists)
        return true;
    return dlq_index_topic(feed->index, topic->kind, topic->name, topic->uuid, topic->partitions,
                           err);
}

/* Of a single question words are few, and come with the rows: what continues a letter stands in its
 * partition behind it. */
static bool set_up_part(struct dlq_feed *feed, struct feed_part *part, struct err *err)
{
    const char *topic = part->topic->name;

    if (!dlq_index_position(feed->index, topic, part->partition, DLQ_READ_ROWS, &part->rows, err))
        return false;
    if (part->topic->kind != DLQ_LETTERS)
        return true;
    if (!dlq_index_position(feed->index, topic, part->partition, DLQ_READ_TEXT, &part->text, err))
        return false;
    part->joined = feed->words && part->text >= part->rows;
    return true;
}

/* Where the log of a part ends now; INT64_MAX where that is not known. */
static int64_t end_of(const struct feed_part *part, const struct kafka_bounds *bounds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bounds[i].partition == part->partition && bounds[i].end >= 0 &&
            strcmp(bounds[i].topic, part->topic->name) == 0)
            return bounds[i].end;
    }
    return INT64_MAX;
}

/* Sets up what is read, from the index' positions. */
static bool open_clients(struct dlq_feed *feed, const struct kafka_bounds *bounds,
                         size_t bound_count, struct err *err)
{
    size_t count = 0;

    feed_rows_close(feed);
    feed_text_close(feed);
    for (size_t i = 0; i < feed->topic_count; i++)
        count += feed->topics[i].exists ? (size_t)feed->topics[i].partitions : 0;
    mem_free(feed->parts);
    feed->parts = mem_calloc(count + 1, sizeof(*feed->parts));
    feed->part_count = 0;
    for (size_t i = 0; i < feed->topic_count; i++) {
        const struct feed_topic *topic = &feed->topics[i];

        for (int32_t p = 0; topic->exists && p < topic->partitions; p++) {
            struct feed_part *part = &feed->parts[feed->part_count];

            feed->part_count++;
            part->topic = topic;
            part->partition = p;
            part->end = end_of(part, bounds, bound_count);
            if (!set_up_part(feed, part, err))
                return false;
        }
    }
    if (feed->part_count == 0) {
        feed->caught_up = true;
        return true;
    }
    return feed_rows_open(feed, err);
}

static enum dlq_topic_kind kind_of(const struct dlq_feed *feed, const char *topic)
{
    for (size_t i = 0; i < feed->topic_count; i++) {
        if (strcmp(feed->topics[i].name, topic) == 0)
            return feed->topics[i].kind;
    }
    return DLQ_STATES;
}

/* States are compacted: what their log has lost says nothing of what they said. */
static bool learn_bounds(struct dlq_feed *feed, const struct kafka_bounds *bounds, size_t count,
                         struct err *err)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const struct kafka_bounds *of = &bounds[i];
        uint64_t gone = 0;

        if (of->begin > 0 && kind_of(feed, of->topic) == DLQ_LETTERS &&
            !dlq_index_trim(feed->index, of->topic, of->partition, of->begin, &gone, err))
            return false;
        if (of->end >= 0 && !dlq_index_set_end(feed->index, of->topic, of->partition, of->end, err))
            return false;
        sum += gone;
    }
    if (sum > 0)
        log_info("dlq_letters_gone", LOG_UINT("letters", sum),
                 LOG_STR("reason", "Kafka's retention took them"), LOG_END);
    return true;
}

static bool bounded(struct dlq_feed *feed, const struct kafka_bounds *bounds, size_t count,
                    struct err *err)
{
    bool reopen = feed->reopen;

    if (!feed_begin(feed, err) || !learn_bounds(feed, bounds, count, err) ||
        !dlq_index_looked(feed->index, err))
        return false;
    if (reopen && !open_clients(feed, bounds, count, err))
        return false;
    feed->reopen = false;
    return feed_commit(feed, err);
}

static void on_bounds(void *arg, const struct kafka_bounds *bounds, size_t count,
                      const struct err *err)
{
    struct dlq_feed *feed = arg;
    struct err failure;

    if (feed->freeing)
        return;
    feed->looking = false;
    if (err != NULL)
        no_answer(feed, err);
    else if (!bounded(feed, bounds, count, &failure))
        feed_trouble(feed, &failure);
    else if (!feed->over)
        loop_timer_set_ms(&feed->look_timer, LOOK_MS);
    mem_free(feed->bounds);
    feed->bounds = NULL;
}

static void ask_bounds(struct dlq_feed *feed)
{
    size_t count = 0;

    for (size_t i = 0; i < feed->topic_count; i++)
        count += feed->topics[i].exists ? (size_t)feed->topics[i].partitions : 0;
    feed->bounds = mem_calloc(count + 1, sizeof(*feed->bounds));
    count = 0;
    for (size_t i = 0; i < feed->topic_count; i++) {
        for (int32_t p = 0; feed->topics[i].exists && p < feed->topics[i].partitions; p++)
            feed->bounds[count++] = (struct kafka_bounds){.topic = feed->topics[i].name,
                                                          .partition = p};
    }
    kafka_admin_bounds(feed->admin, feed->bounds, count, on_bounds, feed);
}

static bool learn_topics(struct dlq_feed *feed, const struct kafka_topic *found, struct err *err)
{
    if (!feed_begin(feed, err))
        return false;
    for (size_t i = 0; i < feed->topic_count; i++) {
        if (!learn_topic(feed, &feed->topics[i], &found[i], err))
            return false;
    }
    /* Rows of the topic as it was must not meet positions of the topic as it is. */
    if (feed->reopen) {
        feed_rows_close(feed);
        feed_text_close(feed);
    }
    return feed_commit(feed, err);
}

static void on_described(void *arg, const struct kafka_topic *found, size_t count,
                         const struct err *err)
{
    struct dlq_feed *feed = arg;
    struct err failure;

    (void)count;
    if (feed->freeing)
        return;
    if (err != NULL) {
        feed->looking = false;
        no_answer(feed, err);
    } else if (!learn_topics(feed, found, &failure)) {
        feed->looking = false;
        feed_trouble(feed, &failure);
    } else {
        ask_bounds(feed);
    }
}

static void look(void *arg)
{
    struct dlq_feed *feed = arg;

    if (feed->looking || feed->over)
        return;
    feed->looking = true;
    kafka_admin_describe(feed->admin, feed->names, feed->topic_count, false, on_described, feed);
}

static bool set_up_words(struct dlq_feed *feed, struct err *err)
{
    const char *text = feed->options.only ? feed->options.only->text : NULL;

    if (text)
        feed->words = dlq_words_new(text, err);
    return !text || feed->words;
}

struct dlq_feed *dlq_feed_new(struct loop *loop, const struct config *config,
                              struct dlq_index *index, const struct dlq_feed_options *options,
                              struct err *err)
{
    struct dlq_feed *feed = mem_zalloc(sizeof(*feed));

    feed->loop = loop;
    feed->config = config;
    feed->index = index;
    feed->options = *options;
    feed->reopen = true;
    loop_timer_init(&feed->look_timer, loop, look, feed);
    loop_task_init(&feed->rows_task, feed_rows_run, feed);
    loop_task_init(&feed->text_task, feed_text_run, feed);
    loop_task_init(&feed->tidy_task, feed_tidy_run, feed);
    if (find_topics(feed, err) && set_up_words(feed, err))
        feed->admin = kafka_admin_new(loop, config, err);
    if (feed->admin == NULL) {
        dlq_feed_free(&feed);
        return NULL;
    }
    loop_timer_set_ms(&feed->look_timer, 0);
    return feed;
}

void dlq_feed_free(struct dlq_feed **pointer)
{
    struct dlq_feed *feed = *pointer;
    struct err err;

    if (feed == NULL)
        return;
    *pointer = NULL;
    feed->freeing = true;
    kafka_admin_free(&feed->admin);
    feed_rows_close(feed);
    feed_text_close(feed);
    if (!feed_commit(feed, &err))
        log_warn("dlq_feed_uncommitted", LOG_STR("reason", err.text), LOG_END);
    loop_timer_deinit(&feed->look_timer);
    loop_task_cancel(feed->loop, &feed->tidy_task);
    for (size_t i = 0; i < feed->topic_count; i++)
        mem_free(feed->topics[i].name);
    mem_free(feed->topics);
    mem_free(feed->names);
    mem_free(feed->parts);
    mem_free(feed->bounds);
    dlq_words_free(&feed->words);
    buf_deinit(&feed->store);
    mem_free(feed);
}

uint64_t dlq_feed_records(const struct dlq_feed *feed)
{
    return feed->records;
}
