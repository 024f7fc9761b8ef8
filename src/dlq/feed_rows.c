/*
 * Rows: records of the dead-letter and state topics into the index, as they come.
 *
 * Invariants: a row is added only where its offset is not below the position: a lower one says that
 * the log is another one than before, and is left to the next look at the cluster. The position of
 * a partition moves with its rows, in one transaction. Where the words of a partition have come up
 * to its rows they are added here, so that nothing is read twice at the head.
 */
#include "base/log.h"
#include "base/mem.h"
#include "dlq/feed_state.h"

#define RECORDS_PER_TURN 400

static void on_readable(void *arg)
{
    struct dlq_feed *feed = arg;

    feed->rows_ready = true;
    loop_defer(feed->loop, &feed->rows_task);
}

bool feed_rows_open(struct dlq_feed *feed, struct err *err)
{
    struct kafka_reader_range *ranges = mem_calloc(feed->part_count + 1, sizeof(*ranges));

    for (size_t i = 0; i < feed->part_count; i++)
        ranges[i] = (struct kafka_reader_range){feed->parts[i].topic->name,
                                                feed->parts[i].partition, feed->parts[i].rows};
    feed->rows = kafka_follower_new(feed->loop, feed->config, feed->config->routes[0].group, ranges,
                                    feed->part_count, on_readable, feed, err);
    mem_free(ranges);
    dlq_index_hurry(feed->index, true);
    return feed->rows != NULL;
}

void feed_rows_close(struct dlq_feed *feed)
{
    loop_task_cancel(feed->loop, &feed->rows_task);
    kafka_follower_free(&feed->rows);
    feed->rows_ready = feed->rows_caught = false;
}

static bool add_letter(struct dlq_feed *feed, struct feed_part *part, const struct record *rec,
                       struct err *err)
{
    struct dead_letter letter;

    dead_letter_read(rec, &letter);
    if (!dlq_index_add(feed->index, rec, &letter, err))
        return false;
    if (!part->joined || !feed->options.with_text)
        return true;
    return feed_add_text(feed, part, rec, err);
}

/* What is no state of ours is passed over: anybody may write there. */
static bool add_state(struct dlq_feed *feed, struct feed_part *part, const struct record *rec,
                      struct err *err)
{
    struct letter_state state;
    struct letter_id id;
    struct err unread = {0};

    if (letter_state_read(rec, &id, &state, &feed->store, &unread))
        return dlq_index_add_state(feed->index, rec, &id, &state, err);
    log_debug("dlq_state_unread", LOG_STR("topic", part->topic->name),
              LOG_INT("offset", rec->offset), LOG_STR("reason", unread.text), LOG_END);
    return dlq_index_skip(feed->index, part->topic->name, part->partition, DLQ_READ_ROWS,
                          rec->offset + 1, err);
}

static bool take_record(struct dlq_feed *feed, struct feed_part *part, const struct record *rec,
                        struct err *err)
{
    bool ok;

    if (rec->offset < part->rows) {
        feed_look_soon(feed);
        return true;
    }
    if (!feed_begin(feed, err))
        return false;
    ok = part->topic->kind == DLQ_LETTERS ? add_letter(feed, part, rec, err)
                                          : add_state(feed, part, rec, err);
    part->rows = rec->offset + 1;
    /* Who does not follow does not run after a topic that grows while it is read. */
    part->rows_ended = part->rows_ended || (!feed->options.follow && part->rows >= part->end);
    feed->records++;
    feed->open_records++;
    return ok;
}

/* The last offsets may hold no records. An end below the position is that of another log. */
static bool take_end(struct dlq_feed *feed, struct feed_part *part, int64_t end, struct err *err)
{
    const char *topic = part->topic->name;

    if (end < part->rows) {
        feed_look_soon(feed);
        return true;
    }
    part->rows_ended = true;
    if (!feed_begin(feed, err) ||
        !dlq_index_skip(feed->index, topic, part->partition, DLQ_READ_ROWS, end, err) ||
        !dlq_index_set_end(feed->index, topic, part->partition, end, err))
        return false;
    part->rows = end;
    if (!part->joined || !feed->options.with_text)
        return true;
    part->text = end;
    return dlq_index_skip(feed->index, topic, part->partition, DLQ_READ_TEXT, end, err);
}

/* Takes what is there, up to a turn's share. False: it failed. */
static bool take_some(struct dlq_feed *feed, struct err *err)
{
    for (int n = 0; n < RECORDS_PER_TURN; n++) {
        struct record rec;
        struct err unread;
        size_t at;
        int64_t end;
        bool ok = true;

        switch (kafka_follower_take(feed->rows, &rec, &at, &end, &unread)) {
        case KAFKA_FOLLOW_RECORD:
            ok = take_record(feed, &feed->parts[at], &rec, err);
            break;
        case KAFKA_FOLLOW_END:
            ok = take_end(feed, &feed->parts[at], end, err);
            break;
        case KAFKA_FOLLOW_TROUBLE:
            log_warn("dlq_feed_unread", LOG_STR("topic", feed->parts[at].topic->name),
                     LOG_INT("partition", feed->parts[at].partition),
                     LOG_STR("reason", unread.text), LOG_END);
            if (!feed->options.follow) {
                *err = unread;
                return false;
            }
            feed_look_soon(feed);
            break;
        case KAFKA_FOLLOW_EMPTY:
            feed->rows_ready = false;
            return true;
        }
        if (!ok)
            return false;
    }
    return true;
}

/* Once for each set of parts: the words begin where the rows have come to their ends. */
static bool note_caught(struct dlq_feed *feed, struct err *err)
{
    if (feed->rows_caught)
        return true;
    for (size_t i = 0; i < feed->part_count; i++) {
        if (!feed->parts[i].rows_ended)
            return true;
    }
    feed->rows_caught = true;
    dlq_index_hurry(feed->index, false);
    return feed_text_open(feed, err);
}

void feed_rows_run(void *arg)
{
    struct dlq_feed *feed = arg;
    struct err err;

    if (feed->rows == NULL || feed->over)
        return;
    if (!take_some(feed, &err) || !note_caught(feed, &err) ||
        ((!feed->rows_ready || feed_is_due(feed)) && !feed_commit(feed, &err))) {
        feed_trouble(feed, &err);
        return;
    }
    if (feed->rows_ready)
        loop_defer(feed->loop, &feed->rows_task);
    else if (feed->text != NULL)
        loop_defer(feed->loop, &feed->text_task);
    else if (feed->options.follow)
        loop_defer(feed->loop, &feed->tidy_task);
}
