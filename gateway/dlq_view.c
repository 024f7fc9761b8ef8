/*
 * Dead letters from their topics; see dlq_view.h. Rows are found by the letter's id (the key of its
 * state): a letter, its later copies and its state meet there, in whatever order they are read.
 */
#include "dlq_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "dlq_match.h"
#include "progress.h"
#include "record/letter_state.h"

#define SLOW_MS  3000
#define ROWS_MAX 3000000 /* beyond it a command is the wrong tool */

struct loading {
    struct dlq_view *view;
    struct progress progress;
    struct buf key, store;
    bool too_many;
};

static uint64_t hash_of(struct slice text)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

static void grow_slots(struct dlq_view *view)
{
    size_t count = view->slot_count ? 2 * view->slot_count : 1024;
    mem_free(view->slots);
    view->slots = mem_calloc(count, sizeof(*view->slots));
    view->slot_count = count;
    for (size_t i = 0; i < view->all_count; i++) {
        size_t at = view->all[i]->hash & (count - 1);
        while (view->slots[at])
            at = (at + 1) & (count - 1);
        view->slots[at] = i + 1;
    }
}

/* The row of an id, made where there is none. */
static struct letter_row *row_of(struct dlq_view *view, struct slice state_key)
{
    uint64_t hash = hash_of(state_key);
    struct letter_row *row;
    size_t at;
    if (2 * view->all_count >= view->slot_count)
        grow_slots(view);
    at = hash & (view->slot_count - 1);
    for (; view->slots[at]; at = (at + 1) & (view->slot_count - 1)) {
        row = view->all[view->slots[at] - 1];
        if (row->hash == hash && slice_equal_text(state_key, row->state_key))
            return row;
    }
    if (view->all_count == view->all_cap) {
        view->all_cap = view->all_cap ? 2 * view->all_cap : 256;
        view->all = mem_realloc(view->all, view->all_cap * sizeof(struct letter_row *));
    }
    row = mem_zalloc(sizeof(*row));
    row->hash = hash;
    row->state_key = mem_strndup(state_key.data, state_key.len);
    row->state = DLQ_STATE_OPEN;
    view->all[view->all_count++] = row;
    view->slots[at] = view->all_count;
    return row;
}

static void set(char **text, struct slice value)
{
    mem_free(*text);
    *text = mem_strndup(value.len > 0 ? value.data : "", value.len);
}

static const struct dlq_topic *topic_of(const struct dlq_view *view, struct slice name)
{
    for (size_t i = 0; i < view->topics.count; i++) {
        if (slice_equal_text(name, view->topics.items[i].name))
            return &view->topics.items[i];
    }
    return NULL;
}

static void fill_key(struct letter_row *row, struct slice key)
{
    mem_free(row->key);
    row->key = NULL;
    row->key_size = key.len;
    row->key_hash = hash_of(key);
    row->key_len = key.len < DLQ_VIEW_KEY ? key.len : DLQ_VIEW_KEY;
    if (!slice_is_null(key))
        row->key = mem_strndup(key.data, row->key_len);
}

/* What the newest copy says. */
static void fill(struct letter_row *row, const struct record *rec, const struct dead_letter *letter)
{
    struct slice detail = letter->detail;
    detail.len = utf8_cut(detail.data ? detail.data : "", detail.len, DLQ_VIEW_DETAIL);
    row->writer = letter->writer;
    row->latest_partition = rec->partition;
    row->latest_offset = rec->offset;
    set(&row->group, letter->group);
    set(&row->route, letter->route);
    set(&row->code, letter->code);
    set(&row->detail, detail);
    set(&row->origin_topic, letter->origin.topic);
    memcpy(row->signature, letter->signature, sizeof(row->signature));
    fill_key(row, rec->key);
    row->value_size = rec->value.len;
    row->null_value = slice_is_null(rec->value);
    row->http_status = letter->http_status;
    row->attempts = letter->attempts;
    row->redrive_count = letter->redrive_count;
    row->written_ms = rec->timestamp_ms;
    row->first_failed_ms = letter->first_failed_at_ms;
    row->last_failed_ms = letter->last_failed_at_ms ? letter->last_failed_at_ms : rec->timestamp_ms;
    row->origin_partition = letter->origin.partition;
    row->origin_offset = letter->origin.offset;
}

