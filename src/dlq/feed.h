/*
 * Keeps an index at the heads of its topics: reads the dead-letter and state topics of the routes
 * of a configuration into it, from where it stands, beside every group (it neither joins nor
 * commits). The words of the text index are read behind, in a second pass of lower priority.
 *
 * Every few seconds it looks at the cluster: topics that were made since, partitions that were
 * added, a topic that was made again (its rows go, the new one is read from its beginning), and
 * what retention took. A topic that is not there is no error: it has no dead letters.
 *
 * Owning thread: the loop's. The index is the feed's writer object.
 */
#ifndef OG_DLQ_FEED_H
#define OG_DLQ_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "dlq/filter.h"
#include "dlq/index.h"

struct dlq_feed;

struct dlq_feed_options {
    bool follow;    /* go on after the ends that the topics had when they were first looked at */
    bool with_text; /* also the words */
    /* Called after each transaction; caught_up is true from when all rows, and where they are
     * wanted all words, were read up to the ends that there were (or there is nothing to read).
     * Without `follow` that is the last call. May be NULL. */
    void (*moved)(void *arg, bool caught_up);
    /* It cannot go on; err says what to do. Unless err->retriable: then it tries again by itself,
     * and this is said once until it has succeeded. May be NULL. */
    void (*failed)(void *arg, const struct err *err);
    void *arg;
    /* For one who asks a single question: only the topics of only->route and only->topic are read
     * (none that fits is ERR_USAGE), and words are kept of letters only that hold at least one of
     * only->text. What this filter finds is what it finds in a whole index. Borrowed, or NULL. */
    const struct dlq_filter *only;
};

/* config, index and what options point to are borrowed. Nothing is called back before the next turn
 * of the loop. */
struct dlq_feed *dlq_feed_new(struct loop *loop, const struct config *config,
                              struct dlq_index *index, const struct dlq_feed_options *options,
                              struct err *err) MUST_CHECK;
/* Not from its callbacks. */
void dlq_feed_free(struct dlq_feed **feed);

/* Records read so far by this feed, for a progress line. */
uint64_t dlq_feed_records(const struct dlq_feed *feed);

#endif
