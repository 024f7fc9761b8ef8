/*
 * One dead letter with all that is known of it: its line in the index (a thread), the record itself
 * (Kafka), and what else its key has (a thread again). Retention may have taken the record while
 * the line is there still: then the answer says so and holds the rest.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "console/console_parts.h"
#include "dlq/topic_route.h"

#define SAME_KEY_MAX 50

struct letter {
    struct dlq_id id;
    bool found;
    struct buf record; /* JSON members about the record */
    struct slice key;  /* owned */
    bool has_key;
    struct buf same;
    size_t same_count;
};

static void end(struct query *query)
{
    struct letter *letter = query->extra;
    dlq_id_deinit(&letter->id);
    mem_free((char *)(uintptr_t)letter->key.data);
    buf_deinit(&letter->record);
    buf_deinit(&letter->same);
    mem_free(letter);
}

/* ---- 3: the same key's others ---- */

static bool each_same(void *arg, const struct dlq_row *row)
{
    struct letter *letter = arg;
    if (letter->same_count++)
        buf_add_char(&letter->same, ',');
    json_add_row(&letter->same, row);
    return true;
}

static void ask_same(struct query *query, struct dlq_index *index)
{
    struct letter *letter = query->extra;
    struct dlq_covered covered = {0};
    char next[DLQ_CURSOR_MAX] = "";
    struct dlq_filter filter;
    bool ok;
    dlq_filter_init(&filter);
    filter.topic = mem_strdup(letter->id.topic);
    filter.key = mem_strndup(letter->key.data, letter->key.len);
    filter.key_len = letter->key.len;
    filter.states = DLQ_STATE_ANY;
    ok = dlq_index_list(index, &filter, "", SAME_KEY_MAX, each_same, letter, next, &covered,
                        &query->err);
    dlq_filter_deinit(&filter);
    if (!ok)
        return;
    buf_printf(&query->body, ",\"same_key\":{\"letters\":[%s],\"more\":%s,\"covered\":",
               letter->same.len ? letter->same.data : "", next[0] ? "true" : "false");
    json_add_covered(&query->body, &covered);
    buf_add_text(&query->body, "}}\n");
}

/* ---- 2: the record ---- */

static void add_curl(struct query *query, const struct record *rec)
{
    const struct console_options *options = &query->console->options;
    struct letter *letter = query->extra;
    const struct route_config *route = dlq_topic_route(query->console->config, letter->id.topic);
    struct buf curl = {0}, id = {0};
    struct err err = {0};
    if (!options->curl)
        return;
    dlq_id_write(&letter->id, &id);
    buf_add_text(&letter->record, ",\"curl\":");
    if (payload_is_masked(&query->view))
        buf_add_text(&letter->record, "null,\"curl_why\":\"parts of records are hidden\"");
    else if (!route)
        buf_add_text(&letter->record,
                     "null,\"curl_why\":\"it belongs to no route of this configuration\"");
    else if (options->curl(&curl, route, rec, id.data, &err))
        buf_add_json(&letter->record, buf_slice(&curl));
    else {
        buf_add_text(&letter->record, "null,\"curl_why\":");
        buf_add_json(&letter->record, slice_of(err.text));
    }
    buf_deinit(&curl);
    buf_deinit(&id);
}

static void add_record(struct query *query, const struct record *rec)
{
    struct letter *letter = query->extra;
    struct buf *out = &letter->record;
    buf_add_text(out, ",\"record\":{\"key\":");
    payload_add_key(out, &query->view, rec->key);
    buf_add_text(out, ",\"value\":");
    payload_add_value(out, &query->view, rec->value);
    buf_add_text(out, ",\"headers\":");
    payload_add_headers(out, &query->view, rec, false);
    buf_add_text(out, ",\"own_headers\":");
    payload_add_headers(out, &query->view, rec, true);
    add_curl(query, rec);
    buf_add_char(out, '}');
}

static void fetched(void *arg, struct record *rec, const struct err *err)
{
    struct query *query = arg;
    struct letter *letter = query->extra;
    if (!query->call) {
        query_finish(query);
        return;
    }
    if (rec) {
        add_record(query, rec);
        letter->has_key = !slice_is_null(rec->key);
        if (letter->has_key)
            letter->key = (struct slice){mem_strndup(rec->key.data, rec->key.len), rec->key.len};
    } else {
        buf_add_text(&letter->record, ",\"record\":null,\"record_why\":");
        buf_add_json(&letter->record,
                     slice_of(err ? err->text
                                  : "retention or compaction has taken this record; its line "
                                    "goes with the next look at the topics"));
    }
    buf_add_slice(&query->body, buf_slice(&letter->record));
    query->then = NULL;
    if (!letter->has_key) {
        buf_add_text(&query->body, ",\"same_key\":null}\n");
        query_finish(query);
        return;
    }
    query->ask = ask_same;
    query_start(query);
}

static void read_record(struct query *query)
{
    struct letter *letter = query->extra;
    letters_reader_get(query->console->letters, &letter->id, fetched, query);
}

/* ---- 1: the line ---- */

static void take_row(void *arg, const struct dlq_row *row)
{
    struct query *query = arg;
    buf_add_text(&query->body, "{\"letter\":");
    json_add_row(&query->body, row);
}

static void ask_row(struct query *query, struct dlq_index *index)
{
    struct letter *letter = query->extra;
    if (!dlq_index_get(index, &letter->id, take_row, query, &letter->found, &query->err))
        return;
    if (!letter->found)
        (void)err_set(&query->err, ERR_NO_FILE,
                      "no dead letter is known there: it may not be read yet, or retention has "
                      "taken it");
}

static bool read_id(struct query *query, const struct route_match *match)
{
    struct letter *letter = query->extra;
    struct buf text = {0};
    bool ok;
    buf_add_slice(&text, router_param(match, "topic"));
    buf_add_char(&text, '/');
    buf_add_slice(&text, router_param(match, "partition"));
    buf_add_char(&text, '/');
    buf_add_slice(&text, router_param(match, "offset"));
    ok = dlq_id_parse(buf_slice(&text), &letter->id, &query->err);
    buf_deinit(&text);
    return ok;
}

void api_letter(void *arg, struct call *call, const struct route_match *match)
{
    struct query *query = query_new(arg, call, match);
    query->extra = mem_zalloc(sizeof(struct letter));
    query->end = end;
    query->ask = ask_row;
    query->then = read_record;
    (void)read_id(query, match);
    query_start(query);
}