static void add_letter(struct loading *loading, const struct dlq_topic *topic,
                       const struct record *rec)
{
    struct dlq_view *view = loading->view;
    struct dead_letter letter;
    struct letter_row *row;
    char name[LETTER_TOPIC_MAX];
    bool newer, is_first;
    dead_letter_read(rec, &letter);
    is_first = slice_is_null(letter.first_letter);
    buf_reset(&loading->key);
    letter_id_topic(topic->uuid, topic->name, name);
    if (is_first)
        letter_id_write(&loading->key,
                        &(struct letter_id){slice_of(name), rec->partition, rec->offset});
    else
        buf_add_slice(&loading->key, letter.first_letter);
    row = row_of(view, buf_slice(&loading->key));
    newer = !row->has_letter || rec->timestamp_ms > row->written_ms ||
            (rec->timestamp_ms == row->written_ms && rec->offset > row->latest_offset);
    if (is_first || !row->has_letter) {
        row->topic = topic;
        row->partition = rec->partition;
        row->offset = rec->offset;
    }
    if (view->filter->id_count > 0)
        row->matched = row->matched || dlq_match(view->filter, rec, &letter);
    else if (newer)
        row->matched = dlq_match(view->filter, rec, &letter);
    if (newer)
        fill(row, rec, &letter);
    row->has_letter = true;
    view->read++;
}

static unsigned state_bit(enum letter_status status)
{
    switch (status) {
    case LETTER_REDRIVING:
        return DLQ_STATE_REDRIVING;
    case LETTER_RESOLVED:
        return DLQ_STATE_RESOLVED;
    case LETTER_ARCHIVED:
        return DLQ_STATE_ARCHIVED;
    default:
        return DLQ_STATE_OPEN;
    }
}

/* The one partition has one order: the last one counts, but for a late `redriving`. */
static void add_state(struct loading *loading, const struct record *rec)
{
    struct letter_id id;
    struct letter_state state;
    struct err err;
    struct letter_row *row;
    if (!letter_state_read(rec, &id, &state, &loading->store, &err))
        return;
    row = row_of(loading->view, rec->key);
    if (state.status == LETTER_REDRIVING && row->redrive_id && row->state != DLQ_STATE_REDRIVING &&
        slice_equal_text(state.redrive_id, row->redrive_id))
        return;
    row->state = state_bit(state.status);
    set(&row->redrive_id, state.redrive_id);
    if (state.redrive_count > row->redrive_count)
        row->redrive_count = state.redrive_count;
}

static bool take(void *arg, const struct record *rec)
{
    struct loading *loading = arg;
    const struct dlq_topic *topic = topic_of(loading->view, rec->topic);
    if (topic)
        add_letter(loading, topic, rec);
    else
        add_state(loading, rec);
    progress_show(&loading->progress, loading->view->read, 0);
    loading->too_many = loading->view->all_count > ROWS_MAX;
    return !loading->too_many;
}

static int newest_first(const void *left, const void *right)
{
    const struct letter_row *a = *(struct letter_row *const *)left;
    const struct letter_row *b = *(struct letter_row *const *)right;
    int order;
    if (a->written_ms != b->written_ms)
        return a->written_ms < b->written_ms ? 1 : -1;
    order = strcmp(a->topic->name, b->topic->name);
    if (order != 0)
        return order;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return a->offset < b->offset ? 1 : a->offset > b->offset ? -1 : 0;
}

static void sort_rows(struct dlq_view *view)
{
    view->rows = mem_calloc(view->all_count + 1, sizeof(struct letter_row *));
    for (size_t i = 0; i < view->all_count; i++) {
        struct letter_row *row = view->all[i];
        if (!row->redrive_id)
            set(&row->redrive_id, SLICE_NULL);
        if (row->has_letter && row->matched)
            view->rows[view->count++] = row;
    }
    qsort(view->rows, view->count, sizeof(struct letter_row *), newest_first);
}

/* One state topic for each group of the topics; a group may have several of them. */
struct places {
    struct kafka_reader_range *items;
    size_t count;
    char **names; /* of state topics, owned */
    size_t name_count;
};

static void add_place(struct places *places, const char *topic, int32_t partition)
{
    places->items = mem_realloc(places->items, (places->count + 1) * sizeof(*places->items));
    places->items[places->count++] = (struct kafka_reader_range){topic, partition, 0};
}

static void add_state_topic(struct places *places, const struct route_config *route)
{
    char *name = config_dlq_state_topic(route);
    for (size_t i = 0; i < places->name_count; i++) {
        if (strcmp(places->names[i], name) == 0) {
            mem_free(name);
            return;
        }
    }
    places->names = mem_realloc(places->names, (places->name_count + 1) * sizeof(char *));
    places->names[places->name_count++] = name;
}

