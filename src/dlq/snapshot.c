/*
 * Dead letters as they stand; see snapshot.h. Must not go on for ever: where Kafka is away it gives
 * up, and says what the last trouble was.
 */
#include "dlq/snapshot.h"

#include <string.h>

#include "dlq/feed.h"
#include "dlq/patience.h"

#define PAGE 1000

struct taking {
    const struct dlq_snapshot *ask;
    struct dlq_feed *feed;
    struct patience patience;
    uint64_t records;
    bool caught_up, over;
    struct err trouble; /* the last one */
};

static void on_moved(void *arg, bool caught_up)
{
    struct taking *taking = arg;
    uint64_t records = dlq_feed_records(taking->feed);
    if (records > taking->records)
        patience_moved(&taking->patience);
    taking->records = records;
    taking->caught_up = caught_up;
    taking->ask->progress(taking->ask->arg, records);
}

/* What waiting does not mend ends it at once. */
static void on_failed(void *arg, const struct err *err)
{
    struct taking *taking = arg;
    taking->trouble = *err;
    taking->over = !err->retriable || err->fatal || err->code == ERR_DENIED;
}

static bool fill(struct taking *taking, struct dlq_index *index, struct err *err)
{
    const struct dlq_snapshot *ask = taking->ask;
    struct dlq_feed_options options = {.with_text = ask->filter->text != NULL,
                                       .moved = on_moved,
                                       .failed = on_failed,
                                       .arg = taking,
                                       .only = ask->filter};
    bool quiet = false;
    taking->feed = dlq_feed_new(ask->loop, ask->config, index, &options, err);
    if (!taking->feed)
        return false;
    patience_begin(&taking->patience, ask->loop);
    while (!taking->caught_up && !taking->over && !quiet)
        quiet = !patience_turn(&taking->patience);
    patience_end(&taking->patience);
    dlq_feed_free(&taking->feed);
    if (taking->caught_up)
        return true;
    if (!taking->trouble.code)
        return err_set_retriable(err, ERR_UNAVAILABLE, "Kafka does not give its dead letters");
    *err = taking->trouble;
    return false;
}

struct dlq_index *dlq_snapshot_take(const struct dlq_snapshot *ask, struct err *err)
{
    struct taking taking = {.ask = ask};
    struct dlq_index *index = dlq_index_open(NULL, true, err);
    if (index && !fill(&taking, index, err))
        dlq_index_close(&index);
    return index;
}

struct walk {
    bool (*each)(void *arg, const struct dlq_row *row);
    void *arg;
    bool stopped;
};

static bool step(void *arg, const struct dlq_row *row)
{
    struct walk *walk = arg;
    walk->stopped = !walk->each(walk->arg, row);
    return !walk->stopped;
}

bool dlq_snapshot_each(struct dlq_index *index, const struct dlq_filter *filter,
                       bool (*each)(void *arg, const struct dlq_row *row), void *arg,
                       struct dlq_covered *covered, struct err *err)
{
    char cursor[DLQ_CURSOR_MAX] = "", next[DLQ_CURSOR_MAX] = "";
    struct walk walk = {each, arg, false};
    do {
        memcpy(cursor, next, sizeof(cursor));
        if (!dlq_index_list(index, filter, cursor, PAGE, step, &walk, next, covered, err))
            return false;
    } while (next[0] && !walk.stopped);
    return true;
}
