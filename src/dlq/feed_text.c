/*
 * Words: the dead-letter topics read a second time, behind the rows, for the text index.
 *
 * Invariants: words never run ahead of rows; while there are rows to take no words are read. A
 * partition whose words have come up to its rows has *joined*: from then on feed_rows.c adds both,
 * and this client, which is there for the difference only, ends with the last one that joins.
 */
#include "base/mem.h"
#include "dlq/feed_state.h"

#define RECORDS_PER_TURN 200

static void on_readable(void *arg)
{
    struct dlq_feed *feed = arg;

    loop_defer(feed->loop, &feed->text_task);
}

static bool is_behind(const struct feed_part *part)
{
    return part->topic->kind == DLQ_LETTERS && !part->joined;
}

static void note_joined(struct dlq_feed *feed)
{
    for (size_t i = 0; i < feed->part_count; i++) {
        if (is_behind(&feed->parts[i]))
            return;
    }
    feed_text_close(feed);
    if (!feed->caught_up)
        dlq_index_hurry(feed->index, false);
    feed->caught_up = true;
}

static bool join(struct dlq_feed *feed, struct feed_part *part, struct err *err)
{
    part->joined = true;
    part->text = part->rows;
    return feed_begin(feed, err) && dlq_index_skip(feed->index, part->topic->name, part->partition,
                                                   DLQ_READ_TEXT, part->rows, err);
}

/* Those that have nothing to catch up with. */
static bool join_all(struct dlq_feed *feed, struct err *err)
{
    for (size_t i = 0; i < feed->part_count; i++) {
        struct feed_part *part = &feed->parts[i];

        if (!feed->options.with_text)
            part->joined = true;
        else if (is_behind(part) && part->text >= part->rows && !join(feed, part, err))
            return false;
    }
    return true;
}

static size_t fill_ranges(struct dlq_feed *feed, struct kafka_reader_range *ranges)
{
    size_t count = 0;

    for (size_t i = 0; i < feed->part_count; i++) {
        const struct feed_part *part = &feed->parts[i];

        if (!is_behind(part))
            continue;
        feed->text_parts[count] = i;
        ranges[count++] = (struct kafka_reader_range){part->topic->name, part->partition,
                                                      part->text};
    }
    return count;
}

bool feed_add_text(struct dlq_feed *feed, struct feed_part *part, const struct record *rec,
                   struct err *err)
{
    part->text = rec->offset + 1;
    if (feed->words && !dlq_words_touch(feed->words, rec))
        return dlq_index_skip(feed->index, part->topic->name, part->partition, DLQ_READ_TEXT,
                              part->text, err);
    return dlq_index_add_text(feed->index, rec, err);
}

bool feed_text_open(struct dlq_feed *feed, struct err *err)
{
    struct kafka_reader_range *ranges;
    size_t count;

    if (!join_all(feed, err))
        return false;
    ranges = mem_calloc(feed->part_count + 1, sizeof(*ranges));
    feed->text_parts = mem_calloc(feed->part_count + 1, sizeof(*feed->text_parts));
    count = fill_ranges(feed, ranges);
    if (count > 0)
        feed->text = kafka_follower_new(feed->loop, feed->config, feed->config->routes[0].group,
                                        ranges, count, on_readable, feed, err);
    mem_free(ranges);
    if (count > 0)
        return feed->text != NULL;
    note_joined(feed);
    return true;
}

void feed_text_close(struct dlq_feed *feed)
{
    loop_task_cancel(feed->loop, &feed->text_task);
    kafka_follower_free(&feed->text);
    mem_free(feed->text_parts);
    feed->text_parts = NULL;
}

static bool take_words(struct dlq_feed *feed, struct feed_part *part, const struct record *rec,
                       struct err *err)
{
    if (part->joined || rec->offset < part->text)
        return true;
    if (rec->offset >= part->rows)
        return join(feed, part, err);
    if (!feed_begin(feed, err) || !feed_add_text(feed, part, rec, err))
        return false;
    feed->records++;
    feed->open_records++;
    return part->text < part->rows || join(feed, part, err);
}

/* False: it failed. *empty: there is nothing more at present. */
static bool take_some(struct dlq_feed *feed, bool *empty, struct err *err)
{
    for (int n = 0; n < RECORDS_PER_TURN; n++) {
        struct record rec;
        struct err unread;
        size_t at;
        int64_t end;

        switch (kafka_follower_take(feed->text, &rec, &at, &end, &unread)) {
        case KAFKA_FOLLOW_RECORD:
            if (!take_words(feed, &feed->parts[feed->text_parts[at]], &rec, err))
                return false;
            break;
        case KAFKA_FOLLOW_END: {
            struct feed_part *part = &feed->parts[feed->text_parts[at]];

            if (!part->joined && end >= part->rows && !join(feed, part, err))
                return false;
            break;
        }
        case KAFKA_FOLLOW_TROUBLE: /* the rows' client is told the same */
            break;
        case KAFKA_FOLLOW_EMPTY:
            *empty = true;
            return true;
        }
    }
    return true;
}

void feed_text_run(void *arg)
{
    struct dlq_feed *feed = arg;
    struct err err;
    bool empty = false;

    if (feed->text == NULL || feed->over || feed->rows_ready)
        return;
    if (!take_some(feed, &empty, &err)) {
        feed_trouble(feed, &err);
        return;
    }
    note_joined(feed);
    if ((empty || feed->text == NULL || feed_is_due(feed)) && !feed_commit(feed, &err)) {
        feed_trouble(feed, &err);
        return;
    }
    if (!empty && feed->text != NULL)
        loop_defer(feed->loop, &feed->text_task);
}