static void free_places(struct places *places)
{
    for (size_t i = 0; i < places->name_count; i++)
        mem_free(places->names[i]);
    mem_free(places->names);
    mem_free(places->items);
}

/* A state topic that is not there yet says nothing. */
static bool add_state_places(struct places *places, struct dlq *dlq, struct err *err)
{
    for (size_t i = 0; i < places->name_count; i++) {
        bool exists = false;
        if (!dlq_topic_exists(dlq->loop, dlq->config, places->names[i], &exists, err))
            return false;
        if (exists)
            add_place(places, places->names[i], LETTER_STATE_PARTITION);
    }
    return true;
}

static bool read_all(struct loading *loading, struct dlq *dlq, struct err *err)
{
    struct dlq_view *view = loading->view;
    struct places places = {0};
    bool ok;
    for (size_t i = 0; i < view->topics.count; i++) {
        const struct dlq_topic *topic = &view->topics.items[i];
        add_state_topic(&places, topic->route);
        for (int32_t p = 0; topic->exists && p < topic->partitions; p++)
            add_place(&places, topic->name, p);
    }
    ok = add_state_places(&places, dlq, err) &&
         dlq_read(dlq->loop, dlq->config, places.items, places.count, take, loading, err);
    free_places(&places);
    if (ok && loading->too_many)
        return err_set(err, ERR_LIMIT,
                       "there are more than %d dead letters and states: name a "
                       "route or a topic",
                       ROWS_MAX);
    return ok;
}

bool dlq_view_read(struct dlq_view *view, struct dlq *dlq, const struct dlq_filter *filter,
                   struct err *err)
{
    struct loading loading = {.view = view};
    uint64_t began = clock_mono_ns(), ms;
    bool ok;
    *view = (struct dlq_view){.filter = filter};
    if (!dlq_topics_find(dlq->loop, dlq->config, filter->route, filter->topic, &view->topics, err))
        return false;
    progress_begin(&loading.progress, "reading dead letters");
    ok = read_all(&loading, dlq, err);
    progress_end(&loading.progress);
    buf_deinit(&loading.key);
    buf_deinit(&loading.store);
    ms = (clock_mono_ns() - began) / NS_PER_MS;
    if (ok)
        sort_rows(view);
    if (ok && ms > SLOW_MS)
        fprintf(stderr,
                "oncegate: %" PRIu64 " dead letters were read from Kafka for this, in "
                "%" PRIu64 ".%" PRIu64 " s; --route or --topic reads fewer\n",
                view->read, ms / 1000, ms % 1000 / 100);
    return ok;
}

void dlq_view_free(struct dlq_view *view)
{
    for (size_t i = 0; i < view->all_count; i++) {
        struct letter_row *row = view->all[i];
        char *owned[] = {
            row->group,      row->route, row->code,         row->detail,
            row->redrive_id, row->key,   row->origin_topic, (char *)(uintptr_t)row->state_key};
        for (size_t n = 0; n < sizeof(owned) / sizeof(*owned); n++)
            mem_free(owned[n]);
        mem_free(row);
    }
    mem_free(view->all);
    mem_free(view->slots);
    mem_free(view->rows);
    dlq_topics_deinit(&view->topics);
    *view = (struct dlq_view){0};
}

bool dlq_view_takes(const struct dlq_view *view, const struct letter_row *row)
{
    return (row->state & dlq_filter_states(view->filter)) != 0;
}

void dlq_row_id(const struct letter_row *row, struct buf *out)
{
    buf_printf(out, "%s/%d/%" PRId64, row->topic->name, (int)row->partition, row->offset);
}

bool dlq_filter_of(struct dlq *dlq, struct dlq_filter *filter, struct err *err)
{
    static const char *const names[] = {"route", "topic", "code", "status", "signature", "key",
                                        "since", "until", "text", "state",  "id"};
    dlq_filter_init(filter);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char option[24];
        const char *value;
        snprintf(option, sizeof(option), "--%s", names[i]);
        while ((value = cli_option(dlq->cli, option)) != NULL) {
            if (!dlq_filter_set(filter, names[i], slice_of(value), clock_wall_ms(), err)) {
                dlq_filter_deinit(filter);
                return false;
            }
        }
    }
    return true;
}
