/*
 * A dead letter by a console; see dlq_shown.h. Its record is put together again from the answer, so
 * that it is shown as one that was read here. What the console keeps back from this role is said.
 */
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>

#include "base/mem.h"
#include "console_letters.h"
#include "dlq_shown.h"

struct answered {
    struct json_object *answer, *key;
    struct record_header *headers;
    struct buf *stores; /* of what was base64: key, value, then two of each header */
    size_t store_count, store_cap;
};

static void release(void *behind)
{
    struct answered *got = behind;
    json_object_put(got->answer);
    json_object_put(got->key);
    for (size_t i = 0; i < got->store_count; i++)
        buf_deinit(&got->stores[i]);
    mem_free(got->stores);
    mem_free(got->headers);
    mem_free(got);
}

static struct slice bytes_of(struct shown *shown, struct answered *got, struct json_object *object,
                             const char *name)
{
    struct json_object *masked = answer_member(object, "masked");
    struct slice bytes = console_bytes(object, &got->stores[got->store_count++]);
    if (strcmp(answer_text(object, "encoding"), "hidden") == 0)
        buf_printf(&shown->hidden, "%s: %s\n", name, answer_text(object, "why"));
    for (size_t i = 0; i < answer_count(masked); i++)
        buf_printf(&shown->hidden, "%s: %s is hidden\n", name,
                   json_object_get_string(json_object_array_get_idx(masked, i)));
    if (answer_bool(object, "cut"))
        buf_printf(&shown->hidden,
                   "%s: the first %zu of %" PRId64 " bytes (console.limits.value_bytes)\n", name,
                   bytes.len, answer_number(object, "size"));
    return bytes;
}

static void add_headers(struct shown *shown, struct answered *got, struct json_object *list)
{
    for (size_t i = 0; i < answer_count(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        struct record_header *header = &got->headers[shown->rec.header_count++];
        header->name = answer_bytes(item, "name");
        header->value = bytes_of(shown, got, item, header->name.data);
    }
}

/* Who wrote it is told by whose headers stand last. */
static void take_record(struct shown *shown, struct answered *got, const struct dlq_row *row)
{
    struct json_object *record = answer_member(got->answer, "record");
    struct json_object *apps = answer_member(record, "headers");
    struct json_object *own = answer_member(record, "own_headers");
    bool own_last = row->writer == LETTER_OWN;
    size_t count = answer_count(apps) + answer_count(own);
    got->headers = mem_calloc(count + 1, sizeof(*got->headers));
    got->stores = mem_calloc(count + 2, sizeof(*got->stores));
    shown->rec = (struct record){.topic = slice_of(shown->id.topic),
                                 .partition = shown->id.partition,
                                 .offset = shown->id.offset,
                                 .timestamp_ms = row->written_ms,
                                 .headers = got->headers};
    shown->rec.key = bytes_of(shown, got, answer_member(record, "key"), "key");
    shown->rec.value = bytes_of(shown, got, answer_member(record, "value"), "value");
    add_headers(shown, got, own_last ? apps : own);
    add_headers(shown, got, own_last ? own : apps);
    dead_letter_read(&shown->rec, &shown->letter);
}

static void take_curl(struct shown *shown, const struct answered *got)
{
    struct json_object *record = answer_member(got->answer, "record");
    const char *curl = answer_text(record, "curl");
    if (curl[0])
        buf_add_text(&shown->curl, curl);
    else
        buf_printf(&shown->curl, "# not possible: %s\n", answer_text(record, "curl_why"));
}

static void take_same(struct shown *shown, const struct answered *got)
{
    struct json_object *same = answer_member(got->answer, "same_key");
    struct json_object *list = answer_member(same, "letters");
    struct buf store = {0};
    for (size_t i = 0; i < answer_count(list); i++) {
        struct dlq_row row;
        buf_reset(&store);
        console_row(json_object_array_get_idx(list, i), &store, &row);
        shown_same(shown, &row);
    }
    shown->same_more = answer_bool(same, "more");
    buf_deinit(&store);
}

static void ask_ledger(struct shown *shown, struct answered *got, const struct dlq_row *row)
{
    struct buf path = {0};
    struct err err = {0};
    if (!row->route[0] || !row->origin_topic[0]) {
        buf_add_text(&shown->ledger, "not known: it belongs to no route of this configuration\n");
        return;
    }
    if (slice_is_null(shown->rec.key)) {
        buf_add_text(&shown->ledger, "not asked for: a null key has its state by partition\n");
        return;
    }
    buf_add_text(&path, "/api/v1/keys");
    console_client_add_segment(&path, slice_of(row->route));
    console_client_add_segment(&path, slice_of(row->origin_topic));
    console_client_add_segment(&path, shown->rec.key);
    got->key = console_ask(shown->dlq->console, path.data, NULL, &err);
    if (!got->key)
        buf_printf(&shown->ledger, "not known: %s\n", err.text);
    else
        buf_add_text(&shown->ledger, answer_text(got->key, "words"));
    if (shown->ledger.len > 0 && shown->ledger.data[shown->ledger.len - 1] != '\n')
        buf_add_char(&shown->ledger, '\n');
    buf_deinit(&path);
}

/* What is no more than a part of it is no value to go on with. */
static bool is_whole(struct json_object *value, struct err *err)
{
    if (strcmp(answer_text(value, "encoding"), "hidden") == 0 ||
        answer_count(answer_member(value, "masked")) > 0)
        return err_set(err, ERR_DENIED,
                       "parts of the value are hidden from this role; an admin's token shows it");
    return !answer_bool(value, "cut") ||
           err_set(err, ERR_LIMIT,
                   "the value is larger than the console gives (console.limits.value_bytes): "
                   "leave --console out to read it from its topic");
}

static bool take_answer(struct shown *shown, struct answered *got, struct err *err)
{
    struct json_object *record = answer_member(got->answer, "record");
    struct buf store = {0};
    struct dlq_row row;
    bool ok = record != NULL ||
              err_set(err, ERR_NO_FILE, "%s", answer_text(got->answer, "record_why"));
    console_row(answer_member(got->answer, "letter"), &store, &row);
    if (ok && shown->raw)
        ok = is_whole(answer_member(record, "value"), err);
    if (ok) {
        shown_line(shown, &row);
        take_record(shown, got, &row);
        take_curl(shown, got);
        take_same(shown, got);
    }
    if (ok && !shown->raw)
        ask_ledger(shown, got, &row);
    buf_deinit(&store);
    return ok;
}

static bool fill(struct shown *shown, void **behind, int *code)
{
    struct answered *got = mem_zalloc(sizeof(*got));
    struct err err = {0};
    *behind = got;
    got->answer = console_letter(shown->dlq->console, &shown->id, &err);
    if (got->answer && take_answer(shown, got, &err))
        return true;
    *code = cli_fail(&err);
    return false;
}

const struct shown_source shown_from_console = {fill, release};
