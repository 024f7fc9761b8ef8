/* A dead letter by the topics themselves, and by the ledger where Redis answers; see dlq_shown.h.
 */
#include <string.h>

#include "base/mem.h"
#include "curl_text.h"
#include "dlq/dead_topics.h"
#include "dlq/snapshot.h"
#include "dlq/topic_route.h"
#include "dlq_shown.h"
#include "ledger_key.h"
#include "record/identity.h"

#define REDIS_MS 3000

/* The order key and its words; what cannot be asked is said in their place. */
static void ask_ledger(struct shown *shown, const struct route_config *route)
{
    struct identity identity;
    struct buf store = {0};
    struct err err = {0};
    char *topic;
    bool found = false;
    if (!route || slice_is_null(shown->letter.origin.topic)) {
        buf_add_text(&shown->ledger, "not known: it belongs to no route of this configuration\n");
        return;
    }
    identity_read(&route->dedup.rule, &shown->rec, &store, &identity);
    topic = mem_strndup(shown->letter.origin.topic.data, shown->letter.origin.topic.len);
    if (slice_is_null(identity.key))
        buf_add_text(&shown->ledger, "not asked for: a null key has its state by partition\n");
    else if (!ledger_key_words(shown->dlq->config, route, topic, identity.key, REDIS_MS,
                               &shown->ledger, &found, &err))
        buf_printf(&shown->ledger, "not known: %s\n", err.text);
    else if (!found)
        buf_add_text(&shown->ledger, "nothing is known of this key\n");
    mem_free(topic);
    buf_deinit(&store);
}

static void ask_curl(struct shown *shown, const struct route_config *route)
{
    struct err err = {0};
    if (!route)
        buf_add_text(&shown->curl, "# it belongs to no route of this configuration\n");
    else if (!curl_add_delivery(&shown->curl, route, &shown->rec, shown->id_text.data, &err))
        buf_printf(&shown->curl, "# not possible: %s\n", err.text);
}

static void take_line(void *arg, const struct dlq_row *row)
{
    shown_line(arg, row);
}

static bool take_same(void *arg, const struct dlq_row *row)
{
    shown_same(arg, row);
    return true;
}

/* Its line, and what else its key has in the topic. */
static bool ask_lines(struct shown *shown, struct err *err)
{
    struct slice key = shown->rec.key;
    struct dlq_covered covered;
    struct dlq_filter filter;
    struct dlq_index *index;
    bool found, ok;
    dlq_filter_init(&filter);
    filter.topic = mem_strdup(shown->id.topic);
    filter.states = DLQ_STATE_ANY;
    filter.key = slice_is_null(key) ? NULL : mem_strndup(key.data, key.len);
    filter.key_len = key.len;
    index = dlq_read_letters(shown->dlq, &filter, err);
    ok = index && dlq_index_get(index, &shown->id, take_line, shown, &found, err) &&
         (!filter.key || dlq_snapshot_each(index, &filter, take_same, shown, &covered, err));
    dlq_index_close(&index);
    dlq_filter_deinit(&filter);
    return ok;
}

static bool fill(struct shown *shown, void **behind, int *code)
{
    const struct dlq *dlq = shown->dlq;
    const struct route_config *route = dlq_topic_route(dlq->config, shown->id.topic);
    struct kept_record *kept;
    struct err err = {0};
    bool found = false, ok;
    if (!route) {
        *code = cli_usage("dlq show", "%s is no dead-letter topic of this configuration",
                          shown->id.topic);
        return false;
    }
    *behind = kept = mem_zalloc(sizeof(*kept));
    ok = dlq_read_one(dlq->loop, dlq->config, shown->id.topic, shown->id.partition,
                      shown->id.offset, kept, &found, &err);
    if (ok && !found)
        ok = err_set(&err, ERR_NO_FILE,
                     "there is no dead letter %s: retention or a purge has taken it, or it never "
                     "was",
                     shown->id_text.data);
    if (ok) {
        shown->rec = kept->rec;
        dead_letter_read(&shown->rec, &shown->letter);
    }
    if (ok && !shown->raw) {
        ok = ask_lines(shown, &err);
        ask_ledger(shown, route);
        ask_curl(shown, route);
    }
    if (!ok)
        *code = cli_fail(&err);
    return ok;
}

static void release(void *behind)
{
    kept_record_deinit(behind);
    mem_free(behind);
}

const struct shown_source shown_from_topics = {fill, release};
