/*
 * One key: its dead letters (the index, a thread), and what the ledger says of it in words. Redis
 * that is away hides the one and not the other.
 */
#include <string.h>

#include "base/mem.h"
#include "console/console_parts.h"

#define LETTERS_MAX 50

struct key {
    const struct route_config *route; /* NULL: there is none */
    char *topic, *bytes;
    size_t len;
    struct buf letters; /* JSON members */
    size_t count;
};

static void end(struct query *query)
{
    struct key *key = query->extra;
    mem_free(key->topic);
    mem_free(key->bytes);
    buf_deinit(&key->letters);
    mem_free(key);
}

/* ---- 2: the ledger ---- */

static void told(void *arg, bool found, const struct buf *words, const struct err *err)
{
    struct query *query = arg;
    struct key *key = query->extra;
    buf_printf(&query->body, "{\"found\":%s,\"words\":", err ? "null" : found ? "true" : "false");
    if (err)
        buf_add_json(&query->body, slice_of(err->text));
    else
        buf_add_json(&query->body,
                     found ? buf_slice(words) : SLICE_LIT("nothing is known of this key"));
    buf_add_char(&query->body, ',');
    buf_add_slice(&query->body, buf_slice(&key->letters));
    buf_add_text(&query->body, "}\n");
    query_finish(query);
}

static void ask_ledger(struct query *query)
{
    const struct key *key = query->extra;
    keys_ask(query->console->keys, key->route, key->topic, (struct slice){key->bytes, key->len},
             told, query);
}

/* ---- 1: the dead letters ---- */

static bool each(void *arg, const struct dlq_row *row)
{
    struct key *key = arg;
    if (key->count++)
        buf_add_char(&key->letters, ',');
    json_add_row(&key->letters, row);
    return true;
}

static void ask_letters(struct query *query, struct dlq_index *index)
{
    struct key *key = query->extra;
    struct dlq_covered covered = {0};
    char next[DLQ_CURSOR_MAX] = "";
    query->filter.topic = config_dlq_topic(key->route, key->topic);
    query->filter.key = mem_strndup(key->bytes, key->len);
    query->filter.key_len = key->len;
    query->filter.states = DLQ_STATE_ANY;
    buf_add_text(&key->letters, "\"letters\":[");
    if (!dlq_index_list(index, &query->filter, "", LETTERS_MAX, each, key, next, &covered,
                        &query->err))
        return;
    buf_printf(&key->letters, "],\"more\":%s,\"covered\":", next[0] ? "true" : "false");
    json_add_covered(&key->letters, &covered);
}

static bool has_topic(const struct route_config *route, struct slice topic)
{
    for (size_t i = 0; i < route->topic_count; i++) {
        if (slice_equal_text(topic, route->topics[i]))
            return true;
    }
    return false;
}

void api_key(void *arg, struct call *call, const struct route_match *match)
{
    struct console *console = arg;
    struct slice name = router_param(match, "route"), topic = router_param(match, "topic");
    struct slice bytes = router_param(match, "key");
    struct query *query = query_new(console, call, match);
    struct key *key = mem_zalloc(sizeof(*key));
    query->extra = key;
    query->end = end;
    query->ask = ask_letters;
    query->then = ask_ledger;
    key->topic = mem_strndup(topic.data, topic.len);
    key->bytes = mem_strndup(bytes.data, bytes.len);
    key->len = bytes.len;
    if (!memchr(name.data, '\0', name.len) && !memchr(topic.data, '\0', topic.len))
        key->route = config_find_route(console->config, name.data);
    if (!key->route || !has_topic(key->route, topic))
        (void)err_set(&query->err, ERR_NO_FILE, "%s",
                      key->route ? "the route has no such topic" : "there is no such route");
    query_start(query);
}
